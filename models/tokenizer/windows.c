/* Cuts encoded texts into windows and puts the special tokens around them: <s> A </s>, <s> A </s></s> B </s>. */
#include "tokenizer_internal.h"

#include <oberta/memory.h>
#include <string.h>

#define MAX_WINDOW_TOKENS ((size_t)1 << 25) /* of all windows of a text */

/* A text and its pair, encoded: tokens [0, first) and [first, first + second) of `whole`. */
typedef struct encoded {
    const ob_tokenizer *tokenizer;
    const ob_encode_options *options;
    const ob_encoding *whole;
    const ob__trim *trims;
    size_t first, second, added;
    bool has_pair;
} encoded;

/* Takes blanks from the ends of a token's range. A single leading one may stay at a sequence's start, where it may be
 * an inserted one. */
static void trim_offset(const ob_tokenizer *t, ob__trim trim, bool is_first, size_t range[2])
{
    size_t begin = range[0], end = range[1], lead = trim.lead;
    if (lead == 1 && t->layout.keeps_inserted_space && (is_first || begin == 0))
        lead = 0;
    if (lead > 0)
        begin = begin + lead < end ? begin + lead : end;
    if (trim.trail > 0 && end >= trim.trail)
        end = end - trim.trail > begin ? end - trim.trail : begin;
    range[0] = begin;
    range[1] = end;
}

