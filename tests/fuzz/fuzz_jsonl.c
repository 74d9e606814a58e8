/* Lines of any bytes give rows or defects, whatever the rows are to hold; CSV from the same bytes too. */
#include "input/reader_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_table(const ob_input_spec *spec, const uint8_t *data, size_t size, char separator, ob_row *row,
                       ob_error *err)
{
    ob__stream stream;
    ob__csv_columns columns;
    bool more = true;
    if (ob__stream_from_memory((const char *)data, size, &stream, err) != OB_OK)
        return;
    if (ob__csv_header(spec, &stream, separator, &columns, err) == OB_OK)
        while (more && ob__csv_row(spec, &stream, separator, &columns, row, &more, err) == OB_OK)
            ob_row_clear(row);
    ob__stream_close(&stream);
}

static void read_lines(const ob_input_spec *spec, const uint8_t *data, size_t size, ob_row *row, ob_error *err)
{
    ob__stream stream;
    ob_strbuf line = OB_STRBUF_INIT;
    bool more = true;
    if (ob__stream_from_memory((const char *)data, size, &stream, err) != OB_OK)
        return;
    while (ob__stream_line(&stream, &line, &more, err) == OB_OK && more) {
        ob_row_clear(row);
        if (ob__jsonl_row(spec, ob_strbuf_text(&line), line.length, row, err) != OB_OK)
            break;
        ob_strbuf_clear(&line);
    }
    ob__stream_close(&stream);
    ob_strbuf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ob_row_form forms[] = {OB_ROWS_OF_TEXTS, OB_ROWS_OF_QUESTIONS, OB_ROWS_OF_CHOICES};
    static ob_error err;
    char path[] = "-", text[] = "text", pair[] = "text_pair", id[] = "id";
    ob_row row;
    ob_error_clear(&err);
    ob_row_init(&row);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const ob_input_spec spec = {.path = path,
                                    .format = OB_INPUT_JSONL,
                                    .text_field = text,
                                    .pair_field = pair,
                                    .id_field = id,
                                    .pair_required = false,
                                    .form = forms[i]};
        read_lines(&spec, data, size, &row, &err);
        ob_row_clear(&row);
        read_table(&spec, data, size, ',', &row, &err);
        ob_row_clear(&row);
        read_table(&spec, data, size, '\t', &row, &err);
        ob_row_clear(&row);
    }
    ob_row_release(&row);
    return 0;
}
