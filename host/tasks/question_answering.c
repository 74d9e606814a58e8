/* question-answering: pieces of a context that answer a question, with the fields of the transformers pipeline. */
#include "answers.h"
#include "task.h"

#include <oberta/memory.h>
#include <stdio.h>

#define DEFAULT_MAX_SEQ_LEN 384
#define DEFAULT_DOC_STRIDE  128

typedef struct state {
    ob__answer_options answers;
    ob_encode_options windows;
    size_t max_question_len; /* 0: the question is not cut */
} state;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static ob_status check_lengths(const ob__task_context *ctx, state *s, ob_error *err)
{
    size_t limit = ctx->limits.max_length, asked = ctx->job->question_answering.max_seq_len;
    size_t stride = ctx->job->question_answering.doc_stride;
    if (asked > limit)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "question_answering.max_seq_len: %zu is more than the %zu that model and tokenizer take",
                            asked, limit);
    size_t length = asked > 0 ? asked : smaller(limit, DEFAULT_MAX_SEQ_LEN);
    if (stride == OB_DOC_STRIDE_AUTO)
        stride = smaller(length / 2, DEFAULT_DOC_STRIDE);
    if (stride >= length)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "question_answering.doc_stride: %zu leaves nothing new in windows of %zu tokens", stride,
                            length);
    s->windows.max_length = length;
    s->windows.stride = stride;
    return OB_OK;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    const ob_job *job = ctx->job;
    if (ctx->config->label_count != 2)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: config.json: id2label: %zu labels, but question answering has two outputs, start and "
                            "end",
                            ctx->model_path, ctx->config->label_count);
    ctx->needs.head = OB_HEAD_QUESTION_ANSWERING;
    ctx->needs.want = OB_WANT_LOGITS;
    state *s = ob_calloc(1, sizeof *s);
    if (s == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    ctx->state = s;
    ob_tokenizer_options(ctx->tokenizer, &s->windows);
    s->windows.truncation = OB_TRUNCATION_ONLY_SECOND;
    s->windows.details = true;
    s->max_question_len = job->question_answering.max_question_len;
    s->answers = (ob__answer_options){.top_k = job->question_answering.top_k,
                                      .max_answer_len = job->question_answering.max_answer_len,
                                      .handle_impossible_answer = job->question_answering.handle_impossible_answer,
                                      .align_to_words = job->question_answering.align_to_words,
                                      .cls_id = ob_tokenizer_special_id(ctx->tokenizer, OB_TOKEN_BOS)};
    if (check_lengths(ctx, s, err) != OB_OK)
        return ob_error_status(err);
    ctx->limits.max_length = s->windows.max_length;
    return ob__task_check_format(job, OB_RECORD_ANSWERS, "the answers of 'question-answering'", err);
}

/* Windows repeat what they share, and the question. */
static size_t row_tokens(const ob__task_context *ctx, const ob_row *row)
{
    const state *s = ctx->state;
    size_t bytes_per_token = 4, length = s->windows.max_length;
    return (row->text.length + row->pair.length) / bytes_per_token * length / (length - s->windows.stride);
}

/* Cuts the question behind the last of so many tokens that ends with a character. Its tokens stay what they were: no
 * merge joined them with what is cut. */
static ob_status cut_question(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    const state *s = ctx->state;
    ob_strbuf *question = &item->row.text;
    ob_encoding *encoding = &encoder->encoding;
    ob__char_index index;
    ob_encode_options options;
    ob_tokenizer_options(ctx->tokenizer, &options);
    options.add_special_tokens = false;
    options.details = true;
    ob_status status = ob_tokenizer_encode(ctx->tokenizer, encoder->cache, question->data, question->length, NULL, 0,
                                           &options, encoding, err);
    if (status != OB_OK || encoding->count <= s->max_question_len)
        return status;
    size_t keep = s->max_question_len;
    while (keep > 0 && encoding->offsets[keep][0] < encoding->offsets[keep - 1][1])
        keep--;
    if (!ob__char_index_init(&index, question->data, question->length))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a question of %zu tokens", encoding->count);
    size_t end = keep > 0 ? ob__char_index_byte(&index, encoding->offsets[keep - 1][1]) : 0;
    ob__char_index_release(&index);
    question->length = end;
    question->data[end] = '\0';
    return OB_OK;
}

static ob_status tokenise(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    const state *s = ctx->state;
    const ob_row *row = &item->row;
    bool taken;
    if (row->tokenised) {
        ob__item_reject(item, "input_ids: question-answering takes a question and a context");
        return OB_OK;
    }
    if (row->text.length == 0 || !row->has_pair || row->pair.length == 0) {
        ob__item_reject(item, "%s: is empty", row->text.length == 0 ? "question" : "context");
        return OB_OK;
    }
    if (s->max_question_len > 0 && cut_question(ctx, item, encoder, err) != OB_OK)
        return ob_error_status(err);
    ob_status status =
        ob__item_encode_windows(item, encoder, &ctx->limits, &row->text, &row->pair, &s->windows, &taken, err);
    if (status == OB_OK && !taken) {
        char reason[256];
        snprintf(reason, sizeof reason, "%s", ob_strbuf_text(&row->defect_text));
        ob__item_reject(item,
                        "no room for the context in windows of %zu tokens that share %zu (max_seq_len, "
                        "doc_stride): %s",
                        s->windows.max_length, s->windows.stride, reason);
    }
    return status;
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    ob__answers answers;
    ob_record record = ob__item_record(item, OB_RECORD_ANSWERS);
    const state *s = ctx->state;
    ob_status status =
        ob__answers_init(&answers, &s->answers, ob_strbuf_text(&item->row.pair), item->row.pair.length, err);
    for (size_t i = 0; i < item->sequence_count && status == OB_OK; i++)
        status = ob__answers_add_window(&answers, &item->sequences[i].encoding, item->sequences[i].result.logits, err);
    if (status == OB_OK)
        status = ob__answers_finish(&answers, &record.answers, &record.answer_count, err);
    record.as_list = s->answers.top_k > 1;

    if (status == OB_OK)
        status = sink->write(sink->user, &record, err);
    ob__answers_release(&answers);
    return status;
}

const ob__task ob__task_question_answering = {
    .open = open_task, .row_tokens = row_tokens, .tokenise = tokenise, .prepare = NULL, .collect = NULL, .emit = emit};
