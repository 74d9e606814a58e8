/* Softmax over each row of logits and its k largest entries, on the device.
 *
 * logits (rows, vocab) float32. For each row: ids (k) int32 and scores (k) float32, greatest first, equal logits in
 * order of their ids; and (maximum, sum of exp(x - maximum)), from which any other probability follows. Sums run over
 * fixed segments of the vocabulary, combined in order: the same row gives the same bits in any batch. */
#ifndef OBERTA_OP_TOP_K_H
#define OBERTA_OP_TOP_K_H

#include <oberta/buffer.h>

#define OB_TOP_K_MAX 32

typedef struct ob_top_k_desc {
    size_t vocab_size;
    size_t k;        /* 1..OB_TOP_K_MAX and <= vocab_size */
    size_t max_rows; /* of one enqueue */
} ob_top_k_desc;

typedef struct ob_top_k ob_top_k;

/* Allocates its own workspace: max_rows * segments * (k * 8 + 8) bytes. */
ob_status ob_top_k_create(ob_context *ctx, const ob_top_k_desc *desc, ob_top_k **out, ob_error *err);
void ob_top_k_destroy(ob_top_k *op);
/* ids (rows, k), scores (rows, k), stats (rows, 2): maximum and sum. */
ob_status ob_top_k_enqueue(const ob_top_k *op, const ob_buffer *logits, size_t rows, ob_buffer *ids, ob_buffer *scores,
                           ob_buffer *stats, ob_error *err);

#endif
