/* CSV: row, id, what the task gives, error; the header line names it (append_columns).
 *
 * A line is a row, but for fill-mask, where it is a prediction, or the whole text where there was no mask. Lists stand
 * in one cell as JSON. A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers that
 * are none (NaN) are empty cells.
 *
 * The first result tells which columns there are. Error rows that come before it wait for that. */
#include "writer_internal.h"

#include <math.h>
#include <oberta/utf8.h>
#include <stdlib.h>
#include <string.h>

static void append_cell(ob_strbuf *out, const char *text, size_t bytes)
{
    bool formula = bytes > 0 && memchr("=+-@\t\r", text[0], 6) != NULL;
    ob_strbuf_puts(out, formula ? ",\"'" : ",\"");
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"')
            ob_strbuf_putc(out, '"');
        ob_strbuf_putc(out, text[i]);
    }
    ob_strbuf_putc(out, '"');
}

static void append_float(ob_strbuf *out, float value)
{
    ob_strbuf_putc(out, ',');
    if (isfinite(value))
        ob_json_append_float(out, value);
}

/* A list of the record as JSON in one cell. */
static void append_json(ob_writer *w, const ob_record *record, void (*list)(ob_strbuf *out, const ob_record *record),
                        ob_strbuf *out)
{
    ob_strbuf_clear(&w->scratch);
    list(&w->scratch, record);
    append_cell(out, ob_strbuf_text(&w->scratch), w->scratch.length);
    out->failed |= w->scratch.failed;
}

/* The four digits after "\u". */
static uint32_t read_hex(const char *digits)
{
    char text[5] = {digits[0], digits[1], digits[2], digits[3], '\0'};
    return (uint32_t)strtoul(text, NULL, 16);
}

/* The text of a JSON string; `json` is well-formed and without its quotes. */
static void unescape(const char *json, size_t bytes, ob_strbuf *out)
{
    for (size_t at = 0; at < bytes; at++) {
        static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
        if (json[at] != '\\' || at + 1 == bytes) {
            ob_strbuf_putc(out, json[at]);
            continue;
        }
        char c = json[++at];
        const char *name = memchr(names, c, sizeof names - 1);
        if (c == 'u' && bytes - at > 4) {
            uint32_t code = read_hex(json + at + 1);
            at += 4;
            if (code >= 0xD800 && code < 0xDC00 && bytes - at > 6 && json[at + 1] == '\\') {
                code = 0x10000 + ((code - 0xD800) << 10) + (read_hex(json + at + 3) - 0xDC00);
                at += 6;
            }
            char utf8[4];
            ob_strbuf_append(out, utf8, ob_utf8_encode(code, utf8));
        } else {
            ob_strbuf_putc(out, name != NULL ? values[name - names] : c);
        }
    }
}

/* Row and id. A number stays a number: only texts can be taken for formulas. */
static void append_start(ob_writer *w, ob_strbuf *out, const ob_record *record)
{
    ob_strbuf_printf(out, "%llu", (unsigned long long)record->row);
    size_t length = strlen(record->id);
    if (length >= 2 && record->id[0] == '"') {
        ob_strbuf_clear(&w->scratch);
        unescape(record->id + 1, length - 2, &w->scratch);
        append_cell(out, ob_strbuf_text(&w->scratch), w->scratch.length);
    } else {
        ob_strbuf_putc(out, ',');
        ob_strbuf_puts(out, record->id);
    }
}

static void append_error(ob_writer *w, ob_strbuf *out, const char *start, size_t start_bytes, const char *message,
                         size_t message_bytes)
{
    ob_strbuf_append(out, start, start_bytes);
    for (size_t i = 0; i < w->width; i++)
        ob_strbuf_putc(out, ',');
    append_cell(out, message, message_bytes);
    ob_strbuf_puts(out, "\r\n");
}

/* An error row in w->waiting: its two lengths, then the bytes of both. */
typedef struct waiting_error {
    size_t start_bytes, message_bytes;
} waiting_error;

static void keep_error(ob_writer *w, const ob_record *record)
{
    ob_strbuf start = OB_STRBUF_INIT;
    append_start(w, &start, record);
    waiting_error lengths = {start.length, strlen(record->error_message)};
    ob_strbuf_append(&w->waiting, &lengths, sizeof lengths);
    ob_strbuf_append(&w->waiting, ob_strbuf_text(&start), start.length);
    ob_strbuf_append(&w->waiting, record->error_message, lengths.message_bytes);
    w->waiting.failed |= start.failed;
    ob_strbuf_release(&start);
}

static void append_kept_errors(ob_writer *w, ob_strbuf *out)
{
    for (size_t at = 0; at < w->waiting.length;) {
        waiting_error lengths;
        memcpy(&lengths, w->waiting.data + at, sizeof lengths);
        const char *start = w->waiting.data + at + sizeof lengths, *message = start + lengths.start_bytes;
        append_error(w, out, start, lengths.start_bytes, message, lengths.message_bytes);
        at += sizeof lengths + lengths.start_bytes + lengths.message_bytes;
    }
    out->failed |= w->waiting.failed;
    ob_strbuf_release(&w->waiting);
}

