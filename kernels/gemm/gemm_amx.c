/* The amx provider: how many rows and panels a work-item gets, and how much of k at a time. */
#include "amx.h"
#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tasks.h"
#include "tile.h"

/* For a second-level cache of 2 MiB. */
#define MAX_BLOCKS 4  /* of rows */
#define MAX_WHOLE  32 /* steps of k in one chunk: with the panel's 960 KiB of parts */
#define MAX_CHUNK  24 /* steps, else: 720 KiB, beside the sums that wait */
#define MAX_SUMS   96 /* blocks of sums that wait, 384 KiB */
#define MIN_PANELS 12 /* of a task that splits its rows of src anew */

typedef struct geometry {
    size_t chunk;       /* steps */
    size_t rows;        /* of a group */
    size_t least, most; /* panels of a task */
    size_t bytes;       /* of scratch */
} geometry;

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* As few chunks as may be, of like length. One block of rows needs a panel's steps once, so they are not kept. */
static size_t chunk_of(const ob_gemm_desc *desc, size_t blocks)
{
    size_t steps = ceil_div(desc->k, OB__AMX_WIDE);
    return steps <= (blocks == 1 ? OB__AMX_MAX_SINGLE : MAX_WHOLE) ? steps
                                                                   : ceil_div(steps, ceil_div(steps, MAX_CHUNK));
}

/* For groups of so many blocks of rows. It changes who computes what, never the result. Rows whose parts are one chunk
 * are split once for all tasks of their group, which may then be small. */
static geometry geometry_of(const ob_gemm_desc *desc, size_t blocks)
{
    size_t chunk = chunk_of(desc, blocks), panels = ceil_div(desc->n, OB__AMX_WIDE);
    size_t kept = blocks > 1 && chunk > 2 ? chunk : 2;
    bool whole = chunk * OB__AMX_WIDE >= desc->k;
    size_t most = whole ? panels : smaller(panels, MAX_SUMS / blocks), waiting = whole ? 1 : blocks * most;
    return (geometry){chunk, blocks * OB__AMX_WIDE, whole ? 1 : smaller(panels, MIN_PANELS), most,
                      (blocks * chunk + kept) * OB__AMX_PARTS_BYTES + waiting * OB__AMX_SUMS_BYTES};
}

/* A panel is split once for a group's rows, so they should be many. */
static geometry geometry_for(const ob_gemm_desc *desc, size_t m)
{
    size_t blocks = ceil_div(m, OB__AMX_WIDE);
    return geometry_of(desc, ceil_div(blocks, ceil_div(blocks, MAX_BLOCKS)));
}

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if ((device->capabilities & OB_CAP_AMX) == 0)
        return "the device has no matrix tiles of x86";
    if (desc->half_weights)
        return "it has no half weights";
    return desc->row_tile > 1 ? "src lies in row tiles" : NULL;
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    size_t most = 0;
    for (size_t blocks = 1; blocks <= MAX_BLOCKS; blocks++) {
        size_t bytes = geometry_of(&gemm->desc, blocks).bytes;
        most = bytes > most ? bytes : most;
    }
    gemm->block = OB__AMX_WIDE;
    if (ob__amx_reserve(gemm->ctx, most, err) != OB_OK ||
        ob__tasks_create(gemm->ctx, "gemm tasks", 0, &gemm->tasks, err) != OB_OK)
        return ob_error_status(err);
    const ob_device_info *device = ob_context_device(gemm->ctx);
    const ob_source *const own[] = {&ob_source_tasks, &ob_source_amx, &ob_source_gemm_amx};
    const ob__tile tile = ob__tile_for(device);
    ob_defines defines = OB_DEFINES_INIT;
    ob__tile_define(&tile, device, &defines);
    return ob__gemm_build(gemm, own, 3, "gemm__amx", &defines, &gemm->kernel, err);
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    const geometry g = geometry_for(&gemm->desc, m);
    size_t tasks = ceil_div(gemm->desc.n, OB__AMX_WIDE * g.least) * ceil_div(m, g.rows);
    const ob_arg args[] = {ob_arg_buffer(src),
                           ob_arg_buffer(weights->weight),
                           ob_arg_buffer(weights->bias),
                           ob_arg_buffer(residual),
                           ob_arg_buffer(dst),
                           ob_arg_buffer(gemm->tasks),
                           ob_arg_buffer(ob_context_scratch(gemm->ctx)),
                           ob_arg_i32((int32_t)(ob__amx_share_bytes(gemm->ctx) / sizeof(int32_t))),
                           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)gemm->desc.n),
                           ob_arg_i32((int32_t)gemm->desc.k),
                           ob_arg_i32((int32_t)g.rows),
                           ob_arg_i32((int32_t)g.chunk),
                           ob_arg_i32((int32_t)g.least),
                           ob_arg_i32((int32_t)g.most)};
    const ob_ndrange range = {1, {ob__tasks_items(gemm->ctx, tasks)}, {1}};
    return ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_amx = {OB_GEMM_AMX, "amx", refuse, create, enqueue};
