/* modules.json and what it names. The files are untrusted: names of folders are plain, every type is checked. */
#include <jansson.h>
#include <oberta/batch.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/sentence.h>
#include <stdio.h>
#include <string.h>

#define MODULES_FILE "modules.json"
#define MAX_BYTES    ((size_t)1 << 20)
#define MAX_MODULES  16
#define MAX_LENGTH   ((json_int_t)1 << 20)

/* NULL, with an error, unless the file is JSON of the given type. */
static json_t *read_json(const char *folder, const char *name, json_type type, ob_error *err)
{
    char *path = ob_path_join(folder, name);
    ob_strbuf text = OB_STRBUF_INIT;
    json_t *root = NULL;
    json_error_t json_err;
    if (path == NULL) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for '%s'", name);
    } else if (ob_file_check_downloaded(path, err) == OB_OK && ob_file_read(path, MAX_BYTES, &text, err) == OB_OK) {
        root = json_loadb(ob_strbuf_text(&text), text.length, JSON_REJECT_DUPLICATES, &json_err);
        if (root == NULL || json_typeof(root) != type) {
            ob_error_set(err, OB_ERR_MODEL, "%s: %s", path,
                         root == NULL          ? json_err.text
                         : type == JSON_OBJECT ? "an object is expected"
                                               : "a list is expected");
            json_decref(root);
            root = NULL;
        }
    }
    ob_strbuf_release(&text);
    ob_free(path);
    return root;
}

static bool file_is_there(const char *folder, const char *name)
{
    char *path = ob_path_join(folder, name);
    bool there = path != NULL && ob_file_exists(path);
    ob_free(path);
    return there;
}

/* "" or a name of letters, digits, '_', '-' and '.', which cannot lead out of the folder. */
static bool is_plain(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return strlen(name) < OB_MODULE_NAME_BYTES && name[0] != '.' && strspn(name, allowed) == strlen(name);
}

/* The modes of 1_Pooling/config.json, in both forms that there are. */
static const struct {
    const char *key, *word;
    unsigned want;
} poolings[] = {{"pooling_mode_cls_token", "cls", OB_WANT_CLS},
                {"pooling_mode_max_tokens", "max", OB_WANT_MAX},
                {"pooling_mode_mean_tokens", "mean", OB_WANT_MEAN},
                {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", OB_WANT_MEAN_SQRT_LEN},
                {"pooling_mode_weightedmean_tokens", "weightedmean", OB_WANT_WEIGHTED_MEAN},
                {"pooling_mode_lasttoken", "lasttoken", OB_WANT_LAST_TOKEN}};
#define POOLING_COUNT (sizeof poolings / sizeof *poolings)

const char *ob_sentence_pooling_name(unsigned pooling)
{
    for (size_t i = 0; i < POOLING_COUNT; i++)
        if (poolings[i].want == pooling)
            return poolings[i].word;
    return "?";
}

static unsigned find_word(const char *word)
{
    for (size_t i = 0; word != NULL && i < POOLING_COUNT; i++)
        if (strcmp(poolings[i].word, word) == 0)
            return poolings[i].want;
    return 0;
}

static unsigned find_key(const char *key)
{
    for (size_t i = 0; i < POOLING_COUNT; i++)
        if (strcmp(poolings[i].key, key) == 0)
            return poolings[i].want;
    return 0;
}

/* "pooling_mode": "mean", or a list of such words. 0 for anything else. */
static unsigned read_mode(const json_t *mode)
{
    unsigned want = 0;
    if (json_is_string(mode))
        return find_word(json_string_value(mode));
    for (size_t i = 0; i < json_array_size(mode); i++) {
        unsigned one = find_word(json_string_value(json_array_get(mode, i)));
        if (one == 0)
            return 0;
        want |= one;
    }
    return want;
}

static ob_status read_flags(json_t *root, const char *module, unsigned *want, ob_error *err)
{
    static const char prefix[] = "pooling_mode_";
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        if (strncmp(key, prefix, sizeof prefix - 1) != 0)
            continue;
        unsigned one = find_key(key);
        if (!json_is_boolean(value))
            return ob_error_set(err, OB_ERR_MODEL, "%s/config.json: %.60s: true or false is expected", module, key);
        if (json_is_true(value) && one == 0)
            return ob_error_set(err, OB_ERR_UNSUPPORTED, "%s/config.json: %.60s: a pooling that oberta does not have",
                                module, key);
        *want |= json_is_true(value) ? one : 0;
    }
    return OB_OK;
}

