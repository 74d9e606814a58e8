/* A RoBERTa model on a device: puts encoder, head and memory together, and runs batches. */
#include <oberta/roberta.h>

#include "activations.h"
#include "encoder.h"
#include "lm_head.h"
#include "upload.h"

#include <oberta/memory.h>
#include <oberta/op_gather_rows.h>
#include <oberta/op_pool.h>
#include <oberta/op_top_k.h>
#include <string.h>
#include <time.h>

/* The head's logits of one chunk stay below this, but for a single row of a huge vocabulary. */
#define LOGITS_CHUNK_BYTES ((size_t)64 << 20)

struct ob_roberta {
    ob_context *ctx;
    ob_roberta_config config;
    size_t max_tokens, max_sequences, max_length, max_top_k;
    uint64_t parameter_count, weight_bytes, activation_bytes;

    ob__lm_head *lm_head; /* NULL without one */
    ob_buffer *word;      /* (vocab, hidden); NULL where the tied decoder's weights serve */
    ob__encoder *encoder;
    ob_pool *pool;
    ob_gather_rows *gather; /* hidden states from row tiles to plain rows */
    ob__activations activations;
};

void ob_roberta_options_default(ob_roberta_options *options)
{
    *options = (ob_roberta_options){
        .max_tokens = 4096, .max_sequences = 256, .max_length = 0, .head = OB_HEAD_NONE, .top_k = 0, .gemm = "auto"};
}

ob_status ob_roberta_check(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_head head, bool pooler,
                           ob_error *err)
{
    ob__roberta_tensors tensors;
    (void)pooler;
    ob_status status = ob__roberta_tensors_map(config, checkpoint, head == OB_HEAD_LM, &tensors, err);
    if (status == OB_OK)
        ob__roberta_tensors_release(&tensors);
    return status;
}