/* The names of the columns between id and error, each with a comma before it. */
static void append_columns(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    switch (record->kind) {
    case OB_RECORD_EMBEDDING:
        for (size_t i = 0; i < record->arrays[0].shape[0]; i++)
            ob_strbuf_printf(out, ",e%zu", i);
        break;
    case OB_RECORD_LABELS:
        w->lists = record->as_list;
        ob_strbuf_puts(out, w->lists ? ",label,score,labels" : ",label,score");
        break;
    case OB_RECORD_ENTITIES:
        ob_strbuf_puts(out, ",entities");
        break;
    case OB_RECORD_ANSWERS:
        w->lists = record->as_list;
        ob_strbuf_puts(out, w->lists ? ",score,start,end,answer,answers" : ",score,start,end,answer");
        break;
    case OB_RECORD_CHOICE:
        ob_strbuf_puts(out, ",choice,score,scores,logits");
        break;
    case OB_RECORD_SCORE:
        w->lists = record->token_scores != NULL;
        ob_strbuf_puts(out, w->lists ? ",score,token_count,token_scores,tokens" : ",score,token_count");
        break;
    default:
        ob_strbuf_puts(out, ",mask,rank,score,token,token_str,sequence");
        break;
    }
}

/* The header line and the errors that waited for it. `record` NULL: no row gave a result. */
static void append_header(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    w->has_header = true;
    ob_strbuf_puts(out, "row,id");
    size_t before = out->length;
    if (record != NULL)
        append_columns(w, record, out);
    w->width = 0;
    for (size_t i = before; i < out->length; i++)
        w->width += out->data[i] == ',';
    ob_strbuf_puts(out, ",error\r\n");
    append_kept_errors(w, out);
}

static void append_predictions(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    for (size_t m = 0; m < record->mask_count; m++)
        for (size_t i = 0; i < record->top_k; i++) {
            const ob_prediction *p = &record->predictions[m * record->top_k + i];
            append_start(w, out, record);
            ob_strbuf_printf(out, ",%zu,%zu", m, i);
            append_float(out, p->score);
            ob_strbuf_printf(out, ",%d", (int)p->token);
            append_cell(out, p->token_str, p->token_str_bytes);
            append_cell(out, p->sequence, p->sequence_bytes);
            ob_strbuf_puts(out, ",\r\n");
        }
}

static void append_labels(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    if (record->label_count > 0) {
        append_cell(out, record->labels[0].label, strlen(record->labels[0].label));
        append_float(out, record->labels[0].score);
    } else {
        ob_strbuf_puts(out, ",,");
    }
    if (w->lists)
        append_json(w, record, ob__json_append_labels, out);
}

static void append_answers(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    if (record->answer_count > 0) {
        const ob_answer *best = &record->answers[0];
        append_float(out, best->score);
        ob_strbuf_printf(out, ",%zu,%zu", best->start, best->end);
        append_cell(out, best->answer, best->answer_bytes);
    } else {
        ob_strbuf_puts(out, ",,,,");
    }
    if (w->lists)
        append_json(w, record, ob__json_append_answers, out);
}

static void append_choice(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    ob_strbuf_printf(out, ",%zu", ob__best_choice(record));
    append_float(out, record->choice_scores[ob__best_choice(record)]);
    append_json(w, record, ob__json_append_choice_scores, out);
    append_json(w, record, ob__json_append_choice_logits, out);
}

static void append_score(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    ob_strbuf_putc(out, ',');
    if (isfinite(record->score))
        ob_json_append_double(out, record->score);
    ob_strbuf_printf(out, ",%zu", record->token_count);
    if (w->lists) {
        append_json(w, record, ob__json_append_token_scores, out);
        append_json(w, record, ob__json_append_tokens, out);
    }
}

/* The columns between id and error. */
static void append_fields(ob_writer *w, const ob_record *record, ob_strbuf *out)
{
    switch (record->kind) {
    case OB_RECORD_PREDICTION:
        ob_strbuf_puts(out, ",,,,,");
        append_cell(out, record->text, record->text_bytes);
        break;
    case OB_RECORD_EMBEDDING:
        for (size_t i = 0; i < record->arrays[0].shape[0]; i++)
            append_float(out, record->arrays[0].data[i]);
        break;
    case OB_RECORD_LABELS:
        append_labels(w, record, out);
        break;
    case OB_RECORD_ENTITIES:
        append_json(w, record, ob__json_append_entities, out);
        break;
    case OB_RECORD_ANSWERS:
        append_answers(w, record, out);
        break;
    case OB_RECORD_CHOICE:
        append_choice(w, record, out);
        break;
    default:
        append_score(w, record, out);
        break;
    }
}

static ob_status append(ob_writer *w, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    (void)err;
    if (record->kind == OB_RECORD_ERROR && !w->has_header) {
        keep_error(w, record);
        out->failed |= w->waiting.failed;
        return OB_OK;
    }
    if (!w->has_header)
        append_header(w, record, out);
    if (record->kind == OB_RECORD_MASKS) {
        append_predictions(w, record, out);
        return OB_OK;
    }
    append_start(w, out, record);
    if (record->kind == OB_RECORD_ERROR) {
        append_error(w, out, "", 0, record->error_message, strlen(record->error_message));
        return OB_OK;
    }
    append_fields(w, record, out);
    ob_strbuf_puts(out, ",\r\n");
    return OB_OK;
}

static ob_status finish(ob_writer *w, ob_error *err)
{
    if (w->has_header || w->waiting.length == 0)
        return OB_OK;
    ob_strbuf_clear(&w->buffer);
    append_header(w, NULL, &w->buffer);
    if (w->buffer.failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for its error rows", w->path);
    return ob__writer_put(w, w->buffer.data, w->buffer.length, err);
}

const ob__format ob__format_csv = {OB_OUTPUT_CSV, "csv",  ".csv", OB__EVERY_RECORD & ~(1u << OB_RECORD_ARRAYS),
                                   false,         append, finish};
