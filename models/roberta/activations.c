/* Plans the arena of a forward pass from the table in activations.h. */
#include "activations.h"

#include <oberta/memory.h>
#include <oberta/rows.h>

enum {
    STEP_EMBED,
    STEP_QKV,
    STEP_ATTENTION,
    STEP_ATTENTION_OUTPUT,
    STEP_CROSS,
    STEP_FEED_FORWARD,
    STEP_FEED_FORWARD_OUTPUT,
    STEP_HEAD,
    STEP_HEAD_DENSE,
    STEP_DECODE,
    STEP_TOP_K,
    STEP_END
};

static ob_status create_indices(ob_context *ctx, const ob__activation_sizes *sizes, ob__activations *a, ob_error *err)
{
    const struct {
        ob_buffer **buffer;
        size_t count;
        const char *label;
    } indices[] = {{&a->input_ids, sizes->max_tokens, "input_ids"},
                   {&a->position_ids, sizes->max_tokens, "position_ids"},
                   {&a->token_type_ids, sizes->max_tokens, "token_type_ids"},
                   {&a->attention_mask, sizes->max_tokens, "attention_mask"},
                   {&a->positions, sizes->max_tokens, "positions"},
                   {&a->cu_seqlens, sizes->max_sequences + 1, "cu_seqlens"},
                   {&a->target_ids, sizes->target_scores ? sizes->max_tokens : 0, "target_ids"},
                   {&a->encoder_mask, sizes->max_encoder_tokens, "encoder_attention_mask"},
                   {&a->factors, sizes->factor_count, "head_mask"}};
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++)
        if (indices[i].count > 0 && ob_buffer_create(ctx, indices[i].count * sizeof(int32_t), indices[i].label,
                                                     indices[i].buffer, err) != OB_OK)
            return ob_error_status(err);
    return OB_OK;
}

ob_status ob__activations_create(ob_context *ctx, const ob_roberta_config *config, const ob__activation_sizes *sizes,
                                 ob__activations *out, ob_error *err)
{
    /* The letters of the table. All are bounded by config.json's limits and max_tokens, so products fit 64 bits; M and
     * C were checked by who made them. */
    const size_t T = sizes->max_tokens, S = sizes->max_sequences, R = sizes->head_rows, K = sizes->top_k;
    const size_t H = config->hidden_size, I = config->intermediate_size, V = config->vocab_size;
    const size_t A = sizes->attention_width, G = sizes->dense_rows, M = sizes->map_elements;
    const size_t E = sizes->max_encoder_tokens, D = E > 0 ? T : 0, C = sizes->class_elements;
    const size_t W = sizes->attention_workspace_bytes / sizeof(float);
    const size_t P = sizes->pooled_count, Z = sizes->target_scores ? 1 : 0;
    const size_t Y = sizes->cross_workspace_bytes / sizeof(float);
    ob_arena_slot slots[OB__SLOT_COUNT] = {
#define ROWS(rows, columns)                    ob_rows_elements(rows, columns, sizes->row_tile)
#define SLOT_INIT(name, elements, first, last) {#name, (elements) * sizeof(float), first, last, 0},
        OB__ACTIVATION_SLOTS(SLOT_INIT)
#undef SLOT_INIT
#undef ROWS
    };
    ob__activations a = {0};
    if (ob_arena_create(ctx, slots, OB__SLOT_COUNT, &a.arena, err) != OB_OK)
        goto fail;
    for (size_t i = 0; i < OB__SLOT_COUNT; i++)
        a.slots[i] = ob_arena_view(a.arena, i);
    if (create_indices(ctx, sizes, &a, err) != OB_OK)
        goto fail;
    *out = a;
    return OB_OK;
fail:
    ob_error_prefix(err, "allocating the activations of %zu tokens", sizes->max_tokens);
    ob__activations_release(&a);
    return ob_error_status(err);
}

void ob__activations_release(ob__activations *a)
{
    ob_buffer_destroy(a->input_ids);
    ob_buffer_destroy(a->position_ids);
    ob_buffer_destroy(a->token_type_ids);
    ob_buffer_destroy(a->attention_mask);
    ob_buffer_destroy(a->cu_seqlens);
    ob_buffer_destroy(a->positions);
    ob_buffer_destroy(a->target_ids);
    ob_buffer_destroy(a->encoder_mask);
    ob_buffer_destroy(a->factors);
    ob_arena_destroy(a->arena);
    *a = (ob__activations){0};
}

ob_status ob__activations_upload(ob__activations *a, const ob_batch *batch, ob_error *err)
{
    size_t encoder_tokens = batch->encoder_cu_seqlens == NULL || batch->encoder_attention_mask == NULL
                                ? 0
                                : (size_t)batch->encoder_cu_seqlens[batch->sequence_count];
    const struct {
        ob_buffer *buffer;
        const int32_t *values;
        size_t count;
    } arrays[] = {{a->input_ids, batch->input_ids, batch->token_count},
                  {a->position_ids, batch->position_ids, batch->token_count},
                  {a->token_type_ids, batch->token_type_ids, batch->token_count},
                  {a->attention_mask, batch->attention_mask, batch->attention_mask != NULL ? batch->token_count : 0},
                  {a->cu_seqlens, batch->cu_seqlens, batch->sequence_count + 1},
                  {a->positions, batch->positions, batch->position_count},
                  {a->target_ids, batch->target_ids,
                   a->target_ids != NULL && batch->target_ids != NULL ? batch->position_count : 0},
                  {a->encoder_mask, batch->encoder_attention_mask, encoder_tokens}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].count > 0 &&
            ob_buffer_upload(arrays[i].buffer, 0, arrays[i].values, arrays[i].count * sizeof(int32_t), err) != OB_OK)
            return ob_error_status(err);
    return OB_OK;
}
