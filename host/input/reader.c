/* Rows of several inputs in sequence. */
#include "reader_internal.h"

#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct ob_reader {
    const ob_input_spec *inputs; /* the caller's */
    size_t count, current;
    bool open;
    ob__stream stream;
    ob_input_format format; /* of the current input; not AUTO */
    ob__csv_columns columns;
    ob_strbuf line;
    uint64_t next_row, bytes_before; /* of the inputs that are done */
    uint64_t total;                  /* bytes of all inputs, 0 where one of them is not a regular file */
};

void ob_row_init(ob_row *row)
{
    *row = (ob_row){.number = 0};
}

static void free_ids(ob_row *row)
{
    ob_free(row->input_ids);
    ob_free(row->token_type_ids);
    ob_free(row->position_ids);
    ob_free(row->attention_mask);
    ob_free(row->head_mask);
    row->input_ids = row->token_type_ids = row->position_ids = row->attention_mask = NULL;
    row->head_mask = NULL;
    row->token_count = row->head_mask_layers = row->head_mask_heads = 0;
    row->tokenised = false;
}

void ob_row_clear(ob_row *row)
{
    ob_strbuf_clear(&row->text);
    ob_strbuf_clear(&row->pair);
    ob_strbuf_clear(&row->id);
    ob_strbuf_clear(&row->defect_text);
    free_ids(row);
    row->has_pair = false;
    row->choice_count = 0;
    row->defect = OB_OK;
}

void ob_row_release(ob_row *row)
{
    ob_strbuf_release(&row->text);
    ob_strbuf_release(&row->pair);
    ob_strbuf_release(&row->id);
    ob_strbuf_release(&row->defect_text);
    for (size_t i = 0; i < row->choice_capacity; i++) {
        ob_strbuf_release(&row->choices[i].prompt);
        ob_strbuf_release(&row->choices[i].text);
    }
    ob_free(row->choices);
    row->choices = NULL;
    row->choice_count = row->choice_capacity = 0;
    free_ids(row);
}

void ob__row_reject(ob_row *row, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    row->defect = OB_ERR_INPUT;
    ob_strbuf_clear(&row->defect_text);
    ob_strbuf_puts(&row->defect_text, text);
}

const char *ob__text_field(const ob_input_spec *spec)
{
    if (spec->form != OB_ROWS_OF_QUESTIONS)
        return spec->text_field;
    return spec->question_field != NULL ? spec->question_field : "question";
}

const char *ob__pair_field(const ob_input_spec *spec)
{
    if (spec->form != OB_ROWS_OF_QUESTIONS)
        return spec->pair_field;
    return spec->context_field != NULL ? spec->context_field : "context";
}

bool ob__pair_required(const ob_input_spec *spec)
{
    return spec->pair_required || spec->form == OB_ROWS_OF_QUESTIONS;
}

void ob__row_check_text(ob_row *row, const char *what, const ob_strbuf *text)
{
    size_t invalid = ob_utf8_invalid_at(ob_strbuf_text(text), text->length);
    if (row->defect == OB_OK && invalid < text->length)
        ob__row_reject(row, "%s: invalid UTF-8 at byte %zu", what, invalid);
}

static ob_input_format format_from_path(const char *path)
{
    static const struct {
        const char *ending;
        ob_input_format format;
    } endings[] = {
        {".jsonl", OB_INPUT_JSONL}, {".ndjson", OB_INPUT_JSONL}, {".csv", OB_INPUT_CSV}, {".tsv", OB_INPUT_TSV}};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i].ending);
        if (length >= ending && strcmp(path + length - ending, endings[i].ending) == 0)
            return endings[i].format;
    }
    return OB_INPUT_TEXT;
}

ob_status ob_row_parse_json(const ob_input_spec *spec, const char *text, size_t bytes, ob_row *row, ob_error *err)
{
    return ob__jsonl_row(spec, text, bytes, row, err);
}

static char separator(const ob_reader *r)
{
    return r->format == OB_INPUT_CSV ? ',' : '\t';
}

