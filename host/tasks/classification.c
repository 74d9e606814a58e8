/* text-classification: labels and scores as the transformers pipeline gives them. */
#include "softmax.h"
#include "task.h"

#include <math.h>
#include <oberta/memory.h>
#include <stdlib.h>

/* What the pipeline does by itself: regression as it is, several labels at a time or a single one by the sigmoid. */
static ob_score_function choose_function(const ob_job *job, const ob_roberta_config *config)
{
    if (job->text_classification.function_to_apply != OB_SCORE_AUTO)
        return job->text_classification.function_to_apply;
    if (config->problem_type == OB_PROBLEM_REGRESSION)
        return OB_SCORE_NONE;
    return config->problem_type == OB_PROBLEM_MULTI_LABEL || config->label_count == 1 ? OB_SCORE_SIGMOID
                                                                                      : OB_SCORE_SOFTMAX;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    ctx->needs = (ob__task_needs){.head = OB_HEAD_SEQUENCE_CLASSIFICATION, .want = OB_WANT_LOGITS};
    return ob__task_check_format(ctx->job, OB_RECORD_LABELS, "labels", err);
}

static ob_status collect(const ob__task_context *ctx, ob__item *item, ob__sequence *sequence, ob_error *err)
{
    (void)item;
    (void)err;
    float *scores = sequence->result.logits;
    size_t count = ctx->config->label_count;
    ob_score_function function = choose_function(ctx->job, ctx->config);
    if (function == OB_SCORE_SOFTMAX)
        ob__softmax(scores, count);
    for (size_t i = 0; function == OB_SCORE_SIGMOID && i < count; i++)
        scores[i] = (float)(1.0 / (1.0 + exp(-(double)scores[i])));
    return OB_OK;
}

typedef struct ranked {
    ob_label_score label;
    size_t index;
} ranked;

/* Best first; equal scores in order of labels. */
static int compare_scores(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->label.score != y->label.score)
        return x->label.score > y->label.score ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    size_t count = ctx->config->label_count, top_k = ctx->job->text_classification.top_k;
    const float *scores = item->sequences[0].result.logits;
    ranked *all = ob_realloc_array(NULL, count, sizeof *all);
    ob_label_score *labels = ob_realloc_array(NULL, count, sizeof *labels);
    ob_status status = OB_OK;
    if (all == NULL || labels == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu labels", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        all[i] = (ranked){{ctx->config->labels[i], scores[i]}, i};
    qsort(all, count, sizeof *all, compare_scores);
    for (size_t i = 0; i < count; i++)
        labels[i] = all[i].label;
    ob_record record = ob__item_record(item, OB_RECORD_LABELS);
    record.label_count = top_k == 0 || top_k > count ? count : top_k;
    record.labels = labels;
    record.as_list = top_k != 1;

    status = sink->write(sink->user, &record, err);
done:
    ob_free(all);
    ob_free(labels);
    return status;
}

const ob__task ob__task_text_classification = {
    .open = open_task, .row_tokens = NULL, .tokenise = NULL, .prepare = NULL, .collect = collect, .emit = emit};
