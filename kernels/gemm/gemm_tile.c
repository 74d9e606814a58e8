/* The tile provider: picks a tile by the device's vectors, and how much of dst a work-item gets. */
#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tasks.h"
#include "tile.h"

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if (desc->half_weights)
        return "it has no half weights";
    if (desc->row_tile != ob__tile_for(device).rows)
        return "src does not lie in its row tiles";
    return device->type == OB_DEVICE_CPU ? NULL : "its tiles are for CPU devices";
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    const ob_device_info *device = ob_context_device(gemm->ctx);
    const ob__tile tile = ob__tile_for(device);
    gemm->tile_m = tile.rows;
    gemm->block = 2 * tile.vector;
    if (ob__tasks_create(gemm->ctx, "gemm tasks", 0, &gemm->tasks, err) != OB_OK)
        return ob_error_status(err);
    const ob_source *const own[] = {&ob_source_tasks, &ob_source_gemm_tile};
    ob_defines defines = OB_DEFINES_INIT;
    ob__tile_define(&tile, device, &defines);
    return ob__gemm_build(gemm, own, 2, "gemm__tile", &defines, &gemm->kernel, err);
}

/* How many rows a task has changes who computes what, never the result.
 *
 * All its rows are used by each panel, so together they should stay in the second-level cache (768 KiB of it); a panel
 * comes from further away, so it should serve many rows. There should be several tasks for each core. */
static size_t rows_per_task(const ob_gemm *gemm, size_t m, size_t panels)
{
    size_t tile = gemm->tile_m, tiles = (m + tile - 1) / tile;
    size_t fit = ((size_t)768 << 10) / (tile * gemm->desc.k * sizeof(float));
    size_t most = fit < 8 ? 8 : fit > 16 ? 16 : fit;
    size_t wanted = 8 * (size_t)ob_context_device(gemm->ctx)->compute_units;
    size_t groups = (tiles + most - 1) / most;
    if (panels * groups < wanted)
        groups = (wanted + panels - 1) / panels;
    groups = groups < tiles ? groups : tiles;
    return (tiles + groups - 1) / groups * tile;
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    size_t panels = (gemm->desc.n + gemm->block - 1) / gemm->block;
    size_t rows = rows_per_task(gemm, m, panels), tasks = panels * ((m + rows - 1) / rows);
    const ob_arg args[] = {ob_arg_buffer(src),
                           ob_arg_buffer(weights->weight),
                           ob_arg_buffer(weights->bias),
                           ob_arg_buffer(residual),
                           ob_arg_buffer(dst),
                           ob_arg_buffer(gemm->tasks),
                           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)gemm->desc.n),
                           ob_arg_i32((int32_t)gemm->desc.k),
                           ob_arg_i32((int32_t)rows)};
    /* Where long loops end silently each work-item has one task. */
    bool long_loops = (ob_context_device(gemm->ctx)->capabilities & OB_CAP_LONG_LOOPS) != 0;
    const ob_ndrange range = {1, {long_loops ? ob__tasks_items(gemm->ctx, tasks) : tasks}, {1}};
    return ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_tile = {OB_GEMM_TILE, "tile", refuse, create, enqueue};
