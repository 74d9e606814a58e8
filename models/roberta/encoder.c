/* RoBERTa's encoder as a sequence of operators:
 *
 *     hidden = norm(word + token_type + position)
 *     for each layer:
 *         middle = norm(attention(hidden Wqkv + bqkv) Wo + bo + hidden)
 *         hidden = norm(act(middle Wi + bi) Wf + bf + middle)
 *
 * Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019; Vaswani et al., 2017. */
#include "encoder.h"

#include "upload.h"

#include <oberta/memory.h>
#include <oberta/op_attention.h>
#include <oberta/op_embedding.h>
#include <oberta/op_layer_norm.h>

typedef struct layer_weights {
    ob_gemm_weights *qkv, *attention_output, *intermediate, *output;
    ob__norm_weights attention_norm, output_norm;
} layer_weights;

struct ob__encoder {
    size_t layer_count;
    const ob_buffer *word; /* borrowed */
    size_t row_tile;       /* of all activations but query, key and value */
    ob_buffer *position, *token_type;
    ob__norm_weights embedding_norm;
    layer_weights *layers;

    /* Every layer has the same shapes, so they share their operators. */
    ob_embedding *embedding;
    ob_layer_norm *norm;
    ob_attention *attention;
    ob_gemm *qkv_gemm, *attention_output_gemm, *intermediate_gemm, *output_gemm;
};

