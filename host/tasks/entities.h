/* What token-classification makes of logits: the rules of the transformers pipeline. Internal to host.
 *
 * A text comes as one window or, where it is long, as several that overlap. Pure: no device, no file. */
#ifndef OBERTA_TASKS_ENTITIES_H
#define OBERTA_TASKS_ENTITIES_H

#include "char_index.h"

#include <oberta/job.h>
#include <oberta/tokenizer.h>
#include <oberta/writer.h>

typedef struct ob__entity_options {
    const ob_tokenizer *tokenizer;
    ob_aggregation aggregation;
    const char *const *labels; /* (label_count) */
    size_t label_count;        /* at least 1 */
    const char *const *ignore_labels;
    size_t ignore_label_count;
} ob__entity_options;

/* A run of tokens or words that becomes one entity. */
typedef struct ob__entity_group {
    const char *label; /* of its last member: the next one is compared with it */
    const char *name;  /* of the group: the first member's label without its tag */
    bool open, ignored;
    double score_sum;
    size_t score_count;
    size_t start, end;
    ob_strbuf bytes; /* of its words */
} ob__entity_group;

typedef struct ob__entities {
    const ob__entity_options *options;
    ob__char_index text;
    size_t window_count;
    ob__entity_group group;
    ob_strbuf word_bytes, word;
    float *scores; /* (2, label_count): of a token; of a word */
    /* Found so far; words are in `words`, from word_ends[i - 1] to word_ends[i]. */
    ob_entity *found;
    size_t *word_ends;
    size_t count, capacity, end_capacity;
    ob_strbuf words;
} ob__entities;

/* `options` and `text` (well-formed UTF-8) must outlive `entities`. Release it in any case. */
ob_status ob__entities_init(ob__entities *entities, const ob__entity_options *options, const char *text, size_t bytes,
                            ob_error *err);

/* `encoding` has details of the text (of no pair); `logits` (encoding->count, label_count). Windows come in order. */
ob_status ob__entities_add_window(ob__entities *entities, const ob_encoding *encoding, const float *logits,
                                  ob_error *err);

/* The entities in order of the text; `entities` owns them. Where windows overlap, the longer one stays, then the one
 * with the higher score. */
ob_status ob__entities_finish(ob__entities *entities, const ob_entity **out, size_t *count, ob_error *err);

void ob__entities_release(ob__entities *entities);

#endif
