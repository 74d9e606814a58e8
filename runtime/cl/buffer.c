/* Device memory and transfers. */
#include "cl_internal.h"

#include <oberta/cl_interop.h>
#include <oberta/memory.h>
#include <stdio.h>

#define HUGE_BYTES ((size_t)2 << 20) /* a huge page of x86 */

static ob_status fail_transfer(const ob_buffer *buffer, cl_int code, const char *what, size_t bytes, ob_error *err)
{
    return ob__cl_error_set(err, code, "%s buffer '%s', %zu bytes, on '%s'", what, buffer->label, bytes,
                            buffer->ctx->device->info.name);
}

static ob_status check_range(const ob_buffer *buffer, size_t offset, size_t bytes, ob_error *err)
{
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset)
        return OB_OK;
    return ob_error_set(err, OB_ERR_INTERNAL, "bytes %zu to %zu of buffer '%s', which has %zu", offset, offset + bytes,
                        buffer->label, buffer->bytes);
}

static ob_buffer *allocate_handle(ob_context *ctx, size_t bytes, const char *label, bool is_view)
{
    ob_buffer *buffer = ob_calloc(1, sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    buffer->ctx = ctx;
    buffer->bytes = bytes;
    buffer->is_view = is_view;
    snprintf(buffer->label, sizeof buffer->label, "%s", label);
    return buffer;
}

/* Weights are read from end to end in each pass; a walk of the page table for each 4 KiB takes some 4 % of the time of
 * one short text. Drivers of CPU devices allocate like any program, so the wish reaches the buffer's own pages through
 * a map. */
static void wish_huge_pages(ob_buffer *buffer)
{
    ob_error ignored;
    void *pointer;
    ob_error_clear(&ignored);
    if (buffer->ctx->device->info.type != OB_DEVICE_CPU || buffer->bytes < HUGE_BYTES ||
        ob_buffer_map_write(buffer, &pointer, &ignored) != OB_OK)
        return;
    ob_memory_wish_huge_pages(pointer, buffer->bytes);
    (void)ob_buffer_unmap(buffer, pointer, &ignored);
}

ob_status ob_buffer_create(ob_context *ctx, size_t bytes, const char *label, ob_buffer **out, ob_error *err)
{
    const ob_device_info *info = &ctx->device->info;
    if (bytes == 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "buffer '%s' of no bytes", label);
    /* Asking a driver for more than it allows has crashed some of them. */
    if (bytes > info->max_alloc_bytes)
        return ob_error_set(err, OB_ERR_DEVICE, "buffer '%s': %zu bytes, but '%s' allows %llu in one piece", label,
                            bytes, info->name, (unsigned long long)info->max_alloc_bytes);
    if (ctx->stats.buffer_bytes + bytes > info->global_bytes)
        return ob_error_set(
            err, OB_ERR_DEVICE, "buffer '%s': %zu bytes more than the %llu in use exceed the %llu of '%s'", label,
            bytes, (unsigned long long)ctx->stats.buffer_bytes, (unsigned long long)info->global_bytes, info->name);
    ob_buffer *buffer = allocate_handle(ctx, bytes, label, false);
    if (buffer == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for buffer '%s'", label);
    cl_int code;
    buffer->mem = clCreateBuffer(ctx->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (code != CL_SUCCESS) {
        fail_transfer(buffer, code, "allocating", bytes, err);
        ob_free(buffer);
        return ob_error_status(err);
    }
    ctx->stats.buffer_bytes += bytes;
    if (ctx->stats.buffer_bytes > ctx->stats.buffer_peak_bytes)
        ctx->stats.buffer_peak_bytes = ctx->stats.buffer_bytes;
    wish_huge_pages(buffer);
    *out = buffer;
    return OB_OK;
}

ob_status ob_buffer_create_view(ob_buffer *parent, size_t offset, size_t bytes, const char *label, ob_buffer **out,
                                ob_error *err)
{
    if (bytes == 0 || offset % parent->ctx->device->info.base_align_bytes != 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "view '%s' of %zu bytes at %zu, alignment %u", label, bytes, offset,
                            parent->ctx->device->info.base_align_bytes);
    if (check_range(parent, offset, bytes, err) != OB_OK)
        return ob_error_status(err);
    ob_buffer *buffer = allocate_handle(parent->ctx, bytes, label, true);
    if (buffer == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for view '%s'", label);
    cl_int code;
    cl_buffer_region region = {offset, bytes};
    buffer->mem = clCreateSubBuffer(parent->mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    if (code != CL_SUCCESS) {
        fail_transfer(buffer, code, "viewing", bytes, err);
        ob_free(buffer);
        return ob_error_status(err);
    }
    *out = buffer;
    return OB_OK;
}

void ob_buffer_destroy(ob_buffer *buffer)
{
    if (buffer == NULL)
        return;
    clReleaseMemObject(buffer->mem);
    if (!buffer->is_view)
        buffer->ctx->stats.buffer_bytes -= buffer->bytes;
    ob_free(buffer);
}

size_t ob_buffer_bytes(const ob_buffer *buffer)
{
    return buffer->bytes;
}

ob_status ob_buffer_upload(ob_buffer *buffer, size_t offset, const void *src, size_t bytes, ob_error *err)
{
    if (check_range(buffer, offset, bytes, err) != OB_OK)
        return ob_error_status(err);
    if (bytes == 0)
        return OB_OK;
    cl_int code = clEnqueueWriteBuffer(buffer->ctx->queue, buffer->mem, CL_TRUE, offset, bytes, src, 0, NULL, NULL);
    return code == CL_SUCCESS ? OB_OK : fail_transfer(buffer, code, "uploading to", bytes, err);
}

static ob_status download(ob_buffer *buffer, cl_bool wait, size_t offset, void *dst, size_t bytes, ob_error *err)
{
    if (check_range(buffer, offset, bytes, err) != OB_OK)
        return ob_error_status(err);
    if (bytes == 0)
        return OB_OK;
    cl_int code = clEnqueueReadBuffer(buffer->ctx->queue, buffer->mem, wait, offset, bytes, dst, 0, NULL, NULL);
    return code == CL_SUCCESS ? OB_OK : fail_transfer(buffer, code, "downloading", bytes, err);
}

ob_status ob_buffer_download(ob_buffer *buffer, size_t offset, void *dst, size_t bytes, ob_error *err)
{
    return download(buffer, CL_TRUE, offset, dst, bytes, err);
}

ob_status ob_buffer_download_later(ob_buffer *buffer, size_t offset, void *dst, size_t bytes, ob_error *err)
{
    return download(buffer, CL_FALSE, offset, dst, bytes, err);
}

ob_status ob_buffer_map_write(ob_buffer *buffer, void **out, ob_error *err)
{
    cl_int code;
    void *pointer = clEnqueueMapBuffer(buffer->ctx->queue, buffer->mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0,
                                       buffer->bytes, 0, NULL, NULL, &code);
    if (code != CL_SUCCESS || pointer == NULL)
        return fail_transfer(buffer, code != CL_SUCCESS ? code : CL_MAP_FAILURE, "mapping", buffer->bytes, err);
    *out = pointer;
    return OB_OK;
}

ob_status ob_buffer_unmap(ob_buffer *buffer, void *pointer, ob_error *err)
{
    cl_int code = clEnqueueUnmapMemObject(buffer->ctx->queue, buffer->mem, pointer, 0, NULL, NULL);
    return code == CL_SUCCESS ? OB_OK : fail_transfer(buffer, code, "unmapping", buffer->bytes, err);
}

cl_mem ob_buffer_cl_mem(const ob_buffer *buffer)
{
    return buffer->mem;
}
