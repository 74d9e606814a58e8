/* The keys of a job file: one table for reading, overriding, suggesting and writing them. Internal to host/config. */
#ifndef OBERTA_CONFIG_JOB_KEYS_H
#define OBERTA_CONFIG_JOB_KEYS_H

#include "yaml.h"

#include <oberta/job.h>

/* A job being read: where it is from, and what is wrong with it. */
typedef struct ob__job_reader {
    ob_job *job;
    const char *name;   /* of the file, or "--set" */
    bool has_position;  /* nodes stand in a file */
    const char *folder; /* relative paths are relative to it */
    ob_error *err;
    bool has_inputs, defect;
} ob__job_reader;

/* Adds "<file>:<line>:<column>: <key>: <rule>". */
void ob__job_defect(ob__job_reader *r, const ob__yaml_node *node, const char *key, const char *format, ...)
    OB_PRINTF(4, 5);

typedef struct ob__job_key {
    const char *path;    /* "batch.max_tokens" */
    const char *value;   /* default, as a job file writes it; NULL: required or without one */
    const char *comment; /* what it means and what else it takes */
    void (*read)(ob__job_reader *r, const struct ob__job_key *key, const ob__yaml_node *node);
    size_t offset;    /* of the field in ob_job, for the simple kinds */
    size_t low, high; /* of a number */
} ob__job_key;

extern const ob__job_key ob__job_keys[];
extern const size_t ob__job_key_count;

/* job_inputs.c: the two keys with structures of their own. */
void ob__job_read_inputs(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);
void ob__job_read_device(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);

/* "inputs.path=..." and "device.type=...": one key of the only input, or of the selector; false for other sections. */
bool ob__job_override_inside(ob__job_reader *r, const char *section, ob__yaml_node *node);

void ob__job_release_inputs(ob_job *job);

/* job_lists.c: keys whose values are lists. */
void ob__job_read_outputs(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);
void ob__job_read_targets(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);
void ob__job_read_ignore_labels(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);
void ob__job_read_prune_heads(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);
void ob__job_release_texts(char ***texts, size_t *count);

/* job_values.c: the simple kinds, into the field at key->offset. */
void *ob__job_field(const ob__job_reader *r, const ob__job_key *key);
bool ob__job_parse_size(const char *text, size_t *out); /* a decimal number without sign, point or exponent */
void ob__job_read_size(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);
void ob__job_read_bool(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node);

/* One of several words. Words of the documentation that this version lacks are told so. */
typedef struct ob__job_word {
    const char *text;
    int value; /* below 0: not available in this version */
} ob__job_word;

/* The value of the word; -1, with a defect, for any other text. */
int ob__job_read_word(ob__job_reader *r, const char *key, const ob__yaml_node *node, const ob__job_word *words,
                      size_t count);

/* The text of a scalar, NULL (with a defect) for anything else. */
const char *ob__job_scalar(ob__job_reader *r, const ob__yaml_node *node, const char *key);
/* `path` as seen from the working directory; NULL: no memory. */
char *ob__job_resolve_path(const ob__job_reader *r, const char *path);

#endif
