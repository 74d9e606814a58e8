/* pseudo-log-likelihood: every token is masked in turn, and the model's log-probability of the true one is summed.
 *
 * A row is a sequence for each of its tokens but the special ones. They share the tokens of the first, so that a long
 * row costs the host little more than its text. */
#include "task.h"

#include <oberta/memory.h>

/* A token of ordinary text is about this many bytes. */
#define BYTES_PER_TOKEN 4

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    if (ctx->mask_id < 0)
        return ob_error_set(err, OB_ERR_MODEL, "%s: the tokenizer has no mask token", ctx->model_path);
    ctx->needs = (ob__task_needs){.head = OB_HEAD_LM, .want = OB_WANT_TARGET_SCORES};
    return ob__task_check_format(ctx->job, OB_RECORD_SCORE, "scores", err);
}

static size_t row_tokens(const ob__task_context *ctx, const ob_row *row)
{
    size_t tokens = row->token_count + (row->text.length + row->pair.length) / BYTES_PER_TOKEN;
    size_t length = tokens < ctx->limits.max_length ? tokens : ctx->limits.max_length;
    return length * length;
}

/* One mask at `position` of the row's first sequence. */
static bool mask_position(const ob__task_context *ctx, ob__sequence *sequence, int32_t position, int32_t target)
{
    sequence->replaced_at = position;
    sequence->replaced_id = ctx->mask_id;
    if (!ob__sequence_reserve_positions(sequence, 1))
        return false;
    sequence->positions[0] = position;
    sequence->target_ids[0] = target;
    return true;
}

static ob_status prepare(const ob__task_context *ctx, ob__item *item, ob_error *err)
{
    size_t length = item->sequences[0].token_count, scored = 0;
    for (size_t i = 0; i < length; i++) {
        int32_t id = item->sequences[0].input_ids[i];
        if (ob_tokenizer_is_special(ctx->tokenizer, id))
            continue;
        ob__sequence *sequence = scored == 0 ? &item->sequences[0] : ob__item_add_sequence(item);
        if (sequence == NULL || !mask_position(ctx, sequence, (int32_t)i, id))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu tokens", length);
        if (scored++ > 0) {
            sequence->as_first = true;
            sequence->token_count = length;
            sequence->head_mask = item->sequences[0].head_mask;
        }
    }
    if (scored == 0)
        item->sequence_count = 0; /* nothing to compute: an empty text */
    return OB_OK;
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    size_t count = item->sequence_count;
    bool wanted = ctx->job->pseudo_log_likelihood.token_scores;
    float *scores = ob_realloc_array(NULL, count + 1, sizeof *scores);
    int32_t *ids = ob_realloc_array(NULL, count + 1, sizeof *ids);
    const char **tokens = ob_realloc_array(NULL, count + 1, sizeof *tokens);
    ob_record record = ob__item_record(item, OB_RECORD_SCORE);
    ob_status status = OB_OK;
    if (scores == NULL || ids == NULL || tokens == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the scores of %zu tokens", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        scores[i] = item->sequences[i].result.target_scores[0];
        ids[i] = item->sequences[i].target_ids[0];
        const char *token = ob_tokenizer_token(ctx->tokenizer, ids[i]);
        tokens[i] = token != NULL ? token : ""; /* the model's vocabulary may be larger than the tokenizer's */
        record.score += (double)scores[i];
    }
    record.token_count = count;
    if (wanted) {
        record.token_scores = scores;
        record.token_ids = ids;
        record.tokens = tokens;
    }

    status = sink->write(sink->user, &record, err);
done:
    ob_free(scores);
    ob_free(ids);
    ob_free(tokens);
    return status;
}

const ob__task ob__task_pseudo_log_likelihood = {
    .open = open_task, .row_tokens = row_tokens, .tokenise = NULL, .prepare = prepare, .collect = NULL, .emit = emit};
