/* logits = norm(gelu(rows Wd + bd)) D^T + b, always with the exact gelu; then softmax and top-k on the device.
 *
 * The rows go through in chunks of a fixed greatest size, so the logits never need more than one chunk of memory. */
#include "lm_head.h"

#include "upload.h"

#include <math.h>
#include <oberta/memory.h>
#include <oberta/op_gather_rows.h>
#include <oberta/op_layer_norm.h>
#include <oberta/op_target_scores.h>
#include <oberta/op_top_k.h>
#include <string.h>

struct ob__lm_head {
    size_t vocab_size, max_rows, device_top_k;
    ob_context *ctx;
    ob_gemm *dense_gemm, *decoder_gemm;
    ob_gemm_weights *dense, *decoder;
    ob__norm_weights norm;
    ob_gather_rows *gather;
    ob_layer_norm *layer_norm;
    ob_top_k *top_k;                 /* NULL where none is wanted */
    ob_target_scores *target_scores; /* likewise */

    /* Host memory for one chunk of what the device chose. */
    int32_t *ids;  /* (max_rows, device_top_k) */
    float *scores; /* (max_rows, device_top_k) */
    float *stats;  /* (max_rows, 2) */
    float *logits; /* (max_rows, vocab_size), allocated when the host has to choose more than the device can */
};

static ob_status create_operators(ob__lm_head *h, const ob_roberta_config *config, bool target_scores,
                                  ob_gemm_provider provider, ob_error *err)
{
    size_t hidden = config->hidden_size;
    size_t row_tile = ob_gemm_row_tile(h->ctx, provider);
    ob_gemm_desc dense = {.n = hidden,
                          .k = hidden,
                          .activation = OB_ACT_GELU,
                          .provider = provider,
                          .row_tile = row_tile,
                          .tiled_dst = true};
    ob_gemm_desc decoder = {.n = config->vocab_size, .k = hidden, .provider = provider, .row_tile = row_tile};
    ob_layer_norm_desc norm = {hidden, config->layer_norm_eps, row_tile, OB_LAYER_NORM_AUTO};
    ob_gather_rows_desc gather = {hidden, row_tile, true};
    ob_top_k_desc top_k = {config->vocab_size, h->device_top_k, h->max_rows};
    ob_target_scores_desc scores = {config->vocab_size, h->max_rows};
    if (ob_gemm_create(h->ctx, &dense, &h->dense_gemm, err) != OB_OK ||
        ob_gemm_create(h->ctx, &decoder, &h->decoder_gemm, err) != OB_OK ||
        ob_layer_norm_create(h->ctx, &norm, &h->layer_norm, err) != OB_OK ||
        ob_gather_rows_create(h->ctx, &gather, &h->gather, err) != OB_OK ||
        (h->device_top_k > 0 && ob_top_k_create(h->ctx, &top_k, &h->top_k, err) != OB_OK) ||
        (target_scores && ob_target_scores_create(h->ctx, &scores, &h->target_scores, err) != OB_OK))
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob__lm_head_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                             size_t max_rows, size_t top_k, bool target_scores, ob_gemm_provider gemm,
                             ob__lm_head **out, ob_error *err)
{
    ob__lm_head *h = ob_calloc(1, sizeof *h);
    if (h == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the masked-LM head");
    h->ctx = ctx;
    h->vocab_size = config->vocab_size;
    h->max_rows = max_rows;
    h->device_top_k = top_k;
    h->ids = ob_realloc_array(NULL, max_rows * top_k, sizeof *h->ids);
    h->scores = ob_realloc_array(NULL, max_rows * top_k, sizeof *h->scores);
    h->stats = ob_realloc_array(NULL, max_rows * 2, sizeof *h->stats);
    if (h->ids == NULL || h->scores == NULL || h->stats == NULL) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the results of %zu rows", max_rows);
        goto fail;
    }
    if (create_operators(h, config, target_scores, gemm, err) != OB_OK ||
        ob__upload_dense(h->dense_gemm, &tensors->lm_dense, 1, &h->dense, err) != OB_OK ||
        ob__upload_norm(ctx, &tensors->lm_norm, &h->norm, err) != OB_OK ||
        ob__upload_dense(h->decoder_gemm, &tensors->decoder, 1, &h->decoder, err) != OB_OK)
        goto fail;
    *out = h;
    return OB_OK;
fail:
    ob_error_prefix(err, "masked-LM head");
    ob__lm_head_destroy(h);
    return ob_error_status(err);
}

