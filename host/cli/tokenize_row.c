/* Encodes the texts of a row, pads them, writes them as JSON. */
#include "tokenize_row.h"

#include <oberta/memory.h>
#include <oberta/writer.h>
#include <string.h>

#define MAX_PADDED ((size_t)1 << 25) /* tokens of a row, padding included */

void tokenize_batch_release(tokenize_batch *batch)
{
    for (size_t i = 0; i < batch->capacity; i++)
        ob_encoding_list_release(&batch->lists[i]);
    ob_free(batch->lists);
    *batch = (tokenize_batch){NULL, 0, 0};
}

/* The first window of a text alone. */
static ob_status encode_one(ob_encoding_list *list, const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache,
                            const char *text, size_t bytes, const char *pair, size_t pair_bytes,
                            const tokenize_options *options, ob_error *err)
{
    if (list->capacity == 0) {
        if (!ob_array_reserve((void **)&list->windows, &list->capacity, 1, sizeof *list->windows))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a text");
        memset(list->windows, 0, list->capacity * sizeof *list->windows);
    }
    list->count = 1;
    return ob_tokenizer_encode(tokenizer, cache, text, bytes, pair, pair_bytes, &options->encode, &list->windows[0],
                               err);
}

ob_status tokenize_batch_add(tokenize_batch *batch, const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache,
                             const char *text, size_t bytes, const char *pair, size_t pair_bytes,
                             const tokenize_options *options, ob_error *err)
{
    size_t had = batch->capacity;
    if (!ob_array_reserve((void **)&batch->lists, &batch->capacity, batch->count + 1, sizeof *batch->lists))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu texts", batch->count + 1);
    memset(batch->lists + had, 0, (batch->capacity - had) * sizeof *batch->lists);
    ob_encoding_list *list = &batch->lists[batch->count++];
    if (options->windows)
        return ob_tokenizer_encode_windows(tokenizer, cache, text, bytes, pair, pair_bytes, &options->encode, list,
                                           err);
    return encode_one(list, tokenizer, cache, text, bytes, pair, pair_bytes, options, err);
}

/* The length to which all windows are padded; 0 for none. */
static ob_status padded_length(const tokenize_batch *batch, const tokenize_options *options, size_t *out, ob_error *err)
{
    size_t length = options->padding == PADDING_MAX_LENGTH ? options->pad_length : 0, windows = 0;
    *out = 0;
    if (options->padding == PADDING_NONE)
        return OB_OK;
    for (size_t i = 0; i < batch->count; i++) {
        size_t count = batch->lists[i].windows[0].count;
        if (options->padding == PADDING_LONGEST && count > length)
            length = count;
        windows += batch->lists[i].count;
    }
    if (options->pad_multiple > 0 && !ob_size_align(length, options->pad_multiple, &length))
        length = SIZE_MAX;
    if (windows > 0 && length > MAX_PADDED / windows)
        return ob_error_set(err, OB_ERR_INPUT, "%zu texts padded to %zu tokens are more than %zu tokens", windows,
                            length, MAX_PADDED);
    *out = length;
    return OB_OK;
}

/* One window and the padding before and after it. */
typedef struct padded {
    const ob_tokenizer *tokenizer;
    const ob_encoding *encoding;
    size_t before, length;
} padded;

static bool is_padding(const padded *p, size_t i)
{
    return i < p->before || i - p->before >= p->encoding->count;
}

static int32_t id_at(const padded *p, size_t i)
{
    return is_padding(p, i) ? ob_tokenizer_special_id(p->tokenizer, OB_TOKEN_PAD) : p->encoding->ids[i - p->before];
}

static void append_id(ob_strbuf *out, const padded *p, size_t i)
{
    ob_strbuf_printf(out, "%d", (int)id_at(p, i));
}

static void append_token(ob_strbuf *out, const padded *p, size_t i)
{
    const char *token = ob_tokenizer_token(p->tokenizer, id_at(p, i));
    if (token == NULL) /* a post_processor may give ids that the vocabulary lacks */
        ob_strbuf_puts(out, "null");
    else
        ob_json_append_string(out, token, strlen(token));
}

