/* PyTorch's format before 1.6: five pickles and storages in a row, each of which must be where the others say. */
#include "torch_files.h"
#include "torch_legacy.h"

#include <oberta/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ob_error err;
static unsigned char *file;
static ob__tensor_list parsed;

static const float numbers[] = {1, 2, 3, 4, 5, 6};
static const torch_tensor plain = {"a", "FloatStorage", "k", 6, 0, 2, 2, {2, 3}, {3, 1}};

static void release(void)
{
    ob__tensor_list_release(&parsed);
    free(file);
    file = NULL;
}

static ob_status parse(const ob_strbuf *bytes)
{
    file = exact_copy(bytes->data, bytes->length);
    ob_error_clear(&err);
    ob_status status = ob__torch_legacy_parse(file, bytes->length, "pytorch_model.bin", &parsed, &err);
    assert_int_equal(status, err.status);
    assert_int_equal(status == OB_OK, err.text[0] == '\0');
    if (status != OB_OK)
        release();
    return status;
}

static void expect_refusal(const ob_strbuf *bytes, const char *reason)
{
    ob_status status = parse(bytes);
    if (status != OB_ERR_MODEL || strstr(err.text, reason) == NULL)
        fail_msg("expected '%s', got %s '%s'", reason, ob_status_name(status), err.text);
}

static void build(const torch_tensor *tensors, size_t count, ob_strbuf *out)
{
    ob_strbuf object = OB_STRBUF_INIT;
    pickle_state_dict(&object, tensors, count, true);
    build_legacy(&object, "k", 6, numbers, sizeof numbers, out);
    ob_strbuf_release(&object);
}

/* Replaces the only occurrence of a text by one of the same length. */
static void replace(ob_strbuf *bytes, const char *from, const char *to, size_t length)
{
    size_t found = 0, at = 0;
    for (size_t i = 0; i + length <= bytes->length; i++)
        if (memcmp(bytes->data + i, from, length) == 0) {
            at = i;
            found += 1;
        }
    assert_int_equal(found, 1);
    memcpy(bytes->data + at, to, length);
}

static void test_legacy_reads_tensors_in_place(void **state)
{
    (void)state;
    const torch_tensor tensors[] = {plain, {"b", "FloatStorage", "k", 6, 1, 2, 2, {2, 2}, {1, 2}}};
    ob_strbuf bytes = OB_STRBUF_INIT;
    build(tensors, 2, &bytes);
    assert_true(ob__torch_legacy_is((const unsigned char *)bytes.data, bytes.length));
    if (parse(&bytes) != OB_OK)
        fail_msg("%s", err.text);
    assert_int_equal(parsed.count, 2);
    assert_ptr_equal(parsed.items[0].data, file + bytes.length - sizeof numbers);
    assert_memory_equal(parsed.items[0].data, numbers, sizeof numbers);
    assert_true(parsed.items[0].mapped);
    assert_memory_equal(parsed.items[1].data, ((float[]){2, 4, 3, 5}), 16);
    assert_false(parsed.items[1].mapped);
    assert_string_equal(parsed.items[1].file, "pytorch_model.bin");
    release();
    ob_strbuf_release(&bytes);
}

/* Files from before 0.4 name a part of a storage as a storage of its own. */
static void test_legacy_reads_views_of_storages(void **state)
{
    (void)state;
    ob_strbuf object = OB_STRBUF_INIT, bytes = OB_STRBUF_INIT;
    ob_strbuf_puts(&object, "\x80\x02}U\x01"
                            "actorch._utils\n_rebuild_tensor\n((U\x07storagectorch.cuda\nFloatStorage\nU\x01kU\x06"
                            "cuda:0K\x06U\x01vK\x02K\x03\x87tQK\x01K\x02\x85K\x01\x85tRs.");
    build_legacy(&object, "k", 6, numbers, sizeof numbers, &bytes);
    if (parse(&bytes) != OB_OK)
        fail_msg("%s", err.text);
    assert_memory_equal(parsed.items[0].data, ((float[]){4, 5}), 8);
    release();
    replace(&bytes, "K\x01K\x02\x85K\x01\x85tR", "K\x02K\x02\x85K\x01\x85tR", 10);
    expect_refusal(&bytes, "tensor 'a': offset 2, shape (2), strides (1): reaches element 3, but its storage has 3");
    ob_strbuf_release(&object);
    ob_strbuf_release(&bytes);
}

