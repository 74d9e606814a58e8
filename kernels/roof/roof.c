/* Chooses work-groups by the type of device, and turns by how long they take. */
#include "embedded_sources.h"

#include <oberta/clock.h>
#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_roof.h>

#define SUMS          10    /* roof.cl's */
#define MAX_TURNS     60000 /* some drivers end loops at 65,535 */
#define TRIAL_TURNS   1000
#define ROUND_SECONDS 0.015
#define FMA_SECONDS   0.1 /* a width's whole measurement */
#define READ_SECONDS  0.3
#define MIN_ROUNDS    3

/* A server's third-level cache keeps some of 256 MiB from round to round: 34 to 42 GB/s where 490 MB, which MAX_TURNS
 * leaves to two cores, give 33 to 34. */
#define MAX_READ_BYTES ((size_t)1024 << 20)
#define READ_FACTOR    0x2545F491u
#define STREAMS        8
#define STREAM_TURNS   (64 * STREAMS) /* of whole pages, where a vector is a line */

/* Work-items and the size of their groups. */
typedef struct spread {
    size_t items, group;
} spread;

/* CPU drivers run a group as a loop: one item each, some for every core. GPUs need groups of whole waves, and enough of
 * them to fill every unit. */
static spread spread_over(const ob_device_info *device, size_t most)
{
    if (device->type == OB_DEVICE_CPU)
        return (spread){64 * (size_t)device->compute_units, 1};
    size_t group = 256;
    while (group > 1 && (group > device->max_work_group || group > device->max_work_items[0] || group > most))
        group /= 2;
    return (spread){2048 / group * group * device->compute_units, group};
}

