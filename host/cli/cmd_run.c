/* oberta run JOB.yaml: the main job. */
#include "cli.h"

#include <string.h>
#include <sys/stat.h>

typedef struct run_options {
    const char *overrides[CLI_MAX_VALUES];
    size_t override_count;
    const char *gemm;
    bool check, profile;
} run_options;

static void print_summary_json(const ob_job *job, const ob_pipeline_info *info, const ob_progress *sum)
{
    ob_strbuf out = OB_STRBUF_INIT;
    ob_strbuf_printf(&out,
                     "{\"rows\":%llu,\"failed_rows\":%llu,\"tokens\":%llu,\"output\":", (unsigned long long)sum->rows,
                     (unsigned long long)sum->failed_rows, (unsigned long long)sum->tokens);
    ob_json_append_string(&out, job->output_path, strlen(job->output_path));
    ob_strbuf_puts(&out, ",\"device\":");
    ob_json_append_string(&out, info->device->name, strlen(info->device->name));
    ob_strbuf_printf(&out,
                     ",\"load_seconds\":%.6f,\"build_seconds\":%.6f,\"run_seconds\":%.6f,\"device_seconds\":%.6f,"
                     "\"tokens_per_s\":%.1f,\"rows_per_s\":%.1f}\n",
                     info->load_seconds, info->build_seconds, sum->seconds, sum->device_seconds,
                     sum->seconds > 0 ? (double)sum->tokens / sum->seconds : 0.0,
                     sum->seconds > 0 ? (double)sum->rows / sum->seconds : 0.0);
    fputs(ob_strbuf_text(&out), stdout);
    ob_strbuf_release(&out);
}

static void print_summary(const cli_context *ctx, const ob_job *job, const ob_pipeline_info *info,
                          const ob_progress *sum)
{
    bool to_stdout = strcmp(job->output_path, "-") == 0;
    if (ctx->json && !to_stdout)
        print_summary_json(job, info, sum);
    if (ctx->quiet)
        return;
    char rows[32], tokens[32], rate[32];
    cli_format_count(rows, sum->rows);
    cli_format_count(tokens, sum->tokens);
    cli_format_count(rate, sum->seconds > 0 ? (uint64_t)((double)sum->tokens / sum->seconds) : 0);
    fprintf(stderr, "done     %s rows, %s tokens in %.2f s -> %s   (load %.2f, build %.2f, run %.2f s; %s tokens/s)\n",
            rows, tokens, info->load_seconds + info->build_seconds + sum->seconds,
            to_stdout ? "standard output" : job->output_path, info->load_seconds, info->build_seconds, sum->seconds,
            rate);
}

/* The inputs have to be there for a check to mean something. */
static ob_status check_inputs(const ob_job *job, ob_error *err)
{
    ob_reader *reader;
    for (size_t i = 0; i < job->input_count; i++) {
        struct stat info;
        if (strcmp(job->inputs[i].path, "-") == 0)
            continue;
        if (stat(job->inputs[i].path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
            continue; /* a pipe can be opened once */
        if (ob_reader_create(&job->inputs[i], 1, &reader, err) != OB_OK)
            return ob_error_status(err);
        ob_reader_destroy(reader);
    }
    return OB_OK;
}

static int run_opened(cli_context *ctx, const ob_job *job, ob_pipeline *pipeline, const run_options *options)
{
    ob_error err;
    ob_error_clear(&err);
    const ob_pipeline_info *info = ob_pipeline_get_info(pipeline);
    cli_print_opened(ctx, info);
    if (options->check)
        return cli_print_plan(ctx, job, info);
    cli_catch_signals();
    cli_progress progress = {ctx, ob_task_name(job->task), false};
    ob_progress summary;
    ob_status status = ob_pipeline_run(pipeline, cli_progress_show, &progress, &summary, &err);
    cli_progress_clear(&progress);
    int exit_status = 0;
    if (status == OB_OK || status == OB_ERR_ROWS_FAILED)
        print_summary(ctx, job, info, &summary);
    if (status != OB_OK)
        exit_status = cli_fail(ctx, &err);
    if (options->profile) {
        ob_strbuf table = OB_STRBUF_INIT;
        if (ob_pipeline_profile(pipeline, &table, &err) == OB_OK)
            fputs(ob_strbuf_text(&table), stderr);
        ob_strbuf_release(&table);
    }
    return exit_status;
}

static int run_job(cli_context *ctx, const char *path, const run_options *options)
{
    ob_error err;
    ob_error_clear(&err);
    ob_job job;
    ob_job_default(&job);
    ob_pipeline *pipeline = NULL;
    ob_pipeline_options pipeline_options;
    ob_pipeline_options_default(&pipeline_options);
    pipeline_options.cache_folder = ctx->no_cache ? NULL : ctx->cache_folder;
    pipeline_options.profile = options->profile;
    if (options->gemm != NULL)
        pipeline_options.gemm = options->gemm;
    ob_tuning *tuning = NULL;
    int status;
    if (ob_job_load(path, options->overrides, options->override_count, &job, &err) != OB_OK ||
        cli_apply_shared(ctx, &job, &err) != OB_OK || check_inputs(&job, &err) != OB_OK ||
        cli_open_tuning(ctx, &tuning, &err) != OB_OK) {
        status = cli_fail(ctx, &err);
    } else {
        pipeline_options.tuning = tuning;
        const char *fallback = job.model_path != NULL ? job.model_path : cli_model_folder(ctx, &err);
        if (fallback == NULL || ob_pipeline_create(&job, fallback, &pipeline_options, &pipeline, &err) != OB_OK)
            status = cli_fail(ctx, &err);
        else
            status = run_opened(ctx, &job, pipeline, options);
    }
    ob_pipeline_destroy(pipeline);
    ob_tuning_close(tuning);
    ob_job_release(&job);
    return status;
}

int cli_run(cli_context *ctx, int argc, char **argv)
{
    run_options run = {.override_count = 0};
    const cli_option options[] = {
        {"set", 's', "KEY=VALUE", "override a key of the job: batch.max_tokens=4096", NULL, NULL, run.overrides,
         &run.override_count},
        {"check", 0, NULL, "validate the job, open the device, print the plan, and stop", NULL, &run.check, NULL, NULL},
        {"profile", 0, NULL, "print the time of every kernel at the end", NULL, &run.profile, NULL, NULL},
        {"gemm", 0, "PROVIDER", "matrix products by auto, amx, tile, block, clblast or ref", &run.gemm, NULL, NULL,
         NULL},
    };
    size_t count;
    int status = cli_parse(ctx, cli_find_command("run"), options, sizeof options / sizeof *options, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count != 1)
        return cli_usage(ctx, "one job file is needed; 'oberta init' writes one to start from");
    return run_job(ctx, argv[0], &run);
}