static ob_status parse_provider(const char *name, ob_gemm_provider *out, ob_error *err)
{
    static const ob_gemm_provider providers[] = {OB_GEMM_AUTO, OB_GEMM_TILE, OB_GEMM_BLOCK, OB_GEMM_CLBLAST,
                                                 OB_GEMM_REF};
    for (size_t i = 0; i < sizeof providers / sizeof *providers; i++)
        if (strcmp(name, ob_gemm_provider_name(providers[i])) == 0) {
            *out = providers[i];
            return OB_OK;
        }
    return ob_error_set(err, OB_ERR_USAGE, "matrix products by '%s': not one of auto, tile, block, clblast, ref", name);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Word embeddings and, where asked for, the head. A tied decoder and the look-up share one copy on the device. */
static ob_status create_head_and_words(ob_roberta *m, const ob__roberta_tensors *tensors, size_t head_rows,
                                       size_t device_top_k, ob_gemm_provider gemm, const ob_buffer **word,
                                       size_t *word_block, ob_error *err)
{
    if (tensors->has_lm_head &&
        ob__lm_head_create(m->ctx, &m->config, tensors, head_rows, device_top_k, gemm, &m->lm_head, err) != OB_OK)
        return ob_error_status(err);
    if (m->lm_head != NULL && tensors->decoder.weight == tensors->word) {
        const ob_gemm_weights *decoder = ob__lm_head_decoder(m->lm_head);
        *word = ob_gemm_weights_buffer(decoder);
        *word_block = ob_gemm_weights_block(decoder);
        return OB_OK;
    }
    if (ob__upload_tensor(m->ctx, tensors->word, &m->word, err) != OB_OK)
        return ob_error_status(err);
    *word = m->word;
    *word_block = 1;
    return OB_OK;
}

static uint64_t buffer_bytes(const ob_context *ctx)
{
    ob_context_stats stats;
    ob_context_get_stats(ctx, &stats);
    return stats.buffer_bytes;
}

static ob_status build(ob_roberta *m, const ob__roberta_tensors *tensors, const ob_roberta_options *options,
                       ob_error *err)
{
    const ob_roberta_config *config = &m->config;
    ob_gemm_provider gemm = OB_GEMM_AUTO;
    const ob_buffer *word = NULL;
    size_t word_block = 1;
    ob__activation_sizes sizes = {.max_tokens = m->max_tokens, .max_sequences = m->max_sequences};
    if (tensors->has_lm_head) {
        size_t rows = LOGITS_CHUNK_BYTES / (config->vocab_size * sizeof(float));
        sizes.head_rows = min_size(m->max_tokens, rows > 0 ? rows : 1);
        sizes.top_k = min_size(m->max_top_k, min_size(OB_TOP_K_MAX, config->vocab_size));
    }
    uint64_t bytes_before = buffer_bytes(m->ctx);
    if (parse_provider(options->gemm, &gemm, err) != OB_OK)
        return ob_error_status(err);
    size_t row_tile = ob_gemm_row_tile(m->ctx, gemm);
    const ob_gather_rows_desc out = {config->hidden_size, row_tile, false};
    if (create_head_and_words(m, tensors, sizes.head_rows, sizes.top_k, gemm, &word, &word_block, err) != OB_OK ||
        ob__encoder_create(m->ctx, config, tensors, word, word_block, m->max_length, m->max_tokens, m->max_sequences,
                           gemm, &m->encoder, err) != OB_OK ||
        ob_pool_create(m->ctx, config->hidden_size, row_tile, &m->pool, err) != OB_OK ||
        ob_gather_rows_create(m->ctx, &out, &m->gather, err) != OB_OK)
        return ob_error_status(err);
    uint64_t bytes_weights = buffer_bytes(m->ctx);
    sizes.row_tile = row_tile;
    sizes.attention_workspace_bytes = ob__encoder_workspace_bytes(m->encoder);
    if (ob__activations_create(m->ctx, config, &sizes, &m->activations, err) != OB_OK)
        return ob_error_status(err);
    m->parameter_count = tensors->parameter_count;
    m->weight_bytes = bytes_weights - bytes_before;
    m->activation_bytes = buffer_bytes(m->ctx) - bytes_weights;
    return OB_OK;
}

ob_status ob_roberta_create(ob_context *ctx, const ob_roberta_config *config, const ob_checkpoint *checkpoint,
                            const ob_roberta_options *options, ob_roberta **out, ob_error *err)
{
    size_t limit = ob_roberta_config_max_length(config);
    size_t max_length = options->max_length == 0 ? limit : min_size(options->max_length, limit);
    if (options->max_tokens < max_length || options->max_tokens > INT32_MAX / 4 || options->max_sequences == 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "batches of %zu tokens and %zu sequences for rows of up to %zu",
                            options->max_tokens, options->max_sequences, max_length);
    ob__roberta_tensors tensors;
    if (ob__roberta_tensors_map(config, checkpoint, options->head == OB_HEAD_LM, &tensors, err) != OB_OK)
        return ob_error_status(err);
    ob_roberta *m = ob_calloc(1, sizeof *m);
    if (m == NULL) {
        ob__roberta_tensors_release(&tensors);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model");
    }
    m->ctx = ctx;
    m->config = *config;
    m->max_tokens = options->max_tokens;
    m->max_sequences = options->max_sequences;
    m->max_length = max_length;
    m->max_top_k = options->top_k;
    ob_status status = build(m, &tensors, options, err);
    ob__roberta_tensors_release(&tensors);
    if (status != OB_OK) {
        ob_roberta_destroy(m);
        return status;
    }
    *out = m;
    return OB_OK;
}

void ob_roberta_destroy(ob_roberta *m)
{
    if (m == NULL)
        return;
    ob__activations_release(&m->activations);
    ob_pool_destroy(m->pool);
    ob_gather_rows_destroy(m->gather);
    ob__encoder_destroy(m->encoder);
    ob_buffer_destroy(m->word);
    ob__lm_head_destroy(m->lm_head);
    ob_free(m);
}

/* Everything below the host trusts these numbers, so they are all looked at. */
static ob_status check_tokens(const ob_roberta *m, const ob_batch *batch, ob_error *err)
{
    const ob_roberta_config *c = &m->config;
    for (size_t i = 0; i < batch->token_count; i++) {
        if (batch->input_ids[i] < 0 || (size_t)batch->input_ids[i] >= c->vocab_size)
            return ob_error_set(err, OB_ERR_INPUT, "input_ids: %d is not between 0 and the vocabulary's %zu",
                                batch->input_ids[i], c->vocab_size - 1);
        if (batch->position_ids[i] < 0 || (size_t)batch->position_ids[i] >= c->max_position_embeddings)
            return ob_error_set(err, OB_ERR_INPUT, "position_ids: %d is not between 0 and %zu", batch->position_ids[i],
                                c->max_position_embeddings - 1);
        if (batch->token_type_ids[i] < 0 || (size_t)batch->token_type_ids[i] >= c->type_vocab_size)
            return ob_error_set(err, OB_ERR_INPUT, "token_type_ids: %d is not between 0 and %zu",
                                batch->token_type_ids[i], c->type_vocab_size - 1);
        if (batch->attention_mask != NULL && batch->attention_mask[i] != 0 && batch->attention_mask[i] != 1)
            return ob_error_set(err, OB_ERR_INPUT, "attention_mask: %d is neither 0 nor 1", batch->attention_mask[i]);
    }
    return OB_OK;
}

static ob_status check_batch(const ob_roberta *m, const ob_batch *batch, ob_error *err)
{
    if (batch->token_count > m->max_tokens || batch->sequence_count > m->max_sequences || batch->cu_seqlens[0] != 0 ||
        (size_t)batch->cu_seqlens[batch->sequence_count] != batch->token_count)
        return ob_error_set(err, OB_ERR_INTERNAL, "a batch of %zu tokens in %zu sequences, planned were %zu in %zu",
                            batch->token_count, batch->sequence_count, m->max_tokens, m->max_sequences);
    for (size_t i = 0; i < batch->sequence_count; i++) {
        int32_t begin = batch->cu_seqlens[i], end = batch->cu_seqlens[i + 1];
        if (end <= begin || (size_t)(end - begin) > m->max_length)
            return ob_error_set(err, OB_ERR_INPUT, "a sequence of %d tokens, but the model takes 1 to %zu", end - begin,
                                m->max_length);
    }
    bool head = (batch->want & (OB_WANT_LOGITS | OB_WANT_TOP_K)) != 0;
    if (head && m->lm_head == NULL)
        return ob_error_set(err, OB_ERR_INTERNAL, "the masked-LM head was not loaded");
    if ((batch->want & OB_WANT_TOP_K) != 0 && (batch->top_k == 0 || batch->top_k > m->max_top_k))
        return ob_error_set(err, OB_ERR_INTERNAL, "top_k %zu, planned was %zu", batch->top_k, m->max_top_k);
    if (batch->position_count > m->max_tokens)
        return ob_error_set(err, OB_ERR_INTERNAL, "%zu wanted rows of %zu tokens", batch->position_count,
                            batch->token_count);
    for (size_t i = 0; i < batch->position_count; i++)
        if (batch->positions[i] < 0 || (size_t)batch->positions[i] >= batch->token_count)
            return ob_error_set(err, OB_ERR_INTERNAL, "row %d is wanted of %zu tokens", batch->positions[i],
                                batch->token_count);
    return check_tokens(m, batch, err);
}

/* Grows a result array; it is never shrunk, so a worker soon allocates nothing. */
static bool grow(void *array, size_t count, size_t element_bytes)
{
    void **pointer = array;
    void *grown = ob_realloc_array(*pointer, count, element_bytes);
    if (grown != NULL)
        *pointer = grown;
    return grown != NULL;
}

static ob_status allocate_result(const ob_roberta *m, const ob_batch *batch, ob_result *result, ob_error *err)
{
    size_t hidden = m->config.hidden_size, rows = batch->position_count;
    bool ok = true;
    if ((batch->want & OB_WANT_HIDDEN) != 0)
        ok &= grow(&result->hidden, batch->token_count * hidden, sizeof(float));
    if ((batch->want & (OB_WANT_CLS | OB_WANT_MEAN)) != 0)
        ok &= grow(&result->pooled, batch->sequence_count * hidden, sizeof(float));
    if ((batch->want & OB_WANT_LOGITS) != 0)
        ok &= grow(&result->logits, rows * m->config.vocab_size, sizeof(float));
    if ((batch->want & OB_WANT_TOP_K) != 0)
        ok &= grow(&result->top_ids, rows * batch->top_k, sizeof(int32_t)) &&
              grow(&result->top_scores, rows * batch->top_k, sizeof(float));
    return ok ? OB_OK
              : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the results of %zu tokens", batch->token_count);
}

static ob_status run_outputs(ob_roberta *m, const ob_batch *batch, ob_result *result, ob_error *err)
{
    ob__activations *a = &m->activations;
    size_t row_bytes = m->config.hidden_size * sizeof(float);
    unsigned pooled = batch->want & (OB_WANT_CLS | OB_WANT_MEAN);
    if (pooled != 0) {
        const ob_buffer *key_mask = batch->attention_mask != NULL ? a->attention_mask : NULL;
        if (ob_pool_enqueue(m->pool, pooled == OB_WANT_CLS ? OB_POOL_CLS : OB_POOL_MEAN, a->slots[OB__SLOT_HIDDEN],
                            a->cu_seqlens, key_mask, batch->sequence_count, a->slots[OB__SLOT_POOLED], err) != OB_OK ||
            ob_buffer_download_later(a->slots[OB__SLOT_POOLED], 0, result->pooled, batch->sequence_count * row_bytes,
                                     err) != OB_OK)
            return ob_error_status(err);
    }
    if ((batch->want & OB_WANT_HIDDEN) != 0 &&
        (ob_gather_rows_enqueue(m->gather, a->slots[OB__SLOT_HIDDEN], NULL, 0, batch->token_count,
                                a->slots[OB__SLOT_OUT], err) != OB_OK ||
         ob_buffer_download_later(a->slots[OB__SLOT_OUT], 0, result->hidden, batch->token_count * row_bytes, err) !=
             OB_OK))
        return ob_error_status(err);
    if (batch->position_count > 0 && (batch->want & (OB_WANT_LOGITS | OB_WANT_TOP_K)) != 0 &&
        ob__lm_head_run(m->lm_head, a, batch, result, err) != OB_OK)
        return ob_error_status(err);
    return ob_context_finish(m->ctx, err);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

ob_status ob_roberta_run(ob_roberta *m, const ob_batch *batch, ob_result *result, ob_error *err)
{
    uint64_t begin = now_ns();
    if (batch->sequence_count == 0)
        return OB_OK;
    if (check_batch(m, batch, err) != OB_OK || allocate_result(m, batch, result, err) != OB_OK ||
        ob__activations_upload(&m->activations, batch, err) != OB_OK ||
        ob__encoder_enqueue(m->encoder, &m->activations, batch, err) != OB_OK ||
        ob_context_flush(m->ctx, err) != OB_OK || run_outputs(m, batch, result, err) != OB_OK)
        return ob_error_status(err);
    result->device_ns = now_ns() - begin;
    return OB_OK;
}

uint64_t ob_roberta_parameter_count(const ob_roberta *m)
{
    return m->parameter_count;
}

uint64_t ob_roberta_weight_bytes(const ob_roberta *m)
{
    return m->weight_bytes;
}

uint64_t ob_roberta_activation_bytes(const ob_roberta *m)
{
    return m->activation_bytes;
}
