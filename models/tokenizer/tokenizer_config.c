/* What stands beside vocab.json: special tokens, added tokens, flags. All files are optional. */
#include "tokenizer_internal.h"

#include <jansson.h>
#include <oberta/file.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JSON_BYTES   ((size_t)16 << 20)
#define MAX_ADDED_TOKENS 4096

static const struct {
    const char *key;
    ob_special_token which;
    const char *content;
} special_keys[] = {{"bos_token", OB_TOKEN_BOS, "<s>"},
                    {"pad_token", OB_TOKEN_PAD, "<pad>"},
                    {"eos_token", OB_TOKEN_EOS, "</s>"},
                    {"unk_token", OB_TOKEN_UNK, "<unk>"},
                    {"mask_token", OB_TOKEN_MASK, "<mask>"}};

/* *out NULL where the file does not exist. Integers come as reals: transformers writes 10^30 for "no limit", which no
 * integer holds. */
static ob_status load_json(const char *folder, const char *name, json_t **out, ob_error *err)
{
    *out = NULL;
    char *path = ob_path_join(folder, name);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the tokenizer");
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status = OB_OK;
    if (ob_file_exists(path)) {
        json_error_t json_err;
        status = ob_file_read(path, MAX_JSON_BYTES, &text, err);
        if (status == OB_OK && (*out = json_loadb(ob_strbuf_text(&text), text.length,
                                                  JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &json_err)) == NULL)
            status =
                ob_error_set(err, OB_ERR_MODEL, "%s:%d:%d: %s", name, json_err.line, json_err.column, json_err.text);
        else if (status == OB_OK && !json_is_object(*out))
            status = ob_error_set(err, OB_ERR_MODEL, "%s: not an object", name);
    }
    if (status != OB_OK) {
        json_decref(*out);
        *out = NULL;
    }
    ob_strbuf_release(&text);
    ob_free(path);
    return status;
}

