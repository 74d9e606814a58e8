/* Opens a device: one OpenCL context, one in-order queue. */
#include "cl_internal.h"

#include <oberta/cl_interop.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/processor.h>

#define DEFAULT_CACHE_BYTES ((uint64_t)256 << 20)
#define MAX_THREADS         8 /* more wait for memory */

void ob_context_options_default(ob_context_options *options)
{
    *options = (ob_context_options){.cache_folder = NULL, .cache_max_bytes = DEFAULT_CACHE_BYTES};
}

static void CL_CALLBACK on_driver_message(const char *text, const void *data, size_t bytes, void *user)
{
    (void)data;
    (void)bytes;
    ob_log(OB_LOG_WARN, "driver", "%s: %s", ((const ob_device *)user)->info.name, text);
}

ob_status ob_context_create(ob_device *device, const ob_context_options *options, ob_context **out, ob_error *err)
{
    ob_context *ctx = ob_calloc(1, sizeof *ctx);
    if (ctx == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "context for device '%s'", device->info.name);
    ctx->device = device;
    ctx->options = *options;
    cl_int code;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    ctx->context = clCreateContext(properties, 1, &device->id, on_driver_message, device, &code);
    if (code != CL_SUCCESS) {
        ctx->context = NULL;
        ob__cl_error_set(err, code, "creating a context on '%s'", device->info.name);
        goto fail;
    }
    ctx->queue =
        clCreateCommandQueue(ctx->context, device->id, options->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    if (code != CL_SUCCESS) {
        ctx->queue = NULL;
        ob__cl_error_set(err, code, "creating a queue on '%s'", device->info.name);
        goto fail;
    }
    if (options->profile && ob__profiler_create(&ctx->profiler, err) != OB_OK)
        goto fail;
    if (options->cache_folder != NULL) {
        ob_error cache_error;
        ob_error_clear(&cache_error);
        if (ob__program_cache_open(options->cache_folder, options->cache_max_bytes, &ctx->cache, &cache_error) != OB_OK)
            ob_log(OB_LOG_INFO, "cache", "not used: %s", cache_error.text);
    }
    *out = ctx;
    return OB_OK;
fail:
    ob_context_destroy(ctx);
    return ob_error_status(err);
}

void ob_context_destroy(ob_context *ctx)
{
    if (ctx == NULL)
        return;
    if (ctx->queue != NULL) {
        clFinish(ctx->queue);
        clReleaseCommandQueue(ctx->queue);
    }
    ob_buffer_destroy(ctx->scratch);
    ob_parallel_destroy(ctx->parallel);
    ob__profiler_destroy(ctx->profiler);
    ob__program_cache_close(ctx->cache);
    if (ctx->context != NULL)
        clReleaseContext(ctx->context);
    ob_free(ctx);
}

const ob_device_info *ob_context_device(const ob_context *ctx)
{
    return &ctx->device->info;
}

const ob_tuning *ob_context_tuning(const ob_context *ctx)
{
    return ctx->options.tuning;
}

ob_parallel *ob_context_parallel(ob_context *ctx)
{
    size_t processors = ob_processor_count();
    if (ctx->parallel == NULL && processors > 1) {
        ob_error err;
        ob_error_clear(&err);
        if (ob_parallel_create(processors < MAX_THREADS ? processors : MAX_THREADS, &ctx->parallel, &err) != OB_OK)
            ob_log(OB_LOG_INFO, "context", "one thread packs: %s", err.text);
    }
    return ctx->parallel;
}

ob_status ob_context_reserve_scratch(ob_context *ctx, size_t bytes, ob_error *err)
{
    if (ctx->scratch != NULL && ob_buffer_bytes(ctx->scratch) >= bytes)
        return OB_OK;
    ob_buffer *larger;
    if (ob_buffer_create(ctx, bytes, "scratch", &larger, err) != OB_OK)
        return ob_error_status(err); /* operators that have the smaller one go on with it */
    ob_buffer_destroy(ctx->scratch); /* the driver keeps it for what is enqueued */
    ctx->scratch = larger;
    return OB_OK;
}

ob_buffer *ob_context_scratch(const ob_context *ctx)
{
    return ctx->scratch;
}

ob_status ob_context_flush(ob_context *ctx, ob_error *err)
{
    cl_int code = clFlush(ctx->queue);
    return code == CL_SUCCESS ? OB_OK : ob__cl_error_set(err, code, "handing work to '%s'", ctx->device->info.name);
}

ob_status ob_context_finish(ob_context *ctx, ob_error *err)
{
    cl_int code = clFinish(ctx->queue);
    return code == CL_SUCCESS ? OB_OK : ob__cl_error_set(err, code, "waiting for '%s'", ctx->device->info.name);
}

void ob_context_get_stats(const ob_context *ctx, ob_context_stats *out)
{
    *out = ctx->stats;
}

cl_command_queue ob_context_cl_queue(const ob_context *ctx)
{
    return ctx->queue;
}

cl_device_id ob_context_cl_device(const ob_context *ctx)
{
    return ctx->device->id;
}

void ob_context_adopt_event(ob_context *ctx, const char *label, cl_event event)
{
    ctx->stats.kernels_enqueued++;
    if (ctx->profiler != NULL)
        ob__profiler_add(ctx->profiler, label, event);
    else
        clReleaseEvent(event);
}
