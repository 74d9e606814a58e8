/* Ids to text: the tokens' bytes in a row, and U+FFFD for what is no UTF-8. */
#include "tokenizer_internal.h"

#include <oberta/utf8.h>
#include <string.h>

void ob_tokenizer_token_to_bytes(const char *token, size_t bytes, ob_strbuf *out)
{
    size_t start = out->length;
    for (size_t at = 0, length; at < bytes; at += length) {
        int byte = ob__char_to_byte(ob_utf8_decode(token + at, &length));
        if (byte < 0) {
            if (!out->failed)
                out->length = start;
            ob_strbuf_append(out, token, bytes);
            return;
        }
        ob_strbuf_putc(out, (char)byte);
    }
}

/* Bytes of the longest beginning of a well-formed sequence at text[0..bytes), at least 1: what one U+FFFD replaces. */
static size_t maximal_subpart(const unsigned char *text, size_t bytes)
{
    unsigned char lead = text[0];
    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    size_t at = 1;
    for (; at < length && at < bytes; at++) {
        if (text[at] < low || text[at] > high)
            break;
        low = 0x80;
        high = 0xBF;
    }
    return at;
}

void ob_tokenizer_bytes_to_text(const char *bytes, size_t count, ob_strbuf *out)
{
    for (size_t at = 0; at < count;) {
        size_t valid = ob_utf8_invalid_at(bytes + at, count - at);
        ob_strbuf_append(out, bytes + at, valid);
        at += valid;
        if (at < count) {
            ob_strbuf_puts(out, "\xEF\xBF\xBD");
            at += maximal_subpart((const unsigned char *)bytes + at, count - at);
        }
    }
}

/* " ." -> "." and the like, in the reference's order, each over the whole text. In place: texts only get shorter. */
static void clean_up(char *text, size_t *length)
{
    static const char *const patterns[][2] = {{" .", "."},     {" ?", "?"},     {" !", "!"},   {" ,", ","},
                                              {" ' ", "'"},    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
                                              {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t from_length = strlen(patterns[i][0]), to_length = strlen(patterns[i][1]), write = 0;
        for (size_t read = 0; read < *length;) {
            if (*length - read >= from_length && memcmp(text + read, patterns[i][0], from_length) == 0) {
                memcpy(text + write, patterns[i][1], to_length);
                write += to_length;
                read += from_length;
            } else {
                text[write++] = text[read++];
            }
        }
        *length = write;
    }
}

ob_status ob_tokenizer_decode(const ob_tokenizer *t, const int32_t *ids, size_t count, bool skip_special_tokens,
                              bool clean_up_spaces, ob_strbuf *out, ob_error *err)
{
    ob_strbuf raw = OB_STRBUF_INIT;
    for (size_t i = 0; i < count; i++)
        if (ob_tokenizer_token(t, ids[i]) != NULL && !(skip_special_tokens && ob_tokenizer_is_special(t, ids[i])))
            ob_tokenizer_token_to_bytes(t->bpe.vocab.tokens[ids[i]].text, t->bpe.vocab.tokens[ids[i]].bytes, &raw);
    size_t start = out->length;
    ob_tokenizer_bytes_to_text(raw.data, raw.length, out);
    bool failed = raw.failed || out->failed;
    ob_strbuf_release(&raw);
    if (failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to decode %zu tokens", count);
    if (clean_up_spaces && out->length > start) {
        size_t length = out->length - start;
        clean_up(out->data + start, &length);
        out->length = start + length;
        out->data[out->length] = '\0';
    }
    return OB_OK;
}
