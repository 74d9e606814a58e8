/* RoBERTa's stack as a sequence of operators:
 *
 *     hidden = norm(word + token_type + position)
 *     for each layer:
 *         middle = norm(attention(hidden Wqkv + bqkv) Wo + bo + hidden)
 *         with encoder states, in a decoder:
 *             middle = norm(attention(middle Wq + bq, encoder Wkv + bkv) Wc + bc + middle)
 *         hidden = norm(act(middle Wi + bi) Wf + bf + middle)
 *
 * Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019; Vaswani et al., 2017. */
#include "encoder_internal.h"

#include "results.h"

#include <oberta/rows.h>
#include <string.h>

/* One pass of a batch through the stack. */
typedef struct pass {
    ob__activations *a;
    const ob_batch *batch;
    ob_result *result;
    size_t encoder_tokens; /* 0: no cross-attention */
    const ob_buffer *key_mask, *encoder_mask;
    size_t factor_at; /* where the next sublayer's factors begin */
} pass;

static ob_status enqueue_norm(ob__encoder *e, const ob__norm_weights *norm, size_t rows, ob_buffer *rows_in_place,
                              ob_error *err)
{
    return ob_layer_norm_enqueue(e->norm, rows_in_place, norm->weight, norm->bias, rows, rows_in_place, err);
}

/* A sublayer's factors and maps; its factors are passed by. */
static ob__attention_extras next_extras(pass *p, size_t heads, unsigned maps)
{
    ob__attention_extras extras = {.maps = (p->batch->want & maps) != 0};
    if (p->batch->head_mask != NULL) {
        extras.factors = p->a->factors;
        extras.first_factor = p->factor_at;
        p->factor_at += p->batch->sequence_count * heads;
    }
    return extras;
}

static ob_status enqueue_self(ob__encoder *e, pass *p, size_t index, ob_error *err)
{
    const ob__encoder_layer *w = &e->layers[index];
    ob__attention_extras extras = next_extras(p, w->head_count, OB_WANT_ATTENTIONS);
    if (ob__self_attention_enqueue(w->block, &w->attention, p->a, p->batch->token_count, p->key_mask, &extras, err) !=
            OB_OK ||
        enqueue_norm(e, &w->attention.norm, p->batch->token_count, p->a->slots[OB__SLOT_MIDDLE], err) != OB_OK)
        return ob_error_status(err);
    const ob__map_layer maps = {e->config->num_hidden_layers, index, e->config->num_attention_heads, w->head_count,
                                w->heads};
    return extras.maps ? ob__download_maps(p->a->slots[OB__SLOT_MAPS], &maps, p->batch, p->batch->cu_seqlens,
                                           p->result->attentions, err)
                       : OB_OK;
}

static ob_status enqueue_cross(ob__encoder *e, pass *p, size_t index, ob_error *err)
{
    const ob__encoder_layer *w = &e->layers[index];
    size_t all = e->config->num_attention_heads;
    ob__attention_extras extras = next_extras(p, all, OB_WANT_CROSS_ATTENTIONS);
    if (ob__cross_attention_enqueue(&e->cross, &w->cross, p->a, p->batch->token_count, p->encoder_tokens,
                                    p->encoder_mask, &extras, err) != OB_OK ||
        enqueue_norm(e, &w->cross.norm, p->batch->token_count, p->a->slots[OB__SLOT_CROSS_MIDDLE], err) != OB_OK)
        return ob_error_status(err);
    const ob__map_layer maps = {e->config->num_hidden_layers, index, all, all, e->head_numbers + e->layer_count * all};
    return extras.maps ? ob__download_maps(p->a->slots[OB__SLOT_MAPS], &maps, p->batch, p->batch->encoder_cu_seqlens,
                                           p->result->cross_attentions, err)
                       : OB_OK;
}

/* Whether all of a layer can be one launch: few rows, and nothing asked for that stands between its operators. */
static bool in_one_launch(const ob__encoder *e, const pass *p, size_t index)
{
    return p->batch->token_count <= ob_encoder_layer_max_rows(e->whole) && e->layers[index].block == e->whole_block &&
           p->encoder_tokens == 0 && p->batch->head_mask == NULL && (p->batch->want & OB_WANT_ATTENTIONS) == 0;
}

static ob_status enqueue_whole(ob__encoder *e, const pass *p, size_t index, ob_error *err)
{
    const ob__encoder_layer *w = &e->layers[index];
    const ob_encoder_layer_weights weights = {.qkv = w->attention.input,
                                              .attention_output = w->attention.output,
                                              .inner = w->intermediate,
                                              .output = w->output,
                                              .middle_scale = w->attention.norm.weight,
                                              .middle_shift = w->attention.norm.bias,
                                              .last_scale = w->output_norm.weight,
                                              .last_shift = w->output_norm.bias};
    const ob_encoder_layer_rows rows = {p->a->slots[OB__SLOT_HIDDEN], p->a->slots[OB__SLOT_QKV],
                                        p->a->slots[OB__SLOT_CONTEXT], p->a->slots[OB__SLOT_MIDDLE],
                                        p->a->slots[OB__SLOT_INNER]};
    return ob_encoder_layer_enqueue(e->whole, &weights, &rows, p->batch->token_count, p->key_mask, err);
}