/* Adds or replaces the token of this content. id -1: the vocabulary's, else the next free one. */
static ob_status add_token(ob_tokenizer *t, const char *content, json_int_t id, ob__added_token flags, ob_error *err)
{
    size_t bytes = strlen(content);
    if (bytes == 0 || bytes > OB__MAX_TOKEN_BYTES)
        return ob_error_set(err, OB_ERR_MODEL, "an added token of %zu bytes", bytes);
    int32_t known = ob__vocab_find(&t->vocab, content, bytes);
    if (known < 0) {
        int32_t next = ob_tokenizer_max_id(t) + 1;
        if (id >= 0 && id != next)
            ob_log(OB_LOG_WARN, "tokenizer", "added token '%s': its id %lld is not the next free one; it gets %d",
                   content, (long long)id, (int)next);
        if (ob__vocab_add(&t->vocab, content, bytes, next, err) != OB_OK)
            return ob_error_status(err);
        known = next;
    }
    size_t at = 0;
    while (at < t->added_count && t->added[at].id != known)
        at++;
    if (at == t->added_count) {
        if (at >= MAX_ADDED_TOKENS)
            return ob_error_set(err, OB_ERR_MODEL, "more than %d added tokens", MAX_ADDED_TOKENS);
        if (!ob_array_reserve((void **)&t->added, &t->added_capacity, at + 1, sizeof *t->added))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for added tokens");
        t->added[at].content = ob_strdup(content);
        if (t->added[at].content == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for added tokens");
        t->added_count++;
    }
    flags.content = t->added[at].content;
    flags.bytes = bytes;
    flags.id = known;
    t->added[at] = flags;
    t->first_bytes[(unsigned char)content[0]] = true;
    return OB_OK;
}

static bool flag(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

static ob__added_token read_flags(const json_t *object, ob__added_token fallback)
{
    return (ob__added_token){.single_word = flag(object, "single_word", fallback.single_word),
                             .lstrip = flag(object, "lstrip", fallback.lstrip),
                             .rstrip = flag(object, "rstrip", fallback.rstrip),
                             .normalized = flag(object, "normalized", fallback.normalized),
                             .special = flag(object, "special", fallback.special)};
}

/* A token as a string, or as an object with its flags. NULL: neither. */
static const char *token_content(const json_t *value)
{
    return json_is_object(value) ? json_string_value(json_object_get(value, "content")) : json_string_value(value);
}

/* A mask that is given as plain text takes the white space before it; so trained models saw it. */
static ob__added_token default_flags(ob_special_token which)
{
    bool mask = which == OB_TOKEN_MASK;
    return (ob__added_token){.lstrip = mask, .normalized = !mask, .special = true};
}

static ob_status read_special(ob_tokenizer *t, size_t i, const json_t *config, const json_t *map, bool decoder,
                              ob_error *err)
{
    const json_t *value = json_object_get(config, special_keys[i].key);
    if (token_content(value) == NULL)
        value = json_object_get(map, special_keys[i].key);
    const char *content = token_content(value);
    if (content == NULL)
        content = special_keys[i].content;
    ob__added_token flags = default_flags(special_keys[i].which);
    if (json_is_object(value))
        flags = read_flags(value, flags);
    flags.special = true;
    int32_t id = ob__vocab_find(&t->vocab, content, strlen(content));
    bool known = false;
    for (size_t at = 0; at < t->added_count; at++)
        known |= t->added[at].id == id;
    /* added_tokens_decoder, where there is one, has the last word on flags. */
    if (!(decoder && known) && add_token(t, content, -1, flags, err) != OB_OK)
        return ob_error_status(err);
    t->special_ids[special_keys[i].which] = ob__vocab_find(&t->vocab, content, strlen(content));
    return OB_OK;
}

typedef struct decoder_entry {
    json_int_t id;
    const json_t *value;
} decoder_entry;

static int compare_ids(const void *a, const void *b)
{
    const decoder_entry *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Keys are ids as text; taken in ascending order, so that tokens which the vocabulary lacks get theirs. */
static ob_status read_decoder(ob_tokenizer *t, const json_t *decoder, ob_error *err)
{
    size_t count = 0, size = json_object_size(decoder);
    decoder_entry *entries = size <= MAX_ADDED_TOKENS ? ob_realloc_array(NULL, size, sizeof *entries) : NULL;
    if (entries == NULL)
        return ob_error_set(err, OB_ERR_MODEL, "tokenizer_config.json: added_tokens_decoder: %zu tokens", size);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)decoder, key, value) entries[count++] =
        (decoder_entry){strtoll(key, NULL, 10), value};
    qsort(entries, count, sizeof *entries, compare_ids);
    ob_status status = OB_OK;
    for (size_t i = 0; i < count && status == OB_OK; i++) {
        const char *content = token_content(entries[i].value);
        status = content == NULL
                     ? ob_error_set(err, OB_ERR_MODEL, "tokenizer_config.json: added_tokens_decoder.%lld: no content",
                                    (long long)entries[i].id)
                     : add_token(t, content, entries[i].id,
                                 read_flags(entries[i].value, (ob__added_token){.normalized = true}), err);
    }
    ob_free(entries);
    return status;
}

static ob_status read_lists(ob_tokenizer *t, const json_t *map, const json_t *added, ob_error *err)
{
    size_t i;
    const json_t *value;
    json_array_foreach(json_object_get(map, "additional_special_tokens"), i, value)
    {
        const char *content = token_content(value);
        ob__added_token flags = {.normalized = true, .special = true};
        if (content != NULL &&
            add_token(t, content, -1, json_is_object(value) ? read_flags(value, flags) : flags, err) != OB_OK)
            return ob_error_status(err);
    }
    const char *content;
    json_t *id;
    json_object_foreach((json_t *)(uintptr_t)added, content,
                        id) if (add_token(t, content, (json_int_t)json_number_value(id),
                                          (ob__added_token){.normalized = true},
                                          err) != OB_OK) return ob_error_status(err);
    return OB_OK;
}

static ob_status read_flags_of_config(ob_tokenizer *t, const json_t *config, ob_error *err)
{
    static const char *const classes[] = {"RobertaTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer",
                                          "GPT2TokenizerFast"};
    const char *class = json_string_value(json_object_get(config, "tokenizer_class"));
    bool known = class == NULL;
    for (size_t i = 0; i < sizeof classes / sizeof *classes && !known; i++)
        known = strcmp(class, classes[i]) == 0;
    if (!known)
        return ob_error_set(err, OB_ERR_UNSUPPORTED,
                            "tokenizer_config.json: tokenizer_class: '%s' is not a byte-level "
                            "BPE as RobertaTokenizer is",
                            class);
    if (flag(config, "do_lower_case", false))
        return ob_error_set(err, OB_ERR_UNSUPPORTED, "tokenizer_config.json: do_lower_case: true is not available");
    t->add_prefix_space = flag(config, "add_prefix_space", false);
    t->trim_offsets = flag(config, "trim_offsets", true);
    const json_t *limit = json_object_get(config, "model_max_length");
    if (limit == NULL)
        limit = json_object_get(config, "max_len");
    double value = json_number_value(limit);
    t->model_max_length = value >= 1 && value < 1e9 ? (size_t)value : 0; /* 1e30 stands for none */
    return OB_OK;
}

ob_status ob__tokenizer_read_config(ob_tokenizer *t, const char *folder, ob_error *err)
{
    json_t *config = NULL, *map = NULL, *added = NULL;
    ob_status status;
    if ((status = load_json(folder, "tokenizer_config.json", &config, err)) != OB_OK ||
        (status = load_json(folder, "special_tokens_map.json", &map, err)) != OB_OK ||
        (status = load_json(folder, "added_tokens.json", &added, err)) != OB_OK ||
        (status = read_flags_of_config(t, config, err)) != OB_OK)
        goto done;
    const json_t *decoder = json_object_get(config, "added_tokens_decoder");
    if (decoder != NULL)
        status = read_decoder(t, decoder, err);
    for (size_t i = 0; status == OB_OK && i < sizeof special_keys / sizeof *special_keys; i++)
        status = read_special(t, i, config, map, decoder != NULL, err);
    if (status == OB_OK && decoder == NULL)
        status = read_lists(t, map, added, err);
done:
    json_decref(config);
    json_decref(map);
    json_decref(added);
    return status;
}
