/* Sequences to batches, and results back to sequences. */
#include "window.h"

#include <oberta/memory.h>
#include <string.h>

static ob__sequence *sequence_at(const ob__window *w, size_t scheduled, ob__item **item)
{
    ob__sequence_place place = w->places[w->schedule.order[scheduled]];
    *item = &w->items[place.item];
    return &(*item)->sequences[place.sequence];
}

/* The sequence whose token arrays are this one's. */
static const ob__sequence *token_source(const ob__item *item, const ob__sequence *s)
{
    return s->as_first ? item->sequences : s;
}

/* What a batch holds, and which of the optional arrays. */
typedef struct batch_sizes {
    size_t tokens, sequences, positions, encoder_tokens;
    bool masked, head_masked, encoder, encoder_masked;
} batch_sizes;

static batch_sizes measure(const ob__window *w, size_t begin, size_t end)
{
    batch_sizes sizes = {.sequences = end - begin};
    for (size_t i = begin; i < end; i++) {
        ob__item *item;
        const ob__sequence *s = sequence_at(w, i, &item);
        sizes.tokens += s->token_count;
        sizes.positions += s->position_count;
        sizes.encoder_tokens += s->encoder_count;
        sizes.masked |= token_source(item, s)->has_attention_mask;
        sizes.head_masked |= s->head_mask != NULL;
        sizes.encoder |= s->encoder_count > 0;
        sizes.encoder_masked |= s->encoder_mask != NULL;
    }
    return sizes;
}

/* One allocation for all integers of a batch, one for all floats. */
static ob_status reserve_arrays(ob__window *w, const batch_sizes *sizes, size_t head_count, size_t hidden_size,
                                ob_error *err)
{
    size_t tokens = sizes->tokens, sequences = sizes->sequences, positions = sizes->positions;
    size_t integers = 4 * tokens + 2 * (sequences + 1) + 2 * positions + sizes->encoder_tokens;
    size_t masks = sizes->head_masked ? sequences * head_count : 0, floats = masks;
    size_t states;
    if (!ob_size_mul(sizes->encoder_tokens, hidden_size, &states) || !ob_size_add(floats, states, &floats) ||
        !ob_array_reserve((void **)&w->integers, &w->integer_capacity, integers, sizeof *w->integers) ||
        !ob_array_reserve((void **)&w->floats, &w->float_capacity, floats, sizeof *w->floats))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a batch of %zu tokens", tokens);
    ob_batch *b = &w->batch;
    b->input_ids = w->integers;
    b->position_ids = b->input_ids + tokens;
    b->token_type_ids = b->position_ids + tokens;
    b->attention_mask = b->token_type_ids + tokens;
    b->cu_seqlens = b->attention_mask + tokens;
    b->encoder_cu_seqlens = b->cu_seqlens + sequences + 1;
    b->positions = b->encoder_cu_seqlens + sequences + 1;
    b->target_ids = b->positions + positions;
    b->encoder_attention_mask = b->target_ids + positions;
    b->head_mask = w->floats;
    b->encoder_hidden_states = w->floats + masks;
    return OB_OK;
}

static void append_tokens(ob_batch *b, const ob__item *item, const ob__sequence *s)
{
    const ob__sequence *tokens = token_source(item, s);
    size_t at = b->token_count, bytes = s->token_count * sizeof(int32_t);
    memcpy(b->input_ids + at, tokens->input_ids, bytes);
    memcpy(b->position_ids + at, tokens->position_ids, bytes);
    memcpy(b->token_type_ids + at, tokens->token_type_ids, bytes);
    if (s->replaced_at >= 0)
        b->input_ids[at + (size_t)s->replaced_at] = s->replaced_id;
    for (size_t i = 0; i < s->token_count; i++)
        b->attention_mask[at + i] = tokens->has_attention_mask ? tokens->attention_mask[i] : 1;
    bool targets = (b->want & OB_WANT_TARGET_SCORES) != 0;
    for (size_t i = 0; i < s->position_count; i++) {
        b->target_ids[b->position_count] = targets ? s->target_ids[i] : 0;
        b->positions[b->position_count++] = (int32_t)at + s->positions[i];
    }
}

