/* The natural logarithm of softmax over each row of logits, at one entry of the row:
 *
 *     dst[r] = x[t] - max(x) - log(sum_j exp(x[j] - max(x)))      x = logits[r], t = targets[first + r]
 *
 * logits (rows, vocab) float32, targets (at least first + rows) int32, which the caller has checked, dst (rows)
 * float32, all on the device. Off by less than 1e-5 + 2e-7 |x[t] - max(x)|. Sums run over fixed segments of the
 * vocabulary, combined in order: the same row gives the same bits in any batch. */
#ifndef OBERTA_OP_TARGET_SCORES_H
#define OBERTA_OP_TARGET_SCORES_H

#include <oberta/buffer.h>

typedef struct ob_target_scores_desc {
    size_t vocab_size;
    size_t max_rows; /* of one enqueue */
} ob_target_scores_desc;

typedef struct ob_target_scores ob_target_scores;

/* Allocates its own workspace: max_rows * segments * 8 bytes. */
ob_status ob_target_scores_create(ob_context *ctx, const ob_target_scores_desc *desc, ob_target_scores **out,
                                  ob_error *err);
void ob_target_scores_destroy(ob_target_scores *op);
ob_status ob_target_scores_enqueue(const ob_target_scores *op, const ob_buffer *logits, const ob_buffer *targets,
                                   size_t first, size_t rows, ob_buffer *dst, ob_error *err);

#endif
