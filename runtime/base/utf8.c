/* UTF-8 as RFC 3629 defines it, and small searches in text. */
#include <oberta/utf8.h>
#include <string.h>

/* Length of the well-formed sequence at text[0..bytes), 0 where there is none. */
static size_t sequence_length(const unsigned char *text, size_t bytes)
{
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length > bytes)
        return 0;
    /* The first continuation byte's range excludes overlong forms, surrogates and what lies above U+10FFFF. */
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

size_t ob_utf8_invalid_at(const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t at = 0;
    while (at < bytes) {
        /* Eight ASCII bytes at a time: most text is mostly that. */
        uint64_t eight;
        while (at + sizeof eight <= bytes) {
            memcpy(&eight, p + at, sizeof eight);
            if ((eight & 0x8080808080808080u) != 0)
                break;
            at += sizeof eight;
        }
        if (at == bytes)
            break;
        size_t length = sequence_length(p + at, bytes - at);
        if (length == 0)
            return at;
        at += length;
    }
    return bytes;
}

uint32_t ob_utf8_decode(const char *text, size_t *bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) {
        *bytes = 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *bytes = 2;
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (p[0] < 0xF0) {
        *bytes = 3;
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    *bytes = 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

size_t ob_utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

bool ob_utf8_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == 0x20 || (c >= 0x09 && c <= 0x0D);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool ob_text_contains_folded(const char *text, const char *needle)
{
    size_t length = strlen(needle);
    for (;; text++) {
        size_t i = 0;
        while (i < length && text[i] != '\0' && fold(text[i]) == fold(needle[i]))
            i++;
        if (i == length)
            return true;
        if (*text == '\0')
            return false;
    }
}

#define NEAREST_MAX_LENGTH 63

/* Levenshtein's distance with one row of the matrix. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    size_t row[NEAREST_MAX_LENGTH + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t cost = diagonal + (fold(a[i - 1]) != fold(b[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[b_length];
}

const char *ob_text_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t length = strlen(word);
    if (length > NEAREST_MAX_LENGTH)
        return NULL;
    const char *best = NULL;
    size_t best_distance = length / 3 + 2; /* a word may differ in a third of its letters, and one more */
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(candidates[i]);
        if (candidate_length > NEAREST_MAX_LENGTH)
            continue;
        size_t distance = edit_distance(word, candidates[i]);
        if (distance < best_distance && distance < candidate_length) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}
