/* Names from files made fit for a message. */
#include "printable.h"

#include <oberta/utf8.h>
#include <string.h>

/* C0, DEL and C1: the code points that a terminal may act upon. */
static bool is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
}

ob__printable ob__printable_make(const char *text)
{
    ob__printable out;
    size_t used = 0, valid = ob_utf8_invalid_at(text, strnlen(text, OB_PRINTABLE_BYTES));
    size_t room = sizeof out.text - sizeof "...";
    for (size_t at = 0; text[at] != '\0';) {
        size_t bytes = 1;
        bool shown = at < valid && !is_control(ob_utf8_decode(text + at, &bytes));
        size_t width = shown ? bytes : 1;
        if (used + width > room) {
            memcpy(out.text + used, "...", 3);
            used += 3;
            break;
        }
        if (shown)
            memcpy(out.text + used, text + at, width);
        else
            out.text[used] = '?';
        used += width;
        at += bytes;
    }
    out.text[used] = '\0';
    return out;
}
