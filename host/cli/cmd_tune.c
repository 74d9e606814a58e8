/* oberta tune: measures the matrix products of a model and keeps a table of what is fastest. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_SECONDS 60
#define MAX_SECONDS     86400

typedef struct tune {
    cli_context *ctx;
    const char *shape, *seconds, *output;
    const char *providers[CLI_MAX_VALUES];
    size_t provider_count;
    bool force;
    ob_tune_options options;
    char *own_output; /* where --output does not say */
    ob_tune_shape shapes[OB_TUNE_MAX_SHAPES];
    ob_tune_result results[OB_TUNE_MAX_SHAPES];
    size_t count;
    const ob_device_info *device;
    bool shown; /* a bar is on the terminal, */
    double shown_at;
} tune;

/* Words for one shape's result: "block, 16x32 16x32 auto auto 128x128". */
static void format_choice(const ob_tune_result *r, size_t m_class, char out[40])
{
    const char *variant = r->classes[m_class].variant;
    bool is_auto = strcmp(variant, "auto") == 0;
    snprintf(out, 40, "%s%s%s", r->provider, is_auto ? "" : " ", is_auto ? "" : variant);
}

/* The largest of m in a class, as a person writes it. */
static const char *class_name(size_t m_class)
{
    static const char *const names[OB_TUNE_M_CLASSES] = {"<= 16", "<= 64", "<= 256", "<= 1024", "> 1024"};
    return names[m_class];
}

static void clear_bar(tune *t)
{
    if (t->shown)
        fputs("\r\033[K", stderr);
    t->shown = false;
}

static void print_finished(const ob_tune_result *r)
{
    fprintf(stderr, "tune     %zu x %zu, %s: %s%s", r->shape.n, r->shape.k, r->shape.role,
            r->state == OB_TUNE_KEPT ? "kept, " : "", r->provider);
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++)
        if (r->classes[i].gain >= 0)
            fprintf(stderr, "  %s %.2f", r->classes[i].variant, r->classes[i].gain);
    fputc('\n', stderr);
}

/* A line a shape, and on a terminal a bar between them. */
static bool show(void *user, const ob_tune_progress *p)
{
    tune *t = user;
    if (cli_interrupted())
        return false;
    if (t->ctx->quiet)
        return true;
    if (p->finished) {
        clear_bar(t);
        print_finished(p->result);
    } else if (t->ctx->err_is_terminal && (!t->shown || p->seconds - t->shown_at > 0.1)) {
        double by_time = p->seconds / t->options.seconds, left = t->options.seconds - p->seconds;
        double part = by_time > p->part ? by_time : p->part;
        fputs("\r\033[Ktune  ", stderr);
        cli_print_bar(part > 1 ? 1 : part);
        fprintf(stderr, "  %zu x %zu, m %zu: %s %s   %.0f s left", p->result->shape.n, p->result->shape.k, p->m,
                p->provider, p->variant, left > 0 ? left : 0);
        fflush(stderr);
        t->shown = true;
        t->shown_at = p->seconds;
    }
    return true;
}

/* What was found */

static void print_class(const ob_tune_result *r, size_t i)
{
    char choice[40], shape[48];
    format_choice(r, i, choice);
    snprintf(shape, sizeof shape, "%zu x %zu", r->shape.n, r->shape.k);
    printf("%-14s  %-7s  %-8s  %10.1f  %-14s  %10.1f  ", shape, class_name(i),
           r->default_provider[0] != '\0' ? r->default_provider : "-", r->classes[i].default_gflops, choice,
           r->classes[i].gflops);
    double percent = 100 * (r->classes[i].gain - 1);
    if (r->state == OB_TUNE_KEPT)
        printf("%+5.0f %%  kept\n", percent);
    else if (fabs(percent) < 0.5)
        printf("      -\n");
    else
        printf("%+5.0f %%\n", percent);
}

static void print_table(const tune *t)
{
    printf("%-14s  %-7s  %-8s  %10s  %-14s  %10s  %s\n", "n x k", "m", "default", "GFLOPS", "choice", "GFLOPS",
           "  gain");
    for (size_t s = 0; s < t->count; s++) {
        const ob_tune_result *r = &t->results[s];
        if (r->state == OB_TUNE_OPEN)
            printf("%zu x %zu: time ran out before it\n", r->shape.n, r->shape.k);
        for (size_t i = 0; i < OB_TUNE_M_CLASSES && r->state != OB_TUNE_OPEN; i++)
            if (r->classes[i].gflops >= 0)
                print_class(r, i);
    }
}

