/* Strings and numbers as JSON writes them. */
#include <oberta/utf8.h>
#include <oberta/writer.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* U+2028 and U+2029 end lines in JavaScript and in some readers of JSONL. */
static bool is_line_separator(const char *text, size_t left)
{
    return left >= 3 && memcmp(text, "\xE2\x80", 2) == 0 && ((unsigned char)text[2] & 0xFE) == 0xA8;
}

void ob_json_append_string(ob_strbuf *out, const char *text, size_t bytes)
{
    size_t begin = 0;
    ob_strbuf_putc(out, '"');
    for (size_t at = 0; at < bytes; at++) {
        unsigned char c = (unsigned char)text[at];
        bool separator = c == 0xE2 && is_line_separator(text + at, bytes - at);
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F && !separator)
            continue;
        ob_strbuf_append(out, text + begin, at - begin);
        if (c == '"' || c == '\\')
            ob_strbuf_printf(out, "\\%c", c);
        else if (c == '\n')
            ob_strbuf_puts(out, "\\n");
        else if (c == '\t')
            ob_strbuf_puts(out, "\\t");
        else if (c == '\r')
            ob_strbuf_puts(out, "\\r");
        else if (separator)
            ob_strbuf_puts(out, text[at + 2] == '\xA8' ? "\\u2028" : "\\u2029");
        else
            ob_strbuf_printf(out, "\\u%04x", c);
        at += separator ? 2 : 0;
        begin = at + 1;
    }
    if (begin < bytes)
        ob_strbuf_append(out, text + begin, bytes - begin);
    ob_strbuf_putc(out, '"');
}

void ob_json_append_float(ob_strbuf *out, float value)
{
    if (!isfinite(value)) {
        ob_strbuf_puts(out, "null");
        return;
    }
    char text[32];
    for (int digits = 6; digits <= 9; digits++) { /* nine always read back as the same float */
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (digits == 9 || strtof(text, NULL) == value)
            break;
    }
    ob_strbuf_puts(out, text);
}
