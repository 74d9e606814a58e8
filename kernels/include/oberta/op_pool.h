/* One vector a sequence: its first row (cls) or the mean of its rows, in order of the tokens.
 * src (total_tokens, hidden) in row tiles (rows.h), cu_seqlens (sequences + 1) int32 on the device, dst (sequences,
 * hidden), float32. */
#ifndef OBERTA_OP_POOL_H
#define OBERTA_OP_POOL_H

#include <oberta/buffer.h>

typedef enum ob_pool_mode { OB_POOL_CLS, OB_POOL_MEAN } ob_pool_mode;

typedef struct ob_pool ob_pool;

ob_status ob_pool_create(ob_context *ctx, size_t hidden_size, size_t row_tile, ob_pool **out, ob_error *err);
void ob_pool_destroy(ob_pool *op);
/* `key_mask` as in op_attention.h: the mean is over kept rows; NULL: all. */
ob_status ob_pool_enqueue(const ob_pool *op, ob_pool_mode mode, const ob_buffer *src, const ob_buffer *cu_seqlens,
                          const ob_buffer *key_mask, size_t sequences, ob_buffer *dst, ob_error *err);

#endif
