/* Launches pool_ref.cl. */
#include "embedded_sources.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_pool.h>

struct ob_pool {
    size_t hidden_size;
    ob_kernel *kernel;
};

ob_status ob_pool_create(ob_context *ctx, size_t hidden_size, size_t row_tile, ob_pool **out, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_rows, &ob_source_pool_ref};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program = NULL;
    ob_pool *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for pooling");
    op->hidden_size = hidden_size;
    ob_defines_int(&defines, "ROW_TILE", (long)row_tile);
    if (ob_program_create(ctx, "pool", sources, 2, &defines, &program, err) != OB_OK ||
        ob_kernel_create(program, "pool__ref", &op->kernel, err) != OB_OK) {
        ob_program_destroy(program);
        ob_pool_destroy(op);
        return ob_error_status(err);
    }
    ob_program_destroy(program);
    *out = op;
    return OB_OK;
}

void ob_pool_destroy(ob_pool *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->kernel);
    ob_free(op);
}

ob_status ob_pool_enqueue(const ob_pool *op, unsigned poolings, const ob_buffer *src, const ob_buffer *cu_seqlens,
                          const ob_buffer *key_mask, size_t sequences, ob_buffer *dst, ob_error *err)
{
    int32_t count = 0;
    for (unsigned left = poolings; left != 0; left &= left - 1)
        count++;
    if (count == 0 || (poolings & ~OB_POOL_ALL) != 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "poolings 0x%x: there is no such", poolings);
    /* Some drivers do not take a null pointer: without a mask any buffer stands in, unread. */
    const ob_arg args[] = {ob_arg_buffer(src),
                           ob_arg_buffer(cu_seqlens),
                           ob_arg_buffer(key_mask != NULL ? key_mask : cu_seqlens),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)op->hidden_size),
                           ob_arg_i32((int32_t)sequences),
                           ob_arg_i32((int32_t)poolings),
                           ob_arg_i32(count)};
    const ob_ndrange range = {2, {op->hidden_size, sequences}, {0}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}
