/* feature-extraction: a vector for each token, or one for the row. */
#include "task.h"

#include <math.h>
#include <oberta/memory.h>

static bool is_pooled(const ob__task_context *ctx)
{
    return ctx->job->feature_extraction.pooling != OB_POOLING_NONE;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    static const unsigned wants[] = {OB_WANT_HIDDEN, OB_WANT_CLS, OB_WANT_MEAN, OB_WANT_POOLER}; /* of ob_pooling */
    ob_pooling pooling = ctx->job->feature_extraction.pooling;
    ctx->needs = (ob__task_needs){.want = wants[pooling], .pooler = pooling == OB_POOLING_POOLER};
    return is_pooled(ctx) ? ob__task_check_format(ctx->job, OB_RECORD_EMBEDDING, "embeddings", err)
                          : ob__task_check_format(ctx->job, OB_RECORD_ARRAYS, "unpooled features", err);
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

static float *pooled(const ob__task_context *ctx, const ob__sequence *sequence)
{
    return ctx->needs.want == OB_WANT_POOLER ? sequence->result.pooler : sequence->result.pooled;
}

static ob_status collect(const ob__task_context *ctx, ob__item *item, ob__sequence *sequence, ob_error *err)
{
    (void)item;
    (void)err;
    size_t hidden = ctx->config->hidden_size;
    if (!ctx->job->feature_extraction.normalize)
        return OB_OK;
    if (is_pooled(ctx))
        normalize(pooled(ctx, sequence), hidden);
    else
        for (size_t i = 0; i < sequence->token_count; i++)
            normalize(sequence->result.hidden + i * hidden, hidden);
    return OB_OK;
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    const ob__sequence *sequence = &item->sequences[0];
    size_t hidden = ctx->config->hidden_size;
    ob_named_array array =
        is_pooled(ctx)
            ? (ob_named_array){"embedding", 1, {hidden}, pooled(ctx, sequence)}
            : (ob_named_array){"last_hidden_state", 2, {sequence->token_count, hidden}, sequence->result.hidden};
    ob_record record = ob__item_record(item, is_pooled(ctx) ? OB_RECORD_EMBEDDING : OB_RECORD_ARRAYS);
    record.array_count = 1;
    record.arrays = &array;

    return sink->write(sink->user, &record, err);
}

const ob__task ob__task_feature_extraction = {
    .open = open_task, .row_tokens = NULL, .tokenise = NULL, .prepare = NULL, .collect = collect, .emit = emit};
