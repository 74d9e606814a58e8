/* Chooses and launches a layer norm. */
#include "embedded_sources.h"
#include "tile.h"

#include <oberta/launch.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/op_layer_norm.h>

struct ob_layer_norm {
    ob_layer_norm_desc desc;
    ob_kernel *kernel;
    bool vector;
};

static const char *refuse_vector(const ob_device_info *device, const ob_layer_norm_desc *desc)
{
    if (device->type != OB_DEVICE_CPU)
        return "it is for CPU devices";
    return desc->hidden_size < ob__tile_for(device).vector ? "the row is shorter than a vector" : NULL;
}

ob_status ob_layer_norm_create(ob_context *ctx, const ob_layer_norm_desc *desc, ob_layer_norm **out, ob_error *err)
{
    const ob_device_info *device = ob_context_device(ctx);
    const char *reason = refuse_vector(device, desc);
    if (desc->variant == OB_LAYER_NORM_VECTOR && reason != NULL)
        return ob_error_set(err, OB_ERR_DEVICE, "layer norm by 'vector' on '%s': %s", device->name, reason);
    if (desc->variant == OB_LAYER_NORM_AUTO && reason != NULL)
        ob_log(OB_LOG_DEBUG, "layer_norm", "%zu: not vector: %s", desc->hidden_size, reason);
    ob_layer_norm *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a layer norm");
    op->desc = *desc;
    op->vector = desc->variant != OB_LAYER_NORM_REF && reason == NULL;
    const ob_source *const plain[] = {&ob_source_layer_norm_ref};
    const ob_source *const vector[] = {&ob_source_tile, &ob_source_layer_norm_vector};
    const ob__tile tile = ob__tile_for(device);
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program = NULL;
    if (op->vector)
        ob__tile_define(&tile, &defines);
    if (ob_program_create(ctx, "layer_norm", op->vector ? vector : plain, op->vector ? 2 : 1, &defines, &program,
                          err) != OB_OK ||
        ob_kernel_create(program, op->vector ? "layer_norm__vector" : "layer_norm__ref", &op->kernel, err) != OB_OK) {
        ob_program_destroy(program);
        ob_layer_norm_destroy(op);
        return ob_error_status(err);
    }
    ob_program_destroy(program);
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
    return op->vector ? "vector" : "ref";
}

ob_status ob_layer_norm_enqueue(const ob_layer_norm *op, const ob_buffer *src, const ob_buffer *weight,
                                const ob_buffer *bias, size_t rows, ob_buffer *dst, ob_error *err)
{
    const ob_arg args[] = {ob_arg_buffer(src),        ob_arg_buffer(weight),
                           ob_arg_buffer(bias),       ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)rows), ob_arg_i32((int32_t)op->desc.hidden_size),
                           ob_arg_f32(op->desc.eps)};
    const ob_ndrange range = {1, {rows}, {op->vector ? 1 : 0}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}
