/* Builds the stack: operators by shape, weights by layer, and the sizes of memory that follow. */
#include "encoder_internal.h"

#include "upload.h"

#include <oberta/memory.h>
#include <oberta/rows.h>
#include <string.h>

static ob_status create_operators(ob__encoder *e, ob_context *ctx, size_t word_block, ob_gemm_provider provider,
                                  ob_error *err)
{
    const ob_roberta_config *config = e->config;
    size_t hidden = config->hidden_size, row_tile = e->row_tile;
    ob_activation act;
    if (!ob_activation_from_name(config->hidden_act, &act))
        return ob_error_set(err, OB_ERR_INTERNAL, "unknown activation '%s'", config->hidden_act);
    const ob_gemm_desc inner = {.n = config->intermediate_size,
                                .k = hidden,
                                .activation = act,
                                .provider = provider,
                                .row_tile = row_tile,
                                .tiled_dst = true};
    const ob_gemm_desc output = {.n = hidden,
                                 .k = config->intermediate_size,
                                 .residual = true,
                                 .provider = provider,
                                 .row_tile = row_tile,
                                 .tiled_dst = true};
    const ob_embedding_desc embedding = {
        hidden, config->vocab_size, config->type_vocab_size, config->max_position_embeddings, word_block,
        false,  row_tile,           config->layer_norm_eps};
    const ob_layer_norm_desc norm = {hidden, config->layer_norm_eps, row_tile, OB_LAYER_NORM_AUTO};
    const ob_gather_rows_desc out = {hidden, row_tile, false};
    if (ob_gemm_create(ctx, &inner, &e->intermediate_gemm, err) != OB_OK ||
        ob_gemm_create(ctx, &output, &e->output_gemm, err) != OB_OK ||
        ob_embedding_create(ctx, &embedding, &e->embedding, err) != OB_OK ||
        ob_layer_norm_create(ctx, &norm, &e->norm, err) != OB_OK ||
        ob_gather_rows_create(ctx, &out, &e->gather, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

/* The block for so many heads, made at its first use. */
static ob_status find_block(ob__encoder *e, ob_context *ctx, size_t heads, ob_gemm_provider provider,
                            const ob__attention_block **out, ob_error *err)
{
    size_t i = 0;
    while (i < e->block_count && e->blocks[i].heads != heads)
        i++;
    if (i == e->block_count) {
        if (ob__attention_block_create(ctx, e->config, heads, false, &e->limits, provider, &e->blocks[i], err) != OB_OK)
            return ob_error_status(err);
        e->block_count++;
    }
    *out = &e->blocks[i];
    return OB_OK;
}

static ob_status create_layer(ob__encoder *e, ob_context *ctx, const ob__layer_tensors *t, ob_gemm_provider provider,
                              ob__encoder_layer *layer, ob_error *err)
{
    size_t all = e->config->num_attention_heads, *numbers = e->head_numbers + e->layer_count * all;
    const ob__heads unpruned = {all, all, numbers, numbers};
    memcpy(layer->heads, t->heads.numbers, t->heads.count * sizeof *layer->heads);
    layer->head_count = t->heads.count;
    if (find_block(e, ctx, t->heads.count, provider, &layer->block, err) != OB_OK ||
        ob__attention_weights_upload(ctx, layer->block, &t->attention, &t->heads, &layer->attention, err) != OB_OK ||
        (e->limits.max_encoder_tokens > 0 &&
         ob__attention_weights_upload(ctx, &e->cross, &t->cross, &unpruned, &layer->cross, err) != OB_OK) ||
        ob__upload_dense(e->intermediate_gemm, &t->intermediate, 1, &layer->intermediate, err) != OB_OK ||
        ob__upload_dense(e->output_gemm, &t->output, 1, &layer->output, err) != OB_OK ||
        ob__upload_norm(ctx, &t->output_norm, &layer->output_norm, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

static ob_status create_layers(ob__encoder *e, ob_context *ctx, const ob__roberta_tensors *tensors,
                               ob_gemm_provider provider, ob_error *err)
{
    if (ob__upload_tensor(ctx, tensors->position, &e->position, err) != OB_OK ||
        ob__upload_tensor(ctx, tensors->token_type, &e->token_type, err) != OB_OK ||
        ob__upload_norm(ctx, &tensors->embedding_norm, &e->embedding_norm, err) != OB_OK)
        return ob_error_status(err);
    if (e->limits.max_encoder_tokens > 0 &&
        ob__attention_block_create(ctx, e->config, e->config->num_attention_heads, true, &e->limits, provider,
                                   &e->cross, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < e->layer_count; i++) {
        if (create_layer(e, ctx, &tensors->layers[i], provider, &e->layers[i], err) != OB_OK) {
            ob_error_prefix(err, "layer %zu", i);
            return ob_error_status(err);
        }
        ob_checkpoint_forget_all(tensors->checkpoint);
    }
    return OB_OK;
}

/* One launch for layers without pruned heads, which are those of the first block that has them all. */
static ob_status create_whole(ob__encoder *e, ob_context *ctx, ob_error *err)
{
    size_t i = 0;
    while (i < e->block_count && e->blocks[i].heads != e->config->num_attention_heads)
        i++;
    if (i == e->block_count)
        return OB_OK;
    e->whole_block = &e->blocks[i];
    const ob_encoder_layer_desc desc = {.qkv = e->blocks[i].input,
                                        .attention_output = e->blocks[i].output,
                                        .inner = e->intermediate_gemm,
                                        .output = e->output_gemm,
                                        .attention = e->blocks[i].attention,
                                        .norm = e->norm};
    return ob_encoder_layer_create(ctx, &desc, &e->whole, err);
}

/* Factors of head_mask for the largest batch. */
static bool count_factors(const ob__encoder *e, size_t *out)
{
    size_t per_sequence = 0;
    for (size_t i = 0; i < e->layer_count; i++)
        per_sequence += e->layers[i].head_count + e->cross.heads;
    return ob_size_mul(per_sequence, e->limits.max_sequences, out);
}

static ob_status allocate_staging(ob__encoder *e, ob_error *err)
{
    size_t factors = 0, states = ob_rows_elements(e->limits.max_encoder_tokens, e->config->hidden_size, e->row_tile);
    if (count_factors(e, &factors))
        e->staging = ob_realloc_array(NULL, factors > states ? factors : states, sizeof *e->staging);
    if (e->staging == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the head masks of %zu sequences",
                            e->limits.max_sequences);
    return OB_OK;
}

static bool allocate_layers(ob__encoder *e)
{
    size_t heads = e->config->num_attention_heads;
    e->layers = ob_calloc(e->layer_count, sizeof *e->layers);
    e->blocks = ob_calloc(e->layer_count, sizeof *e->blocks);
    e->head_numbers = ob_calloc(e->layer_count + 1, heads * sizeof *e->head_numbers);
    if (e->layers == NULL || e->blocks == NULL || e->head_numbers == NULL)
        return false;
    for (size_t i = 0; i < e->layer_count; i++)
        e->layers[i].heads = e->head_numbers + i * heads;
    for (size_t h = 0; h < heads; h++)
        e->head_numbers[e->layer_count * heads + h] = h;
    return true;
}

ob_status ob__encoder_create(ob_context *ctx, const ob_roberta_config *config, const ob__roberta_tensors *tensors,
                             const ob_buffer *word, size_t word_block, const ob__encoder_limits *limits,
                             ob_gemm_provider gemm, ob__encoder **out, ob_error *err)
{
    ob__encoder *e = ob_calloc(1, sizeof *e);
    if (e == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the encoder");
    e->config = config;
    e->limits = *limits;
    e->layer_count = config->num_hidden_layers;
    e->word = word;
    e->row_tile = ob_gemm_row_tile(ctx, gemm);
    if (!allocate_layers(e)) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu layers", config->num_hidden_layers);
        e->layer_count = e->layers == NULL ? 0 : e->layer_count;
        goto fail;
    }
    if (create_operators(e, ctx, word_block, gemm, err) != OB_OK ||
        create_layers(e, ctx, tensors, gemm, err) != OB_OK || create_whole(e, ctx, err) != OB_OK ||
        allocate_staging(e, err) != OB_OK)
        goto fail;
    *out = e;
    return OB_OK;
fail:
    ob__encoder_destroy(e);
    return ob_error_status(err);
}

static void release_layer(ob__encoder_layer *layer)
{
    ob__attention_weights_release(&layer->attention);
    ob__attention_weights_release(&layer->cross);
    ob_gemm_weights_destroy(layer->intermediate);
    ob_gemm_weights_destroy(layer->output);
    ob__norm_weights_release(&layer->output_norm);
}

void ob__encoder_destroy(ob__encoder *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->layer_count; i++)
        release_layer(&e->layers[i]);
    ob_encoder_layer_destroy(e->whole);
    for (size_t i = 0; i < e->block_count; i++)
        ob__attention_block_release(&e->blocks[i]);
    ob__attention_block_release(&e->cross);
    ob_free(e->layers);
    ob_free(e->blocks);
    ob_free(e->head_numbers);
    ob_free(e->staging);
    ob_buffer_destroy(e->position);
    ob_buffer_destroy(e->token_type);
    ob__norm_weights_release(&e->embedding_norm);
    ob_embedding_destroy(e->embedding);
    ob_layer_norm_destroy(e->norm);
    ob_gemm_destroy(e->intermediate_gemm);
    ob_gemm_destroy(e->output_gemm);
    ob_gather_rows_destroy(e->gather);
    ob_free(e);
}

/* Maps of the largest batch: with at most `rows` queries in all and `keys` keys for each there are no more. */
static bool count_maps(const ob__encoder *e, unsigned want, size_t heads, size_t *out)
{
    size_t self = 0, cross = 0;
    if ((want & OB_WANT_ATTENTIONS) != 0 &&
        (!ob_size_mul(e->limits.max_tokens, e->limits.max_length, &self) || !ob_size_mul(self, heads, &self)))
        return false;
    if ((want & OB_WANT_CROSS_ATTENTIONS) != 0 &&
        (!ob_size_mul(e->limits.max_encoder_tokens, e->limits.max_length, &cross) ||
         !ob_size_mul(cross, e->cross.heads, &cross)))
        return false;
    *out = self > cross ? self : cross;
    size_t bytes;
    return ob_size_mul(*out, sizeof(float), &bytes);
}

ob_status ob__encoder_sizes(const ob__encoder *e, unsigned want, ob__activation_sizes *sizes, ob_error *err)
{
    size_t heads = 0, workspace = 0;
    for (size_t i = 0; i < e->block_count; i++) {
        size_t bytes = ob_attention_workspace_bytes(e->blocks[i].attention);
        workspace = bytes > workspace ? bytes : workspace;
        heads = e->blocks[i].heads > heads ? e->blocks[i].heads : heads;
    }
    sizes->row_tile = e->row_tile;
    sizes->attention_width = heads * (e->config->hidden_size / e->config->num_attention_heads);
    sizes->attention_workspace_bytes = workspace;
    sizes->max_encoder_tokens = e->limits.max_encoder_tokens;
    if (e->cross.attention != NULL)
        sizes->cross_workspace_bytes = ob_attention_workspace_bytes(e->cross.attention);
    if (!count_maps(e, want, heads, &sizes->map_elements) || !count_factors(e, &sizes->factor_count))
        return ob_error_set(err, OB_ERR_INTERNAL, "attention maps of %zu tokens cannot be counted",
                            e->limits.max_tokens);
    return OB_OK;
}
