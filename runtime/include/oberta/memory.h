/* Heap memory through one door, and arithmetic on sizes that cannot wrap.
 *
 * Sizes that come from a file or a user are only ever combined with these helpers. */
#ifndef OBERTA_MEMORY_H
#define OBERTA_MEMORY_H

#include <oberta/api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As malloc, calloc, realloc, free; a size of 0 gives a valid pointer. NULL when there is no memory. */
OB_API void *ob_malloc(size_t bytes);
OB_API void *ob_calloc(size_t count, size_t element_bytes);
OB_API void *ob_realloc(void *pointer, size_t bytes);
OB_API void ob_free(void *pointer);

/* realloc(pointer, count * element_bytes), NULL (and `pointer` untouched) where that wraps. */
OB_API void *ob_realloc_array(void *pointer, size_t count, size_t element_bytes);

/* Grows a dynamic array for `needed` elements, doubling; false (array untouched) when there is no memory. */
OB_API bool ob_array_reserve(void **array, size_t *capacity, size_t needed, size_t element_bytes);

/* NUL-terminated copy of `bytes` bytes. */
OB_API char *ob_strndup(const char *text, size_t bytes);
OB_API char *ob_strdup(const char *text);

/* *out = a + b, a * b, or `value` rounded up to a multiple of `alignment` (> 0). False, and *out untouched, on
 * overflow. */
OB_API bool ob_size_add(size_t a, size_t b, size_t *out);
OB_API bool ob_size_mul(size_t a, size_t b, size_t *out);
OB_API bool ob_size_align(size_t value, size_t alignment, size_t *out);

/* The greatest resident set of this process so far, in bytes. */
OB_API uint64_t ob_memory_peak_bytes(void);
/* Counts the peak from now on, where the system lets it. */
OB_API void ob_memory_reset_peak(void);
/* Asks the system for huge pages (2 MiB on x86) under what of these bytes was not touched yet; it may not grant them.
 */
OB_API void ob_memory_wish_huge_pages(void *pointer, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
