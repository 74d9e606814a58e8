/* str.strip of Python. */
#include "strip.h"

#include <oberta/utf8.h>
#include <stdbool.h>

/* Python counts four control characters, too. */
static bool is_space(uint32_t c)
{
    return ob_utf8_is_space(c) || (c >= 0x1C && c <= 0x1F);
}

ob_strbuf ob__strip(const ob_strbuf *text)
{
    size_t begin = text->length, end = 0, bytes;
    if (ob_utf8_invalid_at(ob_strbuf_text(text), text->length) < text->length)
        return *text; /* the tokenizer says where */
    for (size_t at = 0; at < text->length; at += bytes) {
        if (is_space(ob_utf8_decode(text->data + at, &bytes)))
            continue;
        begin = at < begin ? at : begin;
        end = at + bytes;
    }
    ob_strbuf view = *text;
    if (text->length > 0)
        view.data += begin < end ? begin : 0;
    view.length = begin < end ? end - begin : 0;
    return view;
}