static void append_offset(ob_strbuf *out, const padded *p, size_t i)
{
    const size_t none[2] = {0, 0}, *range = is_padding(p, i) ? none : p->encoding->offsets[i - p->before];
    ob_strbuf_printf(out, "[%zu,%zu]", range[0], range[1]);
}

static void append_attention(ob_strbuf *out, const padded *p, size_t i)
{
    ob_strbuf_putc(out, is_padding(p, i) ? '0' : '1');
}

static void append_special(ob_strbuf *out, const padded *p, size_t i)
{
    ob_strbuf_putc(out, is_padding(p, i) || p->encoding->special_tokens_mask[i - p->before] ? '1' : '0');
}

static void append_index(ob_strbuf *out, int32_t index)
{
    if (index < 0)
        ob_strbuf_puts(out, "null");
    else
        ob_strbuf_printf(out, "%d", (int)index);
}

static void append_word(ob_strbuf *out, const padded *p, size_t i)
{
    append_index(out, is_padding(p, i) ? -1 : p->encoding->word_ids[i - p->before]);
}

static void append_sequence(ob_strbuf *out, const padded *p, size_t i)
{
    append_index(out, is_padding(p, i) ? -1 : p->encoding->sequence_ids[i - p->before]);
}

static void append_list(ob_strbuf *out, const char *name, const padded *p,
                        void (*append)(ob_strbuf *, const padded *, size_t))
{
    ob_strbuf_printf(out, "\"%s\":[", name);
    for (size_t i = 0; i < p->length; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        append(out, p, i);
    }
    ob_strbuf_putc(out, ']');
}

/* The members of a window's object. */
static void append_members(ob_strbuf *out, const padded *p, bool has_pair)
{
    static const struct {
        const char *name;
        void (*append)(ob_strbuf *, const padded *, size_t);
    } members[] = {{"input_ids", append_id},
                   {"tokens", append_token},
                   {"offsets", append_offset},
                   {"attention_mask", append_attention},
                   {"special_tokens_mask", append_special},
                   {"word_ids", append_word},
                   {"sequence_ids", append_sequence}};
    size_t count = sizeof members / sizeof *members - (has_pair ? 0 : 1);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        append_list(out, members[i].name, p, members[i].append);
    }
}

/* The object of a text: its first window, and "overflow" where the others are asked for. */
static void append_text(ob_strbuf *out, const ob_encoding_list *list, const ob_tokenizer *tokenizer,
                        const tokenize_options *options, size_t length, bool has_pair)
{
    for (size_t i = 0; i < list->count; i++) {
        const ob_encoding *e = &list->windows[i];
        size_t padding = length > e->count ? length - e->count : 0;
        padded p = {tokenizer, e, options->pad_left ? padding : 0, e->count + padding};
        ob_strbuf_puts(out, i < 2 ? "{" : ",{");
        append_members(out, &p, has_pair);
        if (i == 0 && options->windows)
            ob_strbuf_puts(out, ",\"overflow\":[");
        else
            ob_strbuf_putc(out, '}');
    }
    if (options->windows)
        ob_strbuf_puts(out, "]}");
}

ob_status tokenize_batch_append(const tokenize_batch *batch, const ob_tokenizer *tokenizer,
                                const tokenize_options *options, bool as_list, bool has_pair, ob_strbuf *out,
                                ob_error *err)
{
    size_t length;
    if (padded_length(batch, options, &length, err) != OB_OK)
        return ob_error_status(err);
    if (as_list)
        ob_strbuf_puts(out, "{\"batch\":[");
    for (size_t i = 0; i < batch->count; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        append_text(out, &batch->lists[i], tokenizer, options, length, has_pair);
    }
    if (as_list)
        ob_strbuf_puts(out, "]}");
    return out->failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row's output") : OB_OK;
}
