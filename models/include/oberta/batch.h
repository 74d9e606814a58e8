/* What the host hands to a device, and what comes back: flat arrays of plain numbers.
 *
 * This is the narrow door between host and device worker. Nothing in here points into the other side, so the same
 * structs can cross a thread or a pipe. */
#ifndef OBERTA_BATCH_H
#define OBERTA_BATCH_H

#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Outputs that can be wanted of a batch, or-ed. */
typedef enum ob_want {
    OB_WANT_HIDDEN = 1, /* last_hidden_state of every token */
    OB_WANT_CLS = 2,    /* one vector a sequence: its first token */
    OB_WANT_MEAN = 4,   /* one vector a sequence: the mean over its tokens */
    OB_WANT_LOGITS = 8, /* masked-LM logits at `positions` */
    OB_WANT_TOP_K = 16  /* the best tokens at `positions` */
} ob_want;

typedef struct ob_batch {
    unsigned want; /* of ob_want; CLS and MEAN exclude each other */
    size_t sequence_count;
    size_t token_count;
    int32_t *cu_seqlens;     /* (sequence_count + 1) prefix sums of lengths; each sequence has at least one token */
    int32_t *input_ids;      /* (token_count) */
    int32_t *position_ids;   /* (token_count) */
    int32_t *token_type_ids; /* (token_count) */
    int32_t *attention_mask; /* (token_count) 1 keep, 0 drop; NULL: all kept */
    size_t position_count;
    int32_t *positions; /* (position_count) indices into the flat tokens, for LOGITS and TOP_K */
    size_t top_k;       /* 1..vocab_size */
} ob_batch;

typedef struct ob_result {
    float *hidden;      /* (token_count, hidden_size) */
    float *pooled;      /* (sequence_count, hidden_size) */
    float *logits;      /* (position_count, vocab_size) */
    int32_t *top_ids;   /* (position_count, top_k), best first */
    float *top_scores;  /* (position_count, top_k), softmax over the whole vocabulary */
    uint64_t device_ns; /* wall time from the first enqueue to the last download */
} ob_result;

void ob_result_release(ob_result *result);

/* RoBERTa's position ids: pad + 1, pad + 2, ... over the tokens that are not `pad`, which themselves get `pad`. */
void ob_position_ids(const int32_t *input_ids, size_t count, int32_t pad_token_id, int32_t *position_ids);

#endif
