/* Finds out what a device really does: each claim is compiled, run, and its answer compared.
 *
 * Runs at each start for the chosen device, so it is one program and two launches in the common case; an optional
 * capability costs one more program, and only where the driver advertises it. */
#include "cl_internal.h"

#include "embedded_sources.h"

#include <oberta/log.h>
#include <oberta/processor.h>
#include <string.h>

#define PROBE_ITEMS 64
#define LONG_LOOP   70000

typedef bool (*answer_fn)(int i, float value);

static bool arithmetic_is_right(int i, float value)
{
    /* OpenCL allows sqrt a few units in the last place. */
    float x = (float)(i * 7), want = x * 2.0f + 1.0f;
    return value >= want - 1e-5f * want && value <= want + 1e-5f * want;
}

static bool fp16_is_right(int i, float value)
{
    /* Exact in half precision up to 44: (i + 1)^2 + 0.5 stays below 2048. */
    float x = (float)(i + 1);
    return i >= 44 || value == x * x + 0.5f || (x * x >= 1024 && value >= x * x && value <= x * x + 1);
}

static bool fp64_is_right(int i, float value)
{
    return value == (float)(i + 1);
}

static bool subgroups_are_right(int i, float value)
{
    (void)i;
    return value == 1.0f;
}

static bool prefetch_is_right(int i, float value)
{
    return value == (float)i;
}

static bool amx_is_right(int i, float value)
{
    return value == 32.0f * (float)(i + 1);
}

static ob_status build_probe(ob_context *ctx, const char *define, ob_program **out, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_probe};
    ob_defines defines = OB_DEFINES_INIT;
    if (define != NULL)
        ob_defines_int(&defines, define, 1);
    return ob_program_create(ctx, "probe", sources, 1, &defines, out, err);
}

/* Runs `kernel` over PROBE_ITEMS items that each write one float; OB_ERR_DEVICE when an answer is wrong. */
static ob_status run_probe(ob_program *program, const char *name, const ob_arg *more, size_t more_count,
                           answer_fn is_right, ob_error *err)
{
    ob_context *ctx = program->ctx;
    ob_kernel *kernel = NULL;
    ob_buffer *buffer = NULL;
    float values[PROBE_ITEMS] = {0};
    ob_arg args[4];
    ob_ndrange range = {1, {PROBE_ITEMS}, {0}};
    ob_status status = ob_buffer_create(ctx, sizeof values, "probe", &buffer, err);
    if (status == OB_OK)
        status = ob_kernel_create(program, name, &kernel, err);
    if (status == OB_OK) {
        args[0] = ob_arg_buffer(buffer);
        for (size_t i = 0; i < more_count; i++)
            args[i + 1] = more[i];
        status = ob_kernel_enqueue(kernel, &range, args, more_count + 1, err);
    }
    if (status == OB_OK)
        status = ob_buffer_download(buffer, 0, values, sizeof values, err);
    for (int i = 0; status == OB_OK && i < PROBE_ITEMS; i++)
        if (!is_right(i, values[i]))
            status = ob_error_set(err, OB_ERR_DEVICE, "'%s' gives a wrong answer", name);
    ob_kernel_destroy(kernel);
    ob_buffer_destroy(buffer);
    return status;
}

static ob_status probe_long_loop(ob_program *program, bool *works, ob_error *err)
{
    ob_context *ctx = program->ctx;
    ob_kernel *kernel = NULL;
    ob_buffer *step = NULL, *out = NULL;
    const int32_t steps[2] = {1, 1};
    int32_t sum = 0;
    ob_ndrange range = {1, {1}, {0}};
    ob_status status = OB_OK;
    if (ob_buffer_create(ctx, sizeof steps, "probe step", &step, err) != OB_OK ||
        ob_buffer_create(ctx, sizeof sum, "probe sum", &out, err) != OB_OK ||
        ob_buffer_upload(step, 0, steps, sizeof steps, err) != OB_OK ||
        ob_kernel_create(program, "probe_loop", &kernel, err) != OB_OK) {
        status = ob_error_status(err);
    } else {
        const ob_arg args[] = {ob_arg_buffer(step), ob_arg_buffer(out), ob_arg_i32(LONG_LOOP)};
        status = ob_kernel_enqueue(kernel, &range, args, 3, err);
        if (status == OB_OK)
            status = ob_buffer_download(out, 0, &sum, sizeof sum, err);
    }
    *works = sum == LONG_LOOP;
    ob_kernel_destroy(kernel);
    ob_buffer_destroy(step);
    ob_buffer_destroy(out);
    return status;
}

