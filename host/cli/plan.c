/* run --check: what a job would do, in words and as JSON. */
#include "cli.h"

#include <string.h>

static const char *target_name(const char *path, const char *standard)
{
    return strcmp(path, "-") == 0 ? standard : path;
}

static void append_count_or_all(ob_strbuf *out, const char *before, size_t count)
{
    ob_strbuf_puts(out, before);
    if (count == 0)
        ob_strbuf_puts(out, "all");
    else
        ob_strbuf_printf(out, "%zu", count);
}

static void append_outputs(ob_strbuf *out, unsigned outputs)
{
    static const char *const names[] = {"last_hidden_state", "logits",     "pooler_output",
                                        "hidden_states",     "attentions", "cross_attentions"};
    const char *before = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((outputs & 1u << i) != 0) {
            ob_strbuf_printf(out, "%s%s", before, names[i]);
            before = ", ";
        }
}

static void append_features(ob_strbuf *out, const ob_job *job)
{
    static const char *const poolings[] = {[OB_POOLING_NONE] = "none",
                                           [OB_POOLING_CLS] = "cls",
                                           [OB_POOLING_MEAN] = "mean",
                                           [OB_POOLING_POOLER] = "pooler"};
    ob_strbuf_printf(out, "pooling %s", poolings[job->feature_extraction.pooling]);
    if (!job->feature_extraction.pooling_given)
        ob_strbuf_puts(out, ", or as modules.json says");
    ob_strbuf_puts(out, job->feature_extraction.normalize ? ", normalized" : "");
}

static void append_classification(ob_strbuf *out, const ob_job *job)
{
    static const char *const functions[] = {[OB_SCORE_AUTO] = "as config.json says",
                                            [OB_SCORE_SOFTMAX] = "softmax",
                                            [OB_SCORE_SIGMOID] = "sigmoid",
                                            [OB_SCORE_NONE] = "none"};
    append_count_or_all(out, "top_k ", job->text_classification.top_k);
    ob_strbuf_printf(out, ", function_to_apply %s", functions[job->text_classification.function_to_apply]);
}

static void append_tokens(ob_strbuf *out, const ob_job *job)
{
    static const char *const strategies[] = {[OB_AGGREGATION_NONE] = "none",
                                             [OB_AGGREGATION_SIMPLE] = "simple",
                                             [OB_AGGREGATION_FIRST] = "first",
                                             [OB_AGGREGATION_AVERAGE] = "average",
                                             [OB_AGGREGATION_MAX] = "max"};
    ob_strbuf_printf(out, "aggregation_strategy %s", strategies[job->token_classification.aggregation_strategy]);
    if (job->token_classification.stride > 0)
        ob_strbuf_printf(out, ", long texts in windows that share %zu tokens", job->token_classification.stride);
}

/* The keys of the task that shape what it gives. */
static void append_options(ob_strbuf *out, const ob_job *job)
{
    switch (job->task) {
    case OB_TASK_FILL_MASK:
        ob_strbuf_printf(out, "top_k %zu", job->fill_mask.top_k);
        if (job->fill_mask.target_count > 0)
            ob_strbuf_printf(out, ", %zu targets", job->fill_mask.target_count);
        break;
    case OB_TASK_FEATURE_EXTRACTION:
        append_features(out, job);
        break;
    case OB_TASK_FORWARD:
        append_outputs(out, job->forward.outputs);
        break;
    case OB_TASK_TEXT_CLASSIFICATION:
        append_classification(out, job);
        break;
    case OB_TASK_TOKEN_CLASSIFICATION:
        append_tokens(out, job);
        break;
    case OB_TASK_QUESTION_ANSWERING:
        ob_strbuf_printf(out, "top_k %zu, answers of up to %zu words, long contexts in windows",
                         job->question_answering.top_k, job->question_answering.max_answer_len);
        ob_strbuf_puts(out, job->question_answering.handle_impossible_answer ? ", or no answer" : "");
        break;
    case OB_TASK_MULTIPLE_CHOICE:
        ob_strbuf_puts(out, "a sequence for each choice");
        break;
    case OB_TASK_PSEUDO_LOG_LIKELIHOOD:
        ob_strbuf_puts(out, "a sequence for each token");
        ob_strbuf_puts(out, job->pseudo_log_likelihood.token_scores ? ", with the scores of tokens" : "");
        break;
    }
}

static void append_words(const ob_job *job, const ob_pipeline_info *info, const char *options, ob_strbuf *out)
{
    char tokens[32];
    cli_format_count(tokens, info->max_tokens);
    ob_strbuf_printf(out, "task     %s: %s\n", ob_task_name(job->task), options);
    for (size_t i = 0; i < job->input_count; i++)
        ob_strbuf_printf(out, "input    %s\n", target_name(job->inputs[i].path, "standard input"));
    ob_strbuf_printf(out, "output   %s, %s; %s\n", target_name(job->output_path, "standard output"),
                     ob_output_format_name(job->output_format),
                     job->skip_errors ? "rows that are wrong become error rows"
                                      : "the first row that is wrong stops it");
    ob_strbuf_printf(out, "batches  up to %s tokens, sequences of up to %zu, %s\n", tokens, info->max_length,
                     job->sort_by_length ? "similar lengths together" : "in order of arrival");
}

static void append_string(ob_strbuf *out, const char *before, const char *text)
{
    ob_strbuf_puts(out, before);
    ob_json_append_string(out, text, strlen(text));
}

static void append_json(const ob_job *job, const ob_pipeline_info *info, const char *options, ob_strbuf *out)
{
    append_string(out, "{\"task\":", ob_task_name(job->task));
    append_string(out, ",\"options\":", options);
    ob_strbuf_puts(out, ",\"inputs\":[");
    for (size_t i = 0; i < job->input_count; i++)
        append_string(out, i > 0 ? "," : "", job->inputs[i].path);
    append_string(out, "],\"output\":", job->output_path);
    append_string(out, ",\"format\":", ob_output_format_name(job->output_format));
    append_string(out, ",\"model\":", info->model_path);
    append_string(out, ",\"container\":", info->container);
    ob_strbuf_printf(out, ",\"parameters\":%llu,\"weight_bytes\":%llu,\"activation_bytes\":%llu",
                     (unsigned long long)info->parameters, (unsigned long long)info->weight_bytes,
                     (unsigned long long)info->activation_bytes);
    ob_strbuf_printf(out, ",\"max_tokens\":%zu,\"max_length\":%zu,\"sort_by_length\":%s,\"skip_errors\":%s,\"device\":",
                     info->max_tokens, info->max_length, job->sort_by_length ? "true" : "false",
                     job->skip_errors ? "true" : "false");
    cli_append_device_json(out, info->device);
    ob_strbuf_puts(out, "}\n");
}

int cli_print_plan(const cli_context *ctx, const ob_job *job, const ob_pipeline_info *info)
{
    ob_strbuf options = OB_STRBUF_INIT, out = OB_STRBUF_INIT;
    append_options(&options, job);
    if (ctx->json)
        append_json(job, info, ob_strbuf_text(&options), &out);
    else
        append_words(job, info, ob_strbuf_text(&options), &out);
    int status = 0;
    if (options.failed || out.failed) {
        ob_error err;
        ob_error_clear(&err);
        ob_error_set(&err, OB_ERR_OUT_OF_MEMORY, "no memory for the plan");
        status = cli_fail(ctx, &err);
    } else {
        cli_print_lines(stdout, ob_strbuf_text(&out)); /* JSON has no control characters but its newline */
    }
    ob_strbuf_release(&options);
    ob_strbuf_release(&out);
    return status;
}
