/* The block provider, for GPUs: a table of blocks, built for few, many and very many rows, chosen by m at each call.
 *
 * Any variant may serve any call, since all give the same bits. */
#include "gemm_block.h"

#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tile.h"

#include <oberta/log.h>

#define MAX_K 240000 /* the smallest BLOCK_K times 60,000 turns; some drivers stop at 65,535 */

/* What bounds a block, by its numbers (f: flop, an fma is 2):
 *
 *                   registers for      f a byte of     f a byte of       work-items,    KiB of
 *                   sums, an item      local memory    global memory     waves of 32    local memory
 *     128 x 128          64               2.0             32.0              256, 8          8.1
 *      64 x 128          64               2.0             21.3              128, 4          6.1
 *      64 x  64          32               1.33            16.0              128, 4          8.3
 *      32 x  32          16               1.0              8.0               64, 2          4.3
 *      16 x  64          16               1.0              6.4               64, 2          5.3
 *      16 x  32          16               1.0              5.3               32, 1          6.5
 *      16 x  16          16               1.0              4.0               16             1.1
 *       8 x   4          32               1.33             1.3                1             0.3
 *
 * Local memory: an item reads (ITEM_M + ITEM_N) floats for ITEM_M x ITEM_N fma. GPUs give 128 bytes of local memory for
 * 256 flop a clock and unit, which asks for 2 where every lane reads its own; lanes that share a row or a column get it
 * by broadcast, so that 1 is enough in practice.
 * Global memory: BLOCK_M x BLOCK_N fma for BLOCK_M + BLOCK_N floats. GPUs have 10 to 40 flop of fp32 a byte of memory,
 * 3 to 8 a byte of second-level cache, which neighbouring groups share. Occupancy: 64 sums and what goes with them stay
 * below 128 registers where the compiler keeps to it, so two groups of 256 work-items share a unit of 64 Ki registers
 * and one computes while the other waits at its barrier (gfx900 and gfx90a go above, to one group); the smaller blocks
 * leave room for four or more. Local memory never limits: 16 KiB hold a group of any variant. What compilers make of
 * it: kernels/ISA.md. BLOCK_K is what keeps local memory and registers in flight small: 8 where a step of 8 has 512 fma
 * an item, 16 to 32 where fewer fma have to pay for a barrier. */
const ob__gemm_variant ob__gemm_variants[OB__GEMM_VARIANT_COUNT] = {
    {"128x128", 128, 128, 8, 16, 16}, /* the encoder's products of full batches */
    {"64x128", 64, 128, 8, 8, 16},    /* half batches; the largest where work-groups end at 128 */
    {"64x64", 64, 64, 16, 8, 16},     {"32x32", 32, 32, 16, 8, 8},
    {"16x64", 16, 64, 16, 4, 16}, /* few rows, wide n: the head over the vocabulary */
    {"16x32", 16, 32, 32, 4, 8},  /* few rows: as many groups as possible, long steps */
    {"16x16", 16, 16, 8, 4, 4},   /* devices with small work-groups */
    {"8x4", 8, 4, 4, 1, 1},
};

/* A device is full with this many work-groups a compute unit. */
#define GROUPS_PER_UNIT 2
/* Few, many and very many rows, for which a gemm builds kernels: what serves these serves all between. */
static const size_t typical_m[] = {16, 512, 8192};

size_t ob__gemm_variant_local_bytes(const ob__gemm_variant *v)
{
    return (v->block_m + 4 + v->block_n) * v->block_k * sizeof(float);
}

unsigned ob__gemm_variants_that_fit(const ob_device_info *device)
{
    unsigned fitting = 0;
    for (unsigned i = 0; i < OB__GEMM_VARIANT_COUNT; i++) {
        const ob__gemm_variant *v = &ob__gemm_variants[i];
        if (v->items_m * v->items_n <= device->max_work_group && v->items_n <= device->max_work_items[0] &&
            v->items_m <= device->max_work_items[1] && ob__gemm_variant_local_bytes(v) <= device->local_bytes)
            fitting |= 1u << i;
    }
    return fitting;
}

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

size_t ob__gemm_variant_pick(size_t m, size_t n, size_t compute_units, unsigned allowed)
{
    size_t last = OB__GEMM_VARIANT_COUNT;
    for (size_t i = 0; i < OB__GEMM_VARIANT_COUNT; i++) {
        const ob__gemm_variant *v = &ob__gemm_variants[i];
        if ((allowed & 1u << i) == 0)
            continue;
        /* A work-group of one item serves only where nothing else fits. */
        if (last < OB__GEMM_VARIANT_COUNT && v->items_m * v->items_n < 32)
            break;
        last = i;
        bool wasteful = v->block_m > 16 && v->block_m >= 2 * m;
        if (!wasteful && ceil_div(m, v->block_m) * ceil_div(n, v->block_n) >= GROUPS_PER_UNIT * compute_units)
            break;
    }
    return last;
}

