/* GPT-2's pattern as a scanner: one look at each character. */
#include "pretokenize.h"

#include "unicode.h"

#include <oberta/utf8.h>

/* Bytes of the contraction at `at`, which is an apostrophe; 0 for none. Only lower case counts. */
static size_t contraction(const char *text, size_t at, size_t end)
{
    if (at + 1 >= end)
        return 0;
    char first = text[at + 1], second = at + 2 < end ? text[at + 2] : '\0';
    switch (first) {
    case 's':
    case 't':
    case 'm':
    case 'd':
        return 2;
    case 'r':
    case 'v':
        return second == 'e' ? 3 : 0;
    case 'l':
        return second == 'l' ? 3 : 0;
    default:
        return 0;
    }
}

static ob__char_class class_at(const char *text, size_t at, size_t *bytes)
{
    if ((unsigned char)text[at] < 0x80) {
        *bytes = 1;
        return ob__char_classify((unsigned char)text[at]);
    }
    return ob__char_classify(ob_utf8_decode(text + at, bytes));
}

size_t ob__pretokenize_next(const char *text, size_t at, size_t end)
{
    size_t bytes;
    if (text[at] == '\'') {
        size_t length = contraction(text, at, end);
        if (length > 0)
            return at + length;
    }
    /* A run of letters, of numbers, or of other characters, with one U+0020 before it. */
    size_t run = text[at] == ' ' && at + 1 < end ? at + 1 : at;
    ob__char_class class = class_at(text, run, &bytes);
    if (class != OB__CHAR_SPACE) {
        do
            run += bytes;
        while (run < end && class_at(text, run, &bytes) == class);
        return run;
    }
    /* A run of white space: all of it at the end of the segment, else all but its last character, which may belong to
     * the word that follows. */
    size_t last = at, next = at;
    while (next < end && class_at(text, next, &bytes) == OB__CHAR_SPACE) {
        last = next;
        next += bytes;
    }
    return next == end || last == at ? next : last;
}
