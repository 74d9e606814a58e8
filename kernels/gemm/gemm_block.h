/* The blocks that gemm_block.cl can compute, and the choice among them. Internal to kernels, their tests and tools. */
#ifndef OBERTA_GEMM_BLOCK_H
#define OBERTA_GEMM_BLOCK_H

#include <oberta/device.h>
#include <oberta/op_gemm.h>
#include <oberta/program.h>

#define OB__GEMM_PANEL 32 /* columns of a panel of weights, whatever the block; PANEL of gemm_block.cl */

typedef struct ob__gemm_variant {
    const char *name;
    size_t block_m, block_n, block_k;
    size_t items_m, items_n; /* of a work-group: each has a register tile of block / items */
} ob__gemm_variant;

#define OB__GEMM_VARIANT_COUNT 8
extern const ob__gemm_variant ob__gemm_variants[OB__GEMM_VARIANT_COUNT]; /* largest first */

size_t ob__gemm_variant_local_bytes(const ob__gemm_variant *variant);

/* Which variants, one bit each, fit the device's work-groups and local memory. */
unsigned ob__gemm_variants_that_fit(const ob_device_info *device);

/* The variant for a product of m rows and n columns: the largest of `allowed` (not 0) whose work-groups fill the device
 * without wasting half of their rows, else the smallest that such rows leave. k does not enter: it makes every
 * variant's work longer alike. */
size_t ob__gemm_variant_pick(size_t m, size_t n, size_t compute_units, unsigned allowed);

/* Defines of gemm_block.cl, but for the epilogue's. */
void ob__gemm_variant_define(const ob__gemm_variant *variant, const ob_gemm_desc *desc, ob_defines *defines);

#endif
