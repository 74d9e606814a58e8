/* Text to tokens: added tokens, pieces, BPE, truncation, special tokens around it. */
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

/* `details` arrays are only kept when they were asked for. Offsets are bytes until finish_offsets. */
static bool reserve(ob_encoding *out, size_t needed, bool details)
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

static bool append(encoder *e, int32_t id, size_t begin, size_t end)
{
    ob_encoding *out = e->out;
    if (!reserve(out, out->count + 1, e->options->details))
        return false;
    out->ids[out->count] = id;
    if (e->options->details) {
        out->offsets[out->count][0] = begin;
        out->offsets[out->count][1] = end;
        out->special_tokens_mask[out->count] = 0;
        out->word_ids[out->count] = e->word;
        out->sequence_ids[out->count] = e->sequence;
    }
    out->count++;
    return true;
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
    if (!ob__bpe_encode(&e->tokenizer->vocab, &e->tokenizer->merges, e->cache, piece, bytes, &tokens, &count))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t from = at, to = at + tokens[i].bytes;
        if (prefix) { /* the inserted byte lies on the first character */
            from = from == 0 ? 0 : from - 1;
            to = to == 1 ? first_char : to - 1;
        }
        if (!append(e, tokens[i].id, begin + from, begin + to))
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
    if (e->tokenizer->add_prefix_space && begin < end && e->text[begin] != ' ') {
        size_t next = first_prefixed_piece(e, begin, end);
        if (e->prefixed.failed || !encode_piece(e, begin, next, true))
            return false;
        begin = next;
    }
    while (begin < end) {
        size_t next = ob__pretokenize_next(e->text, begin, end);
        if (!encode_piece(e, begin, next, false))
            return false;
        begin = next;
    }
    return true;
}