/* An extension counts when it is advertised, compiles, and answers right; without a name it is only tried. */
static void probe_optional(ob_context *ctx, const char *extension, const char *define, const char *kernel,
                           answer_fn is_right, ob_capability capability)
{
    ob_device *device = ctx->device;
    if (extension != NULL && !ob__device_has_extension(device, extension))
        return;
    ob_error err;
    ob_error_clear(&err);
    ob_program *program = NULL;
    if (build_probe(ctx, define, &program, &err) == OB_OK &&
        run_probe(program, kernel, NULL, 0, is_right, &err) == OB_OK)
        device->info.capabilities |= capability;
    else
        ob_log(OB_LOG_INFO, "device", "'%s' has no %s: %s", device->info.name, kernel, err.text);
    ob_program_destroy(program);
}

static void read_properties(ob_device *d)
{
    cl_device_local_mem_type local = CL_GLOBAL;
    cl_bool unified = CL_FALSE;
    cl_device_fp_config fp = 0;
    clGetDeviceInfo(d->id, CL_DEVICE_LOCAL_MEM_TYPE, sizeof local, &local, NULL);
    clGetDeviceInfo(d->id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL);
    clGetDeviceInfo(d->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof fp, &fp, NULL);
    if (local == CL_LOCAL)
        d->info.capabilities |= OB_CAP_LOCAL_MEMORY;
    if (unified)
        d->info.capabilities |= OB_CAP_UNIFIED_MEMORY;
    if ((fp & CL_FP_FMA) != 0)
        d->info.capabilities |= OB_CAP_FMA;
    if ((d->quirks & OB__QUIRK_SPREAD) != 0)
        d->info.capabilities |= OB_CAP_SPREAD;
}

static ob_status probe_basics(ob_context *ctx, ob_error *err)
{
    ob_program *program = NULL;
    bool long_loops = false;
    const ob_arg scale = ob_arg_i32(7);
    ob_status status = build_probe(ctx, NULL, &program, err);
    if (status == OB_OK)
        status = run_probe(program, "probe_arithmetic", &scale, 1, arithmetic_is_right, err);
    if (status == OB_OK)
        status = probe_long_loop(program, &long_loops, err);
    if (status == OB_OK && long_loops)
        ctx->device->info.capabilities |= OB_CAP_LONG_LOOPS;
    ob_program_destroy(program);
    return status;
}

static bool is_available(const ob_device *d, ob_error *err)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    clGetDeviceInfo(d->id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    clGetDeviceInfo(d->id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    if (!available)
        ob_error_set(err, OB_ERR_DEVICE, "the driver says it is not available");
    else if (!compiler)
        ob_error_set(err, OB_ERR_DEVICE, "the driver has no compiler");
    else if (d->info.version < 102)
        ob_error_set(err, OB_ERR_DEVICE, "OpenCL 1.2 is needed, the driver has '%s'", d->info.device_version);
    return available && compiler && d->info.version >= 102;
}

void ob_device_probe(ob_device *device)
{
    if (device->info.probed)
        return;
    device->info.probed = true;
    ob_context *ctx = NULL;
    ob_context_options options;
    ob_context_options_default(&options);
    options.cache_folder = device->cache_folder;
    ob_error err;
    ob_error_clear(&err);
    if (is_available(device, &err) && ob_context_create(device, &options, &ctx, &err) == OB_OK &&
        probe_basics(ctx, &err) == OB_OK) {
        device->info.usable = true;
        read_properties(device);
        probe_optional(ctx, "cl_khr_fp16", "PROBE_FP16", "probe_fp16", fp16_is_right, OB_CAP_FP16);
        probe_optional(ctx, "cl_khr_fp64", "PROBE_FP64", "probe_fp64", fp64_is_right, OB_CAP_FP64);
        probe_optional(ctx, "cl_khr_subgroups", "PROBE_SUBGROUPS", "probe_subgroups", subgroups_are_right,
                       OB_CAP_SUBGROUPS);
        if (device->info.type == OB_DEVICE_CPU && (device->quirks & OB__QUIRK_TRY_PREFETCH) != 0)
            probe_optional(ctx, NULL, "PROBE_PREFETCH", "probe_prefetch", prefetch_is_right, OB_CAP_PREFETCH);
        if (device->info.type == OB_DEVICE_CPU && (device->quirks & OB__QUIRK_TRY_AMX) != 0 &&
            ob_processor_permit_amx())
            probe_optional(ctx, NULL, "PROBE_AMX", "probe_amx", amx_is_right, OB_CAP_AMX);
    } else {
        /* One line: the rest of a build log does not help somebody who reads a list of devices. */
        ob_strbuf_append(&device->why_not, err.text, strcspn(err.text, "\n"));
        device->info.why_not = ob_strbuf_text(&device->why_not);
    }
    ob_context_destroy(ctx);
}
