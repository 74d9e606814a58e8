/* A pipeline with its job, opened by one call, and texts from memory run through it. */
#include "results.h"

#include <oberta/memory.h>
#include <oberta/model.h>
#include <oberta/utf8.h>
#include <string.h>

struct ob_model {
    ob_job job; /* the pipeline's; never moves */
    ob_pipeline *pipeline;
};

void ob_model_options_default(ob_model_options *options)
{
    *options = (ob_model_options){.device = NULL};
    ob_pipeline_options_default(&options->pipeline);
}

/* A job with these settings, whose rows and records stay in memory. */
static ob_status parse_settings(const ob_model_options *options, ob_job *job, ob_error *err)
{
    static const char in_memory[] = "inputs: {path: '-'}";
    const char **settings = ob_realloc_array(NULL, options->setting_count + 1, sizeof *settings);
    ob_strbuf task = OB_STRBUF_INIT;
    size_t count = options->setting_count;
    for (size_t i = 0; settings != NULL && i < count; i++)
        settings[i] = options->settings[i];
    if (options->task != NULL)
        ob_strbuf_printf(&task, "task=%s", options->task);
    ob_status status;
    if (settings == NULL || task.failed) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the settings");
    } else {
        if (options->task != NULL)
            settings[count++] = ob_strbuf_text(&task);
        status = ob_job_parse(in_memory, sizeof in_memory - 1, "settings", "", settings, count, job, err);
    }
    ob_strbuf_release(&task);
    ob_free(settings);
    return status;
}

static ob_status set_device(const char *text, ob_job *job, ob_error *err)
{
    ob_device_selector selector;
    if (ob_device_selector_parse(text, &selector, err) != OB_OK) {
        ob_error_prefix(err, "device");
        return ob_error_status(err);
    }
    for (size_t i = 0; i < job->device_count; i++)
        ob_device_selector_release(&job->devices[i]);
    job->devices[0] = selector;
    job->device_count = 1;
    return OB_OK;
}

static ob_status make_job(const ob_model_options *options, ob_job *job, ob_error *err)
{
    if (parse_settings(options, job, err) != OB_OK)
        return ob_error_status(err);
    if (options->device != NULL && set_device(options->device, job, err) != OB_OK)
        return ob_error_status(err);
    char *nowhere = ob_strdup("-");
    if (nowhere == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the settings");
    ob_free(job->output_path);
    job->output_path = nowhere;
    job->output_format = OB_OUTPUT_JSONL; /* as the format that takes every kind of record */
    ob_free(job->model_path);
    job->model_path = NULL;
    job->fill_mask.attentions = (options->pipeline.want & OB_WANT_ATTENTIONS) != 0;
    return OB_OK;
}

ob_status ob_model_open(const char *folder, const ob_model_options *options, ob_model **out, ob_error *err)
{
    ob_model *model = ob_calloc(1, sizeof *model);
    if (model == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a model");
    ob_job_default(&model->job);
    ob_status status = make_job(options, &model->job, err);
    if (status == OB_OK)
        status = ob_pipeline_create(&model->job, folder, &options->pipeline, &model->pipeline, err);
    if (status != OB_OK) {
        ob_model_close(model);
        return status;
    }
    *out = model;
    return OB_OK;
}

void ob_model_close(ob_model *model)
{
    if (model == NULL)
        return;
    ob_pipeline_destroy(model->pipeline);
    ob_job_release(&model->job);
    ob_free(model);
}

const ob_pipeline_info *ob_model_get_info(const ob_model *model)
{
    return ob_pipeline_get_info(model->pipeline);
}

const ob_tokenizer *ob_model_tokenizer(const ob_model *model)
{
    return ob_pipeline_tokenizer(model->pipeline);
}

ob_pipeline *ob_model_pipeline(ob_model *model)
{
    return model->pipeline;
}

typedef struct text_source {
    const char *const *texts, *const *pairs;
    size_t count, next;
} text_source;

static void take_text(ob_row *row, const char *what, const char *text, ob_strbuf *out)
{
    size_t bytes = strlen(text), invalid = ob_utf8_invalid_at(text, bytes);
    ob_strbuf_append(out, text, bytes);
    if (invalid < bytes && row->defect == OB_OK) {
        row->defect = OB_ERR_INPUT;
        ob_strbuf_printf(&row->defect_text, "%s: invalid UTF-8 at byte %zu", what, invalid);
    }
}

static ob_status next_text(void *user, ob_row *row, bool *more, ob_error *err)
{
    text_source *source = user;
    *more = source->next < source->count;
    if (!*more)
        return OB_OK;
    const char *pair = source->pairs != NULL ? source->pairs[source->next] : NULL;
    row->number = source->next;
    row->file = "texts";
    row->line = source->next + 1;
    take_text(row, "text", source->texts[source->next], &row->text);
    row->has_pair = pair != NULL;
    if (pair != NULL)
        take_text(row, "text_pair", pair, &row->pair);
    source->next++;
    return row->text.failed || row->pair.failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a text")
                                                : OB_OK;
}

typedef struct line_source {
    const ob_input_spec *spec;
    const char *at, *end;
    uint64_t next;
} line_source;

static ob_status next_line(void *user, ob_row *row, bool *more, ob_error *err)
{
    line_source *source = user;
    *more = source->at < source->end;
    if (!*more)
        return OB_OK;
    size_t left = (size_t)(source->end - source->at);
    const char *newline = memchr(source->at, '\n', left);
    size_t bytes = newline != NULL ? (size_t)(newline - source->at) : left;
    row->number = source->next++;
    row->file = "rows";
    row->line = source->next;
    ob_status status = ob_row_parse_json(source->spec, source->at, bytes, row, err);
    source->at += newline != NULL ? bytes + 1 : bytes;
    return status;
}

static ob_status keep_record(void *user, const ob_record *record, ob_error *err)
{
    return ob__results_add(user, record, err);
}

static ob_status run(ob_model *model, const ob_row_source *source, ob_results **out, ob_error *err)
{
    ob_results *results = ob__results_create();
    if (results == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the results");
    const ob_record_sink sink = {keep_record, results};
    ob_status status = ob_pipeline_run_with(model->pipeline, source, &sink, NULL, NULL, NULL, err);
    if (status == OB_ERR_ROWS_FAILED) {
        ob_error_clear(err);
        status = OB_OK; /* on_error=skip: the records tell */
    }
    if (status == OB_OK)
        *out = results;
    else
        ob_results_destroy(results);
    return status;
}

ob_status ob_model_run(ob_model *model, const char *const *texts, const char *const *pairs, size_t count,
                       ob_results **out, ob_error *err)
{
    text_source texts_source = {texts, pairs, count, 0};
    const ob_row_source source = {next_text, NULL, NULL, &texts_source};
    return run(model, &source, out, err);
}

ob_status ob_model_run_jsonl(ob_model *model, const char *lines, size_t bytes, ob_results **out, ob_error *err)
{
    line_source line_rows = {model->job.inputs, lines, lines + bytes, 0};
    const ob_row_source source = {next_line, NULL, NULL, &line_rows};
    return run(model, &source, out, err);
}

ob_status ob_model_forward(ob_model *model, const ob_batch *batch, ob_result *result, ob_error *err)
{
    return ob_pipeline_forward(model->pipeline, batch, result, err);
}
