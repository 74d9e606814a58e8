/* `oberta tokenize --jsonl` and `--decode` against what transformers' fast tokenizer gives, options and padding too. */
#include "test_support.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

typedef struct files {
    char folder[64], rows[96], out[96];
} files;

static json_t *parse(const char *line)
{
    json_error_t error;
    json_t *root = json_loads(line, JSON_ALLOW_NUL, &error);
    assert_non_null(root);
    return root;
}

static gzFile open_cases(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tokenizer/%s", test_data(), name);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    return file;
}

/* The inputs of all cases, without what is expected. */
static size_t write_rows(const char *cases, const files *f, const char *const *keys, size_t key_count)
{
    static char line[1 << 22];
    gzFile in = open_cases(cases);
    FILE *rows = fopen(f->rows, "w");
    size_t count = 0;
    assert_non_null(rows);
    for (; gzgets(in, line, sizeof line) != NULL; count++) {
        json_t *want = parse(line), *row = json_object();
        for (size_t i = 0; i < key_count; i++)
            if (json_object_get(want, keys[i]) != NULL)
                json_object_set(row, keys[i], json_object_get(want, keys[i]));
        assert_int_equal(json_dumpf(row, rows, JSON_COMPACT | JSON_ENSURE_ASCII), 0);
        fputc('\n', rows);
        json_decref(row);
        json_decref(want);
    }
    gzclose(in);
    assert_int_equal(fclose(rows), 0);
    return count;
}

static bool equal(const json_t *want, const json_t *got);

static bool equal_lists(const json_t *want, const json_t *got)
{
    if (json_array_size(want) != json_array_size(got) || json_is_array(want) != json_is_array(got))
        return false;
    for (size_t i = 0; i < json_array_size(want); i++)
        if (!equal(json_array_get(want, i), json_array_get(got, i)))
            return false;
    return true;
}

static bool equal(const json_t *want, const json_t *got)
{
    static const char *const keys[] = {"input_ids",           "tokens",   "offsets",     "attention_mask",
                                       "special_tokens_mask", "word_ids", "sequence_ids"};
    if (json_object_get(want, "error") != NULL)
        return json_is_string(json_object_get(got, "error")) && json_object_size(got) == 1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *a = json_object_get(want, keys[i]), *b = json_object_get(got, keys[i]);
        if (a != b && !json_equal(a, b))
            return false;
    }
    return equal_lists(json_object_get(want, "overflow"), json_object_get(got, "overflow")) &&
           equal_lists(json_object_get(want, "batch"), json_object_get(got, "batch"));
}

static bool equal_text(const json_t *want, const json_t *got)
{
    return json_equal(json_object_get(want, "text"), json_object_get(got, "text"));
}

/* Compares the program's lines with the cases'. */
static void compare(const char *cases, const files *f, size_t count, bool (*same)(const json_t *, const json_t *))
{
    static char line[1 << 22];
    static char got_line[1 << 23];
    gzFile in = open_cases(cases);
    FILE *out = fopen(f->out, "r");
    size_t failed = 0;
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(gzgets(in, line, sizeof line));
        assert_non_null(fgets(got_line, sizeof got_line, out));
        json_t *want = parse(line), *got = parse(got_line);
        if (!same(want, got) && ++failed < 10)
            printf("row %zu: expected %.400s\n  got %.400s\n", i, line, got_line);
        json_decref(want);
        json_decref(got);
    }
    assert_null(fgets(got_line, sizeof got_line, out));
    gzclose(in);
    fclose(out);
    assert_int_equal(failed, 0);
}

/* Exit status of `oberta tokenize` on the rows. */
static int tokenize(const char *model, const char *mode, const files *f)
{
    char command[2048];
    snprintf(command, sizeof command, "'%s' tokenize --model '%s/tokenizer/%s' %s <'%s' >'%s'", TEST_PROGRAM,
             test_data(), model, mode, f->rows, f->out);
    int status = system(command); /* NOLINT: a fixed command line */
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static files make_files(void)
{
    files f;
    snprintf(f.folder, sizeof f.folder, "/tmp/oberta_tokenize_XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.rows, sizeof f.rows, "%s/rows.jsonl", f.folder);
    snprintf(f.out, sizeof f.out, "%s/out.jsonl", f.folder);
    return f;
}

static void remove_files(const files *f)
{
    unlink(f->rows);
    unlink(f->out);
    rmdir(f->folder);
}

/* `refused`: the exit status where some rows are errors. */
static void run(const char *cases, const char *const *models, size_t model_count, bool refused)
{
    static const char *const keys[] = {"text", "text_pair", "options"};
    files f = make_files();
    size_t count = write_rows(cases, &f, keys, 3);
    assert_true(count > 100);
    for (size_t i = 0; i < model_count; i++) {
        assert_int_equal(tokenize(models[i], "--jsonl", &f), refused ? 4 : 0);
        compare(cases, &f, count, equal);
    }
    remove_files(&f);
}

static void test_rows_with_options(void **state)
{
    (void)state;
    static const char *const models[] = {"vocab_merges", "tokenizer_json", "tokenizer_json_old"};
    run("cases.jsonl.gz", models, 3, true);
}

static void test_rows_with_prefix_space(void **state)
{
    (void)state;
    static const char *const models[] = {"prefix_space"};
    run("cases_prefix_space.jsonl.gz", models, 1, false);
}

static void test_decoding(void **state)
{
    (void)state;
    static const char *const keys[] = {"ids", "skip_special_tokens", "clean_up_tokenization_spaces"};
    static const char *const models[] = {"vocab_merges", "tokenizer_json"};
    files f = make_files();
    size_t count = write_rows("decode.jsonl.gz", &f, keys, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tokenize(models[i], "--decode", &f), 0);
        compare("decode.jsonl.gz", &f, count, equal_text);
    }
    remove_files(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_with_options),
        cmocka_unit_test(test_rows_with_prefix_space),
        cmocka_unit_test(test_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
