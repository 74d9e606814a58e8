/* oberta fill-mask TEXT...: predictions at once, as a table or as JSON. */
#include "cli.h"

#include <oberta/attention_page.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdlib.h>
#include <string.h>

#define BAR_WIDTH 20

typedef struct fill_mask_options {
    const char *top_k, *targets, *gemm, *attention;
    bool profile;
} fill_mask_options;

/* Texts from the command line as rows. */
typedef struct text_list {
    char **texts;
    size_t count, next;
} text_list;

static ob_status next_text(void *user, ob_row *row, bool *more, ob_error *err)
{
    text_list *list = user;
    *more = list->next < list->count;
    if (!*more)
        return OB_OK;
    row->number = list->next;
    row->file = "argument";
    row->line = list->next + 1;
    const char *text = list->texts[list->next++];
    size_t bytes = strlen(text), invalid = ob_utf8_invalid_at(text, bytes);
    ob_strbuf_append(&row->text, text, bytes);
    if (invalid < bytes) {
        row->defect = OB_ERR_INPUT;
        ob_strbuf_printf(&row->defect_text, "invalid UTF-8 at byte %zu", invalid);
    }
    return row->text.failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a text of %zu bytes", bytes)
                            : OB_OK;
}

/* Predictions as a person reads them; the texts are kept to stand above their predictions. */
typedef struct table {
    const cli_context *ctx;
    bool first;
} table;

static void print_bar(double part)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int steps = (int)(part * BAR_WIDTH * 8 + 0.5), width = 0;
    for (; steps >= 8; steps -= 8, width++)
        fputs("█", stdout);
    if (steps > 0) {
        fputs(eighths[steps], stdout);
        width++;
    }
    for (; width < BAR_WIDTH; width++)
        putchar(' ');
}

static void print_prediction(const cli_context *ctx, const ob_prediction *prediction, size_t token_width)
{
    printf("  %.3f  ", (double)prediction->score);
    if (ctx->out_is_terminal) {
        print_bar((double)prediction->score);
        fputs("  ", stdout);
    }
    cli_print_text(stdout, prediction->token_str, prediction->token_str_bytes);
    for (size_t used = cli_text_width(prediction->token_str, prediction->token_str_bytes); used < token_width; used++)
        putchar(' ');
    fputs("  ", stdout);
    cli_print_text(stdout, prediction->sequence, prediction->sequence_bytes);
    putchar('\n');
}

static void print_masks(const cli_context *ctx, const ob_record *record)
{
    size_t total = record->mask_count * record->top_k, width = 8;
    for (size_t i = 0; i < total; i++) {
        size_t own = cli_text_width(record->predictions[i].token_str, record->predictions[i].token_str_bytes);
        width = own > width ? own : width;
    }
    for (size_t m = 0; m < record->mask_count; m++) {
        if (record->mask_count > 1)
            printf("  mask %zu of %zu\n", m + 1, record->mask_count);
        for (size_t i = 0; i < record->top_k; i++)
            print_prediction(ctx, &record->predictions[m * record->top_k + i], width);
    }
}

static ob_status print_record(void *user, const ob_record *record, ob_error *err)
{
    table *self = user;
    if (!self->first)
        putchar('\n');
    self->first = false;
    if (record->input != NULL) {
        bool bold = self->ctx->out_is_terminal && self->ctx->colour;
        fputs(bold ? "\033[1m" : "", stdout);
        cli_print_text(stdout, record->input, record->input_bytes);
        fputs(bold ? "\033[0m\n" : "\n", stdout);
    }
    if (record->kind == OB_RECORD_MASKS) {
        print_masks(self->ctx, record);
    } else {
        fputs("  -> ", stdout);
        cli_print_text(stdout, record->text, record->text_bytes);
        putchar('\n');
    }
    fflush(stdout); /* whoever wrote the line into a pipe may wait for this */
    return ferror(stdout) ? ob_error_set(err, OB_ERR_IO, "standard output: cannot write") : OB_OK;
}

static ob_status write_json(void *user, const ob_record *record, ob_error *err)
{
    return ob_writer_write(user, record, err);
}

/* --attention: each record's maps go onto the page before the record goes on. */
typedef struct page_sink {
    ob_attention_page *page; /* NULL: no page */
    ob_record_sink next;
    size_t texts;
} page_sink;

