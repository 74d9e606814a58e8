/* Chooses and launches a layer norm. */
#include "embedded_sources.h"
#include "tile.h"

#include <oberta/launch.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/op_layer_norm.h>

typedef struct variant {
    const char *name, *kernel;
    const ob_source *source;
    bool vectors;         /* needs tile.clh */
    size_t work_group;    /* 0: the driver's choice */
    size_t rows_per_item; /* 0: a row tile */
} variant;

static const variant variants[] = {{"ref", "layer_norm__ref", &ob_source_layer_norm_ref, false, 0, 1},
                                   {"vector", "layer_norm__vector", &ob_source_layer_norm_vector, true, 1, 1},
                                   {"tile", "layer_norm__tile", &ob_source_layer_norm_tile, true, 1, 0}};

struct ob_layer_norm {
    ob_layer_norm_desc desc;
    const variant *variant;
    ob_kernel *kernel;
};

static const char *refuse_vector(const ob_device_info *device, const ob_layer_norm_desc *desc)
{
    if (desc->variant == OB_LAYER_NORM_VECTOR ? device->type != OB_DEVICE_CPU : !ob__tile_suits(device))
        return "it is for CPU devices with vectors";
    return desc->hidden_size < ob__tile_for(device).vector ? "the row is shorter than a vector" : NULL;
}

static ob_status choose(const ob_device_info *device, const ob_layer_norm_desc *desc, const variant **out,
                        ob_error *err)
{
    const char *reason = refuse_vector(device, desc);
    if (desc->row_tile > 1) {
        *out = &variants[2];
        if (desc->row_tile != ob__tile_for(device).rows || desc->variant != OB_LAYER_NORM_AUTO)
            return ob_error_set(err, OB_ERR_INTERNAL, "layer norm of row tiles of %zu, variant %d", desc->row_tile,
                                (int)desc->variant);
        return OB_OK;
    }
    if (desc->variant == OB_LAYER_NORM_VECTOR && reason != NULL)
        return ob_error_set(err, OB_ERR_DEVICE, "layer norm by 'vector' on '%s': %s", device->name, reason);
    if (desc->variant == OB_LAYER_NORM_AUTO && reason != NULL)
        ob_log(OB_LOG_DEBUG, "layer_norm", "%zu: not vector: %s", desc->hidden_size, reason);
    *out = &variants[desc->variant != OB_LAYER_NORM_REF && reason == NULL];
    return OB_OK;
}

static ob_status build(ob_layer_norm *op, ob_context *ctx, ob_error *err)
{
    const ob_device_info *device = ob_context_device(ctx);
    const ob__tile tile = ob__tile_for(device);
    const ob_source *const sources[] = {&ob_source_tile, op->variant->source};
    bool vectors = op->variant->vectors;
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    if (vectors)
        ob__tile_define(&tile, device, &defines);
    if (ob_program_create(ctx, "layer_norm", vectors ? sources : sources + 1, vectors ? 2 : 1, &defines, &program,
                          err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, op->variant->kernel, &op->kernel, err);
    ob_program_destroy(program);
    return status;
}

ob_status ob_layer_norm_create(ob_context *ctx, const ob_layer_norm_desc *desc, ob_layer_norm **out, ob_error *err)
{
    ob_layer_norm *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a layer norm");
    op->desc = *desc;
    if (choose(ob_context_device(ctx), desc, &op->variant, err) != OB_OK || build(op, ctx, err) != OB_OK) {
        ob_layer_norm_destroy(op);
        return ob_error_status(err);
    }
    *out = op;
    return OB_OK;
}

void ob_layer_norm_destroy(ob_layer_norm *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->kernel);
    ob_free(op);
}

const char *ob_layer_norm_variant_used(const ob_layer_norm *op)
{
    return op->variant->name;
}

const ob_layer_norm_desc *ob_layer_norm_get_desc(const ob_layer_norm *op)
{
    return &op->desc;
}

ob_status ob_layer_norm_enqueue(const ob_layer_norm *op, const ob_buffer *src, const ob_buffer *weight,
                                const ob_buffer *bias, size_t rows, ob_buffer *dst, ob_error *err)
{
    const ob_arg args[] = {ob_arg_buffer(src),        ob_arg_buffer(weight),
                           ob_arg_buffer(bias),       ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)rows), ob_arg_i32((int32_t)op->desc.hidden_size),
                           ob_arg_f32(op->desc.eps)};
    size_t per_item = op->variant->rows_per_item > 0 ? op->variant->rows_per_item : op->desc.row_tile;
    const ob_ndrange range = {1, {(rows + per_item - 1) / per_item}, {op->variant->work_group}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}
