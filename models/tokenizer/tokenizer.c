/* Opens a tokenizer's files, and answers questions about single tokens. */
#include "tokenizer_internal.h"

#include <oberta/file.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <string.h>

#define MAX_VOCAB_BYTES ((size_t)256 << 20)
#define MAX_JSON_BYTES  ((size_t)16 << 20)

/* A file that other tokenizers have, for who wonders what is missing. */
static const char *foreign_file(const char *folder)
{
    static const char *const names[][2] = {
        {"bpe.codes", "; bpe.codes belongs to a BertweetTokenizer, which is not supported"},
        {"sentencepiece.bpe.model", "; sentencepiece.bpe.model is a SentencePiece tokenizer, which is not supported"},
        {"spiece.model", "; spiece.model is a SentencePiece tokenizer, which is not supported"},
        {"vocab.txt", "; vocab.txt belongs to a WordPiece tokenizer (BertTokenizer), which is not supported"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = ob_path_join(folder, names[i][0]);
        bool exists = path != NULL && ob_file_exists(path);
        ob_free(path);
        if (exists)
            return names[i][1];
    }
    return "";
}

static ob_status read_text(const char *folder, const char *name, ob_strbuf *out, ob_error *err)
{
    char *path = ob_path_join(folder, name);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the tokenizer");
    ob_status status = OB_OK;
    if (!ob_file_exists(path))
        status = ob_error_set(err, OB_ERR_MODEL, "%s is missing, and there is no tokenizer.json%s", name,
                              foreign_file(folder));
    else if ((status = ob_file_check_downloaded(path, err)) == OB_OK)
        status = ob_file_read(path, MAX_VOCAB_BYTES, out, err);
    ob_free(path);
    if (status == OB_OK) {
        size_t invalid = ob_utf8_invalid_at(ob_strbuf_text(out), out->length);
        if (invalid < out->length)
            status = ob_error_set(err, OB_ERR_MODEL, "%s: invalid UTF-8 at byte %zu", name, invalid);
    }
    return status;
}

/* Files are independent of each other: what is wrong with the second one is said with what is wrong with the first. */
static ob_status add_defect(ob_status before, const ob_error *defect, ob_error *err)
{
    return before == OB_OK ? ob_error_set(err, defect->status, "%s", defect->text)
                           : ob_error_add(err, defect->status, "%s", defect->text);
}

static ob_status read_vocab_merges(ob_tokenizer *t, const char *folder, ob_error *err)
{
    ob_strbuf vocab = OB_STRBUF_INIT, merges = OB_STRBUF_INIT;
    ob_error second;
    ob_error_clear(&second);
    ob_status status = read_text(folder, "vocab.json", &vocab, err);
    if (read_text(folder, "merges.txt", &merges, &second) != OB_OK)
        status = add_defect(status, &second, err);
    if (status == OB_OK)
        status = ob__vocab_parse(ob_strbuf_text(&vocab), vocab.length, "vocab.json", &t->bpe.vocab, err);
    if (status == OB_OK)
        status =
            ob__merges_parse(ob_strbuf_text(&merges), merges.length, "merges.txt", &t->bpe.vocab, &t->bpe.merges, err);
    ob_strbuf_release(&vocab);
    ob_strbuf_release(&merges);
    t->layout.special_tokens = true;
    return status;
}

static bool has_tokenizer_json(const char *folder)
{
    char *path = ob_path_join(folder, "tokenizer.json");
    bool exists = path != NULL && ob_file_exists(path);
    ob_free(path);
    return exists;
}

/* Warns, since the reference does not refuse it either. */
static void count_missing_bytes(ob_tokenizer *t)
{
    int missing = 0;
    for (int i = 0; i < 256; i++)
        missing += t->bpe.vocab.byte_ids[i] < 0;
    t->bpe.complete = missing == 0;
    if (missing > 0)
        ob_log(OB_LOG_WARN, "tokenizer", "the vocabulary lacks the symbols of %d of the 256 bytes; %s", missing,
               t->bpe.unk_id < 0 ? "they are dropped from texts" : "they are unknown tokens");
}

/* What was read of the files becomes the tokenizer. */
static ob_status fill(ob_tokenizer *t, const char *folder, ob__token_files *files, ob_error *err)
{
    ob_status status = ob__tokenizer_read_config(t, files, err);
    if (status == OB_OK)
        status = files->root != NULL ? ob__tokenizer_read_json(t, files->root, err) : read_vocab_merges(t, folder, err);
    if (status == OB_OK)
        status = ob__tokenizer_apply_config(t, files, err);
    if (status != OB_OK)
        return status;
    t->vocab_count = t->bpe.vocab.token_count;
    count_missing_bytes(t);
    status = ob__tokenizer_read_tokens(t, files, err);
    return status == OB_OK ? ob__added_tokens_index(t, err) : status;
}

ob_status ob__tokenizer_build(const char *folder, ob__token_files *files, ob_tokenizer **out, ob_error *err)
{
    ob_tokenizer *t = ob_calloc(1, sizeof *t);
    if (t == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the tokenizer");
    t->use_regex = true;
    t->bpe.unk_id = -1;
    ob_status status = fill(t, folder, files, err);
    if (status == OB_OK)
        *out = t;
    else
        ob_tokenizer_close(t);
    return status;
}

/* No tokenizer comes of the other files, but the defects of vocabulary and merges are told, too. */
static ob_status add_vocab_defects(const char *folder, ob_status status, ob_error *err)
{
    ob_error part;
    ob_error_clear(&part);
    ob_tokenizer *t = ob_calloc(1, sizeof *t);
    if (t != NULL && read_vocab_merges(t, folder, &part) != OB_OK)
        status = add_defect(status, &part, err);
    ob_tokenizer_close(t);
    return status;
}

ob_status ob_tokenizer_open(const char *folder, ob_tokenizer **out, ob_error *err)
{
    json_t *root = NULL, *config = NULL, *map = NULL, *added = NULL;
    const struct {
        const char *name;
        size_t limit;
        bool real;
        json_t **out;
    } parts[] = {{"tokenizer.json", MAX_VOCAB_BYTES, false, &root},
                 {"tokenizer_config.json", MAX_JSON_BYTES, true, &config},
                 {"special_tokens_map.json", MAX_JSON_BYTES, true, &map},
                 {"added_tokens.json", MAX_JSON_BYTES, true, &added}};
    ob_status status = OB_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ob_error part;
        ob_error_clear(&part);
        if (ob__json_load(folder, parts[i].name, parts[i].limit, parts[i].real, parts[i].out, &part) != OB_OK)
            status = add_defect(status, &part, err);
    }
    if (status != OB_OK && !has_tokenizer_json(folder))
        status = add_vocab_defects(folder, status, err);
    ob__token_files files = {.root = root, .config = config, .map = map, .added = added};
    if (status == OB_OK)
        status = ob__tokenizer_build(folder, &files, out, err);
    json_decref(root);
    json_decref(config);
    json_decref(map);
    json_decref(added);
    return status;
}

void ob_tokenizer_close(ob_tokenizer *t)
{
    if (t == NULL)
        return;
    ob_free(t->added);
    ob_free(t->sorted);
    ob__merges_release(&t->bpe.merges);
    ob__vocab_release(&t->bpe.vocab);
    ob_free(t);
}

const char *ob_tokenizer_token(const ob_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->bpe.vocab.id_count ? t->bpe.vocab.tokens[id].text : NULL;
}

int32_t ob_tokenizer_id(const ob_tokenizer *t, const char *token)
{
    return ob__vocab_find(&t->bpe.vocab, token, strlen(token));
}

bool ob_tokenizer_is_special(const ob_tokenizer *t, int32_t id)
{
    const ob__vocab *vocab = &t->bpe.vocab;
    return id >= 0 && (size_t)id < vocab->id_count && vocab->tokens[id].added > 0 &&
           t->added[vocab->tokens[id].added - 1].special;
}

int32_t ob_tokenizer_special_id(const ob_tokenizer *t, ob_special_token which)
{
    return t->special_ids[which];
}

size_t ob_tokenizer_vocab_size(const ob_tokenizer *t)
{
    return t->bpe.vocab.token_count;
}

int32_t ob_tokenizer_max_id(const ob_tokenizer *t)
{
    size_t count = t->bpe.vocab.id_count;
    while (count > 0 && t->bpe.vocab.tokens[count - 1].text == NULL)
        count--;
    int32_t id = (int32_t)count - 1;
    if (t->layout.special_tokens) { /* a post_processor's ids need not be in the vocabulary */
        id = t->layout.cls > id ? t->layout.cls : id;
        id = t->layout.sep > id ? t->layout.sep : id;
    }
    return id;
}

size_t ob_tokenizer_model_max_length(const ob_tokenizer *t)
{
    return t->model_max_length;
}

void ob_tokenizer_options(const ob_tokenizer *t, ob_encode_options *options)
{
    ob_encode_options_default(options);
    options->truncate_left = t->truncate_left;
    options->split_special_tokens = t->split_special_tokens;
}

bool ob_tokenizer_pads_left(const ob_tokenizer *t)
{
    return t->pad_left;
}

bool ob_tokenizer_cleans_up_spaces(const ob_tokenizer *t)
{
    return t->clean_up_spaces;
}
