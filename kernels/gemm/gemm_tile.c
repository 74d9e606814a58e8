/* The tile provider: picks a tile by the device's vectors, and how much of dst a work-item gets. */
#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tile.h"

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if (desc->half_weights)
        return "it has no half weights";
    return device->type == OB_DEVICE_CPU ? NULL : "its tiles are for CPU devices";
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    const ob__tile tile = ob__tile_for(ob_context_device(gemm->ctx));
    gemm->tile_m = tile.rows;
    gemm->block = 2 * tile.vector;
    /* Rows of src that a work-item walks: together about 256 KiB, which stay in the second-level cache while the
     * neighbouring panels use them too. */
    size_t rows = ((size_t)256 << 10) / (gemm->desc.k * sizeof(float));
    rows -= rows % gemm->tile_m;
    gemm->rows_per_item = rows < 4 * gemm->tile_m ? 4 * gemm->tile_m : rows;
    ob_defines defines = OB_DEFINES_INIT;
    ob__tile_define(&tile, &defines);
    return ob__gemm_build(gemm, &ob_source_gemm_tile, "gemm__tile", &defines, &gemm->kernel, err);
}

/* How many rows each work-item gets changes who computes what, never the result. */
static size_t rows_per_item(const ob_gemm *gemm, size_t m, size_t panels)
{
    size_t rows = gemm->rows_per_item;
    /* Enough work-items that every core has several. */
    size_t wanted = 8 * (size_t)ob_context_device(gemm->ctx)->compute_units;
    while (rows > gemm->tile_m && panels * ((m + rows - 1) / rows) < wanted)
        rows -= gemm->tile_m;
    return rows;
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    size_t panels = (gemm->desc.n + gemm->block - 1) / gemm->block;
    size_t rows = rows_per_item(gemm, m, panels);
    const ob_arg args[] = {ob_arg_buffer(src),
                           ob_arg_buffer(weights->weight),
                           ob_arg_buffer(weights->bias),
                           ob_arg_buffer(residual),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)gemm->desc.n),
                           ob_arg_i32((int32_t)gemm->desc.k),
                           ob_arg_i32((int32_t)rows)};
    const ob_ndrange range = {2, {panels, (m + rows - 1) / rows}, {1, 1}};
    return ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_tile = {OB_GEMM_TILE, "tile", refuse, create, enqueue};
