/* Rows of the tokenizer's reference data: a text, its options, and what must come of it. */
#ifndef OBERTA_TEST_TOKENIZER_ROWS_H
#define OBERTA_TEST_TOKENIZER_ROWS_H

#include <jansson.h>
#include <oberta/tokenizer.h>

/* Padding is not the library's: tests/cli compares it. */
typedef struct row_options {
    ob_encode_options encode;
    bool windows, padded, pad_left;
} row_options;

/* Over the defaults that `out` has; an option that is not known fails the test. */
void read_row_options(const json_t *options, row_options *out);

/* True where the row gives what is wanted, its windows too, with a cache and without, or the error that is wanted. */
bool row_is_right(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const json_t *text, const json_t *pair,
                  const row_options *options, const json_t *want);

#endif
