/* Logits to answers. A window takes O(tokens x max_answer_len); merging is by hash, so that a row may have any number
 * of windows. */
#include "answers.h"

#include "lower_case.h"

#include <math.h>
#include <oberta/hash.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define MASKED_LOGIT (-10000.0)

static ob_status no_memory(ob_error *err)
{
    return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the answers of a row");
}

ob_status ob__answers_init(ob__answers *a, const ob__answer_options *options, const char *context, size_t bytes,
                           ob_error *err)
{
    *a = (ob__answers){.options = options, .null_score = INFINITY};
    return ob__char_index_init(&a->context, context, bytes) ? OB_OK : no_memory(err);
}

void ob__answers_release(ob__answers *a)
{
    ob__char_index_release(&a->context);
    ob_strbuf_release(&a->lowered);
    ob_free(a->probabilities);
    ob_free(a->allowed);
    ob_free(a->spans);
    ob_free(a->found);
    ob_free(a->table);
    ob_free(a->answers);
    *a = (ob__answers){0};
}

/* Softmax over the window of every second logit, with those that are not allowed all but gone. */
static void softmax(const float *logits, const bool *allowed, size_t count, double *out)
{
    double maximum = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = allowed[i] ? (double)logits[2 * i] : MASKED_LOGIT;
        maximum = out[i] > maximum ? out[i] : maximum;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = exp(out[i] - maximum);
        sum += out[i];
    }
    for (size_t i = 0; i < count; i++)
        out[i] /= sum;
}

/* -1 where `a` is the better one: by score, then by place. */
static int compare_spans(const void *x, const void *y)
{
    const ob__span *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static void swap_spans(ob__span *a, ob__span *b)
{
    ob__span old = *a;
    *a = *b;
    *b = old;
}

static void sift_down(ob__span *heap, size_t count)
{
    for (size_t at = 0, child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare_spans(&heap[child + 1], &heap[child]) > 0)
            child++;
        if (compare_spans(&heap[child], &heap[at]) <= 0)
            return;
        swap_spans(&heap[child], &heap[at]);
    }
}

static ob_status offer_span(ob__answers *a, size_t limit, const ob__span *span, ob_error *err)
{
    if (a->span_count == limit) {
        if (compare_spans(span, &a->spans[0]) < 0) {
            a->spans[0] = *span;
            sift_down(a->spans, limit);
        }
        return OB_OK;
    }
    if (!ob_array_reserve((void **)&a->spans, &a->span_capacity, a->span_count + 1, sizeof *a->spans))
        return no_memory(err);
    size_t at = a->span_count++;
    a->spans[at] = *span;
    for (; at > 0 && compare_spans(&a->spans[at], &a->spans[(at - 1) / 2]) > 0; at = (at - 1) / 2)
        swap_spans(&a->spans[at], &a->spans[(at - 1) / 2]);
    return OB_OK;
}

/* How many spans of a window are looked at: some become equal when they are aligned to words. */
static size_t span_limit(const ob__answer_options *o)
{
    if (!o->align_to_words)
        return o->top_k;
    return o->top_k > (SIZE_MAX - 10) / 2 ? SIZE_MAX : o->top_k * 2 + 10;
}

/* The best spans, best first. Token 0 is the answer that there is none, which is no span. */
static ob_status find_spans(ob__answers *a, size_t count, ob_error *err)
{
    const double *start = a->probabilities, *end = a->probabilities + count;
    size_t limit = span_limit(a->options);
    a->span_count = 0;
    for (size_t s = 1; s < count; s++) {
        size_t length = count - s < a->options->max_answer_len ? count - s : a->options->max_answer_len;
        for (size_t e = s; a->allowed[s] && e < s + length; e++) {
            const ob__span span = {start[s] * end[e], s, e};
            /* Not a number, or nothing: no answer. */
            if (a->allowed[e] && span.score > 0 && offer_span(a, limit, &span, err) != OB_OK)
                return ob_error_status(err);
        }
    }
    if (a->span_count > 0)
        qsort(a->spans, a->span_count, sizeof *a->spans, compare_spans);
    return OB_OK;
}

static bool is_of_word(const ob_encoding *encoding, size_t token, int32_t word)
{
    return token < encoding->count && encoding->sequence_ids[token] == 1 && encoding->word_ids[token] == word;
}

/* The context's tokens that are of the word of `token`, first and last; false where there are none. A <s> that is
 * written in the question has a word of the question; the pipeline looks in the context for the word of that number,
 * and so do we. */
static bool find_word(const ob_encoding *encoding, size_t token, size_t *first, size_t *last)
{
    int32_t word = encoding->word_ids[token];
    if (encoding->sequence_ids[token] != 1)
        for (token = 0; token < encoding->count && !is_of_word(encoding, token, word);)
            token++;
    if (word < 0 || token == encoding->count)
        return false;
    *first = *last = token;
    while (*first > 0 && is_of_word(encoding, *first - 1, word))
        --*first;
    while (is_of_word(encoding, *last + 1, word))
        ++*last;
    return true;
}

