/* The heads that give a few labels: of a sequence, of each of its tokens, of an answer's ends, of a choice. Internal to
 * models/roberta. */
#ifndef OBERTA_ROBERTA_CLASSIFIER_H
#define OBERTA_ROBERTA_CLASSIFIER_H

#include "activations.h"
#include "pooler.h"
#include "tensors.h"

#include <oberta/op_gemm.h>

typedef struct ob__classifier ob__classifier;

/* `tensors->head` is none of NONE and LM. `pooler` (multiple choice) stays the caller's and must outlive it. */
ob_status ob__classifier_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                                const ob__pooler *pooler, ob_gemm_provider gemm, ob__classifier **out, ob_error *err);
void ob__classifier_destroy(ob__classifier *classifier);

/* From OB__SLOT_HIDDEN, which it leaves as it is, by way of OB__SLOT_CLASSES to result->logits, later. */
ob_status ob__classifier_enqueue(const ob__classifier *classifier, ob__activations *activations, const ob_batch *batch,
                                 ob_result *result, ob_error *err);

#endif
