/* CSV: a line a prediction (row, id, mask, rank, score, token, token_str, sequence, error), or a line an embedding
 * (row, id, e0, e1, ..., error). A text that a spreadsheet would take for a formula gets an apostrophe before it. */
#include "writer_internal.h"

#include <string.h>

static void append_cell(ob_strbuf *out, const char *text, size_t bytes)
{
    bool formula = bytes > 0 && strchr("=+-@\t\r", text[0]) != NULL;
    ob_strbuf_puts(out, formula ? ",\"'" : ",\"");
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"')
            ob_strbuf_putc(out, '"');
        ob_strbuf_putc(out, text[i]);
    }
    ob_strbuf_putc(out, '"');
}

/* The id's JSON without a string's quotes. */
static void append_start(ob_strbuf *out, const ob_record *record)
{
    ob_strbuf_printf(out, "%llu", (unsigned long long)record->row);
    size_t length = strlen(record->id);
    if (length == 0)
        ob_strbuf_putc(out, ',');
    else if (record->id[0] == '"')
        append_cell(out, record->id + 1, length - 2);
    else
        append_cell(out, record->id, length);
}

static void append_header(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    w->csv_kind = record->kind;
    if (record->kind == OB_RECORD_EMBEDDING) {
        w->width = record->arrays[0].shape[0];
        ob_strbuf_puts(out, "row,id");
        for (size_t i = 0; i < w->width; i++)
            ob_strbuf_printf(out, ",e%zu", i);
        ob_strbuf_puts(out, ",error\r\n");
    } else {
        ob_strbuf_puts(out, "row,id,mask,rank,score,token,token_str,sequence,error\r\n");
    }
}

static void append_predictions(const ob_record *record, ob_strbuf *out)
{
    for (size_t m = 0; m < record->mask_count; m++)
        for (size_t i = 0; i < record->top_k; i++) {
            const ob_prediction *p = &record->predictions[m * record->top_k + i];
            append_start(out, record);
            ob_strbuf_printf(out, ",%zu,%zu,", m, i);
            ob_json_append_float(out, p->score);
            ob_strbuf_printf(out, ",%d", (int)p->token);
            append_cell(out, p->token_str, p->token_str_bytes);
            append_cell(out, p->sequence, p->sequence_bytes);
            ob_strbuf_puts(out, ",\r\n");
        }
}

static void append_embedding(const ob_record *record, ob_strbuf *out)
{
    append_start(out, record);
    for (size_t i = 0; i < record->arrays[0].shape[0]; i++) {
        ob_strbuf_putc(out, ',');
        ob_json_append_float(out, record->arrays[0].data[i]);
    }
    ob_strbuf_puts(out, ",\r\n");
}

static ob_status append(ob_writer *w, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    (void)err;
    if (w->records == 0)
        append_header(w, record, out);
    if (record->kind == OB_RECORD_MASKS) {
        append_predictions(record, out);
    } else if (record->kind == OB_RECORD_EMBEDDING && w->csv_kind == OB_RECORD_EMBEDDING) {
        append_embedding(record, out);
    } else if (record->kind == OB_RECORD_PREDICTION) {
        append_start(out, record);
        ob_strbuf_puts(out, ",,,,,");
        append_cell(out, record->text, record->text_bytes);
        ob_strbuf_puts(out, ",\r\n");
    } else if (record->kind == OB_RECORD_ERROR) {
        append_start(out, record);
        for (size_t i = 0; i < (w->csv_kind == OB_RECORD_EMBEDDING ? w->width : 6); i++)
            ob_strbuf_putc(out, ',');
        append_cell(out, record->error_message, strlen(record->error_message));
        ob_strbuf_puts(out, "\r\n");
    }
    return OB_OK;
}

const ob__format ob__format_csv = {
    OB_OUTPUT_CSV,
    "csv",
    ".csv",
    1u << OB_RECORD_ERROR | 1u << OB_RECORD_MASKS | 1u << OB_RECORD_PREDICTION | 1u << OB_RECORD_EMBEDDING,
    append,
    NULL};
