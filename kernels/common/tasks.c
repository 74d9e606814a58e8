/* The host's side of common/tasks.clh. */
#include "tasks.h"

#include <oberta/memory.h>

#define COUNTERS       2 /* and one for each work-item */
#define ITEMS_PER_UNIT 2 /* drivers hand the first thread half of all work-groups */

size_t ob__tasks_max_items(const ob_context *ctx)
{
    return ITEMS_PER_UNIT * (size_t)ob_context_device(ctx)->compute_units;
}

ob_status ob__tasks_create(ob_context *ctx, const char *name, size_t more, ob_buffer **out, ob_error *err)
{
    size_t count = COUNTERS + ob__tasks_max_items(ctx) + more;
    int32_t *none = ob_calloc(count, sizeof *none);
    if (none == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for '%s'", name);
    ob_status status = ob_buffer_create(ctx, count * sizeof *none, name, out, err);
    if (status == OB_OK)
        status = ob_buffer_upload(*out, 0, none, count * sizeof *none, err);
    ob_free(none);
    return status;
}

size_t ob__tasks_items(const ob_context *ctx, size_t tasks)
{
    size_t items = ob__tasks_max_items(ctx);
    return tasks < items ? tasks : items;
}
