/* One attention sublayer of a layer: the products around attention, attention itself, residual and layer norm.
 *
 * Internal to models/roberta. Layers with equally many heads share operators (ob__attention_block); each has weights of
 * its own. */
#ifndef OBERTA_ROBERTA_ATTENTION_BLOCK_H
#define OBERTA_ROBERTA_ATTENTION_BLOCK_H

#include "activations.h"
#include "tensors.h"
#include "upload.h"

#include <oberta/op_attention.h>
#include <oberta/op_gemm.h>
#include <oberta/op_layer_norm.h>

/* Limits of a batch. */
typedef struct ob__encoder_limits {
    size_t max_length, max_tokens, max_sequences;
    size_t max_encoder_tokens, max_encoder_length; /* 0: no cross-attention */
} ob__encoder_limits;

typedef struct ob__attention_block {
    size_t heads, head_size;
    ob_gemm *input;     /* query, key and value; of cross-attention the query */
    ob_gemm *key_value; /* of cross-attention, else NULL */
    ob_gemm *output;
    ob_attention *attention;
} ob__attention_block;

typedef struct ob__attention_weights {
    ob_gemm_weights *input, *key_value, *output;
    ob__norm_weights norm;
} ob__attention_weights;

/* On failure nothing is left behind. */
ob_status ob__attention_block_create(ob_context *ctx, const ob_roberta_config *config, size_t heads, bool cross,
                                     const ob__encoder_limits *limits, ob_gemm_provider gemm, ob__attention_block *out,
                                     ob_error *err);
void ob__attention_block_release(ob__attention_block *block);

/* `out` may be left partly filled on failure: release it in any case. */
ob_status ob__attention_weights_upload(ob_context *ctx, const ob__attention_block *block,
                                       const ob__attention_tensors *tensors, const ob__heads *heads,
                                       ob__attention_weights *out, ob_error *err);
void ob__attention_weights_release(ob__attention_weights *weights);

/* What a sublayer does beyond its own work, and where. */
typedef struct ob__attention_extras {
    const ob_buffer *factors; /* NULL: none */
    size_t first_factor;
    bool maps; /* into OB__SLOT_MAPS */
} ob__attention_extras;

/* OB__SLOT_HIDDEN to OB__SLOT_MIDDLE, before the layer norm. */
ob_status ob__self_attention_enqueue(const ob__attention_block *block, const ob__attention_weights *weights,
                                     ob__activations *activations, size_t tokens, const ob_buffer *key_mask,
                                     const ob__attention_extras *extras, ob_error *err);
/* OB__SLOT_MIDDLE and OB__SLOT_ENCODER to OB__SLOT_CROSS_MIDDLE, before the layer norm. */
ob_status ob__cross_attention_enqueue(const ob__attention_block *block, const ob__attention_weights *weights,
                                      ob__activations *activations, size_t tokens, size_t encoder_tokens,
                                      const ob_buffer *key_mask, const ob__attention_extras *extras, ob_error *err);

#endif
