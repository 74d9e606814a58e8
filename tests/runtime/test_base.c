/* The base room: sizes, text, errors, files, exact conversions, processors. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "test_support.h"

#include <math.h>
#include <oberta/dtype.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/processor.h>
#include <oberta/utf8.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

static void test_error_reads_from_task_to_cause(void **state)
{
    (void)state;
    static ob_error err;
    ob_error_clear(&err);
    assert_int_equal(ob_error_set(&err, OB_ERR_IO, "file '%s'", "x"), OB_ERR_IO);
    ob_error_prefix(&err, "loading %d", 3);
    assert_string_equal(err.text, "loading 3: file 'x'");
    ob_error_add(&err, OB_ERR_MODEL, "second");
    assert_string_equal(err.text, "loading 3: file 'x'\nsecond");
    assert_int_equal(err.status, OB_ERR_IO);
    for (int i = 0; i < 4000; i++)
        ob_error_add(&err, OB_ERR_MODEL, "many defects");
    ob_error_prefix(&err, "task");
    assert_true(strlen(err.text) < OB_ERROR_TEXT_BYTES);
    assert_string_equal(err.text + strlen(err.text) - 3, "...");
    assert_int_equal(ob_error_status(NULL), OB_ERR_INTERNAL);
}

static void test_error_prefixes_each_defect(void **state)
{
    (void)state;
    static ob_error err;
    ob_error_clear(&err);
    ob_error_set(&err, OB_ERR_MODEL, "first");
    ob_error_prefix_each(&err, "%s", "folder");
    assert_string_equal(err.text, "folder: first");
    ob_error_add(&err, OB_ERR_MODEL, "second");
    ob_error_add(&err, OB_ERR_MODEL, "third");
    ob_error_prefix_each(&err, "%d", 1);
    assert_string_equal(err.text, "1: folder: first\n1: second\n1: third");
    for (int i = 0; i < 4000; i++)
        ob_error_add(&err, OB_ERR_MODEL, "many defects");
    ob_error_prefix_each(&err, "%0300d", 7);
    assert_true(strlen(err.text) < OB_ERROR_TEXT_BYTES);
    assert_string_equal(err.text + strlen(err.text) - 3, "...");
    assert_int_equal(strspn(err.text, "0"), 299);
}

static void test_sizes_do_not_wrap(void **state)
{
    (void)state;
    size_t out = 7;
    assert_false(ob_size_add(SIZE_MAX, 1, &out));
    assert_false(ob_size_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(ob_size_align(SIZE_MAX - 2, 16, &out));
    assert_int_equal(out, 7);
    assert_true(ob_size_align(17, 16, &out) && out == 32);
    assert_null(ob_realloc_array(NULL, SIZE_MAX / 2, 4));
}

static void test_utf8_refuses_what_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes, invalid;
    } cases[] = {{"abcdefghij", 10, 10},      {"caf\xC3\xA9", 5, 5},      {"a\xC0\x80", 3, 1},
                 {"ab\xED\xA0\x80", 5, 2},    {"\xF4\x90\x80\x80", 4, 0}, {"\x80", 1, 0},
                 {"12345678\xE2\x82", 10, 8}, {"\xF0\x9F\x98\x80", 4, 4}, {"a\0b", 3, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ob_utf8_invalid_at(cases[i].text, cases[i].bytes), cases[i].invalid);
    for (uint32_t c = 0; c < 0x110000; c += c == 0xD7FF ? 0x801 : 1) {
        char text[4];
        size_t bytes = ob_utf8_encode(c, text), decoded;
        assert_true(ob_utf8_decode(text, &decoded) == c && decoded == bytes &&
                    ob_utf8_invalid_at(text, bytes) == bytes);
    }
}

static void test_nearest_word_is_near(void **state)
{
    (void)state;
    static const char *const words[] = {"max_tokens", "sort_by_length", "path"};
    assert_string_equal(ob_text_nearest("max_token", words, 3), "max_tokens");
    assert_string_equal(ob_text_nearest("pth", words, 3), "path");
    assert_null(ob_text_nearest("entirely_else", words, 3));
}

/* Every half against its definition. */
static void test_halves_convert_exactly(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        uint16_t bits = (uint16_t)half;
        int exponent = half >> 10 & 31, fraction = half & 1023;
        double want = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        float got, brain;
        want = (half & 0x8000) != 0 ? -want : want;
        ob_convert_to_f32(&got, &bits, OB_DTYPE_F16, 1);
        if (exponent == 31)
            assert_true(fraction == 0 ? isinf(got) && (signbit(got) != 0) == (half >> 15 != 0) : isnan(got));
        else
            assert_true((double)got == want && (signbit(got) != 0) == (half >> 15 != 0));
        ob_convert_to_f32(&brain, &bits, OB_DTYPE_BF16, 1);
        uint32_t wide;
        memcpy(&wide, &brain, 4);
        assert_int_equal(wide, half << 16);
    }
}

