/* The attention page: what it says, that no token escapes from its data, and what it replaces. That a browser
 * draws it is tested with the program (tests/cli). */
#include "test_support.h"

#include <oberta/attention_page.h>
#include <oberta/dtype.h>
#include <oberta/file.h>
#include <oberta/memory.h>

#define LAYERS 2
#define HEADS  3
#define TOKENS 50 /* a layer is more than one piece of base64, and not a multiple of three bytes */

static ob_error err;
static char folder[] = "/tmp/oberta-test-XXXXXX";
static const char evil[] = "</script><!--<script>&\"'\\\n\xE2\x80\xA8";
static float values[LAYERS * HEADS * TOKENS * TOKENS];

static void write_page(const char *path)
{
    const char *tokens[TOKENS];
    for (size_t i = 0; i < TOKENS; i++)
        tokens[i] = i % 7 == 0 ? evil : "\xC4\xA0the";
    const ob_attention_text text = {.text = evil,
                                    .text_bytes = sizeof evil - 1,
                                    .token_count = TOKENS,
                                    .tokens = tokens,
                                    .layers = LAYERS,
                                    .heads = HEADS,
                                    .attentions = values};
    ob_attention_page *page;
    uint64_t bytes = 0;
    ob_error_clear(&err);
    test_ok(ob_attention_page_create(path, "</script>", &page, &err), &err);
    test_ok(ob_attention_page_add(page, &text, &err), &err);
    test_ok(ob_attention_page_add(page, &text, &err), &err);
    test_ok(ob_attention_page_commit(page, &bytes, &err), &err);
    ob_attention_page_destroy(page);
    ob_strbuf file = OB_STRBUF_INIT;
    test_ok(ob_file_read(path, 1 << 20, &file, &err), &err);
    assert_int_equal(file.length, bytes);
    ob_strbuf_release(&file);
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);
    return c != '\0' && at != NULL ? (int)(at - digits) : -1;
}

/* The base64 string at `text` is the float16 bits of `expected`. */
static const char *check_maps(const char *text, const float *expected, size_t count)
{
    assert_int_equal(*text, '"');
    uint32_t bits = 0;
    size_t have = 0, next = 0;
    unsigned char pair[2];
    for (text++; *text != '"'; text++) {
        if (*text == '=')
            continue;
        assert_true(digit_of(*text) >= 0);
        bits = bits << 6 | (uint32_t)digit_of(*text);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        pair[next++ % 2] = (unsigned char)(bits >> have & 255);
        if (next % 2 == 0) {
            uint16_t half;
            ob_convert_to_f16(&half, &expected[next / 2 - 1], 1);
            assert_int_equal(pair[0] | pair[1] << 8, half);
        }
    }
    assert_int_equal(next, 2 * count);
    return text + 1;
}

static size_t occurrences(const char *text, const char *needle)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, needle)) != NULL; at++)
        count++;
    return count;
}

static void test_page_holds_what_was_given(void **state)
{
    (void)state;
    char *path = ob_path_join(folder, "page.html");
    ob_strbuf file = OB_STRBUF_INIT, empty = OB_STRBUF_INIT;
    ob_attention_page *page;
    ob_error_clear(&err);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)(i % 9973) / 9973;
    test_ok(ob_attention_page_create(path, "m", &page, &err), &err);
    test_ok(ob_attention_page_commit(page, NULL, &err), &err);
    ob_attention_page_destroy(page);
    test_ok(ob_file_read(path, 1 << 20, &empty, &err), &err);
    write_page(path);
    test_ok(ob_file_read(path, 1 << 20, &file, &err), &err);
    const char *text = ob_strbuf_text(&file);
    /* Two elements a text beyond those of the page itself, whatever the tokens say. */
    assert_int_equal(occurrences(text, "</script"), occurrences(ob_strbuf_text(&empty), "</script") + 4);
    assert_int_equal(occurrences(text, "<script"), occurrences(ob_strbuf_text(&empty), "<script") + 4);
    assert_int_equal(occurrences(text, "<!--"), occurrences(ob_strbuf_text(&empty), "<!--"));
    assert_int_equal(occurrences(text, "\xE2\x80\xA8"), 0);
    assert_non_null(strstr(text, "\"tokens\":[\"\\u003c/script\\u003e\\u003c!--\\u003cscript\\u003e\\u0026\\\"'\\\\\\n"
                                 "\\u2028\",\"\xC4\xA0the\","));
    const char *maps = strstr(text, "\"maps\":[");
    assert_non_null(maps);
    maps = check_maps(maps + 8, values, HEADS * TOKENS * TOKENS);
    assert_int_equal(*maps, ',');
    maps = check_maps(maps + 1, values + HEADS * TOKENS * TOKENS, HEADS * TOKENS * TOKENS);
    assert_int_equal(strncmp(maps, "]}</script>\n", 12), 0);
    ob_strbuf_release(&file);
    ob_strbuf_release(&empty);
    unlink(path);
    ob_free(path);
}

static void test_page_replaces_only_pages(void **state)
{
    (void)state;
    char *path = ob_path_join(folder, "weights.bin");
    ob_attention_page *page;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("precious", file);
    fclose(file);
    ob_error_clear(&err);
    test_refused(ob_attention_page_create(path, "m", &page, &err), OB_ERR_IO, &err, "is not an attention page");
    test_refused(ob_attention_page_create(folder, "m", &page, &err), OB_ERR_IO, &err, "is not an attention page");
    unlink(path);
    write_page(path);
    write_page(path);
    unlink(path);
    test_ok(ob_attention_page_create(path, "m", &page, &err), &err);
    ob_attention_page_destroy(page); /* not committed: nothing stays */
    ob_free(path);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_holds_what_was_given),
        cmocka_unit_test(test_page_replaces_only_pages),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) != 0 || failed;
}
