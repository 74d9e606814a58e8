/* A RoBERTa model on a device: puts encoder, head and memory together, and runs batches. */
#include <oberta/roberta.h>

#include "activations.h"
#include "check_batch.h"
#include "classifier.h"
#include "encoder.h"
#include "lm_head.h"
#include "pooler.h"
#include "results.h"
#include "upload.h"

#include <oberta/clock.h>
#include <oberta/memory.h>
#include <oberta/op_gather_rows.h>
#include <oberta/op_pool.h>
#include <oberta/op_top_k.h>
#include <string.h>

struct ob_roberta {
    ob_context *ctx;
    ob_roberta_config config; /* without the arrays that copies share: it may outlive the caller's */
    ob__batch_limits limits;
    uint64_t parameter_count, weight_bytes, activation_bytes;

    ob_buffer *word; /* (vocab, hidden); NULL where the tied decoder's weights serve */
    ob__encoder *encoder;
    ob__pooler *pooler;         /* NULL without one */
    ob__lm_head *lm_head;       /* of the head, this one, */
    ob__classifier *classifier; /* or this one, or none */
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
    ob_status status = ob__roberta_tensors_map(config, checkpoint, head, pooler, &tensors, err);
    if (status == OB_OK)
        ob__roberta_tensors_release(&tensors);
    return status;
}

