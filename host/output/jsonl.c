/* A JSON object a row, with the fields of the transformers pipelines. */
#include "writer_internal.h"

#include <string.h>

/* `name` as it stands before the value: "\"label\":", with a comma where one is due. */
static void append_text(ob_strbuf *out, const char *name, const char *text, size_t bytes)
{
    ob_strbuf_puts(out, name);
    ob_json_append_string(out, text, bytes);
}

static void append_number(ob_strbuf *out, const char *name, float value)
{
    ob_strbuf_puts(out, name);
    ob_json_append_float(out, value);
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
            append_text(out, "\"token_str\":", p->token_str, p->token_str_bytes);
            append_text(out, ",\"sequence\":", p->sequence, p->sequence_bytes);
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
    ob_strbuf_puts(out, "],\"tokens\":");
    ob__json_append_tokens(out, record);
    append_text(out, ",\"text\":", record->text, record->text_bytes);
    ob_strbuf_putc(out, '}');
}

/* Numbers are sent on in pieces of this size: the attention maps of one long row are gigabytes of text. */
#define PIECE_BYTES ((size_t)1 << 20)

static ob_status send_piece(ob_writer *writer, ob_strbuf *out, ob_error *err)
{
    if (out->failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a row's numbers", writer->path);
    ob_status status = ob__writer_put(writer, ob_strbuf_text(out), out->length, err);
    ob_strbuf_clear(out);
    return status;
}

/* A list of lists of numbers, as deep as the array's rank. `data` moves on behind what was written. */
static ob_status append_nested(ob_writer *writer, const size_t *shape, size_t rank, const float **data, ob_strbuf *out,
                               ob_error *err)
{
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < shape[0]; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        if (rank == 1)
            ob_json_append_float(out, *(*data)++);
        else if (append_nested(writer, shape + 1, rank - 1, data, out, err) != OB_OK)
            return ob_error_status(err);
    }
    ob_strbuf_putc(out, ']');
    return out->length < PIECE_BYTES ? OB_OK : send_piece(writer, out, err);
}

static ob_status append_arrays(ob_writer *writer, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    for (size_t i = 0; i < record->array_count; i++) {
        const ob_named_array *array = &record->arrays[i];
        const float *data = array->data;
        ob_strbuf_printf(out, ",\"%s\":", array->name);
        if (append_nested(writer, array->shape, array->rank, &data, out, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

/* The best label as fields of the row, as the pipeline gives it for top_k 1; a list where several were asked for. */
static void append_labels(const ob_record *record, ob_strbuf *out)
{
    if (record->label_count > 0) {
        const ob_label_score *best = &record->labels[0];
        append_text(out, ",\"label\":", best->label, strlen(best->label));
        append_number(out, ",\"score\":", best->score);
    }
    if (record->as_list) {
        ob_strbuf_puts(out, ",\"labels\":");
        ob__json_append_labels(out, record);
    }
}

static void append_answers(const ob_record *record, ob_strbuf *out)
{
    if (record->answer_count > 0) {
        const ob_answer *best = &record->answers[0];
        append_number(out, ",\"score\":", best->score);
        ob_strbuf_printf(out, ",\"start\":%zu,\"end\":%zu", best->start, best->end);
        append_text(out, ",\"answer\":", best->answer, best->answer_bytes);
    }
    if (record->as_list) {
        ob_strbuf_puts(out, ",\"answers\":");
        ob__json_append_answers(out, record);
    }
}

static void append_choice(const ob_record *record, ob_strbuf *out)
{
    ob_strbuf_printf(out, ",\"choice\":%zu", ob__best_choice(record));
    append_number(out, ",\"score\":", record->choice_scores[ob__best_choice(record)]);
    ob_strbuf_puts(out, ",\"scores\":");
    ob__json_append_choice_scores(out, record);
    ob_strbuf_puts(out, ",\"logits\":");
    ob__json_append_choice_logits(out, record);
}

static void append_score(const ob_record *record, ob_strbuf *out)
{
    ob_strbuf_puts(out, ",\"score\":");
    ob_json_append_double(out, record->score);
    ob_strbuf_printf(out, ",\"token_count\":%zu", record->token_count);
    if (record->token_scores == NULL)
        return;
    ob_strbuf_puts(out, ",\"token_scores\":");
    ob__json_append_token_scores(out, record);
    ob_strbuf_puts(out, ",\"tokens\":");
    ob__json_append_tokens(out, record);
}

static ob_status append(ob_writer *writer, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    ob_strbuf_printf(out, "{\"row\":%llu", (unsigned long long)record->row);
    if (record->id[0] != '\0')
        ob_strbuf_printf(out, ",\"id\":%s", record->id);
    switch (record->kind) {
    case OB_RECORD_ERROR:
        ob_strbuf_puts(out, ",\"error\":{");
        append_text(out, "\"code\":", record->error_code, strlen(record->error_code));
        append_text(out, ",\"message\":", record->error_message, strlen(record->error_message));
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
        if (append_arrays(writer, record, out, err) != OB_OK)
            return ob_error_status(err);
        break;
    case OB_RECORD_LABELS:
        append_labels(record, out);
        break;
    case OB_RECORD_ENTITIES:
        ob_strbuf_puts(out, ",\"entities\":");
        ob__json_append_entities(out, record);
        break;
    case OB_RECORD_ANSWERS:
        append_answers(record, out);
        break;
    case OB_RECORD_CHOICE:
        append_choice(record, out);
        break;
    case OB_RECORD_SCORE:
        append_score(record, out);
        break;
    }
    ob_strbuf_puts(out, "}\n");
    return OB_OK;
}

const ob__format ob__format_jsonl = {OB_OUTPUT_JSONL, "jsonl", ".jsonl", OB__EVERY_RECORD, false, append, NULL};