void ob__lm_head_destroy(ob__lm_head *h)
{
    if (h == NULL)
        return;
    ob_gemm_weights_destroy(h->dense);
    ob_gemm_weights_destroy(h->decoder);
    ob__norm_weights_release(&h->norm);
    ob_gemm_destroy(h->dense_gemm);
    ob_gemm_destroy(h->decoder_gemm);
    ob_layer_norm_destroy(h->layer_norm);
    ob_gather_rows_destroy(h->gather);
    ob_top_k_destroy(h->top_k);
    ob_target_scores_destroy(h->target_scores);
    ob_free(h->ids);
    ob_free(h->scores);
    ob_free(h->stats);
    ob_free(h->logits);
    ob_free(h);
}

const ob_gemm_weights *ob__lm_head_decoder(const ob__lm_head *h)
{
    return h->decoder;
}

/* Logits of positions[first..first + rows) into OB__SLOT_LOGITS. */
static ob_status enqueue_logits(ob__lm_head *h, ob__activations *a, size_t first, size_t rows, ob_error *err)
{
    ob_buffer *gathered = a->slots[OB__SLOT_ROWS], *dense = a->slots[OB__SLOT_HEAD];
    if (ob_gather_rows_enqueue(h->gather, a->slots[OB__SLOT_HIDDEN], a->positions, first, rows, gathered, err) !=
            OB_OK ||
        ob_gemm_enqueue(h->dense_gemm, h->dense, gathered, rows, NULL, dense, err) != OB_OK ||
        ob_layer_norm_enqueue(h->layer_norm, dense, h->norm.weight, h->norm.bias, rows, dense, err) != OB_OK ||
        ob_gemm_enqueue(h->decoder_gemm, h->decoder, dense, rows, NULL, a->slots[OB__SLOT_LOGITS], err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

/* True where entry `a` of a row stands before `b`: greater logit, or equal and lower id. NaN stands last. */
static bool stands_before(const float *logits, int32_t a, int32_t b)
{
    float x = logits[a], y = logits[b];
    if (x != y && !(isnan(x) && isnan(y)))
        return isnan(y) || x > y;
    return a < b;
}

static void sift_down(const float *logits, int32_t *heap, size_t count, size_t at)
{
    /* The root is the entry that stands last among those chosen. */
    for (;;) {
        size_t last = at, left = 2 * at + 1, right = left + 1;
        if (left < count && stands_before(logits, heap[last], heap[left]))
            last = left;
        if (right < count && stands_before(logits, heap[last], heap[right]))
            last = right;
        if (last == at)
            return;
        int32_t swap = heap[at];
        heap[at] = heap[last];
        heap[last] = swap;
        at = last;
    }
}

/* The k best of a row by a heap of k: what the device does for small k, for any k. */
static void select_on_host(const float *logits, size_t vocab_size, const float stats[2], size_t k, int32_t *ids,
                           float *scores)
{
    for (size_t i = 0; i < k; i++)
        ids[i] = (int32_t)i;
    for (size_t i = k / 2; i-- > 0;)
        sift_down(logits, ids, k, i);
    for (size_t i = k; i < vocab_size; i++)
        if (stands_before(logits, (int32_t)i, ids[0])) {
            ids[0] = (int32_t)i;
            sift_down(logits, ids, k, 0);
        }
    for (size_t count = k; count > 1; count--) { /* heap sort: the last one goes to the end */
        int32_t last = ids[0];
        ids[0] = ids[count - 1];
        ids[count - 1] = last;
        sift_down(logits, ids, count - 1, 0);
    }
    for (size_t i = 0; i < k; i++)
        scores[i] = expf(logits[ids[i]] - stats[0]) / stats[1];
}

static ob_status download_top_k(ob__lm_head *h, ob__activations *a, size_t rows, size_t k, int32_t *ids, float *scores,
                                ob_error *err)
{
    bool on_host = k > h->device_top_k;
    if (on_host && h->logits == NULL) {
        h->logits = ob_realloc_array(NULL, h->max_rows * h->vocab_size, sizeof *h->logits);
        if (h->logits == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the logits of %zu rows", h->max_rows);
    }
    ob_status status = on_host ? ob_buffer_download_later(a->slots[OB__SLOT_LOGITS], 0, h->logits,
                                                          rows * h->vocab_size * sizeof *h->logits, err)
                               : ob_buffer_download_later(a->slots[OB__SLOT_TOP_IDS], 0, h->ids,
                                                          rows * h->device_top_k * sizeof *h->ids, err);
    if (status == OB_OK && !on_host)
        status = ob_buffer_download_later(a->slots[OB__SLOT_TOP_SCORES], 0, h->scores,
                                          rows * h->device_top_k * sizeof *h->scores, err);
    if (status == OB_OK)
        status = ob_buffer_download_later(a->slots[OB__SLOT_TOP_STATS], 0, h->stats, rows * 2 * sizeof *h->stats, err);
    if (status == OB_OK)
        status = ob_context_finish(h->ctx, err);
    if (status != OB_OK)
        return status;
    for (size_t row = 0; row < rows; row++) {
        if (on_host) {
            select_on_host(h->logits + row * h->vocab_size, h->vocab_size, h->stats + 2 * row, k, ids + row * k,
                           scores + row * k);
        } else {
            memcpy(ids + row * k, h->ids + row * h->device_top_k, k * sizeof *ids);
            memcpy(scores + row * k, h->scores + row * h->device_top_k, k * sizeof *scores);
        }
    }
    return OB_OK;
}

ob_status ob__lm_head_run(ob__lm_head *h, ob__activations *a, const ob_batch *batch, ob_result *result, ob_error *err)
{
    for (size_t first = 0; first < batch->position_count; first += h->max_rows) {
        size_t left = batch->position_count - first;
        size_t rows = left < h->max_rows ? left : h->max_rows;
        if (enqueue_logits(h, a, first, rows, err) != OB_OK)
            return ob_error_status(err);
        if ((batch->want & OB_WANT_LOGITS) != 0 &&
            ob_buffer_download(a->slots[OB__SLOT_LOGITS], 0, result->logits + first * h->vocab_size,
                               rows * h->vocab_size * sizeof(float), err) != OB_OK)
            return ob_error_status(err);
        if ((batch->want & OB_WANT_TARGET_SCORES) != 0 &&
            (ob_target_scores_enqueue(h->target_scores, a->slots[OB__SLOT_LOGITS], a->target_ids, first, rows,
                                      a->slots[OB__SLOT_TARGETS], err) != OB_OK ||
             ob_buffer_download_later(a->slots[OB__SLOT_TARGETS], 0, result->target_scores + first,
                                      rows * sizeof(float), err) != OB_OK))
            return ob_error_status(err);
        if ((batch->want & OB_WANT_TOP_K) == 0)
            continue;
        size_t k = batch->top_k;
        if (ob_top_k_enqueue(h->top_k, a->slots[OB__SLOT_LOGITS], rows, a->slots[OB__SLOT_TOP_IDS],
                             a->slots[OB__SLOT_TOP_SCORES], a->slots[OB__SLOT_TOP_STATS], err) != OB_OK ||
            download_top_k(h, a, rows, k, result->top_ids + first * k, result->top_scores + first * k, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}
