/* One vector a sequence from its tokens, as sentence-transformers pools them; several at once, side by side.
 *
 *     cls             the sequence's first row, whether its key is kept or not
 *     max             the greatest of each column
 *     mean            sum / count
 *     mean_sqrt_len   sum / sqrt(count)
 *     weighted_mean   sum of w x / sum of w, where w is 1, 2, 3, ... along the sequence, dropped tokens counted
 *     last_token      the last row
 *
 * All but cls are over kept rows, in order of the tokens; zeros where none is kept. src (total_tokens, hidden) in row
 * tiles (rows.h), cu_seqlens (sequences + 1) int32 on the device, dst (sequences, poolings, hidden), float32. */
#ifndef OBERTA_OP_POOL_H
#define OBERTA_OP_POOL_H

#include <oberta/buffer.h>

/* Or-ed; dst has them in this order. */
typedef enum ob_pool_mode {
    OB_POOL_CLS = 1 << 0,
    OB_POOL_MAX = 1 << 1,
    OB_POOL_MEAN = 1 << 2,
    OB_POOL_MEAN_SQRT_LEN = 1 << 3,
    OB_POOL_WEIGHTED_MEAN = 1 << 4,
    OB_POOL_LAST_TOKEN = 1 << 5
} ob_pool_mode;

#define OB_POOL_ALL ((1u << 6) - 1)

typedef struct ob_pool ob_pool;

ob_status ob_pool_create(ob_context *ctx, size_t hidden_size, size_t row_tile, ob_pool **out, ob_error *err);
void ob_pool_destroy(ob_pool *op);
/* `key_mask` as in op_attention.h; NULL: all rows are kept. `poolings` of ob_pool_mode, at least one. A pooling's bits
 * are the same whichever others are asked for. */
ob_status ob_pool_enqueue(const ob_pool *op, unsigned poolings, const ob_buffer *src, const ob_buffer *cu_seqlens,
                          const ob_buffer *key_mask, size_t sequences, ob_buffer *dst, ob_error *err);

#endif
