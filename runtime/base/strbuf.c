/* Growable strings with a sticky failure. */
#include <oberta/memory.h>
#include <oberta/strbuf.h>
#include <stdio.h>
#include <string.h>

void ob_strbuf_release(ob_strbuf *buf)
{
    ob_free(buf->data);
    *buf = (ob_strbuf)OB_STRBUF_INIT;
}

void ob_strbuf_clear(ob_strbuf *buf)
{
    buf->length = 0;
    buf->failed = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

/* Room for `count` more bytes and the NUL. */
static bool reserve(ob_strbuf *buf, size_t count)
{
    size_t needed;
    if (buf->failed)
        return false;
    if (!ob_size_add(buf->length, count, &needed) || !ob_size_add(needed, 1, &needed) ||
        !ob_array_reserve((void **)&buf->data, &buf->capacity, needed, 1)) {
        buf->failed = true;
        return false;
    }
    return true;
}

void ob_strbuf_append(ob_strbuf *buf, const void *bytes, size_t count)
{
    if (!reserve(buf, count))
        return;
    if (count > 0)
        memcpy(buf->data + buf->length, bytes, count);
    buf->length += count;
    buf->data[buf->length] = '\0';
}

void ob_strbuf_puts(ob_strbuf *buf, const char *text)
{
    ob_strbuf_append(buf, text, strlen(text));
}

void ob_strbuf_putc(ob_strbuf *buf, char c)
{
    ob_strbuf_append(buf, &c, 1);
}

void ob_strbuf_printf(ob_strbuf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char small[256];
    int length = vsnprintf(small, sizeof small, format, args);
    if (length < 0) {
        buf->failed = true;
    } else if ((size_t)length < sizeof small) {
        ob_strbuf_append(buf, small, (size_t)length);
    } else if (reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

const char *ob_strbuf_text(const ob_strbuf *buf)
{
    return buf->data != NULL ? buf->data : "";
}
