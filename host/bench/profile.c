/* Times of kernels, with the work that shapes say they did. */
#include "bench_internal.h"

#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/writer.h>
#include <stdio.h>
#include <string.h>

#define MAX_PASSES 3
/* Some drivers' clocks stand still: kernels are never that small a part of a run. */
#define MIN_CREDIBLE 0.001

/* Flops and bytes that have to move between memory and a kernel, of one pass. */
typedef struct work {
    double flops, bytes;
} work;

/* The shape of a pass: tokens, the sum of squared lengths, and so on. */
typedef struct pass {
    double tokens, pairs, rows, batches, positions, head_batches;
    double hidden, attended, inner, vocab, layers;
} pass;

static pass describe(const ob__bench_plan *plan, const ob_roberta_config *c)
{
    pass p = {.batches = (double)plan->batch_count,
              .hidden = (double)c->hidden_size,
              .attended = ob__bench_attended_width(c),
              .inner = (double)c->intermediate_size,
              .vocab = (double)c->vocab_size,
              .layers = (double)c->num_hidden_layers};
    for (size_t i = 0; i < plan->batch_count; i++) {
        const ob_batch *b = &plan->batches[i];
        p.tokens += (double)b->token_count;
        p.rows += (double)b->sequence_count;
        p.positions += (double)b->position_count;
        p.head_batches += b->position_count > 0;
        for (size_t s = 0; s < b->sequence_count; s++) {
            double length = (double)(b->cu_seqlens[s + 1] - b->cu_seqlens[s]);
            p.pairs += length * length;
        }
    }
    return p;
}

/* All matrix products of n x k over m rows in all, `times` calls: weights are read at each call. */
static void add_product(work *w, double times, double m, double n, double k, double residual)
{
    w->flops += 2 * m * n * k;
    w->bytes += 4 * (times * n * k + m * (k + n * (1 + residual)));
}

static work products(const pass *p)
{
    work w = {0, 0};
    double calls = p->layers * p->batches, m = p->layers * p->tokens, h = p->hidden, a = p->attended;
    add_product(&w, calls, m, 3 * a, h, 0);
    add_product(&w, calls, m, h, a, 1);
    add_product(&w, calls, m, p->inner, h, 0);
    add_product(&w, calls, m, h, p->inner, 1);
    add_product(&w, p->head_batches, p->positions, h, h, 0);
    add_product(&w, p->head_batches, p->positions, p->vocab, h, 0);
    return w;
}

typedef enum kind { PRODUCT, ATTENTION, KEYS, NORM, EMBEDDING, GATHER, POOL, TOP_K, OTHER } kind;

