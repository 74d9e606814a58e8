/* logits = x C^T + c, where x is every token's hidden state, or one vector a sequence: tanh(W h_0 + b) with the
 * classifier's own dense layer or, for multiple choice, the pooler's. */
#include "classifier.h"

#include "results.h"
#include "upload.h"

#include <oberta/memory.h>

struct ob__classifier {
    size_t labels;
    ob__pooler *own_dense;    /* of sequence classification, else NULL */
    const ob__pooler *pooler; /* the vector of a sequence; NULL: the head takes every token */
    ob_gemm *gemm;
    ob_gemm_weights *weights;
};

ob_status ob__classifier_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                                const ob__pooler *pooler, ob_gemm_provider gemm, ob__classifier **out, ob_error *err)
{
    ob__classifier *c = ob_calloc(1, sizeof *c);
    if (c == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the classifier");
    c->labels = ob__logit_width(config, tensors->head);
    const ob_gemm_desc product = {
        .n = c->labels, .k = config->hidden_size, .provider = gemm, .row_tile = ob_gemm_row_tile(ctx, gemm)};
    if ((tensors->head == OB_HEAD_SEQUENCE_CLASSIFICATION &&
         ob__pooler_create(ctx, config, &tensors->classifier_dense, gemm, &c->own_dense, err) != OB_OK) ||
        ob_gemm_create(ctx, &product, &c->gemm, err) != OB_OK ||
        ob__upload_dense(c->gemm, &tensors->classifier, 1, &c->weights, err) != OB_OK) {
        ob_error_prefix(err, "classifier");
        ob__classifier_destroy(c);
        return ob_error_status(err);
    }
    if (tensors->head == OB_HEAD_SEQUENCE_CLASSIFICATION)
        c->pooler = c->own_dense;
    else if (tensors->head == OB_HEAD_MULTIPLE_CHOICE)
        c->pooler = pooler;
    *out = c;
    return OB_OK;
}

void ob__classifier_destroy(ob__classifier *c)
{
    if (c == NULL)
        return;
    ob__pooler_destroy(c->own_dense);
    ob_gemm_weights_destroy(c->weights);
    ob_gemm_destroy(c->gemm);
    ob_free(c);
}

ob_status ob__classifier_enqueue(const ob__classifier *c, ob__activations *a, const ob_batch *batch, ob_result *result,
                                 ob_error *err)
{
    size_t rows = c->pooler != NULL ? batch->sequence_count : batch->token_count;
    const ob_buffer *src = a->slots[c->pooler != NULL ? OB__SLOT_HEAD : OB__SLOT_HIDDEN];
    ob_buffer *classes = a->slots[OB__SLOT_CLASSES];
    if ((c->pooler != NULL && ob__pooler_enqueue(c->pooler, a, rows, err) != OB_OK) ||
        ob_gemm_enqueue(c->gemm, c->weights, src, rows, NULL, classes, err) != OB_OK ||
        ob_buffer_download_later(classes, 0, result->logits, rows * c->labels * sizeof(float), err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}
