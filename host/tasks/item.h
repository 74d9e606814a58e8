/* One row on its way through the pipeline: read, tokenised, computed, not yet written. Internal to host. */
#ifndef OBERTA_TASKS_ITEM_H
#define OBERTA_TASKS_ITEM_H

#include <oberta/batch.h>
#include <oberta/reader.h>
#include <oberta/tokenizer.h>
#include <oberta/writer.h>

typedef struct ob__item {
    ob_row row; /* row.defect set: the item carries no tokens and ends as an error row */

    size_t token_count, token_capacity;
    int32_t *input_ids, *position_ids, *token_type_ids; /* (token_count) */
    int32_t *attention_mask;                            /* (token_count), read only where has_mask */
    bool has_attention_mask;

    size_t position_count, position_capacity;
    int32_t *positions;   /* tokens of this row whose masked-LM rows are wanted */
    bool has_mask_tokens; /* fill-mask: positions are those of <mask> */

    ob_result result; /* this row's part of its batch's result, in the same layout */
} ob__item;

void ob__item_release(ob__item *item);

/* Marks the row as wrong. The text has no place in it; the place is the row's. */
void ob__item_reject(ob__item *item, const char *format, ...) OB_PRINTF(2, 3);

/* What each tokenising thread has of its own. */
typedef struct ob__item_encoder {
    ob_tokenizer_cache *cache;
    ob_encoding encoding;
} ob__item_encoder;

bool ob__item_encoder_init(ob__item_encoder *encoder);
void ob__item_encoder_release(ob__item_encoder *encoder);

/* The limits that a row has to keep, from job, tokenizer and model. */
typedef struct ob__item_limits {
    const ob_tokenizer *tokenizer;
    ob_truncation truncation;
    size_t max_length;
    size_t vocab_size, type_vocab_size, max_position_embeddings;
    int32_t pad_token_id;
} ob__item_limits;

/* Turns the row's text (or its own ids) into tokens. A row that cannot be is rejected, which is no error here. */
ob_status ob__item_encode(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits, ob_error *err);

/* A record of this row: number, id and text are set, the rest is for the caller. */
ob_record ob__item_record(const ob__item *item, ob_record_kind kind);

/* Room for `count` positions; false: no memory. */
bool ob__item_reserve_positions(ob__item *item, size_t count);

#endif
