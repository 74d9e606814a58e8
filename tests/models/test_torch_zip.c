/* PyTorch's zip format: archives that lie are refused, whatever lies. */
#include "torch_files.h"
#include "torch_zip_case.h"

#include <oberta/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Copies of one file are bounded by four times its size and 64 MiB, together and not each. */
/* Where a patch goes: the local header, the entry in the directory, or an end record. */
typedef enum place { LOCAL, CENTRAL, END64, LOCATOR, END } place;

static void test_zip_refuses_archives_that_lie(void **state)
{
    (void)state;
    static const struct {
        place where;
        size_t offset, width;
        uint64_t value;
        const char *reason;
    } rows[] = {
        {CENTRAL, 0, 4, 0x02014b51, "an entry is missing"},
        {CENTRAL, 8, 2, 0x809, "is encrypted"},
        {CENTRAL, 8, 2, 0x848, "is encrypted"},
        {CENTRAL, 10, 2, 8, "its local header and the central directory disagree"},
        {CENTRAL, 20, 4, 95, "its two sizes differ"},
        {CENTRAL, 24, 4, 97, "its two sizes differ"},
        {CENTRAL, 20, 8, 0xfffffffeull << 32 | 0xfffffffe, "reaches beyond the file's members"},
        {CENTRAL, 20, 8, UINT64_MAX, "its extra fields are damaged"},
        {CENTRAL, 28, 2, 13, "its local header has another name"},
        {CENTRAL, 28, 2, 600, "an entry is longer than the directory"},
        {CENTRAL, 30, 2, 65535, "an entry is longer than the directory"},
        {CENTRAL, 32, 2, 1, "an entry is missing"},
        {CENTRAL, 42, 4, 0, "its local header has another name"},
        {CENTRAL, 42, 4, 1, "no local header"},
        {CENTRAL, 42, 4, 0xfffffffe, "reaches beyond the file's members"},
        {CENTRAL, 46, 1, '/', "is an absolute path"},
        {CENTRAL, 46, 1, 0, "a NUL or a backslash"},
        {CENTRAL, 46, 1, '\\', "a NUL or a backslash"},
        {CENTRAL, 46, 3, '.' | '.' << 8 | '/' << 16, "leads out of the archive"},
        {CENTRAL, 47, 1, 'X', "its local header has another name"},
        {LOCAL, 0, 4, 0, "no local header"},
        {LOCAL, 6, 2, 0x809, "its local header and the central directory disagree"},
        {LOCAL, 6, 2, 0x800, "its local header and the central directory disagree"},
        {LOCAL, 8, 2, 8, "its local header and the central directory disagree"},
        {LOCAL, 18, 4, 5, "its local header and the central directory disagree"},
        {LOCAL, 22, 4, 5, "its local header and the central directory disagree"},
        {LOCAL, 26, 2, 65535, "reach into the central directory"},
        {LOCAL, 28, 2, 65535, "reach into the central directory"},
        {LOCAL, 30, 1, 'X', "its local header has another name"},
        {END64, 0, 4, 0, "the zip64 end is not where its locator says"},
        {END64, 4, 8, 45, "the zip64 end is not where its locator says"},
        {END64, 4, 8, UINT64_MAX, "the zip64 end is not where its locator says"},
        {END64, 16, 4, 1, "in several parts"},
        {END64, 24, 8, 2, "in several parts"},
        {END64, 32, 8, 4, "in several parts"},
        {END64, 40, 8, UINT64_MAX, "its end and its zip64 end disagree"},
        {END64, 48, 8, 0, "its end and its zip64 end disagree"},
        {LOCATOR, 8, 8, 0, "the zip64 end is not where its locator says"},
        {LOCATOR, 8, 8, UINT64_MAX, "the zip64 end is not where its locator says"},
        {LOCATOR, 16, 4, 2, "in several parts"},
        {LOCATOR, 0, 4, 0, "its end stands at"},
        {END, 4, 2, 1, "in several parts"},
        {END, 8, 2, 2, "in several parts"},
        {END, 8, 4, 2 | 2 << 16, "its end and its zip64 end disagree"},
        {END, 12, 4, 1, "its end and its zip64 end disagree"},
        {END, 16, 4, 1, "its end and its zip64 end disagree"},
        {END, 20, 2, 1, "incomplete download?"},
    };
    zip_file zip;
    build_counted(&plain_view, 1, 24, &zip);
    size_t bases[] = {zip.local[1], zip.central[1], zip.end64, zip.locator, zip.end};
    char *whole = malloc(zip.bytes.length);
    assert_non_null(whole);
    memcpy(whole, zip.bytes.data, zip.bytes.length);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        patch_number(&zip.bytes, bases[rows[i].where] + rows[i].offset, rows[i].value, rows[i].width);
        zip_expect_refusal(zip.bytes.data, zip.bytes.length, rows[i].reason);
        memcpy(zip.bytes.data, whole, zip.bytes.length);
    }
    assert_int_equal(zip_parse(zip.bytes.data, zip.bytes.length), OB_OK);
    zip_release();
    free(whole);
    ob_strbuf_release(&zip.bytes);
}

