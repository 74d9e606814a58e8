/* Compares encodings with rows of JSON. */
#include "tokenizer_rows.h"

#include "test_support.h"

void read_row_options(const json_t *options, row_options *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)options, key, value)
    {
        const char *text = json_string_value(value);
        if (strcmp(key, "add_special_tokens") == 0)
            out->encode.add_special_tokens = json_is_true(value);
        else if (strcmp(key, "split_special_tokens") == 0)
            out->encode.split_special_tokens = json_is_true(value);
        else if (strcmp(key, "max_length") == 0)
            out->encode.max_length = (size_t)json_integer_value(value);
        else if (strcmp(key, "stride") == 0)
            out->encode.stride = (size_t)json_integer_value(value);
        else if (strcmp(key, "return_overflowing_tokens") == 0)
            out->windows = json_is_true(value);
        else if (strcmp(key, "truncation_side") == 0)
            out->encode.truncate_left = strcmp(text, "left") == 0;
        else if (strcmp(key, "truncation") == 0)
            out->encode.truncation = strcmp(text, "only_first") == 0    ? OB_TRUNCATION_ONLY_FIRST
                                     : strcmp(text, "only_second") == 0 ? OB_TRUNCATION_ONLY_SECOND
                                                                        : OB_TRUNCATION_LONGEST_FIRST;
        else if (strcmp(key, "padding") == 0)
            out->padded = true;
        else if (strcmp(key, "padding_side") == 0)
            out->pad_left = strcmp(text, "left") == 0;
        else
            assert_string_equal(key, "pad_to_multiple_of");
    }
}

static json_int_t number(const json_t *object, const char *key, size_t i)
{
    const json_t *value = json_array_get(json_object_get(object, key), i);
    return json_is_null(value) ? -1 : json_integer_value(value);
}

static bool token_equals(const ob_tokenizer *tokenizer, const ob_encoding *e, size_t i, const json_t *want, size_t at)
{
    const json_t *range = json_array_get(json_object_get(want, "offsets"), at);
    const char *token = json_string_value(json_array_get(json_object_get(want, "tokens"), at));
    const char *own = ob_tokenizer_token(tokenizer, e->ids[i]);
    json_int_t begin = json_integer_value(json_array_get(range, 0)), end = json_integer_value(json_array_get(range, 1));
    bool right =
        number(want, "input_ids", at) == e->ids[i] && own != NULL && strcmp(token, own) == 0 &&
        begin == (json_int_t)e->offsets[i][0] && end == (json_int_t)e->offsets[i][1] &&
        number(want, "special_tokens_mask", at) == e->special_tokens_mask[i] &&
        number(want, "word_ids", at) == e->word_ids[i] && number(want, "attention_mask", at) == 1 &&
        (json_object_get(want, "sequence_ids") == NULL || number(want, "sequence_ids", at) == e->sequence_ids[i]);
    if (!right)
        printf("token %zu: id %d '%s' (%zu,%zu) word %d, expected id %lld '%s' (%lld,%lld) word %lld\n", i,
               (int)e->ids[i], own, e->offsets[i][0], e->offsets[i][1], (int)e->word_ids[i],
               (long long)number(want, "input_ids", at), token, (long long)begin, (long long)end,
               (long long)number(want, "word_ids", at));
    return right;
}

/* Without the padding that the expected one has. */
static bool equal(const ob_tokenizer *tokenizer, const ob_encoding *e, const json_t *want, bool pad_left)
{
    size_t length = json_array_size(json_object_get(want, "input_ids")), kept = 0;
    for (size_t i = 0; i < length; i++)
        kept += number(want, "attention_mask", i) == 1;
    if (kept != e->count)
        return false;
    for (size_t i = 0; i < kept; i++)
        if (!token_equals(tokenizer, e, i, want, pad_left ? length - kept + i : i))
            return false;
    return true;
}

static bool windows_are_right(const ob_tokenizer *tokenizer, const ob_encoding_list *list, const row_options *options,
                              const json_t *want)
{
    const json_t *overflow = json_object_get(want, "overflow");
    bool right = equal(tokenizer, &list->windows[0], want, options->pad_left);
    if (!options->windows)
        return right;
    right = right && list->count == 1 + json_array_size(overflow);
    for (size_t i = 0; right && i < json_array_size(overflow); i++)
        right = equal(tokenizer, &list->windows[1 + i], json_array_get(overflow, i), options->pad_left);
    return right;
}

bool row_is_right(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const json_t *text, const json_t *pair,
                  const row_options *options, const json_t *want)
{
    ob_error err;
    ob_encoding_list list = {0};
    ob_encoding alone = OB_ENCODING_INIT;
    ob_error_clear(&err);
    ob_status status =
        ob_tokenizer_encode_windows(tokenizer, cache, json_string_value(text), json_string_length(text),
                                    json_string_value(pair), json_string_length(pair), &options->encode, &list, &err);
    ob_status alone_status =
        ob_tokenizer_encode(tokenizer, NULL, json_string_value(text), json_string_length(text), json_string_value(pair),
                            json_string_length(pair), &options->encode, &alone, &err);
    bool right;
    if (json_object_get(want, "error") != NULL)
        right = status == OB_ERR_INPUT && alone_status == OB_ERR_INPUT;
    else
        right = status == OB_OK && alone_status == OB_OK && windows_are_right(tokenizer, &list, options, want) &&
                equal(tokenizer, &alone, want, options->pad_left);
    if (!right)
        printf("%s\n", err.text);
    ob_encoding_release(&alone);
    ob_encoding_list_release(&list);
    return right;
}
