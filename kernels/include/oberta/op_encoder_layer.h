/* A layer of the encoder in one launch, where few rows make launches a large part of the time:
 *
 *     qkv = hidden Wqkv + bqkv;  context = attention(qkv);  middle = norm(context Wo + bo + hidden)
 *     inner = act(middle W1 + b1);  hidden = norm(inner W2 + b2 + middle)
 *
 * The bits are those of the operators one by one, which it borrows. One variant: `amx` (CPU devices with x86's matrix
 * tiles). */
#ifndef OBERTA_OP_ENCODER_LAYER_H
#define OBERTA_OP_ENCODER_LAYER_H

#include <oberta/op_attention.h>
#include <oberta/op_gemm.h>
#include <oberta/op_layer_norm.h>

typedef struct ob_encoder_layer ob_encoder_layer;

/* The operators that a layer would be run by, one by one; they must outlive it. */
typedef struct ob_encoder_layer_desc {
    const ob_gemm *qkv, *attention_output, *inner, *output;
    const ob_attention *attention; /* planned before each launch */
    const ob_layer_norm *norm;     /* after attention, and at the end */
    size_t work_items; /* of a launch, 2 for each unit at most; 0: one for each processor that the process may use */
    int32_t patience; /* pauses, some 50 ns each, until a work-item that waits for others leaves the launch; 0: 4,000 */
} ob_encoder_layer_desc;

typedef struct ob_encoder_layer_weights {
    const ob_gemm_weights *qkv, *attention_output, *inner, *output;
    const ob_buffer *middle_scale, *middle_shift; /* (hidden), of the norm after attention */
    const ob_buffer *last_scale, *last_shift;
} ob_encoder_layer_weights;

/* (m, ...) float32, row-major */
typedef struct ob_encoder_layer_rows {
    ob_buffer *hidden;  /* (m, hidden), read and written */
    ob_buffer *qkv;     /* (m, 3 width) */
    ob_buffer *context; /* (m, width) */
    ob_buffer *middle;  /* (m, hidden) */
    ob_buffer *inner;   /* (m, inner) */
} ob_encoder_layer_rows;

/* *out is NULL where the operators are not such as one launch can do, or the context profiles, and they must be run one
 * by one. Errors: OB_ERR_DEVICE, OB_ERR_BUILD, OB_ERR_OUT_OF_MEMORY. */
ob_status ob_encoder_layer_create(ob_context *ctx, const ob_encoder_layer_desc *desc, ob_encoder_layer **out,
                                  ob_error *err);
void ob_encoder_layer_destroy(ob_encoder_layer *layer); /* NULL does nothing */

/* The most rows of a launch; 0 for NULL. */
size_t ob_encoder_layer_max_rows(const ob_encoder_layer *layer);

/* m <= max_rows, the attention's plan is for these rows. key_mask (m): as in ob_attention_enqueue, or NULL. */
ob_status ob_encoder_layer_enqueue(const ob_encoder_layer *layer, const ob_encoder_layer_weights *weights,
                                   const ob_encoder_layer_rows *rows, size_t m, const ob_buffer *key_mask,
                                   ob_error *err);

#endif
