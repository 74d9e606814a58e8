/* What question-answering makes of start and end logits: the rules of the transformers pipeline. Internal to host.
 *
 * Windows of question and context are added one by one; equal answers are merged. Pure: no device, no file. */
#ifndef OBERTA_TASKS_ANSWERS_H
#define OBERTA_TASKS_ANSWERS_H

#include "char_index.h"

#include <oberta/strbuf.h>
#include <oberta/tokenizer.h>
#include <oberta/writer.h>

typedef struct ob__answer_options {
    size_t top_k, max_answer_len; /* at least 1; the length in tokens */
    bool handle_impossible_answer, align_to_words;
    int32_t cls_id; /* <s>; such tokens take part in the softmax wherever they stand */
} ob__answer_options;

/* Tokens start..end of a window as the answer. */
typedef struct ob__span {
    double score;
    size_t start, end;
} ob__span;

/* An answer, and what it is compared by. */
typedef struct ob__found_answer {
    double score;
    size_t start, end;             /* code points of the context */
    size_t text, text_bytes;       /* in the context */
    size_t lowered, lowered_bytes; /* in `lowered` */
    uint64_t hash;
    size_t index; /* in order of finding */
} ob__found_answer;

typedef struct ob__answers {
    const ob__answer_options *options;
    ob__char_index context;
    double null_score; /* the least of all windows; infinite before the first */
    /* Scratch for a window: */
    double *probabilities; /* (2, tokens): start, end */
    bool *allowed;         /* (tokens) */
    size_t probability_capacity, allowed_capacity;
    ob__span *spans; /* a heap, the worst on top */
    size_t span_count, span_capacity;
    /* Found so far: */
    ob__found_answer *found;
    size_t count, capacity;
    size_t *table; /* open addressing by hash: index + 1, 0 where empty */
    size_t table_size;
    ob_strbuf lowered;
    ob_answer *answers;
} ob__answers;

/* `options` and `context` (well-formed UTF-8) must outlive `answers`. Release it in any case. */
ob_status ob__answers_init(ob__answers *answers, const ob__answer_options *options, const char *context, size_t bytes,
                           ob_error *err);

/* `encoding` has details of the pair (question, context); `logits` (encoding->count, 2): start, end. */
ob_status ob__answers_add_window(ob__answers *answers, const ob_encoding *encoding, const float *logits, ob_error *err);

/* The top_k best answers, or as many as there are, at least one; `answers` owns them. */
ob_status ob__answers_finish(ob__answers *answers, const ob_answer **out, size_t *count, ob_error *err);

void ob__answers_release(ob__answers *answers);

#endif
