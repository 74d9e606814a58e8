/* Code points by binary search in ranges; ASCII by comparison, since nearly all text is that. */
#include "lower_case.h"

#include <oberta/utf8.h>

static uint32_t lower(uint32_t c)
{
    size_t low = 0, high = ob__lower_range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ob__lower_ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == ob__lower_range_count)
        return c;
    const ob__lower_range *range = &ob__lower_ranges[low];
    return c >= range->first && (c - range->first) % range->step == 0 ? (uint32_t)((int32_t)c + range->delta) : c;
}

void ob__append_lower(ob_strbuf *out, const char *text, size_t bytes)
{
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t c = ob_utf8_decode(text + at, &length);
        if (c < 0x80) {
            ob_strbuf_putc(out, (char)(c >= 'A' && c <= 'Z' ? c + 0x20 : c));
            continue;
        }
        if (c == 0x130) { /* I with a dot above: an i, and the dot by itself */
            ob_strbuf_puts(out, "i\xCC\x87");
            continue;
        }
        /* The final sigma depends on its neighbours; as the other one it compares alike in any place. */
        char encoded[4];
        ob_strbuf_append(out, encoded, ob_utf8_encode(c == 0x3C2 ? 0x3C3 : lower(c), encoded));
    }
}
