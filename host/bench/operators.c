/* Operators alone: what the encoder is made of, each as a share of the roof.
 *
 * They are gone through several times, roof and all, and each keeps its best: where others use the machine it has slow
 * phases of seconds, which would fall to a few operators, or to the roof. */
#include "bench_internal.h"

#include <oberta/memory.h>
#include <oberta/op_attention.h>
#include <oberta/op_gemm.h>
#include <oberta/op_layer_norm.h>
#include <oberta/rows.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WEIGHT_COPIES 12 /* as a model has layers: their sum is more than a cache holds */
#define ROUND_SECONDS 0.03
#define ALL_SECONDS   0.15
#define NORM_ROWS     4096
#define SWEEPS        3

typedef struct room {
    ob__bench_session *session;
    ob_bench_report *report;
    ob_gemm_provider gemm;
    size_t capacity, next; /* next: of the operators, in this sweep */
} room;

/* Enqueues one launch of an operator. */
typedef ob_status (*launch_fn)(void *user, size_t number, ob_error *err);

static ob_status time_launches(ob_context *ctx, launch_fn launch, void *user, size_t count, size_t *number,
                               double *seconds, ob_error *err)
{
    double begin = ob_clock_seconds();
    for (size_t i = 0; i < count; i++)
        if (launch(user, (*number)++, err) != OB_OK)
            return ob_error_status(err);
    if (ob_context_finish(ctx, err) != OB_OK)
        return ob_error_status(err);
    *seconds = (ob_clock_seconds() - begin) / (double)count;
    return OB_OK;
}

/* The mean of a launch in the best round. */
static ob_status time_operator(ob__bench_session *s, launch_fn launch, void *user, double *best, ob_error *err)
{
    size_t number = 0, count = WEIGHT_COPIES;
    double seconds, until;
    if (ob__bench_watch(&s->spec->watch, NULL, err) != OB_OK ||
        time_launches(s->ctx, launch, user, 2, &number, &seconds, err) != OB_OK)
        return ob_error_status(err);
    while (count * seconds < ROUND_SECONDS && count < 4096)
        count *= 2;
    *best = 1e30;
    until = ob_clock_seconds() + ALL_SECONDS;
    for (int round = 0; round < 2 || ob_clock_seconds() < until; round++) {
        if (time_launches(s->ctx, launch, user, count, &number, &seconds, err) != OB_OK)
            return ob_error_status(err);
        *best = seconds < *best ? seconds : *best;
    }
    return OB_OK;
}

OB_PRINTF(6, 7)
static ob_status tell(room *r, double seconds, double flops, double bytes, ob_error *err, const char *format, ...)
{
    ob_bench_report *report = r->report;
    if (!ob_array_reserve((void **)&report->operators, &r->capacity, r->next + 1, sizeof *report->operators))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the operators' times");
    ob_bench_operator *op = &report->operators[r->next++];
    if (r->next <= report->operator_count && op->us <= seconds * 1e6)
        return OB_OK;
    if (r->next > report->operator_count)
        report->operator_count = r->next;
    *op = (ob_bench_operator){
        .us = seconds * 1e6, .gflops = flops / seconds * 1e-9, .gbytes_per_s = bytes / seconds * 1e-9};
    va_list args;
    va_start(args, format);
    vsnprintf(op->name, sizeof op->name, format, args);
    va_end(args);
    return OB_OK;
}

