/* The tokenizer against what Hugging Face's fast tokenizer gives: ids, tokens, offsets, word ids, masks, decoded text.
 */
#include "test_support.h"

#include <jansson.h>
#include <oberta/tokenizer.h>
#include <zlib.h>

typedef struct goldens {
    ob_tokenizer *tokenizer;
    ob_tokenizer_cache *cache;
    ob_encoding_list list;
    size_t passed, failed, padded;
} goldens;

/* Calls `check` for each line of a gzipped JSONL file. */
static void each_line(goldens *g, const char *name, void (*check)(goldens *, const json_t *))
{
    char path[512];
    static char line[1 << 22];
    snprintf(path, sizeof path, "%s/tokenizer/%s", test_data(), name);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    while (gzgets(file, line, sizeof line) != NULL) {
        json_error_t error;
        json_t *root = json_loads(line, JSON_ALLOW_NUL, &error);
        assert_non_null(root);
        check(g, root);
        json_decref(root);
    }
    gzclose(file);
    printf("%s: %zu passed, %zu of them without their padding\n", name, g->passed, g->padded);
    assert_int_equal(g->failed, 0);
    assert_true(g->passed > 100);
}

/* Padding is not the library's: tests/cli compares it. */
typedef struct row_options {
    ob_encode_options encode;
    bool windows, padded, pad_left;
} row_options;

static void read_options(const json_t *options, row_options *out)
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

static bool token_equals(const goldens *g, const ob_encoding *e, size_t i, const json_t *want, size_t at)
{
    const json_t *range = json_array_get(json_object_get(want, "offsets"), at);
    const char *token = json_string_value(json_array_get(json_object_get(want, "tokens"), at));
    const char *own = ob_tokenizer_token(g->tokenizer, e->ids[i]);
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
static bool equal(const goldens *g, const ob_encoding *e, const json_t *want, bool pad_left)
{
    size_t length = json_array_size(json_object_get(want, "input_ids")), kept = 0;
    for (size_t i = 0; i < length; i++)
        kept += number(want, "attention_mask", i) == 1;
    if (kept != e->count)
        return false;
    for (size_t i = 0; i < kept; i++)
        if (!token_equals(g, e, i, want, pad_left ? length - kept + i : i))
            return false;
    return true;
}

static bool check_row(goldens *g, const json_t *text, const json_t *pair, const row_options *options,
                      const json_t *want)
{
    ob_error err;
    ob_error_clear(&err);
    const json_t *overflow = json_object_get(want, "overflow");
    ob_status status = ob_tokenizer_encode_windows(g->tokenizer, g->cache, json_string_value(text),
                                                   json_string_length(text), json_string_value(pair),
                                                   json_string_length(pair), &options->encode, &g->list, &err);
    if (json_object_get(want, "error") != NULL)
        return status == OB_ERR_INPUT;
    if (status != OB_OK || !equal(g, &g->list.windows[0], want, options->pad_left)) {
        printf("%s\n", err.text);
        return false;
    }
    bool right = !options->windows || g->list.count == 1 + json_array_size(overflow);
    for (size_t i = 0; options->windows && right && i < json_array_size(overflow); i++)
        right = equal(g, &g->list.windows[1 + i], json_array_get(overflow, i), options->pad_left);
    ob_encoding alone = OB_ENCODING_INIT;
    test_ok(ob_tokenizer_encode(g->tokenizer, NULL, json_string_value(text), json_string_length(text),
                                json_string_value(pair), json_string_length(pair), &options->encode, &alone, &err),
            &err);
    right = right && equal(g, &alone, want, options->pad_left);
    ob_encoding_release(&alone);
    return right;
}

static void check_encode(goldens *g, const json_t *want)
{
    row_options options = {.windows = false};
    ob_encode_options_default(&options.encode);
    options.encode.details = true;
    read_options(json_object_get(want, "options"), &options);
    const json_t *text = json_object_get(want, "text"), *pair = json_object_get(want, "text_pair");
    const json_t *batch = json_object_get(want, "batch");
    bool right = true;
    if (batch == NULL)
        right = check_row(g, text, pair, &options, want);
    for (size_t i = 0; i < json_array_size(batch); i++)
        right &= check_row(g, json_array_get(text, i), json_array_get(pair, i), &options, json_array_get(batch, i));
    g->padded += options.padded;
    g->passed += right;
    g->failed += !right;
    if (!right && g->failed < 20) {
        char *shown = json_dumps(want, JSON_COMPACT);
        printf("wrong: %.300s\n", shown);
        free(shown);
    }
}

static void check_decode(goldens *g, const json_t *want)
{
    int32_t ids[4096];
    const json_t *list = json_object_get(want, "ids"), *text = json_object_get(want, "text");
    size_t count = json_array_size(list);
    assert_true(count <= 4096);
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    ob_strbuf out = OB_STRBUF_INIT;
    ob_error err;
    ob_error_clear(&err);
    ob_status status =
        ob_tokenizer_decode(g->tokenizer, ids, count, json_is_true(json_object_get(want, "skip_special_tokens")),
                            json_is_true(json_object_get(want, "clean_up_tokenization_spaces")), &out, &err);
    bool right = status == OB_OK && out.length == json_string_length(text) &&
                 memcmp(ob_strbuf_text(&out), json_string_value(text), out.length) == 0;
    g->passed += right;
    g->failed += !right;
    if (!right && g->failed < 20)
        printf("wrong: '%s', expected '%s'\n", ob_strbuf_text(&out), json_string_value(text));
    ob_strbuf_release(&out);
}

static void run(const char *folder, const char *file, void (*check)(goldens *, const json_t *))
{
    char path[512];
    ob_error err;
    goldens g = {.tokenizer = NULL};
    snprintf(path, sizeof path, "%s/tokenizer/%s", test_data(), folder);
    test_ok(ob_tokenizer_open(path, &g.tokenizer, &err), &err);
    g.cache = ob_tokenizer_cache_create();
    each_line(&g, file, check);
    ob_encoding_list_release(&g.list);
    ob_tokenizer_cache_destroy(g.cache);
    ob_tokenizer_close(g.tokenizer);
}

static void test_tokenizer_matches_reference(void **state)
{
    (void)state;
    run("vocab_merges", "cases.jsonl.gz", check_encode);
    run("tokenizer_json", "cases.jsonl.gz", check_encode);
    run("tokenizer_json_old", "cases.jsonl.gz", check_encode);
}

static void test_tokenizer_matches_reference_with_prefix_space(void **state)
{
    (void)state;
    run("prefix_space", "cases_prefix_space.jsonl.gz", check_encode);
}

static void test_tokenizer_decodes_as_reference(void **state)
{
    (void)state;
    run("vocab_merges", "decode.jsonl.gz", check_decode);
    run("tokenizer_json", "decode.jsonl.gz", check_decode);
    run("tokenizer_json_old", "decode.jsonl.gz", check_decode);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_matches_reference),
        cmocka_unit_test(test_tokenizer_matches_reference_with_prefix_space),
        cmocka_unit_test(test_tokenizer_decodes_as_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
