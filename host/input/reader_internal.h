/* The formats behind a reader. Internal to host/input. */
#ifndef OBERTA_INPUT_READER_INTERNAL_H
#define OBERTA_INPUT_READER_INTERNAL_H

#include "stream.h"

#include <oberta/reader.h>

typedef struct ob__csv_columns {
    int text, pair, id; /* -1: the file has no such column */
    size_t count;
} ob__csv_columns;

/* The names of the fields that fill row->text and row->pair, by the form of the rows. */
const char *ob__text_field(const ob_input_spec *spec);
const char *ob__pair_field(const ob_input_spec *spec);
bool ob__pair_required(const ob_input_spec *spec);

/* Marks the row as wrong; the next one can follow. */
void ob__row_reject(ob_row *row, const char *format, ...) OB_PRINTF(2, 3);
/* Rejects a row whose text is no UTF-8. */
void ob__row_check_text(ob_row *row, const char *what, const ob_strbuf *text);

/* jsonl.c: fills `row` from one line. */
ob_status ob__jsonl_row(const ob_input_spec *spec, const char *line, size_t bytes, ob_row *row, ob_error *err);

/* csv.c: the header line, and one record after it. `separator` is ',' or '\t'. */
ob_status ob__csv_header(const ob_input_spec *spec, ob__stream *stream, char separator, ob__csv_columns *out,
                         ob_error *err);
ob_status ob__csv_row(const ob_input_spec *spec, ob__stream *stream, char separator, const ob__csv_columns *columns,
                      ob_row *row, bool *more, ob_error *err);

#endif
