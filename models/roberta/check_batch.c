/* A batch against the model's sizes and against what it was built for. */
#include "check_batch.h"

#include <math.h>

static ob_status check_tokens(const ob_roberta_config *c, const ob_batch *batch, ob_error *err)
{
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

static ob_status check_lengths(const ob__batch_limits *limits, const ob_batch *batch, ob_error *err)
{
    if (batch->token_count > limits->max_tokens || batch->sequence_count > limits->max_sequences ||
        batch->cu_seqlens[0] != 0 || batch->cu_seqlens[batch->sequence_count] < 0 ||
        (size_t)batch->cu_seqlens[batch->sequence_count] != batch->token_count)
        return ob_error_set(err, OB_ERR_INTERNAL, "a batch of %zu tokens in %zu sequences, planned were %zu in %zu",
                            batch->token_count, batch->sequence_count, limits->max_tokens, limits->max_sequences);
    for (size_t i = 0; i < batch->sequence_count; i++) {
        int32_t begin = batch->cu_seqlens[i], end = batch->cu_seqlens[i + 1];
        if (end <= begin || (size_t)(end - begin) > limits->max_length)
            return ob_error_set(err, OB_ERR_INPUT, "a sequence of %d tokens, but the model takes 1 to %zu", end - begin,
                                limits->max_length);
    }
    return OB_OK;
}

static ob_status check_want(const ob_roberta_config *config, const ob__batch_limits *limits, const ob_batch *batch,
                            ob_error *err)
{
    unsigned want = batch->want, planned = OB_WANT_ATTENTIONS | OB_WANT_CROSS_ATTENTIONS | OB_WANT_TARGET_SCORES;
    if ((want & OB_WANT_LOGITS) != 0 && limits->head == OB_HEAD_NONE)
        return ob_error_set(err, OB_ERR_INTERNAL, "logits are wanted, but no head was loaded");
    if ((want & (OB_WANT_TOP_K | OB_WANT_TARGET_SCORES)) != 0 && limits->head != OB_HEAD_LM)
        return ob_error_set(err, OB_ERR_INTERNAL, "the masked-LM head was not loaded");
    if ((want & OB_WANT_POOLER) != 0 && !limits->pooler)
        return ob_error_set(err, OB_ERR_INTERNAL, "pooler_output is wanted, but the pooler was not loaded");
    if ((want & planned & ~limits->want) != 0 || ob_want_pooled_count(want) > limits->max_pooled)
        return ob_error_set(err, OB_ERR_INTERNAL,
                            "maps, target scores or poolings are wanted that no memory was planned for");
    if ((want & OB_WANT_CROSS_ATTENTIONS) != 0 && batch->encoder_cu_seqlens == NULL)
        return ob_error_set(err, OB_ERR_INPUT, "cross_attentions are wanted, but there are no encoder_hidden_states");
    if ((want & OB_WANT_TOP_K) != 0 && (batch->top_k == 0 || batch->top_k > limits->max_top_k))
        return ob_error_set(err, OB_ERR_INTERNAL, "top_k %zu, planned was %zu", batch->top_k, limits->max_top_k);
    if (batch->position_count > limits->max_tokens)
        return ob_error_set(err, OB_ERR_INTERNAL, "%zu wanted rows of %zu tokens", batch->position_count,
                            batch->token_count);
    for (size_t i = 0; i < batch->position_count; i++)
        if (batch->positions[i] < 0 || (size_t)batch->positions[i] >= batch->token_count)
            return ob_error_set(err, OB_ERR_INTERNAL, "row %d is wanted of %zu tokens", batch->positions[i],
                                batch->token_count);
    if ((want & OB_WANT_TARGET_SCORES) == 0)
        return OB_OK;
    if (batch->target_ids == NULL && batch->position_count > 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "target scores are wanted without target_ids");
    for (size_t i = 0; i < batch->position_count; i++)
        if (batch->target_ids[i] < 0 || (size_t)batch->target_ids[i] >= config->vocab_size)
            return ob_error_set(err, OB_ERR_INPUT, "target_ids: %d is not between 0 and the vocabulary's %zu",
                                batch->target_ids[i], config->vocab_size - 1);
    return OB_OK;
}

/* A factor that is no number would make all of a head's values none. */
static ob_status check_head_mask(const ob_roberta_config *c, const ob_batch *batch, ob_error *err)
{
    size_t heads = c->num_attention_heads, per_sequence = c->num_hidden_layers * heads;
    for (size_t i = 0; batch->head_mask != NULL && i < batch->sequence_count * per_sequence; i++)
        if (!isfinite(batch->head_mask[i]))
            return ob_error_set(err, OB_ERR_INPUT, "head_mask: layer %zu, head %zu: %g is no finite number",
                                i % per_sequence / heads, i % heads, (double)batch->head_mask[i]);
    return OB_OK;
}

static ob_status check_encoder(const ob_roberta_config *c, const ob__batch_limits *limits, const ob_batch *batch,
                               ob_error *err)
{
    const int32_t *cu_seqlens = batch->encoder_cu_seqlens;
    if (cu_seqlens == NULL)
        return OB_OK;
    if (!c->add_cross_attention)
        return ob_error_set(err, OB_ERR_INPUT, "encoder_hidden_states: the model has no cross-attention");
    if (batch->encoder_hidden_states == NULL || cu_seqlens[0] != 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "encoder sequences without encoder_hidden_states");
    for (size_t i = 0; i < batch->sequence_count; i++)
        if (cu_seqlens[i + 1] <= cu_seqlens[i])
            return ob_error_set(err, OB_ERR_INPUT, "encoder_hidden_states: a sequence of %d states",
                                cu_seqlens[i + 1] - cu_seqlens[i]);
    size_t count = (size_t)cu_seqlens[batch->sequence_count];
    if (count > limits->max_encoder_tokens)
        return ob_error_set(err, OB_ERR_INTERNAL, "%zu encoder states, planned were %zu", count,
                            limits->max_encoder_tokens);
    for (size_t i = 0; i < batch->sequence_count; i++)
        if ((size_t)(cu_seqlens[i + 1] - cu_seqlens[i]) > limits->max_encoder_length)
            return ob_error_set(err, OB_ERR_INTERNAL, "an encoder sequence of %d states, planned were %zu",
                                cu_seqlens[i + 1] - cu_seqlens[i], limits->max_encoder_length);
    for (size_t i = 0; i < count * c->hidden_size; i++)
        if (!isfinite(batch->encoder_hidden_states[i]))
            return ob_error_set(err, OB_ERR_INPUT, "encoder_hidden_states: element %zu: %g is no finite number", i,
                                (double)batch->encoder_hidden_states[i]);
    for (size_t i = 0; batch->encoder_attention_mask != NULL && i < count; i++)
        if (batch->encoder_attention_mask[i] != 0 && batch->encoder_attention_mask[i] != 1)
            return ob_error_set(err, OB_ERR_INPUT, "encoder_attention_mask: %d is neither 0 nor 1",
                                batch->encoder_attention_mask[i]);
    return OB_OK;
}

ob_status ob__check_batch(const ob_roberta_config *config, const ob__batch_limits *limits, const ob_batch *batch,
                          ob_error *err)
{
    if (check_lengths(limits, batch, err) != OB_OK || check_want(config, limits, batch, err) != OB_OK ||
        check_tokens(config, batch, err) != OB_OK || check_head_mask(config, batch, err) != OB_OK ||
        check_encoder(config, limits, batch, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}
