/* The encoder: embeddings and the stack of post-norm transformer layers. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_ENCODER_H
#define OBERTA_ROBERTA_ENCODER_H

#include "activations.h"
#include "tensors.h"

#include <oberta/op_gemm.h>

typedef struct ob__encoder ob__encoder;

/* `word` and `word_block` are the word embeddings on the device, in blocked layout (op_gemm.h); they stay the caller's.
 */
ob_status ob__encoder_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                             const ob_buffer *word, size_t word_block, size_t max_length, size_t max_tokens,
                             size_t max_sequences, ob_gemm_provider gemm, ob__encoder **out, ob_error *err);
void ob__encoder_destroy(ob__encoder *encoder);

size_t ob__encoder_workspace_bytes(const ob__encoder *encoder);

/* Enqueues the whole stack without waiting; the last hidden states are then in OB__SLOT_HIDDEN. The batch's indices are
 * uploaded already. */
ob_status ob__encoder_enqueue(ob__encoder *encoder, ob__activations *activations, const ob_batch *batch, ob_error *err);

#endif
