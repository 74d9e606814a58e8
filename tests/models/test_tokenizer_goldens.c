/* The tokenizer against what Hugging Face's fast tokenizer gives: ids, tokens, offsets, word ids, masks, decoded text.
 */
#include "test_support.h"
#include "tokenizer_rows.h"

#include <jansson.h>
#include <oberta/tokenizer.h>
#include <zlib.h>

typedef struct goldens {
    ob_tokenizer *tokenizer;
    ob_tokenizer_cache *cache;
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

static void check_encode(goldens *g, const json_t *want)
{
    row_options options = {.windows = false};
    ob_encode_options_default(&options.encode);
    options.encode.details = true;
    read_row_options(json_object_get(want, "options"), &options);
    const json_t *text = json_object_get(want, "text"), *pair = json_object_get(want, "text_pair");
    const json_t *batch = json_object_get(want, "batch");
    bool right = true;
    if (batch == NULL)
        right = row_is_right(g->tokenizer, g->cache, text, pair, &options, want);
    for (size_t i = 0; i < json_array_size(batch); i++)
        right &= row_is_right(g->tokenizer, g->cache, json_array_get(text, i), json_array_get(pair, i), &options,
                              json_array_get(batch, i));
    g->padded += options.padded;
    g->passed += right;
    g->failed += !right;
    if (!right && g->failed < 20) {
        char *shown = json_dumps(want, JSON_COMPACT);
        printf("wrong: %.300s\n", shown);
        free(shown);
    }
}

static bool is_missing(const char *token, const json_t *missing)
{
    size_t i;
    const json_t *symbol;
    json_array_foreach(missing, i, symbol) if (strstr(token, json_string_value(symbol)) != NULL) return true;
    return false;
}

/* Takes the tokens that hold one of these symbols, and their merges, out of the model. */
static void remove_tokens(json_t *model, const json_t *missing)
{
    json_t *vocab = json_object(), *merges = json_array(), *id, *pair;
    const char *token;
    size_t i;
    json_object_foreach(json_object_get(model, "vocab"), token, id)
    {
        char filler[32];
        bool special = token[0] == '<' && json_integer_value(id) < 4;
        bool mask = strcmp(token, "<mask>") == 0;
        snprintf(filler, sizeof filler, "~~filler%d", (int)json_integer_value(id));
        json_object_set(vocab, special || mask || !is_missing(token, missing) ? token : filler, id);
    }
    json_array_foreach(json_object_get(model, "merges"), i, pair)
    {
        if (!is_missing(json_string_value(json_array_get(pair, 0)), missing) &&
            !is_missing(json_string_value(json_array_get(pair, 1)), missing))
            json_array_append(merges, pair);
    }
    json_object_set_new(model, "vocab", vocab);
    json_object_set_new(model, "merges", merges);
}

static void patch_tokenizer(json_t *root, const json_t *variant)
{
    json_t *value, *model = json_object_get(root, "model");
    const char *key;
    json_object_foreach(json_object_get(variant, "patch"), key, value)
    {
        if (strcmp(key, "model") == 0)
            json_object_update(model, value);
        else
            json_object_set(root, key, value);
    }
    if (json_object_get(variant, "missing") != NULL)
        remove_tokens(model, json_object_get(variant, "missing"));
}

/* A folder with the variant's files: the base's, with the changes that the variant makes in tokenizer.json. */
static void write_variant(const json_t *variant, const char *folder)
{
    const char *base = json_string_value(json_object_get(variant, "base")), *name;
    char path[1024], out[1024];
    json_t *root, *value;
    if (strcmp(base, "vocab_merges") == 0) {
        static const char *const names[] = {"vocab.json", "merges.txt"};
        for (size_t i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/tokenizer/%s/%s", test_data(), base, names[i]);
            snprintf(out, sizeof out, "%s/%s", folder, names[i]);
            assert_int_equal(symlink(path, out), 0);
        }
    } else {
        snprintf(path, sizeof path, "%s/tokenizer/%s/tokenizer.json", test_data(), base);
        root = json_load_file(path, 0, NULL);
        assert_non_null(root);
        patch_tokenizer(root, variant);
        snprintf(out, sizeof out, "%s/tokenizer.json", folder);
        assert_int_equal(json_dump_file(root, out, JSON_COMPACT), 0);
        json_decref(root);
    }
    json_object_foreach(json_object_get(variant, "files"), name, value)
    {
        snprintf(out, sizeof out, "%s/%s", folder, name);
        assert_int_equal(json_dump_file(value, out, JSON_COMPACT), 0);
    }
}

static void remove_variant(const char *folder)
{
    static const char *const names[] = {
        "vocab.json",       "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void check_variant(goldens *g, const json_t *variant)
{
    char folder[] = "/tmp/oberta_variant_XXXXXX";
    ob_error err;
    ob_tokenizer *tokenizer = NULL;
    size_t i;
    const json_t *row;
    assert_non_null(mkdtemp(folder));
    write_variant(variant, folder);
    test_ok(ob_tokenizer_open(folder, &tokenizer, &err), &err);
    json_array_foreach(json_object_get(variant, "rows"), i, row)
    {
        row_options options = {.windows = false};
        ob_tokenizer_options(tokenizer, &options.encode);
        options.encode.details = true;
        read_row_options(json_object_get(row, "options"), &options);
        bool right = row_is_right(tokenizer, NULL, json_object_get(row, "text"), json_object_get(row, "text_pair"),
                                  &options, row);
        g->passed += right;
        g->failed += !right;
    }
    ob_tokenizer_close(tokenizer);
    remove_variant(folder);
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

static void test_files_and_precedence(void **state)
{
    (void)state;
    run("vocab_merges", "variants.jsonl.gz", check_variant);
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
        cmocka_unit_test(test_files_and_precedence),
        cmocka_unit_test(test_tokenizer_decodes_as_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