static ob_status read_pooling(const char *folder, const char *module, ob_sentence *out, ob_error *err)
{
    char *path = ob_path_join(folder, module);
    json_t *root = path != NULL ? read_json(path, "config.json", JSON_OBJECT, err) : NULL;
    ob_free(path);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for '%s'", module);
    if (root == NULL)
        return ob_error_status(err);
    const json_t *mode = json_object_get(root, "pooling_mode"),
                 *width = json_object_get(root, "word_embedding_dimension");
    unsigned modes = mode != NULL ? read_mode(mode) : 0;
    ob_status status = read_flags(root, module, &out->poolings, err);
    out->poolings |= modes;
    if (status == OB_OK && mode != NULL && modes == 0)
        status = ob_error_set(err, OB_ERR_UNSUPPORTED,
                              "%s/config.json: pooling_mode: none of cls, max, mean, mean_sqrt_len_tokens, "
                              "weightedmean, lasttoken",
                              module);
    else if (status == OB_OK && out->poolings == 0)
        status = ob_error_set(err, OB_ERR_MODEL, "%s/config.json: no pooling_mode is true", module);
    if (status == OB_OK && width != NULL && (json_integer_value(width) < 1 || json_integer_value(width) > MAX_LENGTH))
        status = ob_error_set(err, OB_ERR_MODEL, "%s/config.json: word_embedding_dimension: not a width", module);
    if (status == OB_OK)
        out->width = (size_t)json_integer_value(width);
    json_decref(root);
    return status;
}

static ob_status read_transformer(const char *folder, ob_sentence *out, ob_error *err)
{
    static const char name[] = "sentence_bert_config.json";
    char *path = ob_path_join(folder, out->transformer);
    json_t *root = path != NULL && file_is_there(path, name) ? read_json(path, name, JSON_OBJECT, err) : json_object();
    ob_free(path);
    if (root == NULL)
        return ob_error_status(err);
    const json_t *length = json_object_get(root, "max_seq_length"), *lower = json_object_get(root, "do_lower_case");
    ob_status status = OB_OK;
    if (json_is_true(lower))
        status = ob_error_set(err, OB_ERR_UNSUPPORTED, "%s: do_lower_case: true; oberta does not lower texts", name);
    else if (length != NULL && !json_is_null(length) &&
             (json_integer_value(length) < 3 || json_integer_value(length) > MAX_LENGTH))
        status = ob_error_set(err, OB_ERR_MODEL, "%s: max_seq_length: not a number of tokens", name);
    else
        out->max_seq_length = (size_t)json_integer_value(length);
    json_decref(root);
    return status;
}

/* The last word of "sentence_transformers.models.Pooling". */
static const char *class_name(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot != NULL ? dot + 1 : type;
}

/* Transformer, Pooling, and at most one Normalize, in this order: the sentence embeddings that RoBERTa folders have. */
static ob_status read_module(const char *folder, size_t index, const json_t *module, ob_sentence *out, ob_error *err)
{
    static const char *const order[] = {"Transformer", "Pooling", "Normalize"};
    const char *type = json_string_value(json_object_get(module, "type"));
    const char *path = json_string_value(json_object_get(module, "path"));
    if (type == NULL || path == NULL || !is_plain(path))
        return ob_error_set(err, OB_ERR_MODEL, MODULES_FILE "[%zu]: type and path, the name of a folder, are expected",
                            index);
    if (index >= sizeof order / sizeof *order || strcmp(class_name(type), order[index]) != 0)
        return ob_error_set(err, OB_ERR_UNSUPPORTED,
                            MODULES_FILE "[%zu]: '%.80s': oberta has Transformer, Pooling and Normalize, in this order",
                            index, class_name(type));
    if (index == 0) {
        snprintf(out->transformer, sizeof out->transformer, "%s", path);
        return read_transformer(folder, out, err);
    }
    if (index == 1)
        return read_pooling(folder, path, out, err);
    out->normalize = true;
    return OB_OK;
}

ob_status ob_sentence_load(const char *folder, ob_sentence *out, ob_error *err)
{
    *out = (ob_sentence){.found = file_is_there(folder, MODULES_FILE)};
    if (!out->found)
        return OB_OK;
    json_t *root = read_json(folder, MODULES_FILE, JSON_ARRAY, err);
    if (root == NULL)
        return ob_error_status(err);
    size_t count = json_array_size(root);
    ob_status status = OB_OK;
    if (count < 2 || count > MAX_MODULES)
        status = ob_error_set(err, OB_ERR_MODEL, MODULES_FILE ": %zu modules, where Transformer and Pooling are needed",
                              count);
    for (size_t i = 0; i < count && status == OB_OK; i++)
        status = read_module(folder, i, json_array_get(root, i), out, err);
    json_decref(root);
    return status;
}

ob_status ob_model_folder_find(const char *folder, char **out, ob_error *err)
{
    ob_sentence sentence = {.found = false};
    bool flat = file_is_there(folder, "config.json");
    if (!flat && ob_sentence_load(folder, &sentence, err) != OB_OK) {
        if (sentence.transformer[0] == '\0') {
            ob_error_prefix(err, "%s", folder);
            return ob_error_status(err);
        }
        ob_error_clear(err); /* what is wrong behind the encoder matters to embeddings alone */
    }
    *out = sentence.transformer[0] != '\0' ? ob_path_join(folder, sentence.transformer) : ob_strdup(folder);
    return *out != NULL ? OB_OK : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for '%s'", folder);
}