/* Where the span's text stands in the context. */
static void span_to_text(const ob__answers *a, const ob_encoding *encoding, const ob__span *span,
                         ob__found_answer *answer)
{
    size_t first, last, unused;
    bool aligned = a->options->align_to_words && find_word(encoding, span->start, &first, &unused) &&
                   find_word(encoding, span->end, &unused, &last);
    answer->start = encoding->offsets[aligned ? first : span->start][0];
    answer->end = encoding->offsets[aligned ? last : span->end][1];
    answer->text = ob__char_index_byte(&a->context, answer->start);
    size_t end = ob__char_index_byte(&a->context, answer->end);
    answer->text_bytes = end > answer->text ? end - answer->text : 0;
}

static bool grow_table(ob__answers *a)
{
    size_t size = a->table_size > 0 ? 2 * a->table_size : 64;
    size_t *table = ob_calloc(size, sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        size_t at = (size_t)a->found[i].hash & (size - 1);
        while (table[at] != 0)
            at = (at + 1) & (size - 1);
        table[at] = i + 1;
    }
    ob_free(a->table);
    a->table = table;
    a->table_size = size;
    return true;
}

/* The slot of the answer that is equal but for case, or the empty one where it belongs. */
static size_t find_slot(const ob__answers *a, const ob__found_answer *answer)
{
    size_t at = (size_t)answer->hash & (a->table_size - 1);
    for (; a->table[at] != 0; at = (at + 1) & (a->table_size - 1)) {
        const ob__found_answer *other = &a->found[a->table[at] - 1];
        if (other->hash == answer->hash && other->lowered_bytes == answer->lowered_bytes &&
            memcmp(a->lowered.data + other->lowered, a->lowered.data + answer->lowered, answer->lowered_bytes) == 0)
            break;
    }
    return at;
}

static ob_status add_answer(ob__answers *a, ob__found_answer *answer, ob_error *err)
{
    answer->lowered = a->lowered.length;
    ob_strbuf_puts(&a->lowered, ""); /* so that there is a text, even where all answers are empty */
    ob__append_lower(&a->lowered, a->context.text + answer->text, answer->text_bytes);
    if (a->lowered.failed || (a->count >= a->table_size / 2 && !grow_table(a)))
        return no_memory(err);
    answer->lowered_bytes = a->lowered.length - answer->lowered;
    answer->hash = ob_hash_bytes(ob_strbuf_text(&a->lowered) + answer->lowered, answer->lowered_bytes).low;
    size_t slot = find_slot(a, answer);
    if (a->table[slot] != 0) {
        a->found[a->table[slot] - 1].score += answer->score;
        a->lowered.length = answer->lowered;
        return OB_OK;
    }
    if (!ob_array_reserve((void **)&a->found, &a->capacity, a->count + 1, sizeof *a->found))
        return no_memory(err);
    answer->index = a->count;
    a->found[a->count++] = *answer;
    a->table[slot] = a->count;
    return OB_OK;
}

ob_status ob__answers_add_window(ob__answers *a, const ob_encoding *encoding, const float *logits, ob_error *err)
{
    size_t count = encoding->count;
    if (count == 0)
        return OB_OK;
    if (!ob_array_reserve((void **)&a->probabilities, &a->probability_capacity, count, 2 * sizeof *a->probabilities) ||
        !ob_array_reserve((void **)&a->allowed, &a->allowed_capacity, count, sizeof *a->allowed))
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        a->allowed[i] = encoding->sequence_ids[i] == 1 || encoding->ids[i] == a->options->cls_id;
    double *start = a->probabilities, *end = a->probabilities + count;
    softmax(logits, a->allowed, count, start);
    softmax(logits + 1, a->allowed, count, end);
    if (start[0] * end[0] < a->null_score)
        a->null_score = start[0] * end[0];
    if (find_spans(a, count, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < a->span_count; i++) {
        ob__found_answer answer = {.score = a->spans[i].score};
        span_to_text(a, encoding, &a->spans[i], &answer);
        if (add_answer(a, &answer, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

static int compare_answers(const void *x, const void *y)
{
    const ob__found_answer *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

ob_status ob__answers_finish(ob__answers *a, const ob_answer **out, size_t *count, ob_error *err)
{
    bool impossible = a->options->handle_impossible_answer || a->count == 0;
    if (impossible) {
        if (!ob_array_reserve((void **)&a->found, &a->capacity, a->count + 1, sizeof *a->found))
            return no_memory(err);
        double score = a->options->handle_impossible_answer && isfinite(a->null_score) ? a->null_score : 0;
        a->found[a->count] = (ob__found_answer){.score = score, .index = a->count};
        a->count++;
    }
    qsort(a->found, a->count, sizeof *a->found, compare_answers);
    *count = a->count < a->options->top_k ? a->count : a->options->top_k;
    a->answers = ob_realloc_array(NULL, *count, sizeof *a->answers);
    if (a->answers == NULL)
        return no_memory(err);
    for (size_t i = 0; i < *count; i++) {
        const ob__found_answer *f = &a->found[i];
        a->answers[i] = (ob_answer){.score = (float)f->score,
                                    .start = f->start,
                                    .end = f->end,
                                    .answer = a->context.text + f->text,
                                    .answer_bytes = f->text_bytes};
    }
    *out = a->answers;
    return OB_OK;
}
