/* dst[i] = src[rows[first + i]], i < count: the rows of a matrix that a head needs, some of them at a time.
 * src (?, width), rows (at least first + count) int32, dst (count, width), float32. The caller has checked the indices.
 */
#ifndef OBERTA_OP_GATHER_ROWS_H
#define OBERTA_OP_GATHER_ROWS_H

#include <oberta/buffer.h>

typedef struct ob_gather_rows ob_gather_rows;

ob_status ob_gather_rows_create(ob_context *ctx, size_t width, ob_gather_rows **out, ob_error *err);
void ob_gather_rows_destroy(ob_gather_rows *op);
ob_status ob_gather_rows_enqueue(const ob_gather_rows *op, const ob_buffer *src, const ob_buffer *rows, size_t first,
                                 size_t count, ob_buffer *dst, ob_error *err);

#endif
