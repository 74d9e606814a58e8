/* A JSON object a line. */
#include "reader_internal.h"

#include <jansson.h>
#include <math.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <oberta/writer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROW_TOKENS ((size_t)1 << 20)
/* Four lists of that many, and some; a value costs up to 130 bytes of memory, so a row cannot ask for all there is. */
#define MAX_ROW_VALUES ((size_t)5 << 20)
#define MAX_CHOICES    4096

/* NULL for a field that is absent or null: tables that are written as JSONL have null where a row has no value. */
static const json_t *given(const json_t *root, const char *field)
{
    const json_t *value = json_object_get(root, field);
    return json_is_null(value) ? NULL : value;
}

static void take_text(ob_row *row, const char *field, const json_t *value, ob_strbuf *out)
{
    if (!json_is_string(value)) {
        ob__row_reject(row, "%s: a string is expected", field);
        return;
    }
    ob_strbuf_append(out, json_string_value(value), json_string_length(value));
}

/* The shortest text that reads back as the same number: 0.1 stays 0.1. */
static void append_real(ob_strbuf *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    bool whole = strpbrk(text, ".e") == NULL;
    ob_strbuf_printf(out, whole ? "%s.0" : "%s", text);
}

/* Any scalar, kept as it would be written. */
static void take_id(ob_row *row, const char *field, const json_t *value)
{
    if (value == NULL)
        return;
    if (json_is_string(value)) {
        ob_json_append_string(&row->id, json_string_value(value), json_string_length(value));
        return;
    }
    if (json_is_real(value)) {
        append_real(&row->id, json_real_value(value));
        return;
    }
    char *text = json_is_object(value) || json_is_array(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    if (text == NULL) {
        ob__row_reject(row, "%s: a string, a number, true, false or null is expected", field);
        return;
    }
    ob_strbuf_puts(&row->id, text);
    free(text);
}

/* An array of `count` integers; NULL where the row has none, or is rejected. */
static int32_t *take_ids(ob_row *row, const json_t *root, const char *field, size_t count)
{
    const json_t *list = given(root, field);
    if (list == NULL || row->defect != OB_OK)
        return NULL;
    if (!json_is_array(list) || json_array_size(list) != count) {
        ob__row_reject(row, "%s: a list of %zu integers is expected, as long as input_ids", field, count);
        return NULL;
    }
    int32_t *out = ob_realloc_array(NULL, count, sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t number = json_integer_value(value);
        if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX) {
            ob__row_reject(row, "%s[%zu]: not an integer of 32 bits", field, i);
            ob_free(out);
            return NULL;
        }
        out[i] = (int32_t)number;
    }
    if (out == NULL)
        ob__row_reject(row, "%s: no memory for %zu tokens", field, count);
    return out;
}

/* Factors of attention, [layer][head]; whether these are the model's layers and heads is for the task to see. */
static void take_head_mask(ob_row *row, const json_t *root)
{
    const json_t *list = given(root, "head_mask");
    if (list == NULL || row->defect != OB_OK)
        return;
    size_t layers = json_array_size(list), heads = json_array_size(json_array_get(list, 0));
    if (layers == 0 || heads == 0) {
        ob__row_reject(row, "head_mask: a list of layers is expected, each a list of numbers, one a head");
        return;
    }
    float *out = layers <= MAX_ROW_VALUES / heads ? ob_realloc_array(NULL, layers * heads, sizeof *out) : NULL;
    if (out == NULL) {
        ob__row_reject(row, "head_mask: no memory for %zu layers of %zu heads", layers, heads);
        return;
    }
    row->head_mask = out;
    row->head_mask_layers = layers;
    row->head_mask_heads = heads;
    for (size_t i = 0; i < layers; i++) {
        const json_t *layer = json_array_get(list, i);
        if (json_array_size(layer) != heads) {
            ob__row_reject(row, "head_mask[%zu]: a list of %zu numbers is expected, as many as in head_mask[0]", i,
                           heads);
            return;
        }
        for (size_t k = 0; k < heads; k++) {
            const json_t *value = json_array_get(layer, k);
            *out++ = (float)json_number_value(value);
            if (!json_is_number(value) || !isfinite(out[-1])) {
                ob__row_reject(row, "head_mask[%zu][%zu]: not a number of float32's range", i, k);
                return;
            }
        }
    }
}

static void take_tokens(ob_row *row, const char *name, const json_t *root)
{
    const json_t *list = json_object_get(root, name);
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count == 0 || count > MAX_ROW_TOKENS) {
        ob__row_reject(row, "%s: a list of 1 to 1,048,576 integers is expected", name);
        return;
    }
    row->tokenised = true;
    row->token_count = count;
    row->input_ids = take_ids(row, root, name, count);
    row->token_type_ids = take_ids(row, root, "token_type_ids", count);
    row->position_ids = take_ids(row, root, "position_ids", count);
    row->attention_mask = take_ids(row, root, "attention_mask", count);
    take_head_mask(row, root);
}

/* A text has no tokens yet that these could be about; left out in silence, they would change what the row means. */
static void refuse_token_fields(ob_row *row, const char *ids_field, const json_t *root)
{
    static const char *const fields[] = {"token_type_ids", "position_ids", "attention_mask", "head_mask"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields && row->defect == OB_OK; i++)
        if (given(root, fields[i]) != NULL)
            ob__row_reject(row, "%s: only a row with %s may bring it", fields[i], ids_field);
}

