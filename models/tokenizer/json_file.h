/* JSON files of a tokenizer's folder, and typed looks into them. Internal to models/tokenizer. */
#ifndef OBERTA_TOKENIZER_JSON_FILE_H
#define OBERTA_TOKENIZER_JSON_FILE_H

#include <jansson.h>
#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>

/* Where defects are noted: all of one file's, as lines of one error. */
typedef struct ob__notes {
    const char *file;
    ob_error *err;
    size_t count;
} ob__notes;

/* Adds "<file>: <message>"; the first note decides the status. */
void ob__note(ob__notes *notes, ob_status status, const char *format, ...) OB_PRINTF(3, 4);

/* Says how many were not listed. Returns the status of the notes, OB_OK without any. */
ob_status ob__notes_end(ob__notes *notes);

/* *out is the object in folder/name, NULL where the file does not exist. With `real`, integers come as reals:
 * transformers writes 10^30 for "no limit", which no integer holds. Errors: OB_ERR_MODEL with line and column. */
ob_status ob__json_load(const char *folder, const char *name, size_t max_bytes, bool real, json_t **out, ob_error *err);

/* A member that may be absent or null; of another type it is a defect. NULL text and `fallback` stand for absent. */
bool ob__json_flag(const json_t *object, const char *key, bool fallback, ob__notes *notes);
const char *ob__json_text(const json_t *object, const char *key, ob__notes *notes);

#endif
