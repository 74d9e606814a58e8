/* CSV as RFC 4180 has it (quotes, doubled quotes, line ends inside them), and TSV, where a tab always separates and
 * quotes are ordinary characters. The first record names the columns. */
#include "reader_internal.h"

#include <oberta/memory.h>
#include <oberta/writer.h>
#include <string.h>

#define MAX_COLUMNS 4096

/* One field; *last tells whether the record ended with it, *any whether there was anything at all. */
static ob_status read_field(ob__stream *s, char separator, ob_strbuf *out, bool *last, bool *any, ob_error *err)
{
    uint64_t line = s->line;
    bool quoted = false, closed = false;
    size_t kept = 0;
    *any = false;
    for (;;) {
        int byte;
        ob_status status = ob__stream_byte(s, &byte, err);
        if (status != OB_OK)
            return status;
        if (byte < 0 && quoted && !closed)
            return ob_error_set(err, OB_ERR_INPUT, "%s:%llu: a quote is opened here and never closed", s->name,
                                (unsigned long long)line);
        if (byte < 0 || (byte == '\n' && (!quoted || closed)) || (byte == separator && (!quoted || closed))) {
            *last = byte != separator;
            *any |= byte >= 0;
            if (*last && !quoted && out->length > 0 && out->data[out->length - 1] == '\r')
                out->data[--out->length] = '\0';
            return out->failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a row", s->name) : OB_OK;
        }
        *any = true;
        if (byte == '"' && separator == ',' && !quoted && kept == 0) {
            quoted = true;
        } else if (byte == '"' && quoted && !closed) {
            closed = true; /* or the first of a pair, which the next byte tells */
        } else if (byte == '"' && quoted && closed) {
            closed = false;
            ob_strbuf_putc(out, '"');
        } else if (!(closed && byte == '\r')) {
            ob_strbuf_putc(out, (char)byte);
        }
        if (++kept > OB__ROW_MAX_BYTES)
            return ob_error_set(err, OB_ERR_INPUT, "%s:%llu: a field is longer than 64 MiB; is a quote not closed?",
                                s->name, (unsigned long long)line);
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
    bool last = false, any = true;
    do {
        ob_strbuf_clear(&field);
        status = read_field(s, separator, &field, &last, &any, err);
        if (status != OB_OK || columns.count == MAX_COLUMNS)
            break;
        int column = (int)columns.count++;
        if (columns.text < 0 && is_name(&field, spec->text_field))
            columns.text = column;
        else if (columns.pair < 0 && is_name(&field, spec->pair_field))
            columns.pair = column;
        else if (columns.id < 0 && is_name(&field, spec->id_field))
            columns.id = column;
    } while (!last);
    ob_strbuf_release(&field);
    if (status != OB_OK)
        return status;
    if (columns.text < 0)
        return ob_error_set(err, OB_ERR_INPUT, "%s:1: no column '%s' in the header line (inputs.text names it)",
                            s->name, spec->text_field);
    if (columns.pair < 0 && spec->pair_required)
        return ob_error_set(err, OB_ERR_INPUT, "%s:1: no column '%s' in the header line (inputs.text_pair names it)",
                            s->name, spec->pair_field);
    *out = columns;
    return OB_OK;
}

ob_status ob__csv_row(const ob_input_spec *spec, ob__stream *s, char separator, const ob__csv_columns *columns,
                      ob_row *row, bool *more, ob_error *err)
{
    ob_strbuf field = OB_STRBUF_INIT;
    ob_status status = OB_OK;
    size_t count = 0;
    bool last = false, any = false;
    *more = false;
    while (!last) {
        ob_strbuf_clear(&field);
        int column = (int)count;
        ob_strbuf *target = column == columns->text ? &row->text : column == columns->pair ? &row->pair : &field;
        status = read_field(s, separator, target, &last, &any, err);
        if (status != OB_OK || (count == 0 && last && !any))
            break;
        *more = true;
        count++;
        if (column == columns->id && field.length > 0) {
            ob__row_check_text(row, spec->id_field, &field);
            ob_json_append_string(&row->id, ob_strbuf_text(&field), field.length);
        }
    }
    ob_strbuf_release(&field);
    if (status != OB_OK || !*more)
        return status;
    row->has_pair = columns->pair >= 0;
    if (count != columns->count)
        ob__row_reject(row, "%zu fields, but the header line has %zu", count, columns->count);
    ob__row_check_text(row, spec->text_field, &row->text);
    ob__row_check_text(row, spec->pair_field, &row->pair);
    return OB_OK;
}
