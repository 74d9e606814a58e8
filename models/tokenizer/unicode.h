/* The classes of characters that the tokenizer's pattern tells apart, pinned to Unicode 16.0. Internal. */
#ifndef OBERTA_TOKENIZER_UNICODE_H
#define OBERTA_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ob__unicode_range {
    uint32_t first, last; /* inclusive */
} ob__unicode_range;

/* Sorted; unicode_tables.c is generated. */
extern const ob__unicode_range ob__unicode_letters[], ob__unicode_numbers[], ob__unicode_words[];
extern const size_t ob__unicode_letter_count, ob__unicode_number_count, ob__unicode_word_count;

typedef enum ob__char_class { OB__CHAR_OTHER, OB__CHAR_LETTER, OB__CHAR_NUMBER, OB__CHAR_SPACE } ob__char_class;

ob__char_class ob__char_classify(uint32_t code_point);

/* \w: letters, marks, numbers, connectors, joiners. */
bool ob__char_is_word(uint32_t code_point);

#endif
