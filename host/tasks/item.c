/* Tokenising rows, and checking rows that come tokenised. */
#include "item.h"

#include <oberta/memory.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void release_sequence(ob__sequence *sequence)
{
    ob_free(sequence->input_ids);
    ob_free(sequence->position_ids);
    ob_free(sequence->token_type_ids);
    ob_free(sequence->attention_mask);
    ob_free(sequence->positions);
    ob_free(sequence->target_ids);
    ob_encoding_release(&sequence->encoding);
    ob_result_release(&sequence->result);
}

void ob__item_release(ob__item *item)
{
    ob_row_release(&item->row);
    for (size_t i = 0; i < item->sequence_capacity; i++)
        release_sequence(&item->sequences[i]);
    ob_free(item->sequences);
    *item = (ob__item){0};
}

void ob__item_reject(ob__item *item, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    item->row.defect = OB_ERR_INPUT;
    ob_strbuf_clear(&item->row.defect_text);
    ob_strbuf_puts(&item->row.defect_text, text);
    item->sequence_count = 0;
}

ob_record ob__item_record(const ob__item *item, ob_record_kind kind)
{
    return (ob_record){.row = item->row.number,
                       .id = ob_strbuf_text(&item->row.id),
                       .kind = kind,
                       .input = item->row.tokenised ? NULL : ob_strbuf_text(&item->row.text),
                       .input_bytes = item->row.text.length};
}

bool ob__item_encoder_init(ob__item_encoder *encoder)
{
    *encoder = (ob__item_encoder){.cache = ob_tokenizer_cache_create(), .encoding = OB_ENCODING_INIT};
    return encoder->cache != NULL;
}

void ob__item_encoder_release(ob__item_encoder *encoder)
{
    ob_tokenizer_cache_destroy(encoder->cache);
    ob_encoding_release(&encoder->encoding);
    ob_encoding_list_release(&encoder->windows);
    encoder->cache = NULL;
}

static bool grow(int32_t **array, size_t count)
{
    int32_t *grown = ob_realloc_array(*array, count, sizeof *grown);
    if (grown != NULL)
        *array = grown;
    return grown != NULL;
}

static ob_status reserve_tokens(ob__sequence *sequence, size_t count, ob_error *err)
{
    if (count > sequence->token_capacity) {
        if (!grow(&sequence->input_ids, count) || !grow(&sequence->position_ids, count) ||
            !grow(&sequence->token_type_ids, count) || !grow(&sequence->attention_mask, count))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu tokens", count);
        sequence->token_capacity = count;
    }
    sequence->token_count = count;
    return OB_OK;
}

bool ob__sequence_reserve_positions(ob__sequence *sequence, size_t count)
{
    if (count > sequence->position_capacity) {
        if (!grow(&sequence->positions, count) || !grow(&sequence->target_ids, count))
            return false;
        sequence->position_capacity = count;
    }
    sequence->position_count = count;
    return true;
}

ob__sequence *ob__item_add_sequence(ob__item *item)
{
    size_t before = item->sequence_capacity;
    if (item->sequence_count == before) {
        if (before == 0) { /* most rows have one sequence, ever */
            item->sequences = ob_calloc(1, sizeof *item->sequences);
            item->sequence_capacity = item->sequences != NULL;
        } else if (ob_array_reserve((void **)&item->sequences, &item->sequence_capacity, before + 1,
                                    sizeof *item->sequences)) {
            memset(item->sequences + before, 0, (item->sequence_capacity - before) * sizeof *item->sequences);
        }
        if (item->sequence_count == item->sequence_capacity)
            return NULL;
    }
    ob__sequence *sequence = &item->sequences[item->sequence_count++];
    sequence->token_count = sequence->position_count = sequence->encoder_count = 0;
    sequence->encoding.count = 0;
    sequence->has_attention_mask = sequence->as_first = false;
    sequence->replaced_at = -1;
    sequence->head_mask = NULL;
    sequence->encoder_states = sequence->encoder_mask = NULL;
    return sequence;
}

int32_t ob__sequence_id(const ob__item *item, const ob__sequence *sequence, size_t index)
{
    if (sequence->replaced_at >= 0 && (size_t)sequence->replaced_at == index)
        return sequence->replaced_id;
    return (sequence->as_first ? item->sequences : sequence)->input_ids[index];
}

ob_status ob__sequence_take_encoding(ob__sequence *sequence, ob_encoding *encoding, bool keep, int32_t pad_token_id,
                                     ob_error *err)
{
    size_t count = encoding->count;
    if (reserve_tokens(sequence, count, err) != OB_OK)
        return ob_error_status(err);
    memcpy(sequence->input_ids, encoding->ids, count * sizeof *sequence->input_ids);
    memset(sequence->token_type_ids, 0, count * sizeof *sequence->token_type_ids);
    ob_position_ids(sequence->input_ids, count, pad_token_id, sequence->position_ids);
    if (keep) {
        ob_encoding old = sequence->encoding;
        sequence->encoding = *encoding;
        *encoding = old;
    }
    return OB_OK;
}

