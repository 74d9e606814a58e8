/* A mark for every so many code points; in between the lead bytes are counted. */
#include "char_index.h"

#include <oberta/memory.h>

#define CODE_POINTS_A_MARK 64

static bool begins_code_point(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

bool ob__char_index_init(ob__char_index *index, const char *text, size_t bytes)
{
    *index = (ob__char_index){.text = text, .bytes = bytes};
    for (size_t i = 0; i < bytes; i++)
        index->count += begins_code_point(text[i]);
    if (index->count == bytes)
        return true;
    index->marks = ob_realloc_array(NULL, index->count / CODE_POINTS_A_MARK + 1, sizeof *index->marks);
    if (index->marks == NULL)
        return false;
    for (size_t i = 0, seen = 0; i < bytes; i++)
        if (begins_code_point(text[i]) && seen++ % CODE_POINTS_A_MARK == 0)
            index->marks[(seen - 1) / CODE_POINTS_A_MARK] = i;
    return true;
}

void ob__char_index_release(ob__char_index *index)
{
    ob_free(index->marks);
    *index = (ob__char_index){0};
}

size_t ob__char_index_byte(const ob__char_index *index, size_t code_point)
{
    if (code_point >= index->count)
        return index->bytes;
    if (index->marks == NULL)
        return code_point;
    size_t at = index->marks[code_point / CODE_POINTS_A_MARK];
    for (size_t left = code_point % CODE_POINTS_A_MARK; left > 0; left--)
        while (!begins_code_point(index->text[++at])) {}
    return at;
}
