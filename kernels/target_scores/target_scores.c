/* Launches target_scores_ref.cl. */
#include "embedded_sources.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_target_scores.h>

#define SEGMENT 1024 /* of the vocabulary, a constant: sums must not depend on device or batch */

struct ob_target_scores {
    ob_target_scores_desc desc;
    size_t segments;
    ob_kernel *segments_kernel, *kernel;
    ob_buffer *stats; /* (max_rows, segments, 2) */
};

static ob_status create_kernels(ob_context *ctx, ob_target_scores *op, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_target_scores_ref};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob_defines_int(&defines, "SEGMENT", SEGMENT);
    if (ob_program_create(ctx, "target_scores", sources, 1, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, "target_scores_segments__ref", &op->segments_kernel, err);
    if (status == OB_OK)
        status = ob_kernel_create(program, "target_scores__ref", &op->kernel, err);
    ob_program_destroy(program);
    return status;
}

ob_status ob_target_scores_create(ob_context *ctx, const ob_target_scores_desc *desc, ob_target_scores **out,
                                  ob_error *err)
{
    size_t segments = desc->vocab_size / SEGMENT + (desc->vocab_size % SEGMENT != 0), bytes;
    if (desc->vocab_size == 0 || desc->vocab_size > INT32_MAX || desc->max_rows == 0 || desc->max_rows > INT32_MAX ||
        !ob_size_mul(desc->max_rows, segments * 2 * sizeof(float), &bytes))
        return ob_error_set(err, OB_ERR_INTERNAL, "scores of %zu rows of %zu", desc->max_rows, desc->vocab_size);
    ob_target_scores *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for scores of targets");
    op->desc = *desc;
    op->segments = segments;
    if (create_kernels(ctx, op, err) != OB_OK ||
        ob_buffer_create(ctx, bytes, "statistics of scores", &op->stats, err) != OB_OK) {
        ob_target_scores_destroy(op);
        return ob_error_status(err);
    }
    *out = op;
    return OB_OK;
}

void ob_target_scores_destroy(ob_target_scores *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->segments_kernel);
    ob_kernel_destroy(op->kernel);
    ob_buffer_destroy(op->stats);
    ob_free(op);
}

ob_status ob_target_scores_enqueue(const ob_target_scores *op, const ob_buffer *logits, const ob_buffer *targets,
                                   size_t first, size_t rows, ob_buffer *dst, ob_error *err)
{
    if (rows > op->desc.max_rows || first > INT32_MAX - rows)
        return ob_error_set(err, OB_ERR_INTERNAL, "scores of %zu rows from %zu on, planned were %zu", rows, first,
                            op->desc.max_rows);
    const ob_arg parts[] = {ob_arg_buffer(logits), ob_arg_buffer(op->stats), ob_arg_i32((int32_t)rows),
                            ob_arg_i32((int32_t)op->desc.vocab_size), ob_arg_i32((int32_t)op->segments)};
    const ob_ndrange parts_range = {2, {op->segments, rows}, {0}};
    if (ob_kernel_enqueue(op->segments_kernel, &parts_range, parts, sizeof parts / sizeof *parts, err) != OB_OK)
        return ob_error_status(err);
    const ob_arg args[] = {ob_arg_buffer(logits),
                           ob_arg_buffer(op->stats),
                           ob_arg_buffer(targets),
                           ob_arg_i32((int32_t)first),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)rows),
                           ob_arg_i32((int32_t)op->desc.vocab_size),
                           ob_arg_i32((int32_t)op->segments)};
    const ob_ndrange range = {1, {rows}, {0}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}
