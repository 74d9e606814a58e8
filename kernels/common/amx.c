/* What the hosts of kernels with x86's matrix tiles share. */
#include "amx.h"

#include "tasks.h"

#include <oberta/memory.h>

#define ALIGN_BYTES 64

ob_status ob__amx_reserve(ob_context *ctx, size_t share_bytes, ob_error *err)
{
    size_t aligned, total;
    if (!ob_size_align(share_bytes, ALIGN_BYTES, &aligned) || aligned / sizeof(int32_t) > INT32_MAX ||
        !ob_size_mul(aligned, ob__tasks_max_items(ctx), &total))
        return ob_error_set(err, OB_ERR_INTERNAL, "shares of %zu bytes", share_bytes);
    return ob_context_reserve_scratch(ctx, total, err);
}

size_t ob__amx_share_bytes(const ob_context *ctx)
{
    return ob_buffer_bytes(ob_context_scratch(ctx)) / ob__tasks_max_items(ctx) / ALIGN_BYTES * ALIGN_BYTES;
}
