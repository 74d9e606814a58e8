/* The tasks of this version. */
#include "task.h"

#include <stdio.h>

const ob__task *ob__task_find(ob_task task)
{
    switch (task) {
    case OB_TASK_FILL_MASK:
        return &ob__task_fill_mask;
    case OB_TASK_FEATURE_EXTRACTION:
        return &ob__task_feature_extraction;
    case OB_TASK_FORWARD:
        return &ob__task_forward;
    case OB_TASK_TOKEN_CLASSIFICATION:
        return &ob__task_token_classification;
    case OB_TASK_QUESTION_ANSWERING:
        return &ob__task_question_answering;
    case OB_TASK_TEXT_CLASSIFICATION:
        return &ob__task_text_classification;
    case OB_TASK_MULTIPLE_CHOICE:
        return &ob__task_multiple_choice;
    case OB_TASK_PSEUDO_LOG_LIKELIHOOD:
        return &ob__task_pseudo_log_likelihood;
    default:
        return NULL;
    }
}

/* The formats that take `kind`, as words: "jsonl and csv". */
static const char *formats_for(ob_record_kind kind, char *out, size_t bytes)
{
    static const ob_output_format all[] = {OB_OUTPUT_JSONL, OB_OUTPUT_CSV, OB_OUTPUT_SAFETENSORS, OB_OUTPUT_NPY};
    const char *names[4];
    size_t count = 0, length = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (ob_output_format_takes(all[i], kind))
            names[count++] = ob_output_format_name(all[i]);
    out[0] = '\0';
    for (size_t i = 0; i < count && length < bytes; i++)
        length += (size_t)snprintf(out + length, bytes - length, "%s%s",
                                   i == 0           ? ""
                                   : i + 1 == count ? " and "
                                                    : ", ",
                                   names[i]);
    return out;
}

ob_status ob__task_check_format(const ob_job *job, ob_record_kind kind, const char *what, ob_error *err)
{
    char formats[64];
    if (job->output_format == OB_OUTPUT_AUTO || ob_output_format_takes(job->output_format, kind))
        return OB_OK;
    return ob_error_set(err, OB_ERR_CONFIG, "output.format: %s cannot hold %s; %s can",
                        ob_output_format_name(job->output_format), what, formats_for(kind, formats, sizeof formats));
}
