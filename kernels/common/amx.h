/* What the hosts of kernels with x86's matrix tiles share: sizes of amx.clh, and tasks. Internal to kernels. */
#ifndef OBERTA_KERNELS_AMX_H
#define OBERTA_KERNELS_AMX_H

#include <oberta/launch.h>

#define OB__AMX_WIDE        32                 /* rows and columns of a block of sums, and k of a step */
#define OB__AMX_PARTS_BYTES ((size_t)6 * 1024) /* of 32 x 32 floats: six tiles */
#define OB__AMX_SUMS_BYTES  ((size_t)4 * 1024) /* of a block */
#define OB__AMX_ALIGN_BYTES ((size_t)64)       /* parts stand on cache lines; local memory may begin elsewhere */

/* Of kernels whose work-items take tasks from a counter (END_TASKS in common/amx.clh): how many work-items serve so
 * many tasks, and the counter, zeroed. */
size_t ob__amx_items(const ob_device_info *device, size_t tasks);
ob_status ob__amx_tasks_create(ob_context *ctx, const char *name, ob_buffer **out, ob_error *err);

#endif
