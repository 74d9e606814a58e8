/* Launches the look-up and its layer norm: one kernel for row tiles, two where rows lie plainly. */
#include "embedded_sources.h"
#include "tile.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_embedding.h>
#include <oberta/op_layer_norm.h>
#include <string.h>

struct ob_embedding {
    ob_embedding_desc desc;
    ob_kernel *kernel;
    ob_layer_norm *norm; /* for a row tile of 1 */
};

static ob_status build(ob_embedding *op, ob_context *ctx, ob_error *err)
{
    const ob_device_info *device = ob_context_device(ctx);
    const ob_source *const plain[] = {&ob_source_storage, &ob_source_embedding_ref};
    const ob_source *const tiled[] = {&ob_source_tile, &ob_source_layer_norm_tile, &ob_source_embedding_tile};
    const ob__tile tile = ob__tile_for(device);
    bool is_tiled = op->desc.row_tile > 1;
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    if (is_tiled && (op->desc.row_tile != tile.rows || op->desc.word_half))
        return ob_error_set(err, OB_ERR_INTERNAL, "embeddings in row tiles of %zu", op->desc.row_tile);
    if (is_tiled)
        ob__tile_define(&tile, device, &defines);
    ob_defines_int(&defines, "WORD_BLOCK", (long)op->desc.word_block);
    if (op->desc.word_half)
        ob_defines_int(&defines, "STORAGE_HALF", 1);
    if (ob_program_create(ctx, "embedding", is_tiled ? tiled : plain, is_tiled ? 3 : 2, &defines, &program, err) !=
        OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, is_tiled ? "embedding__tile" : "embedding__ref", &op->kernel, err);
    ob_program_destroy(program);
    const ob_layer_norm_desc norm = {op->desc.hidden_size, op->desc.eps, 1, OB_LAYER_NORM_AUTO};
    return status == OB_OK && !is_tiled ? ob_layer_norm_create(ctx, &norm, &op->norm, err) : status;
}

ob_status ob_embedding_create(ob_context *ctx, const ob_embedding_desc *desc, ob_embedding **out, ob_error *err)
{
    ob_embedding *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the embeddings");
    op->desc = *desc;
    if (build(op, ctx, err) != OB_OK) {
        ob_embedding_destroy(op);
        return ob_error_status(err);
    }
    *out = op;
    return OB_OK;
}

void ob_embedding_destroy(ob_embedding *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->kernel);
    ob_layer_norm_destroy(op->norm);
    ob_free(op);
}

#define TABLES 6
#define SIZES  5

static ob_status enqueue_tiled(const ob_embedding *op, const ob_arg tables[TABLES], const ob_arg sizes[SIZES],
                               const ob_buffer *norm_weight, const ob_buffer *norm_bias, size_t total_tokens,
                               ob_buffer *dst, ob_error *err)
{
    ob_arg args[TABLES + 3 + SIZES + 1];
    memcpy(args, tables, TABLES * sizeof *args);
    args[TABLES] = ob_arg_buffer(norm_weight);
    args[TABLES + 1] = ob_arg_buffer(norm_bias);
    args[TABLES + 2] = ob_arg_buffer(dst);
    memcpy(args + TABLES + 3, sizes, SIZES * sizeof *args);
    args[TABLES + 3 + SIZES] = ob_arg_f32(op->desc.eps);
    const ob_ndrange range = {1, {(total_tokens + op->desc.row_tile - 1) / op->desc.row_tile}, {1}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}

static ob_status enqueue_plain(const ob_embedding *op, const ob_arg tables[TABLES], const ob_arg sizes[SIZES],
                               const ob_buffer *norm_weight, const ob_buffer *norm_bias, size_t total_tokens,
                               ob_buffer *dst, ob_error *err)
{
    ob_arg args[TABLES + 1 + SIZES];
    memcpy(args, tables, TABLES * sizeof *args);
    args[TABLES] = ob_arg_buffer(dst);
    memcpy(args + TABLES + 1, sizes, SIZES * sizeof *args);
    const ob_ndrange range = {2, {op->desc.hidden_size, total_tokens}, {0}};
    ob_status status = ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
    if (status != OB_OK || norm_weight == NULL)
        return status;
    return ob_layer_norm_enqueue(op->norm, dst, norm_weight, norm_bias, total_tokens, dst, err);
}

ob_status ob_embedding_enqueue(const ob_embedding *op, const ob_buffer *word, const ob_buffer *position,
                               const ob_buffer *token_type, const ob_buffer *input_ids, const ob_buffer *position_ids,
                               const ob_buffer *token_type_ids, const ob_buffer *norm_weight,
                               const ob_buffer *norm_bias, size_t total_tokens, ob_buffer *dst, ob_error *err)
{
    const ob_arg tables[TABLES] = {ob_arg_buffer(word),         ob_arg_buffer(position),
                                   ob_arg_buffer(token_type),   ob_arg_buffer(input_ids),
                                   ob_arg_buffer(position_ids), ob_arg_buffer(token_type_ids)};
    const ob_arg sizes[SIZES] = {ob_arg_i32((int32_t)total_tokens), ob_arg_i32((int32_t)op->desc.hidden_size),
                                 ob_arg_i32((int32_t)op->desc.vocab_size),
                                 ob_arg_i32((int32_t)op->desc.max_position_embeddings),
                                 ob_arg_i32((int32_t)op->desc.type_vocab_size)};
    return (op->desc.row_tile > 1 ? enqueue_tiled : enqueue_plain)(op, tables, sizes, norm_weight, norm_bias,
                                                                   total_tokens, dst, err);
}
