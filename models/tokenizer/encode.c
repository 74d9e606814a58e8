/* Text to tokens: added tokens, pieces, BPE. What is cut and put around them: windows.c. */
#include "pretokenize.h"
#include "tokenizer_internal.h"
#include "unicode.h"

#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <string.h>

void ob_encode_options_default(ob_encode_options *options)
{
    *options = (ob_encode_options){.add_special_tokens = true, .truncation = OB_TRUNCATION_NONE};
}

void ob_encoding_release(ob_encoding *e)
{
    ob_free(e->ids);
    ob_free(e->offsets);
    ob_free(e->special_tokens_mask);
    ob_free(e->word_ids);
    ob_free(e->sequence_ids);
    *e = (ob_encoding)OB_ENCODING_INIT;
}

/* One sequence being encoded; tokens go straight into the encoding. */
typedef struct encoder {
    const ob_tokenizer *tokenizer;
    ob_tokenizer_cache *cache;
    const ob_encode_options *options;
    const char *text;
    size_t bytes;
    int8_t sequence;
    int32_t word;
    size_t first_token; /* of this sequence, in out */
    ob_encoding *out;
    ob_strbuf prefixed; /* a piece with the inserted space before it */
} encoder;

bool ob__encoding_reserve(ob_encoding *out, size_t needed, bool details)
{
    size_t capacity = out->capacity;
    if (needed > capacity || (details && out->offsets == NULL)) {
        if (!ob_array_reserve((void **)&out->ids, &capacity, needed, sizeof *out->ids))
            return false;
        if (capacity == 0)
            return false;
        if (details || out->offsets != NULL) {
            void *offsets = ob_realloc_array(out->offsets, capacity, sizeof *out->offsets);
            out->offsets = offsets != NULL ? offsets : out->offsets;
            void *mask = ob_realloc_array(out->special_tokens_mask, capacity, sizeof *out->special_tokens_mask);
            out->special_tokens_mask = mask != NULL ? mask : out->special_tokens_mask;
            void *words = ob_realloc_array(out->word_ids, capacity, sizeof *out->word_ids);
            out->word_ids = words != NULL ? words : out->word_ids;
            void *sequences = ob_realloc_array(out->sequence_ids, capacity, sizeof *out->sequence_ids);
            out->sequence_ids = sequences != NULL ? sequences : out->sequence_ids;
            if (offsets == NULL || mask == NULL || words == NULL || sequences == NULL)
                return false;
        }
        out->capacity = capacity;
    }
    return true;
}

static bool is_blank(const char *text, size_t *bytes)
{
    uint32_t c = ob_utf8_decode(text, bytes);
    return c == 0x120 || ob_utf8_is_space(c);
}

/* U+0120 and white space at both ends of a token's own string. */
static ob__trim count_blanks(const char *text, size_t length)
{
    ob__trim trim = {0, 0};
    size_t bytes;
    for (size_t at = 0; at < length && is_blank(text + at, &bytes) && trim.lead < UINT32_MAX; at += bytes)
        trim.lead++;
    for (size_t end = length; end > 0 && trim.trail < UINT32_MAX; trim.trail++) {
        do
            end--;
        while (((unsigned char)text[end] & 0xC0) == 0x80);
        if (!is_blank(text + end, &bytes))
            break;
    }
    return trim;
}

/* `string` is what the token is called in trimming: the vocabulary's string, or an added token's slice of the text. */
static bool append(encoder *e, int32_t id, size_t begin, size_t end, const char *string, size_t length)
{
    ob_encoding *out = e->out;
    if (!ob__encoding_reserve(out, out->count + 1, e->options->details))
        return false;
    out->ids[out->count] = id;
    if (e->options->details) {
        ob_tokenizer_cache *cache = e->cache;
        if (!ob_array_reserve((void **)&cache->trims, &cache->trim_capacity, out->count + 1, sizeof *cache->trims))
            return false;
        cache->trims[out->count] = count_blanks(string, length);
        out->offsets[out->count][0] = begin;
        out->offsets[out->count][1] = end;
        out->special_tokens_mask[out->count] = 0;
        out->word_ids[out->count] = e->word;
        out->sequence_ids[out->count] = e->sequence;
    }
    out->count++;
    return true;
}

/* A byte of a piece, and where its mapped character begins in the mapped piece. */
typedef struct mapped_place {
    size_t byte, mapped;
} mapped_place;

/* The piece's byte whose mapped character holds byte `mapped` of the mapped piece; asked in ascending order. */
static size_t byte_at(mapped_place *place, const char *piece, size_t bytes, size_t mapped)
{
    while (place->byte + 1 < bytes) {
        size_t length = ob__byte_to_char((unsigned char)piece[place->byte]) < 0x80 ? 1 : 2;
        if (place->mapped + length > mapped)
            break;
        place->mapped += length;
        place->byte++;
    }
    return place->byte;
}

