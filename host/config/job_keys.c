/* The table of keys and the readers of simple values. A value is typed by its key alone: "no", "1e3" or "010" mean what
 * the key takes, or nothing. */
#include "job_keys.h"

#include <errno.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ob__job_defect(ob__job_reader *r, const ob__yaml_node *node, const char *key, const char *format, ...)
{
    char rule[512];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    if (r->has_position)
        ob_error_add(r->err, OB_ERR_CONFIG, "%s:%zu:%zu: %s: %s", r->name, node->line, node->column, key, rule);
    else
        ob_error_add(r->err, OB_ERR_CONFIG, "%s %s: %s", r->name, key, rule);
    r->defect = true;
}

const char *ob__job_scalar(ob__job_reader *r, const ob__yaml_node *node, const char *key)
{
    if (node->kind == OB__YAML_SCALAR)
        return node->text;
    ob__job_defect(r, node, key, "a single value is expected, not a %s",
                   node->kind == OB__YAML_MAPPING ? "mapping" : "list");
    return NULL;
}

char *ob__job_resolve_path(const ob__job_reader *r, const char *path)
{
    return strcmp(path, "-") == 0 ? ob_strdup(path) : ob_path_join(r->folder, path);
}

static void *field(const ob__job_reader *r, const ob__job_key *key)
{
    return (char *)r->job + key->offset;
}

/* A decimal number without sign, point or exponent. */
static bool parse_size(const char *text, size_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0' || (digits > 1 && text[0] == '0'))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    *out = (size_t)value;
    return errno == 0 && value <= SIZE_MAX;
}

static void read_size(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    size_t value;
    if (text == NULL)
        return;
    /* "auto" and null are 0 where the default is one of them. */
    if (ob__yaml_is_null(node) || strcmp(text, "auto") == 0) {
        if (strcmp(key->value, "auto") == 0 || strcmp(key->value, "null") == 0)
            *(size_t *)field(r, key) = 0;
        else
            ob__job_defect(r, node, key->path, "a number is missing");
        return;
    }
    if (parse_size(text, &value) && value >= key->low && value <= key->high)
        *(size_t *)field(r, key) = value;
    else if (strcmp(key->path, "fill_mask.top_k") == 0)
        ob__job_defect(r, node, key->path, "%.40s is not between 1 and the vocabulary's size", text);
    else
        ob__job_defect(r, node, key->path, "%.40s is not a whole number between %zu and %zu", text, key->low,
                       key->high);
}

static void read_bool(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text == NULL)
        return;
    if (strcmp(text, "true") == 0)
        *(bool *)field(r, key) = true;
    else if (strcmp(text, "false") == 0)
        *(bool *)field(r, key) = false;
    else
        ob__job_defect(r, node, key->path, "'%.40s' is neither true nor false", text);
}

/* One of several words. Words of the documentation that this version lacks are told so. */
typedef struct word {
    const char *text;
    int value; /* below 0: not available in this version */
} word;

static int read_word(ob__job_reader *r, const char *key, const ob__yaml_node *node, const word *words, size_t count)
{
    const char *names[16], *text = ob__job_scalar(r, node, key);
    if (text == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        names[i] = words[i].text;
        if (strcmp(words[i].text, text) != 0)
            continue;
        if (words[i].value < 0)
            ob__job_defect(r, node, key, "'%s' is not available in this version", text);
        return words[i].value;
    }
    const char *nearest = ob_text_nearest(text, names, count);
    if (nearest != NULL) {
        ob__job_defect(r, node, key, "'%.40s' is unknown; did you mean '%s'?", text, nearest);
        return -1;
    }
    char list[256] = "";
    for (size_t i = 0; i < count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i > 0 ? ", " : "", names[i]);
    ob__job_defect(r, node, key, "'%.40s' is none of %s", text, list);
    return -1;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void read_version(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text != NULL && strcmp(text, "1") != 0)
        ob__job_defect(r, node, key->path, "'%.40s' is not a version that this oberta reads; 1 is", text);
}

static void read_path(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text == NULL)
        return;
    if (text[0] == '\0' || ob__yaml_is_null(node)) {
        ob__job_defect(r, node, key->path, "a path is missing");
        return;
    }
    char **path = field(r, key), *resolved = ob__job_resolve_path(r, text);
    if (resolved == NULL) {
        ob__job_defect(r, node, key->path, "no memory");
        return;
    }
    ob_free(*path);
    *path = resolved;
}

static void read_dtype(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {{"float32", OB_DTYPE_F32}, {"float16", -1}, {"bfloat16", -1}, {"int8", -1}};
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->dtype = (ob_dtype)value;
}

static void read_task(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {
#define TASK_WORD(code, name, available) {name, available ? (int)code : -1},
        OB_TASK_MAP(TASK_WORD)
#undef TASK_WORD
    };
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->task = (ob_task)value;
}

static void read_output_format(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {{"auto", OB_OUTPUT_AUTO},
                                 {"jsonl", OB_OUTPUT_JSONL},
                                 {"csv", OB_OUTPUT_CSV},
                                 {"npy", OB_OUTPUT_NPY},
                                 {"safetensors", OB_OUTPUT_SAFETENSORS}};
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->output_format = (ob_output_format)value;
}

