/* What the hosts of kernels with x86's matrix tiles share. */
#include "amx.h"

#include <oberta/memory.h>

#define ITEMS_PER_UNIT 2 /* drivers hand the first thread half of all work-groups */
#define COUNTERS       2 /* the next task, work-items that ended; behind them whether a share has an owner */
#define ALIGN_BYTES    64

static size_t max_items(const ob_context *ctx)
{
    return ITEMS_PER_UNIT * (size_t)ob_context_device(ctx)->compute_units;
}

ob_status ob__amx_tasks_create(ob_context *ctx, const char *name, size_t share_bytes, ob_buffer **out, ob_error *err)
{
    size_t items = max_items(ctx), aligned, total;
    if (!ob_size_align(share_bytes, ALIGN_BYTES, &aligned) || aligned / sizeof(int32_t) > INT32_MAX ||
        !ob_size_mul(aligned, items, &total))
        return ob_error_set(err, OB_ERR_INTERNAL, "'%s': shares of %zu bytes", name, share_bytes);
    int32_t *none = ob_calloc(COUNTERS + items, sizeof *none);
    if (none == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for '%s'", name);
    size_t bytes = (COUNTERS + items) * sizeof *none;
    ob_status status = ob_context_reserve_scratch(ctx, total, err);
    if (status == OB_OK)
        status = ob_buffer_create(ctx, bytes, name, out, err);
    if (status == OB_OK)
        status = ob_buffer_upload(*out, 0, none, bytes, err);
    ob_free(none);
    return status;
}

size_t ob__amx_items(const ob_context *ctx, size_t tasks)
{
    size_t items = max_items(ctx);
    return tasks < items ? tasks : items;
}

size_t ob__amx_share_bytes(const ob_context *ctx)
{
    return ob_buffer_bytes(ob_context_scratch(ctx)) / max_items(ctx) / ALIGN_BYTES * ALIGN_BYTES;
}
