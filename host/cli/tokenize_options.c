/* Options of a row, named and resolved as transformers does. */
#include "tokenize_row.h"

#include <oberta/utf8.h>
#include <string.h>

#define MAX_LENGTH ((json_int_t)1 << 40) /* longer than any text; no sum of such lengths wraps */

/* What was read of the object before the options depend on one another. */
typedef struct raw_options {
    const json_t *truncation, *padding, *max_length;
} raw_options;

static ob_status read_bool(const char *key, const json_t *value, bool *out, ob_error *err)
{
    if (!json_is_boolean(value))
        return ob_error_set(err, OB_ERR_INPUT, "options.%s: true or false is expected", key);
    *out = json_is_true(value);
    return OB_OK;
}

/* null leaves *out as it is. */
static ob_status read_size(const char *key, const json_t *value, json_int_t least, size_t *out, ob_error *err)
{
    json_int_t number = json_integer_value(value);
    if (json_is_null(value))
        return OB_OK;
    if (!json_is_integer(value) || number < least || number > MAX_LENGTH)
        return ob_error_set(err, OB_ERR_INPUT, "options.%s: an integer between %lld and %lld is expected", key,
                            (long long)least, (long long)MAX_LENGTH);
    *out = (size_t)number;
    return OB_OK;
}

static ob_status read_side(const char *key, const json_t *value, bool *left, ob_error *err)
{
    const char *text = json_string_value(value);
    if (text == NULL || (strcmp(text, "left") != 0 && strcmp(text, "right") != 0))
        return ob_error_set(err, OB_ERR_INPUT, "options.%s: \"left\" or \"right\" is expected", key);
    *left = strcmp(text, "left") == 0;
    return OB_OK;
}

static ob_status unknown_option(const char *key, ob_error *err)
{
    static const char *const names[] = {"truncation",     "max_length",           "stride",
                                        "padding",        "pad_to_multiple_of",   "add_special_tokens",
                                        "padding_side",   "split_special_tokens", "return_overflowing_tokens",
                                        "truncation_side"};
    const char *nearest = ob_text_nearest(key, names, sizeof names / sizeof *names);
    if (nearest != NULL)
        return ob_error_set(err, OB_ERR_INPUT, "options.%.60s: unknown; did you mean '%s'?", key, nearest);
    return ob_error_set(err, OB_ERR_INPUT, "options.%.60s: unknown", key);
}

static ob_status read_option(const char *key, const json_t *value, raw_options *raw, tokenize_options *out,
                             ob_error *err)
{
    if (strcmp(key, "truncation") == 0)
        raw->truncation = json_is_null(value) ? NULL : value;
    else if (strcmp(key, "padding") == 0)
        raw->padding = json_is_null(value) ? NULL : value;
    else if (strcmp(key, "max_length") == 0) {
        raw->max_length = json_is_null(value) ? NULL : value;
        return read_size(key, value, 0, &out->encode.max_length, err);
    } else if (strcmp(key, "stride") == 0)
        return read_size(key, value, 0, &out->encode.stride, err);
    else if (strcmp(key, "pad_to_multiple_of") == 0)
        return read_size(key, value, 1, &out->pad_multiple, err);
    else if (strcmp(key, "add_special_tokens") == 0)
        return read_bool(key, value, &out->encode.add_special_tokens, err);
    else if (strcmp(key, "split_special_tokens") == 0)
        return read_bool(key, value, &out->encode.split_special_tokens, err);
    else if (strcmp(key, "return_overflowing_tokens") == 0)
        return read_bool(key, value, &out->windows, err);
    else if (strcmp(key, "truncation_side") == 0)
        return read_side(key, value, &out->encode.truncate_left, err);
    else if (strcmp(key, "padding_side") == 0)
        return json_is_null(value) ? OB_OK : read_side(key, value, &out->pad_left, err);
    else
        return unknown_option(key, err);
    return OB_OK;
}

