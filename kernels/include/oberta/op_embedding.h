/* Token embeddings and their layer norm:
 *
 *     dst[t] = norm((word[input_ids[t]] + token_type[token_type_ids[t]]) + position[position_ids[t]])
 *
 * word (vocab_size, hidden) in blocked layout (op_gemm.h), token_type (type_vocab_size, hidden), position
 * (max_position_embeddings, hidden), dst (total_tokens, hidden) in row tiles (rows.h), float32 (word: or float16). Sums
 * in this order, as transformers does. For a row tile both are one kernel. Ids are int32 on the device and must have
 * been checked by the caller; kernels clamp them all the same. */
#ifndef OBERTA_OP_EMBEDDING_H
#define OBERTA_OP_EMBEDDING_H

#include <oberta/buffer.h>

typedef struct ob_embedding_desc {
    size_t hidden_size;
    size_t vocab_size, type_vocab_size, max_position_embeddings;
    size_t word_block; /* ob_gemm_weights_block, or 1 for a plain table */
    bool word_half;    /* word is float16, as a gemm with half_weights keeps it */
    size_t row_tile;   /* of dst: 1, or the device's own (ob_gemm_row_tile) */
    float eps;         /* of the layer norm */
} ob_embedding_desc;

typedef struct ob_embedding ob_embedding;

ob_status ob_embedding_create(ob_context *ctx, const ob_embedding_desc *desc, ob_embedding **out, ob_error *err);
void ob_embedding_destroy(ob_embedding *op);
/* norm_weight and norm_bias (hidden); both NULL: sums alone, for a row tile of 1. */
ob_status ob_embedding_enqueue(const ob_embedding *op, const ob_buffer *word, const ob_buffer *position,
                               const ob_buffer *token_type, const ob_buffer *input_ids, const ob_buffer *position_ids,
                               const ob_buffer *token_type_ids, const ob_buffer *norm_weight,
                               const ob_buffer *norm_bias, size_t total_tokens, ob_buffer *dst, ob_error *err);

#endif
