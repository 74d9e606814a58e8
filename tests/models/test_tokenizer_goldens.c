/* The tokenizer against what Hugging Face's fast tokenizer gives: ids, tokens, offsets, word ids, masks, decoded text.
 */
#include "test_support.h"

#include <jansson.h>
#include <oberta/tokenizer.h>
#include <zlib.h>

typedef struct goldens {
    ob_tokenizer *tokenizer;
    ob_tokenizer_cache *cache;
    ob_encoding encoding;
    size_t passed, skipped, failed;
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
    printf("%s: %zu passed, %zu with options that belong to 'tokenize' alone\n", name, g->passed, g->skipped);
    assert_int_equal(g->failed, 0);
    assert_true(g->passed > 100);
}

/* False for options that ob_encode_options does not have (padding, overflow, batches). */
static bool read_options(const json_t *options, ob_encode_options *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)options, key, value)
    {
        if (strcmp(key, "add_special_tokens") == 0)
            out->add_special_tokens = json_is_true(value);
        else if (strcmp(key, "split_special_tokens") == 0)
            out->split_special_tokens = json_is_true(value);
        else if (strcmp(key, "max_length") == 0)
            out->max_length = (size_t)json_integer_value(value);
        else if (strcmp(key, "truncation_side") == 0)
            out->truncate_left = strcmp(json_string_value(value), "left") == 0;
        else if (strcmp(key, "truncation") == 0 && json_is_string(value)) {
            const char *text = json_string_value(value);
            out->truncation = strcmp(text, "only_first") == 0    ? OB_TRUNCATION_ONLY_FIRST
                              : strcmp(text, "only_second") == 0 ? OB_TRUNCATION_ONLY_SECOND
                                                                 : OB_TRUNCATION_LONGEST_FIRST;
        } else if (strcmp(key, "truncation") == 0)
            out->truncation = json_is_true(value) ? OB_TRUNCATION_LONGEST_FIRST : OB_TRUNCATION_NONE;
        else
            return false;
    }
    if (json_object_get(options, "max_length") == NULL)
        out->truncation = OB_TRUNCATION_NONE;
    return true;
}

static json_int_t number(const json_t *object, const char *key, size_t i)
{
    const json_t *value = json_array_get(json_object_get(object, key), i);
    return json_is_null(value) ? -1 : json_integer_value(value);
}

static bool equal(const goldens *g, const json_t *want)
{
    const ob_encoding *e = &g->encoding;
    if (json_array_size(json_object_get(want, "input_ids")) != e->count)
        return false;
    for (size_t i = 0; i < e->count; i++) {
        const json_t *range = json_array_get(json_object_get(want, "offsets"), i);
        const char *token = json_string_value(json_array_get(json_object_get(want, "tokens"), i));
        const char *own = ob_tokenizer_token(g->tokenizer, e->ids[i]);
        if (number(want, "input_ids", i) != e->ids[i] || own == NULL || strcmp(token, own) != 0 ||
            json_integer_value(json_array_get(range, 0)) != (json_int_t)e->offsets[i][0] ||
            json_integer_value(json_array_get(range, 1)) != (json_int_t)e->offsets[i][1] ||
            number(want, "special_tokens_mask", i) != e->special_tokens_mask[i] ||
            number(want, "word_ids", i) != e->word_ids[i] ||
            (json_object_get(want, "sequence_ids") != NULL && number(want, "sequence_ids", i) != e->sequence_ids[i])) {
            printf("token %zu: id %d '%s' (%zu,%zu) word %d, expected id %lld '%s' (%lld,%lld) word %lld\n", i,
                   (int)e->ids[i], own, e->offsets[i][0], e->offsets[i][1], (int)e->word_ids[i],
                   (long long)number(want, "input_ids", i), token,
                   (long long)json_integer_value(json_array_get(range, 0)),
                   (long long)json_integer_value(json_array_get(range, 1)), (long long)number(want, "word_ids", i));
            return false;
        }
    }
    return true;
}

static void check_encode(goldens *g, const json_t *want)
{
    ob_encode_options options;
    ob_encode_options_default(&options);
    options.details = true;
    const json_t *text = json_object_get(want, "text"), *pair = json_object_get(want, "text_pair");
    if (!json_is_string(text) || !read_options(json_object_get(want, "options"), &options)) {
        g->skipped++;
        return;
    }
    ob_error err;
    ob_error_clear(&err);
    ob_status status =
        ob_tokenizer_encode(g->tokenizer, g->cache, json_string_value(text), json_string_length(text),
                            json_string_value(pair), json_string_length(pair), &options, &g->encoding, &err);
    bool right = json_object_get(want, "error") != NULL ? status != OB_OK : status == OB_OK && equal(g, want);
    g->passed += right;
    g->failed += !right;
    if (!right && g->failed < 20) {
        char *shown = json_dumps(want, JSON_COMPACT);
        printf("wrong: %.300s\n%s\n", shown, err.text);
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
    goldens g = {.encoding = OB_ENCODING_INIT};
    snprintf(path, sizeof path, "%s/tokenizer/%s", test_data(), folder);
    test_ok(ob_tokenizer_open(path, &g.tokenizer, &err), &err);
    g.cache = ob_tokenizer_cache_create();
    each_line(&g, file, check);
    ob_encoding_release(&g.encoding);
    ob_tokenizer_cache_destroy(g.cache);
    ob_tokenizer_close(g.tokenizer);
}

static void test_tokenizer_matches_reference(void **state)
{
    (void)state;
    run("vocab_merges", "cases.jsonl.gz", check_encode);
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
