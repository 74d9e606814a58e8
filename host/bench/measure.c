/* Runs a workload again and again, and the roof in between: a share of it is of two medians of the same seconds. */
#include "bench_internal.h"

#include <oberta/memory.h>
#include <oberta/writer.h>
#include <stdlib.h>

#define MIN_RUNS   3
#define ROOF_SHARE 0.0625 /* of the time of runs, for the roof beside them */

ob_status ob__bench_watch(const ob_bench_watch *watch, const char *what, ob_error *err)
{
    if (watch->go_on == NULL || watch->go_on(watch->user, what))
        return OB_OK;
    return ob_error_set(err, OB_ERR_INTERRUPTED, "interrupted");
}

static void hash_result(ob_hasher *hasher, const ob_batch *b, const ob_result *r, const ob_roberta_config *c)
{
    if ((b->want & OB_WANT_CLS) != 0)
        ob_hasher_add(hasher, r->pooled, b->sequence_count * c->hidden_size * sizeof *r->pooled);
    if ((b->want & OB_WANT_LOGITS) != 0)
        ob_hasher_add(hasher, r->logits, b->position_count * c->vocab_size * sizeof *r->logits);
    if ((b->want & OB_WANT_TOP_K) != 0) {
        ob_hasher_add(hasher, r->top_ids, b->position_count * b->top_k * sizeof *r->top_ids);
        ob_hasher_add(hasher, r->top_scores, b->position_count * b->top_k * sizeof *r->top_scores);
    }
}

