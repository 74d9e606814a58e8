/* Reading config.json key by key, every defect a line. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_CONFIG_KEYS_H
#define OBERTA_ROBERTA_CONFIG_KEYS_H

#include <jansson.h>
#include <oberta/roberta_config.h>

typedef struct ob__config_keys {
    const json_t *root;
    const char *name; /* of the file, in messages */
    ob_error *err;
    bool defect;
} ob__config_keys;

/* The file's object; the caller decrefs it. OB_ERR_MODEL for what is no JSON, or no JSON of a model. */
ob_status ob__config_object(const char *text, size_t bytes, const char *name, json_t **out, ob_error *err);

/* One more line: "config.json: key: value: rule"; `value` NULL leaves it out. */
void ob__config_defect(ob__config_keys *keys, ob_status status, const char *key, const json_t *value,
                       const char *format, ...) OB_PRINTF(5, 6);

/* The key's value; NULL where it is absent and the default holds. */
const json_t *ob__config_get(const ob__config_keys *keys, const char *key);
/* These leave *out alone where the key is absent, and are false where it is wrong. */
bool ob__config_integer(ob__config_keys *keys, const char *key, json_int_t low, json_int_t high, json_int_t *out);
bool ob__config_bool(ob__config_keys *keys, const char *key, bool *out);
/* NULL where the key is absent or wrong. */
const char *ob__config_text(ob__config_keys *keys, const char *key);
/* As above, where null says the same as nothing. */
const char *ob__config_text_or_null(ob__config_keys *keys, const char *key);

/* A member's name as a number without sign or leading zeros, below `limit`; false for anything else. */
bool ob__config_index(const char *text, size_t limit, size_t *out);

/* What must be known before the sizes: model_type, architectures, decoder or encoder, and what is refused by name
 * (config_family.c); labels and problem_type (config_labels.c); pruned_heads, once the sizes are right
 * (config_pruning.c). */
void ob__config_read_family(ob__config_keys *keys, ob_roberta_config *config);
void ob__config_read_labels(ob__config_keys *keys, ob_roberta_config *config);
void ob__config_read_pruning(ob__config_keys *keys, ob_roberta_config *config);

#endif
