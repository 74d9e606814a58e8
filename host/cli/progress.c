/* The progress bar, what was opened, and the options that commands apply alike. */
#include "cli.h"

#include <oberta/memory.h>

#define BAR_WIDTH 34

void cli_print_bar(double part)
{
    int filled = (int)(part * BAR_WIDTH + 0.5);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputs(i < filled ? "━" : "╌", stderr);
}

/* How much is done: by bytes of the input, since the number of rows is not known before the end. */
static double part_done(const ob_progress *progress)
{
    if (progress->bytes_total == 0)
        return -1;
    double part = (double)progress->bytes_done / (double)progress->bytes_total;
    return part > 1 ? 1 : part;
}

bool cli_progress_show(void *user, const ob_progress *progress)
{
    cli_progress *self = user;
    if (cli_interrupted())
        return false;
    if (self->ctx->quiet || !self->ctx->err_is_terminal)
        return true;
    char rows[32], rate[32];
    cli_format_count(rows, progress->rows);
    double per_second = progress->seconds > 0 ? (double)progress->rows / progress->seconds : 0;
    cli_format_count(rate, (uint64_t)per_second);
    double part = part_done(progress);
    fprintf(stderr, "\r\033[K%s  ", self->task);
    if (part >= 0) {
        cli_print_bar(part);
        fprintf(stderr, "  %3.0f %%", part * 100);
    }
    fprintf(stderr, "   %s rows   %s rows/s", rows, rate);
    if (part > 0.01 && part < 1) {
        unsigned left = (unsigned)(progress->seconds * (1 - part) / part);
        fprintf(stderr, "   %u:%02u left", left / 60, left % 60);
    }
    fflush(stderr);
    self->shown = true;
    return true;
}

void cli_progress_clear(cli_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}

void cli_print_opened(const cli_context *ctx, const ob_pipeline_info *info)
{
    if (ctx->quiet)
        return;
    char weights[16], activations[16], parameters[16];
    const ob_roberta_config *c = info->config;
    cli_format_bytes(weights, info->weight_bytes);
    cli_format_bytes(activations, info->activation_bytes);
    cli_format_scaled(parameters, info->parameters);
    fprintf(stderr, "device   %d  %s, %s (%s)   %s\n", info->device->index, info->device->platform, info->device->name,
            ob_device_type_name(info->device->type), info->device_why);
    fprintf(stderr, "model    %s  RoBERTa, %zu layers x %zu, %s parameters, %s; %s of weights, %s of activations\n",
            info->model_path, c->num_hidden_layers, c->hidden_size, parameters, info->container, weights, activations);
    fprintf(stderr, "kernels  %u programs built, %u from the cache, %.0f ms\n", info->context.programs_built,
            info->context.programs_cached, info->build_seconds * 1e3);
}

ob_status cli_apply_shared(const cli_context *ctx, ob_job *job, ob_error *err)
{
    if (ctx->model != NULL) {
        char *path = ob_strdup(ctx->model);
        if (path == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
        ob_free(job->model_path);
        job->model_path = path;
    }
    if (ctx->device == NULL)
        return OB_OK;
    ob_device_selector selector;
    if (ob_device_selector_parse(ctx->device, &selector, err) != OB_OK) {
        ob_error_prefix(err, "--device");
        return ob_error_status(err);
    }
    for (size_t i = 1; i < job->device_count; i++)
        ob_device_selector_release(&job->devices[i]);
    ob_device_selector_release(&job->devices[0]);
    job->devices[0] = selector;
    job->device_count = 1;
    return OB_OK;
}

const char *cli_model_folder(const cli_context *ctx, ob_error *err)
{
    if (ctx->model != NULL)
        return ctx->model;
    if (ctx->default_model == NULL)
        ob_error_set(err, OB_ERR_MODEL, "the demo model is not beside the program; --model DIR names a model folder");
    return ctx->default_model;
}
