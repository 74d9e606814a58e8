/* State dicts and their views: they land row-major, contiguous ones in the file itself; what reaches beyond is refused.
 */
#include "torch_files.h"
#include "torch_zip_case.h"

#include <oberta/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const ob_tensor *tensor(const char *name)
{
    const ob_tensor *found = ob__tensor_list_find(&zip_tensors, name);
    if (found == NULL)
        fail_msg("no tensor '%s'", name);
    return found;
}

static bool in_file(const void *data, size_t bytes)
{
    const unsigned char *begin = data;
    return begin >= zip_bytes && bytes <= zip_byte_count && begin + bytes <= zip_bytes + zip_byte_count;
}

static void test_views_reads_views_in_row_major_order(void **state)
{
    (void)state;
    static const struct {
        torch_tensor view;
        bool mapped;
        size_t count;
        float expected[24];
    } rows[] = {
        {TORCH_VIEW("plain", 0, 2, {2, 3}, {3, 1}), true, 6, {0, 1, 2, 3, 4, 5}},
        {TORCH_VIEW("offset", 20, 1, {4}, {1}), true, 4, {20, 21, 22, 23}},
        {TORCH_VIEW("scalar", 7, 0, {0}, {0}), true, 1, {7}},
        {TORCH_VIEW("empty", 24, 2, {0, 5}, {9, 9}), true, 0, {0}},
        {TORCH_VIEW("one", 3, 3, {1, 2, 1}, {99, 1, 77}), true, 2, {3, 4}}, /* strides of 1 do not matter */
        {TORCH_VIEW("transposed", 0, 2, {3, 2}, {1, 3}), false, 6, {0, 3, 1, 4, 2, 5}},
        {TORCH_VIEW("stepped", 1, 1, {3}, {2}), false, 3, {1, 3, 5}},
        {TORCH_VIEW("columns", 1, 2, {2, 2}, {6, 1}), false, 4, {1, 2, 7, 8}},
        {TORCH_VIEW("expanded", 5, 2, {2, 3}, {0, 0}), false, 6, {5, 5, 5, 5, 5, 5}},
        {TORCH_VIEW("rows", 0, 2, {2, 2}, {0, 1}), false, 4, {0, 1, 0, 1}},
        {TORCH_VIEW("cube", 0, 3, {2, 3, 2}, {1, 2, 12}), false, 12, {0, 12, 2, 14, 4, 16, 1, 13, 3, 15, 5, 17}},
    };
    enum { COUNT = sizeof rows / sizeof rows[0] };
    torch_tensor views[COUNT];
    zip_file zip;
    for (size_t i = 0; i < COUNT; i++)
        views[i] = rows[i].view;
    build_counted(views, COUNT, 24, &zip);
    if (zip_parse(zip.bytes.data, zip.bytes.length) != OB_OK)
        fail_msg("%s", zip_error.text);
    assert_int_equal(zip_tensors.count, COUNT);
    ob_error_clear(&zip_error);
    assert_int_equal(ob__tensor_list_sort(&zip_tensors, &zip_error), OB_OK);
    for (size_t i = 0; i < COUNT; i++) {
        const ob_tensor *got = tensor(views[i].name);
        assert_int_equal(got->dtype, OB_DTYPE_F32);
        assert_int_equal(got->count, rows[i].count);
        assert_int_equal(got->rank, views[i].rank);
        for (size_t d = 0; d < got->rank; d++)
            assert_int_equal(got->shape[d], views[i].shape[d]);
        assert_memory_equal(got->data, rows[i].expected, got->count * sizeof(float));
        assert_int_equal(got->mapped, rows[i].mapped);
        assert_int_equal(in_file(got->data, got->count * sizeof(float)), rows[i].mapped);
    }
    zip_release();
    ob_strbuf_release(&zip.bytes);
}

