/* What a classification head's outputs are called: id2label, else num_labels times LABEL_i, as transformers has it. */
#include "config_keys.h"

#include <inttypes.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/strbuf.h>
#include <stdio.h>
#include <string.h>

#define MAX_LABELS       ((size_t)1 << 20)
#define DEFAULT_LABELS   2
#define GENERIC_NAME_MAX 32 /* "LABEL_1048575" and more */

/* `count` pointers and the names behind them, in one allocation, so that one free releases them; `bytes` of names, NULs
 * included. */
static char **allocate_labels(ob__config_keys *c, size_t count, size_t bytes, char **names)
{
    size_t pointers, total;
    char **labels = NULL;
    if (ob_size_mul(count, sizeof *labels, &pointers) && ob_size_add(pointers, bytes, &total))
        labels = ob_malloc(total);
    if (labels == NULL)
        ob__config_defect(c, OB_ERR_OUT_OF_MEMORY, "id2label", NULL, "no memory for %zu labels", count);
    else
        *names = (char *)labels + pointers;
    return labels;
}

static void make_generic_labels(ob__config_keys *c, size_t count, ob_roberta_config *config)
{
    char *at;
    char **labels = allocate_labels(c, count, count * GENERIC_NAME_MAX, &at);
    if (labels == NULL)
        return;
    for (size_t i = 0; i < count; i++, at += GENERIC_NAME_MAX) {
        snprintf(at, GENERIC_NAME_MAX, "LABEL_%zu", i);
        labels[i] = at;
    }
    config->labels = labels;
    config->label_count = count;
}

/* Bytes of a label without its NUL, and its text; some files number their labels. False for what is no name. */
static bool label_text(const json_t *value, char number[GENERIC_NAME_MAX], const char **text, size_t *bytes)
{
    if (json_is_integer(value)) {
        *bytes = (size_t)snprintf(number, GENERIC_NAME_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        *text = number;
        return true;
    }
    *text = json_string_value(value);
    *bytes = json_string_length(value);
    return *text != NULL;
}

/* Ids from 0 on, each once, since the head's row i is label i. */
static bool check_id2label(ob__config_keys *c, const json_t *map, size_t *bytes)
{
    size_t count = json_object_size(map);
    if (count == 0 || count > MAX_LABELS) {
        ob__config_defect(c, OB_ERR_MODEL, "id2label", NULL, "%zu labels: not within 1 to %zu", count, MAX_LABELS);
        return false;
    }
    const char *key;
    json_t *value;
    *bytes = 0;
    json_object_foreach((json_t *)map, key, value)
    {
        char number[GENERIC_NAME_MAX];
        const char *text;
        size_t id, length;
        if (!ob__config_index(key, count, &id)) {
            json_t *shown = json_string(key);
            ob__config_defect(c, OB_ERR_MODEL, "id2label", shown, "its %zu keys are not the numbers from 0 to %zu",
                              count, count - 1);
            json_decref(shown);
            return false;
        }
        if (!label_text(value, number, &text, &length)) {
            ob__config_defect(c, OB_ERR_MODEL, "id2label", value, "label %zu is neither a string nor an integer", id);
            return false;
        }
        *bytes += length + 1; /* at most the file's size */
    }
    return true;
}

static void read_id2label(ob__config_keys *c, const json_t *map, ob_roberta_config *config)
{
    size_t bytes;
    char *at, **labels;
    if (!check_id2label(c, map, &bytes) || (labels = allocate_labels(c, json_object_size(map), bytes, &at)) == NULL)
        return;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        char number[GENERIC_NAME_MAX];
        const char *text;
        size_t id = 0, length;
        ob__config_index(key, json_object_size(map), &id);
        label_text(value, number, &text, &length);
        memcpy(at, text, length);
        at[length] = '\0';
        labels[id] = at;
        at += length + 1;
    }
    config->labels = labels;
    config->label_count = json_object_size(map);
}

/* Only says something of id2label again; where they disagree id2label holds, as in transformers' pipelines. */
static void check_label2id(ob__config_keys *c, const ob_roberta_config *config)
{
    const json_t *map = ob__config_get(c, "label2id");
    if (map == NULL || json_is_null(map))
        return;
    if (!json_is_object(map)) {
        ob__config_defect(c, OB_ERR_MODEL, "label2id", map, "not an object");
        return;
    }
    for (size_t i = 0; i < config->label_count; i++) {
        const json_t *id = json_object_get(map, config->labels[i]);
        if (id == NULL || (json_is_integer(id) && json_integer_value(id) >= 0 &&
                           (size_t)json_integer_value(id) < config->label_count &&
                           strcmp(config->labels[json_integer_value(id)], config->labels[i]) == 0))
            continue;
        ob_log(OB_LOG_WARN, "model", "%s: label2id and id2label disagree about label %zu: id2label holds", c->name, i);
        return;
    }
}

static void read_problem_type(ob__config_keys *c, ob_problem_type *out)
{
    static const char *const names[] = {NULL, "regression", "single_label_classification",
                                        "multi_label_classification"};
    const char *name = ob__config_text_or_null(c, "problem_type");
    if (name == NULL)
        return;
    for (int i = OB_PROBLEM_REGRESSION; i <= OB_PROBLEM_MULTI_LABEL; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (ob_problem_type)i;
            return;
        }
    ob__config_defect(c, OB_ERR_MODEL, "problem_type", ob__config_get(c, "problem_type"),
                      "not one of regression, single_label_classification, multi_label_classification");
}

void ob__config_read_labels(ob__config_keys *keys, ob_roberta_config *config)
{
    json_int_t count = DEFAULT_LABELS;
    const json_t *map = ob__config_get(keys, "id2label");
    bool right = ob__config_integer(keys, "num_labels", 1, (json_int_t)MAX_LABELS, &count);
    if (map != NULL && !json_is_null(map) && !json_is_object(map))
        ob__config_defect(keys, OB_ERR_MODEL, "id2label", map, "not an object");
    else if (json_is_object(map))
        read_id2label(keys, map, config);
    else if (right)
        make_generic_labels(keys, (size_t)count, config);
    read_problem_type(keys, &config->problem_type);
    if (config->labels == NULL)
        return;
    check_label2id(keys, config);
    if (json_is_object(map) && ob__config_get(keys, "num_labels") != NULL && (size_t)count != config->label_count)
        ob_log(OB_LOG_WARN, "model", "%s: num_labels and id2label disagree: id2label's %zu labels hold", keys->name,
               config->label_count);
    if (config->head == OB_HEAD_QUESTION_ANSWERING && config->label_count != 2)
        ob__config_defect(keys, OB_ERR_MODEL, "id2label", NULL,
                          "%zu labels, but question answering has two outputs, start and end", config->label_count);
}