/* Fields that are saturated are replaced by those of zip64: in the end record, as torch writes them for great files,
 * and in an entry. */
static void test_zip_reads_zip64(void **state)
{
    (void)state;
    zip_file zip;
    build_counted(&plain_view, 1, 24, &zip);
    patch_number(&zip.bytes, zip.end + 8, UINT32_MAX, 4);
    patch_number(&zip.bytes, zip.end + 12, UINT64_MAX, 8);
    if (zip_parse(zip.bytes.data, zip.bytes.length) != OB_OK)
        fail_msg("%s", zip_error.text);
    zip_release();
    patch_number(&zip.bytes, zip.end64 + 32, UINT64_MAX, 8);
    patch_number(&zip.bytes, zip.end64 + 24, UINT64_MAX, 8);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "members in 185 bytes: too many");
    patch_number(&zip.bytes, zip.end64 + 24, 5, 8);
    patch_number(&zip.bytes, zip.end64 + 32, 5, 8);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "5 members in 185 bytes: they have no room");
    patch_number(&zip.bytes, zip.end64 + 24, 3, 8);
    patch_number(&zip.bytes, zip.end64 + 32, 3, 8);
    patch_number(&zip.bytes, zip.end64 + 40, UINT64_MAX, 8);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "its end stands at");
    ob_strbuf_release(&zip.bytes);
}

/* An archive with one entry, whose sizes and place stand in its zip64 field alone. */
static void test_zip_reads_zip64_entries(void **state)
{
    (void)state;
    static const struct {
        uint64_t size, compressed, place;
        size_t field; /* bytes that the extra field says it has */
        const char *reason;
    } rows[] = {
        {3, 3, 0, 24, "none of PyTorch's weights: it has no 'data.pkl'"},
        {3, 3, 0, 23, "its extra fields are damaged"},
        {3, 3, 0, 25, "its extra fields are damaged"},
        {4, 3, 0, 24, "its two sizes differ"},
        {UINT64_MAX, UINT64_MAX, 0, 24, "reaches beyond"},
        {3, 3, UINT64_MAX, 24, "reaches beyond"},
        {4, 4, 0, 24, "reach into the central directory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ob_strbuf b = OB_STRBUF_INIT;
        append_number(&b, 0x04034b50, 4);
        append_number(&b, 0, 14);
        append_number(&b, UINT64_MAX, 8);
        append_number(&b, 3, 4); /* name, no extra */
        ob_strbuf_puts(&b, "a/bxyz");
        size_t begin = b.length;
        append_number(&b, 0x02014b50, 4);
        append_number(&b, 0, 16);
        append_number(&b, UINT64_MAX, 8);
        append_number(&b, 3, 2);
        append_number(&b, 28, 2);
        append_number(&b, 0, 10);
        append_number(&b, UINT32_MAX, 4);
        ob_strbuf_puts(&b, "a/b");
        append_number(&b, 1, 2);
        append_number(&b, rows[i].field, 2);
        append_number(&b, rows[i].size, 8);
        append_number(&b, rows[i].compressed, 8);
        append_number(&b, rows[i].place, 8);
        size_t size = b.length - begin;
        append_number(&b, 0x06054b50, 4);
        append_number(&b, 0, 4);
        append_number(&b, 1 | 1 << 16, 4);
        append_number(&b, size, 4);
        append_number(&b, begin, 4);
        append_number(&b, 0, 2);
        zip_expect_refusal(b.data, b.length, rows[i].reason);
        ob_strbuf_release(&b);
    }
}

static void expect_parts_refused(const zip_part *parts, size_t count, const char *reason)
{
    zip_file zip;
    build_zip(parts, count, &zip);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, reason);
    ob_strbuf_release(&zip.bytes);
}

