/* Splits text into the pieces that BPE works on. Internal to models/tokenizer. */
#ifndef OBERTA_TOKENIZER_PRETOKENIZE_H
#define OBERTA_TOKENIZER_PRETOKENIZE_H

#include <stddef.h>

/* The end of the piece that begins at `at` < `end` in well-formed UTF-8; `end` is the end of the segment (of the text,
 * or the start of an added token), which the pattern's look-ahead sees. The pattern, whose alternatives cover every
 * text:
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t ob__pretokenize_next(const char *text, size_t at, size_t end);

#endif
