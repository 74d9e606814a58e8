/* Launches top_k_ref.cl. */
#include "embedded_sources.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_top_k.h>

#define SEGMENT 1024 /* of the vocabulary, a constant: sums must not depend on device or batch */

struct ob_top_k {
    ob_top_k_desc desc;
    size_t segments;
    ob_kernel *segments_kernel, *merge_kernel;
    ob_buffer *stats, *ids, *values, *cursors; /* of segments: (max_rows, segments, ...) */
};

static ob_status create_kernels(ob_context *ctx, ob_top_k *op, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_top_k_ref};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob_defines_int(&defines, "K", (long)op->desc.k);
    ob_defines_int(&defines, "SEGMENT", SEGMENT);
    if (ob_program_create(ctx, "top_k", sources, 1, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, "top_k_segments__ref", &op->segments_kernel, err);
    if (status == OB_OK)
        status = ob_kernel_create(program, "top_k_merge__ref", &op->merge_kernel, err);
    ob_program_destroy(program);
    return status;
}

static ob_status create_buffers(ob_context *ctx, ob_top_k *op, ob_error *err)
{
    size_t entries, bytes;
    if (!ob_size_mul(op->desc.max_rows, op->segments, &entries) || !ob_size_mul(entries, op->desc.k * 4, &bytes) ||
        !ob_size_mul(entries, 8, &entries))
        return ob_error_set(err, OB_ERR_INTERNAL, "top %zu of %zu rows", op->desc.k, op->desc.max_rows);
    if (ob_buffer_create(ctx, entries, "top-k statistics", &op->stats, err) != OB_OK ||
        ob_buffer_create(ctx, bytes, "top-k ids", &op->ids, err) != OB_OK ||
        ob_buffer_create(ctx, bytes, "top-k values", &op->values, err) != OB_OK ||
        ob_buffer_create(ctx, entries / 2, "top-k cursors", &op->cursors, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob_top_k_create(ob_context *ctx, const ob_top_k_desc *desc, ob_top_k **out, ob_error *err)
{
    if (desc->k == 0 || desc->k > OB_TOP_K_MAX || desc->k > desc->vocab_size || desc->max_rows == 0)
        return ob_error_set(err, OB_ERR_INTERNAL, "top %zu of %zu in %zu rows", desc->k, desc->vocab_size,
                            desc->max_rows);
    ob_top_k *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for top-k");
    op->desc = *desc;
    op->segments = (desc->vocab_size + SEGMENT - 1) / SEGMENT;
    if (create_kernels(ctx, op, err) != OB_OK || create_buffers(ctx, op, err) != OB_OK) {
        ob_top_k_destroy(op);
        return ob_error_status(err);
    }
    *out = op;
    return OB_OK;
}

void ob_top_k_destroy(ob_top_k *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->segments_kernel);
    ob_kernel_destroy(op->merge_kernel);
    ob_buffer_destroy(op->stats);
    ob_buffer_destroy(op->ids);
    ob_buffer_destroy(op->values);
    ob_buffer_destroy(op->cursors);
    ob_free(op);
}

ob_status ob_top_k_enqueue(const ob_top_k *op, const ob_buffer *logits, size_t rows, ob_buffer *ids, ob_buffer *scores,
                           ob_buffer *stats, ob_error *err)
{
    if (rows > op->desc.max_rows)
        return ob_error_set(err, OB_ERR_INTERNAL, "top-k of %zu rows, planned were %zu", rows, op->desc.max_rows);
    const ob_arg first[] = {ob_arg_buffer(logits),
                            ob_arg_buffer(op->stats),
                            ob_arg_buffer(op->ids),
                            ob_arg_buffer(op->values),
                            ob_arg_i32((int32_t)rows),
                            ob_arg_i32((int32_t)op->desc.vocab_size),
                            ob_arg_i32((int32_t)op->segments)};
    const ob_ndrange first_range = {2, {op->segments, rows}, {0}};
    if (ob_kernel_enqueue(op->segments_kernel, &first_range, first, sizeof first / sizeof *first, err) != OB_OK)
        return ob_error_status(err);
    const ob_arg second[] = {ob_arg_buffer(op->stats),   ob_arg_buffer(op->ids),    ob_arg_buffer(op->values),
                             ob_arg_buffer(op->cursors), ob_arg_buffer(ids),        ob_arg_buffer(scores),
                             ob_arg_buffer(stats),       ob_arg_i32((int32_t)rows), ob_arg_i32((int32_t)op->segments)};
    const ob_ndrange second_range = {1, {rows}, {0}};
    return ob_kernel_enqueue(op->merge_kernel, &second_range, second, sizeof second / sizeof *second, err);
}
