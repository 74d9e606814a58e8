/* Where the code points of a text lie in its bytes: offsets of tokens are counted in code points. Internal to host. */
#ifndef OBERTA_TASKS_CHAR_INDEX_H
#define OBERTA_TASKS_CHAR_INDEX_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ob__char_index {
    const char *text;
    size_t bytes, count; /* code points */
    size_t *marks;       /* byte offset of every 64th code point; NULL where bytes and code points agree */
} ob__char_index;

/* `text` is well-formed UTF-8 and must outlive the index. False: no memory. One pass over the text. */
bool ob__char_index_init(ob__char_index *index, const char *text, size_t bytes);
void ob__char_index_release(ob__char_index *index);

/* The byte offset of a code point; that of the end for all beyond. Constant time. */
size_t ob__char_index_byte(const ob__char_index *index, size_t code_point);

#endif
