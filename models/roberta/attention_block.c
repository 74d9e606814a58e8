/* middle = attention(hidden Wqkv + bqkv) Wo + bo + hidden, and the same across to the states of another encoder. */
#include "attention_block.h"

ob_status ob__attention_block_create(ob_context *ctx, const ob_roberta_config *config, size_t heads, bool cross,
                                     const ob__encoder_limits *limits, ob_gemm_provider gemm, ob__attention_block *out,
                                     ob_error *err)
{
    size_t hidden = config->hidden_size, head_size = hidden / config->num_attention_heads, width = heads * head_size;
    size_t row_tile = ob_gemm_row_tile(ctx, gemm);
    /* Attention reads query, key and value by head, so they lie row-major. */
    const ob_gemm_desc input = {.n = (cross ? 1 : 3) * width, .k = hidden, .provider = gemm, .row_tile = row_tile};
    ob_gemm_desc key_value = input, output = input;
    key_value.n = 2 * width;
    output.n = hidden;
    output.k = width;
    output.residual = output.tiled_dst = true;
    const ob_attention_desc attention = {.heads = heads,
                                         .head_size = head_size,
                                         .max_sequence = limits->max_length,
                                         .max_tokens = limits->max_tokens,
                                         .max_sequences = limits->max_sequences,
                                         .row_tile = row_tile,
                                         .causal = config->is_decoder && !cross,
                                         .max_cross_tokens = cross ? limits->max_encoder_tokens : 0,
                                         .max_cross_sequence = cross ? limits->max_encoder_length : 0,
                                         .variant = OB_ATTENTION_AUTO};
    ob__attention_block block = {.heads = heads, .head_size = head_size};
    if (ob_gemm_create(ctx, &input, &block.input, err) != OB_OK ||
        (cross && ob_gemm_create(ctx, &key_value, &block.key_value, err) != OB_OK) ||
        ob_gemm_create(ctx, &output, &block.output, err) != OB_OK ||
        ob_attention_create(ctx, &attention, &block.attention, err) != OB_OK) {
        ob__attention_block_release(&block);
        return ob_error_status(err);
    }
    *out = block;
    return OB_OK;
}

void ob__attention_block_release(ob__attention_block *block)
{
    ob_gemm_destroy(block->input);
    ob_gemm_destroy(block->key_value);
    ob_gemm_destroy(block->output);
    ob_attention_destroy(block->attention);
    *block = (ob__attention_block){0};
}

ob_status ob__attention_weights_upload(ob_context *ctx, const ob__attention_block *block,
                                       const ob__attention_tensors *tensors, const ob__heads *heads,
                                       ob__attention_weights *out, ob_error *err)
{
    const ob__weight_bias key_value[2] = {tensors->key, tensors->value};
    ob_status status;
    if (block->key_value == NULL)
        status = ob__upload_qkv(block->input, tensors, heads, block->head_size, &out->input, err);
    else if ((status = ob__upload_dense(block->input, &tensors->query, 1, &out->input, err)) == OB_OK)
        status = ob__upload_dense(block->key_value, key_value, 2, &out->key_value, err);
    if (status != OB_OK ||
        ob__upload_attention_output(block->output, &tensors->output, heads, block->head_size, &out->output, err) !=
            OB_OK ||
        ob__upload_norm(ctx, &tensors->norm, &out->norm, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

void ob__attention_weights_release(ob__attention_weights *weights)
{
    ob_gemm_weights_destroy(weights->input);
    ob_gemm_weights_destroy(weights->key_value);
    ob_gemm_weights_destroy(weights->output);
    ob__norm_weights_release(&weights->norm);
}

/* `kv` NULL: self-attention. */
static ob_status enqueue_extras(const ob__attention_block *block, const ob_buffer *q, const ob_buffer *kv,
                                const ob_buffer *key_mask, const ob__attention_extras *extras, ob_buffer *maps,
                                ob_buffer *context, ob_error *err)
{
    if (extras->factors != NULL &&
        ob_attention_enqueue_factors(block->attention, extras->factors, extras->first_factor, context, err) != OB_OK)
        return ob_error_status(err);
    if (extras->maps && ob_attention_enqueue_maps(block->attention, q, kv, key_mask, extras->factors,
                                                  extras->first_factor, maps, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob__self_attention_enqueue(const ob__attention_block *block, const ob__attention_weights *w,
                                     ob__activations *a, size_t tokens, const ob_buffer *key_mask,
                                     const ob__attention_extras *extras, ob_error *err)
{
    ob_buffer *hidden = a->slots[OB__SLOT_HIDDEN], *qkv = a->slots[OB__SLOT_QKV];
    ob_buffer *context = a->slots[OB__SLOT_CONTEXT];
    if (ob_gemm_enqueue(block->input, w->input, hidden, tokens, NULL, qkv, err) != OB_OK ||
        ob_attention_enqueue(block->attention, qkv, key_mask, a->slots[OB__SLOT_WORKSPACE], context, err) != OB_OK ||
        enqueue_extras(block, qkv, NULL, key_mask, extras, a->slots[OB__SLOT_MAPS], context, err) != OB_OK ||
        ob_gemm_enqueue(block->output, w->output, context, tokens, hidden, a->slots[OB__SLOT_MIDDLE], err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob__cross_attention_enqueue(const ob__attention_block *block, const ob__attention_weights *w,
                                      ob__activations *a, size_t tokens, size_t encoder_tokens,
                                      const ob_buffer *key_mask, const ob__attention_extras *extras, ob_error *err)
{
    ob_buffer *middle = a->slots[OB__SLOT_MIDDLE], *encoder = a->slots[OB__SLOT_ENCODER];
    ob_buffer *q = a->slots[OB__SLOT_CROSS_Q], *kv = a->slots[OB__SLOT_CROSS_KV];
    ob_buffer *context = a->slots[OB__SLOT_CROSS_CONTEXT], *workspace = a->slots[OB__SLOT_CROSS_WORKSPACE];
    if (ob_gemm_enqueue(block->input, w->input, middle, tokens, NULL, q, err) != OB_OK ||
        ob_gemm_enqueue(block->key_value, w->key_value, encoder, encoder_tokens, NULL, kv, err) != OB_OK ||
        ob_attention_enqueue_cross(block->attention, q, kv, key_mask, workspace, context, err) != OB_OK ||
        enqueue_extras(block, q, kv, key_mask, extras, a->slots[OB__SLOT_MAPS], context, err) != OB_OK ||
        ob_gemm_enqueue(block->output, w->output, context, tokens, middle, a->slots[OB__SLOT_CROSS_MIDDLE], err) !=
            OB_OK)
        return ob_error_status(err);
    return OB_OK;
}
