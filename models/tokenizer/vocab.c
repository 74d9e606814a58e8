/* vocab.json: an object of tokens and ids. */
#include "vocab.h"

#include <oberta/hash.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <string.h>

uint32_t ob__byte_to_char(unsigned char byte)
{
    if ((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE)
        return byte;
    /* The other 68, in ascending order, follow U+0100. */
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xAD ? 0x143 : 0x121u + (byte - 0x7F);
}

int ob__char_to_byte(uint32_t c)
{
    if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF))
        return (int)c;
    if (c >= 0x100 && c <= 0x120)
        return (int)(c - 0x100);
    if (c >= 0x121 && c <= 0x142)
        return (int)(c - 0x121 + 0x7F);
    return c == 0x143 ? 0xAD : -1;
}

static size_t first_slot(const ob__vocab *vocab, const char *text, size_t bytes)
{
    return (size_t)ob_hash_bytes(text, bytes).low & (vocab->slot_count - 1);
}

int32_t ob__vocab_find(const ob__vocab *vocab, const char *text, size_t bytes)
{
    if (vocab->slot_count == 0)
        return -1;
    for (size_t at = first_slot(vocab, text, bytes); vocab->slots[at] != 0; at = (at + 1) & (vocab->slot_count - 1)) {
        const ob__token *token = &vocab->tokens[vocab->slots[at] - 1];
        if (token->bytes == bytes && memcmp(token->text, text, bytes) == 0)
            return (int32_t)(vocab->slots[at] - 1);
    }
    return -1;
}

static void insert_slot(ob__vocab *vocab, int32_t id)
{
    const ob__token *token = &vocab->tokens[id];
    size_t at = first_slot(vocab, token->text, token->bytes);
    while (vocab->slots[at] != 0)
        at = (at + 1) & (vocab->slot_count - 1);
    vocab->slots[at] = (uint32_t)id + 1;
}

/* Keeps the table at most half full. */
static bool reserve_slots(ob__vocab *vocab, size_t tokens)
{
    size_t count = 1024;
    while (count < 2 * tokens)
        count *= 2;
    if (count <= vocab->slot_count)
        return true;
    uint32_t *slots = ob_calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    ob_free(vocab->slots);
    vocab->slots = slots;
    vocab->slot_count = count;
    for (size_t id = 0; id < vocab->id_count; id++)
        if (vocab->tokens[id].text != NULL)
            insert_slot(vocab, (int32_t)id);
    return true;
}

static bool reserve_ids(ob__vocab *vocab, size_t count)
{
    if (count <= vocab->id_count)
        return true;
    size_t grown_count = vocab->id_count * 2 > count ? vocab->id_count * 2 : count;
    ob__token *grown = ob_realloc_array(vocab->tokens, grown_count, sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + vocab->id_count, 0, (grown_count - vocab->id_count) * sizeof *grown);
    vocab->tokens = grown;
    vocab->id_count = grown_count;
    return true;
}

static void set_byte_ids(ob__vocab *vocab)
{
    for (int byte = 0; byte < 256; byte++) {
        char symbol[4];
        size_t bytes = ob_utf8_encode(ob__byte_to_char((unsigned char)byte), symbol);
        vocab->byte_ids[byte] = ob__vocab_find(vocab, symbol, bytes);
    }
}

ob_status ob__vocab_add(ob__vocab *vocab, const char *text, size_t bytes, int32_t id, ob_error *err)
{
    char *copy = ob_strndup(text, bytes);
    if (copy == NULL || !reserve_ids(vocab, (size_t)id + 1) || !reserve_slots(vocab, vocab->token_count + 1)) {
        ob_free(copy);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a vocabulary of %zu tokens",
                            vocab->token_count + 1);
    }
    vocab->tokens[id] = (ob__token){copy, bytes, 0, false};
    vocab->token_count++;
    insert_slot(vocab, id);
    return OB_OK;
}

/* One entry; a defect is noted. */
static ob_status add_entry(ob__vocab *vocab, const char *key, const json_t *value, ob__notes *notes)
{
    json_int_t id = json_integer_value(value);
    const char *rule = NULL;
    if (!json_is_integer(value))
        rule = "its id is not an integer";
    else if (id < 0 || id >= OB__MAX_TOKEN_ID)
        rule = "its id is not between 0 and 16,777,215";
    else if (strlen(key) > OB__MAX_TOKEN_BYTES)
        rule = "it is longer than 65,535 bytes";
    else if ((size_t)id < vocab->id_count && vocab->tokens[id].text != NULL)
        rule = "another token has the same id";
    if (rule == NULL)
        return ob__vocab_add(vocab, key, strlen(key), (int32_t)id, notes->err);
    ob__note(notes, OB_ERR_MODEL, "token '%.60s': %s", key, rule);
    return OB_OK;
}

ob_status ob__vocab_read(const json_t *object, ob__vocab *out, ob__notes *notes)
{
    ob__vocab vocab = {0};
    size_t count = json_object_size(object), had = notes->count;
    ob_status status = OB_OK;
    if (!json_is_object(object) || count == 0)
        ob__note(notes, OB_ERR_MODEL, "not an object of tokens and ids");
    else if (!reserve_ids(&vocab, count) || !reserve_slots(&vocab, count))
        status = ob_error_set(notes->err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for %zu tokens", notes->file, count);
    const char *key;
    json_t *value;
    if (status == OB_OK)
        json_object_foreach((json_t *)(uintptr_t)object, key,
                            value) if ((status = add_entry(&vocab, key, value, notes)) != OB_OK) break;
    if (status != OB_OK || notes->count > had) {
        ob__vocab_release(&vocab);
        return status;
    }
    set_byte_ids(&vocab);
    *out = vocab;
    return OB_OK;
}

ob_status ob__vocab_parse(const char *text, size_t bytes, const char *name, ob__vocab *out, ob_error *err)
{
    json_error_t json_err;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &json_err);
    if (root == NULL)
        return ob_error_set(err, OB_ERR_MODEL, "%s:%d:%d: %s", name, json_err.line, json_err.column, json_err.text);
    ob__notes notes = {.file = name, .err = err};
    ob_error_clear(err);
    ob_status status = ob__vocab_read(root, out, &notes);
    json_decref(root);
    return status == OB_OK ? ob__notes_end(&notes) : status;
}

void ob__vocab_release(ob__vocab *vocab)
{
    for (size_t i = 0; i < vocab->id_count; i++)
        ob_free(vocab->tokens[i].text);
    ob_free(vocab->tokens);
    ob_free(vocab->slots);
    *vocab = (ob__vocab){0};
}
