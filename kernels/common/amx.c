/* What the hosts of kernels with x86's matrix tiles share. */
#include "amx.h"

#define ITEMS_PER_UNIT 2 /* drivers hand the first thread half of all work-groups */

size_t ob__amx_items(const ob_device_info *device, size_t tasks)
{
    size_t items = ITEMS_PER_UNIT * (size_t)device->compute_units;
    return tasks < items ? tasks : items;
}

ob_status ob__amx_tasks_create(ob_context *ctx, const char *name, ob_buffer **out, ob_error *err)
{
    const int32_t none[2] = {0, 0};
    return ob_buffer_create(ctx, sizeof none, name, out, err) == OB_OK
               ? ob_buffer_upload(*out, 0, none, sizeof none, err)
               : ob_error_status(err);
}
