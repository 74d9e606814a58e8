/* Tensors of a checkpoint to device buffers. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_UPLOAD_H
#define OBERTA_ROBERTA_UPLOAD_H

#include "tensors.h"

#include <oberta/buffer.h>
#include <oberta/op_gemm.h>

/* A tensor as float32, in the file's own order. */
ob_status ob__upload_tensor(ob_context *ctx, const ob_tensor *tensor, ob_buffer **out, ob_error *err);

/* Linear layers stacked into the weights of one GEMM. */
ob_status ob__upload_dense(const ob_gemm *gemm, const ob__weight_bias *parts, size_t count, ob_gemm_weights **out,
                           ob_error *err);

/* Query, key and value stacked, the rows of those heads alone that stay. */
ob_status ob__upload_qkv(const ob_gemm *gemm, const ob__attention_tensors *tensors, const ob__heads *heads,
                         size_t head_size, ob_gemm_weights **out, ob_error *err);

/* The layer behind attention, the columns of those heads alone that stay. */
ob_status ob__upload_attention_output(const ob_gemm *gemm, const ob__weight_bias *dense, const ob__heads *heads,
                                      size_t head_size, ob_gemm_weights **out, ob_error *err);

/* A layer norm on the device. */
typedef struct ob__norm_weights {
    ob_buffer *weight, *bias;
} ob__norm_weights;

ob_status ob__upload_norm(ob_context *ctx, const ob__weight_bias *norm, ob__norm_weights *out, ob_error *err);
void ob__norm_weights_release(ob__norm_weights *norm);

#endif
