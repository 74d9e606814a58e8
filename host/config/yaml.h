/* A YAML text as nodes that know where they stand. Internal to host/config.
 *
 * What a job file does not need is refused: anchors, aliases, tags, several documents, and sizes that only an attack
 * has. */
#ifndef OBERTA_CONFIG_YAML_H
#define OBERTA_CONFIG_YAML_H

#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>

#define OB__YAML_MAX_BYTES ((size_t)1 << 20)
#define OB__YAML_MAX_DEPTH 32
#define OB__YAML_MAX_NODES 10000

typedef enum ob__yaml_kind { OB__YAML_SCALAR, OB__YAML_MAPPING, OB__YAML_SEQUENCE } ob__yaml_kind;

typedef struct ob__yaml_node {
    ob__yaml_kind kind;
    size_t line, column; /* 1-based */
    char *text;          /* of a scalar; typed by whoever asks, never guessed */
    bool plain;          /* a scalar without quotes */
    char *key;           /* of a mapping's entry */
    size_t key_line, key_column;
    struct ob__yaml_node *children;
    size_t count, capacity;
} ob__yaml_node;

/* `name` stands in messages ("job.yaml:3:1: ..."). Errors: OB_ERR_CONFIG, OB_ERR_OUT_OF_MEMORY. An empty text is an
 * empty mapping. */
ob_status ob__yaml_parse(const char *text, size_t bytes, const char *name, ob__yaml_node *out, ob_error *err);
void ob__yaml_release(ob__yaml_node *node);

/* True for a plain scalar that stands for nothing: empty, ~ or null. */
bool ob__yaml_is_null(const ob__yaml_node *node);

#endif
