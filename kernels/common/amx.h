/* Sizes of amx.clh, for the hosts of kernels with x86's matrix tiles. Internal to kernels. */
#ifndef OBERTA_KERNELS_AMX_H
#define OBERTA_KERNELS_AMX_H

#include <stddef.h>

#define OB__AMX_WIDE        32                 /* rows and columns of a block of sums, and k of a step */
#define OB__AMX_PARTS_BYTES ((size_t)6 * 1024) /* of 32 x 32 floats: six tiles */
#define OB__AMX_SUMS_BYTES  ((size_t)4 * 1024) /* of a block */
#define OB__AMX_ALIGN_BYTES ((size_t)64)       /* parts stand on cache lines; local memory may begin elsewhere */

#endif
