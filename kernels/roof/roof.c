/* The measured roof: everything else is shown as a share of it. */
#include "bench.h"

#include "embedded_sources.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <time.h>

#define ITEMS  64 /* a compute unit; PoCL hands them out in pieces of 32 */
#define TURNS  60000
#define SUMS   10
#define ROUNDS 7

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double measure(ob_context *ctx, ob_kernel *kernel, ob_buffer *out, size_t items, size_t width, ob_error *err)
{
    const ob_arg args[] = {ob_arg_buffer(out), ob_arg_f32(0.25f), ob_arg_f32(0.5f), ob_arg_i32(TURNS)};
    const ob_ndrange range = {1, {items}, {1}};
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = bench_now();
        if (ob_kernel_enqueue(kernel, &range, args, 4, err) != OB_OK || ob_context_finish(ctx, err) != OB_OK)
            return 0;
        double flops = 2.0 * SUMS * (double)width * TURNS * (double)items;
        double rate = flops / (bench_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    float *answer = ob_malloc(items * width * sizeof *answer);
    if (answer == NULL || ob_buffer_download(out, 0, answer, items * width * sizeof *answer, err) != OB_OK)
        best = 0;
    for (size_t i = 0; best > 0 && i < items * width; i++)
        if (answer[i] != (float)SUMS)
            best = 0;
    ob_free(answer);
    return best;
}

double bench_roof(ob_context *ctx, ob_error *err)
{
    static const size_t widths[] = {4, 8, 16};
    const ob_source *const sources[] = {&ob_source_roof};
    size_t items = ITEMS * ob_context_device(ctx)->compute_units;
    double best = 0;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        ob_defines defines = OB_DEFINES_INIT;
        ob_program *program = NULL;
        ob_kernel *kernel = NULL;
        ob_buffer *out = NULL;
        ob_defines_int(&defines, "VEC_N", (long)widths[i]);
        if (ob_program_create(ctx, "roof", sources, 1, &defines, &program, err) == OB_OK &&
            ob_kernel_create(program, "roof_fma", &kernel, err) == OB_OK &&
            ob_buffer_create(ctx, items * widths[i] * sizeof(float), "roof", &out, err) == OB_OK) {
            double rate = measure(ctx, kernel, out, items, widths[i], err);
            best = rate > best ? rate : best;
        }
        ob_buffer_destroy(out);
        ob_kernel_destroy(kernel);
        ob_program_destroy(program);
    }
    return best;
}
