/* The masked-LM head: logits over the vocabulary, and the best tokens, for the rows that are asked for. Internal. */
#ifndef OBERTA_ROBERTA_LM_HEAD_H
#define OBERTA_ROBERTA_LM_HEAD_H

#include "activations.h"
#include "tensors.h"

#include <oberta/op_gemm.h>

typedef struct ob__lm_head ob__lm_head;

/* `max_rows` rows are taken at a time; `top_k` tokens of each are chosen on the device (0: none). */
ob_status ob__lm_head_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                             size_t max_rows, size_t top_k, bool target_scores, ob_gemm_provider gemm,
                             ob__lm_head **out, ob_error *err);
void ob__lm_head_destroy(ob__lm_head *head);

/* The decoder's weights, which are the word embeddings too where `tied`: then the look-up shares this memory. */
const ob_gemm_weights *ob__lm_head_decoder(const ob__lm_head *head);

/* Runs the head on batch->positions of OB__SLOT_HIDDEN and fills the wanted arrays of `result`, which are allocated.
 * Waits for the device. */
ob_status ob__lm_head_run(ob__lm_head *head, ob__activations *activations, const ob_batch *batch, ob_result *result,
                          ob_error *err);

#endif
