/* feature-extraction and forward: the model's own numbers, row by row. */
#include "task.h"

#include <math.h>
#include <oberta/memory.h>

static bool forward_wants_logits(const ob_job *job)
{
    return (job->forward.outputs & OB_FORWARD_LOGITS) != 0;
}

static unsigned forward_want(const ob__task_context *ctx)
{
    unsigned want = 0;
    if ((ctx->job->forward.outputs & OB_FORWARD_LAST_HIDDEN_STATE) != 0)
        want |= OB_WANT_HIDDEN;
    if (forward_wants_logits(ctx->job))
        want |= OB_WANT_LOGITS;
    return want;
}

static size_t no_top_k(const ob__task_context *ctx)
{
    (void)ctx;
    return 0;
}

/* The output format has to be able to hold what the task makes. */
static ob_status check_format(const ob_job *job, ob_record_kind kind, const char *what, ob_error *err)
{
    if (job->output_format == OB_OUTPUT_AUTO || ob_output_format_takes(job->output_format, kind))
        return OB_OK;
    return ob_error_set(err, OB_ERR_CONFIG, "output.format: %s cannot hold %s; jsonl and safetensors can",
                        ob_output_format_name(job->output_format), what);
}

static ob_status forward_open(ob__task_context *ctx, ob_error *err)
{
    return check_format(ctx->job, OB_RECORD_ARRAYS, "the arrays of 'forward'", err);
}

static ob_status forward_prepare(const ob__task_context *ctx, ob__item *item, ob_error *err)
{
    if (!forward_wants_logits(ctx->job))
        return OB_OK;
    if (!ob__item_reserve_positions(item, item->token_count))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu tokens", item->token_count);
    for (size_t i = 0; i < item->token_count; i++)
        item->positions[i] = (int32_t)i;
    return OB_OK;
}

static size_t forward_result_bytes(const ob__task_context *ctx, const ob__item *item)
{
    size_t per_token = 0;
    if ((ctx->job->forward.outputs & OB_FORWARD_LAST_HIDDEN_STATE) != 0)
        per_token += ctx->config->hidden_size;
    if (forward_wants_logits(ctx->job))
        per_token += ctx->config->vocab_size;
    return item->token_count * per_token * sizeof(float);
}

static ob_status forward_emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink,
                              ob_error *err)
{
    ob_named_array arrays[2];
    size_t count = 0;
    if (item->result.hidden != NULL)
        arrays[count++] = (ob_named_array){
            "last_hidden_state", 2, {item->token_count, ctx->config->hidden_size}, item->result.hidden};
    if (item->result.logits != NULL)
        arrays[count++] =
            (ob_named_array){"logits", 2, {item->token_count, ctx->config->vocab_size}, item->result.logits};
    ob_record record = ob__item_record(item, OB_RECORD_ARRAYS);
    record.array_count = count;
    record.arrays = arrays;

    return sink->write(sink->user, &record, err);
}

const ob__task ob__task_forward = {.needs_lm_head = forward_wants_logits,
                                   .want = forward_want,
                                   .top_k = no_top_k,
                                   .open = forward_open,
                                   .prepare = forward_prepare,
                                   .result_bytes = forward_result_bytes,
                                   .collect = NULL,
                                   .emit = forward_emit};

static bool features_need_lm_head(const ob_job *job)
{
    (void)job;
    return false;
}

static unsigned features_want(const ob__task_context *ctx)
{
    switch (ctx->job->feature_extraction.pooling) {
    case OB_POOLING_CLS:
        return OB_WANT_CLS;
    case OB_POOLING_MEAN:
        return OB_WANT_MEAN;
    default:
        return OB_WANT_HIDDEN;
    }
}

static ob_status features_open(ob__task_context *ctx, ob_error *err)
{
    if (ctx->job->feature_extraction.pooling == OB_POOLING_NONE)
        return check_format(ctx->job, OB_RECORD_ARRAYS, "unpooled features", err);
    return check_format(ctx->job, OB_RECORD_EMBEDDING, "embeddings", err);
}

static ob_status features_prepare(const ob__task_context *ctx, ob__item *item, ob_error *err)
{
    (void)ctx;
    (void)item;
    (void)err;
    return OB_OK;
}

static size_t features_result_bytes(const ob__task_context *ctx, const ob__item *item)
{
    bool pooled = ctx->job->feature_extraction.pooling != OB_POOLING_NONE;
    return (pooled ? 1 : item->token_count) * ctx->config->hidden_size * sizeof(float);
}

/* x / max(|x|, 1e-12), as sentence-transformers and torch.nn.functional.normalize do. */
static void normalize(float *vector, size_t count)
{
    double square = 0;
    for (size_t i = 0; i < count; i++)
        square += (double)vector[i] * (double)vector[i];
    double length = sqrt(square);
    if (length < 1e-12)
        length = 1e-12;
    for (size_t i = 0; i < count; i++)
        vector[i] = (float)((double)vector[i] / length);
}

static ob_status features_collect(const ob__task_context *ctx, ob__item *item, ob_error *err)
{
    (void)err;
    if (!ctx->job->feature_extraction.normalize)
        return OB_OK;
    size_t hidden = ctx->config->hidden_size;
    if (ctx->job->feature_extraction.pooling != OB_POOLING_NONE)
        normalize(item->result.pooled, hidden);
    else
        for (size_t i = 0; i < item->token_count; i++)
            normalize(item->result.hidden + i * hidden, hidden);
    return OB_OK;
}

static ob_status features_emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink,
                               ob_error *err)
{
    bool pooled = ctx->job->feature_extraction.pooling != OB_POOLING_NONE;
    size_t hidden = ctx->config->hidden_size;
    ob_named_array array =
        pooled ? (ob_named_array){"embedding", 1, {hidden}, item->result.pooled}
               : (ob_named_array){"last_hidden_state", 2, {item->token_count, hidden}, item->result.hidden};
    ob_record record = ob__item_record(item, pooled ? OB_RECORD_EMBEDDING : OB_RECORD_ARRAYS);
    record.array_count = 1;
    record.arrays = &array;

    return sink->write(sink->user, &record, err);
}

const ob__task ob__task_feature_extraction = {.needs_lm_head = features_need_lm_head,
                                              .want = features_want,
                                              .top_k = no_top_k,
                                              .open = features_open,
                                              .prepare = features_prepare,
                                              .result_bytes = features_result_bytes,
                                              .collect = features_collect,
                                              .emit = features_emit};
