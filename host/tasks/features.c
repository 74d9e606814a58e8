/* feature-extraction: a vector for each token, or one for the row: pooled as the job says, or else as the folder's
 * modules.json does (sentence-transformers). */
#include "strip.h"
#include "task.h"

#include <math.h>
#include <oberta/memory.h>
#include <oberta/sentence.h>

typedef struct features {
    bool described; /* the embedding is that of modules.json: texts are stripped, as there */
    bool pooled, normalize;
    size_t width; /* of a vector */
} features;

static ob_status take_description(ob__task_context *ctx, const ob_sentence *sentence, features *state, ob_error *err)
{
    size_t hidden = ctx->config->hidden_size;
    if (sentence->width != 0 && sentence->width != hidden)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: the pooling's config.json: word_embedding_dimension: %zu, but hidden_size is %zu",
                            ctx->root_path, sentence->width, hidden);
    state->described = state->pooled = true;
    state->normalize |= sentence->normalize;
    state->width = hidden * ob_want_pooled_count(sentence->poolings);
    ctx->needs.want = sentence->poolings;
    if (ctx->job->max_length == 0 && sentence->max_seq_length > 0 && sentence->max_seq_length < ctx->limits.max_length)
        ctx->limits.max_length = sentence->max_seq_length;
    return OB_OK;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    static const unsigned wants[] = {OB_WANT_HIDDEN, OB_WANT_CLS, OB_WANT_MEAN, OB_WANT_POOLER}; /* of ob_pooling */
    const ob_job *job = ctx->job;
    ob_pooling pooling = job->feature_extraction.pooling;
    ob_sentence sentence = {.found = false};
    features *state = ctx->state = ob_malloc(sizeof *state);
    if (state == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the task");
    *state = (features){.pooled = pooling != OB_POOLING_NONE,
                        .normalize = job->feature_extraction.normalize,
                        .width = ctx->config->hidden_size};
    ctx->needs = (ob__task_needs){.want = wants[pooling], .pooler = pooling == OB_POOLING_POOLER};
    if (!job->feature_extraction.pooling_given && ob_sentence_load(ctx->root_path, &sentence, err) != OB_OK) {
        ob_error_prefix(err, "%s", ctx->root_path);
        return ob_error_status(err);
    }
    if (sentence.found && take_description(ctx, &sentence, state, err) != OB_OK)
        return ob_error_status(err);
    return state->pooled ? ob__task_check_format(job, OB_RECORD_EMBEDDING, "embeddings", err)
                         : ob__task_check_format(job, OB_RECORD_ARRAYS, "unpooled features", err);
}

static ob_status tokenise(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    const features *state = ctx->state;
    const ob_row *row = &item->row;
    if (!state->described || row->tokenised || row->choice_count > 0)
        return ob__item_encode(item, encoder, &ctx->limits, false, err);
    ob_strbuf text = ob__strip(&row->text), pair = ob__strip(&row->pair);
    bool taken;
    return ob__item_encode_text(item, encoder, &ctx->limits, &text, row->has_pair ? &pair : NULL, false, &taken, err);
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

static float *vectors(const ob__task_context *ctx, const ob__sequence *sequence)
{
    const features *state = ctx->state;
    if (!state->pooled)
        return sequence->result.hidden;
    return ctx->needs.want == OB_WANT_POOLER ? sequence->result.pooler : sequence->result.pooled;
}

static ob_status collect(const ob__task_context *ctx, ob__item *item, ob__sequence *sequence, ob_error *err)
{
    const features *state = ctx->state;
    size_t count = state->pooled ? 1 : sequence->token_count;
    (void)item;
    (void)err;
    for (size_t i = 0; state->normalize && i < count; i++)
        normalize(vectors(ctx, sequence) + i * state->width, state->width);
    return OB_OK;
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    const features *state = ctx->state;
    const ob__sequence *sequence = &item->sequences[0];
    const float *data = vectors(ctx, sequence);
    ob_named_array array = state->pooled
                               ? (ob_named_array){"embedding", 1, {state->width}, data}
                               : (ob_named_array){"last_hidden_state", 2, {sequence->token_count, state->width}, data};
    ob_record record = ob__item_record(item, state->pooled ? OB_RECORD_EMBEDDING : OB_RECORD_ARRAYS);
    record.array_count = 1;
    record.arrays = &array;

    return sink->write(sink->user, &record, err);
}

const ob__task ob__task_feature_extraction = {
    .open = open_task, .row_tokens = NULL, .tokenise = tokenise, .prepare = NULL, .collect = collect, .emit = emit};
