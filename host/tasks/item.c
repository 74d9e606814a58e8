/* Tokenising rows, and checking rows that come tokenised. */
#include "item.h"

#include <oberta/memory.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ob__item_release(ob__item *item)
{
    ob_row_release(&item->row);
    ob_free(item->input_ids);
    ob_free(item->position_ids);
    ob_free(item->token_type_ids);
    ob_free(item->attention_mask);
    ob_free(item->positions);
    ob_result_release(&item->result);
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
    item->token_count = 0;
    item->position_count = 0;
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
    *encoder = (ob__item_encoder){ob_tokenizer_cache_create(), OB_ENCODING_INIT};
    return encoder->cache != NULL;
}

void ob__item_encoder_release(ob__item_encoder *encoder)
{
    ob_tokenizer_cache_destroy(encoder->cache);
    ob_encoding_release(&encoder->encoding);
    encoder->cache = NULL;
}

static bool grow(int32_t **array, size_t count)
{
    int32_t *grown = ob_realloc_array(*array, count, sizeof *grown);
    if (grown != NULL)
        *array = grown;
    return grown != NULL;
}

static ob_status reserve_tokens(ob__item *item, size_t count, ob_error *err)
{
    if (count > item->token_capacity) {
        if (!grow(&item->input_ids, count) || !grow(&item->position_ids, count) ||
            !grow(&item->token_type_ids, count) || !grow(&item->attention_mask, count))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu tokens", count);
        item->token_capacity = count;
    }
    item->token_count = count;
    return OB_OK;
}

bool ob__item_reserve_positions(ob__item *item, size_t count)
{
    if (count > item->position_capacity) {
        if (!grow(&item->positions, count))
            return false;
        item->position_capacity = count;
    }
    item->position_count = count;
    return true;
}

static ob_status encode_text(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits, ob_error *err)
{
    const ob_row *row = &item->row;
    ob_encode_options options;
    ob_encode_options_default(&options);
    options.truncation = limits->truncation;
    options.max_length = limits->max_length;
    ob_error row_error;
    ob_error_clear(&row_error);
    ob_status status = ob_tokenizer_encode(limits->tokenizer, encoder->cache, ob_strbuf_text(&row->text),
                                           row->text.length, row->has_pair ? ob_strbuf_text(&row->pair) : NULL,
                                           row->pair.length, &options, &encoder->encoding, &row_error);
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
    if (reserve_tokens(item, count, err) != OB_OK)
        return ob_error_status(err);
    memcpy(item->input_ids, encoder->encoding.ids, count * sizeof *item->input_ids);
    memset(item->token_type_ids, 0, count * sizeof *item->token_type_ids);
    ob_position_ids(item->input_ids, count, limits->pad_token_id, item->position_ids);
    return OB_OK;
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
    if (reserve_tokens(item, count, err) != OB_OK)
        return ob_error_status(err);
    size_t bytes = count * sizeof(int32_t);
    memcpy(item->input_ids, row->input_ids, bytes);
    if (row->token_type_ids != NULL)
        memcpy(item->token_type_ids, row->token_type_ids, bytes);
    else
        memset(item->token_type_ids, 0, bytes);
    if (row->position_ids != NULL)
        memcpy(item->position_ids, row->position_ids, bytes);
    else
        ob_position_ids(item->input_ids, count, limits->pad_token_id, item->position_ids);
    item->has_attention_mask = row->attention_mask != NULL;
    if (item->has_attention_mask)
        memcpy(item->attention_mask, row->attention_mask, bytes);
    return OB_OK;
}

ob_status ob__item_encode(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits, ob_error *err)
{
    item->token_count = 0;
    item->position_count = 0;
    item->has_attention_mask = false;
    item->has_mask_tokens = false;
    if (item->row.defect != OB_OK)
        return OB_OK;
    return item->row.tokenised ? take_ids(item, limits, err) : encode_text(item, encoder, limits, err);
}