static ob_status create_gemms(ob__encoder *e, ob_context *ctx, const ob_roberta_config *config,
                              ob_gemm_provider provider, ob_error *err)
{
    size_t hidden = config->hidden_size, intermediate = config->intermediate_size;
    ob_activation act;
    if (!ob_activation_from_name(config->hidden_act, &act))
        return ob_error_set(err, OB_ERR_INTERNAL, "unknown activation '%s'", config->hidden_act);
    /* Attention reads query, key and value by head, so they lie row-major. */
    const ob_gemm_desc qkv = {.n = 3 * hidden, .k = hidden, .provider = provider, .row_tile = e->row_tile};
    ob_gemm_desc attention_output = qkv, inner = qkv, output;
    attention_output.n = hidden;
    attention_output.residual = attention_output.tiled_dst = true;
    inner.n = intermediate;
    inner.activation = act;
    inner.tiled_dst = true;
    output = attention_output;
    output.k = intermediate;
    if (ob_gemm_create(ctx, &qkv, &e->qkv_gemm, err) != OB_OK ||
        ob_gemm_create(ctx, &attention_output, &e->attention_output_gemm, err) != OB_OK ||
        ob_gemm_create(ctx, &inner, &e->intermediate_gemm, err) != OB_OK ||
        ob_gemm_create(ctx, &output, &e->output_gemm, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

static ob_status create_operators(ob__encoder *e, ob_context *ctx, const ob_roberta_config *config, size_t word_block,
                                  size_t max_length, size_t max_tokens, size_t max_sequences, ob_error *err)
{
    ob_embedding_desc embedding = {config->hidden_size,
                                   config->vocab_size,
                                   config->type_vocab_size,
                                   config->max_position_embeddings,
                                   word_block,
                                   false,
                                   e->row_tile,
                                   config->layer_norm_eps};
    ob_layer_norm_desc norm = {config->hidden_size, config->layer_norm_eps, e->row_tile, OB_LAYER_NORM_AUTO};
    ob_attention_desc attention = {.heads = config->num_attention_heads,
                                   .head_size = config->hidden_size / config->num_attention_heads,
                                   .max_sequence = max_length,
                                   .max_tokens = max_tokens,
                                   .max_sequences = max_sequences,
                                   .row_tile = e->row_tile,
                                   .variant = OB_ATTENTION_AUTO};
    if (ob_embedding_create(ctx, &embedding, &e->embedding, err) != OB_OK ||
        ob_layer_norm_create(ctx, &norm, &e->norm, err) != OB_OK ||
        ob_attention_create(ctx, &attention, &e->attention, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

static ob_status upload_layer(ob__encoder *e, ob_context *ctx, const ob__layer_tensors *t, layer_weights *layer,
                              ob_error *err)
{
    const ob__weight_bias qkv[3] = {t->query, t->key, t->value};
    if (ob__upload_dense(e->qkv_gemm, qkv, 3, &layer->qkv, err) != OB_OK ||
        ob__upload_dense(e->attention_output_gemm, &t->attention_output, 1, &layer->attention_output, err) != OB_OK ||
        ob__upload_norm(ctx, &t->attention_norm, &layer->attention_norm, err) != OB_OK ||
        ob__upload_dense(e->intermediate_gemm, &t->intermediate, 1, &layer->intermediate, err) != OB_OK ||
        ob__upload_dense(e->output_gemm, &t->output, 1, &layer->output, err) != OB_OK ||
        ob__upload_norm(ctx, &t->output_norm, &layer->output_norm, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

static ob_status upload_weights(ob__encoder *e, ob_context *ctx, const ob__roberta_tensors *tensors, ob_error *err)
{
    if (ob__upload_tensor(ctx, tensors->position, &e->position, err) != OB_OK ||
        ob__upload_tensor(ctx, tensors->token_type, &e->token_type, err) != OB_OK ||
        ob__upload_norm(ctx, &tensors->embedding_norm, &e->embedding_norm, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < e->layer_count; i++)
        if (upload_layer(e, ctx, &tensors->layers[i], &e->layers[i], err) != OB_OK) {
            ob_error_prefix(err, "layer %zu", i);
            return ob_error_status(err);
        }
    return OB_OK;
}

ob_status ob__encoder_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                             const ob_buffer *word, size_t word_block, size_t max_length, size_t max_tokens,
                             size_t max_sequences, ob_gemm_provider gemm, ob__encoder **out, ob_error *err)
{
    ob__encoder *e = ob_calloc(1, sizeof *e);
    if (e == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the encoder");
    e->layers = ob_calloc(config->num_hidden_layers, sizeof *e->layers);
    if (e->layers == NULL) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu layers", config->num_hidden_layers);
        goto fail;
    }
    e->layer_count = config->num_hidden_layers;
    e->word = word;
    e->row_tile = ob_gemm_row_tile(ctx, gemm);
    if (create_gemms(e, ctx, config, gemm, err) != OB_OK ||
        create_operators(e, ctx, config, word_block, max_length, max_tokens, max_sequences, err) != OB_OK ||
        upload_weights(e, ctx, tensors, err) != OB_OK)
        goto fail;
    *out = e;
    return OB_OK;
fail:
    ob__encoder_destroy(e);
    return ob_error_status(err);
}

static void release_layer(layer_weights *layer)
{
    ob_gemm_weights_destroy(layer->qkv);
    ob_gemm_weights_destroy(layer->attention_output);
    ob_gemm_weights_destroy(layer->intermediate);
    ob_gemm_weights_destroy(layer->output);
    ob__norm_weights_release(&layer->attention_norm);
    ob__norm_weights_release(&layer->output_norm);
}

void ob__encoder_destroy(ob__encoder *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->layer_count; i++)
        release_layer(&e->layers[i]);
    ob_free(e->layers);
    ob_buffer_destroy(e->position);
    ob_buffer_destroy(e->token_type);
    ob__norm_weights_release(&e->embedding_norm);
    ob_embedding_destroy(e->embedding);
    ob_layer_norm_destroy(e->norm);
    ob_attention_destroy(e->attention);
    ob_gemm_destroy(e->qkv_gemm);
    ob_gemm_destroy(e->attention_output_gemm);
    ob_gemm_destroy(e->intermediate_gemm);
    ob_gemm_destroy(e->output_gemm);
    ob_free(e);
}

size_t ob__encoder_workspace_bytes(const ob__encoder *e)
{
    return ob_attention_workspace_bytes(e->attention);
}

static ob_status enqueue_norm(ob__encoder *e, const ob__norm_weights *norm, size_t rows, ob_buffer *rows_in_place,
                              ob_error *err)
{
    return ob_layer_norm_enqueue(e->norm, rows_in_place, norm->weight, norm->bias, rows, rows_in_place, err);
}

static ob_status enqueue_layer(ob__encoder *e, const layer_weights *w, ob__activations *a, size_t tokens,
                               const ob_buffer *key_mask, ob_error *err)
{
    ob_buffer *hidden = a->slots[OB__SLOT_HIDDEN], *middle = a->slots[OB__SLOT_MIDDLE];
    ob_buffer *qkv = a->slots[OB__SLOT_QKV], *context = a->slots[OB__SLOT_CONTEXT], *inner = a->slots[OB__SLOT_INNER];
    ob_buffer *workspace = a->slots[OB__SLOT_WORKSPACE];
    if (ob_gemm_enqueue(e->qkv_gemm, w->qkv, hidden, tokens, NULL, qkv, err) != OB_OK ||
        ob_attention_enqueue(e->attention, qkv, key_mask, workspace, context, err) != OB_OK ||
        ob_gemm_enqueue(e->attention_output_gemm, w->attention_output, context, tokens, hidden, middle, err) != OB_OK ||
        enqueue_norm(e, &w->attention_norm, tokens, middle, err) != OB_OK ||
        ob_gemm_enqueue(e->intermediate_gemm, w->intermediate, middle, tokens, NULL, inner, err) != OB_OK ||
        ob_gemm_enqueue(e->output_gemm, w->output, inner, tokens, middle, hidden, err) != OB_OK ||
        enqueue_norm(e, &w->output_norm, tokens, hidden, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob__encoder_enqueue(ob__encoder *e, ob__activations *a, const ob_batch *batch, ob_error *err)
{
    size_t tokens = batch->token_count;
    ob_buffer *hidden = a->slots[OB__SLOT_HIDDEN];
    const ob_buffer *key_mask = batch->attention_mask != NULL ? a->attention_mask : NULL;
    if (ob_attention_plan(e->attention, batch->cu_seqlens, batch->sequence_count, err) != OB_OK ||
        ob_embedding_enqueue(e->embedding, e->word, e->position, e->token_type, a->input_ids, a->position_ids,
                             a->token_type_ids, e->embedding_norm.weight, e->embedding_norm.bias, tokens, hidden,
                             err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < e->layer_count; i++)
        if (enqueue_layer(e, &e->layers[i], a, tokens, key_mask, err) != OB_OK) {
            ob_error_prefix(err, "layer %zu", i);
            return ob_error_status(err);
        }
    return OB_OK;
}
