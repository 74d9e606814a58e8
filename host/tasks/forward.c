/* forward: the model's own numbers, row by row, under the names that transformers gives them. */
#include "task.h"

#include <oberta/memory.h>

#define MAX_ARRAYS 7

static bool wants(const ob__task_context *ctx, ob_forward_output output)
{
    return (ctx->job->forward.outputs & (unsigned)output) != 0;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    static const struct {
        ob_forward_output output;
        unsigned want;
    } map[] = {{OB_FORWARD_LAST_HIDDEN_STATE, OB_WANT_HIDDEN}, {OB_FORWARD_LOGITS, OB_WANT_LOGITS},
               {OB_FORWARD_POOLER_OUTPUT, OB_WANT_POOLER},     {OB_FORWARD_HIDDEN_STATES, OB_WANT_HIDDEN_STATES},
               {OB_FORWARD_ATTENTIONS, OB_WANT_ATTENTIONS},    {OB_FORWARD_CROSS_ATTENTIONS, OB_WANT_CROSS_ATTENTIONS}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        ctx->needs.want |= wants(ctx, map[i].output) ? map[i].want : 0;
    ctx->needs.head = wants(ctx, OB_FORWARD_LOGITS) ? ctx->config->head : OB_HEAD_NONE;
    ctx->needs.pooler = wants(ctx, OB_FORWARD_POOLER_OUTPUT);
    if (wants(ctx, OB_FORWARD_LOGITS) && ctx->config->head == OB_HEAD_NONE)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: config.json: architectures: '%s' has no head, so there are no logits", ctx->model_path,
                            ctx->config->architecture);
    if (wants(ctx, OB_FORWARD_CROSS_ATTENTIONS) && !ctx->config->add_cross_attention)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: config.json: add_cross_attention: false, so there are no cross_attentions",
                            ctx->model_path);
    if (wants(ctx, OB_FORWARD_CROSS_ATTENTIONS) && ctx->job->input_count > 0 &&
        ctx->job->inputs[0].tensors_path == NULL) /* all inputs have it, or none */
        return ob_error_set(err, OB_ERR_CONFIG,
                            "forward.outputs: cross_attentions needs inputs.tensors, which holds the "
                            "encoder's hidden states");
    if (ctx->needs.head == OB_HEAD_MULTIPLE_CHOICE && ctx->needs.want != OB_WANT_LOGITS)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "forward.outputs: a row of choices is several sequences, so only its logits can be given");
    return ob__task_check_format(ctx->job, OB_RECORD_ARRAYS, "the arrays of 'forward'", err);
}

static ob_status tokenise(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    return ctx->needs.head == OB_HEAD_MULTIPLE_CHOICE ? ob__tokenise_choices(ctx, item, encoder, err)
                                                      : ob__item_encode(item, encoder, &ctx->limits, false, err);
}

/* Logits of the LM head are computed where they are asked for: everywhere. */
static ob_status prepare(const ob__task_context *ctx, ob__item *item, ob_error *err)
{
    ob__sequence *sequence = &item->sequences[0];
    if (ctx->needs.head != OB_HEAD_LM)
        return OB_OK;
    if (!ob__sequence_reserve_positions(sequence, sequence->token_count))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu tokens", sequence->token_count);
    for (size_t i = 0; i < sequence->token_count; i++)
        sequence->positions[i] = (int32_t)i;
    return OB_OK;
}

/* Question answering: all starts, then all ends. */
static ob_status collect(const ob__task_context *ctx, ob__item *item, ob__sequence *sequence, ob_error *err)
{
    (void)item;
    if (ctx->needs.head != OB_HEAD_QUESTION_ANSWERING)
        return OB_OK;
    size_t tokens = sequence->token_count;
    float *apart = ob_realloc_array(NULL, tokens, 2 * sizeof *apart);
    if (apart == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the logits of %zu tokens", tokens);
    for (size_t i = 0; i < tokens; i++) {
        apart[i] = sequence->result.logits[2 * i];
        apart[tokens + i] = sequence->result.logits[2 * i + 1];
    }
    ob_free(sequence->result.logits);
    sequence->result.logits = apart;
    return OB_OK;
}

/* `choices` are the logits of a multiple-choice row, NULL for other heads. Returns how many arrays there are. */
static size_t add_logits(const ob__task_context *ctx, const ob__item *item, const float *choices, ob_named_array *out)
{
    const float *logits = item->sequences[0].result.logits;
    size_t tokens = item->sequences[0].token_count, labels = ctx->config->label_count;
    switch (ctx->needs.head) {
    case OB_HEAD_LM:
        out[0] = (ob_named_array){"logits", 2, {tokens, ctx->config->vocab_size}, logits};
        return 1;
    case OB_HEAD_TOKEN_CLASSIFICATION:
        out[0] = (ob_named_array){"logits", 2, {tokens, labels}, logits};
        return 1;
    case OB_HEAD_QUESTION_ANSWERING:
        out[0] = (ob_named_array){"start_logits", 1, {tokens}, logits};
        out[1] = (ob_named_array){"end_logits", 1, {tokens}, logits + tokens};
        return 2;
    case OB_HEAD_MULTIPLE_CHOICE:
        out[0] = (ob_named_array){"logits", 1, {item->sequence_count}, choices};
        return 1;
    default:
        out[0] = (ob_named_array){"logits", 1, {labels}, logits};
        return 1;
    }
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    const ob__sequence *sequence = &item->sequences[0];
    size_t tokens = sequence->token_count, hidden = ctx->config->hidden_size, layers = ctx->config->num_hidden_layers,
           heads = ctx->config->num_attention_heads;
    ob_named_array arrays[MAX_ARRAYS];
    size_t count = 0;
    float *choices = ctx->needs.head == OB_HEAD_MULTIPLE_CHOICE ? ob__choice_logits(item) : NULL;
    if (ctx->needs.head == OB_HEAD_MULTIPLE_CHOICE && choices == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu choices", item->sequence_count);
    if (wants(ctx, OB_FORWARD_LAST_HIDDEN_STATE))
        arrays[count++] = (ob_named_array){"last_hidden_state", 2, {tokens, hidden}, sequence->result.hidden};
    if (wants(ctx, OB_FORWARD_LOGITS))
        count += add_logits(ctx, item, choices, arrays + count);
    if (wants(ctx, OB_FORWARD_POOLER_OUTPUT))
        arrays[count++] = (ob_named_array){"pooler_output", 1, {hidden}, sequence->result.pooler};
    if (wants(ctx, OB_FORWARD_HIDDEN_STATES))
        arrays[count++] =
            (ob_named_array){"hidden_states", 3, {layers + 1, tokens, hidden}, sequence->result.hidden_states};
    if (wants(ctx, OB_FORWARD_ATTENTIONS))
        arrays[count++] =
            (ob_named_array){"attentions", 4, {layers, heads, tokens, tokens}, sequence->result.attentions};
    if (wants(ctx, OB_FORWARD_CROSS_ATTENTIONS))
        arrays[count++] = (ob_named_array){
            "cross_attentions", 4, {layers, heads, tokens, sequence->encoder_count}, sequence->result.cross_attentions};
    ob_record record = ob__item_record(item, OB_RECORD_ARRAYS);
    record.array_count = count;
    record.arrays = arrays;

    ob_status status = sink->write(sink->user, &record, err);
    ob_free(choices);
    return status;
}

const ob__task ob__task_forward = {
    .open = open_task, .row_tokens = NULL, .tokenise = tokenise, .prepare = prepare, .collect = collect, .emit = emit};
