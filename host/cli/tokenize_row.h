/* Rows of `oberta tokenize --jsonl`: a text or a batch of them with the options of a transformers tokenizer. */
#ifndef OBERTA_CLI_TOKENIZE_ROW_H
#define OBERTA_CLI_TOKENIZE_ROW_H

#include <jansson.h>
#include <oberta/tokenizer.h>

typedef enum tokenize_padding { PADDING_NONE, PADDING_LONGEST, PADDING_MAX_LENGTH } tokenize_padding;

typedef struct tokenize_options {
    ob_encode_options encode;
    bool windows; /* return_overflowing_tokens */
    tokenize_padding padding;
    bool pad_left;
    size_t pad_multiple; /* 0: any length */
    size_t pad_length;   /* with PADDING_MAX_LENGTH */
} tokenize_options;

/* The folder's own defaults. */
void tokenize_options_default(const ob_tokenizer *tokenizer, tokenize_options *out);
/* `object` is the row's, or NULL. OB_ERR_INPUT for an option that is unknown or of a wrong type or value. */
ob_status tokenize_options_read(const ob_tokenizer *tokenizer, const json_t *object, tokenize_options *out,
                                ob_error *err);

/* The memory of rows. */
typedef struct tokenize_batch {
    ob_encoding_list *lists; /* (capacity): the windows of each text */
    size_t count, capacity;
} tokenize_batch;
void tokenize_batch_release(tokenize_batch *batch);

/* Encodes the next text of a batch whose count is 0 before the first. `pair` may be NULL. */
ob_status tokenize_batch_add(tokenize_batch *batch, const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache,
                             const char *text, size_t bytes, const char *pair, size_t pair_bytes,
                             const tokenize_options *options, ob_error *err);

/* The JSON object of a row, without a line's end: {"input_ids", ...}, with "overflow" where windows are asked for; with
 * `as_list` {"batch": [...]}. Padded here. */
ob_status tokenize_batch_append(const tokenize_batch *batch, const ob_tokenizer *tokenizer,
                                const tokenize_options *options, bool as_list, bool has_pair, ob_strbuf *out,
                                ob_error *err);

#endif
