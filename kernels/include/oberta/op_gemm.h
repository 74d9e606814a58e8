/* Matrix multiplication with an epilogue, the work of every dense layer:
 *
 *     dst[i][j] = act(sum_k src[i][k] * weight[j][k] + bias[j]) + residual[i][j]      i < m, j < n
 *
 * src (m, k), weight (n, k) as checkpoints store it, bias (n), residual and dst (m, n), all float32, dense. src lies in
 * the row tiles (rows.h), residual and dst alike or row-major. Five providers do it: `amx` (x86's matrix tiles, float32
 * by six products of bfloat16 parts), `tile` (register tiles, CPU devices), `block` (local memory, GPUs), `clblast`,
 * `ref` (plain, any device). The sum over k is done in an order that depends on the provider and k alone, never on m: a
 * row's bits are the same in every batch. All blocks of `block` add in the order of k, one fma after the other, so they
 * give the same bits; that is why a tuning table (tuning.h) may name a variant for each class of m, but only one
 * provider for a shape. Error bound of each: |error| <= 8 u sum_k |src
 * * weight| before the epilogue, u = 2^-24; a value that is not finite makes its row NaN with `amx`. */
#ifndef OBERTA_OP_GEMM_H
#define OBERTA_OP_GEMM_H

#include <oberta/activation.h>
#include <oberta/buffer.h>
#include <oberta/dtype.h>

typedef enum ob_gemm_provider {
    OB_GEMM_AUTO, /* what the context's tuning table names, else the first of the ordered list that accepts device and
                     shape */
    OB_GEMM_REF,
    OB_GEMM_TILE,
    OB_GEMM_CLBLAST,
    OB_GEMM_BLOCK,
    OB_GEMM_AMX,
    OB_GEMM_PROVIDER_COUNT
} ob_gemm_provider;

const char *ob_gemm_provider_name(ob_gemm_provider provider); /* "auto", "ref", "tile", ... */
/* False for a name that is none of these. */
bool ob_gemm_provider_from_name(const char *name, ob_gemm_provider *out);
#define OB_GEMM_PROVIDER_NAMES "amx, tile, block, clblast, ref" /* for messages; and "auto" where there is a choice */

typedef struct ob_gemm_desc {
    size_t n, k;              /* > 0 */
    ob_activation activation; /* OB_ACT_NONE for a plain linear layer */
    bool residual;
    ob_gemm_provider provider;
    bool half_weights; /* weights are kept as float16, rounded to nearest even; sums stay float32; block and ref only */
    size_t
        row_tile;   /* how src lies (rows.h): 0 and 1 row-major; tile wants its own (ob_gemm_row_tile), ref takes any */
    bool tiled_dst; /* residual and dst lie in row tiles like src; else row-major */
    int variant;    /* of block: 0 chooses by m; for tests and tools 1 + a row of its table (gemm_block.h) */
} ob_gemm_desc;

typedef struct ob_gemm ob_gemm;

/* The row tile in which `provider` (AUTO: the device's default one) wants src; 1: row-major. */
size_t ob_gemm_row_tile(const ob_context *ctx, ob_gemm_provider provider);

/* Builds the kernels. A pinned provider that cannot serve the device is an error with its reason. */
ob_status ob_gemm_create(ob_context *ctx, const ob_gemm_desc *desc, ob_gemm **out, ob_error *err);
void ob_gemm_destroy(ob_gemm *gemm);
/* What serves, after create: never AUTO. */
ob_gemm_provider ob_gemm_get_provider(const ob_gemm *gemm);

/* For tuners. Why AUTO would pass a provider by, one clause; NULL where it serves. And the names of a provider's
 * variants in the order of desc.variant; NULL past the last. */
const char *ob_gemm_refusal(const ob_device_info *device, const ob_gemm_desc *desc, ob_gemm_provider provider);
const char *ob_gemm_variant_name(ob_gemm_provider provider, size_t index);

/* Weights on the device in the provider's own layout, packed once. */
typedef struct ob_gemm_weights ob_gemm_weights;

/* Rows of the weight matrix from the host. Several parts are stacked in order (query, key and value become one GEMM).
 */
typedef struct ob_gemm_part {
    const void *weight; /* (rows, k) of dtype, no alignment needed */
    const void *bias;   /* (rows) of bias_dtype; NULL: zeros */
    ob_dtype weight_dtype, bias_dtype;
    size_t rows;
} ob_gemm_part;

/* The parts' rows must add up to n. Host memory beyond the device's own: O(64 KiB). Serves every gemm of the same n, k
 * and provider, whatever its epilogue. */
ob_status ob_gemm_weights_create(const ob_gemm *gemm, const ob_gemm_part *parts, size_t part_count,
                                 ob_gemm_weights **out, ob_error *err);
void ob_gemm_weights_destroy(ob_gemm_weights *weights);

/* The layout, for the embedding look-up which shares a tied decoder's memory: element (row, k) of the matrix stands at
 * ((row / block) * K + k) * block + row % block. A block of 1 is plain row-major. Elements are float32, or float16
 * where desc.half_weights. */
const ob_buffer *ob_gemm_weights_buffer(const ob_gemm_weights *weights);
size_t ob_gemm_weights_block(const ob_gemm_weights *weights);

/* `residual` is read only where desc.residual. `src` and `residual` must not overlap `dst`. m == 0 does nothing. */
ob_status ob_gemm_enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                          const ob_buffer *residual, ob_buffer *dst, ob_error *err);

#endif