ob_status ob__bench_pass(ob__bench_session *s, const ob__bench_plan *plan, double *seconds, ob_hash128 *hash,
                         ob_error *err)
{
    ob_hasher *hasher = ob_hasher_create();
    if (hasher == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a hash");
    ob_status status = OB_OK;
    *seconds = 0;
    for (size_t i = 0; status == OB_OK && i < plan->batch_count; i++) {
        status = ob__bench_watch(&s->spec->watch, NULL, err);
        double begin = ob_clock_seconds();
        if (status == OB_OK)
            status = ob_roberta_run(s->model, &plan->batches[i], &s->result, err);
        *seconds += ob_clock_seconds() - begin;
        if (status == OB_OK && hash != NULL)
            hash_result(hasher, &plan->batches[i], &s->result, &s->spec->model->config);
    }
    if (hash != NULL)
        *hash = ob_hasher_finish(hasher);
    ob_hasher_destroy(hasher);
    return status;
}

/* Seconds of runs, or rates of the roof. */
typedef struct samples {
    double *values;
    size_t count, capacity;
} samples;

static ob_status add_sample(samples *s, double value, ob_error *err)
{
    if (!ob_array_reserve((void **)&s->values, &s->capacity, s->count + 1, sizeof *s->values))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu samples", s->count);
    s->values[s->count++] = value;
    return OB_OK;
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort_samples(samples *s)
{
    if (s->count > 0)
        qsort(s->values, s->count, sizeof *s->values, compare_values);
}

/* Of sorted samples: the smallest that `percent` of all do not exceed. */
static double percentile(const samples *s, size_t percent)
{
    size_t rank = (s->count * percent + 99) / 100;
    return s->values[rank > 0 ? rank - 1 : 0];
}

/* Runs of a workload, and what lies between them. */
typedef struct measurement {
    samples seconds, roof;
    ob_roof_probe *probe;
} measurement;

/* The roof in launches that take `seconds` together. */
static ob_status probe_roof(ob__bench_session *s, measurement *m, double *seconds, ob_error *err)
{
    while (*seconds > 0) {
        double gflops, begin = ob_clock_seconds();
        if (ob_roof_probe_run(m->probe, &s->roof, &gflops, err) != OB_OK || add_sample(&m->roof, gflops, err) != OB_OK)
            return ob_error_status(err);
        *seconds -= ob_clock_seconds() - begin;
    }
    return OB_OK;
}

static ob_status run_for(ob__bench_session *s, const ob__bench_plan *plan, ob_hash128 first, measurement *m, bool *same,
                         ob_error *err)
{
    double left = s->spec->seconds, roof_owed = 0;
    if (ob_roof_probe_create(s->ctx, &s->roof, &m->probe, err) != OB_OK)
        return ob_error_status(err);
    while (m->seconds.count < MIN_RUNS || left > 0) {
        ob_hash128 hash;
        double seconds, begin = ob_clock_seconds();
        if (ob__bench_pass(s, plan, &seconds, &hash, err) != OB_OK || add_sample(&m->seconds, seconds, err) != OB_OK)
            return ob_error_status(err);
        *same = *same && ob_hash_equal(hash, first);
        left -= ob_clock_seconds() - begin;
        roof_owed += seconds * ROOF_SHARE;
        if (probe_roof(s, m, &roof_owed, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

static void sum_up(const ob__bench_session *s, const ob_workload *w, measurement *m, ob_bench_result *out)
{
    sort_samples(&m->seconds);
    sort_samples(&m->roof);
    double median = percentile(&m->seconds, 50), tokens = (double)w->token_count;
    out->p50_ms = median * 1e3;
    out->p95_ms = percentile(&m->seconds, 95) * 1e3;
    out->p99_ms = percentile(&m->seconds, 99) * 1e3;
    out->tokens_per_s = tokens / median;
    out->best_tokens_per_s = tokens / m->seconds.values[0];
    out->sequences_per_s = (double)w->row_count / median;
    out->gflops = ob_workload_flops(w, &s->spec->model->config, s->spec->head) / median * 1e-9;
    if (m->roof.count > 0) {
        out->roof_gflops = percentile(&m->roof, 50);
        out->of_roof = out->roof_gflops > 0 ? out->gflops / out->roof_gflops : 0;
    }
}

static ob_status measure(ob__bench_session *s, const ob__bench_plan *plan, measurement *m, ob_bench_result *out,
                         ob_error *err)
{
    ob_hash128 hash;
    double first;
    if (ob__bench_pass(s, plan, &first, &hash, err) != OB_OK)
        return ob_error_status(err);
    out->first_run_ms = first * 1e3;
    out->total_ms = (ob_clock_seconds() - s->spec->started - s->spec->model->make_seconds) * 1e3;
    out->verified = true;
    if (s->spec->once)
        return add_sample(&m->seconds, first, err);
    if (run_for(s, plan, hash, m, &out->verified, err) != OB_OK)
        return ob_error_status(err);
    out->run_count = m->seconds.count;
    return OB_OK;
}

ob_status ob__bench_measure(ob__bench_session *s, const ob_workload *workload, ob_bench_result *out, ob_error *err)
{
    ob__bench_plan plan;
    measurement m = {.probe = NULL};
    if (ob__bench_watch(&s->spec->watch, workload->name, err) != OB_OK ||
        ob__bench_plan_create(workload, &s->spec->model->config, s->spec->head, &s->limits, &plan, err) != OB_OK)
        return ob_error_status(err);
    out->workload = workload;
    out->batch_count = plan.batch_count;
    ob_status status = measure(s, &plan, &m, out, err);
    if (status == OB_OK) {
        sum_up(s, workload, &m, out);
        out->peak_host_bytes = ob_memory_peak_bytes();
    }
    ob_roof_probe_destroy(m.probe);
    ob_free(m.roof.values);
    ob_free(m.seconds.values);
    ob__bench_plan_release(&plan);
    return status;
}

static ob_status write_batch(ob_writer *writer, const ob_batch *b, const float *hidden, size_t hidden_size,
                             size_t first_row, ob_error *err)
{
    for (size_t i = 0; i < b->sequence_count; i++) {
        size_t begin = (size_t)b->cu_seqlens[i], end = (size_t)b->cu_seqlens[i + 1];
        const ob_named_array array = {"last_hidden_state", 2, {end - begin, hidden_size}, hidden + begin * hidden_size};
        const ob_record record = {
            .row = first_row + i, .id = "", .kind = OB_RECORD_ARRAYS, .array_count = 1, .arrays = &array};
        if (ob_writer_write(writer, &record, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

static ob_status write_hidden(ob__bench_session *s, ob__bench_plan *plan, ob_writer *writer, ob_error *err)
{
    size_t row = 0;
    for (size_t i = 0; i < plan->batch_count; row += plan->batches[i++].sequence_count) {
        ob_batch *b = &plan->batches[i];
        b->want = OB_WANT_HIDDEN;
        if (ob__bench_watch(&s->spec->watch, NULL, err) != OB_OK ||
            ob_roberta_run(s->model, b, &s->result, err) != OB_OK ||
            write_batch(writer, b, s->result.hidden, s->spec->model->config.hidden_size, row, err) != OB_OK)
            return ob_error_status(err);
    }
    return ob_writer_commit(writer, err);
}

ob_status ob__bench_dump_hidden(ob__bench_session *s, const ob_workload *workload, const char *path, ob_error *err)
{
    ob__bench_plan plan;
    ob_writer *writer;
    if (ob__bench_plan_create(workload, &s->spec->model->config, s->spec->head, &s->limits, &plan, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_writer_create(path, OB_OUTPUT_SAFETENSORS, true, &writer, err);
    if (status == OB_OK) {
        status = write_hidden(s, &plan, writer, err);
        ob_writer_destroy(writer);
    }
    ob__bench_plan_release(&plan);
    return status;
}