static ob_status parse_provider(const char *name, ob_gemm_provider *out, ob_error *err)
{
    if (ob_gemm_provider_from_name(name, out))
        return OB_OK;
    return ob_error_set(err, OB_ERR_USAGE, "matrix products by '%s': not one of auto, " OB_GEMM_PROVIDER_NAMES, name);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The word embeddings; a tied decoder and the look-up share one copy on the device. */
static ob_status create_words(ob_roberta *m, const ob__roberta_tensors *tensors, const ob_buffer **word,
                              size_t *word_block, ob_error *err)
{
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

static ob_status create_heads(ob_roberta *m, const ob__roberta_tensors *tensors, const ob__activation_sizes *sizes,
                              ob_gemm_provider gemm, ob_error *err)
{
    const ob_roberta_config *config = &m->config;
    if (m->limits.pooler && ob__pooler_create(m->ctx, config, &tensors->pooler, gemm, &m->pooler, err) != OB_OK)
        return ob_error_status(err);
    if (tensors->head == OB_HEAD_LM)
        return ob__lm_head_create(m->ctx, config, tensors, sizes->head_rows, sizes->top_k, sizes->target_scores, gemm,
                                  &m->lm_head, err);
    if (tensors->head != OB_HEAD_NONE)
        return ob__classifier_create(m->ctx, config, tensors, m->pooler, gemm, &m->classifier, err);
    return OB_OK;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What follows from the head and from what is wanted; the encoder knows the rest. */
static ob__activation_sizes plan_sizes(const ob_roberta *m, const ob_roberta_options *options)
{
    const ob__batch_limits *l = &m->limits;
    ob__activation_sizes sizes = {.max_tokens = l->max_tokens, .max_sequences = l->max_sequences};
    bool tokens = l->head == OB_HEAD_TOKEN_CLASSIFICATION || l->head == OB_HEAD_QUESTION_ANSWERING;
    if (l->head == OB_HEAD_LM) {
        size_t rows = OB__LOGITS_CHUNK_BYTES / (m->config.vocab_size * sizeof(float));
        sizes.head_rows = min_size(l->max_tokens, rows > 0 ? rows : 1);
        sizes.top_k = min_size(l->max_top_k, min_size(OB_TOP_K_MAX, m->config.vocab_size));
        sizes.target_scores = (options->want & OB_WANT_TARGET_SCORES) != 0;
    } else {
        sizes.class_elements = (tokens ? l->max_tokens : l->max_sequences) * ob__logit_width(&m->config, l->head);
    }
    bool first_tokens = l->pooler || l->head == OB_HEAD_SEQUENCE_CLASSIFICATION;
    sizes.dense_rows = max_size(sizes.head_rows, first_tokens ? l->max_sequences : 0);
    sizes.pooled_count = l->max_pooled;
    return sizes;
}

/* Scratch is the context's, not the model's. */
static uint64_t buffer_bytes(const ob_context *ctx)
{
    const ob_buffer *scratch = ob_context_scratch(ctx);
    ob_context_stats stats;
    ob_context_get_stats(ctx, &stats);
    return stats.buffer_bytes - (scratch != NULL ? ob_buffer_bytes(scratch) : 0);
}

static ob_status build(ob_roberta *m, const ob__roberta_tensors *tensors, const ob_roberta_options *options,
                       ob_error *err)
{
    const ob_roberta_config *config = &m->config;
    const ob__encoder_limits limits = {m->limits.max_length, m->limits.max_tokens, m->limits.max_sequences,
                                       m->limits.max_encoder_tokens, m->limits.max_encoder_length};
    ob_gemm_provider gemm = OB_GEMM_AUTO;
    const ob_buffer *word = NULL;
    size_t word_block = 1;
    ob__activation_sizes sizes = plan_sizes(m, options);
    uint64_t bytes_before = buffer_bytes(m->ctx);
    if (parse_provider(options->gemm, &gemm, err) != OB_OK)
        return ob_error_status(err);
    size_t row_tile = ob_gemm_row_tile(m->ctx, gemm);
    const ob_gather_rows_desc out = {config->hidden_size, row_tile, false};
    if (create_heads(m, tensors, &sizes, gemm, err) != OB_OK ||
        create_words(m, tensors, &word, &word_block, err) != OB_OK ||
        ob__encoder_create(m->ctx, config, tensors, word, word_block, &limits, gemm, &m->encoder, err) != OB_OK ||
        ob_pool_create(m->ctx, config->hidden_size, row_tile, &m->pool, err) != OB_OK ||
        ob_gather_rows_create(m->ctx, &out, &m->gather, err) != OB_OK)
        return ob_error_status(err);
    uint64_t bytes_weights = buffer_bytes(m->ctx);
    if (ob__encoder_sizes(m->encoder, options->want, &sizes, err) != OB_OK ||
        ob__activations_create(m->ctx, config, &sizes, &m->activations, err) != OB_OK)
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
    size_t encoder_tokens = config->add_cross_attention ? options->max_encoder_tokens : 0;
    size_t encoder_length = options->max_encoder_length == 0 ? encoder_tokens : options->max_encoder_length;
    if (options->max_tokens < max_length || options->max_tokens > INT32_MAX / 4 || options->max_sequences == 0 ||
        options->max_encoder_tokens > INT32_MAX / 4)
        return ob_error_set(err, OB_ERR_INTERNAL, "batches of %zu tokens and %zu sequences for rows of up to %zu",
                            options->max_tokens, options->max_sequences, max_length);
    ob__roberta_tensors tensors;
    if (ob__roberta_tensors_map(config, checkpoint, options->head, options->pooler, &tensors, err) != OB_OK)
        return ob_error_status(err);
    ob_roberta *m = ob_calloc(1, sizeof *m);
    if (m == NULL) {
        ob__roberta_tensors_release(&tensors);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model");
    }
    m->ctx = ctx;
    m->config = *config;
    m->config.labels = NULL;
    m->config.pruned_heads = NULL;
    m->limits = (ob__batch_limits){
        .max_tokens = options->max_tokens,
        .max_sequences = min_size(options->max_sequences, options->max_tokens),
        .max_length = max_length,
        .max_encoder_tokens = encoder_tokens,
        .max_encoder_length = min_size(encoder_length, encoder_tokens),
        .max_top_k = options->top_k,
        .max_pooled = max_size(1, ob_want_pooled_count(options->want)),
        .want = options->want,
        .head = options->head,
        .pooler = options->pooler || options->head == OB_HEAD_MULTIPLE_CHOICE,
    };
    ob_status status = build(m, &tensors, options, err);
    ob__roberta_tensors_release(&tensors);
    if (status != OB_OK) {
        ob_roberta_destroy(m);
        return status;
    }
    ob_checkpoint_forget_all(checkpoint);
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
    ob__classifier_destroy(m->classifier);
    ob__pooler_destroy(m->pooler);
    ob_free(m);
}

/* One value a bit: the poolings of ob_want in their order are those of op_pool.h. */
static unsigned poolings_of(unsigned want)
{
    static const unsigned wanted[] = {OB_WANT_CLS,           OB_WANT_MAX,           OB_WANT_MEAN,
                                      OB_WANT_MEAN_SQRT_LEN, OB_WANT_WEIGHTED_MEAN, OB_WANT_LAST_TOKEN};
    static const unsigned poolings[] = {OB_POOL_CLS,           OB_POOL_MAX,           OB_POOL_MEAN,
                                        OB_POOL_MEAN_SQRT_LEN, OB_POOL_WEIGHTED_MEAN, OB_POOL_LAST_TOKEN};
    unsigned out = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        out |= (want & wanted[i]) != 0 ? poolings[i] : 0;
    return out;
}

static ob_status run_pooling(ob_roberta *m, const ob_batch *batch, ob_result *result, ob_error *err)
{
    ob__activations *a = &m->activations;
    const ob_buffer *key_mask = batch->attention_mask != NULL ? a->attention_mask : NULL;
    size_t bytes = batch->sequence_count * ob_want_pooled_count(batch->want) * m->config.hidden_size * sizeof(float);
    if (ob_pool_enqueue(m->pool, poolings_of(batch->want), a->slots[OB__SLOT_HIDDEN], a->cu_seqlens, key_mask,
                        batch->sequence_count, a->slots[OB__SLOT_POOLED], err) != OB_OK ||
        ob_buffer_download_later(a->slots[OB__SLOT_POOLED], 0, result->pooled, bytes, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

/* Rows of `src` in row tiles to plain rows on the host. */
static ob_status run_rows(ob_roberta *m, const ob_buffer *src, size_t rows, float *out, ob_error *err)
{
    ob_buffer *plain = m->activations.slots[OB__SLOT_OUT];
    if (ob_gather_rows_enqueue(m->gather, src, NULL, 0, rows, plain, err) != OB_OK ||
        ob_buffer_download_later(plain, 0, out, rows * m->config.hidden_size * sizeof(float), err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

static ob_status run_outputs(ob_roberta *m, const ob_batch *batch, ob_result *result, ob_error *err)
{
    ob__activations *a = &m->activations;
    const ob_buffer *hidden = a->slots[OB__SLOT_HIDDEN], *head = a->slots[OB__SLOT_HEAD];
    size_t sequences = batch->sequence_count;
    if ((batch->want & OB_WANT_POOLED) != 0 && run_pooling(m, batch, result, err) != OB_OK)
        return ob_error_status(err);
    if ((batch->want & OB_WANT_HIDDEN) != 0 && run_rows(m, hidden, batch->token_count, result->hidden, err) != OB_OK)
        return ob_error_status(err);
    if ((batch->want & OB_WANT_POOLER) != 0 && (ob__pooler_enqueue(m->pooler, a, sequences, err) != OB_OK ||
                                                run_rows(m, head, sequences, result->pooler, err) != OB_OK))
        return ob_error_status(err);
    if ((batch->want & OB_WANT_LOGITS) != 0 && m->classifier != NULL &&
        ob__classifier_enqueue(m->classifier, a, batch, result, err) != OB_OK)
        return ob_error_status(err);
    if (batch->position_count > 0 && m->lm_head != NULL &&
        (batch->want & (OB_WANT_LOGITS | OB_WANT_TOP_K | OB_WANT_TARGET_SCORES)) != 0 &&
        ob__lm_head_run(m->lm_head, a, batch, result, err) != OB_OK)
        return ob_error_status(err);
    return ob_context_finish(m->ctx, err);
}

ob_status ob_roberta_run(ob_roberta *m, const ob_batch *batch, ob_result *result, ob_error *err)
{
    double begin = ob_clock_seconds();
    if (batch->sequence_count == 0)
        return OB_OK;
    if (ob__check_batch(&m->config, &m->limits, batch, err) != OB_OK ||
        ob__results_allocate(&m->config, m->limits.head, batch, result, err) != OB_OK)
        return ob_error_status(err);
    if (ob__activations_upload(&m->activations, batch, err) != OB_OK ||
        ob__encoder_enqueue(m->encoder, &m->activations, batch, result, err) != OB_OK ||
        ob_context_flush(m->ctx, err) != OB_OK || run_outputs(m, batch, result, err) != OB_OK) {
        ob_context_finish(m->ctx, NULL); /* no download may arrive once the caller owns the arrays again */
        return ob_error_status(err);
    }
    result->device_ns = (uint64_t)((ob_clock_seconds() - begin) * 1e9);
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