static void test_views_refuses_views_beyond_their_storage(void **state)
{
    (void)state;
    static const struct {
        torch_tensor view;
        const char *reason;
    } rows[] = {
        {TORCH_VIEW("a", 0, 1, {25}, {1}),
         "tensor 'a': offset 0, shape (25), strides (1): reaches element 24, but its storage"},
        {TORCH_VIEW("a", 24, 0, {0}, {0}), "reaches element 24"},
        {TORCH_VIEW("a", 23, 1, {2}, {1}), "reaches element 24"},
        {TORCH_VIEW("a", 0, 2, {4, 6}, {7, 1}), "reaches element 26"},
        {TORCH_VIEW("a", 0, 2, {2, 2}, {24, 0}), "reaches element 24"},
        {TORCH_VIEW("a", 25, 1, {0}, {1}), "offset 25: its storage has 24"},
        {TORCH_VIEW("a", -1, 1, {1}, {1}), "offset: no size"},
        {TORCH_VIEW("a", 0, 1, {-1}, {1}), "shape: number 0 is no size"},
        {TORCH_VIEW("a", 5, 2, {1, 2}, {1, -1}), "strides: number 1 is no size"},
        {TORCH_VIEW("a", 0, 2, {INT64_MAX, 4}, {0, 0}), "product of the dimensions overflows"},
        {TORCH_VIEW("a", 0, 1, {INT64_MAX}, {0}), "its size in bytes overflows"},
        {TORCH_VIEW("a", 0, 2, {3, 3}, {INT64_MAX, 1}), "place overflows"},
        {TORCH_VIEW("a", INT64_MAX, 2, {3, 3}, {INT64_MAX, 1}), "place overflows"},
        {TORCH_VIEW("a", 0, 2, {1000000, 1000000}, {0, 0}), "a view of 1000000000000 elements"},
        {{"a", "FloatStorage", "0", 24, 0, 2, 1, {1, 1}, {1}}, "2 dimensions, but 1 strides"},
        {{"a", "FloatStorage", "0", 24, 0, 9, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1}}, "9 dimensions: at most 8"},
        {{"a", "FloatStorage", "0", 25, 0, 1, 1, {1}, {1}}, "'data/0': 96 bytes, but data.pkl promises 25 elements"},
        {{"a", "DoubleStorage", "0", 13, 0, 1, 1, {1}, {1}}, "'data/0': 96 bytes, but data.pkl promises 13 elements"},
        {{"a", "LongStorage", "0", INT64_MAX, 0, 1, 1, {1}, {1}}, "promises 9223372036854775807 elements of I64"},
        {{"a", "FloatStorage", "1", 24, 0, 1, 1, {1}, {1}}, "storage 'data/1' is missing"},
        {{"a", "FloatStorage", "../data/0", 24, 0, 1, 1, {1}, {1}}, "storage 'data/../data/0' is missing"},
        {{"a", "FloatStorage", "/etc/passwd", 24, 0, 1, 1, {1}, {1}}, "storage 'data//etc/passwd' is missing"},
        {{"\xff", "FloatStorage", "0", 24, 0, 1, 1, {1}, {1}}, "tensor '?': its name is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        zip_file zip;
        build_counted(&rows[i].view, 1, 24, &zip);
        zip_expect_refusal(zip.bytes.data, zip.bytes.length, rows[i].reason);
        ob_strbuf_release(&zip.bytes);
    }
}

static void test_views_lists_all_tensors_that_do_not_fit(void **state)
{
    (void)state;
    torch_tensor views[] = {TORCH_VIEW("first", 0, 1, {25}, {1}), TORCH_VIEW("good", 0, 1, {4}, {1}),
                            TORCH_VIEW("second", 30, 1, {1}, {1})};
    zip_file zip;
    build_counted(views, 3, 24, &zip);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "tensor 'first'");
    assert_non_null(strstr(zip_error.text, "\ntensor 'second'"));
    assert_null(strstr(zip_error.text, "good"));
    ob_strbuf_release(&zip.bytes);
}

static void test_views_bounds_what_is_copied(void **state)
{
    (void)state;
    torch_tensor views[] = {TORCH_VIEW("a", 0, 2, {2890, 2890}, {0, 0}), TORCH_VIEW("b", 0, 2, {2890, 2890}, {0, 0})};
    zip_file zip; /* 33.4 MB each, of 67.1 */
    build_counted(views, 2, 24, &zip);
    if (zip_parse(zip.bytes.data, zip.bytes.length) != OB_OK)
        fail_msg("%s", zip_error.text);
    zip_release();
    ob_strbuf_release(&zip.bytes);
    views[0].shape[0] = 2950;
    build_counted(views, 2, 24, &zip);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "tensor 'b': a view of");
    ob_strbuf_release(&zip.bytes);
}