static ob_status add_to_page(void *user, const ob_record *record, ob_error *err)
{
    page_sink *self = user;
    if (self->page != NULL && record->attentions != NULL) {
        const ob_named_array *maps = record->attentions;
        const ob_attention_text text = {.text = record->input != NULL ? record->input : "",
                                        .text_bytes = record->input != NULL ? record->input_bytes : 0,
                                        .token_count = record->input_token_count,
                                        .tokens = record->input_tokens,
                                        .layers = maps->shape[0],
                                        .heads = maps->shape[1],
                                        .attentions = maps->data};
        if (ob_attention_page_add(self->page, &text, err) != OB_OK)
            return ob_error_status(err);
        self->texts++;
    }
    return self->next.write(self->next.user, record, err);
}

/* A page may be passed on: it names the model's folder, not where that lies. */
static ob_status open_page(const char *path, const char *model, ob_attention_page **out, ob_error *err)
{
    size_t end = strlen(model);
    while (end > 1 && model[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && model[begin - 1] != '/')
        begin--;
    char *name = ob_strndup(model + begin, end - begin);
    if (name == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", path);
    ob_status status = ob_attention_page_create(path, name, out, err);
    ob_free(name);
    return status;
}

static ob_status finish_page(const cli_context *ctx, page_sink *sink, const char *path, ob_error *err)
{
    uint64_t bytes;
    char size[16];
    if (sink->page == NULL)
        return OB_OK;
    if (ob_attention_page_commit(sink->page, &bytes, err) != OB_OK)
        return ob_error_status(err);
    cli_format_bytes(size, bytes);
    if (!ctx->quiet)
        fprintf(stderr, "attention of %zu text%s -> %s (%s)\n", sink->texts, sink->texts == 1 ? "" : "s", path, size);
    return OB_OK;
}

static ob_status set_text(char **field, const char *text, ob_error *err)
{
    char *copy = ob_strdup(text);
    if (copy == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    ob_free(*field);
    *field = copy;
    return OB_OK;
}

/* --targets a,b,c */
static ob_status set_targets(ob_job *job, const char *list, ob_error *err)
{
    if (list[0] == '\0')
        return ob_error_set(err, OB_ERR_USAGE, "--targets: a token, or several with commas between them, is expected");
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, ",");
        char **targets = ob_realloc_array(job->fill_mask.targets, job->fill_mask.target_count + 1, sizeof *targets);
        if (targets == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the targets");
        job->fill_mask.targets = targets;
        targets[job->fill_mask.target_count] = ob_strndup(at, length);
        if (targets[job->fill_mask.target_count++] == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the targets");
        at += length + (at[length] == ',');
    }
    return OB_OK;
}

static ob_status make_job(const cli_context *ctx, const fill_mask_options *options, ob_job *job, ob_error *err)
{
    job->task = OB_TASK_FILL_MASK;
    job->output_format = OB_OUTPUT_JSONL;
    job->fill_mask.attentions = options->attention != NULL;
    if (options->top_k != NULL) {
        char *end;
        unsigned long value = strtoul(options->top_k, &end, 10);
        if (*end != '\0' || options->top_k[0] == '-' || value == 0)
            return ob_error_set(err, OB_ERR_USAGE, "--top-k: '%s' is not a number of at least 1", options->top_k);
        job->fill_mask.top_k = value;
    }
    if (options->targets != NULL && set_targets(job, options->targets, err) != OB_OK)
        return ob_error_status(err);
    if (set_text(&job->output_path, "-", err) != OB_OK)
        return ob_error_status(err);
    return cli_apply_shared(ctx, job, err);
}

/* '-' in place of texts: lines of standard input. */
static ob_status open_stdin(ob_reader **reader, ob_error *err)
{
    char path[] = "-", text[] = "text", pair[] = "text_pair", id[] = "id";
    ob_input_spec input = {
        .path = path, .format = OB_INPUT_TEXT, .text_field = text, .pair_field = pair, .id_field = id};
    return ob_reader_create(&input, 1, reader, err);
}

static ob_status reader_next(void *user, ob_row *row, bool *more, ob_error *err)
{
    return ob_reader_next(user, row, more, err);
}

static bool reader_ready(void *user)
{
    return ob_reader_ready(user);
}

static bool keep_going(void *user, const ob_progress *progress)
{
    (void)user;
    (void)progress;
    return !cli_interrupted();
}

static int run_texts(cli_context *ctx, ob_pipeline *pipeline, char **texts, size_t count,
                     const fill_mask_options *options, ob_attention_page *page)
{
    ob_error err;
    ob_error_clear(&err);
    ob_reader *reader = NULL;
    ob_writer *writer = NULL;
    text_list list = {texts, count, 0};
    ob_row_source source = {next_text, NULL, NULL, &list};
    table lines = {ctx, true};
    ob_record_sink sink = {print_record, &lines};
    ob_status status = OB_OK;
    if (count == 1 && strcmp(texts[0], "-") == 0) {
        status = open_stdin(&reader, &err);
        source = (ob_row_source){reader_next, reader_ready, NULL, reader};
    }
    if (status == OB_OK && ctx->json) {
        status = ob_writer_create("-", OB_OUTPUT_JSONL, false, &writer, &err);
        sink = (ob_record_sink){write_json, writer};
    }
    if (ctx->verbose > 0)
        cli_print_opened(ctx, ob_pipeline_get_info(pipeline));
    page_sink pages = {page, sink, 0};
    const ob_record_sink first = {add_to_page, &pages};
    if (status == OB_OK)
        status = ob_pipeline_run_with(pipeline, &source, &first, keep_going, NULL, NULL, &err);
    if (status == OB_OK && writer != NULL)
        status = ob_writer_commit(writer, &err);
    if (status == OB_OK)
        status = finish_page(ctx, &pages, options->attention, &err);
    int exit_status = status == OB_OK ? 0 : cli_fail(ctx, &err);
    ob_strbuf times = OB_STRBUF_INIT;
    if (options->profile && ob_pipeline_profile(pipeline, &times, &err) == OB_OK)
        fputs(ob_strbuf_text(&times), stderr);
    ob_strbuf_release(&times);
    ob_writer_destroy(writer);
    ob_reader_destroy(reader);
    return exit_status;
}

int cli_fill_mask(cli_context *ctx, int argc, char **argv)
{
    fill_mask_options fill = {0};
    const cli_option options[] = {
        {"top-k", 'k', "N", "predictions for each mask (default: 5)", &fill.top_k, NULL, NULL, NULL},
        {"targets", 't', "A,B,...", "only these tokens", &fill.targets, NULL, NULL, NULL},
        {"attention", 0, "FILE.html", "write a page that shows the attention maps", &fill.attention, NULL, NULL, NULL},
        {"profile", 0, NULL, "print the time of every kernel at the end", NULL, &fill.profile, NULL, NULL},
        {"gemm", 0, "PROVIDER", "matrix products by auto, amx, tile, block, clblast or ref", &fill.gemm, NULL, NULL,
         NULL},
    };
    size_t count;
    int status =
        cli_parse(ctx, cli_find_command("fill-mask"), options, sizeof options / sizeof *options, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count == 0)
        return cli_usage(ctx, "a text is needed, or '-' for lines of standard input");
    ob_error err;
    ob_error_clear(&err);
    ob_job job;
    ob_job_default(&job);
    ob_pipeline *pipeline = NULL;
    ob_tuning *tuning = NULL;
    ob_attention_page *page = NULL;
    ob_pipeline_options pipeline_options;
    ob_pipeline_options_default(&pipeline_options);
    pipeline_options.cache_folder = ctx->no_cache ? NULL : ctx->cache_folder;
    pipeline_options.profile = fill.profile;
    if (fill.gemm != NULL)
        pipeline_options.gemm = fill.gemm;
    const char *model = cli_model_folder(ctx, &err);
    cli_catch_signals();
    bool ready = model != NULL && make_job(ctx, &fill, &job, &err) == OB_OK &&
                 cli_open_tuning(ctx, &tuning, &err) == OB_OK &&
                 (fill.attention == NULL || open_page(fill.attention, model, &page, &err) == OB_OK);
    pipeline_options.tuning = tuning;
    if (!ready || ob_pipeline_create(&job, model, &pipeline_options, &pipeline, &err) != OB_OK)
        status = cli_fail(ctx, &err);
    else
        status = run_texts(ctx, pipeline, argv, count, &fill, page);
    ob_attention_page_destroy(page);
    ob_pipeline_destroy(pipeline);
    ob_tuning_close(tuning);
    ob_job_release(&job);
    return status;
}
