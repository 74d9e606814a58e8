/* One row on its way through the pipeline: read, tokenised, computed, not yet written. Internal to host.
 *
 * A row is one or several token sequences: one for an ordinary text, one a choice, one a window of a long context, one
 * a scored position. Sequences are what batches are made of; a row is done when all of its sequences are. */
#ifndef OBERTA_TASKS_ITEM_H
#define OBERTA_TASKS_ITEM_H

#include <oberta/batch.h>
#include <oberta/checkpoint.h>
#include <oberta/reader.h>
#include <oberta/tokenizer.h>
#include <oberta/writer.h>

typedef struct ob__sequence {
    size_t token_count, token_capacity;
    int32_t *input_ids, *position_ids, *token_type_ids; /* (token_count) */
    int32_t *attention_mask;                            /* (token_count), read only where has_attention_mask */
    bool has_attention_mask;
    /* A sequence that is the row's first but for one token has no arrays of its own: token_count, replaced_at and
     * replaced_id say it all. The first may have a replaced token, too. */
    bool as_first;
    int32_t replaced_at; /* -1: none */
    int32_t replaced_id;

    size_t position_count, position_capacity;
    int32_t *positions;  /* tokens of this sequence whose LM rows are wanted */
    int32_t *target_ids; /* (position_count) for OB_WANT_TARGET_SCORES; read only where that is wanted */

    const float *head_mask;          /* (layers, heads), the row's; NULL: ones */
    size_t encoder_count;            /* tokens of the encoder; 0: none */
    const ob_tensor *encoder_states; /* (encoder_count, hidden_size) floats of some type, of inputs.tensors */
    const ob_tensor *encoder_mask;   /* (encoder_count); NULL: all kept */
    ob_encoding encoding;            /* offsets and words of its tokens, where the task keeps them */

    ob_result result; /* this sequence's part of its batch's result, in the same layout */
} ob__sequence;

typedef struct ob__item {
    ob_row row; /* row.defect set: the item carries no sequences and ends as an error row */

    size_t sequence_count, sequence_capacity; /* sequences beyond the count keep their memory for the next row */
    ob__sequence *sequences;
    size_t pending;       /* sequences that have not run yet; the device worker's */
    bool has_mask_tokens; /* fill-mask: positions are those of <mask> */
} ob__item;

void ob__item_release(ob__item *item);

/* Marks the row as wrong. The text has no place in it; the place is the row's. */
void ob__item_reject(ob__item *item, const char *format, ...) OB_PRINTF(2, 3);

/* What each tokenising thread has of its own. */
typedef struct ob__item_encoder {
    ob_tokenizer_cache *cache;
    ob_encoding encoding;
    ob_encoding_list windows; /* for tasks that cut long texts into windows */
} ob__item_encoder;

bool ob__item_encoder_init(ob__item_encoder *encoder);
void ob__item_encoder_release(ob__item_encoder *encoder);

/* The limits that a row has to keep, from job, tokenizer and model. */
typedef struct ob__item_limits {
    const ob_tokenizer *tokenizer;
    ob_truncation truncation;
    size_t max_length;
    size_t vocab_size, type_vocab_size, max_position_embeddings;
    size_t num_hidden_layers, num_attention_heads;
    int32_t pad_token_id;
} ob__item_limits;

/* Turns the row's text or pair (or its own ids) into one sequence. A row that cannot be is rejected, which is no error
 * here. `keep` keeps offsets and words in the sequence's encoding; rows that come as ids have none (count 0). */
ob_status ob__item_encode(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits, bool keep,
                          ob_error *err);

/* For tasks whose rows are several sequences; before the first, sequence_count is 0. ------------------------------ */

/* One more sequence, empty; NULL: no memory. Pointers to earlier ones end here. */
ob__sequence *ob__item_add_sequence(ob__item *item);

/* The next sequence from a text, or a pair where `pair` is not NULL. False in *taken where the row was rejected. */
ob_status ob__item_encode_text(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits,
                               const ob_strbuf *text, const ob_strbuf *pair, bool keep, bool *taken, ob_error *err);

/* A sequence for each window of a text or pair, with offsets and words; `options` say how it is cut, and are within the
 * limits. False in *taken where the row was rejected. */
ob_status ob__item_encode_windows(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits,
                                  const ob_strbuf *text, const ob_strbuf *pair, const ob_encode_options *options,
                                  bool *taken, ob_error *err);

/* Gives a sequence the tokens of an encoding, RoBERTa's positions and token types 0. `keep`: the encoding itself
 * changes places with the sequence's old one, so that neither is copied. */
ob_status ob__sequence_take_encoding(ob__sequence *sequence, ob_encoding *encoding, bool keep, int32_t pad_token_id,
                                     ob_error *err);

/* Room for `count` positions and targets; false: no memory. */
bool ob__sequence_reserve_positions(ob__sequence *sequence, size_t count);

/* ------------------------------------------------------------------------------------------------------------------ */

/* The id that stands at `index` in a sequence of the item. */
int32_t ob__sequence_id(const ob__item *item, const ob__sequence *sequence, size_t index);

/* A record of this row: number, id and text are set, the rest is for the caller. */
ob_record ob__item_record(const ob__item *item, ob_record_kind kind);

#endif
