/* Launches embedding_ref.cl: one look-up is a fraction of a percent of a forward pass, so there is one variant. */
#include "embedded_sources.h"

#include <oberta/launch.h>
#include <oberta/memory.h>
#include <oberta/op_embedding.h>

struct ob_embedding {
    ob_embedding_desc desc;
    ob_kernel *kernel;
};

ob_status ob_embedding_create(ob_context *ctx, const ob_embedding_desc *desc, ob_embedding **out, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_storage, &ob_source_embedding_ref};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program = NULL;
    ob_embedding *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the embeddings");
    op->desc = *desc;
    ob_defines_int(&defines, "WORD_BLOCK", (long)desc->word_block);
    if (desc->word_half)
        ob_defines_int(&defines, "STORAGE_HALF", 1);
    if (ob_program_create(ctx, "embedding", sources, 2, &defines, &program, err) != OB_OK ||
        ob_kernel_create(program, "embedding__ref", &op->kernel, err) != OB_OK) {
        ob_program_destroy(program);
        ob_embedding_destroy(op);
        return ob_error_status(err);
    }
    ob_program_destroy(program);
    *out = op;
    return OB_OK;
}

void ob_embedding_destroy(ob_embedding *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->kernel);
    ob_free(op);
}

ob_status ob_embedding_enqueue(const ob_embedding *op, const ob_buffer *word, const ob_buffer *position,
                               const ob_buffer *token_type, const ob_buffer *input_ids, const ob_buffer *position_ids,
                               const ob_buffer *token_type_ids, size_t total_tokens, ob_buffer *dst, ob_error *err)
{
    const ob_arg args[] = {ob_arg_buffer(word),
                           ob_arg_buffer(position),
                           ob_arg_buffer(token_type),
                           ob_arg_buffer(input_ids),
                           ob_arg_buffer(position_ids),
                           ob_arg_buffer(token_type_ids),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)total_tokens),
                           ob_arg_i32((int32_t)op->desc.hidden_size),
                           ob_arg_i32((int32_t)op->desc.vocab_size),
                           ob_arg_i32((int32_t)op->desc.max_position_embeddings),
                           ob_arg_i32((int32_t)op->desc.type_vocab_size)};
    const ob_ndrange range = {2, {op->desc.hidden_size, total_tokens}, {0}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}