static void read_truncation(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {{"longest_first", OB_TRUNCATION_LONGEST_FIRST},
                                 {"only_first", OB_TRUNCATION_ONLY_FIRST},
                                 {"only_second", OB_TRUNCATION_ONLY_SECOND},
                                 {"error", OB_TRUNCATION_NONE}};
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->truncation = (ob_truncation)value;
}

static void read_on_error(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {{"stop", 0}, {"skip", 1}};
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->skip_errors = value == 1;
}

static void read_without_mask(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {{"predict", 0}, {"error", 1}};
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->fill_mask.without_mask_error = value == 1;
}

static void read_pooling(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {
        {"none", OB_POOLING_NONE}, {"cls", OB_POOLING_CLS}, {"mean", OB_POOLING_MEAN}, {"pooler", -1}};
    int value = read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->feature_extraction.pooling = (ob_pooling)value;
}

static void read_outputs(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const word words[] = {{"last_hidden_state", OB_FORWARD_LAST_HIDDEN_STATE},
                                 {"logits", OB_FORWARD_LOGITS},
                                 {"pooler_output", -1},
                                 {"hidden_states", -1},
                                 {"attentions", -1},
                                 {"cross_attentions", -1}};
    if (node->kind != OB__YAML_SEQUENCE || node->count == 0) {
        ob__job_defect(r, node, key->path, "a list of outputs is expected, such as [last_hidden_state, logits]");
        return;
    }
    unsigned outputs = 0;
    for (size_t i = 0; i < node->count; i++) {
        int value = read_word(r, key->path, &node->children[i], words, COUNT(words));
        outputs |= value >= 0 ? (unsigned)value : 0;
    }
    r->job->forward.outputs = outputs;
}

static void read_targets(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    if (ob__yaml_is_null(node))
        return;
    if (node->kind != OB__YAML_SEQUENCE || node->count == 0) {
        ob__job_defect(r, node, key->path, "a list of tokens is expected");
        return;
    }
    char **targets = ob_calloc(node->count, sizeof *targets);
    size_t count = 0;
    for (size_t i = 0; targets != NULL && i < node->count; i++) {
        const char *text = ob__job_scalar(r, &node->children[i], key->path);
        if (text != NULL && (targets[count] = ob_strdup(text)) != NULL)
            count++;
    }
    for (size_t i = 0; i < r->job->fill_mask.target_count; i++)
        ob_free(r->job->fill_mask.targets[i]);
    ob_free(r->job->fill_mask.targets);
    r->job->fill_mask.targets = targets;
    r->job->fill_mask.target_count = count;
}

#define MAX_TOP_K  ((size_t)1 << 24)
#define MAX_TOKENS ((size_t)1 << 20)

const ob__job_key ob__job_keys[] = {
    {"version", "1", "of this file's form", read_version, 0, 0, 0},
    {"model.path", "models/demo", "a folder as published on the Hugging Face hub", read_path,
     offsetof(ob_job, model_path), 0, 0},
    {"model.dtype", "float32", "arithmetic on the device", read_dtype, 0, 0, 0},
    {"device", "auto",
     "auto | cpu | gpu | accelerator | an index | a mapping of platform, name, vendor, driver, type, min_memory, "
     "requires, "
     "exclude",
     ob__job_read_device, 0, 0, 0},
    {"task", "fill-mask", "fill-mask | feature-extraction | forward", read_task, 0, 0, 0},
    {"inputs", NULL, "one mapping or a list of them; path '-' is standard input", ob__job_read_inputs, 0, 0, 0},
    {"output.path", "-", "'-' is standard output", read_path, offsetof(ob_job, output_path), 0, 0},
    {"output.format", "auto", "jsonl | csv | npy | safetensors, from the name's ending", read_output_format, 0, 0, 0},
    {"output.overwrite", "false", "replace a file that exists", read_bool, offsetof(ob_job, overwrite), 0, 0},
    {"tokenizer.max_length", "null", "tokens of a row, special ones included; null: what the model takes", read_size,
     offsetof(ob_job, max_length), 3, MAX_TOKENS},
    {"tokenizer.truncation", "longest_first", "longest_first | only_first | only_second | error", read_truncation, 0, 0,
     0},
    {"batch.max_tokens", "auto", "tokens that run together", read_size, offsetof(ob_job, max_tokens), 1, MAX_TOKENS},
    {"batch.sort_by_length", "true", "rows of similar length together; the output keeps the input's order", read_bool,
     offsetof(ob_job, sort_by_length), 0, 0},
    {"on_error", "stop", "stop | skip: a row that is wrong becomes an error row", read_on_error, 0, 0, 0},
    {"fill_mask.top_k", "5", "predictions for each mask", read_size, offsetof(ob_job, fill_mask.top_k), 1, MAX_TOP_K},
    {"fill_mask.targets", "null", "a list: only these tokens", read_targets, 0, 0, 0},
    {"fill_mask.without_mask", "predict", "predict | error: a row without a mask", read_without_mask, 0, 0, 0},
    {"feature_extraction.pooling", "none", "none | cls | mean", read_pooling, 0, 0, 0},
    {"feature_extraction.normalize", "false", "vectors of length 1", read_bool,
     offsetof(ob_job, feature_extraction.normalize), 0, 0},
    {"forward.outputs", "[last_hidden_state]", "last_hidden_state, logits", read_outputs, 0, 0, 0},
};
const size_t ob__job_key_count = COUNT(ob__job_keys);
