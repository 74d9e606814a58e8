/* Lower case of any text, as Python's str.lower, which decides whether two answers are the same. Internal to host. */
#ifndef OBERTA_TASKS_LOWER_CASE_H
#define OBERTA_TASKS_LOWER_CASE_H

#include <oberta/strbuf.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ob__lower_range {
    uint32_t first, last, step;
    int32_t delta;
} ob__lower_range;

/* Ascending; lower_case_table.c. */
extern const ob__lower_range ob__lower_ranges[];
extern const size_t ob__lower_range_count;

/* Appends the lower case of well-formed UTF-8. A sigma is never the final one: both compare alike. */
void ob__append_lower(ob_strbuf *out, const char *text, size_t bytes);

#endif
