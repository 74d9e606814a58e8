/* Layer normalisation of each row: y = (x - mean) / sqrt(var + eps) * weight + bias, biased variance, two passes.
 *
 * src, dst (rows, hidden), both in row tiles (rows.h), weight, bias (hidden), float32. dst may be src. Ba, Kiros,
 * Hinton, 2016. */
#ifndef OBERTA_OP_LAYER_NORM_H
#define OBERTA_OP_LAYER_NORM_H

#include <oberta/buffer.h>

typedef enum ob_layer_norm_variant {
    OB_LAYER_NORM_AUTO,
    OB_LAYER_NORM_REF,
    OB_LAYER_NORM_VECTOR
} ob_layer_norm_variant;

typedef struct ob_layer_norm_desc {
    size_t hidden_size;
    float eps;
    size_t row_tile; /* 1, or the device's own (ob_gemm_row_tile), which has one variant, "tile" */
    ob_layer_norm_variant variant;
} ob_layer_norm_desc;

typedef struct ob_layer_norm ob_layer_norm;

ob_status ob_layer_norm_create(ob_context *ctx, const ob_layer_norm_desc *desc, ob_layer_norm **out, ob_error *err);
void ob_layer_norm_destroy(ob_layer_norm *op);
const char *ob_layer_norm_variant_used(const ob_layer_norm *op); /* "ref", "vector", "tile" */
const ob_layer_norm_desc *ob_layer_norm_get_desc(const ob_layer_norm *op);
ob_status ob_layer_norm_enqueue(const ob_layer_norm *op, const ob_buffer *src, const ob_buffer *weight,
                                const ob_buffer *bias, size_t rows, ob_buffer *dst, ob_error *err);

#endif
