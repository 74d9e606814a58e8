/* Opens a tokenizer's files, and answers questions about single tokens. */
#include "tokenizer_internal.h"

#include <oberta/file.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <string.h>

#define MAX_VOCAB_BYTES  ((size_t)256 << 20)
#define MAX_MERGES_BYTES ((size_t)256 << 20)

static ob_status read_text(const char *folder, const char *name, size_t limit, ob_strbuf *out, ob_error *err)
{
    char *path = ob_path_join(folder, name);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the tokenizer");
    ob_status status = OB_OK;
    if (!ob_file_exists(path)) {
        char *other = ob_path_join(folder, "tokenizer.json");
        bool has_other = other != NULL && ob_file_exists(other);
        status = ob_error_set(err, OB_ERR_MODEL, "%s is missing%s", name,
                              has_other ? "; the folder has a tokenizer.json, which this version does not read" : "");
        ob_free(other);
    } else {
        status = ob_file_read(path, limit, out, err);
    }
    ob_free(path);
    if (status == OB_OK) {
        size_t invalid = ob_utf8_invalid_at(ob_strbuf_text(out), out->length);
        if (invalid < out->length)
            status = ob_error_set(err, OB_ERR_MODEL, "%s: invalid UTF-8 at byte %zu", name, invalid);
    }
    return status;
}

static void warn_of_missing_bytes(const ob_tokenizer *t)
{
    int missing = 0;
    for (int i = 0; i < 256; i++)
        missing += t->vocab.byte_ids[i] < 0;
    if (missing > 0)
        ob_log(OB_LOG_WARN, "tokenizer",
               "vocab.json lacks the symbols of %d of the 256 bytes; they are dropped from texts", missing);
}

ob_status ob_tokenizer_open(const char *folder, ob_tokenizer **out, ob_error *err)
{
    ob_strbuf vocab = OB_STRBUF_INIT, merges = OB_STRBUF_INIT;
    ob_tokenizer *t = ob_calloc(1, sizeof *t);
    ob_status status;
    if (t == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the tokenizer");
    } else if ((status = read_text(folder, "vocab.json", MAX_VOCAB_BYTES, &vocab, err)) == OB_OK &&
               (status = read_text(folder, "merges.txt", MAX_MERGES_BYTES, &merges, err)) == OB_OK &&
               (status = ob__vocab_parse(vocab.data, vocab.length, "vocab.json", &t->vocab, err)) == OB_OK &&
               (status = ob__merges_parse(ob_strbuf_text(&merges), merges.length, "merges.txt", &t->vocab, &t->merges,
                                          err)) == OB_OK &&
               (status = ob__tokenizer_read_config(t, folder, err)) == OB_OK) {
        warn_of_missing_bytes(t);
        *out = t;
    }
    ob_strbuf_release(&vocab);
    ob_strbuf_release(&merges);
    if (status != OB_OK)
        ob_tokenizer_close(t);
    return status;
}

void ob_tokenizer_close(ob_tokenizer *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->added_count; i++)
        ob_free(t->added[i].content);
    ob_free(t->added);
    ob__merges_release(&t->merges);
    ob__vocab_release(&t->vocab);
    ob_free(t);
}

const char *ob_tokenizer_token(const ob_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.id_count ? t->vocab.tokens[id].text : NULL;
}

int32_t ob_tokenizer_id(const ob_tokenizer *t, const char *token)
{
    return ob__vocab_find(&t->vocab, token, strlen(token));
}

bool ob_tokenizer_is_special(const ob_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id)
            return t->added[i].special;
    return false;
}

int32_t ob_tokenizer_special_id(const ob_tokenizer *t, ob_special_token which)
{
    return t->special_ids[which];
}

size_t ob_tokenizer_vocab_size(const ob_tokenizer *t)
{
    return t->vocab.token_count;
}

int32_t ob_tokenizer_max_id(const ob_tokenizer *t)
{
    size_t id = t->vocab.id_count;
    while (id > 0 && t->vocab.tokens[id - 1].text == NULL)
        id--;
    return (int32_t)id - 1;
}

size_t ob_tokenizer_model_max_length(const ob_tokenizer *t)
{
    return t->model_max_length;
}