/* The position of a string among names, -1 for none. */
static int find_name(const json_t *value, const char *const *names, int count)
{
    const char *text = json_string_value(value);
    for (int i = 0; text != NULL && i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

static ob_status resolve_truncation(const raw_options *raw, tokenize_options *out, ob_error *err)
{
    static const char *const names[] = {"do_not_truncate", "longest_first", "only_first", "only_second"};
    static const ob_truncation values[] = {OB_TRUNCATION_NONE, OB_TRUNCATION_LONGEST_FIRST, OB_TRUNCATION_ONLY_FIRST,
                                           OB_TRUNCATION_ONLY_SECOND};
    bool pads = raw->padding != NULL && !json_is_false(raw->padding);
    if (raw->truncation == NULL) /* a length alone cuts */
        out->encode.truncation = raw->max_length != NULL && !pads ? OB_TRUNCATION_LONGEST_FIRST : OB_TRUNCATION_NONE;
    else if (json_is_boolean(raw->truncation))
        out->encode.truncation = json_is_true(raw->truncation) ? OB_TRUNCATION_LONGEST_FIRST : OB_TRUNCATION_NONE;
    else {
        int at = find_name(raw->truncation, names, 4);
        if (at < 0)
            return ob_error_set(
                err, OB_ERR_INPUT,
                "options.truncation: true, false, \"longest_first\", \"only_first\", \"only_second\" or "
                "\"do_not_truncate\" is expected");
        out->encode.truncation = values[at];
    }
    return OB_OK;
}

static ob_status resolve_padding(const raw_options *raw, tokenize_options *out, ob_error *err)
{
    static const char *const names[] = {"do_not_pad", "longest", "max_length"};
    static const tokenize_padding values[] = {PADDING_NONE, PADDING_LONGEST, PADDING_MAX_LENGTH};
    if (raw->padding == NULL)
        return OB_OK;
    if (json_is_boolean(raw->padding)) {
        out->padding = json_is_true(raw->padding) ? PADDING_LONGEST : PADDING_NONE;
        return OB_OK;
    }
    int at = find_name(raw->padding, names, 3);
    if (at < 0)
        return ob_error_set(err, OB_ERR_INPUT,
                            "options.padding: true, false, \"longest\", \"max_length\" or \"do_not_pad\" is expected");
    out->padding = values[at];
    return OB_OK;
}

/* Without a max_length the model's counts; without that either, nothing is cut or filled up. */
static void resolve_length(const ob_tokenizer *tokenizer, const raw_options *raw, tokenize_options *out)
{
    if (raw->max_length == NULL) {
        out->encode.max_length = ob_tokenizer_model_max_length(tokenizer);
        if (out->encode.max_length == 0) {
            out->encode.truncation = OB_TRUNCATION_NONE;
            out->padding = out->padding == PADDING_MAX_LENGTH ? PADDING_NONE : out->padding;
        }
    }
    out->pad_length = out->encode.max_length;
}

void tokenize_options_default(const ob_tokenizer *tokenizer, tokenize_options *out)
{
    *out = (tokenize_options){.pad_left = ob_tokenizer_pads_left(tokenizer)};
    ob_tokenizer_options(tokenizer, &out->encode);
    out->encode.details = true;
}

ob_status tokenize_options_read(const ob_tokenizer *tokenizer, const json_t *object, tokenize_options *out,
                                ob_error *err)
{
    raw_options raw = {NULL, NULL, NULL};
    const char *key;
    json_t *value;
    tokenize_options_default(tokenizer, out);
    if (object != NULL && !json_is_null(object) && !json_is_object(object))
        return ob_error_set(err, OB_ERR_INPUT, "options: an object is expected");
    json_object_foreach((json_t *)(uintptr_t)object, key,
                        value) if (read_option(key, value, &raw, out, err) != OB_OK) return ob_error_status(err);
    if (resolve_truncation(&raw, out, err) != OB_OK || resolve_padding(&raw, out, err) != OB_OK)
        return ob_error_status(err);
    resolve_length(tokenizer, &raw, out);
    if (out->padding != PADDING_NONE && ob_tokenizer_special_id(tokenizer, OB_TOKEN_PAD) < 0)
        return ob_error_set(err, OB_ERR_INPUT, "options.padding: the tokenizer has no token to pad with");
    if (out->encode.truncation != OB_TRUNCATION_NONE && out->padding != PADDING_NONE && out->pad_multiple > 0 &&
        out->encode.max_length % out->pad_multiple != 0)
        return ob_error_set(err, OB_ERR_INPUT,
                            "options.pad_to_multiple_of: texts are cut to %zu tokens, which is no multiple of %zu",
                            out->encode.max_length, out->pad_multiple);
    return OB_OK;
}
