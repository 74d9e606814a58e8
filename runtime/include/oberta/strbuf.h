/* A growing byte string, always NUL-terminated (NULs inside are allowed).
 *
 * Appending never fails visibly: when memory runs out `failed` is set, later appends do nothing, and the owner checks
 * once at the end. */
#ifndef OBERTA_STRBUF_H
#define OBERTA_STRBUF_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_strbuf {
    char *data;      /* NULL until the first append */
    size_t length;   /* bytes without the final NUL */
    size_t capacity; /* bytes allocated */
    bool failed;     /* memory ran out; data is incomplete */
} ob_strbuf;

#define OB_STRBUF_INIT    \
    {                     \
        NULL, 0, 0, false \
    }

OB_API void ob_strbuf_release(ob_strbuf *buf); /* frees and returns to the initial state */
OB_API void ob_strbuf_clear(ob_strbuf *buf);   /* length 0, memory kept */
OB_API void ob_strbuf_append(ob_strbuf *buf, const void *bytes, size_t count);
OB_API void ob_strbuf_puts(ob_strbuf *buf, const char *text);
OB_API void ob_strbuf_putc(ob_strbuf *buf, char c);
OB_API void ob_strbuf_printf(ob_strbuf *buf, const char *format, ...) OB_PRINTF(2, 3);

/* The text, "" when nothing was appended. */
OB_API const char *ob_strbuf_text(const ob_strbuf *buf);

#ifdef __cplusplus
}
#endif
#endif
