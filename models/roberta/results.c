/* Sequences lie one after the other in a result, and a sequence's layers together; a layer comes for all sequences at
 * once. So each layer is sent in pieces, a sequence at a time. */
#include "results.h"

#include <oberta/memory.h>
#include <string.h>

size_t ob__logit_width(const ob_roberta_config *config, ob_head head)
{
    switch (head) {
    case OB_HEAD_LM:
        return config->vocab_size;
    case OB_HEAD_SEQUENCE_CLASSIFICATION:
    case OB_HEAD_TOKEN_CLASSIFICATION:
        return config->label_count;
    case OB_HEAD_QUESTION_ANSWERING:
        return 2;
    case OB_HEAD_MULTIPLE_CHOICE:
        return 1;
    case OB_HEAD_NONE:
        break;
    }
    return 0;
}

/* Rows that have logits. */
static size_t logit_rows(ob_head head, const ob_batch *batch)
{
    if (head == OB_HEAD_LM)
        return batch->position_count;
    return head == OB_HEAD_TOKEN_CLASSIFICATION || head == OB_HEAD_QUESTION_ANSWERING ? batch->token_count
                                                                                      : batch->sequence_count;
}

static size_t length_of(const int32_t *cu_seqlens, size_t sequence)
{
    return (size_t)(cu_seqlens[sequence + 1] - cu_seqlens[sequence]);
}

/* Elements of the maps of one layer: heads times the sum of length times keys. False on overflow. */
static bool count_maps(const ob_batch *batch, const int32_t *key_cu_seqlens, size_t heads, size_t *out)
{
    size_t sum = 0;
    for (size_t s = 0; s < batch->sequence_count; s++) {
        size_t count;
        if (!ob_size_mul(length_of(batch->cu_seqlens, s), length_of(key_cu_seqlens, s), &count) ||
            !ob_size_add(sum, count, &sum))
            return false;
    }
    return ob_size_mul(sum, heads, out);
}

/* An array of rows * columns * depth elements of four bytes, grown; it is never shrunk, so a worker soon allocates
 * nothing. */
static ob_status grow(void *array, const char *name, size_t rows, size_t columns, size_t depth, ob_error *err)
{
    void **pointer = array, *grown = NULL;
    size_t count;
    if (ob_size_mul(rows, columns, &count) && ob_size_mul(count, depth, &count))
        grown = ob_realloc_array(*pointer, count, sizeof(float));
    if (grown == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %s: %zu x %zu x %zu numbers", name, rows, columns,
                            depth);
    *pointer = grown;
    return OB_OK;
}

static ob_status grow_maps(float **maps, const char *name, const ob_roberta_config *config, const ob_batch *batch,
                           const int32_t *key_cu_seqlens, ob_error *err)
{
    size_t layer;
    if (!count_maps(batch, key_cu_seqlens, config->num_attention_heads, &layer))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %s of %zu tokens", name, batch->token_count);
    return grow(maps, name, config->num_hidden_layers, layer, 1, err);
}

ob_status ob__results_allocate(const ob_roberta_config *config, ob_head head, const ob_batch *batch, ob_result *result,
                               ob_error *err)
{
    size_t hidden = config->hidden_size, tokens = batch->token_count, sequences = batch->sequence_count;
    size_t pooled = ob_want_pooled_count(batch->want), rows = batch->position_count;
    unsigned want = batch->want;
    ob_status s = OB_OK;
    if ((want & OB_WANT_HIDDEN) != 0)
        s = grow(&result->hidden, "last_hidden_state", tokens, hidden, 1, err);
    if (s == OB_OK && (want & OB_WANT_HIDDEN_STATES) != 0)
        s = grow(&result->hidden_states, "hidden_states", config->num_hidden_layers + 1, tokens, hidden, err);
    if (s == OB_OK && (want & OB_WANT_ATTENTIONS) != 0)
        s = grow_maps(&result->attentions, "attentions", config, batch, batch->cu_seqlens, err);
    if (s == OB_OK && (want & OB_WANT_CROSS_ATTENTIONS) != 0)
        s = grow_maps(&result->cross_attentions, "cross_attentions", config, batch, batch->encoder_cu_seqlens, err);
    if (s == OB_OK && (want & OB_WANT_POOLER) != 0)
        s = grow(&result->pooler, "pooler_output", sequences, hidden, 1, err);
    if (s == OB_OK && pooled > 0)
        s = grow(&result->pooled, "pooled vectors", sequences, pooled, hidden, err);
    if (s == OB_OK && (want & OB_WANT_LOGITS) != 0)
        s = grow(&result->logits, "logits", logit_rows(head, batch), ob__logit_width(config, head), 1, err);
    if (s == OB_OK && (want & OB_WANT_TOP_K) != 0 &&
        (s = grow(&result->top_ids, "the best tokens", rows, batch->top_k, 1, err)) == OB_OK)
        s = grow(&result->top_scores, "the best tokens", rows, batch->top_k, 1, err);
    if (s == OB_OK && (want & OB_WANT_TARGET_SCORES) != 0)
        s = grow(&result->target_scores, "target scores", rows, 1, 1, err);
    return s;
}

ob_status ob__download_states(ob_buffer *states, const ob_roberta_config *config, size_t index, const ob_batch *batch,
                              float *hidden_states, ob_error *err)
{
    size_t row_bytes = config->hidden_size * sizeof(float);
    for (size_t s = 0; s < batch->sequence_count; s++) {
        size_t begin = (size_t)batch->cu_seqlens[s], length = length_of(batch->cu_seqlens, s);
        size_t row = begin * (config->num_hidden_layers + 1) + index * length;
        if (ob_buffer_download_later(states, begin * row_bytes, hidden_states + row * config->hidden_size,
                                     length * row_bytes, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

/* One sequence's maps of one layer: heads with neighbouring numbers are one piece. */
static ob_status download_heads(ob_buffer *buffer, size_t at, const ob__map_layer *layer, size_t map, float *out,
                                ob_error *err)
{
    size_t next = 0; /* the first head whose place is not filled */
    for (size_t i = 0, run; i < layer->count; i += run) {
        size_t first = layer->heads[i];
        for (run = 1; i + run < layer->count && layer->heads[i + run] == first + run;)
            run++;
        memset(out + next * map, 0, (first - next) * map * sizeof *out);
        if (ob_buffer_download_later(buffer, (at + i * map) * sizeof *out, out + first * map, run * map * sizeof *out,
                                     err) != OB_OK)
            return ob_error_status(err);
        next = first + run;
    }
    memset(out + next * map, 0, (layer->all_heads - next) * map * sizeof *out);
    return OB_OK;
}

ob_status ob__download_maps(ob_buffer *buffer, const ob__map_layer *layer, const ob_batch *batch,
                            const int32_t *key_cu_seqlens, float *maps, ob_error *err)
{
    size_t at = 0;
    for (size_t s = 0; s < batch->sequence_count; s++) {
        size_t map = length_of(batch->cu_seqlens, s) * length_of(key_cu_seqlens, s);
        if (download_heads(buffer, at, layer, map, maps + layer->layer * layer->all_heads * map, err) != OB_OK)
            return ob_error_status(err);
        at += layer->count * map;
        maps += layer->layers * layer->all_heads * map;
    }
    return OB_OK;
}
