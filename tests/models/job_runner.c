#include "job_runner.h"

#include "model_files.h"

#include <oberta/memory.h>

ob_error job_error;

void job_add_line(ob_strbuf *lines, const json_t *row)
{
    char *text = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);
    assert_non_null(text);
    ob_strbuf_puts(lines, text);
    ob_strbuf_putc(lines, '\n');
    free(text);
}

static ob_status run(const char *job_text, const char *model, const char *input, const char *output,
                     ob_progress *summary)
{
    char text[4096];
    ob_job job;
    ob_pipeline *pipeline = NULL;
    ob_pipeline_options options;
    ob_pipeline_options_default(&options);
    ob_job_default(&job);
    ob_error_clear(&job_error);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    assert_true(snprintf(text, sizeof text, job_text, input, output) < (int)sizeof text);
#pragma GCC diagnostic pop
    ob_status status = ob_job_parse(text, strlen(text), "job", "", NULL, 0, &job, &job_error);
    if (status == OB_OK)
        status = ob_pipeline_create(&job, model, &options, &pipeline, &job_error);
    if (status == OB_OK)
        status = ob_pipeline_run(pipeline, NULL, NULL, summary, &job_error);
    ob_pipeline_destroy(pipeline);
    ob_job_release(&job);
    return status;
}

ob_status job_run_to(const char *job, const char *model, const char *input, const char *output)
{
    return run(job, model, input, output, NULL);
}

static json_t *read_rows(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    json_t *rows = json_array();
    json_error_t error;
    for (json_t *row; (row = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error)) != NULL;)
        json_array_append_new(rows, row);
    fclose(file);
    return rows;
}

ob_status job_run(const char *job, const char *model, const char *lines, json_t **rows, ob_progress *summary)
{
    char *folder = make_folder(), *input, *output;
    write_text(folder, "in.jsonl", lines);
    input = ob_strdup(path_in(folder, "in.jsonl"));
    output = ob_strdup(path_in(folder, "out.jsonl"));
    ob_status status = run(job, model, input, output, summary);
    *rows = read_rows(output);
    ob_free(input);
    ob_free(output);
    remove_folder(folder);
    return status;
}
