/* Batches of the caller's own, checked against what the model was built for, and completed where they leave things out.
 */
#include "pipeline_internal.h"

#include <oberta/memory.h>
#include <string.h>

static ob_status check_sizes(const ob_pipeline_info *info, const ob_batch *batch, ob_error *err)
{
    if (batch->sequence_count == 0 || batch->sequence_count > info->max_sequences)
        return ob_error_set(err, OB_ERR_INPUT, "sequence_count: %zu is not between 1 and %zu", batch->sequence_count,
                            info->max_sequences);
    if (batch->token_count == 0 || batch->token_count > info->max_tokens)
        return ob_error_set(err, OB_ERR_INPUT, "token_count: %zu is not between 1 and %zu", batch->token_count,
                            info->max_tokens);
    if (batch->input_ids == NULL)
        return ob_error_set(err, OB_ERR_INPUT, "input_ids: missing");
    if (batch->cu_seqlens == NULL && batch->sequence_count != 1)
        return ob_error_set(err, OB_ERR_INPUT, "cu_seqlens: missing, for %zu sequences", batch->sequence_count);
    if (batch->position_count > info->max_tokens || (batch->position_count > 0 && batch->positions == NULL))
        return ob_error_set(err, OB_ERR_INPUT, "position_count: %zu positions, but at most %zu are taken",
                            batch->position_count, batch->positions != NULL ? info->max_tokens : 0);
    for (size_t i = 0; i < batch->position_count; i++)
        if (batch->positions[i] < 0 || (size_t)batch->positions[i] >= batch->token_count)
            return ob_error_set(err, OB_ERR_INPUT, "positions[%zu]: %d is not between 0 and %zu", i,
                                (int)batch->positions[i], batch->token_count - 1);
    return OB_OK;
}

/* Prefix sums from 0 to `total` (SIZE_MAX: to anywhere), each sequence with one element at least. */
static ob_status check_sequences(const char *what, const int32_t *cu, size_t count, size_t total, ob_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (cu[i] < 0 || cu[i + 1] <= cu[i])
            return ob_error_set(err, OB_ERR_INPUT, "%s[%zu]: %d after %d; they begin with 0 and grow", what, i + 1,
                                (int)cu[i + 1], (int)cu[i]);
    if (cu[0] != 0 || (total != SIZE_MAX && (size_t)cu[count] != total))
        return ob_error_set(err, OB_ERR_INPUT, "%s: %d to %d, but they lead from 0 to the number of tokens", what,
                            (int)cu[0], (int)cu[count]);
    return OB_OK;
}

static ob_status check_encoder(const ob_pipeline *p, const ob_batch *batch, ob_error *err)
{
    const int32_t *cu = batch->encoder_cu_seqlens;
    if (cu == NULL)
        return OB_OK;
    if (batch->encoder_hidden_states == NULL)
        return ob_error_set(err, OB_ERR_INPUT, "encoder_hidden_states: missing");
    if (check_sequences("encoder_cu_seqlens", cu, batch->sequence_count, SIZE_MAX, err) != OB_OK)
        return ob_error_status(err);
    const ob__worker_info *worker = ob__worker_get_info(p->worker);
    size_t most = worker->max_encoder_tokens, longest = worker->max_encoder_length;
    if ((size_t)cu[batch->sequence_count] > most)
        return ob_error_set(err, OB_ERR_INPUT,
                            "encoder_hidden_states: %d states, but %zu were planned (max_encoder_tokens)",
                            (int)cu[batch->sequence_count], most);
    for (size_t i = 0; i < batch->sequence_count; i++)
        if ((size_t)(cu[i + 1] - cu[i]) > longest)
            return ob_error_set(err, OB_ERR_INPUT,
                                "encoder_cu_seqlens[%zu]: a sequence of %d states, but %zu were planned "
                                "(max_encoder_tokens)",
                                i + 1, (int)(cu[i + 1] - cu[i]), longest);
    return OB_OK;
}

static ob_status check_want(const ob_pipeline *p, const ob_batch *batch, ob_error *err)
{
    const ob__task_needs *planned = &p->planned;
    const unsigned lm = OB_WANT_TOP_K | OB_WANT_TARGET_SCORES;
    const unsigned reserved = OB_WANT_ATTENTIONS | OB_WANT_CROSS_ATTENTIONS | OB_WANT_TARGET_SCORES | OB_WANT_POOLED;
    if (((batch->want & OB_WANT_LOGITS) != 0 && planned->head == OB_HEAD_NONE) ||
        ((batch->want & lm) != 0 && planned->head != OB_HEAD_LM))
        return ob_error_set(err, OB_ERR_INPUT, "want: the task '%s' loads no head that gives it",
                            ob_task_name(p->job->task));
    if ((batch->want & reserved & ~planned->want) != 0 || ((batch->want & OB_WANT_POOLER) != 0 && !planned->pooler))
        return ob_error_set(err, OB_ERR_INPUT,
                            "want: 0x%x was not planned; neither the task nor the options' want has it",
                            (batch->want & (reserved | OB_WANT_POOLER)) & ~planned->want);
    if ((batch->want & OB_WANT_TOP_K) != 0 && (batch->top_k == 0 || batch->top_k > planned->top_k))
        return ob_error_set(err, OB_ERR_INPUT, "top_k: %zu is not between 1 and %zu", batch->top_k, planned->top_k);
    if ((batch->want & OB_WANT_TARGET_SCORES) != 0 && batch->target_ids == NULL && batch->position_count > 0)
        return ob_error_set(err, OB_ERR_INPUT, "target_ids: missing");
    return OB_OK;
}

/* What the batch leaves out, in memory of the pipeline. */
static ob_status complete(ob_pipeline *p, ob_batch *batch, ob_error *err)
{
    size_t tokens = batch->token_count;
    if (!ob_array_reserve((void **)&p->scratch, &p->scratch_capacity, 2 + 2 * tokens, sizeof *p->scratch))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a batch of %zu tokens", tokens);
    if (batch->cu_seqlens == NULL) {
        batch->cu_seqlens = p->scratch;
        batch->cu_seqlens[0] = 0;
        batch->cu_seqlens[1] = (int32_t)tokens;
    }
    if (check_sequences("cu_seqlens", batch->cu_seqlens, batch->sequence_count, tokens, err) != OB_OK)
        return ob_error_status(err);
    if (batch->token_type_ids == NULL) {
        batch->token_type_ids = p->scratch + 2;
        memset(batch->token_type_ids, 0, tokens * sizeof *batch->token_type_ids);
    }
    if (batch->position_ids == NULL) {
        batch->position_ids = p->scratch + 2 + tokens;
        for (size_t i = 0; i < batch->sequence_count; i++) {
            size_t begin = (size_t)batch->cu_seqlens[i], end = (size_t)batch->cu_seqlens[i + 1];
            ob_position_ids(batch->input_ids + begin, end - begin, p->config.pad_token_id, batch->position_ids + begin);
        }
    }
    return OB_OK;
}

ob_status ob_pipeline_forward(ob_pipeline *p, const ob_batch *batch, ob_result *result, ob_error *err)
{
    ob_batch whole = *batch;
    if (check_sizes(&p->info, batch, err) != OB_OK || check_want(p, batch, err) != OB_OK ||
        complete(p, &whole, err) != OB_OK || check_encoder(p, batch, err) != OB_OK)
        return ob_error_status(err);
    return ob__worker_run(p->worker, &whole, result, err);
}