static ob_status build(ob_context *ctx, const ob_source *source, size_t width, const char *name, ob_kernel **out,
                       ob_error *err)
{
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob_defines_int(&defines, "VEC_N", (long)width);
    if ((ob_context_device(ctx)->capabilities & OB_CAP_FMA) != 0)
        ob_defines_int(&defines, "FUSED", 1);
    if (ob_program_create(ctx, name, &source, 1, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, name, out, err);
    ob_program_destroy(program);
    return status;
}

static ob_status time_kernel(ob_context *ctx, ob_kernel *kernel, const spread *s, const ob_arg *args, size_t count,
                             double *seconds, ob_error *err)
{
    const ob_ndrange range = {1, {s->items}, {s->group}};
    double begin = ob_clock_seconds();
    if (ob_kernel_enqueue(kernel, &range, args, count, err) != OB_OK || ob_context_finish(ctx, err) != OB_OK)
        return ob_error_status(err);
    *seconds = ob_clock_seconds() - begin;
    return OB_OK;
}

struct ob_roof_probe {
    ob_context *ctx;
    ob_kernel *kernel;
    ob_buffer *out; /* (spread.items, width) */
    spread spread;
    size_t width;
    int32_t turns;
};

static ob_status run_probe(ob_roof_probe *p, double *seconds, ob_error *err)
{
    const ob_arg args[] = {ob_arg_buffer(p->out), ob_arg_f32(0.25f), ob_arg_f32(0.5f), ob_arg_i32(p->turns)};
    return time_kernel(p->ctx, p->kernel, &p->spread, args, 4, seconds, err);
}

static ob_status prepare_probe(ob_roof_probe *p, ob_error *err)
{
    double seconds;
    if (build(p->ctx, &ob_source_roof, p->width, "roof_fma", &p->kernel, err) != OB_OK)
        return ob_error_status(err);
    p->spread = spread_over(ob_context_device(p->ctx), ob_kernel_max_work_group(p->kernel));
    if (ob_buffer_create(p->ctx, p->spread.items * p->width * sizeof(float), "roof", &p->out, err) != OB_OK)
        return ob_error_status(err);
    p->turns = TRIAL_TURNS;
    for (int i = 0; i < 2; i++) /* the first launch may pay for more than itself */
        if (run_probe(p, &seconds, err) != OB_OK)
            return ob_error_status(err);
    double turns = TRIAL_TURNS * ROUND_SECONDS / (seconds > 0 ? seconds : 1e-9);
    p->turns = (int32_t)(turns > MAX_TURNS ? MAX_TURNS : turns < TRIAL_TURNS ? TRIAL_TURNS : turns);
    return OB_OK;
}

static ob_status create_probe(ob_context *ctx, size_t width, ob_roof_probe **out, ob_error *err)
{
    *out = ob_calloc(1, sizeof **out);
    if (*out == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for measuring the roof");
    **out = (ob_roof_probe){.ctx = ctx, .width = width};
    if (prepare_probe(*out, err) == OB_OK)
        return OB_OK;
    ob_roof_probe_destroy(*out);
    *out = NULL;
    return ob_error_status(err);
}

ob_status ob_roof_probe_create(ob_context *ctx, const ob_roof *roof, ob_roof_probe **out, ob_error *err)
{
    return create_probe(ctx, roof->vector_width, out, err);
}

void ob_roof_probe_destroy(ob_roof_probe *p)
{
    if (p == NULL)
        return;
    ob_buffer_destroy(p->out);
    ob_kernel_destroy(p->kernel);
    ob_free(p);
}

static ob_status check_ones(ob_buffer *out, size_t count, bool *right, ob_error *err)
{
    float *answer = ob_realloc_array(NULL, count, sizeof *answer);
    if (answer == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the roof's answers");
    ob_status status = ob_buffer_download(out, 0, answer, count * sizeof *answer, err);
    for (size_t i = 0; status == OB_OK && i < count; i++)
        *right = *right && answer[i] == (float)SUMS;
    ob_free(answer);
    return status;
}

ob_status ob_roof_probe_run(ob_roof_probe *p, ob_roof *roof, double *gflops, ob_error *err)
{
    double seconds;
    if (run_probe(p, &seconds, err) != OB_OK ||
        check_ones(p->out, p->spread.items * p->width, &roof->answers_right, err) != OB_OK)
        return ob_error_status(err);
    *gflops = 2.0 * SUMS * (double)p->width * (double)p->turns * (double)p->spread.items / seconds * 1e-9;
    if (*gflops > roof->gflops) {
        roof->gflops = *gflops;
        roof->vector_width = p->width;
    }
    return OB_OK;
}

/* The best of some launches, at least MIN_ROUNDS. */
static ob_status measure_fma(ob_context *ctx, size_t width, ob_roof *roof, ob_error *err)
{
    ob_roof_probe *probe;
    if (create_probe(ctx, width, &probe, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = OB_OK;
    double until = ob_clock_seconds() + FMA_SECONDS, gflops;
    for (int round = 0; status == OB_OK && (round < MIN_ROUNDS || ob_clock_seconds() < until); round++)
        status = ob_roof_probe_run(probe, roof, &gflops, err);
    ob_roof_probe_destroy(probe);
    return status;
}

/* Who reads what of a buffer. */
typedef struct reading {
    spread spread;
    size_t width; /* elements of a vector */
    int32_t stride, step, turns;
    int32_t gap, advance; /* of reading: roof_read.cl */
    size_t elements;
} reading;

static reading plan_reading(const ob_device_info *device)
{
    size_t bytes = MAX_READ_BYTES;
    if (device->global_bytes / 8 < bytes)
        bytes = (size_t)(device->global_bytes / 8);
    if (device->max_alloc_bytes < bytes)
        bytes = (size_t)device->max_alloc_bytes;
    bool cpu = device->type == OB_DEVICE_CPU;
    reading r = {.spread = spread_over(device, 256), .width = cpu ? 16 : 4};
    size_t turns = bytes / (r.width * sizeof(uint32_t)) / r.spread.items;
    turns = turns > MAX_TURNS ? MAX_TURNS : turns;
    turns = turns >= STREAM_TURNS ? turns / STREAM_TURNS * STREAM_TURNS : turns / STREAMS * STREAMS;
    turns = turns < STREAMS ? STREAMS : turns;
    r.turns = (int32_t)turns;
    r.stride = cpu ? r.turns : 1;
    r.step = cpu ? 1 : (int32_t)r.spread.items;
    r.gap = cpu ? r.turns / STREAMS : r.step;
    r.advance = cpu ? 1 : STREAMS * r.step;
    r.elements = r.spread.items * turns * r.width;
    return r;
}

static ob_status check_sum(ob_buffer *out, const reading *r, bool *right, ob_error *err)
{
    size_t count = r->spread.items * r->width;
    uint32_t *partial = ob_realloc_array(NULL, count, sizeof *partial), sum = 0;
    if (partial == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the roof's answers");
    ob_status status = ob_buffer_download(out, 0, partial, count * sizeof *partial, err);
    for (size_t i = 0; status == OB_OK && i < count; i++)
        sum += partial[i];
    ob_free(partial);
    uint64_t n = r->elements; /* 0 + 1 + ... + n - 1, times the factor, all modulo 2^32 */
    uint64_t pairs = n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n;
    *right = *right && sum == (uint32_t)pairs * READ_FACTOR;
    return status;
}

/* The quickest of rounds over READ_SECONDS, at least MIN_ROUNDS. */
static ob_status time_reading(ob_context *ctx, const reading *r, ob_kernel *kernel, const ob_arg *args, size_t count,
                              double *best, ob_error *err)
{
    double until = ob_clock_seconds() + READ_SECONDS, seconds;
    *best = 1e30;
    for (int round = 0; round < MIN_ROUNDS || ob_clock_seconds() < until; round++) {
        if (time_kernel(ctx, kernel, &r->spread, args, count, &seconds, err) != OB_OK)
            return ob_error_status(err);
        *best = seconds < *best ? seconds : *best;
    }
    return OB_OK;
}

static ob_status run_reading(ob_context *ctx, const reading *r, ob_kernel *fill, ob_kernel *read, ob_buffer *data,
                             ob_buffer *out, ob_roof *roof, ob_error *err)
{
    const ob_arg fill_args[] = {ob_arg_buffer(data), ob_arg_i32(r->stride), ob_arg_i32(r->step), ob_arg_i32(r->turns),
                                ob_arg_i32((int32_t)READ_FACTOR)};
    const ob_arg read_args[] = {ob_arg_buffer(data), ob_arg_buffer(out),     ob_arg_i32(r->stride),
                                ob_arg_i32(r->gap),  ob_arg_i32(r->advance), ob_arg_i32(r->turns)};
    double seconds;
    if (time_kernel(ctx, fill, &r->spread, fill_args, 5, &seconds, err) != OB_OK ||
        time_reading(ctx, r, read, read_args, 6, &seconds, err) != OB_OK ||
        check_sum(out, r, &roof->answers_right, err) != OB_OK)
        return ob_error_status(err);
    roof->bytes_read = r->elements * sizeof(uint32_t);
    roof->gbytes_per_s = (double)roof->bytes_read / seconds * 1e-9;
    return OB_OK;
}

static ob_status measure_reading(ob_context *ctx, ob_roof *roof, ob_error *err)
{
    reading r = plan_reading(ob_context_device(ctx));
    ob_kernel *fill = NULL, *read = NULL;
    ob_buffer *data = NULL, *out = NULL;
    ob_status status = build(ctx, &ob_source_roof_read, r.width, "roof_fill", &fill, err);
    if (status == OB_OK)
        status = build(ctx, &ob_source_roof_read, r.width, "roof_read", &read, err);
    if (status == OB_OK)
        status = ob_buffer_create(ctx, r.elements * sizeof(uint32_t), "roof's memory", &data, err);
    if (status == OB_OK)
        status = ob_buffer_create(ctx, r.spread.items * r.width * sizeof(uint32_t), "roof", &out, err);
    if (status == OB_OK)
        status = run_reading(ctx, &r, fill, read, data, out, roof, err);
    ob_buffer_destroy(out);
    ob_buffer_destroy(data);
    ob_kernel_destroy(read);
    ob_kernel_destroy(fill);
    return status;
}

ob_status ob_roof_measure(ob_context *ctx, ob_roof *out, ob_error *err)
{
    static const size_t widths[2][3] = {{1, 2, 4}, {4, 8, 16}};
    bool cpu = ob_context_device(ctx)->type == OB_DEVICE_CPU;
    *out = (ob_roof){.answers_right = true};
    for (size_t i = 0; i < 3; i++)
        if (measure_fma(ctx, widths[cpu][i], out, err) != OB_OK)
            return ob_error_status(err);
    return measure_reading(ctx, out, err);
}

ob_status ob_roof_measure_again(ob_context *ctx, ob_roof *roof, ob_error *err)
{
    return measure_fma(ctx, roof->vector_width, roof, err);
}
