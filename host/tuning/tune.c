/* The tuner: shape by shape, each written to the table as soon as it is decided. */
#include "tune_internal.h"

#include <oberta/clock.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/tuning.h>
#include <stdio.h>
#include <string.h>

_Static_assert(OB_TUNE_M_CLASSES == OB_TUNING_M_CLASSES, "classes of m");

/* Shapes */

static void add_shape(ob_tune_shape *shapes, size_t *count, const char *role, size_t n, size_t k)
{
    for (size_t i = 0; i < *count; i++)
        if (shapes[i].n == n && shapes[i].k == k)
            return;
    shapes[(*count)++] = (ob_tune_shape){role, n, k};
}

size_t ob_tune_shapes(const ob_roberta_config *config, ob_tune_shape *out)
{
    size_t h = config->hidden_size, i = config->intermediate_size, count = 0;
    add_shape(out, &count, "query, key, value", 3 * h, h);
    add_shape(out, &count, "attention output", h, h);
    add_shape(out, &count, "intermediate", i, h);
    add_shape(out, &count, "output", h, i);
    add_shape(out, &count, "vocabulary", config->vocab_size, h);
    return count;
}

/* The output: its text, which keeps comments and other devices' entries, and what it says. */

typedef struct table {
    const char *path;
    ob_strbuf text;
    ob_tuning *tuning;
} table;

static ob_status read_back(table *t, ob_error *err)
{
    bool is_known;
    ob_tuning_destroy(t->tuning);
    t->tuning = ob_tuning_create();
    if (t->tuning == NULL || t->text.failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a tuning table", t->path);
    if (ob_tuning_parse(t->tuning, ob_strbuf_text(&t->text), t->text.length, t->path, &is_known, err) != OB_OK)
        return ob_error_status(err);
    return is_known
               ? OB_OK
               : ob_error_set(err, OB_ERR_CONFIG, "%s: another version's table; another output is needed", t->path);
}

static ob_status open_table(table *t, ob_error *err)
{
    if (!ob_file_exists(t->path))
        ob_tuning_print_head(&t->text);
    else if (ob_file_read(t->path, OB_TUNING_MAX_BYTES, &t->text, err) != OB_OK)
        return ob_error_status(err);
    return read_back(t, err);
}

static void close_table(table *t)
{
    ob_tuning_destroy(t->tuning);
    ob_strbuf_release(&t->text);
}

static ob_status write_table(const table *t, ob_error *err)
{
    ob_atomic_file *file = NULL;
    ob_status status = ob_atomic_file_create(t->path, true, &file, err);
    if (status == OB_OK)
        status = ob_atomic_file_write(file, ob_strbuf_text(&t->text), t->text.length, err);
    if (status == OB_OK)
        status = ob_atomic_file_commit(file, err);
    ob_atomic_file_destroy(file);
    return status;
}

/* Puts `entry` in the place of line `line`, 0: at the end. */
static ob_status put_line(table *t, size_t line, const ob_tuning_entry *entry, ob_error *err)
{
    ob_strbuf next = OB_STRBUF_INIT;
    const char *text = ob_strbuf_text(&t->text), *end = text + t->text.length;
    size_t number = 1;
    for (; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = newline == NULL ? (size_t)(end - text) : (size_t)(newline - text);
        if (number == line) {
            ob_tuning_print(entry, &next);
        } else {
            ob_strbuf_append(&next, text, length);
            ob_strbuf_putc(&next, '\n');
        }
        text += length + 1;
    }
    if (line == 0)
        ob_tuning_print(entry, &next);
    ob_strbuf_release(&t->text);
    t->text = next;
    return read_back(t, err) == OB_OK ? write_table(t, err) : ob_error_status(err);
}

static ob_status put_result(table *t, const ob_device_info *device, const ob_tune_result *r, ob_error *err)
{
    const ob_tuning_entry *old = ob_tuning_find_exact(t->tuning, device, "gemm", r->shape.n, r->shape.k);
    ob_tuning_entry entry = {.platform = device->platform,
                             .device = device->name,
                             .driver = device->driver_version,
                             .op = "gemm",
                             .n = r->shape.n,
                             .k = r->shape.k,
                             .provider = r->provider};
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++) {
        entry.variants[i] = r->classes[i].variant;
        entry.gflops[i] = r->classes[i].gflops;
        entry.gain[i] = r->classes[i].gain;
    }
    return put_line(t, old == NULL ? 0 : old->line, &entry, err);
}

