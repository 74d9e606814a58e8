/* The tile provider: picks a tile by the device's vectors, and how much of dst a work-item gets. */
#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tile.h"

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if (desc->half_weights)
        return "it has no half weights";
    if (desc->row_tile != ob__tile_for(device).rows)
        return "src does not lie in its row tiles";
    return device->type == OB_DEVICE_CPU ? NULL : "its tiles are for CPU devices";
}

/* What an item's rows of src may take of the second-level cache, where they should stay for the neighbouring panels. */
#define CACHED_ROWS ((size_t)832 << 10)
#define FEW_TILES   8 /* fewer for each load of a panel would be slower than src from further away */
#define MANY_TILES  16

/* Tiles whose rows of `depth` floats stay in the cache. */
static size_t cached_tiles(const ob_gemm *gemm, size_t depth)
{
    return CACHED_ROWS / (gemm->tile_m * depth * sizeof(float));
}

/* In how many parts of k a product is made, each a launch that goes on with the sums that the one before left in dst:
 * as many as it takes for FEW_TILES to stay in the cache (k = 3072, two cores with AVX-512: 2 to 11 % faster). The
 * order in which an element is summed up stays the same. */
static size_t parts_of_k(const ob_gemm *gemm, size_t tiles)
{
    size_t parts = 1;
    if (gemm->desc.n % gemm->block != 0 || !gemm->desc.tiled_dst || tiles <= cached_tiles(gemm, gemm->desc.k))
        return 1;
    while (cached_tiles(gemm, gemm->desc.k / parts) < FEW_TILES)
        parts++;
    return parts;
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    const ob_device_info *device = ob_context_device(gemm->ctx);
    const ob__tile tile = ob__tile_for(device);
    gemm->tile_m = tile.rows;
    gemm->block = 2 * tile.vector;
    ob_defines defines = OB_DEFINES_INIT;
    ob__tile_define(&tile, device, &defines);
    if (gemm->desc.n % gemm->block == 0)
        ob_defines_int(&defines, "WHOLE_PANELS", 1);
    if (parts_of_k(gemm, SIZE_MAX) > 1)
        ob_defines_int(&defines, "SPLIT_K", 1);
    return ob__gemm_build(gemm, &ob_source_gemm_tile, "gemm__tile", &defines, &gemm->kernel, err);
}

/* How many rows each work-item gets changes who computes what, never the result.
 *
 * All rows of an item are used by each panel, so together they should stay in the cache; a panel comes from further
 * away, so it should serve many rows. Drivers hand items to threads in pieces, so there should be several for each. */
static size_t rows_per_item(const ob_gemm *gemm, size_t tiles, size_t panels, size_t depth)
{
    size_t fit = cached_tiles(gemm, depth), wanted = 8 * (size_t)ob_context_device(gemm->ctx)->compute_units;
    size_t most = fit >= MANY_TILES ? MANY_TILES : tiles <= fit ? tiles : FEW_TILES;
    size_t items = (tiles + most - 1) / most;
    if (panels * items < wanted)
        items = (wanted + panels - 1) / panels;
    items = items < tiles ? items : tiles;
    return (tiles + items - 1) / items * gemm->tile_m;
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    size_t panels = (gemm->desc.n + gemm->block - 1) / gemm->block;
    size_t k = gemm->desc.k, tiles = (m + gemm->tile_m - 1) / gemm->tile_m;
    size_t depth = (k / parts_of_k(gemm, tiles) + 3) / 4 * 4; /* src lies in fours of k */
    size_t rows = rows_per_item(gemm, tiles, panels, depth);
    const ob_ndrange range = {2, {panels, (m + rows - 1) / rows}, {1, 1}};
    for (size_t begin = 0, end; begin < k; begin = end) {
        end = k - begin < depth ? k : begin + depth;
        const ob_arg args[] = {ob_arg_buffer(src),
                               ob_arg_buffer(weights->weight),
                               ob_arg_buffer(weights->bias),
                               ob_arg_buffer(residual),
                               ob_arg_buffer(dst),
                               ob_arg_i32((int32_t)m),
                               ob_arg_i32((int32_t)gemm->desc.n),
                               ob_arg_i32((int32_t)k),
                               ob_arg_i32((int32_t)rows),
                               ob_arg_i32((int32_t)begin),
                               ob_arg_i32((int32_t)end)};
        if (ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

const ob__gemm_ops ob__gemm_tile = {OB_GEMM_TILE, "tile", refuse, create, enqueue};
