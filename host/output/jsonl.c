/* A JSON object a row, with the fields of the transformers pipelines. */
#include "writer_internal.h"

#include <string.h>

static void append_text(ob_strbuf *out, const char *name, const char *text, size_t bytes)
{
    ob_strbuf_printf(out, "\"%s\":", name);
    ob_json_append_string(out, text, bytes);
}

static void append_masks(const ob_record *record, ob_strbuf *out)
{
    ob_strbuf_puts(out, ",\"masks\":[");
    for (size_t m = 0; m < record->mask_count; m++) {
        ob_strbuf_puts(out, m > 0 ? ",[" : "[");
        for (size_t i = 0; i < record->top_k; i++) {
            const ob_prediction *p = &record->predictions[m * record->top_k + i];
            ob_strbuf_puts(out, i > 0 ? ",{\"score\":" : "{\"score\":");
            ob_json_append_float(out, p->score);
            ob_strbuf_printf(out, ",\"token\":%d,", (int)p->token);
            append_text(out, "token_str", p->token_str, p->token_str_bytes);
            ob_strbuf_putc(out, ',');
            append_text(out, "sequence", p->sequence, p->sequence_bytes);
            ob_strbuf_putc(out, '}');
        }
        ob_strbuf_putc(out, ']');
    }
    ob_strbuf_putc(out, ']');
}

static void append_prediction(const ob_record *record, ob_strbuf *out)
{
    ob_strbuf_puts(out, ",\"prediction\":{\"input_ids\":[");
    for (size_t i = 0; i < record->token_count; i++)
        ob_strbuf_printf(out, i > 0 ? ",%d" : "%d", (int)record->token_ids[i]);
    ob_strbuf_puts(out, "],\"tokens\":[");
    for (size_t i = 0; i < record->token_count; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        ob_json_append_string(out, record->tokens[i], strlen(record->tokens[i]));
    }
    ob_strbuf_puts(out, "],");
    append_text(out, "text", record->text, record->text_bytes);
    ob_strbuf_putc(out, '}');
}

/* A list of lists of numbers, as deep as the array's rank. */
static const float *append_nested(const size_t *shape, size_t rank, const float *data, ob_strbuf *out)
{
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < shape[0]; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        if (rank > 1)
            data = append_nested(shape + 1, rank - 1, data, out);
        else
            ob_json_append_float(out, *data++);
    }
    ob_strbuf_putc(out, ']');
    return data;
}

static void append_arrays(const ob_record *record, ob_strbuf *out)
{
    for (size_t i = 0; i < record->array_count; i++) {
        const ob_named_array *array = &record->arrays[i];
        ob_strbuf_printf(out, ",\"%s\":", array->name);
        append_nested(array->shape, array->rank, array->data, out);
    }
}

static ob_status append(ob_writer *writer, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    (void)writer;
    (void)err;
    ob_strbuf_printf(out, "{\"row\":%llu", (unsigned long long)record->row);
    if (record->id[0] != '\0')
        ob_strbuf_printf(out, ",\"id\":%s", record->id);
    switch (record->kind) {
    case OB_RECORD_ERROR:
        ob_strbuf_puts(out, ",\"error\":{");
        append_text(out, "code", record->error_code, strlen(record->error_code));
        ob_strbuf_putc(out, ',');
        append_text(out, "message", record->error_message, strlen(record->error_message));
        ob_strbuf_putc(out, '}');
        break;
    case OB_RECORD_MASKS:
        append_masks(record, out);
        break;
    case OB_RECORD_PREDICTION:
        append_prediction(record, out);
        break;
    case OB_RECORD_EMBEDDING:
    case OB_RECORD_ARRAYS:
        append_arrays(record, out);
        break;
    default:
        break;
    }
    ob_strbuf_puts(out, "}\n");
    return OB_OK;
}

const ob__format ob__format_jsonl = {OB_OUTPUT_JSONL,
                                     "jsonl",
                                     ".jsonl",
                                     1u << OB_RECORD_ERROR | 1u << OB_RECORD_MASKS | 1u << OB_RECORD_PREDICTION |
                                         1u << OB_RECORD_EMBEDDING | 1u << OB_RECORD_ARRAYS,
                                     false,
                                     append,
                                     NULL};
