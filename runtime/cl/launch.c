/* Kernels: arguments and ranges, checked before a driver sees them. */
#include "cl_internal.h"

#include <oberta/memory.h>
#include <stdio.h>

ob_status ob_kernel_create(ob_program *program, const char *name, ob_kernel **out, ob_error *err)
{
    ob_kernel *kernel = ob_calloc(1, sizeof *kernel);
    if (kernel == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for kernel '%s'", name);
    cl_int code;
    cl_device_id device = program->ctx->device->id;
    kernel->kernel = clCreateKernel(program->program, name, &code);
    if (code != CL_SUCCESS) {
        ob__cl_error_set(err, code, "kernel '%s' of program '%s' on '%s'", name, program->label,
                         program->ctx->device->info.name);
        ob_free(kernel);
        return ob_error_status(err);
    }
    kernel->program = program;
    ob__program_retain(program);
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    if (clGetKernelWorkGroupInfo(kernel->kernel, device, CL_KERNEL_WORK_GROUP_SIZE, sizeof kernel->max_work_group,
                                 &kernel->max_work_group, NULL) != CL_SUCCESS)
        kernel->max_work_group = 1;
    if ((program->ctx->device->quirks & OB__QUIRK_KERNEL_LIMIT) != 0)
        kernel->max_work_group = program->ctx->device->info.max_work_group;
    if (clGetKernelWorkGroupInfo(kernel->kernel, device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof kernel->static_local_bytes,
                                 &kernel->static_local_bytes, NULL) != CL_SUCCESS)
        kernel->static_local_bytes = 0;
    *out = kernel;
    return OB_OK;
}

void ob_kernel_destroy(ob_kernel *kernel)
{
    if (kernel == NULL)
        return;
    clReleaseKernel(kernel->kernel);
    ob_program_destroy(kernel->program);
    ob_free(kernel);
}

size_t ob_kernel_max_work_group(const ob_kernel *kernel)
{
    return kernel->max_work_group;
}

static ob_status check_range(const ob_kernel *kernel, const ob_ndrange *range, ob_error *err)
{
    const ob_device_info *info = &kernel->program->ctx->device->info;
    size_t group = 1;
    for (unsigned i = 0; i < range->dimensions && range->local[0] > 0; i++) {
        size_t local = range->local[i];
        if (local == 0 || range->global[i] % local != 0 || local > info->max_work_items[i] ||
            !ob_size_mul(group, local, &group))
            return ob_error_set(err, OB_ERR_INTERNAL, "kernel '%s': dimension %u: %zu work-items in groups of %zu",
                                kernel->name, i, range->global[i], local);
    }
    if (group > kernel->max_work_group || group > info->max_work_group)
        return ob_error_set(err, OB_ERR_DEVICE, "kernel '%s': work-group of %zu, but '%s' allows %zu", kernel->name,
                            group, info->name, kernel->max_work_group);
    return OB_OK;
}

static ob_status set_arguments(ob_kernel *kernel, const ob_arg *args, size_t count, ob_error *err)
{
    const ob_device_info *info = &kernel->program->ctx->device->info;
    uint64_t local_bytes = kernel->static_local_bytes;
    for (size_t i = 0; i < count; i++) {
        cl_int code = CL_INVALID_ARG_VALUE;
        cl_mem mem;
        switch (args[i].kind) {
        case OB_ARG_BUFFER:
            mem = args[i].value.buffer != NULL ? args[i].value.buffer->mem : NULL;
            code = clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof mem, mem != NULL ? &mem : NULL);
            break;
        case OB_ARG_I32:
            code = clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof args[i].value.i32, &args[i].value.i32);
            break;
        case OB_ARG_F32:
            code = clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof args[i].value.f32, &args[i].value.f32);
            break;
        case OB_ARG_LOCAL:
            local_bytes += args[i].value.local_bytes;
            code = clSetKernelArg(kernel->kernel, (cl_uint)i, args[i].value.local_bytes, NULL);
            break;
        }
        if (code != CL_SUCCESS)
            return ob__cl_error_set(err, code, "argument %zu of kernel '%s'", i, kernel->name);
    }
    /* Drivers accept too much local memory and abort later. */
    if (local_bytes > info->local_bytes)
        return ob_error_set(err, OB_ERR_DEVICE, "kernel '%s': %llu bytes of local memory, but '%s' has %llu",
                            kernel->name, (unsigned long long)local_bytes, info->name,
                            (unsigned long long)info->local_bytes);
    return OB_OK;
}

ob_status ob_kernel_enqueue(ob_kernel *kernel, const ob_ndrange *range, const ob_arg *args, size_t arg_count,
                            ob_error *err)
{
    ob_context *ctx = kernel->program->ctx;
    for (unsigned i = 0; i < range->dimensions; i++)
        if (range->global[i] == 0)
            return OB_OK;
    if (check_range(kernel, range, err) != OB_OK || set_arguments(kernel, args, arg_count, err) != OB_OK)
        return ob_error_status(err);
    cl_event event = NULL;
    cl_int code = clEnqueueNDRangeKernel(ctx->queue, kernel->kernel, range->dimensions, NULL, range->global,
                                         range->local[0] > 0 ? range->local : NULL, 0, NULL,
                                         ctx->profiler != NULL ? &event : NULL);
    if (code != CL_SUCCESS)
        return ob__cl_error_set(err, code, "launching kernel '%s' on '%s'", kernel->name, ctx->device->info.name);
    ctx->stats.kernels_enqueued++;
    if (event != NULL)
        ob__profiler_add(ctx->profiler, kernel->name, event);
    if (!ctx->options.debug)
        return OB_OK;
    code = clFinish(ctx->queue);
    return code == CL_SUCCESS
               ? OB_OK
               : ob__cl_error_set(err, code, "running kernel '%s' on '%s'", kernel->name, ctx->device->info.name);
}