static void test_downloaded_files(void **state)
{
    (void)state;
    static ob_error err;
    ob_error_clear(&err);
    char folder[] = "/tmp/oberta-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = ob_path_join(folder, "file");
    test_refused(ob_file_check_downloaded(path, &err), OB_ERR_MODEL, &err, "file: no such file");
    test_refused(ob_file_check_downloaded(folder, &err), OB_ERR_MODEL, &err, "a folder, not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    test_refused(ob_file_check_downloaded(path, &err), OB_ERR_MODEL, &err, "pipe");
    unlink(path);
    static const char *const contents[] = {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 498\n",
                                           "version https://git", ""};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(contents[i], file) >= 0);
        fclose(file);
        ob_error_clear(&err);
        if (i == 0)
            test_refused(ob_file_check_downloaded(path, &err), OB_ERR_MODEL, &err, "git lfs pull");
        else
            test_ok(ob_file_check_downloaded(path, &err), &err);
    }
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    ob_free(path);
}

static void test_atomic_file_appears_whole_or_not(void **state)
{
    (void)state;
    static ob_error err;
    ob_error_clear(&err);
    char folder[] = "/tmp/oberta-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = ob_path_join(folder, "file");
    ob_atomic_file *file;
    test_ok(ob_atomic_file_create(path, false, &file, &err), &err);
    test_ok(ob_atomic_file_write(file, "abc", 3, &err), &err);
    assert_false(ob_file_exists(path));
    ob_atomic_file_destroy(file);
    assert_false(ob_file_exists(path));
    test_ok(ob_atomic_file_create(path, false, &file, &err), &err);
    test_ok(ob_atomic_file_write(file, "abc", 3, &err), &err);
    test_ok(ob_atomic_file_commit(file, &err), &err);
    ob_atomic_file_destroy(file);
    test_refused(ob_atomic_file_create(path, false, &file, &err), OB_ERR_IO, &err, "exists already");
    ob_strbuf text = OB_STRBUF_INIT;
    test_ok(ob_file_read(path, 3, &text, &err), &err);
    assert_string_equal(ob_strbuf_text(&text), "abc");
    test_refused(ob_file_read(path, 2, &text, &err), OB_ERR_IO, &err, "at most 2");
    test_refused(ob_file_read(folder, 2, &text, &err), OB_ERR_IO, &err, "a folder");
    ob_strbuf_release(&text);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left */
    ob_free(path);
}

static void test_processors_are_those_that_are_allowed(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(ob_processor_count(), CPU_COUNT(&all));
    int first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(ob_processor_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_reads_from_task_to_cause),
        cmocka_unit_test(test_error_prefixes_each_defect),
        cmocka_unit_test(test_sizes_do_not_wrap),
        cmocka_unit_test(test_utf8_refuses_what_is_not),
        cmocka_unit_test(test_nearest_word_is_near),
        cmocka_unit_test(test_halves_convert_exactly),
        cmocka_unit_test(test_downloaded_files),
        cmocka_unit_test(test_atomic_file_appears_whole_or_not),
        cmocka_unit_test(test_processors_are_those_that_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