static kind kind_of(const char *kernel)
{
    static const struct {
        const char *prefix;
        kind kind;
    } kinds[] = {{"gemm__", PRODUCT},      {"CLBlast", PRODUCT}, {"attention__", ATTENTION},
                 {"attention_pack", KEYS}, {"layer_norm", NORM}, {"embedding", EMBEDDING},
                 {"gather_rows", GATHER},  {"pool", POOL},       {"top_k_segments", TOP_K}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(kernel, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].kind;
    return OTHER;
}

static work work_of(kind k, const pass *p)
{
    double row = 4 * p->hidden, attended = 4 * p->attended; /* bytes */
    switch (k) {
    case PRODUCT:
        return products(p);
    case ATTENTION:
        return (work){p->layers * 4 * p->pairs * p->attended, p->layers * p->tokens * 4 * attended};
    case KEYS:
        return (work){0, p->layers * p->tokens * 4 * attended}; /* keys and values, read and written */
    case NORM:
        return (work){0, ((2 * p->layers + 1) * p->tokens + p->positions) * 2 * row};
    case EMBEDDING:
        return (work){0, p->tokens * 4 * row};
    case GATHER:
        return (work){0, p->positions * 2 * row};
    case POOL:
        return (work){0, p->rows * 2 * row};
    case TOP_K:
        return (work){0, p->positions * p->vocab * 4};
    case OTHER:
        break;
    }
    return (work){0, 0};
}

/* Several kernels of a kind share its work; each is shown at the rate of all. */
static double kind_ns(const ob_profile_entry *entries, size_t count, kind k)
{
    double ns = 0;
    for (size_t i = 0; i < count; i++)
        ns += kind_of(entries[i].kernel) == k ? (double)entries[i].total_ns : 0;
    return ns;
}

/* `wall` seconds are what the passes took by the host's clock. */
static ob_status tell(const ob_profile_entry *entries, size_t count, const pass *p, double passes, double wall,
                      ob_bench_result *out, ob_error *err)
{
    out->kernels = ob_calloc(count, sizeof *out->kernels);
    if (out->kernels == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the profile");
    out->kernel_count = count;
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += (double)entries[i].total_ns;
    bool credible = total * 1e-9 > wall * MIN_CREDIBLE;
    if (!credible)
        ob_log(OB_LOG_WARN, "bench", "the driver's times of kernels add up to %.3g of %.3g ms: no rates follow",
               total * 1e-6, wall * 1e3);
    for (size_t i = 0; i < count; i++) {
        ob_bench_kernel *kernel = &out->kernels[i];
        double ns = (double)entries[i].total_ns, all_ns = kind_ns(entries, count, kind_of(entries[i].kernel)) / passes;
        work w = work_of(kind_of(entries[i].kernel), p);
        snprintf(kernel->name, sizeof kernel->name, "%s", entries[i].kernel);
        kernel->launches = (double)entries[i].launches / passes;
        kernel->ms = ns / passes * 1e-6;
        kernel->share = total > 0 ? ns / total : 0;
        kernel->gflops = credible && all_ns > 0 ? w.flops / all_ns : 0;
        kernel->gbytes_per_s = credible && all_ns > 0 ? w.bytes / all_ns : 0;
    }
    return OB_OK;
}

/* Spans are kept over all workloads, but for first runs. */
static ob_status run_plan(ob__bench_session *s, const ob__bench_plan *plan, ob_bench_result *out, ob_error *err)
{
    ob_profile_entry *entries = NULL;
    size_t count = 0, passes = 0;
    double seconds, wall = 0;
    ob_profile_reset(s->ctx);
    double until = ob_clock_seconds() + s->spec->seconds;
    for (; passes == 0 || (passes < MAX_PASSES && ob_clock_seconds() < until); passes++, wall += seconds)
        if (ob__bench_pass(s, plan, &seconds, NULL, err) != OB_OK)
            return ob_error_status(err);
    if (ob_profile_collect(s->ctx, &entries, &count, err) != OB_OK)
        return ob_error_status(err);
    const pass p = describe(plan, &s->spec->model->config);
    ob_status status = s->spec->profile ? tell(entries, count, &p, (double)passes, wall, out, err) : OB_OK;
    ob_free(entries);
    return status;
}

static ob_status profile_workload(ob__bench_session *s, const ob_workload *workload, ob_bench_result *out,
                                  ob_error *err)
{
    ob__bench_plan plan;
    if (ob__bench_watch(&s->spec->watch, "profile", err) != OB_OK ||
        ob__bench_plan_create(workload, &s->spec->model->config, s->spec->head, &s->limits, &plan, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = run_plan(s, &plan, out, err);
    ob__bench_plan_release(&plan);
    return status;
}

/* One batch, so that no first launch is in the times. */
static ob_status warm_up(ob__bench_session *s, const ob_workload *workload, ob_error *err)
{
    ob__bench_plan plan;
    double seconds;
    if (ob__bench_plan_create(workload, &s->spec->model->config, s->spec->head, &s->limits, &plan, err) != OB_OK)
        return ob_error_status(err);
    size_t all = plan.batch_count;
    plan.batch_count = 1;
    ob_status status = ob__bench_pass(s, &plan, &seconds, NULL, err);
    plan.batch_count = all;
    ob__bench_plan_release(&plan);
    return status;
}

ob_status ob__bench_profile(ob__bench_session *s, ob_bench_report *report, ob_error *err)
{
    if (warm_up(s, &s->spec->workloads[0], err) != OB_OK)
        return ob_error_status(err);
    ob_profile_keep_spans(s->ctx, s->spec->trace_launches);
    for (size_t i = 0; i < report->result_count; i++)
        if (profile_workload(s, &s->spec->workloads[i], &report->results[i], err) != OB_OK)
            return ob_error_status(err);
    if (s->spec->trace_launches == 0)
        return OB_OK;
    return ob_profile_spans(s->ctx, &report->spans, &report->span_count, &report->spans_left_out, err);
}

void ob_bench_append_trace(const ob_bench_report *report, size_t process, ob_strbuf *out)
{
    uint64_t start = report->span_count > 0 ? report->spans[0].start_ns : 0;
    ob_strbuf_printf(out, "%s{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%zu,\"tid\":1,\"args\":{\"name\":",
                     out->length > 0 && out->data[out->length - 1] != '[' ? ",\n" : "\n", process);
    ob_json_append_string(out, report->device->name, strlen(report->device->name));
    ob_strbuf_puts(out, "}}");
    for (size_t i = 0; i < report->span_count; i++) {
        const ob_profile_span *span = &report->spans[i];
        ob_strbuf_printf(out, ",\n{\"name\":\"%s\",\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":%zu,\"tid\":1}",
                         span->kernel, (double)(span->start_ns - start) * 1e-3,
                         (double)(span->end_ns - span->start_ns) * 1e-3, process);
    }
}
