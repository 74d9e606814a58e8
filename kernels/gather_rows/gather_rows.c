/* Launches gather_rows_ref.cl. */
#include "embedded_sources.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_gather_rows.h>

struct ob_gather_rows {
    size_t width;
    ob_kernel *kernel;
};

ob_status ob_gather_rows_create(ob_context *ctx, const ob_gather_rows_desc *desc, ob_gather_rows **out, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_rows, &ob_source_gather_rows_ref};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program = NULL;
    ob_gather_rows *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for gathering rows");
    op->width = desc->width;
    ob_defines_int(&defines, "ROW_TILE", (long)desc->row_tile);
    if (desc->tiled_dst)
        ob_defines_int(&defines, "TILED_DST", 1);
    if (ob_program_create(ctx, "gather_rows", sources, 2, &defines, &program, err) != OB_OK ||
        ob_kernel_create(program, "gather_rows__ref", &op->kernel, err) != OB_OK) {
        ob_program_destroy(program);
        ob_gather_rows_destroy(op);
        return ob_error_status(err);
    }
    ob_program_destroy(program);
    *out = op;
    return OB_OK;
}

void ob_gather_rows_destroy(ob_gather_rows *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->kernel);
    ob_free(op);
}

ob_status ob_gather_rows_enqueue(const ob_gather_rows *op, const ob_buffer *src, const ob_buffer *rows, size_t first,
                                 size_t count, ob_buffer *dst, ob_error *err)
{
    /* Some drivers do not take a null pointer: without a list any buffer stands in, unread. */
    const ob_arg args[] = {
        ob_arg_buffer(src),        ob_arg_buffer(rows != NULL ? rows : src), ob_arg_i32(rows != NULL),
        ob_arg_buffer(dst),        ob_arg_i32((int32_t)op->width),           ob_arg_i32((int32_t)first),
        ob_arg_i32((int32_t)count)};
    const ob_ndrange range = {2, {op->width, count}, {0}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}
