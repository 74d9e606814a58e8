/* Classes by binary search; ASCII by comparison, since nearly all text is that. */
#include "unicode.h"

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

bool ob__char_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == 0x20 || (c >= 0x09 && c <= 0x0D);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

ob__char_class ob__char_classify(uint32_t c)
{
    if (c < 0x80) {
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            return OB__CHAR_LETTER;
        if (c >= '0' && c <= '9')
            return OB__CHAR_NUMBER;
        return ob__char_is_space(c) ? OB__CHAR_SPACE : OB__CHAR_OTHER;
    }
    if (ob__char_is_space(c))
        return OB__CHAR_SPACE;
    if (contains(ob__unicode_letters, ob__unicode_letter_count, c))
        return OB__CHAR_LETTER;
    return contains(ob__unicode_numbers, ob__unicode_number_count, c) ? OB__CHAR_NUMBER : OB__CHAR_OTHER;
}

bool ob__char_is_word(uint32_t c)
{
    return contains(ob__unicode_words, ob__unicode_word_count, c);
}
