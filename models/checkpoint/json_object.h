/* JSON objects from files that nobody vouches for: bounded before the first allocation, duplicate keys refused. */
#ifndef OBERTA_CHECKPOINT_JSON_OBJECT_H
#define OBERTA_CHECKPOINT_JSON_OBJECT_H

#include <jansson.h>
#include <oberta/error.h>

#define OB_JSON_MAX_DEPTH  16
#define OB_JSON_MAX_VALUES 1000000 /* about 110 bytes of memory each */

/* `text` must be an object from its first byte; white space may follow it. *out is a new reference. Errors:
 * OB_ERR_MODEL, with line and column. */
ob_status ob__json_object_parse(const char *text, size_t bytes, json_t **out, ob_error *err);

#endif
