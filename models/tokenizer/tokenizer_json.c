/* tokenizer.json: the model, and what the library of tokenizers saves beside it. */
#include "tokenizer_internal.h"

#include <string.h>

/* An affix that other kinds of BPE mark words with. */
static void refuse_affix(const json_t *model, const char *key, ob__notes *notes)
{
    const char *text = ob__json_text(model, key, notes);
    if (text != NULL && text[0] != '\0')
        ob__note(notes, OB_ERR_UNSUPPORTED, "%s: '%.60s'; a byte-level BPE has none", key, text);
}

static void check_dropout(const json_t *model, ob__notes *notes)
{
    const json_t *dropout = json_object_get(model, "dropout");
    if (dropout != NULL && !json_is_null(dropout) && !(json_is_number(dropout) && json_number_value(dropout) == 0))
        ob__note(notes, OB_ERR_UNSUPPORTED, "dropout: it makes tokens random, as in training; 0 or null is expected");
}

static void check_kind(const json_t *model, ob__notes *notes)
{
    const json_t *type = json_object_get(model, "type");
    if (!json_is_object(model))
        ob__note(notes, OB_ERR_MODEL, "an object is expected");
    else if (type != NULL && (!json_is_string(type) || strcmp(json_string_value(type), "BPE") != 0))
        ob__note(notes, OB_ERR_UNSUPPORTED, "type: '%.60s' is not a byte-level BPE",
                 json_is_string(type) ? json_string_value(type) : "?");
    else if (!json_is_array(json_object_get(model, "merges")))
        ob__note(notes, OB_ERR_MODEL, "merges: a list is expected, as a BPE has it");
}

static ob_status read_tables(ob_tokenizer *t, const json_t *model, ob__notes *notes)
{
    notes->file = "tokenizer.json: model.vocab";
    ob_status status = ob__vocab_read(json_object_get(model, "vocab"), &t->bpe.vocab, notes);
    notes->file = "tokenizer.json";
    if (status == OB_OK && notes->count == 0)
        status = ob__merges_read(json_object_get(model, "merges"), &t->bpe.vocab, &t->bpe.merges, notes);
    return status;
}

/* After the vocabulary. */
static void read_unknown(ob_tokenizer *t, const json_t *model, ob__notes *notes)
{
    const char *unk = ob__json_text(model, "unk_token", notes);
    t->bpe.fuse_unk = ob__json_flag(model, "fuse_unk", false, notes);
    if (unk == NULL)
        return;
    t->bpe.unk_id = ob__vocab_find(&t->bpe.vocab, unk, strlen(unk));
    for (int byte = 0; byte < 256 && t->bpe.unk_id < 0; byte++)
        if (t->bpe.vocab.byte_ids[byte] < 0) {
            ob__note(notes, OB_ERR_MODEL, "unk_token: '%.60s' is not in the vocabulary, which lacks bytes", unk);
            return;
        }
}

ob_status ob__tokenizer_read_json(ob_tokenizer *t, const json_t *root, ob_error *err)
{
    ob__notes notes = {.file = "tokenizer.json", .err = err};
    const json_t *model = json_object_get(root, "model");
    ob_error_clear(err);
    const char *version = ob__json_text(root, "version", &notes);
    if (version != NULL && strcmp(version, "1.0") != 0)
        ob__note(&notes, OB_ERR_UNSUPPORTED, "version: '%.60s' is not 1.0", version);
    notes.file = "tokenizer.json: model";
    check_kind(model, &notes);
    check_dropout(model, &notes);
    refuse_affix(model, "continuing_subword_prefix", &notes);
    refuse_affix(model, "end_of_word_suffix", &notes);
    if (ob__json_flag(model, "byte_fallback", false, &notes))
        ob__note(&notes, OB_ERR_UNSUPPORTED, "byte_fallback: a byte-level BPE has all bytes already");
    t->bpe.ignore_merges = ob__json_flag(model, "ignore_merges", false, &notes);
    notes.file = "tokenizer.json";
    ob__tokenizer_read_pipeline(t, root, &notes);
    ob_status status = notes.count == 0 ? read_tables(t, model, &notes) : OB_OK;
    notes.file = "tokenizer.json: model";
    if (status == OB_OK && notes.count == 0)
        read_unknown(t, model, &notes);
    return status == OB_OK ? ob__notes_end(&notes) : status;
}