static void append_result(const ob_tune_result *r, ob_strbuf *out)
{
    static const char *const states[] = {"open", "kept", "measured"};
    ob_strbuf_printf(out,
                     "{\"n\":%zu,\"k\":%zu,\"role\":\"%s\",\"state\":\"%s\",\"default\":\"%s\",\"provider\":\"%s\",",
                     r->shape.n, r->shape.k, r->shape.role, states[r->state], r->default_provider, r->provider);
    ob_strbuf_puts(out, "\"classes\":[");
    for (size_t i = 0, printed = 0; i < OB_TUNE_M_CLASSES && r->state != OB_TUNE_OPEN; i++) {
        if (r->classes[i].gflops < 0)
            continue;
        ob_strbuf_printf(out, "%s{\"m\":\"%s\",\"variant\":", printed++ > 0 ? "," : "", class_name(i));
        ob_json_append_string(out, r->classes[i].variant, strlen(r->classes[i].variant));
        ob_strbuf_printf(out, ",\"default_gflops\":%.3f,\"gflops\":%.3f,\"gain\":%.4f}", r->classes[i].default_gflops,
                         r->classes[i].gflops, r->classes[i].gain);
    }
    ob_strbuf_puts(out, "]}");
}

static void print_json(const tune *t)
{
    ob_strbuf out = OB_STRBUF_INIT;
    ob_strbuf_puts(&out, "{\"platform\":");
    ob_json_append_string(&out, t->device->platform, strlen(t->device->platform));
    ob_strbuf_puts(&out, ",\"device\":");
    ob_json_append_string(&out, t->device->name, strlen(t->device->name));
    ob_strbuf_puts(&out, ",\"driver\":");
    ob_json_append_string(&out, t->device->driver_version, strlen(t->device->driver_version));
    ob_strbuf_puts(&out, ",\"output\":");
    ob_json_append_string(&out, t->options.output, strlen(t->options.output));
    ob_strbuf_puts(&out, ",\"results\":[");
    for (size_t i = 0; i < t->count; i++) {
        if (i > 0)
            ob_strbuf_putc(&out, ',');
        append_result(&t->results[i], &out);
    }
    ob_strbuf_puts(&out, "]}\n");
    fputs(ob_strbuf_text(&out), stdout);
    ob_strbuf_release(&out);
}

static size_t count_state(const tune *t, ob_tune_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++)
        count += t->results[i].state == state;
    return count;
}

static void print_summary(const tune *t)
{
    size_t open = count_state(t, OB_TUNE_OPEN);
    fprintf(stderr, "done     %zu shapes measured, %zu kept -> %s\n", count_state(t, OB_TUNE_MEASURED),
            count_state(t, OB_TUNE_KEPT), t->options.output);
    if (open > 0)
        fprintf(stderr, "         time ran out before %zu of %zu shapes; %s\n", open, t->count,
                count_state(t, OB_TUNE_MEASURED) > 0 ? "the same command goes on with them"
                                                     : "one shape takes longer than these --seconds");
}

/* Options */

static ob_status read_seconds(tune *t, ob_error *err)
{
    t->options.seconds = DEFAULT_SECONDS;
    if (t->seconds == NULL)
        return OB_OK;
    char *end;
    double seconds = strtod(t->seconds, &end);
    if (end == t->seconds || *end != '\0' || !(seconds > 0 && seconds <= MAX_SECONDS))
        return ob_error_set(err, OB_ERR_USAGE, "--seconds: '%s' is not a number above 0 and up to %d", t->seconds,
                            MAX_SECONDS);
    t->options.seconds = seconds;
    return OB_OK;
}

static ob_status find_shapes(tune *t, ob_error *err)
{
    ob_roberta_config config;
    if (t->shape != NULL && t->ctx->model != NULL)
        return ob_error_set(err, OB_ERR_USAGE, "--shape and --model: only one of them");
    if (t->shape != NULL && ob_roberta_config_known(t->shape, &config, err) != OB_OK) {
        ob_error_prefix(err, "--shape");
        return ob_error_status(err);
    }
    if (t->shape == NULL) {
        const char *folder = cli_model_folder(t->ctx, err);
        if (folder == NULL)
            return ob_error_status(err);
        if (ob_roberta_config_load(folder, &config, err) != OB_OK) {
            ob_error_prefix_each(err, "%s", folder);
            return ob_error_status(err);
        }
    }
    t->count = ob_tune_shapes(&config, t->shapes);
    ob_roberta_config_release(&config);
    return OB_OK;
}