/* Tokens [from, from + count) of the whole to `to`; the window may be the whole itself. */
static void move_tokens(const encoded *x, ob_encoding *out, size_t to, size_t from, size_t count)
{
    const ob_encoding *in = x->whole;
    if (count == 0) /* an empty text has no arrays */
        return;
    memmove(out->ids + to, in->ids + from, count * sizeof *out->ids);
    if (!x->options->details)
        return;
    memmove(out->offsets + to, in->offsets + from, count * sizeof *out->offsets);
    memmove(out->special_tokens_mask + to, in->special_tokens_mask + from, count * sizeof *out->special_tokens_mask);
    memmove(out->word_ids + to, in->word_ids + from, count * sizeof *out->word_ids);
    memmove(out->sequence_ids + to, in->sequence_ids + from, count * sizeof *out->sequence_ids);
    for (size_t i = 0; x->tokenizer->layout.trim_offsets && i < count; i++)
        trim_offset(x->tokenizer, x->trims[from + i], i == 0, out->offsets[to + i]);
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

/* `a` of the first and `b` of the second sequence as a window; `out` may be the whole. */
static ob_status put_window(const encoded *x, ob__range a, ob__range b, ob_encoding *out, ob_error *err)
{
    bool details = x->options->details;
    size_t count_a = a.end - a.begin, count_b = b.end - b.begin, count = count_a + count_b + x->added;
    size_t room = x->whole == out && out->count > count ? out->count : count;
    if (!ob__encoding_reserve(out, room + 1, details))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tokens", room);
    size_t lead = x->added > 0 ? 1 : 0, middle = x->added > 2 ? 2 : 0;
    size_t from_b = x->first + b.begin, to_b = lead + count_a + middle;
    /* Within one array the second sequence moves right before the first could be overwritten, or left after it. */
    if (to_b >= from_b) {
        move_tokens(x, out, to_b, from_b, count_b);
        move_tokens(x, out, lead, a.begin, count_a);
    } else {
        move_tokens(x, out, lead, a.begin, count_a);
        move_tokens(x, out, to_b, from_b, count_b);
    }
    out->count = count;
    if (x->added > 0) {
        int32_t sep = x->tokenizer->layout.sep;
        set_added(out, details, 0, x->tokenizer->layout.cls);
        for (size_t i = 1; i < middle; i++)
            set_added(out, details, lead + count_a + i, sep);
        set_added(out, details, lead + count_a, sep);
        set_added(out, details, count - 1, sep);
    }
    return OB_OK;
}

/* Encodes into `whole` and says what stays in a window. */
static ob_status encode_whole(encoded *x, ob_tokenizer_cache *cache, const char *text, size_t bytes, const char *pair,
                              size_t pair_bytes, ob_encoding *whole, size_t *keep_first, size_t *keep_second,
                              ob_error *err)
{
    if (ob__encode_texts(x->tokenizer, cache, text, bytes, pair, pair_bytes, x->options, whole, &x->first, err) !=
        OB_OK)
        return ob_error_status(err);
    x->whole = whole;
    x->trims = cache->trims;
    x->second = whole->count - x->first;
    x->has_pair = pair != NULL;
    x->added = x->options->add_special_tokens && x->tokenizer->layout.special_tokens ? (x->has_pair ? 4 : 2) : 0;
    size_t around = x->tokenizer->layout.special_tokens ? 2 : 0;
    return ob__truncate_lengths(x->first, x->second, x->has_pair, x->options, x->added, around, keep_first, keep_second,
                                err);
}

ob_status ob_tokenizer_encode(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                              const char *pair, size_t pair_bytes, const ob_encode_options *options, ob_encoding *out,
                              ob_error *err)
{
    ob_tokenizer_cache *own = NULL;
    if (cache == NULL && (cache = own = ob_tokenizer_cache_create()) == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to encode %zu bytes", bytes);
    encoded x = {.tokenizer = tokenizer, .options = options};
    size_t keep_first, keep_second;
    ob_status status = encode_whole(&x, cache, text, bytes, pair, pair_bytes, out, &keep_first, &keep_second, err);
    if (status == OB_OK)
        status =
            put_window(&x, ob__window_range(x.first, keep_first, options->stride, options->truncate_left, 0),
                       ob__window_range(x.second, keep_second, options->stride, options->truncate_left, 0), out, err);
    ob_tokenizer_cache_destroy(own);
    return status;
}

/* Appends one window; the list's own are reused. */
static ob_status add_window(const encoded *x, ob__range a, ob__range b, ob_encoding_list *out, ob_error *err)
{
    size_t had = out->capacity;
    if (!ob_array_reserve((void **)&out->windows, &out->capacity, out->count + 1, sizeof *out->windows))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu windows", out->count + 1);
    for (size_t i = had; i < out->capacity; i++)
        out->windows[i] = (ob_encoding)OB_ENCODING_INIT;
    return put_window(x, a, b, &out->windows[out->count++], err);
}

/* How both sequences are cut. */
typedef struct cut {
    size_t keep_a, keep_b, count_a, count_b;
} cut;

/* Window i of the first sequence with windows [j, end) of the second. */
static ob_status add_row(const encoded *x, const cut *c, size_t i, size_t j, size_t end, ob_encoding_list *out,
                         ob_error *err)
{
    size_t stride = x->options->stride;
    bool left = x->options->truncate_left;
    ob__range a = ob__window_range(x->first, c->keep_a, stride, left, i);
    for (; j < end; j++)
        if (add_window(x, a, ob__window_range(x->second, c->keep_b, stride, left, j), out, err) != OB_OK)
            return ob_error_status(err);
    return OB_OK;
}

/* The window of both beginnings, the further ones of the first sequence, each with all of the second, and then the
 * further ones of the second: the reference's order. */
static ob_status add_windows(const encoded *x, size_t keep_first, size_t keep_second, ob_encoding_list *out,
                             ob_error *err)
{
    size_t stride = x->options->stride, tokens;
    cut c = {keep_first, keep_second, ob__window_count(x->first, keep_first, stride),
             ob__window_count(x->second, keep_second, stride)};
    size_t longest = (keep_first > 0 ? keep_first : x->first) + (keep_second > 0 ? keep_second : x->second) + x->added;
    if (!ob_size_mul(c.count_a, c.count_b, &tokens) || !ob_size_mul(tokens, longest, &tokens) ||
        (c.count_a * c.count_b > 1 && tokens > MAX_WINDOW_TOKENS))
        return ob_error_set(err, OB_ERR_INPUT,
                            "%zu x %zu windows of %zu tokens, at a stride of %zu, are more than %zu tokens in all",
                            c.count_a, c.count_b, longest, stride, MAX_WINDOW_TOKENS);
    ob_status status = add_row(x, &c, 0, 0, 1, out, err);
    for (size_t i = 1; status == OB_OK && i < c.count_a; i++)
        status = add_row(x, &c, i, 0, c.count_b, out, err);
    return status == OB_OK ? add_row(x, &c, 0, 1, c.count_b, out, err) : status;
}

ob_status ob_tokenizer_encode_windows(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text,
                                      size_t bytes, const char *pair, size_t pair_bytes,
                                      const ob_encode_options *options, ob_encoding_list *out, ob_error *err)
{
    ob_tokenizer_cache *own = NULL;
    out->count = 0;
    if (cache == NULL && (cache = own = ob_tokenizer_cache_create()) == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to encode %zu bytes", bytes);
    encoded x = {.tokenizer = tokenizer, .options = options};
    size_t keep_first, keep_second;
    ob_status status =
        encode_whole(&x, cache, text, bytes, pair, pair_bytes, &cache->whole, &keep_first, &keep_second, err);
    if (status == OB_OK)
        status = add_windows(&x, keep_first, keep_second, out, err);
    ob_tokenizer_cache_destroy(own);
    return status;
}

void ob_encoding_list_release(ob_encoding_list *list)
{
    for (size_t i = 0; i < list->capacity; i++)
        ob_encoding_release(&list->windows[i]);
    ob_free(list->windows);
    *list = (ob_encoding_list){0};
}