static void test_zip_refuses_other_archives(void **state)
{
    (void)state;
    static const zip_part twice[] = {{"a/data.pkl", "x", 1}, {"a/data.pkl", "y", 1}};
    static const zip_part flat[] = {{"data.pkl", "x", 1}};
    static const zip_part other[] = {{"word/document.xml", "x", 1}};
    static const zip_part constants[] = {{"a/data.pkl", "x", 1}, {"a/constants.pkl", "x", 1}};
    static const zip_part code[] = {{"a/data.pkl", "x", 1}, {"a/code/__torch__.py", "x", 1}};
    static const zip_part no_dict[] = {{"a/data.pkl", "\x80\x02N.", 4}};
    static const zip_part empty_dict[] = {{"a/data.pkl", "\x80\x02}.", 4}};
    static const zip_part trailing[] = {{"a/data.pkl", "\x80\x02}.x", 5}};
    static const zip_part climbing[] = {{"a/../b", "x", 1}};
    expect_parts_refused(twice, 2, "member 'a/data.pkl': it is there twice");
    expect_parts_refused(flat, 1, "its members are not in a folder");
    expect_parts_refused(other, 1, "it has no 'data.pkl'");
    expect_parts_refused(constants, 2, "a TorchScript archive");
    expect_parts_refused(code, 2, "a TorchScript archive");
    expect_parts_refused(no_dict, 1, "holds no dict of tensors");
    expect_parts_refused(empty_dict, 1, "a dict without tensors");
    expect_parts_refused(trailing, 1, "data.pkl: 1 bytes after its end");
    expect_parts_refused(climbing, 1, "leads out of the archive");
    expect_parts_refused(NULL, 0, "it has no members");
}

static void test_zip_refuses_overlaps_and_compression(void **state)
{
    (void)state;
    zip_file zip;
    build_counted(&plain_view, 1, 24, &zip);
    /* The pickle's member swallows the storage's. */
    patch_number(&zip.bytes, zip.central[0] + 20, zip.local[2] - zip.local[0] - 200, 4);
    patch_number(&zip.bytes, zip.central[0] + 24, zip.local[2] - zip.local[0] - 200, 4);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "member 'archive/data/0': it overlaps another member");
    ob_strbuf_release(&zip.bytes);
    build_counted(&plain_view, 1, 24, &zip);
    patch_number(&zip.bytes, zip.central[1] + 10, 8, 2);
    patch_number(&zip.bytes, zip.local[1] + 8, 8, 2);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "member 'archive/data/0' is compressed (method 8, deflate)");
    ob_strbuf_release(&zip.bytes);
}

/* A comment is allowed, but none that could be taken for the end of another archive. */
static void test_zip_has_one_end(void **state)
{
    (void)state;
    zip_file zip;
    build_counted(&plain_view, 1, 24, &zip);
    patch_number(&zip.bytes, zip.end + 20, 5, 2);
    ob_strbuf_puts(&zip.bytes, "hello");
    assert_int_equal(zip_parse(zip.bytes.data, zip.bytes.length), OB_OK);
    zip_release();
    ob_strbuf_puts(&zip.bytes, "!");
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "incomplete download?");
    ob_strbuf_release(&zip.bytes);
    build_counted(&plain_view, 1, 24, &zip);
    patch_number(&zip.bytes, zip.end + 20, 22, 2);
    append_number(&zip.bytes, 0x06054b50, 4);
    for (size_t i = 0; i < 18; i++)
        ob_strbuf_putc(&zip.bytes, 0);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "it has two ends");
    ob_strbuf_release(&zip.bytes);
}

static void test_zip_refuses_every_cut(void **state)
{
    (void)state;
    zip_file zip;
    build_counted(&plain_view, 1, 24, &zip);
    for (size_t cut = 0; cut < zip.bytes.length; cut++)
        zip_expect_refusal(zip.bytes.data, cut, "incomplete download?");
    ob_strbuf_putc(&zip.bytes, 0);
    zip_expect_refusal(zip.bytes.data, zip.bytes.length, "incomplete download?");
    ob_strbuf_release(&zip.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zip_refuses_archives_that_lie),
        cmocka_unit_test(test_zip_reads_zip64),
        cmocka_unit_test(test_zip_reads_zip64_entries),
        cmocka_unit_test(test_zip_refuses_other_archives),
        cmocka_unit_test(test_zip_refuses_overlaps_and_compression),
        cmocka_unit_test(test_zip_has_one_end),
        cmocka_unit_test(test_zip_refuses_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