static ob_status enqueue_layer(ob__encoder *e, pass *p, size_t index, ob_error *err)
{
    const ob__encoder_layer *w = &e->layers[index];
    size_t tokens = p->batch->token_count;
    bool cross = p->encoder_tokens > 0;
    if (in_one_launch(e, p, index))
        return enqueue_whole(e, p, index, err);
    ob_buffer *hidden = p->a->slots[OB__SLOT_HIDDEN], *inner = p->a->slots[OB__SLOT_INNER];
    ob_buffer *middle = p->a->slots[cross ? OB__SLOT_CROSS_MIDDLE : OB__SLOT_MIDDLE];
    if (enqueue_self(e, p, index, err) != OB_OK || (cross && enqueue_cross(e, p, index, err) != OB_OK) ||
        ob_gemm_enqueue(e->intermediate_gemm, w->intermediate, middle, tokens, NULL, inner, err) != OB_OK ||
        ob_gemm_enqueue(e->output_gemm, w->output, inner, tokens, middle, hidden, err) != OB_OK ||
        enqueue_norm(e, &w->output_norm, tokens, hidden, err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

/* hidden_states[index] of every sequence: HIDDEN as it is now. */
static ob_status enqueue_state(ob__encoder *e, const pass *p, size_t index, ob_error *err)
{
    ob_buffer *out = p->a->slots[OB__SLOT_OUT];
    if ((p->batch->want & OB_WANT_HIDDEN_STATES) == 0)
        return OB_OK;
    if (ob_gather_rows_enqueue(e->gather, p->a->slots[OB__SLOT_HIDDEN], NULL, 0, p->batch->token_count, out, err) !=
        OB_OK)
        return ob_error_status(err);
    return ob__download_states(out, e->config, index, p->batch, p->result->hidden_states, err);
}

/* head_mask layer by layer and sequence by sequence, those heads alone that a sublayer has. */
static ob_status upload_factors(ob__encoder *e, const pass *p, ob_error *err)
{
    const ob_batch *batch = p->batch;
    size_t all = e->config->num_attention_heads, count = 0;
    if (batch->head_mask == NULL)
        return OB_OK;
    for (size_t i = 0; i < e->layer_count; i++)
        for (int cross = 0; cross <= (p->encoder_tokens > 0); cross++)
            for (size_t s = 0; s < batch->sequence_count; s++) {
                const float *mask = batch->head_mask + (s * e->layer_count + i) * all;
                size_t heads = cross ? all : e->layers[i].head_count;
                for (size_t h = 0; h < heads; h++)
                    e->staging[count++] = mask[cross ? h : e->layers[i].heads[h]];
            }
    return ob_buffer_upload(p->a->factors, 0, e->staging, count * sizeof *e->staging, err);
}

static ob_status upload_encoder_states(ob__encoder *e, const pass *p, ob_error *err)
{
    size_t hidden = e->config->hidden_size, rows = p->encoder_tokens;
    const float *states = p->batch->encoder_hidden_states;
    if (rows == 0)
        return OB_OK;
    size_t elements = ob_rows_elements(rows, hidden, e->row_tile);
    memset(e->staging, 0, elements * sizeof *e->staging); /* the last tile's padding */
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < hidden; column++)
            e->staging[ob_rows_at(row, column, hidden, e->row_tile)] = states[row * hidden + column];
    return ob_buffer_upload(p->a->slots[OB__SLOT_ENCODER], 0, e->staging, elements * sizeof *e->staging, err);
}

static ob_status plan(ob__encoder *e, const pass *p, ob_error *err)
{
    const ob_batch *batch = p->batch;
    for (size_t i = 0; i < e->block_count; i++)
        if (ob_attention_plan(e->blocks[i].attention, batch->cu_seqlens, batch->sequence_count, err) != OB_OK)
            return ob_error_status(err);
    if (p->encoder_tokens > 0 &&
        ob_attention_plan_cross(e->cross.attention, batch->cu_seqlens, batch->encoder_cu_seqlens, batch->sequence_count,
                                err) != OB_OK)
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob__encoder_enqueue(ob__encoder *e, ob__activations *a, const ob_batch *batch, ob_result *result,
                              ob_error *err)
{
    pass p = {.a = a, .batch = batch, .result = result};
    p.key_mask = batch->attention_mask != NULL ? a->attention_mask : NULL;
    p.encoder_mask = batch->encoder_attention_mask != NULL ? a->encoder_mask : NULL;
    if (batch->encoder_cu_seqlens != NULL)
        p.encoder_tokens = (size_t)batch->encoder_cu_seqlens[batch->sequence_count];
    if (plan(e, &p, err) != OB_OK || upload_factors(e, &p, err) != OB_OK ||
        upload_encoder_states(e, &p, err) != OB_OK ||
        ob_embedding_enqueue(e->embedding, e->word, e->position, e->token_type, a->input_ids, a->position_ids,
                             a->token_type_ids, e->embedding_norm.weight, e->embedding_norm.bias, batch->token_count,
                             a->slots[OB__SLOT_HIDDEN], err) != OB_OK ||
        enqueue_state(e, &p, 0, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < e->layer_count; i++)
        if (enqueue_layer(e, &p, i, err) != OB_OK || enqueue_state(e, &p, i + 1, err) != OB_OK) {
            ob_error_prefix(err, "layer %zu", i);
            return ob_error_status(err);
        }
    return OB_OK;
}
