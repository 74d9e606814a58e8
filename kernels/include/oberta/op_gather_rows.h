/* dst[i] = src[rows[first + i]], i < count: the rows of a matrix that a head needs, some of them at a time.
 * src (?, width) in row tiles (rows.h), rows (at least first + count) int32 or NULL for all in order, dst (count,
 * width) in row tiles or row-major, float32. The caller has checked the indices. */
#ifndef OBERTA_OP_GATHER_ROWS_H
#define OBERTA_OP_GATHER_ROWS_H

#include <oberta/buffer.h>

typedef struct ob_gather_rows_desc {
    size_t width;
    size_t row_tile; /* of src, and of dst where it is tiled */
    bool tiled_dst;
} ob_gather_rows_desc;

typedef struct ob_gather_rows ob_gather_rows;

ob_status ob_gather_rows_create(ob_context *ctx, const ob_gather_rows_desc *desc, ob_gather_rows **out, ob_error *err);
void ob_gather_rows_destroy(ob_gather_rows *op);
ob_status ob_gather_rows_enqueue(const ob_gather_rows *op, const ob_buffer *src, const ob_buffer *rows, size_t first,
                                 size_t count, ob_buffer *dst, ob_error *err);

#endif
