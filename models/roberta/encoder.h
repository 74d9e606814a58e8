/* The stack: embeddings and post-norm transformer layers, of an encoder or a decoder. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_ENCODER_H
#define OBERTA_ROBERTA_ENCODER_H

#include "activations.h"
#include "attention_block.h"
#include "tensors.h"

#include <oberta/op_gemm.h>

typedef struct ob__encoder ob__encoder;

/* `word` and `word_block` are the word embeddings on the device, in blocked layout (op_gemm.h); they stay the caller's.
 */
ob_status ob__encoder_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                             const ob_buffer *word, size_t word_block, const ob__encoder_limits *limits,
                             ob_gemm_provider gemm, ob__encoder **out, ob_error *err);
void ob__encoder_destroy(ob__encoder *encoder);

/* Sets those of `sizes` that follow from the layers, for batches that may want `want`. OB_ERR_INTERNAL where maps of
 * such batches cannot be counted. */
ob_status ob__encoder_sizes(const ob__encoder *encoder, unsigned want, ob__activation_sizes *sizes, ob_error *err);

/* Enqueues the whole stack without waiting; the last hidden states are then in OB__SLOT_HIDDEN, and what the batch
 * wants of each layer is on its way into `result`, whose arrays are allocated. The batch's indices are uploaded
 * already. */
ob_status ob__encoder_enqueue(ob__encoder *encoder, ob__activations *activations, const ob_batch *batch,
                              ob_result *result, ob_error *err);

#endif
