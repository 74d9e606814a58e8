/* What the providers of gemm share: one table of functions each. */
#ifndef OBERTA_GEMM_INTERNAL_H
#define OBERTA_GEMM_INTERNAL_H

#include "gemm_block.h"

#include <oberta/launch.h>
#include <oberta/op_gemm.h>
#include <oberta/tuning.h>

typedef struct ob__gemm_ops ob__gemm_ops;

struct ob_gemm {
    ob_context *ctx;
    ob_gemm_desc desc;
    const ob__gemm_ops *ops;
    ob_kernel *kernel; /* the product itself, or what follows a library's; block has its own */
    size_t block;      /* columns of a panel; 1: weights are plain row-major */
    size_t tile_m;     /* rows of a tile; 0 where there are no tiles */
    ob_buffer *tasks;  /* of amx and tile: how far their work-items are */
    ob_kernel *block_kernels[OB__GEMM_VARIANT_COUNT]; /* of block: those that were built, */
    unsigned built_blocks;                            /* one bit each, but for the tuned: */
    const ob_tuning_entry *tuned;                     /* what named the provider; NULL: its place in the list */
    size_t tuned_blocks[OB_TUNING_M_CLASSES];         /* 1 + a row of the table; 0: by the provider's rule */
};

struct ob_gemm_weights {
    ob_buffer *weight; /* (ceil(n / block), k, block), float or half */
    ob_buffer *bias;   /* (ceil(n / block) * block) */
    size_t n, k, block;
    bool half;
};

struct ob__gemm_ops {
    ob_gemm_provider provider;
    const char *name;
    /* NULL where the provider serves device and shape; else the reason, one clause. */
    const char *(*refuse)(const ob_device_info *device, const ob_gemm_desc *desc);
    ob_status (*create)(ob_gemm *gemm, ob_error *err); /* sets kernel, block and the rest */
    ob_status (*enqueue)(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err);
};

/* The provider in this place of the ordered list; NULL past its end. */
const ob__gemm_ops *ob__gemm_ops_at(size_t index);
/* The provider that the context's table names for an AUTO gemm, and gemm->tuned; NULL where it names none that can
 * serve. */
const ob__gemm_ops *ob__gemm_choose_tuned(ob_gemm *gemm);
/* The row of block's table with this name; OB__GEMM_VARIANT_COUNT: none. */
size_t ob__gemm_variant_find(const char *name);

extern const ob__gemm_ops ob__gemm_amx, ob__gemm_tile, ob__gemm_block, ob__gemm_clblast, ob__gemm_ref;

/* The program of a provider: headers that all have, with the defines of epilogue and storage; then its own files, at
 * most OB__GEMM_OWN. */
#define OB__GEMM_COMMON 5
#define OB__GEMM_OWN    3
void ob__gemm_program(const ob_gemm_desc *desc, const ob_source *common[OB__GEMM_COMMON], ob_defines *defines);
/* Builds it and makes `kernel`. */
ob_status ob__gemm_build(ob_gemm *gemm, const ob_source *const *own, size_t own_count, const char *kernel,
                         ob_defines *defines, ob_kernel **out, ob_error *err);

#endif