static void test_legacy_refuses_what_does_not_agree(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        size_t length;
        const char *reason;
    } rows[] = {
        {"\x80\x02M\xe9\x03.", "\x80\x02M\xea\x03.", 6, "the protocol is not 1001"},
        {"\x80\x02M\xe9\x03.", "\x80\x02NNN.", 6, "the protocol's pickle, at byte 15: byte 5: STOP"},
        {"\x88u.", "\x89u.", 3, "written on a big-endian machine"},
        {"\x80\x02](X\1\0\0\0ke.", "\x80\x02](X\1\0\0\0xe.", 12, "storage 'x': no tensor uses it"},
        {"\x80\x02](X\1\0\0\0ke.",
         "\x80\x02](JX\1\0\0\x85"
         "e.",
         12, "holds something that is no key"},
        {"\x80\x02](X\1\0\0\0ke.", "\x80\x02(X\1\0\0\0kt0.", 12, "POP: an opcode"},
        {"\x80\x02](X\1\0\0\0ke.", "\x80\x02NX\1\0\0\0k\x86\x85.", 12, "the keys of the storages are no list"},
        {"\6\0\0\0\0\0\0\0", "\7\0\0\0\0\0\0\0", 8, "storage 'k': 7 elements, but its tensors say 6"},
        {"\6\0\0\0\0\0\0\0", "\6\0\0\0\0\0\0\x80", 8, "storage 'k': 9223372036854775814 elements"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ob_strbuf bytes = OB_STRBUF_INIT;
        build(&plain, 1, &bytes);
        replace(&bytes, rows[i].from, rows[i].to, rows[i].length);
        expect_refusal(&bytes, rows[i].reason);
        ob_strbuf_release(&bytes);
    }
}

static void test_legacy_refuses_storages_that_are_not_there(void **state)
{
    (void)state;
    static const struct {
        torch_tensor second;
        const char *reason;
    } rows[] = {
        {{"b", "FloatStorage", "other", 6, 0, 1, 1, {6}, {1}}, "storage 'other' is missing from the list of keys"},
        {{"b", "HalfStorage", "k", 6, 0, 1, 1, {6}, {1}}, "storage 'k': named with two types or sizes"},
        {{"b", "FloatStorage", "k", 5, 0, 1, 1, {5}, {1}}, "storage 'k': named with two types or sizes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const torch_tensor tensors[] = {plain, rows[i].second};
        ob_strbuf bytes = OB_STRBUF_INIT;
        build(tensors, 2, &bytes);
        expect_refusal(&bytes, rows[i].reason);
        ob_strbuf_release(&bytes);
    }
    ob_strbuf none = OB_STRBUF_INIT, dictless = OB_STRBUF_INIT;
    ob_strbuf_puts(&none, "\x80\x02}.");
    build_legacy(&none, "k", 6, numbers, sizeof numbers, &dictless);
    expect_refusal(&dictless, "storage 'k': no tensor uses it");
    ob_strbuf_release(&none);
    ob_strbuf_release(&dictless);
    const torch_tensor huge = {"a", "DoubleStorage", "k", INT64_MAX, 0, 1, 1, {1}, {1}};
    ob_strbuf object = OB_STRBUF_INIT, bytes = OB_STRBUF_INIT;
    pickle_state_dict(&object, &huge, 1, true);
    build_legacy(&object, "k", INT64_MAX, numbers, sizeof numbers, &bytes);
    expect_refusal(&bytes, "it promises 9223372036854775807 elements of F64: incomplete download?");
    ob_strbuf_release(&object);
    ob_strbuf_release(&bytes);
}

static void test_legacy_refuses_every_cut(void **state)
{
    (void)state;
    ob_strbuf bytes = OB_STRBUF_INIT;
    build(&plain, 1, &bytes);
    size_t whole = bytes.length;
    for (size_t cut = 15; cut < whole; cut++) {
        bytes.length = cut;
        expect_refusal(&bytes, "incomplete download?");
    }
    bytes.length = whole;
    ob_strbuf_putc(&bytes, 0);
    expect_refusal(&bytes, "its storages end at");
    assert_non_null(strstr(err.text, "1 too many"));
    for (size_t cut = 0; cut < 15; cut++)
        assert_false(ob__torch_legacy_is((const unsigned char *)bytes.data, cut));
    ob_strbuf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_reads_tensors_in_place),
        cmocka_unit_test(test_legacy_reads_views_of_storages),
        cmocka_unit_test(test_legacy_refuses_what_does_not_agree),
        cmocka_unit_test(test_legacy_refuses_storages_that_are_not_there),
        cmocka_unit_test(test_legacy_refuses_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