/* The tokens of text[begin, end); with `prefix` U+0020 stands before it, aligned to its first character. */
static bool encode_piece(encoder *e, size_t begin, size_t end, bool prefix)
{
    const char *piece = e->text + begin;
    size_t bytes = end - begin, count, first_char = 0;
    const ob__bpe_token *tokens;
    if (prefix) {
        ob_strbuf_clear(&e->prefixed);
        ob_strbuf_putc(&e->prefixed, ' ');
        ob_strbuf_append(&e->prefixed, piece, bytes);
        if (e->prefixed.failed)
            return false;
        piece = e->prefixed.data;
        bytes++;
        ob_utf8_decode(e->text + begin, &first_char);
    }
    if (!ob__bpe_encode(&e->tokenizer->bpe, e->cache, piece, bytes, &tokens, &count))
        return false;
    size_t at = 0;
    mapped_place place = {0, 0};
    for (size_t i = 0; i < count; i++) {
        size_t from = at, to = at + tokens[i].bytes;
        if (!e->tokenizer->bpe.complete) {
            from = byte_at(&place, piece, bytes, at);
            to = byte_at(&place, piece, bytes, at + tokens[i].bytes - 1) + 1;
        }
        if (prefix) { /* the inserted byte lies on the first character */
            from = from == 0 ? 0 : from - 1;
            to = to == 1 ? first_char : to - 1;
        }
        const ob__token *token = &e->tokenizer->bpe.vocab.tokens[tokens[i].id];
        if (!append(e, tokens[i].id, begin + from, begin + to, token->text, token->bytes))
            return false;
        at += tokens[i].bytes;
    }
    e->word++;
    return true;
}

/* The end of the first piece of text[begin, end) with U+0020 before it, which makes a contraction a plain apostrophe,
 * and joins white space to a run. 0: no memory. */
static size_t first_prefixed_piece(encoder *e, size_t begin, size_t end)
{
    ob_strbuf_clear(&e->prefixed);
    ob_strbuf_putc(&e->prefixed, ' ');
    ob_strbuf_append(&e->prefixed, e->text + begin, end - begin);
    return e->prefixed.failed ? 0 : begin + ob__pretokenize_next(e->prefixed.data, 0, e->prefixed.length) - 1;
}

/* Text between added tokens. */
static bool encode_segment(encoder *e, size_t begin, size_t end)
{
    bool whole = !e->tokenizer->use_regex;
    if (e->tokenizer->add_prefix_space && begin < end && e->text[begin] != ' ') {
        size_t next = whole ? end : first_prefixed_piece(e, begin, end);
        if (e->prefixed.failed || !encode_piece(e, begin, next, true))
            return false;
        begin = next;
    }
    while (begin < end) {
        size_t next = whole ? end : ob__pretokenize_next(e->text, begin, end);
        if (!encode_piece(e, begin, next, false))
            return false;
        begin = next;
    }
    return true;
}

/* First the tokens that are not normalized split the text, then, in what is left, those that are. */
static bool encode_pass(encoder *e, size_t begin, size_t end, bool normalized)
{
    ob__added_search search = {e->text, begin, end, normalized, e->options->split_special_tokens};
    ob__added_match match;
    while (begin < end && ob__added_token_find(e->tokenizer, &search, begin, &match)) {
        if (!(normalized ? encode_segment(e, begin, match.begin) : encode_pass(e, begin, match.begin, true)) ||
            !append(e, match.token->id, match.begin, match.end, e->text + match.begin, match.end - match.begin))
            return false;
        e->word++;
        begin = match.end;
    }
    return normalized ? encode_segment(e, begin, end) : encode_pass(e, begin, end, true);
}

/* Offsets from bytes to code points: tokens come in order, so one walk over the text serves all. */
static void count_code_points(encoder *e)
{
    ob_encoding *out = e->out;
    size_t byte = 0, points = 0;
    for (size_t i = e->first_token; i < out->count; i++) {
        size_t begin = out->offsets[i][0], end = out->offsets[i][1];
        if (begin < byte) { /* a token that begins inside the character in which the one before ended */
            while (byte > begin) {
                byte--;
                points -= ((unsigned char)e->text[byte] & 0xC0) != 0x80;
            }
        }
        for (; byte < begin; byte++)
            points += ((unsigned char)e->text[byte] & 0xC0) != 0x80;
        /* `points` characters begin before `begin`; one that is cut there counts as the token's own. */
        bool cut = begin < e->bytes && ((unsigned char)e->text[begin] & 0xC0) == 0x80;
        out->offsets[i][0] = points - (cut ? 1 : 0);
        for (; byte < end; byte++)
            points += ((unsigned char)e->text[byte] & 0xC0) != 0x80;
        out->offsets[i][1] = points;
    }
}

static ob_status encode_sequence(encoder *e, const char *text, size_t bytes, int8_t sequence, ob_error *err)
{
    size_t invalid = ob_utf8_invalid_at(text, bytes);
    if (invalid < bytes)
        return ob_error_set(err, OB_ERR_INPUT, "%sinvalid UTF-8 at byte %zu", sequence == 1 ? "second text: " : "",
                            invalid);
    e->text = text;
    e->bytes = bytes;
    e->sequence = sequence;
    e->word = 0;
    e->first_token = e->out->count;
    if (!encode_pass(e, 0, bytes, false))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to encode %zu bytes", bytes);
    if (e->options->details)
        count_code_points(e);
    return OB_OK;
}

ob_status ob__encode_texts(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                           const char *pair, size_t pair_bytes, const ob_encode_options *options, ob_encoding *out,
                           size_t *first_count, ob_error *err)
{
    encoder e = {.tokenizer = tokenizer, .cache = cache, .options = options, .out = out, .prefixed = OB_STRBUF_INIT};
    out->count = 0;
    ob_status status = encode_sequence(&e, text, bytes, 0, err);
    *first_count = out->count;
    if (status == OB_OK && pair != NULL)
        status = encode_sequence(&e, pair, pair_bytes, 1, err);
    ob_strbuf_release(&e.prefixed);
    return status;
}
