/* The order of a benchmark: roof, model, workloads and the roof between their runs, then what was asked for besides. */
#include "bench_internal.h"

#include <oberta/memory.h>
#include <oberta/schedule.h>
#include <stdio.h>

/* What `run` plans for the same job: as many tokens, all lengths that the model takes. */
static void plan_limits(ob__bench_session *s)
{
    size_t longest = ob_roberta_config_max_length(&s->spec->model->config), tokens = s->spec->max_tokens;
    if (tokens == 0)
        tokens = ob_schedule_auto_tokens(ob_context_device(s->ctx));
    s->limits.max_tokens = tokens;
    s->limits.max_sequences = ob_schedule_max_sequences(tokens > longest ? tokens : longest);
}

static ob_status check_workloads(const ob_bench_spec *spec, ob_error *err)
{
    size_t longest = ob_roberta_config_max_length(&spec->model->config);
    for (size_t i = 0; i < spec->workload_count; i++)
        if (spec->workloads[i].longest > longest)
            return ob_error_set(err, OB_ERR_USAGE, "workload '%s': rows of %zu tokens, but the model takes at most %zu",
                                spec->workloads[i].name, spec->workloads[i].longest, longest);
    return OB_OK;
}

static ob_status open_context(ob__bench_session *s, bool profile, ob_error *err)
{
    ob_context_options options;
    ob_context_options_default(&options);
    options.cache_folder = s->spec->cache_folder;
    options.profile = profile;
    return ob_context_create(s->spec->device, &options, &s->ctx, err);
}

static ob_status load_model(ob__bench_session *s, ob_error *err)
{
    const ob_bench_spec *spec = s->spec;
    size_t longest = ob_roberta_config_max_length(&spec->model->config);
    ob_roberta_options options;
    ob_roberta_options_default(&options);
    plan_limits(s);
    options.max_tokens = s->limits.max_tokens > longest ? s->limits.max_tokens : longest;
    options.max_sequences = s->limits.max_sequences;
    options.head = spec->head != OB_BENCH_ENCODER ? OB_HEAD_LM : OB_HEAD_NONE;
    options.top_k = spec->head == OB_BENCH_FILL_MASK ? OB__BENCH_TOP_K : 0;
    options.gemm = spec->gemm;
    if (ob__bench_watch(&spec->watch, "model", err) != OB_OK ||
        ob_roberta_create(s->ctx, &spec->model->config, spec->model->checkpoint, &options, &s->model, err) != OB_OK)
        return ob_error_status(err);
    return ob_context_finish(s->ctx, err);
}

static ob_status load_and_tell(ob__bench_session *s, ob_bench_report *report, ob_error *err)
{
    ob_context_stats before, after;
    ob_memory_reset_peak(); /* the roof's buffer is none of the model's business */
    ob_context_get_stats(s->ctx, &before);
    double begin = ob_clock_seconds();
    if (load_model(s, err) != OB_OK) {
        if (ob_error_status(err) == OB_ERR_MODEL) /* defects of its files, whatever the device */
            ob_error_prefix_each(err, "%s", s->spec->model->name);
        else
            ob_error_prefix(err, "loading '%s' on '%s'", s->spec->model->name, ob_context_device(s->ctx)->name);
        return ob_error_status(err);
    }
    double seconds = ob_clock_seconds() - begin;
    ob_context_get_stats(s->ctx, &after);
    report->build_ms = (after.build_seconds - before.build_seconds) * 1e3;
    report->load_ms = (s->spec->model->open_seconds + seconds) * 1e3 - report->build_ms;
    report->parameters = ob_roberta_parameter_count(s->model);
    report->weight_bytes = ob_roberta_weight_bytes(s->model);
    report->activation_bytes = ob_roberta_activation_bytes(s->model);
    report->device_bytes = after.buffer_bytes;
    report->max_tokens = s->limits.max_tokens;
    return OB_OK;
}

static void close_session(ob__bench_session *s)
{
    ob_result_release(&s->result);
    ob_roberta_destroy(s->model);
    ob_context_destroy(s->ctx);
    s->model = NULL;
    s->ctx = NULL;
}

static ob_status run_workloads(ob__bench_session *s, ob_bench_report *report, ob_error *err)
{
    const ob_bench_spec *spec = s->spec;
    report->results = ob_calloc(spec->workload_count, sizeof *report->results);
    if (report->results == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the results");
    report->result_count = spec->workload_count;
    for (size_t i = 0; i < spec->workload_count; i++)
        if (ob__bench_measure(s, &spec->workloads[i], &report->results[i], err) != OB_OK)
            return ob_error_status(err);
    return spec->dump_hidden == NULL ? OB_OK : ob__bench_dump_hidden(s, &spec->workloads[0], spec->dump_hidden, err);
}

/* The best of all that was measured. */
static void tell_roof(const ob__bench_session *s, ob_bench_report *report)
{
    report->roof_gflops = s->roof.gflops;
    report->roof_gbytes_per_s = s->roof.gbytes_per_s;
    report->roof_right = s->roof.answers_right;
    for (size_t i = 0; i < report->result_count; i++)
        report->results[i].verified = report->results[i].verified && s->roof.answers_right;
}

static ob_status measure_all(ob__bench_session *s, ob_bench_report *report, ob_error *err)
{
    bool roof = !s->spec->once;
    if (roof &&
        (ob__bench_watch(&s->spec->watch, "roof", err) != OB_OK || ob_roof_measure(s->ctx, &s->roof, err) != OB_OK))
        return ob_error_status(err);
    if (load_and_tell(s, report, err) != OB_OK || run_workloads(s, report, err) != OB_OK)
        return ob_error_status(err);
    if (!roof)
        return OB_OK;
    tell_roof(s, report);
    /* Operators alone do not need the model's memory. */
    ob_roberta_destroy(s->model);
    s->model = NULL;
    return s->spec->operators ? ob__bench_operators(s, report, err) : OB_OK;
}

ob_status ob_bench_run(const ob_bench_spec *spec, ob_bench_report *out, ob_error *err)
{
    ob__bench_session s = {.spec = spec};
    ob_bench_report report = {.device = ob_device_get_info(spec->device)};
    ob_status status = check_workloads(spec, err);
    if (status == OB_OK)
        status = open_context(&s, false, err);
    if (status == OB_OK)
        status = measure_all(&s, &report, err);
    close_session(&s);
    if (status == OB_OK && (spec->profile || spec->trace_launches > 0)) {
        status = open_context(&s, true, err);
        if (status == OB_OK)
            status = load_model(&s, err);
        if (status == OB_OK)
            status = ob__bench_profile(&s, &report, err);
        close_session(&s);
    }
    if (status == OB_OK)
        *out = report;
    else
        ob_bench_report_release(&report);
    return status;
}

void ob_bench_report_release(ob_bench_report *report)
{
    for (size_t i = 0; i < report->result_count; i++)
        ob_free(report->results[i].kernels);
    ob_free(report->results);
    ob_free(report->operators);
    ob_free(report->spans);
    *report = (ob_bench_report){.device = NULL};
}