static void keep(const ob_tuning_entry *entry, ob_tune_result *r)
{
    r->state = OB_TUNE_KEPT;
    snprintf(r->provider, sizeof r->provider, "%s", entry->provider);
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++) {
        snprintf(r->classes[i].variant, sizeof r->classes[i].variant, "%s", entry->variants[i]);
        r->classes[i].gflops = entry->gflops[i];
        r->classes[i].gain = entry->gain[i];
        bool measured = entry->gflops[i] >= 0 && entry->gain[i] > 0;
        r->classes[i].default_gflops = measured ? entry->gflops[i] / entry->gain[i] : OB_TUNING_UNMEASURED;
    }
}

/* The run */

static ob_status report(const ob__tune_run *run, const ob_tune_result *result, ob_error *err)
{
    const ob_tune_progress progress = {.result = result,
                                       .finished = true,
                                       .part =
                                           (double)(run->shape_count - run->shapes_left + 1) / (double)run->shape_count,
                                       .seconds = ob_clock_seconds() - run->begin};
    if (run->progress != NULL && !run->progress(run->user, &progress))
        return ob_error_set(err, OB_ERR_INTERRUPTED, "interrupted");
    return OB_OK;
}

static ob_status run_shapes(ob__tune_run *run, table *t, ob_tune_result *results, ob_error *err)
{
    const ob_device_info *device = ob_context_device(run->ctx);
    for (size_t i = 0; i < run->shape_count; i++, run->shapes_left--) {
        ob_tune_result *r = &results[i];
        const ob_tuning_entry *old = ob_tuning_find_exact(t->tuning, device, "gemm", r->shape.n, r->shape.k);
        if (old != NULL && !run->options->force) {
            keep(old, r);
        } else if (ob__tune_measure(run, r, err) != OB_OK) {
            ob_error_prefix(err, "tuning %zu x %zu", r->shape.n, r->shape.k);
            return ob_error_status(err);
        } else if (put_result(t, device, r, err) != OB_OK) {
            return ob_error_status(err);
        }
        if (report(run, r, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

static ob_status check_providers(const ob_tune_options *options, ob_error *err)
{
    for (size_t i = 0; i < options->provider_count; i++) {
        ob_gemm_provider provider;
        if (!ob_gemm_provider_from_name(options->providers[i], &provider) || provider == OB_GEMM_AUTO)
            return ob_error_set(err, OB_ERR_USAGE, "'%s': not one of " OB_GEMM_PROVIDER_NAMES, options->providers[i]);
    }
    return OB_OK;
}

ob_status ob_tune_run(ob_device *device, const ob_tune_shape *shapes, size_t count, const ob_tune_options *options,
                      ob_tune_progress_fn progress, void *user, ob_tune_result *results, ob_error *err)
{
    ob_error own;
    if (err == NULL) { /* what a candidate fails of is logged by its text */
        ob_error_clear(&own);
        err = &own;
    }
    ob__tune_run run = {.options = options,
                        .progress = progress,
                        .user = user,
                        .begin = ob_clock_seconds(),
                        .shapes_left = count,
                        .shape_count = count};
    table t = {.path = options->output};
    ob_context_options context;
    ob_context_options_default(&context);
    context.cache_folder = options->cache_folder;
    run.deadline = run.begin + options->seconds;
    for (size_t i = 0; i < count; i++)
        results[i] = (ob_tune_result){.shape = shapes[i]};
    ob_status status = check_providers(options, err);
    if (status == OB_OK)
        status = open_table(&t, err);
    if (status == OB_OK)
        status = ob_context_create(device, &context, &run.ctx, err);
    if (status == OB_OK)
        status = run_shapes(&run, &t, results, err);
    ob_context_destroy(run.ctx);
    close_table(&t);
    if (status == OB_ERR_INTERRUPTED && run.late) {
        ob_error_clear(err);
        return OB_OK;
    }
    return status;
}