static void make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0777); /* what fails here fails again, with a message, when the file is written */
        *at = '/';
    }
}

/* --output, OBERTA_TUNING, or a file in the user's folder. */
static ob_status find_output(tune *t, ob_error *err)
{
    const char *file = getenv("OBERTA_TUNING");
    bool given = file != NULL && file[0] != '\0' && strcmp(file, "off") != 0;
    t->options.output = t->output != NULL ? t->output : given ? file : NULL;
    if (t->options.output != NULL)
        return OB_OK;
    if (t->ctx->user_tuning == NULL)
        return ob_error_set(err, OB_ERR_USAGE,
                            "neither XDG_CONFIG_HOME nor HOME is set; --output FILE names the table");
    t->own_output = ob_path_join(t->ctx->user_tuning, "tuned.txt");
    if (t->own_output == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a path");
    make_folders(t->own_output);
    t->options.output = t->own_output;
    return OB_OK;
}

/* The run */

static ob_status tune_device(tune *t, ob_device *device, const char *why, ob_error *err)
{
    t->device = ob_device_get_info(device);
    cli_catch_signals();
    if (!t->ctx->quiet)
        fprintf(stderr, "device   %d  %s, %s (%s)   %s\n", t->device->index, t->device->platform, t->device->name,
                ob_device_type_name(t->device->type), why);
    ob_status status = ob_tune_run(device, t->shapes, t->count, &t->options, show, t, t->results, err);
    clear_bar(t);
    if (status == OB_ERR_INTERRUPTED)
        return ob_error_set(err, status, "interrupted: %zu of %zu shapes are in '%s'; the same command goes on",
                            count_state(t, OB_TUNE_MEASURED) + count_state(t, OB_TUNE_KEPT), t->count,
                            t->options.output);
    if (status != OB_OK)
        return status;
    if (t->ctx->json)
        print_json(t);
    else
        print_table(t);
    if (!t->ctx->quiet)
        print_summary(t);
    return OB_OK;
}

static ob_status select_and_tune(tune *t, ob_error *err)
{
    ob_device_list *devices = NULL;
    ob_device *device;
    ob_device_selector selector;
    ob_strbuf why = OB_STRBUF_INIT;
    if (ob_device_selector_parse(t->ctx->device != NULL ? t->ctx->device : "auto", &selector, err) != OB_OK) {
        ob_error_prefix(err, "--device");
        return ob_error_status(err);
    }
    ob_status status = cli_list_devices(t->ctx, &devices, err);
    if (status == OB_OK)
        status = ob_device_select(devices, &selector, &device, &why, err);
    if (status == OB_OK)
        status = tune_device(t, device, ob_strbuf_text(&why), err);
    ob_device_list_destroy(devices);
    ob_device_selector_release(&selector);
    ob_strbuf_release(&why);
    return status;
}

int cli_tune(cli_context *ctx, int argc, char **argv)
{
    static tune t;
    t = (tune){.ctx = ctx};
    const cli_option options[] = {
        {"shape", 0, "NAME", "a published model's sizes in place of --model: roberta-base", &t.shape, NULL, NULL, NULL},
        {"seconds", 0, "S", "end after this time, finished or not (default: 60)", &t.seconds, NULL, NULL, NULL},
        {"output", 'o', "FILE", "the table (default: tuned.txt in the user's folder)", &t.output, NULL, NULL, NULL},
        {"gemm", 0, "PROVIDER", "measure only these, suited or not; may come several times", NULL, NULL, t.providers,
         &t.provider_count},
        {"force", 0, NULL, "measure again what the table has", NULL, &t.force, NULL, NULL},
    };
    size_t count;
    int status =
        cli_parse(ctx, cli_find_command("tune"), options, sizeof options / sizeof *options, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count > 0)
        return cli_usage(ctx, "'%s': no argument is taken", argv[0]);
    ob_error err;
    ob_error_clear(&err);
    t.options.force = t.force;
    t.options.cache_folder = ctx->no_cache ? NULL : ctx->cache_folder;
    t.options.providers = t.providers;
    t.options.provider_count = t.provider_count;
    status = 0;
    if (read_seconds(&t, &err) != OB_OK || find_shapes(&t, &err) != OB_OK || find_output(&t, &err) != OB_OK ||
        select_and_tune(&t, &err) != OB_OK)
        status = cli_fail(ctx, &err);
    ob_free(t.own_output);
    return status;
}
