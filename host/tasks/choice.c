/* multiple-choice: a sequence for each pair of prompt and choice, softmax over the choices of a row. */
#include "softmax.h"
#include "task.h"

#include <oberta/memory.h>
#include <string.h>

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    ctx->needs = (ob__task_needs){.head = OB_HEAD_MULTIPLE_CHOICE, .want = OB_WANT_LOGITS};
    return ob__task_check_format(ctx->job, OB_RECORD_CHOICE, "choices", err);
}

ob_status ob__tokenise_choices(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    const ob_row *row = &item->row;
    bool taken = true;
    if (row->choice_count == 0)
        ob__item_reject(item, "choices are expected: [[prompt, choice], ...]");
    for (size_t i = 0; i < row->choice_count && taken; i++)
        if (ob__item_encode_text(item, encoder, &ctx->limits, &row->choices[i].prompt, &row->choices[i].text, false,
                                 &taken, err) != OB_OK)
            return ob_error_status(err);
    return OB_OK;
}

float *ob__choice_logits(const ob__item *item)
{
    float *logits = ob_realloc_array(NULL, item->sequence_count, sizeof *logits);
    for (size_t i = 0; logits != NULL && i < item->sequence_count; i++)
        logits[i] = item->sequences[i].result.logits[0];
    return logits;
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    (void)ctx;
    size_t count = item->sequence_count;
    float *logits = ob__choice_logits(item), *scores = ob_realloc_array(NULL, count, sizeof *scores);
    ob_status status = OB_OK;
    if (logits == NULL || scores == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu choices", count);
        goto done;
    }
    memcpy(scores, logits, count * sizeof *scores);
    ob__softmax(scores, count);
    ob_record record = ob__item_record(item, OB_RECORD_CHOICE);
    record.choice_count = count;
    record.choice_scores = scores;
    record.choice_logits = logits;

    status = sink->write(sink->user, &record, err);
done:
    ob_free(logits);
    ob_free(scores);
    return status;
}

const ob__task ob__task_multiple_choice = {.open = open_task,
                                           .row_tokens = NULL,
                                           .tokenise = ob__tokenise_choices,
                                           .prepare = NULL,
                                           .collect = NULL,
                                           .emit = emit};
