/* The amx provider: how many rows and panels a work-item gets, and how much of k at a time. */
#include "amx.h"
#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tile.h"

#define MAX_CHUNK  32 /* steps: 192 KiB for each block of rows, and for the panel */
#define MAX_BLOCKS 4  /* of rows: with the panel's they are 960 KiB of a second-level cache */
#define MAX_SUMS   96 /* blocks of sums that wait, 384 KiB */
#define MIN_PANELS 6  /* of a task that splits its rows of src anew: a tenth of its work, then */

typedef struct geometry {
    size_t chunk;       /* steps */
    size_t rows;        /* of a group */
    size_t least, most; /* panels of a task */
    size_t local_bytes;
} geometry;

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* As few chunks as may be, of like length. One block of rows needs a panel's steps once, so they are not kept, and k is
 * not cut while the rows' parts fit. */
static size_t chunk_of(const ob_gemm_desc *desc, size_t blocks, uint64_t local_limit)
{
    size_t steps = ceil_div(desc->k, OB__AMX_WIDE);
    if (blocks == 1 && (steps + 2) * OB__AMX_PARTS_BYTES + OB__AMX_SUMS_BYTES + OB__AMX_ALIGN_BYTES <= local_limit)
        return steps;
    return ceil_div(steps, ceil_div(steps, MAX_CHUNK));
}

static size_t local_bytes(const ob_gemm_desc *desc, size_t blocks, size_t panels, size_t chunk)
{
    size_t kept = blocks > 1 && chunk > 2 ? chunk : 2, waiting = chunk * OB__AMX_WIDE < desc->k ? blocks * panels : 1;
    return (blocks * chunk + kept) * OB__AMX_PARTS_BYTES + waiting * OB__AMX_SUMS_BYTES + OB__AMX_ALIGN_BYTES;
}

/* It changes who computes what, never the result. A panel is split once for a group's rows, so they should be many.
 * Rows whose parts are one chunk are split once for all tasks of their group, which may then be small. */
static geometry geometry_of(const ob_gemm *gemm, size_t m)
{
    const ob_device_info *device = ob_context_device(gemm->ctx);
    size_t all_blocks = ceil_div(m, OB__AMX_WIDE), panels = ceil_div(gemm->desc.n, OB__AMX_WIDE);
    size_t blocks = ceil_div(all_blocks, ceil_div(all_blocks, MAX_BLOCKS));
    for (;;) {
        size_t chunk = chunk_of(&gemm->desc, blocks, device->local_bytes);
        bool whole = chunk * OB__AMX_WIDE >= gemm->desc.k;
        size_t least = whole ? 1 : smaller(panels, MIN_PANELS),
               most = whole ? panels : smaller(panels, MAX_SUMS / blocks);
        size_t bytes = local_bytes(&gemm->desc, blocks, most, chunk);
        if (bytes <= device->local_bytes || (blocks == 1 && panels == 1))
            return (geometry){chunk, blocks * OB__AMX_WIDE, least, most, bytes};
        if (blocks > 1 && (whole || panels <= MIN_PANELS))
            blocks--;
        else
            panels = (panels + 1) / 2;
    }
}

bool ob__amx_suits(const ob_device_info *device)
{
    const ob_gemm_desc longest = {.n = OB__AMX_WIDE, .k = (size_t)2 * MAX_CHUNK * OB__AMX_WIDE};
    return (device->capabilities & OB_CAP_AMX) != 0 && local_bytes(&longest, 1, 1, MAX_CHUNK) <= device->local_bytes;
}

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if (!ob__amx_suits(device))
        return "the device has no matrix tiles of x86, or no local memory for their parts";
    if (desc->half_weights)
        return "it has no half weights";
    return desc->row_tile > 1 ? "src lies in row tiles" : NULL;
}

/* amx.clh holds assembly, which other programs must not see. */
static ob_status build(ob_gemm *gemm, ob_error *err)
{
    const ob_device_info *device = ob_context_device(gemm->ctx);
    const ob__tile tile = ob__tile_for(device);
    const ob_source *sources[OB__GEMM_SOURCES + 1];
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob__tile_define(&tile, device, &defines);
    ob__gemm_program(&gemm->desc, &ob_source_amx, sources, &defines);
    sources[OB__GEMM_SOURCES] = &ob_source_gemm_amx;
    if (ob_program_create(gemm->ctx, "gemm__amx", sources, OB__GEMM_SOURCES + 1, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, "gemm__amx", &gemm->kernel, err);
    ob_program_destroy(program);
    return status;
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    gemm->block = OB__AMX_WIDE;
    if (ob__amx_tasks_create(gemm->ctx, "gemm tasks", &gemm->tasks, err) != OB_OK)
        return ob_error_status(err);
    return build(gemm, err);
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    const geometry g = geometry_of(gemm, m);
    size_t tasks = ceil_div(gemm->desc.n, OB__AMX_WIDE * g.least) * ceil_div(m, g.rows);
    const ob_arg args[] = {ob_arg_buffer(src),
                           ob_arg_buffer(weights->weight),
                           ob_arg_buffer(weights->bias),
                           ob_arg_buffer(residual),
                           ob_arg_buffer(dst),
                           ob_arg_local(g.local_bytes),
                           ob_arg_buffer(gemm->tasks),
                           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)gemm->desc.n),
                           ob_arg_i32((int32_t)gemm->desc.k),
                           ob_arg_i32((int32_t)g.rows),
                           ob_arg_i32((int32_t)g.chunk),
                           ob_arg_i32((int32_t)g.least),
                           ob_arg_i32((int32_t)g.most)};
    const ob_ndrange range = {1, {ob__amx_items(ob_context_device(gemm->ctx), tasks)}, {1}};
    return ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_amx = {OB_GEMM_AMX, "amx", refuse, create, enqueue};
