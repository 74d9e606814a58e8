/* What the host hands to a device, and what comes back: flat arrays of plain numbers.
 *
 * This is the narrow door between host and device worker. Nothing in here points into the other side, so the same
 * structs can cross a thread or a pipe. */
#ifndef OBERTA_BATCH_H
#define OBERTA_BATCH_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Outputs that can be wanted of a batch, or-ed. */
typedef enum ob_want {
    OB_WANT_HIDDEN = 1 << 0,        /* last_hidden_state of every token */
    OB_WANT_HIDDEN_STATES = 1 << 1, /* the embeddings' and every layer's output */
    OB_WANT_ATTENTIONS = 1 << 2,
    OB_WANT_CROSS_ATTENTIONS = 1 << 3,
    OB_WANT_POOLER = 1 << 4, /* pooler_output: tanh(W h_0 + b) */
    /* One vector a sequence over the tokens that attention_mask keeps, as sentence-transformers names and orders them:
     */
    OB_WANT_CLS = 1 << 5, /* the first token */
    OB_WANT_MAX = 1 << 6,
    OB_WANT_MEAN = 1 << 7,
    OB_WANT_MEAN_SQRT_LEN = 1 << 8, /* the sum over the square root of the length */
    OB_WANT_WEIGHTED_MEAN = 1 << 9, /* weights 1, 2, 3, ... along the sequence */
    OB_WANT_LAST_TOKEN = 1 << 10,
    OB_WANT_LOGITS = 1 << 11,       /* of the loaded head, before any softmax */
    OB_WANT_TOP_K = 1 << 12,        /* LM head: the best tokens at `positions` */
    OB_WANT_TARGET_SCORES = 1 << 13 /* LM head: log-probability of `target_ids` at `positions` */
} ob_want;

#define OB_WANT_POOLED \
    (OB_WANT_CLS | OB_WANT_MAX | OB_WANT_MEAN | OB_WANT_MEAN_SQRT_LEN | OB_WANT_WEIGHTED_MEAN | OB_WANT_LAST_TOKEN)

/* The poolings in `want`, so many vectors a sequence. */
OB_API size_t ob_want_pooled_count(unsigned want);

typedef struct ob_batch {
    unsigned want; /* of ob_want */
    size_t sequence_count;
    size_t token_count;
    int32_t *cu_seqlens;     /* (sequence_count + 1) prefix sums of lengths; each sequence has at least one token */
    int32_t *input_ids;      /* (token_count) */
    int32_t *position_ids;   /* (token_count) */
    int32_t *token_type_ids; /* (token_count) */
    int32_t *attention_mask; /* (token_count) 1 keep, 0 drop; NULL: all kept */
    float *head_mask;        /* (sequence_count, layers, heads) finite factors of attention after softmax, of
                                cross-attention too; NULL: ones */
    size_t position_count;
    int32_t *positions;  /* (position_count) indices into the flat tokens, for what the LM head gives */
    int32_t *target_ids; /* (position_count) for TARGET_SCORES, else NULL */
    size_t top_k;        /* 1..vocab_size */
    /* Cross-attention, where the model has it: one encoder sequence for each sequence, in the same order. */
    int32_t *encoder_cu_seqlens;     /* (sequence_count + 1); NULL: none */
    float *encoder_hidden_states;    /* (encoder tokens, hidden_size) */
    int32_t *encoder_attention_mask; /* (encoder tokens); NULL: all kept */
} ob_batch;

/* `heads` is num_attention_heads; pruned heads attend to nothing: zeros. */
typedef struct ob_result {
    float *hidden;           /* (token_count, hidden_size) */
    float *hidden_states;    /* sequence after sequence, each (layers + 1, length, hidden_size) */
    float *attentions;       /* sequence after sequence, each (layers, heads, length, length), after head_mask */
    float *cross_attentions; /* sequence after sequence, each (layers, heads, length, encoder length) */
    float *pooler;           /* (sequence_count, hidden_size) */
    float *pooled;           /* (sequence_count, ob_want_pooled_count, hidden_size), poolings in the order of ob_want */
    float *logits;     /* LM (position_count, vocab_size); sequence classification and multiple choice (sequence_count,
                          label_count), where multiple choice has one label; token classification and question answering
                          (token_count, label_count), where the latter's are start and end */
    int32_t *top_ids;  /* (position_count, top_k), best first */
    float *top_scores; /* (position_count, top_k), softmax over the whole vocabulary */
    float *target_scores; /* (position_count) natural logarithms of softmax over the whole vocabulary */
    uint64_t device_ns;   /* wall time from the first enqueue to the last download */
} ob_result;

OB_API void ob_result_release(ob_result *result);

/* RoBERTa's position ids: pad + 1, pad + 2, ... over the tokens that are not `pad`, which themselves get `pad`. */
OB_API void ob_position_ids(const int32_t *input_ids, size_t count, int32_t pad_token_id, int32_t *position_ids);

#ifdef __cplusplus
}
#endif
#endif