/* First the tokens that are not normalized split the text, then, in what is left, those that are. */
static bool encode_pass(encoder *e, size_t begin, size_t end, bool normalized)
{
    ob__added_match match;
    while (begin < end && ob__added_token_find(e->tokenizer, e->text, begin, end, e->bytes, normalized,
                                               e->options->split_special_tokens, &match)) {
        if (!(normalized ? encode_segment(e, begin, match.begin) : encode_pass(e, begin, match.begin, true)) ||
            !append(e, match.token->id, match.begin, match.end))
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

/* Spaces at the ends of the token's own string: U+0120, or white space in an added token's slice. */
static void trim_offset(encoder *e, size_t i)
{
    const ob_encoding *out = e->out;
    const ob__token *token = &e->tokenizer->vocab.tokens[out->ids[i]];
    size_t lead = 0, trail = 0, length = 0;
    static const char space[] = "\xC4\xA0"; /* U+0120 */
    while (length + 2 <= token->bytes && memcmp(token->text + length, space, 2) == 0) {
        lead++;
        length += 2;
    }
    length = token->bytes;
    while (length >= 2 && memcmp(token->text + length - 2, space, 2) == 0) {
        trail++;
        length -= 2;
    }
    size_t begin = out->offsets[i][0], end = out->offsets[i][1];
    if (lead == 1 && e->tokenizer->add_prefix_space && (i == e->first_token || begin == 0))
        lead = 0;
    if (lead > 0)
        begin = begin + lead < end ? begin + lead : end;
    if (trail > 0 && end >= trail)
        end = end - trail > begin ? end - trail : begin;
    out->offsets[i][0] = begin;
    out->offsets[i][1] = end;
}

static bool is_added(const ob_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id)
            return true;
    return false;
}

/* An added token's slice takes white space with it, which trimming gives back, but for a single leading one where an
 * inserted space is expected. Byte offsets, before they become code points. */
static void trim_added(encoder *e, size_t i)
{
    size_t *range = e->out->offsets[i], begin = range[0], bytes, lead = 0;
    while (begin < range[1] && ob__char_is_space(ob_utf8_decode(e->text + begin, &bytes))) {
        begin += bytes;
        lead++;
    }
    if (!(lead == 1 && e->tokenizer->add_prefix_space && (i == e->first_token || range[0] == 0)))
        range[0] = begin;
    while (range[1] > range[0]) {
        size_t last = range[1] - 1;
        while (((unsigned char)e->text[last] & 0xC0) == 0x80)
            last--;
        if (!ob__char_is_space(ob_utf8_decode(e->text + last, &bytes)))
            break;
        range[1] = last;
    }
}

static void finish_offsets(encoder *e)
{
    bool trim = e->tokenizer->trim_offsets;
    for (size_t i = e->first_token; trim && i < e->out->count; i++)
        if (is_added(e->tokenizer, e->out->ids[i]))
            trim_added(e, i);
    count_code_points(e);
    for (size_t i = e->first_token; trim && i < e->out->count; i++)
        trim_offset(e, i);
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
        finish_offsets(e);
    return OB_OK;
}

static void move_tokens(ob_encoding *out, bool details, size_t to, size_t from, size_t count)
{
    memmove(out->ids + to, out->ids + from, count * sizeof *out->ids);
    if (!details)
        return;
    memmove(out->offsets + to, out->offsets + from, count * sizeof *out->offsets);
    memmove(out->special_tokens_mask + to, out->special_tokens_mask + from, count * sizeof *out->special_tokens_mask);
    memmove(out->word_ids + to, out->word_ids + from, count * sizeof *out->word_ids);
    memmove(out->sequence_ids + to, out->sequence_ids + from, count * sizeof *out->sequence_ids);
}

static void set_added(ob_encoding *out, bool details, size_t at, int32_t id)
{
    out->ids[at] = id;
    if (!details)
        return;
    out->offsets[at][0] = out->offsets[at][1] = 0;
    out->special_tokens_mask[at] = 1;
    out->word_ids[at] = -1;
    out->sequence_ids[at] = -1;
}

/* Cuts both sequences and puts the special tokens around them: <s> A </s>, and </s> B </s> after it. */
static ob_status finish(const ob_tokenizer *t, ob_encoding *out, size_t first, bool has_pair,
                        const ob_encode_options *options, ob_error *err)
{
    size_t second = out->count - first, keep_first, keep_second;
    size_t added = options->add_special_tokens ? (has_pair ? 4 : 2) : 0;
    if (ob__truncate_lengths(first, second, has_pair, options, added, &keep_first, &keep_second, err) != OB_OK)
        return ob_error_status(err);
    bool details = options->details;
    if (!reserve(out, out->count + added + 1, details))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tokens", out->count);
    size_t first_from = options->truncate_left ? first - keep_first : 0;
    size_t second_from = first + (options->truncate_left ? second - keep_second : 0);
    size_t lead = options->add_special_tokens ? 1 : 0, middle = options->add_special_tokens && has_pair ? 2 : 0;
    /* The second moves right before the first could be overwritten, or left after it: do the one that is safe first. */
    size_t second_to = lead + keep_first + middle;
    if (second_to >= second_from) {
        move_tokens(out, details, second_to, second_from, keep_second);
        move_tokens(out, details, lead, first_from, keep_first);
    } else {
        move_tokens(out, details, lead, first_from, keep_first);
        move_tokens(out, details, second_to, second_from, keep_second);
    }
    out->count = keep_first + keep_second + added;
    if (options->add_special_tokens) {
        int32_t bos = t->special_ids[OB_TOKEN_BOS], eos = t->special_ids[OB_TOKEN_EOS];
        set_added(out, details, 0, bos);
        set_added(out, details, lead + keep_first, eos);
        if (has_pair) {
            set_added(out, details, lead + keep_first + 1, eos);
            set_added(out, details, out->count - 1, eos);
        }
    }
    return OB_OK;
}

ob_status ob_tokenizer_encode(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                              const char *pair, size_t pair_bytes, const ob_encode_options *options, ob_encoding *out,
                              ob_error *err)
{
    ob_tokenizer_cache *own = NULL;
    if (cache == NULL && (cache = own = ob_tokenizer_cache_create()) == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to encode %zu bytes", bytes);
    encoder e = {.tokenizer = tokenizer, .cache = cache, .options = options, .out = out, .prefixed = OB_STRBUF_INIT};
    out->count = 0;
    ob_status status = encode_sequence(&e, text, bytes, 0, err);
    size_t first = out->count;
    if (status == OB_OK && pair != NULL)
        status = encode_sequence(&e, pair, pair_bytes, 1, err);
    if (status == OB_OK)
        status = finish(tokenizer, out, first, pair != NULL, options, err);
    ob_strbuf_release(&e.prefixed);
    ob_tokenizer_cache_destroy(own);
    return status;
}
