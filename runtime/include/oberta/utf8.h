/* UTF-8 and small text helpers shared by the tokenizer, the readers and the writers. */
#ifndef OBERTA_UTF8_H
#define OBERTA_UTF8_H

#include <oberta/api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The byte offset of the first byte that is not well-formed UTF-8 (overlong, surrogate, above U+10FFFF, cut short);
 * `bytes` when all is well. */
OB_API size_t ob_utf8_invalid_at(const char *text, size_t bytes);

/* Decodes the code point at `text`; `text` must be well-formed and not at its end. *bytes gets 1..4. */
OB_API uint32_t ob_utf8_decode(const char *text, size_t *bytes);

/* Writes 1..4 bytes to `out`; returns how many. */
OB_API size_t ob_utf8_encode(uint32_t code_point, char out[4]);

/* Unicode's property White_Space. */
OB_API bool ob_utf8_is_space(uint32_t code_point);

/* True where `needle` occurs in `text`, ASCII letters compared without case. An empty needle occurs everywhere. */
OB_API bool ob_text_contains_folded(const char *text, const char *needle);

/* The candidate nearest to `word` by edit distance, or NULL where none is near enough to suggest. */
OB_API const char *ob_text_nearest(const char *word, const char *const *candidates, size_t count);

#ifdef __cplusplus
}
#endif
#endif
