/* What the hosts of kernels with x86's matrix tiles share: sizes of amx.clh, and tasks. Internal to kernels. */
#ifndef OBERTA_KERNELS_AMX_H
#define OBERTA_KERNELS_AMX_H

#include <oberta/launch.h>

#define OB__AMX_WIDE        32                 /* rows and columns of a block of sums, and k of a step */
#define OB__AMX_PARTS_BYTES ((size_t)6 * 1024) /* of 32 x 32 floats: six tiles */
#define OB__AMX_SUMS_BYTES  ((size_t)4 * 1024) /* of a block */

/* Of kernels whose work-items take tasks from a counter and hold a share of the context's scratch (BEGIN_TASKS in
 * common/amx.clh). Creates their counters, zeroed, and sees to shares of at least so many bytes. */
ob_status ob__amx_tasks_create(ob_context *ctx, const char *name, size_t share_bytes, ob_buffer **out, ob_error *err);
/* How many work-items serve so many tasks, and the share of each. The same for all kernels of a context, so that a core
 * finds what it wrote before in its cache. */
size_t ob__amx_items(const ob_context *ctx, size_t tasks);
size_t ob__amx_share_bytes(const ob_context *ctx);

#endif