static ob_status no_memory(const ob__item *item, ob_error *err)
{
    return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu sequences", item->sequence_count + 1);
}

ob_status ob__item_encode_text(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits,
                               const ob_strbuf *text, const ob_strbuf *pair, bool keep, bool *taken, ob_error *err)
{
    ob_encode_options options;
    ob_tokenizer_options(limits->tokenizer, &options);
    options.truncation = limits->truncation;
    options.max_length = limits->max_length;
    options.details = keep;
    ob_error row_error;
    ob_error_clear(&row_error);
    *taken = false;
    ob_status status = ob_tokenizer_encode(limits->tokenizer, encoder->cache, ob_strbuf_text(text), text->length,
                                           pair != NULL ? ob_strbuf_text(pair) : NULL, pair != NULL ? pair->length : 0,
                                           &options, &encoder->encoding, &row_error);
    if (status == OB_ERR_INPUT) {
        ob__item_reject(item, "%s", row_error.text);
        return OB_OK;
    }
    if (status != OB_OK)
        return ob_error_set(err, status, "%s", row_error.text);
    size_t count = encoder->encoding.count;
    if (count > limits->max_length) {
        ob__item_reject(item, "%zu tokens with the special ones, but at most %zu are taken", count, limits->max_length);
        return OB_OK;
    }
    ob__sequence *sequence = ob__item_add_sequence(item);
    if (sequence == NULL)
        return no_memory(item, err);
    *taken = true;
    return ob__sequence_take_encoding(sequence, &encoder->encoding, keep, limits->pad_token_id, err);
}

static bool check_range(ob__item *item, const char *field, const int32_t *values, size_t count, size_t limit)
{
    for (size_t i = 0; values != NULL && i < count; i++)
        if (values[i] < 0 || (size_t)values[i] >= limit) {
            ob__item_reject(item, "%s[%zu]: %d is not between 0 and %zu", field, i, (int)values[i], limit - 1);
            return false;
        }
    return true;
}

/* The row's own ids have been checked against the model. */
static ob_status copy_ids(ob__sequence *sequence, const ob_row *row, int32_t pad_token_id, ob_error *err)
{
    size_t count = row->token_count, bytes = count * sizeof(int32_t);
    if (reserve_tokens(sequence, count, err) != OB_OK)
        return ob_error_status(err);
    memcpy(sequence->input_ids, row->input_ids, bytes);
    if (row->token_type_ids != NULL)
        memcpy(sequence->token_type_ids, row->token_type_ids, bytes);
    else
        memset(sequence->token_type_ids, 0, bytes);
    if (row->position_ids != NULL)
        memcpy(sequence->position_ids, row->position_ids, bytes);
    else
        ob_position_ids(sequence->input_ids, count, pad_token_id, sequence->position_ids);
    sequence->has_attention_mask = row->attention_mask != NULL;
    if (sequence->has_attention_mask)
        memcpy(sequence->attention_mask, row->attention_mask, bytes);
    sequence->head_mask = row->head_mask;
    return OB_OK;
}

static ob_status take_ids(ob__item *item, const ob__item_limits *limits, ob_error *err)
{
    const ob_row *row = &item->row;
    size_t count = row->token_count;
    if (count == 0 || count > limits->max_length) {
        ob__item_reject(item, "input_ids: %zu tokens, but 1 to %zu are taken", count, limits->max_length);
        return OB_OK;
    }
    if (!check_range(item, "input_ids", row->input_ids, count, limits->vocab_size) ||
        !check_range(item, "token_type_ids", row->token_type_ids, count, limits->type_vocab_size) ||
        !check_range(item, "position_ids", row->position_ids, count, limits->max_position_embeddings) ||
        !check_range(item, "attention_mask", row->attention_mask, count, 2))
        return OB_OK;
    if (row->head_mask != NULL &&
        (row->head_mask_layers != limits->num_hidden_layers || row->head_mask_heads != limits->num_attention_heads)) {
        ob__item_reject(item, "head_mask: (%zu, %zu), but the model has %zu layers of %zu heads", row->head_mask_layers,
                        row->head_mask_heads, limits->num_hidden_layers, limits->num_attention_heads);
        return OB_OK;
    }
    ob__sequence *sequence = ob__item_add_sequence(item);
    return sequence != NULL ? copy_ids(sequence, row, limits->pad_token_id, err) : no_memory(item, err);
}

ob_status ob__item_encode(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits, bool keep,
                          ob_error *err)
{
    const ob_row *row = &item->row;
    bool taken;
    if (row->choice_count > 0) {
        ob__item_reject(item, "choices, where a text is expected");
        return OB_OK;
    }
    if (row->tokenised)
        return take_ids(item, limits, err);
    return ob__item_encode_text(item, encoder, limits, &row->text, row->has_pair ? &row->pair : NULL, keep, &taken,
                                err);
}
