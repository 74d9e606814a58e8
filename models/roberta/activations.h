/* All device memory of a forward pass that is not weights: one arena for activations, and the batch's index arrays.
 *
 * Internal to models/roberta. T is max_tokens, S max_sequences, H hidden_size, A the widest layer's heads times their
 * size, I intermediate_size, R the LM head's rows at a time, G the most rows that a dense head layer takes, P the
 * poolings; of decoders with cross-attention D is T and E max_encoder_tokens, else 0. ROWS(r, c) are the elements of r
 * rows of c in row tiles (rows.h), in which all lie but QKV, CROSS_Q, CROSS_KV, MAPS, LOGITS, CLASSES and what leaves
 * for the host. */
#ifndef OBERTA_ROBERTA_ACTIVATIONS_H
#define OBERTA_ROBERTA_ACTIVATIONS_H

#include <oberta/arena.h>
#include <oberta/batch.h>
#include <oberta/roberta_config.h>

/* The head's logits of one chunk stay below this, but for a single row of a huge vocabulary. */
#define OB__LOGITS_CHUNK_BYTES ((size_t)64 << 20)

/* X(name, bytes, first step, last step). The steps are those of one layer, which every layer repeats, then the heads.
 * Between two layers only HIDDEN and ENCODER live, so OUT may leave there too. */
#define OB__ACTIVATION_SLOTS(X)                                                                                     \
    X(HIDDEN, ROWS(T, H), STEP_EMBED, STEP_END)                            /* stream between layers, (T, H) */      \
    X(QKV, T * 3 * A, STEP_QKV, STEP_ATTENTION)                            /* query, key, value, (T, 3 A) */        \
    X(WORKSPACE, W, STEP_ATTENTION, STEP_ATTENTION)                        /* the attention operator's own */       \
    X(CONTEXT, ROWS(T, A), STEP_ATTENTION, STEP_ATTENTION_OUTPUT)          /* attended values, (T, A) */            \
    X(MAPS, M, STEP_ATTENTION, STEP_CROSS)                                 /* one layer's attention */              \
    X(MIDDLE, ROWS(T, H), STEP_ATTENTION_OUTPUT, STEP_FEED_FORWARD_OUTPUT) /* between the parts of a layer */       \
    X(ENCODER, ROWS(E, H), STEP_EMBED, STEP_END)                           /* encoder_hidden_states, (E, H) */      \
    X(CROSS_Q, D *H, STEP_CROSS, STEP_CROSS)                               /* (T, H) */                             \
    X(CROSS_KV, E * 2 * H, STEP_CROSS, STEP_CROSS)                         /* (E, 2 H) */                           \
    X(CROSS_WORKSPACE, Y, STEP_CROSS, STEP_CROSS)                          /* the cross-attention operator's own */ \
    X(CROSS_CONTEXT, ROWS(D, H), STEP_CROSS, STEP_CROSS)                                                            \
    X(CROSS_MIDDLE, ROWS(D, H), STEP_CROSS, STEP_FEED_FORWARD_OUTPUT) /* MIDDLE after cross-attention */            \
    X(INNER, ROWS(T, I), STEP_FEED_FORWARD, STEP_FEED_FORWARD_OUTPUT) /* (T, I) */                                  \
    X(OUT, T *H, STEP_HEAD, STEP_END)                                 /* HIDDEN row-major, for the host, (T, H) */  \
    X(ROWS, ROWS(G, H), STEP_HEAD, STEP_HEAD_DENSE)                   /* rows that the head wants, (G, H) */        \
    X(HEAD, ROWS(G, H), STEP_HEAD_DENSE, STEP_DECODE)                 /* (G, H) */                                  \
    X(LOGITS, R *V, STEP_DECODE, STEP_END)                            /* (R, vocab) */                              \
    X(CLASSES, C, STEP_DECODE, STEP_END)                              /* (T or S, labels) */                        \
    X(TOP_IDS, R *K, STEP_TOP_K, STEP_END)                            /* (R, k) int32 */                            \
    X(TOP_SCORES, R *K, STEP_TOP_K, STEP_END)                         /* (R, k) */                                  \
    X(TOP_STATS, R * 2, STEP_TOP_K, STEP_END)                         /* (R, 2): maximum, sum */                    \
    X(TARGETS, R *Z, STEP_TOP_K, STEP_END)                            /* (R): target scores */                      \
    X(POOLED, S *P *H, STEP_HEAD, STEP_END)                           /* (S, poolings, H) */

typedef enum ob__activation_slot {
#define SLOT_ENUM(name, bytes, first, last) OB__SLOT_##name,
    OB__ACTIVATION_SLOTS(SLOT_ENUM)
#undef SLOT_ENUM
        OB__SLOT_COUNT
} ob__activation_slot;

typedef struct ob__activation_sizes {
    size_t max_tokens, max_sequences;
    size_t max_encoder_tokens; /* 0: no cross-attention */
    size_t attention_width;    /* the most heads of a layer, times their size */
    size_t head_rows;          /* rows that the masked-LM head takes at a time; 0: no head */
    size_t dense_rows;         /* rows that a head's dense layer takes at a time, those of the LM head among them */
    size_t class_elements;     /* a classifier's outputs; 0: none */
    size_t map_elements;       /* of one layer's attention maps; 0: none are wanted */
    size_t factor_count;       /* of head_mask, for all layers and sequences */
    size_t top_k;              /* on the device; 0: none */
    size_t pooled_count;       /* poolings that a batch may want at once */
    bool target_scores;
    size_t attention_workspace_bytes, cross_workspace_bytes;
    size_t row_tile; /* ob_gemm_row_tile */
} ob__activation_sizes;

typedef struct ob__activations {
    ob_arena *arena;
    ob_buffer *slots[OB__SLOT_COUNT]; /* views of the arena; NULL where a size is 0 */
    /* int32, one element a token, a sequence, or a wanted row */
    ob_buffer *input_ids, *position_ids, *token_type_ids, *attention_mask, *cu_seqlens, *positions, *target_ids;
    ob_buffer *encoder_mask; /* (max_encoder_tokens) int32; NULL without cross-attention */
    ob_buffer *factors;      /* (factor_count) float: head_mask, a layer's sequences after the other's */
} ob__activations;

ob_status ob__activations_create(ob_context *ctx, const ob_roberta_config *config, const ob__activation_sizes *sizes,
                                 ob__activations *out, ob_error *err);
void ob__activations_release(ob__activations *activations);

/* Uploads the batch's index arrays; head factors and encoder states are the encoder's. */
ob_status ob__activations_upload(ob__activations *activations, const ob_batch *batch, ob_error *err);

#endif