static ob_choice *add_choice(ob_row *row)
{
    size_t before = row->choice_capacity;
    if (!ob_array_reserve((void **)&row->choices, &row->choice_capacity, row->choice_count + 1, sizeof *row->choices))
        return NULL;
    for (size_t i = before; i < row->choice_capacity; i++)
        row->choices[i] = (ob_choice){OB_STRBUF_INIT, OB_STRBUF_INIT};
    ob_choice *choice = &row->choices[row->choice_count++];
    ob_strbuf_clear(&choice->prompt);
    ob_strbuf_clear(&choice->text);
    return choice;
}

/* [[prompt, choice], ...] */
static ob_status take_choices(ob_row *row, const char *field, const json_t *list, ob_error *err)
{
    size_t count = json_array_size(list);
    if (count == 0 || count > MAX_CHOICES) {
        ob__row_reject(row, "%s: a list of 1 to %d pairs [prompt, choice] is expected", field, MAX_CHOICES);
        return OB_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(list, i), *prompt = json_array_get(pair, 0),
                     *text = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_string(prompt) || !json_is_string(text)) {
            ob__row_reject(row, "%s[%zu]: a pair of strings is expected: [prompt, choice]", field, i);
            return OB_OK;
        }
        ob_choice *choice = add_choice(row);
        if (choice != NULL) {
            ob_strbuf_append(&choice->prompt, json_string_value(prompt), json_string_length(prompt));
            ob_strbuf_append(&choice->text, json_string_value(text), json_string_length(text));
        }
        if (choice == NULL || choice->prompt.failed || choice->text.failed)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu choices", count);
    }
    return OB_OK;
}

static void take_texts(ob_row *row, const ob_input_spec *spec, const json_t *root)
{
    const char *text_field = ob__text_field(spec), *pair_field = ob__pair_field(spec);
    const json_t *text = json_object_get(root, text_field), *pair = given(root, pair_field);
    if (text == NULL) {
        ob__row_reject(row, "%s: the field is missing", text_field);
        return;
    }
    take_text(row, text_field, text, &row->text);
    if (pair == NULL && ob__pair_required(spec))
        ob__row_reject(row, "%s: the field is missing", pair_field);
    row->has_pair = pair != NULL;
    if (row->has_pair)
        take_text(row, pair_field, pair, &row->pair);
}

static ob_status take_row(ob_row *row, const ob_input_spec *spec, const json_t *root, ob_error *err)
{
    const char *ids_field = spec->ids_field != NULL ? spec->ids_field : "input_ids";
    const char *choices_field = spec->choices_field != NULL ? spec->choices_field : "choices";
    const json_t *choices = given(root, choices_field), *ids = given(root, ids_field);
    take_id(row, spec->id_field, json_object_get(root, spec->id_field));
    if (spec->form == OB_ROWS_OF_CHOICES || (spec->form == OB_ROWS_OF_TEXTS && choices != NULL &&
                                             json_object_get(root, spec->text_field) == NULL && ids == NULL))
        return take_choices(row, choices_field, choices, err);
    if (ids != NULL) {
        take_tokens(row, ids_field, root);
    } else {
        take_texts(row, spec, root);
        refuse_token_fields(row, ids_field, root);
    }
    return OB_OK;
}

/* False where the line holds more values than a row may. Counts no less than jansson would make: the two agree on where
 * strings end up to the first syntax error, and there jansson stops. */
static bool values_fit(const char *line, size_t bytes)
{
    size_t values = 1;
    bool in_string = false;
    for (size_t i = 0; bytes > MAX_ROW_VALUES && i < bytes; i++) {
        if (in_string && line[i] == '\\')
            i++;
        else if (line[i] == '"')
            in_string = !in_string;
        else if (!in_string && strchr("[{,:", line[i]) != NULL && ++values > MAX_ROW_VALUES)
            return false;
    }
    return true;
}

ob_status ob__jsonl_row(const ob_input_spec *spec, const char *line, size_t bytes, ob_row *row, ob_error *err)
{
    size_t invalid = ob_utf8_invalid_at(line, bytes);
    if (invalid < bytes) {
        ob__row_reject(row, "invalid UTF-8 at byte %zu of the line", invalid);
        return OB_OK;
    }
    if (!values_fit(line, bytes)) {
        ob__row_reject(row, "more than %zu values", MAX_ROW_VALUES);
        return OB_OK;
    }
    json_error_t json_err;
    json_t *root = json_loadb(line, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &json_err);
    if (root == NULL && json_error_code(&json_err) == json_error_out_of_memory)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu bytes", bytes);
    if (root == NULL) {
        ob__row_reject(row, "not JSON: column %d: %s", json_err.column, json_err.text);
        return OB_OK;
    }
    ob_status status = OB_OK;
    if (json_is_object(root))
        status = take_row(row, spec, root, err);
    else
        ob__row_reject(row, "not a JSON object");
    json_decref(root);
    if (status == OB_OK && (row->text.failed || row->pair.failed || row->id.failed))
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu bytes", bytes);
    return status;
}
