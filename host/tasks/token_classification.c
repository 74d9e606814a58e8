/* token-classification: entities of a text, with the fields of the transformers pipeline. */
#include "entities.h"
#include "task.h"

#include <oberta/memory.h>

/* <s> and </s> */
#define ADDED_TOKENS 2

static ob_status check_stride(const ob__task_context *ctx, ob_error *err)
{
    size_t stride = ctx->job->token_classification.stride, max_length = ctx->limits.max_length;
    if (stride == 0)
        return OB_OK;
    if (ctx->job->token_classification.aggregation_strategy == OB_AGGREGATION_NONE)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "token_classification.stride: %zu: windows are joined by their entities, which needs an "
                            "aggregation_strategy other than none",
                            stride);
    if (max_length <= ADDED_TOKENS || stride >= max_length - ADDED_TOKENS)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "token_classification.stride: %zu leaves nothing new in windows of %zu tokens, %d of which "
                            "are special",
                            stride, max_length, ADDED_TOKENS);
    return OB_OK;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    const ob_job *job = ctx->job;
    ctx->needs.head = OB_HEAD_TOKEN_CLASSIFICATION;
    ctx->needs.want = OB_WANT_LOGITS;
    if (check_stride(ctx, err) != OB_OK ||
        ob__task_check_format(job, OB_RECORD_ENTITIES, "the entities of 'token-classification'", err) != OB_OK)
        return ob_error_status(err);
    ob__entity_options *options = ob_malloc(sizeof *options);
    if (options == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    *options = (ob__entity_options){.tokenizer = ctx->tokenizer,
                                    .aggregation = job->token_classification.aggregation_strategy,
                                    .labels = (const char *const *)ctx->config->labels,
                                    .label_count = ctx->config->label_count,
                                    .ignore_labels = (const char *const *)job->token_classification.ignore_labels,
                                    .ignore_label_count = job->token_classification.ignore_label_count};
    ctx->state = options;
    return OB_OK;
}

/* Windows repeat what they share. */
static size_t row_tokens(const ob__task_context *ctx, const ob_row *row)
{
    size_t bytes_per_token = 4, max_length = ctx->limits.max_length, stride = ctx->job->token_classification.stride;
    return row->text.length / bytes_per_token * max_length / (max_length - stride);
}

static ob_status tokenise(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    const ob_row *row = &item->row;
    bool taken;
    if (row->tokenised || row->has_pair) {
        ob__item_reject(item, "%s: token-classification takes one text", row->tokenised ? "input_ids" : "text_pair");
        return OB_OK;
    }
    size_t stride = ctx->job->token_classification.stride;
    if (stride == 0)
        return ob__item_encode_text(item, encoder, &ctx->limits, &row->text, NULL, true, &taken, err);
    ob_encode_options options;
    ob_tokenizer_options(ctx->tokenizer, &options);
    options.truncation = OB_TRUNCATION_LONGEST_FIRST;
    options.max_length = ctx->limits.max_length;
    options.stride = stride;
    return ob__item_encode_windows(item, encoder, &ctx->limits, &row->text, NULL, &options, &taken, err);
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    ob__entities entities;
    ob_record record = ob__item_record(item, OB_RECORD_ENTITIES);
    const ob__entity_options *options = ctx->state;
    ob_status status =
        ob__entities_init(&entities, options, ob_strbuf_text(&item->row.text), item->row.text.length, err);
    for (size_t i = 0; i < item->sequence_count && status == OB_OK; i++)
        status =
            ob__entities_add_window(&entities, &item->sequences[i].encoding, item->sequences[i].result.logits, err);
    if (status == OB_OK)
        status = ob__entities_finish(&entities, &record.entities, &record.entity_count, err);
    record.grouped = options->aggregation != OB_AGGREGATION_NONE;

    if (status == OB_OK)
        status = sink->write(sink->user, &record, err);
    ob__entities_release(&entities);
    return status;
}

const ob__task ob__task_token_classification = {
    .open = open_task, .row_tokens = row_tokens, .tokenise = tokenise, .prepare = NULL, .collect = NULL, .emit = emit};
