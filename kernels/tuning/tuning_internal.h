/* The table in memory. Internal to kernels/tuning. */
#ifndef OBERTA_TUNING_INTERNAL_H
#define OBERTA_TUNING_INTERNAL_H

#include <oberta/tuning.h>

typedef struct ob__tuning_row {
    ob_tuning_entry entry;
    char *text;    /* the line, cut into the entry's words */
    unsigned file; /* the number of its file: later ones win */
} ob__tuning_row;

struct ob_tuning {
    ob__tuning_row *rows;
    size_t count, capacity;
    char **names; /* of files; entries point to them */
    size_t name_count, name_capacity;
};

/* Drops the rows from `count` on. */
void ob__tuning_cut(ob_tuning *tuning, size_t count);
/* A device's text as files have it. */
void ob__tuning_clean(const char *text, ob_strbuf *out);

#endif
