/* The first token whatever it is: with padding on the left that would be a pad, but batches here have none. */
#include "pooler.h"

#include "upload.h"

#include <oberta/memory.h>
#include <oberta/op_gather_rows.h>

struct ob__pooler {
    ob_gather_rows *gather;
    ob_gemm *gemm;
    ob_gemm_weights *weights;
};

ob_status ob__pooler_create(ob_context *ctx, const ob_roberta_config *config, const ob__weight_bias *dense,
                            ob_gemm_provider gemm, ob__pooler **out, ob_error *err)
{
    size_t hidden = config->hidden_size, row_tile = ob_gemm_row_tile(ctx, gemm);
    const ob_gather_rows_desc gather = {hidden, row_tile, true};
    const ob_gemm_desc product = {
        .n = hidden, .k = hidden, .activation = OB_ACT_TANH, .provider = gemm, .row_tile = row_tile, .tiled_dst = true};
    ob__pooler *p = ob_calloc(1, sizeof *p);
    if (p == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the pooler");
    if (ob_gather_rows_create(ctx, &gather, &p->gather, err) != OB_OK ||
        ob_gemm_create(ctx, &product, &p->gemm, err) != OB_OK ||
        ob__upload_dense(p->gemm, dense, 1, &p->weights, err) != OB_OK) {
        ob__pooler_destroy(p);
        return ob_error_status(err);
    }
    *out = p;
    return OB_OK;
}

void ob__pooler_destroy(ob__pooler *p)
{
    if (p == NULL)
        return;
    ob_gather_rows_destroy(p->gather);
    ob_gemm_weights_destroy(p->weights);
    ob_gemm_destroy(p->gemm);
    ob_free(p);
}

ob_status ob__pooler_enqueue(const ob__pooler *p, ob__activations *a, size_t sequences, ob_error *err)
{
    ob_buffer *rows = a->slots[OB__SLOT_ROWS];
    /* cu_seqlens names the rows: a sequence begins with its first token. */
    if (ob_gather_rows_enqueue(p->gather, a->slots[OB__SLOT_HIDDEN], a->cu_seqlens, 0, sequences, rows, err) != OB_OK ||
        ob_gemm_enqueue(p->gemm, p->weights, rows, sequences, NULL, a->slots[OB__SLOT_HEAD], err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}
