/* oberta bench: how fast devices run a model, as a share of what they could. */
#include "bench_report.h"

#include <errno.h>
#include <math.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_WORKLOADS "32x128,1x16,1x128,1x512,mixed"
#define DEFAULT_SHAPE     "roberta-base"
#define MAX_WORKLOADS     64
#define MAX_DEVICES       16
#define MAX_SECONDS       86400.0
#define TRACE_LAUNCHES    65536 /* 5 MB of host memory */

/* As given, and what it means. */
typedef struct bench {
    cli_context *ctx;
    const char *workload_texts[CLI_MAX_VALUES], *device_texts[CLI_MAX_VALUES];
    size_t workload_text_count, device_text_count;
    const char *shape, *head_text, *seconds_text, *max_tokens_text, *trace, *dump_hidden, *gemm;
    bool once, profile, operators;

    ob_workload workloads[MAX_WORKLOADS];
    size_t workload_count;
    ob_bench_head head;
    double seconds;
    size_t max_tokens;
    ob_device_list *devices;
    ob_device *chosen[MAX_DEVICES];
    size_t device_count;
    ob_bench_model model;
    ob_bench_report reports[MAX_DEVICES];
    size_t report_count;
    bool shown; /* a line of progress stands on the terminal */
} bench;

static bool go_on(void *user, const char *what)
{
    bench *b = user;
    if (cli_interrupted())
        return false;
    if (what != NULL && !b->ctx->quiet && b->ctx->err_is_terminal) {
        fprintf(stderr, "\r\033[Kbench  %s", what);
        fflush(stderr);
        b->shown = true;
    }
    return true;
}

static void clear_progress(bench *b)
{
    if (b->shown)
        fputs("\r\033[K", stderr);
    b->shown = false;
}

