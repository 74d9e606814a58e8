/* What the hosts of kernels with x86's matrix tiles share. Internal to kernels. */
#ifndef OBERTA_KERNELS_AMX_H
#define OBERTA_KERNELS_AMX_H

#include <oberta/launch.h>

#define OB__AMX_WIDE        32                 /* rows and columns of a block of sums, and k of a step */
#define OB__AMX_MAX_SINGLE  128                /* steps of k whose parts one block of rows keeps, 768 KiB */
#define OB__AMX_PARTS_BYTES ((size_t)6 * 1024) /* of 32 x 32 floats: six tiles */
#define OB__AMX_SUMS_BYTES  ((size_t)4 * 1024) /* of a block */

/* Sees to shares of the context's scratch of at least so many bytes (claim_share in common/amx.clh). All kernels of a
 * context have shares of one size, so that a core finds what it wrote before in its cache. */
ob_status ob__amx_reserve(ob_context *ctx, size_t share_bytes, ob_error *err);
size_t ob__amx_share_bytes(const ob_context *ctx);

#endif
