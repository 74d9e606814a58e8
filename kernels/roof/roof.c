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

/* The quickest of rounds over `budget` seconds, at least MIN_ROUNDS. */
static ob_status time_rounds(ob_context *ctx, ob_kernel *kernel, const spread *s, const ob_arg *args, size_t count,
                             double budget, double *best, ob_error *err)
{
    double until = ob_clock_seconds() + budget, seconds;
    *best = 1e30;
    for (int round = 0; round < MIN_ROUNDS || ob_clock_seconds() < until; round++) {
        if (time_kernel(ctx, kernel, s, args, count, &seconds, err) != OB_OK)
            return ob_error_status(err);
        *best = seconds < *best ? seconds : *best;
    }
    return OB_OK;
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

static ob_status run_fma(ob_context *ctx, ob_kernel *kernel, ob_buffer *out, const spread *s, size_t width,
                         double *gflops, bool *right, ob_error *err)
{
    ob_arg args[] = {ob_arg_buffer(out), ob_arg_f32(0.25f), ob_arg_f32(0.5f), ob_arg_i32(TRIAL_TURNS)};
    double seconds;
    for (int i = 0; i < 2; i++) /* the first launch may pay for more than itself */
        if (time_kernel(ctx, kernel, s, args, 4, &seconds, err) != OB_OK)
            return ob_error_status(err);
    double turns = TRIAL_TURNS * ROUND_SECONDS / (seconds > 0 ? seconds : 1e-9);
    turns = turns > MAX_TURNS ? MAX_TURNS : turns < TRIAL_TURNS ? TRIAL_TURNS : turns;
    args[3] = ob_arg_i32((int32_t)turns);
    if (time_rounds(ctx, kernel, s, args, 4, FMA_SECONDS, &seconds, err) != OB_OK)
        return ob_error_status(err);
    *gflops = 2.0 * SUMS * (double)width * (double)(int32_t)turns * (double)s->items / seconds * 1e-9;
    return check_ones(out, s->items * width, right, err);
}

static ob_status measure_fma(ob_context *ctx, size_t width, double *gflops, bool *right, ob_error *err)
{
    ob_kernel *kernel = NULL;
    ob_buffer *out = NULL;
    ob_status status = build(ctx, &ob_source_roof, width, "roof_fma", &kernel, err);
    spread s = spread_over(ob_context_device(ctx), kernel != NULL ? ob_kernel_max_work_group(kernel) : 1);
    if (status == OB_OK)
        status = ob_buffer_create(ctx, s.items * width * sizeof(float), "roof", &out, err);
    if (status == OB_OK)
        status = run_fma(ctx, kernel, out, &s, width, gflops, right, err);
    ob_buffer_destroy(out);
    ob_kernel_destroy(kernel);
    return status;
}

/* Who reads what of a buffer. */
typedef struct reading {
    spread spread;
    size_t width; /* elements of a vector */
    int32_t stride, step, turns;
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
    size_t turns = bytes / (r.width * sizeof(uint32_t)) / r.spread.items / 4 * 4;
    turns = turns < 4 ? 4 : turns > MAX_TURNS ? MAX_TURNS : turns;
    r.turns = (int32_t)turns;
    r.stride = cpu ? r.turns : 1;
    r.step = cpu ? 1 : (int32_t)r.spread.items;
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

static ob_status run_reading(ob_context *ctx, const reading *r, ob_kernel *fill, ob_kernel *read, ob_buffer *data,
                             ob_buffer *out, ob_roof *roof, ob_error *err)
{
    const ob_arg fill_args[] = {ob_arg_buffer(data), ob_arg_i32(r->stride), ob_arg_i32(r->step), ob_arg_i32(r->turns),
                                ob_arg_i32((int32_t)READ_FACTOR)};
    const ob_arg read_args[] = {ob_arg_buffer(data), ob_arg_buffer(out), ob_arg_i32(r->stride), ob_arg_i32(r->step),
                                ob_arg_i32(r->turns)};
    double seconds;
    if (time_kernel(ctx, fill, &r->spread, fill_args, 5, &seconds, err) != OB_OK ||
        time_rounds(ctx, read, &r->spread, read_args, 5, READ_SECONDS, &seconds, err) != OB_OK ||
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
    for (size_t i = 0; i < 3; i++) {
        double gflops;
        if (measure_fma(ctx, widths[cpu][i], &gflops, &out->answers_right, err) != OB_OK)
            return ob_error_status(err);
        if (gflops > out->gflops) {
            out->gflops = gflops;
            out->vector_width = widths[cpu][i];
        }
    }
    return measure_reading(ctx, out, err);
}

ob_status ob_roof_measure_again(ob_context *ctx, ob_roof *roof, ob_error *err)
{
    double gflops;
    if (measure_fma(ctx, roof->vector_width, &gflops, &roof->answers_right, err) != OB_OK)
        return ob_error_status(err);
    roof->gflops = gflops > roof->gflops ? gflops : roof->gflops;
    return OB_OK;
}