/* Calls `take` for each part of `text` between `separator`s, an empty one included. */
static ob_status split(const char *text, char separator, ob_status (*take)(bench *, const char *, ob_error *), bench *b,
                       ob_error *err)
{
    for (;;) {
        const char *end = strchr(text, separator);
        char *part = ob_strndup(text, end != NULL ? (size_t)(end - text) : strlen(text));
        if (part == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the command line");
        ob_status status = take(b, part, err);
        ob_free(part);
        if (status != OB_OK || end == NULL)
            return status;
        text = end + 1;
    }
}

static ob_status take_workload(bench *b, const char *text, ob_error *err)
{
    if (b->workload_count == MAX_WORKLOADS)
        return ob_error_set(err, OB_ERR_USAGE, "--workload: more than %d", MAX_WORKLOADS);
    if (ob_workload_parse(text, &b->workloads[b->workload_count], err) != OB_OK)
        return ob_error_status(err);
    b->workload_count++;
    return OB_OK;
}

static ob_status parse_head(bench *b, ob_error *err)
{
    for (size_t i = 0; ob_bench_head_name(i) != NULL; i++)
        if (b->head_text == NULL || strcmp(b->head_text, ob_bench_head_name(i)) == 0) {
            b->head = (ob_bench_head)i;
            return OB_OK;
        }
    return ob_error_set(err, OB_ERR_USAGE, "--head: '%s' is not one of encoder, fill-mask, logits", b->head_text);
}

static ob_status parse_seconds(bench *b, ob_error *err)
{
    b->seconds = 3;
    if (b->seconds_text == NULL)
        return OB_OK;
    char *end;
    b->seconds = strtod(b->seconds_text, &end);
    if (end == b->seconds_text || *end != '\0' || !isfinite(b->seconds) || b->seconds < 0 || b->seconds > MAX_SECONDS)
        return ob_error_set(err, OB_ERR_USAGE, "--seconds: '%s' is not a number from 0 to %.0f", b->seconds_text,
                            MAX_SECONDS);
    return OB_OK;
}

static ob_status parse_max_tokens(bench *b, ob_error *err)
{
    if (b->max_tokens_text == NULL)
        return OB_OK;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(b->max_tokens_text, &end, 10);
    bool digits = b->max_tokens_text[0] >= '0' && b->max_tokens_text[0] <= '9' && *end == '\0';
    if (!digits || errno != 0 || value == 0 || value > 1u << 24)
        return ob_error_set(err, OB_ERR_USAGE, "--max-tokens: '%s' is not between 1 and %u", b->max_tokens_text,
                            1u << 24);
    b->max_tokens = (size_t)value;
    return OB_OK;
}

static ob_status check_combination(const bench *b, ob_error *err)
{
    if (b->shape != NULL && b->ctx->model != NULL)
        return ob_error_set(err, OB_ERR_USAGE, "--shape is for random weights, so it excludes --model");
    if (b->once && b->operators)
        return ob_error_set(err, OB_ERR_USAGE,
                            "--once runs each workload once and nothing else, so it excludes "
                            "--operators");
    return OB_OK;
}

static ob_status parse(bench *b, ob_error *err)
{
    if (check_combination(b, err) != OB_OK || parse_head(b, err) != OB_OK || parse_seconds(b, err) != OB_OK ||
        parse_max_tokens(b, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < b->workload_text_count; i++)
        if (split(b->workload_texts[i], ',', take_workload, b, err) != OB_OK)
            return ob_error_status(err);
    return b->workload_text_count > 0 ? OB_OK : split(DEFAULT_WORKLOADS, ',', take_workload, b, err);
}

static ob_status take_device(bench *b, const char *text, ob_error *err)
{
    ob_device_selector selector;
    if (b->device_count == MAX_DEVICES)
        return ob_error_set(err, OB_ERR_USAGE, "--device: more than %d", MAX_DEVICES);
    if (ob_device_selector_parse(text, &selector, err) != OB_OK) {
        ob_error_prefix(err, "--device");
        return ob_error_status(err);
    }
    ob_status status = ob_device_select(b->devices, &selector, &b->chosen[b->device_count], NULL, err);
    ob_device_selector_release(&selector);
    b->device_count += status == OB_OK;
    return status;
}

static ob_status choose_devices(bench *b, ob_error *err)
{
    if (cli_list_devices(b->ctx, &b->devices, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < b->device_text_count; i++)
        if (split(b->device_texts[i], ';', take_device, b, err) != OB_OK)
            return ob_error_status(err);
    if (b->device_text_count == 0 && take_device(b, "auto", err) != OB_OK)
        return ob_error_status(err);
    if (b->device_count > 1 && b->dump_hidden != NULL)
        return ob_error_set(err, OB_ERR_USAGE, "--dump-hidden takes the results of one device, but %zu are named",
                            b->device_count);
    return OB_OK;
}

/* Of the workloads that nobody asked for, those with rows that the model does not take are left out. */
static void drop_long_workloads(bench *b)
{
    size_t kept = 0, longest = ob_roberta_config_max_length(&b->model.config);
    for (size_t i = 0; i < b->workload_count; i++)
        if (b->workloads[i].longest <= longest)
            b->workloads[kept++] = b->workloads[i];
        else
            ob_workload_release(&b->workloads[i]);
    b->workload_count = kept;
}

/* A file that will be replaced: its folder must be there, which is better said now than after the measurements, and
 * must not be the one that the weights come from. */
static ob_status check_target(const bench *b, const char *option, const char *path, ob_error *err)
{
    struct stat folder, model;
    if (path == NULL)
        return OB_OK;
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL ? ob_strdup(".") : ob_strndup(path, (size_t)(slash - path) + 1);
    ob_status status = OB_OK;
    if (parent == NULL)
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the command line");
    else if (stat(parent, &folder) != 0 || !S_ISDIR(folder.st_mode) || ob_folder_exists(path))
        status = ob_error_set(err, OB_ERR_USAGE, "%s: '%s' is not a file in a folder that exists", option, path);
    else if (b->ctx->model != NULL && stat(b->ctx->model, &model) == 0 && folder.st_dev == model.st_dev &&
             folder.st_ino == model.st_ino)
        status = ob_error_set(err, OB_ERR_USAGE, "%s: '%s' is in the model's folder", option, path);
    ob_free(parent);
    return status;
}

static ob_status open_model(bench *b, ob_error *err)
{
    const ob_bench_watch watch = {go_on, b};
    if (b->ctx->model != NULL)
        return ob_bench_model_open(b->ctx->model, &b->model, err);
    return ob_bench_model_random(b->shape != NULL ? b->shape : DEFAULT_SHAPE, &watch, &b->model, err);
}

static ob_status run_device(bench *b, ob_device *device, ob_bench_report *out, ob_error *err)
{
    const ob_bench_spec spec = {.device = device,
                                .model = &b->model,
                                .workloads = b->workloads,
                                .workload_count = b->workload_count,
                                .head = b->head,
                                .seconds = b->seconds,
                                .max_tokens = b->max_tokens,
                                .cache_folder = b->ctx->no_cache ? NULL : b->ctx->cache_folder,
                                .gemm = b->gemm != NULL ? b->gemm : "auto",
                                .once = b->once,
                                .profile = b->profile,
                                .operators = b->operators,
                                .trace_launches = b->trace != NULL ? TRACE_LAUNCHES : 0,
                                .dump_hidden = b->dump_hidden,
                                .started = b->ctx->started,
                                .watch = {go_on, b}};
    return ob_bench_run(&spec, out, err);
}

static ob_status write_trace(const bench *b, ob_error *err)
{
    ob_strbuf text = OB_STRBUF_INIT;
    ob_atomic_file *file = NULL;
    ob_strbuf_puts(&text, "{\"traceEvents\":[");
    for (size_t i = 0; i < b->report_count; i++) {
        ob_bench_append_trace(&b->reports[i], i + 1, &text);
        if (b->reports[i].spans_left_out > 0 && !b->ctx->quiet)
            fprintf(stderr, "oberta bench: %s: the first %zu launches; %llu more are left out\n", b->trace,
                    b->reports[i].span_count, (unsigned long long)b->reports[i].spans_left_out);
    }
    ob_strbuf_puts(&text, "\n]}\n");
    ob_status status = text.failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", b->trace)
                                   : ob_atomic_file_create(b->trace, true, &file, err);
    if (status == OB_OK)
        status = ob_atomic_file_write(file, text.data, text.length, err);
    if (status == OB_OK)
        status = ob_atomic_file_commit(file, err);
    ob_atomic_file_destroy(file);
    ob_strbuf_release(&text);
    return status;
}

static ob_status run(bench *b, ob_error *err)
{
    /* Mistakes that are cheap to find come first: making random weights takes a second. */
    if (parse(b, err) != OB_OK || check_target(b, "--dump-hidden", b->dump_hidden, err) != OB_OK ||
        check_target(b, "--trace", b->trace, err) != OB_OK || choose_devices(b, err) != OB_OK ||
        open_model(b, err) != OB_OK)
        return ob_error_status(err);
    if (b->workload_text_count == 0)
        drop_long_workloads(b);
    for (size_t i = 0; i < b->device_count; i++, b->report_count++)
        if (run_device(b, b->chosen[i], &b->reports[i], err) != OB_OK)
            return ob_error_status(err);
    return b->trace != NULL ? write_trace(b, err) : OB_OK;
}

static void release(bench *b)
{
    for (size_t i = 0; i < b->report_count; i++)
        ob_bench_report_release(&b->reports[i]);
    for (size_t i = 0; i < b->workload_count; i++)
        ob_workload_release(&b->workloads[i]);
    ob_bench_model_release(&b->model);
    ob_device_list_destroy(b->devices);
}

static int run_and_print(bench *b)
{
    ob_error err;
    ob_error_clear(&err);
    cli_catch_signals();
    ob_status status = run(b, &err);
    clear_progress(b);
    if (status != OB_OK)
        return cli_fail(b->ctx, &err);
    const cli_bench shown = {&b->model, b->reports, b->report_count, ob_bench_head_name(b->head), b->once};
    if (b->ctx->json)
        cli_bench_print_json(&shown);
    else
        cli_bench_print_text(b->ctx, &shown);
    return 0;
}

int cli_bench_main(cli_context *ctx, int argc, char **argv)
{
    static bench b;
    b.ctx = ctx;
    const cli_option options[] = {
        {"model", 'm', "DIR", "model folder (default: random weights)", &ctx->model, NULL, NULL, NULL},
        {"shape", 0, "NAME|FILE", "random weights of a published model (default: roberta-base), or a config.json",
         &b.shape, NULL, NULL, NULL},
        {"device", 'd', "SELECTOR", "as elsewhere; several, by ';' or again, are compared", NULL, NULL, b.device_texts,
         &b.device_text_count},
        {"workload", 'w', "LIST", "ROWSxTOKENS or mixed, by ',' (default: " DEFAULT_WORKLOADS ")", NULL, NULL,
         b.workload_texts, &b.workload_text_count},
        {"head", 0, "HEAD", "encoder (default), fill-mask (one mask a row, top 5), logits (all, downloaded)",
         &b.head_text, NULL, NULL, NULL},
        {"seconds", 0, "S", "time for each workload's runs, at least three (default: 3)", &b.seconds_text, NULL, NULL,
         NULL},
        {"max-tokens", 0, "N", "of a batch (default: as batch.max_tokens: auto)", &b.max_tokens_text, NULL, NULL, NULL},
        {"profile", 0, NULL, "a second pass for the time of every kernel", NULL, &b.profile, NULL, NULL},
        {"trace", 0, "FILE", "the launches of a second pass as JSON for Perfetto; replaces FILE", &b.trace, NULL, NULL,
         NULL},
        {"operators", 0, NULL, "operators alone too, as shares of the roof", NULL, &b.operators, NULL, NULL},
        {"once", 0, NULL, "no roof, one run a workload: how long a process takes to answer", NULL, &b.once, NULL, NULL},
        {"dump-hidden", 0, "FILE", "the first workload's last_hidden_state as safetensors; replaces FILE",
         &b.dump_hidden, NULL, NULL, NULL},
        {"gemm", 0, "PROVIDER", "matrix products by auto, amx, tile, block, clblast or ref", &b.gemm, NULL, NULL, NULL},
    };
    size_t count;
    int status =
        cli_parse(ctx, cli_find_command("bench"), options, sizeof options / sizeof *options, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count > 0)
        return cli_usage(ctx, "'%s': no argument is taken; --workload names workloads", argv[0]);
    status = run_and_print(&b);
    release(&b);
    return status;
}
