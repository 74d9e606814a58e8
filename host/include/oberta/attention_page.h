/* Attention maps to look at: one HTML page that needs nothing else, with a grid of layers and heads, both axes labelled
 * with tokens, and the values under the pointer. */
#ifndef OBERTA_ATTENTION_PAGE_H
#define OBERTA_ATTENTION_PAGE_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One text. Everything is borrowed for the call, and none of it is trusted to be anything but text. */
typedef struct ob_attention_text {
    const char *text; /* above the maps; UTF-8 */
    size_t text_bytes;
    size_t token_count;
    const char *const *tokens; /* (token_count) as the vocabulary writes them, "Ġthe" */
    size_t layers, heads;
    const float *attentions; /* (layers, heads, token_count, token_count): [from][to] */
} ob_attention_text;

typedef struct ob_attention_page ob_attention_page;

/* Begins a page, which appears under `path` when it is complete. An earlier page is replaced, any other file is refused
 * (OB_ERR_IO). `model` stands beside the title. */
OB_API ob_status ob_attention_page_create(const char *path, const char *model, ob_attention_page **out, ob_error *err);
/* Adds the maps of a text, as float16: 2.7 bytes a value, 6.3 MB for 12 x 12 heads and 128 tokens. */
OB_API ob_status ob_attention_page_add(ob_attention_page *page, const ob_attention_text *text, ob_error *err);
/* Completes the file. `bytes` is its size; NULL: not wanted. */
OB_API ob_status ob_attention_page_commit(ob_attention_page *page, uint64_t *bytes, ob_error *err);
/* Removes what is not committed. */
OB_API void ob_attention_page_destroy(ob_attention_page *page);

#ifdef __cplusplus
}
#endif
#endif