/* Small numbers of either sign; `count` floats on the device. */
static ob_status create_filled(ob_context *ctx, size_t count, ob_buffer **out, ob_error *err)
{
    float *values = ob_realloc_array(NULL, count, sizeof *values);
    if (values == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu numbers", count);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((i * 2654435761u >> 16 & 1023)) * 0x1p-12f - 0.125f;
    ob_status status = ob_buffer_create(ctx, count * sizeof *values, "operator", out, err);
    if (status == OB_OK)
        status = ob_buffer_upload(*out, 0, values, count * sizeof *values, err);
    ob_free(values);
    return status;
}

typedef struct product {
    size_t n, k, m;
    ob_gemm *gemm;
    ob_gemm_weights *weights[WEIGHT_COPIES];
    ob_buffer *src, *dst;
} product;

static ob_status launch_product(void *user, size_t number, ob_error *err)
{
    product *p = user;
    return ob_gemm_enqueue(p->gemm, p->weights[number % WEIGHT_COPIES], p->src, p->m, NULL, p->dst, err);
}

static ob_status create_product(const room *r, product *p, size_t most_rows, ob_error *err)
{
    ob__bench_session *s = r->session;
    /* As in the encoder: only queries, keys and values leave the row tiles. */
    size_t tile = ob_gemm_row_tile(s->ctx, r->gemm);
    const ob_gemm_desc desc = {.n = p->n,
                               .k = p->k,
                               .activation = OB_ACT_NONE,
                               .provider = r->gemm,
                               .row_tile = tile,
                               .tiled_dst = p->n != 3 * p->k};
    if (ob_gemm_create(s->ctx, &desc, &p->gemm, err) != OB_OK ||
        create_filled(s->ctx, ob_rows_elements(most_rows, p->k, tile), &p->src, err) != OB_OK ||
        ob_buffer_create(s->ctx, ob_rows_elements(most_rows, p->n, tile) * sizeof(float), "operator", &p->dst, err) !=
            OB_OK)
        return ob_error_status(err);
    float *values = ob_realloc_array(NULL, p->n * p->k, sizeof *values);
    if (values == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for weights");
    for (size_t i = 0; i < p->n * p->k; i++)
        values[i] = (float)((i * 2246822519u >> 16 & 1023)) * 0x1p-12f - 0.125f;
    const ob_gemm_part part = {
        .weight = values, .weight_dtype = OB_DTYPE_F32, .bias_dtype = OB_DTYPE_F32, .rows = p->n};
    ob_status status = OB_OK;
    for (size_t i = 0; status == OB_OK && i < WEIGHT_COPIES; i++)
        status = ob_gemm_weights_create(p->gemm, &part, 1, &p->weights[i], err);
    ob_free(values);
    return status;
}

static void release_product(product *p)
{
    for (size_t i = 0; i < WEIGHT_COPIES; i++)
        ob_gemm_weights_destroy(p->weights[i]);
    ob_gemm_destroy(p->gemm);
    ob_buffer_destroy(p->src);
    ob_buffer_destroy(p->dst);
}

static ob_status measure_product(room *r, size_t n, size_t k, ob_error *err)
{
    static const size_t rows[] = {12, 16, 128, 512, 4096};
    product p = {.n = n, .k = k};
    ob_status status = create_product(r, &p, rows[4], err);
    if (status == OB_OK) /* the roof beside it */
        status = ob_roof_measure_again(r->session->ctx, &r->session->roof, err);
    for (size_t i = 0; status == OB_OK && i < sizeof rows / sizeof *rows; i++) {
        double m = (double)(p.m = rows[i]), w = (double)n * (double)k, seconds;
        status = time_operator(r->session, launch_product, &p, &seconds, err);
        if (status == OB_OK)
            status = tell(r, seconds, 2 * m * w, 4 * (w + m * (double)(n + k)), err, "gemm %s %zux%zu, m %zu",
                          ob_gemm_provider_name(ob_gemm_get_provider(p.gemm)), n, k, p.m);
    }
    release_product(&p);
    return status;
}

typedef struct attention {
    ob_attention *op;
    ob_buffer *qkv, *workspace, *dst;
} attention;

static ob_status launch_attention(void *user, size_t number, ob_error *err)
{
    attention *a = user;
    (void)number;
    return ob_attention_enqueue(a->op, a->qkv, NULL, a->workspace, a->dst, err);
}

static ob_status create_attention(const room *r, size_t rows, size_t length, attention *a, ob_error *err)
{
    ob__bench_session *s = r->session;
    const ob_roberta_config *c = &s->spec->model->config;
    size_t tokens = rows * length, tile = ob_gemm_row_tile(s->ctx, r->gemm);
    const ob_attention_desc desc = {.heads = c->num_attention_heads,
                                    .head_size = c->hidden_size / c->num_attention_heads,
                                    .max_sequence = ob_roberta_config_max_length(c),
                                    .max_tokens = tokens,
                                    .max_sequences = rows,
                                    .variant = OB_ATTENTION_AUTO,
                                    .row_tile = tile};
    if (ob_attention_create(s->ctx, &desc, &a->op, err) != OB_OK ||
        create_filled(s->ctx, 3 * tokens * c->hidden_size, &a->qkv, err) != OB_OK ||
        ob_buffer_create(s->ctx, ob_rows_elements(tokens, c->hidden_size, tile) * sizeof(float), "operator", &a->dst,
                         err) != OB_OK)
        return ob_error_status(err);
    size_t bytes = ob_attention_workspace_bytes(a->op);
    if (bytes > 0 && ob_buffer_create(s->ctx, bytes, "workspace", &a->workspace, err) != OB_OK)
        return ob_error_status(err);
    int32_t *cu_seqlens = ob_calloc(rows + 1, sizeof *cu_seqlens);
    if (cu_seqlens == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu rows", rows);
    for (size_t i = 0; i <= rows; i++)
        cu_seqlens[i] = (int32_t)(i * length);
    ob_status status = ob_attention_plan(a->op, cu_seqlens, rows, err);
    ob_free(cu_seqlens);
    return status;
}

static ob_status measure_attention(room *r, size_t rows, size_t length, ob_error *err)
{
    attention a = {.op = NULL};
    double seconds, hidden = (double)r->session->spec->model->config.hidden_size, tokens = (double)(rows * length);
    if (length > ob_roberta_config_max_length(&r->session->spec->model->config))
        return OB_OK;
    ob_status status = create_attention(r, rows, length, &a, err);
    if (status == OB_OK)
        status = time_operator(r->session, launch_attention, &a, &seconds, err);
    if (status == OB_OK)
        status = tell(r, seconds, 4 * tokens * (double)length * hidden, 16 * tokens * hidden, err,
                      "attention %s %zux%zu", ob_attention_variant_used(a.op), rows, length);
    ob_attention_destroy(a.op);
    ob_buffer_destroy(a.qkv);
    ob_buffer_destroy(a.workspace);
    ob_buffer_destroy(a.dst);
    return status;
}

typedef struct norm {
    ob_layer_norm *op;
    ob_buffer *src, *weight, *dst;
} norm;

static ob_status launch_norm(void *user, size_t number, ob_error *err)
{
    norm *n = user;
    (void)number;
    return ob_layer_norm_enqueue(n->op, n->src, n->weight, n->weight, NORM_ROWS, n->dst, err);
}

static ob_status measure_norm(room *r, ob_error *err)
{
    ob_context *ctx = r->session->ctx;
    const ob_roberta_config *c = &r->session->spec->model->config;
    size_t tile = ob_gemm_row_tile(ctx, r->gemm), elements = ob_rows_elements(NORM_ROWS, c->hidden_size, tile);
    const ob_layer_norm_desc desc = {
        .hidden_size = c->hidden_size, .eps = c->layer_norm_eps, .row_tile = tile, .variant = OB_LAYER_NORM_AUTO};
    norm n = {.op = NULL};
    double seconds;
    ob_status status = ob_layer_norm_create(ctx, &desc, &n.op, err);
    if (status == OB_OK)
        status = create_filled(ctx, elements, &n.src, err);
    if (status == OB_OK)
        status = create_filled(ctx, c->hidden_size, &n.weight, err);
    if (status == OB_OK)
        status = ob_buffer_create(ctx, elements * sizeof(float), "operator", &n.dst, err);
    if (status == OB_OK)
        status = time_operator(r->session, launch_norm, &n, &seconds, err);
    if (status == OB_OK)
        status = tell(r, seconds, 0, 8.0 * NORM_ROWS * (double)c->hidden_size, err, "layer_norm %s %dx%zu",
                      ob_layer_norm_variant_used(n.op), NORM_ROWS, c->hidden_size);
    ob_layer_norm_destroy(n.op);
    ob_buffer_destroy(n.src);
    ob_buffer_destroy(n.weight);
    ob_buffer_destroy(n.dst);
    return status;
}

static ob_status sweep(room *r, ob_error *err)
{
    const ob_roberta_config *c = &r->session->spec->model->config;
    size_t h = c->hidden_size, i = c->intermediate_size;
    r->next = 0;
    if (measure_product(r, 3 * h, h, err) != OB_OK || measure_product(r, h, h, err) != OB_OK ||
        measure_product(r, i, h, err) != OB_OK || measure_product(r, h, i, err) != OB_OK ||
        measure_attention(r, 1, 128, err) != OB_OK || measure_attention(r, 32, 128, err) != OB_OK ||
        measure_attention(r, 1, 512, err) != OB_OK || measure_attention(r, 8, 512, err) != OB_OK)
        return ob_error_status(err);
    return measure_norm(r, err);
}

ob_status ob__bench_operators(ob__bench_session *s, ob_bench_report *report, ob_error *err)
{
    room r = {.session = s, .report = report};
    if (!ob_gemm_provider_from_name(s->spec->gemm, &r.gemm)) /* the model was loaded with it */
        return ob_error_set(err, OB_ERR_INTERNAL, "matrix products by '%s'", s->spec->gemm);
    ob_status status = ob__bench_watch(&s->spec->watch, "operators", err);
    for (int i = 0; status == OB_OK && i < SWEEPS; i++)
        status = sweep(&r, err);
    report->operators_roof_gflops = s->roof.gflops;
    for (size_t i = 0; i < report->operator_count; i++)
        if (s->roof.gflops > 0)
            report->operators[i].of_roof = report->operators[i].gflops / s->roof.gflops;
    return status;
}