static void append_encoder(ob_batch *b, const ob__sequence *s, size_t hidden_size)
{
    size_t at = (size_t)b->encoder_cu_seqlens[b->sequence_count], count = s->encoder_count;
    if (count > 0)
        ob_convert_to_f32(b->encoder_hidden_states + at * hidden_size, s->encoder_states->data,
                          s->encoder_states->dtype, count * hidden_size);
    for (size_t i = 0; i < count; i++)
        b->encoder_attention_mask[at + i] = s->encoder_mask != NULL ? ob__encoder_mask_value(s->encoder_mask, i) : 1;
    b->encoder_cu_seqlens[b->sequence_count + 1] = (int32_t)(at + count);
}

static void append_sequence(ob_batch *b, const ob__item *item, const ob__sequence *s, size_t head_count,
                            size_t hidden_size, bool head_masked)
{
    append_tokens(b, item, s);
    append_encoder(b, s, hidden_size);
    for (size_t i = 0; head_masked && i < head_count; i++)
        b->head_mask[b->sequence_count * head_count + i] = s->head_mask != NULL ? s->head_mask[i] : 1.0f;
    b->token_count += s->token_count;
    b->cu_seqlens[++b->sequence_count] = (int32_t)b->token_count;
}

bool ob__window_next_batch(ob__window *w, const ob__window_tools *tools, ob_status *status, ob_error *err)
{
    *status = OB_OK;
    if (w->next_batch == w->schedule.batch_count)
        return false;
    size_t begin = w->schedule.begin[w->next_batch], end = w->schedule.begin[w->next_batch + 1];
    w->next_batch++;
    const ob__result_widths *widths = &tools->widths;
    size_t head_count = widths->num_hidden_layers * widths->num_attention_heads;
    batch_sizes sizes = measure(w, begin, end);
    *status = reserve_arrays(w, &sizes, head_count, widths->hidden_size, err);
    if (*status != OB_OK)
        return false;
    ob_batch *b = &w->batch;
    b->want = widths->want;
    b->top_k = widths->top_k;
    b->sequence_count = b->token_count = b->position_count = 0;
    b->cu_seqlens[0] = b->encoder_cu_seqlens[0] = 0;
    for (size_t i = begin; i < end; i++) {
        ob__item *item;
        const ob__sequence *s = sequence_at(w, i, &item);
        append_sequence(b, item, s, head_count, widths->hidden_size, sizes.head_masked);
    }
    if (!sizes.masked)
        b->attention_mask = NULL;
    if (!sizes.head_masked)
        b->head_mask = NULL;
    if ((widths->want & OB_WANT_TARGET_SCORES) == 0)
        b->target_ids = NULL;
    if (!sizes.encoder) {
        b->encoder_cu_seqlens = NULL;
        b->encoder_hidden_states = NULL;
    }
    if (!sizes.encoder_masked)
        b->encoder_attention_mask = NULL;
    return true;
}

ob_status ob__window_collect(ob__window *w, const ob__window_tools *tools, size_t *rows, ob_error *err)
{
    const ob_batch *b = &w->batch;
    size_t begin = w->schedule.begin[w->next_batch - 1];
    ob__result_cursor at = {0};
    *rows = 0;
    for (size_t i = 0; i < b->sequence_count; i++) {
        ob__item *item;
        ob__sequence *sequence = sequence_at(w, begin + i, &item);
        if (b->sequence_count == 1) {
            /* A sequence that ran alone takes the arrays over: its logits may be hundreds of megabytes. */
            ob_result_release(&sequence->result);
            sequence->result = w->result;
            w->result = (ob_result){0};
        } else if (!ob__result_copy(&tools->widths, &w->result, &at, sequence, &sequence->result)) {
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the results of a sequence of %zu tokens",
                                sequence->token_count);
        }
        *rows += --item->pending == 0;
        if (tools->task->collect != NULL && tools->task->collect(tools->task_context, item, sequence, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}