void ob__gemm_variant_define(const ob__gemm_variant *variant, const ob_gemm_desc *desc, ob_defines *defines)
{
    ob_defines_int(defines, "BLOCK_M", (long)variant->block_m);
    ob_defines_int(defines, "BLOCK_N", (long)variant->block_n);
    ob_defines_int(defines, "BLOCK_K", (long)variant->block_k);
    ob_defines_int(defines, "ITEMS_M", (long)variant->items_m);
    ob_defines_int(defines, "ITEMS_N", (long)variant->items_n);
    if (desc->k % variant->block_k == 0)
        ob_defines_int(defines, "K_WHOLE", 1);
    if (desc->n % 4 == 0)
        ob_defines_int(defines, "N_FOURS", 1);
}

static unsigned allowed_variants(const ob_device_info *device, const ob_gemm_desc *desc)
{
    unsigned fitting = ob__gemm_variants_that_fit(device);
    return desc->variant == 0 ? fitting : fitting & 1u << (desc->variant - 1);
}

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if (desc->row_tile > 1)
        return "it reads plain rows";
    if (ob__tile_suits(device) && desc->provider != OB_GEMM_BLOCK)
        return "its blocks are for GPUs";
    if (desc->k > MAX_K)
        return "k is above 240,000";
    return allowed_variants(device, desc) == 0 ? "no block fits the work-group and the local memory" : NULL;
}

/* Builds one variant; OB_OK with *built false where the compiler leaves too small a work-group for it. */
static ob_status build(ob_gemm *gemm, size_t variant, bool *built, ob_error *err)
{
    const ob__gemm_variant *v = &ob__gemm_variants[variant];
    const ob_source *const own[] = {&ob_source_gemm_block};
    ob_defines defines = OB_DEFINES_INIT;
    ob__gemm_variant_define(v, &gemm->desc, &defines);
    ob_kernel **kernel = &gemm->block_kernels[variant];
    if (ob__gemm_build(gemm, own, 1, "gemm__block", &defines, kernel, err) != OB_OK)
        return ob_error_status(err);
    *built = ob_kernel_max_work_group(*kernel) >= v->items_m * v->items_n;
    if (!*built) {
        ob_log(OB_LOG_DEBUG, "gemm", "block %s: its work-group is %zu, the compiler leaves %zu", v->name,
               v->items_m * v->items_n, ob_kernel_max_work_group(*kernel));
        ob_kernel_destroy(*kernel);
        *kernel = NULL;
    }
    return OB_OK;
}

/* What the device's tuning table names beside these. A name that cannot serve leaves its class to the rule. */
static ob_status build_tuned(ob_gemm *gemm, ob_error *err)
{
    unsigned allowed = allowed_variants(ob_context_device(gemm->ctx), &gemm->desc);
    for (size_t i = 0; gemm->tuned != NULL && i < OB_TUNING_M_CLASSES; i++) {
        size_t variant = ob__gemm_variant_find(gemm->tuned->variants[i]);
        if (variant == OB__GEMM_VARIANT_COUNT || (allowed & 1u << variant) == 0)
            continue;
        bool built = gemm->block_kernels[variant] != NULL;
        if (!built && build(gemm, variant, &built, err) != OB_OK)
            return ob_error_status(err);
        gemm->tuned_blocks[i] = built ? variant + 1 : 0;
    }
    return OB_OK;
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    const ob_device_info *device = ob_context_device(gemm->ctx);
    unsigned allowed = allowed_variants(device, &gemm->desc);
    gemm->block = OB__GEMM_PANEL;
    for (size_t i = 0; i < sizeof typical_m / sizeof *typical_m;) {
        if (allowed == 0)
            return ob_error_set(err, OB_ERR_DEVICE, "matrix products by 'block' on '%s': its work-groups are too small",
                                device->name);
        size_t variant = ob__gemm_variant_pick(typical_m[i], gemm->desc.n, device->compute_units, allowed);
        bool built = gemm->block_kernels[variant] != NULL;
        if (!built && build(gemm, variant, &built, err) != OB_OK)
            return ob_error_status(err);
        if (built) {
            gemm->built_blocks |= 1u << variant;
            i++;
        } else {
            allowed &= ~(1u << variant);
        }
    }
    return build_tuned(gemm, err);
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    size_t n = gemm->desc.n;
    size_t tuned = gemm->tuned_blocks[ob_tuning_m_class(m)];
    size_t variant = tuned > 0
                         ? tuned - 1
                         : ob__gemm_variant_pick(m, n, ob_context_device(gemm->ctx)->compute_units, gemm->built_blocks);
    const ob__gemm_variant *v = &ob__gemm_variants[variant];
    size_t along_m = ceil_div(m, v->block_m), along_n = ceil_div(n, v->block_n);
    /* Groups that run together should share what they read: they follow the shorter side. */
    bool m_first = along_m < along_n;
    const ob_arg args[] = {ob_arg_buffer(src),           ob_arg_buffer(weights->weight),
                           ob_arg_buffer(weights->bias), ob_arg_buffer(residual),
                           ob_arg_buffer(dst),           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)n),       ob_arg_i32((int32_t)gemm->desc.k),
                           ob_arg_i32(m_first)};
    const ob_ndrange range = {2,
                              {(m_first ? along_m : along_n) * v->items_n, (m_first ? along_n : along_m) * v->items_m},
                              {v->items_n, v->items_m}};
    return ob_kernel_enqueue(gemm->block_kernels[variant], &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_block = {OB_GEMM_BLOCK, "block", refuse, create, enqueue};
