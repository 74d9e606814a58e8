/* CSV as RFC 4180 has it (quotes, doubled quotes, line ends inside them), and TSV, where a tab always separates and
 * quotes are ordinary characters. The first record names the columns; blank lines are no rows of a table of several. */
#include "reader_internal.h"

#include <limits.h>
#include <oberta/memory.h>
#include <oberta/writer.h>
#include <string.h>

#define MAX_COLUMNS 4096

typedef enum field_state {
    FIELD_BEGIN,
    FIELD_PLAIN,
    FIELD_QUOTED,
    FIELD_QUOTE,  /* after a quote inside quotes: the end of the field, or the first of a pair */
    FIELD_CLOSED, /* after the end and 0x0D: only the end of the line can follow */
    FIELD_STRAY   /* text after the closing quote */
} field_state;

/* How a field ended. */
typedef struct field_end {
    bool last;  /* the record ended with it */
    bool any;   /* there was anything at all, if only a separator */
    bool blank; /* there was nothing in it, not even quotes */
    bool stray; /* there was text after its closing quote */
} field_end;

/* Takes one byte that does not end the field. */
static field_state take_byte(field_state state, char byte, char separator, ob_strbuf *out)
{
    bool quote = byte == '"' && separator == ',';
    switch (state) {
    case FIELD_BEGIN:
        if (quote)
            return FIELD_QUOTED;
        break;
    case FIELD_QUOTED:
        if (quote)
            return FIELD_QUOTE;
        ob_strbuf_putc(out, byte);
        return FIELD_QUOTED;
    case FIELD_QUOTE:
        if (byte == '\r')
            return FIELD_CLOSED;
        if (!quote)
            return FIELD_STRAY;
        ob_strbuf_putc(out, '"');
        return FIELD_QUOTED;
    case FIELD_CLOSED:
    case FIELD_STRAY:
        return FIELD_STRAY;
    case FIELD_PLAIN:
        break;
    }
    ob_strbuf_putc(out, byte);
    return FIELD_PLAIN;
}

static ob_status read_field(ob__stream *s, char separator, ob_strbuf *out, field_end *end, ob_error *err)
{
    uint64_t line = s->line;
    field_state state = FIELD_BEGIN;
    for (size_t taken = 0;; taken++) {
        int byte;
        ob_status status = ob__stream_byte(s, &byte, err);
        if (status != OB_OK)
            return status;
        if (byte < 0 && state == FIELD_QUOTED)
            return ob_error_set(err, OB_ERR_INPUT, "%s:%llu: a quote is opened here and never closed", s->name,
                                (unsigned long long)line);
        if (byte < 0 || (state != FIELD_QUOTED && (byte == '\n' || byte == separator))) {
            bool last = byte != separator;
            if (last && state == FIELD_PLAIN && out->length > 0 && out->data[out->length - 1] == '\r')
                out->data[--out->length] = '\0';
            *end = (field_end){.last = last,
                               .any = byte >= 0 || taken > 0,
                               .blank = state <= FIELD_PLAIN && out->length == 0,
                               .stray = state == FIELD_STRAY || (state == FIELD_CLOSED && !last)};
            return out->failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a row", s->name) : OB_OK;
        }
        if (taken == OB__ROW_MAX_BYTES)
            return ob_error_set(err, OB_ERR_INPUT, "%s:%llu: a field is longer than 64 MiB; is a quote not closed?",
                                s->name, (unsigned long long)line);
        state = take_byte(state, (char)byte, separator, out);
    }
}

static bool is_name(const ob_strbuf *field, const char *name)
{
    return strcmp(ob_strbuf_text(field), name) == 0;
}

ob_status ob__csv_header(const ob_input_spec *spec, ob__stream *s, char separator, ob__csv_columns *out, ob_error *err)
{
    ob__csv_columns columns = {-1, -1, -1, 0};
    ob_strbuf field = OB_STRBUF_INIT;
    ob_status status;
    field_end end;
    do {
        ob_strbuf_clear(&field);
        status = read_field(s, separator, &field, &end, err);
        if (status == OB_OK && columns.count == MAX_COLUMNS)
            status =
                ob_error_set(err, OB_ERR_INPUT, "%s:1: the header line has more than %d columns", s->name, MAX_COLUMNS);
        if (status != OB_OK)
            break;
        int column = (int)columns.count++;
        if (columns.text < 0 && is_name(&field, ob__text_field(spec)))
            columns.text = column;
        else if (columns.pair < 0 && is_name(&field, ob__pair_field(spec)))
            columns.pair = column;
        else if (columns.id < 0 && is_name(&field, spec->id_field))
            columns.id = column;
    } while (!end.last);
    ob_strbuf_release(&field);
    if (status != OB_OK)
        return status;
    bool questions = spec->form == OB_ROWS_OF_QUESTIONS;
    if (columns.text < 0)
        return ob_error_set(err, OB_ERR_INPUT, "%s:1: no column '%s' in the header line (inputs.%s names it)", s->name,
                            ob__text_field(spec), questions ? "question" : "text");
    if (columns.pair < 0 && ob__pair_required(spec))
        return ob_error_set(err, OB_ERR_INPUT, "%s:1: no column '%s' in the header line (inputs.%s names it)", s->name,
                            ob__pair_field(spec), questions ? "context" : "text_pair");
    *out = columns;
    return OB_OK;
}

/* Reads a record's fields into the row. *count 0: the file is at its end. */
static ob_status read_record(const ob_input_spec *spec, ob__stream *s, char separator, const ob__csv_columns *columns,
                             ob_row *row, size_t *count, bool *blank, ob_error *err)
{
    ob_strbuf other = OB_STRBUF_INIT;
    ob_status status = OB_OK;
    field_end end = {.last = false};
    for (*count = 0; !end.last; ++*count) {
        ob_strbuf_clear(&other);
        int column = *count < columns->count ? (int)*count : INT_MAX;
        ob_strbuf *target = column == columns->text ? &row->text : column == columns->pair ? &row->pair : &other;
        status = read_field(s, separator, target, &end, err);
        if (status != OB_OK || (*count == 0 && !end.any))
            break;
        if (end.stray)
            ob__row_reject(row, "column %zu: text after the closing quote", *count + 1);
        if (column == columns->id && other.length > 0) {
            ob__row_check_text(row, spec->id_field, &other);
            ob_json_append_string(&row->id, ob_strbuf_text(&other), other.length);
        }
    }
    *blank = *count == 1 && end.blank;
    ob_strbuf_release(&other);
    return status;
}

ob_status ob__csv_row(const ob_input_spec *spec, ob__stream *s, char separator, const ob__csv_columns *columns,
                      ob_row *row, bool *more, ob_error *err)
{
    size_t count;
    bool blank;
    do { /* a blank line is a row only where it can be one: an empty text in a table of one column */
        row->line = s->line;
        ob_status status = read_record(spec, s, separator, columns, row, &count, &blank, err);
        if (status != OB_OK)
            return status;
    } while (blank && columns->count > 1);
    *more = count > 0;
    if (count == 0)
        return OB_OK;
    row->has_pair = columns->pair >= 0;
    if (count != columns->count)
        ob__row_reject(row, "%zu fields, but the header line has %zu", count, columns->count);
    ob__row_check_text(row, ob__text_field(spec), &row->text);
    ob__row_check_text(row, ob__pair_field(spec), &row->pair);
    return OB_OK;
}