static void test_views_turns_big_endian_numbers_around(void **state)
{
    (void)state;
    static const unsigned char storage[] = {0x3f, 0x80, 0, 0, 0x40, 0, 0, 0, 0x40, 0x40, 0, 0, 0x40, 0x80, 0, 0};
    torch_tensor views[] = {{"row", "FloatStorage", "0", 4, 0, 1, 1, {4}, {1}},
                            {"swapped", "FloatStorage", "0", 4, 0, 2, 2, {2, 2}, {1, 2}}};
    ob_strbuf pickle = OB_STRBUF_INIT;
    pickle_state_dict(&pickle, views, 2, false);
    zip_file zip;
    build_torch_zip(&pickle, "big", storage, sizeof storage, &zip);
    if (zip_parse(zip.bytes.data, zip.bytes.length) != OB_OK)
        fail_msg("%s", zip_error.text);
    assert_memory_equal(zip_tensors.items[0].data, ((float[]){1, 2, 3, 4}), 16);
    assert_memory_equal(zip_tensors.items[1].data, ((float[]){1, 3, 2, 4}), 16);
    assert_false(zip_tensors.items[0].mapped);
    zip_release();
    ob_strbuf_release(&zip.bytes);
    build_torch_zip(&pickle, NULL, storage, sizeof storage, &zip);
    assert_int_equal(zip_parse(zip.bytes.data, zip.bytes.length), OB_OK);
    assert_memory_equal(zip_tensors.items[0].data, storage, 16);
    zip_release();
    ob_strbuf_release(&zip.bytes);
    build_torch_zip(&pickle, "middle", storage, sizeof storage, &zip);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "byteorder: neither 'little' nor 'big'");
    ob_strbuf_release(&zip.bytes);
    ob_strbuf_release(&pickle);
}

static void parse_object(const ob_strbuf *object, ob_status expected, const char *reason)
{
    static const float storage[24];
    zip_file zip;
    build_torch_zip(object, "little", storage, sizeof storage, &zip);
    ob_status status = zip_parse(zip.bytes.data, zip.bytes.length);
    if (status != expected || (reason != NULL && strstr(zip_error.text, reason) == NULL))
        fail_msg("%s: %s", ob_status_name(status), zip_error.text);
    ob_strbuf_release(&zip.bytes);
}

static void test_views_unwraps_dicts_and_passes_over_the_rest(void **state)
{
    (void)state;
    static const char *const wrappers[] = {"state_dict", "model"};
    for (size_t i = 0; i < 2; i++) {
        ob_strbuf object = OB_STRBUF_INIT;
        ob_strbuf_puts(&object, "\x80\x02}(");
        pickle_text(&object, "epoch");
        pickle_integer(&object, 3);
        pickle_text(&object, "buffer");
        pickle_tensor(&object, &plain_view, false);
        pickle_text(&object, wrappers[i]);
        ob_strbuf_puts(&object, "}(");
        pickle_integer(&object, 5); /* a key that is no name */
        pickle_tensor(&object, &plain_view, false);
        pickle_text(&object, "inner");
        pickle_tensor(&object, &plain_view, false);
        pickle_text(&object, "none");
        ob_strbuf_puts(&object, "Nuu.");
        parse_object(&object, OB_OK, NULL);
        assert_int_equal(zip_tensors.count, 1);
        assert_string_equal(zip_tensors.items[0].name, "inner");
        zip_release();
        ob_strbuf_release(&object);
    }
}

static void test_views_refuses_names_with_a_nul(void **state)
{
    (void)state;
    ob_strbuf object = OB_STRBUF_INIT;
    ob_strbuf_puts(&object, "\x80\x02}(");
    ob_strbuf_append(&object, "X\3\0\0\0a\0b", 8);
    pickle_tensor(&object, &plain_view, false);
    ob_strbuf_puts(&object, "u.");
    parse_object(&object, OB_ERR_MODEL, "tensor 'a': its name is not UTF-8, or holds a NUL");
    ob_strbuf_release(&object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_reads_views_in_row_major_order),
        cmocka_unit_test(test_views_refuses_views_beyond_their_storage),
        cmocka_unit_test(test_views_lists_all_tensors_that_do_not_fit),
        cmocka_unit_test(test_views_bounds_what_is_copied),
        cmocka_unit_test(test_views_turns_big_endian_numbers_around),
        cmocka_unit_test(test_views_unwraps_dicts_and_passes_over_the_rest),
        cmocka_unit_test(test_views_refuses_names_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
