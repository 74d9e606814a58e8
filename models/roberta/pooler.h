/* tanh(W h_0 + b) of every sequence's first token: the pooler, and the dense layer of the sequence classifier, which is
 * the same with weights of its own. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_POOLER_H
#define OBERTA_ROBERTA_POOLER_H

#include "activations.h"
#include "tensors.h"

#include <oberta/op_gemm.h>

typedef struct ob__pooler ob__pooler;

ob_status ob__pooler_create(ob_context *ctx, const ob_roberta_config *config, const ob__weight_bias *dense,
                            ob_gemm_provider gemm, ob__pooler **out, ob_error *err);
void ob__pooler_destroy(ob__pooler *pooler);

/* From OB__SLOT_HIDDEN to OB__SLOT_HEAD (sequences, hidden), in row tiles. */
ob_status ob__pooler_enqueue(const ob__pooler *pooler, ob__activations *activations, size_t sequences, ob_error *err);

#endif
