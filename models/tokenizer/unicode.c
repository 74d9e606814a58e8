/* Classes by binary search; ASCII by comparison, since nearly all text is that. */
#include "unicode.h"

#include <oberta/utf8.h>

static bool contains(const ob__unicode_range *ranges, size_t count, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ranges[low].first <= c;
}

ob__char_class ob__char_classify(uint32_t c)
{
    if (c < 0x80) {
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            return OB__CHAR_LETTER;
        if (c >= '0' && c <= '9')
            return OB__CHAR_NUMBER;
        return ob_utf8_is_space(c) ? OB__CHAR_SPACE : OB__CHAR_OTHER;
    }
    if (ob_utf8_is_space(c))
        return OB__CHAR_SPACE;
    if (contains(ob__unicode_letters, ob__unicode_letter_count, c))
        return OB__CHAR_LETTER;
    return contains(ob__unicode_numbers, ob__unicode_number_count, c) ? OB__CHAR_NUMBER : OB__CHAR_OTHER;
}

bool ob__char_is_word(uint32_t c)
{
    return contains(ob__unicode_words, ob__unicode_word_count, c);
}