static ob_status open_current(ob_reader *r, ob_error *err)
{
    const ob_input_spec *spec = &r->inputs[r->current];
    if (ob__stream_open(spec->path, &r->stream, err) != OB_OK)
        return ob_error_status(err);
    r->open = true;
    r->format = spec->format != OB_INPUT_AUTO ? spec->format : format_from_path(spec->path);
    if (spec->form == OB_ROWS_OF_CHOICES && r->format != OB_INPUT_JSONL)
        return ob_error_set(err, OB_ERR_CONFIG, "%s: inputs.format: choices come as jsonl alone", r->stream.name);
    if (spec->form == OB_ROWS_OF_QUESTIONS && r->format == OB_INPUT_TEXT)
        return ob_error_set(err, OB_ERR_CONFIG, "%s: inputs.format: questions with contexts come as jsonl, csv or tsv",
                            r->stream.name);
    if (r->format == OB_INPUT_CSV || r->format == OB_INPUT_TSV)
        return ob__csv_header(spec, &r->stream, separator(r), &r->columns, err);
    return OB_OK;
}

static uint64_t total_bytes(const ob_input_spec *inputs, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        if (strcmp(inputs[i].path, "-") == 0 || stat(inputs[i].path, &info) != 0 || !S_ISREG(info.st_mode))
            return 0;
        total += (uint64_t)info.st_size;
    }
    return total;
}

ob_status ob_reader_create(const ob_input_spec *inputs, size_t count, ob_reader **out, ob_error *err)
{
    ob_reader *r = ob_calloc(1, sizeof *r);
    if (r == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a reader");
    r->inputs = inputs;
    r->count = count;
    r->total = total_bytes(inputs, count);
    if (count > 0 && open_current(r, err) != OB_OK) {
        ob_reader_destroy(r);
        return ob_error_status(err);
    }
    *out = r;
    return OB_OK;
}

static void close_current(ob_reader *r)
{
    if (r->open)
        ob__stream_close(&r->stream);
    r->open = false;
}

void ob_reader_destroy(ob_reader *r)
{
    if (r == NULL)
        return;
    close_current(r);
    ob_strbuf_release(&r->line);
    ob_free(r);
}

static ob_status read_line_row(ob_reader *r, ob_row *row, bool *more, ob_error *err)
{
    if (r->format == OB_INPUT_TEXT) {
        ob_status status = ob__stream_line(&r->stream, &row->text, more, err);
        if (status == OB_OK && *more)
            ob__row_check_text(row, "text", &row->text);
        return status;
    }
    ob_strbuf_clear(&r->line);
    ob_status status = ob__stream_line(&r->stream, &r->line, more, err);
    if (status != OB_OK || !*more)
        return status;
    return ob__jsonl_row(&r->inputs[r->current], ob_strbuf_text(&r->line), r->line.length, row, err);
}

ob_status ob_reader_next(ob_reader *r, ob_row *row, bool *more, ob_error *err)
{
    *more = false;
    while (r->current < r->count) {
        if (!r->open && open_current(r, err) != OB_OK)
            return ob_error_status(err);
        const ob_input_spec *spec = &r->inputs[r->current];
        row->file = r->stream.name;
        row->line = r->stream.line;
        bool table = r->format == OB_INPUT_CSV || r->format == OB_INPUT_TSV;
        ob_status status = table ? ob__csv_row(spec, &r->stream, separator(r), &r->columns, row, more, err)
                                 : read_line_row(r, row, more, err);
        if (status != OB_OK)
            return status;
        if (*more) {
            row->number = r->next_row++;
            return OB_OK;
        }
        r->bytes_before += r->stream.offset;
        close_current(r);
        r->current++;
    }
    return OB_OK;
}

bool ob_reader_ready(const ob_reader *r)
{
    return !r->open || ob__stream_ready(&r->stream);
}

void ob_reader_progress(const ob_reader *r, uint64_t *done, uint64_t *total)
{
    *done = r->bytes_before + (r->open ? r->stream.offset : 0);
    *total = r->total;
}
