/* The container's rules, each at its border: what is legal is read exactly, what is not is refused with its reason. */
#include "json_object.h"
#include "model_files.h"
#include "safetensors.h"

#include <inttypes.h>
#include <oberta/strbuf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T(name, dtype, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

typedef struct verdict {
    ob_status status;
    size_t count;
    ob_error err;
} verdict;

static ob__tensor_list parsed;

/* Parses into `parsed`; the caller releases it. */
static verdict parse_bytes(const unsigned char *file, size_t bytes)
{
    verdict v;
    ob_error_clear(&v.err);
    parsed = (ob__tensor_list){0};
    v.status = ob__safetensors_parse(file, bytes, "file", &parsed, &v.err);
    v.count = parsed.count;
    /* A status without a text, or the other way round, would be a defect of the error idiom. */
    assert_int_equal(v.status, v.err.status);
    assert_int_equal(v.status == OB_OK, v.err.text[0] == '\0');
    return v;
}

static verdict judge(uint64_t length, const char *header, size_t header_bytes, size_t data_bytes)
{
    size_t bytes;
    unsigned char *file = build_container(length, header, header_bytes, data_bytes, &bytes);
    verdict v = parse_bytes(file, bytes);
    ob__tensor_list_release(&parsed);
    free(file);
    return v;
}

static void expect_legal(const char *what, const char *header, size_t data_bytes, size_t count)
{
    verdict v = judge(strlen(header), header, strlen(header), data_bytes);
    if (v.status != OB_OK || v.count != count)
        fail_msg("%s: legal, but: %s (%zu tensors)", what, v.err.text, v.count);
}

static void expect_refusal(const char *what, const verdict *v, ob_status status, const char *reason)
{
    if (v->status != status || strstr(v->err.text, reason) == NULL)
        fail_msg("%s: expected %s '%s', got %s '%s'", what, ob_status_name(status), reason, ob_status_name(v->status),
                 v->err.text);
}

static void test_safetensors_reads_legal_oddities(void **state)
{
    (void)state;
    static const struct {
        const char *what, *header;
        size_t data_bytes, count;
    } rows[] = {
        {"no tensor", "{}", 0, 0},
        {"one", "{" T("a", "F32", "[2,3]", 0, 24) "}", 24, 1},
        {"rank 0", "{" T("a", "F32", "[]", 0, 4) "}", 4, 1},
        {"rank 8", "{" T("a", "U8", "[1,1,1,1,1,1,1,2]", 0, 2) "}", 2, 1},
        {"rank 7", "{" T("a", "U8", "[1,1,1,1,1,1,2]", 0, 2) "}", 2, 1},
        {"empty", "{" T("a", "F32", "[0]", 0, 0) "}", 0, 1},
        {"empty in the middle of the shape", "{" T("a", "F32", "[3,0,2]", 0, 0) "}", 0, 1},
        {"empty first", "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[0]", 0, 0) "}", 4, 2},
        {"empty between",
         "{" T("c", "F32", "[1]", 4, 8) "," T("b", "F32", "[0]", 4, 4) "," T("a", "F32", "[1]", 0, 4) "}", 8, 3},
        {"empty last", "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[0]", 4, 4) "}", 4, 2},
        {"two empty at one place", "{" T("a", "F32", "[0]", 0, 0) "," T("b", "F32", "[0]", 0, 0) "}", 0, 2},
        {"places against the order", "{" T("a", "F32", "[1]", 4, 8) "," T("b", "F32", "[1]", 0, 4) "}", 8, 2},
        {"padded by blanks", "{" T("a", "F32", "[1]", 0, 4) "}       ", 4, 1},
        {"padded by other space", "{" T("a", "F32", "[1]", 0, 4) "}\t\r\n", 4, 1},
        {"space inside", "{\n \"a\" : {\"dtype\" : \"F32\",\t\"shape\" : [ 1 ],\r\n\"data_offsets\" : [ 0 , 4 ] } }", 4,
         1},
        {"BF16", "{" T("a", "BF16", "[3]", 0, 6) "}", 6, 1},
        {"F16", "{" T("a", "F16", "[3]", 0, 6) "}", 6, 1},
        {"F64", "{" T("a", "F64", "[3]", 0, 24) "}", 24, 1},
        {"I64", "{" T("a", "I64", "[1,3]", 0, 24) "}", 24, 1},
        {"I32", "{" T("a", "I32", "[3]", 0, 12) "}", 12, 1},
        {"I16", "{" T("a", "I16", "[3]", 0, 6) "}", 6, 1},
        {"I8", "{" T("a", "I8", "[3]", 0, 3) "}", 3, 1},
        {"U64", "{" T("a", "U64", "[3]", 0, 24) "}", 24, 1},
        {"U32", "{" T("a", "U32", "[3]", 0, 12) "}", 12, 1},
        {"U16", "{" T("a", "U16", "[3]", 0, 6) "}", 6, 1},
        {"U8", "{" T("a", "U8", "[3]", 0, 3) "}", 3, 1},
        {"BOOL", "{" T("a", "BOOL", "[3]", 0, 3) "}", 3, 1},
        {"F32 after one byte", "{" T("a", "U8", "[1]", 0, 1) "," T("b", "F32", "[1]", 1, 5) "}", 5, 2},
        {"metadata", "{\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}," T("a", "U8", "[1]", 0, 1) "}", 1, 1},
        {"empty metadata", "{\"__metadata__\":{}}", 0, 0},
        {"unknown field", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":null}}", 1, 1},
        {"escaped name", "{" T("\\u0061\\n\\\"", "U8", "[1]", 0, 1) "}", 1, 1},
        {"name beyond ASCII", "{" T("\xc3\xa4\xf0\x9f\x98\x80", "U8", "[1]", 0, 1) "}", 1, 1},
        {"empty name", "{" T("", "U8", "[1]", 0, 1) "}", 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_legal(rows[i].what, rows[i].header, rows[i].data_bytes, rows[i].count);
}

static void test_safetensors_gives_name_shape_type_and_data(void **state)
{
    (void)state;
    const char *header =
        "{" T("b", "F16", "[2,3]", 3, 15) "," T("a", "I8", "[3]", 0, 3) "," T("\\u0063", "F32", "[]", 15, 19) "}";
    size_t bytes;
    unsigned char *file = build_container(strlen(header), header, strlen(header), 19, &bytes);
    const unsigned char *data = file + bytes - 19;
    assert_int_equal(parse_bytes(file, bytes).status, OB_OK);
    ob_error err;
    ob_error_clear(&err);
    assert_int_equal(ob__tensor_list_sort(&parsed, &err), OB_OK);
    assert_int_equal(parsed.count, 3);
    const ob_tensor *a = &parsed.items[0], *b = &parsed.items[1], *c = &parsed.items[2];
    assert_string_equal(a->name, "a");
    assert_string_equal(b->name, "b");
    assert_string_equal(c->name, "c");
    assert_int_equal(a->dtype, OB_DTYPE_I8);
    assert_int_equal(b->dtype, OB_DTYPE_F16);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal(b->count, 6);
    assert_int_equal(c->rank, 0);
    assert_int_equal(c->count, 1);
    assert_ptr_equal(a->data, data);
    assert_ptr_equal(b->data, data + 3);
    assert_ptr_equal(c->data, data + 15);
    assert_string_equal(c->file, "file");
    assert_ptr_equal(ob__tensor_list_find(&parsed, "b"), b);
    assert_null(ob__tensor_list_find(&parsed, "bb"));
    assert_null(ob__tensor_list_find(&parsed, ""));
    ob__tensor_list_release(&parsed);
    free(file);
}

static void test_safetensors_refuses_wrong_headers(void **state)
{
    (void)state;
    static const struct {
        const char *what, *header;
        size_t data_bytes;
        const char *reason;
    } rows[] = {
        {"no header", "", 0, "does not begin with '{'"},
        {"array", "[]", 0, "does not begin with '{'"},
        {"leading blank", " {}", 0, "does not begin with '{'"},
        {"byte order mark", "\xef\xbb\xbf{}", 0, "does not begin with '{'"},
        {"not UTF-8", "{" T("\xff", "U8", "[1]", 0, 1) "}", 1, "byte 2: not UTF-8"},
        {"overlong UTF-8", "{" T("\xc0\x80", "U8", "[1]", 0, 1) "}", 1, "byte 2: not UTF-8"},
        {"surrogate", "{" T("\\ud800", "U8", "[1]", 0, 1) "}", 1, "JSON: line 1"},
        {"NUL in a name", "{" T("a\\u0000b", "U8", "[1]", 0, 1) "}", 1, "JSON: line 1"},
        {"control character in a name", "{" T("a\x1b[2J", "U8", "[1]", 0, 1) "}", 1, "JSON: line 1"},
        {"cut JSON", "{" T("a", "U8", "[1]", 0, 1), 1, "JSON: line 1"},
        {"text after the object", "{}x", 0, "JSON: line 1"},
        {"two objects", "{}{}", 0, "JSON: line 1"},
        {"trailing comma", "{" T("a", "U8", "[1]", 0, 1) ",}", 1, "JSON: line 1"},
        {"NaN", "{\"a\":NaN}", 0, "JSON: line 1"},
        {"duplicate tensor", "{" T("a", "U8", "[1]", 0, 1) "," T("a", "U8", "[1]", 1, 2) "}", 2, "duplicate"},
        {"duplicate by escape", "{" T("a", "U8", "[1]", 0, 1) "," T("\\u0061", "U8", "[1]", 1, 2) "}", 2, "duplicate"},
        {"duplicate metadata", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate"},
        {"duplicate field", "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "duplicate"},
        {"metadata is text", "{\"__metadata__\":\"pt\"}", 0, "__metadata__: not an object"},
        {"metadata of numbers", "{\"__metadata__\":{\"step\":1}}", 0, "__metadata__: 'step': not a string"},
        {"nested metadata", "{\"__metadata__\":{\"x\":{}}}", 0, "__metadata__: 'x': not a string"},
        {"entry is null", "{\"a\":null}", 0, "tensor 'a': not an object"},
        {"entry is an array", "{\"a\":[]}", 0, "tensor 'a': not an object"},
        {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "dtype: missing"},
        {"dtype is a number", "{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "dtype: missing"},
        {"unknown dtype", "{" T("a", "F33", "[1]", 0, 4) "}", 4, "'F33': not an element type"},
        {"dtype in lower case", "{" T("a", "f32", "[1]", 0, 4) "}", 4, "'f32': not an element type"},
        {"escape in a dtype", "{" T("a", "\\u001b[2J", "[1]", 0, 4) "}", 4, "'?[2J': not an element type"},
        {"no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape: missing"},
        {"shape is a number", "{" T("a", "U8", "1", 0, 1) "}", 1, "shape: missing, or not an array"},
        {"negative dimension", "{" T("a", "U8", "[-1]", 0, 1) "}", 1, "dimension 0: not a size"},
        {"real dimension", "{" T("a", "U8", "[1,1.0]", 0, 1) "}", 1, "dimension 1: not a size"},
        {"exponent", "{" T("a", "U8", "[1e0]", 0, 1) "}", 1, "dimension 0: not a size"},
        {"text dimension", "{" T("a", "U8", "[\"1\"]", 0, 1) "}", 1, "dimension 0: not a size"},
        {"true as dimension", "{" T("a", "U8", "[true]", 0, 1) "}", 1, "dimension 0: not a size"},
        {"rank 9", "{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, "9 dimensions: at most 8"},
        {"dimension 2^63 - 1", "{" T("a", "U8", "[9223372036854775807]", 0, 1) "}", 1, "dtype and shape need"},
        {"dimension 2^63", "{" T("a", "U8", "[9223372036854775808]", 0, 1) "}", 1, "JSON: line 1"},
        {"count wraps to 0", "{" T("a", "U8", "[4294967296,4294967296]", 0, 0) "}", 0, "product of the dimensions"},
        {"count wraps to 1", "{" T("a", "U8", "[6700417,2753074036095]", 0, 1) "}", 1, "need"},
        {"count wraps before a 0", "{" T("a", "U8", "[4294967296,4294967296,0]", 0, 0) "}", 0,
         "product of the dimensions"},
        {"bytes wrap to 0", "{" T("a", "F32", "[4611686018427387904]", 0, 0) "}", 0, "size in bytes overflows"},
        {"bytes just below the wrap", "{" T("a", "F32", "[4611686018427387903]", 0, 0) "}", 0, "dtype and shape need"},
        {"no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets: missing"},
        {"one offset", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "not two sizes"},
        {"three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1, "not two sizes"},
        {"negative offset", "{" T("a", "U8", "[1]", -1, 0) "}", 1, "not two sizes"},
        {"real offset", "{" T("a", "U8", "[1]", 0.0, 1) "}", 1, "not two sizes"},
        {"end before begin", "{" T("a", "U8", "[0]", 1, 0) "}", 0, "the end is before the begin"},
        {"one byte short of the shape", "{" T("a", "F32", "[1]", 0, 3) "}", 3, "3 bytes, but dtype and shape need 4"},
        {"one byte over the shape", "{" T("a", "F32", "[1]", 0, 5) "}", 5, "5 bytes, but dtype and shape need 4"},
        {"empty with a byte", "{" T("a", "F32", "[0]", 0, 1) "}", 1, "1 bytes, but dtype and shape need 0"},
        {"hole at the begin", "{" T("a", "U8", "[1]", 1, 2) "}", 2, "a hole"},
        {"hole between", "{" T("a", "U8", "[1]", 0, 1) "," T("b", "U8", "[1]", 2, 3) "}", 3, "'b': data_offsets"},
        {"overlap", "{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 1, 3) "}", 3, "they overlap"},
        {"same bytes twice", "{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 0, 2) "}", 2, "they overlap"},
        {"empty inside another", "{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[0]", 1, 1) "}", 2, "they overlap"},
        {"empty beyond the end", "{" T("a", "U8", "[0]", 7, 7) "}", 0, "a hole"},
        {"data without tensors", "{}", 1, "1 too many"},
        {"one byte too many", "{" T("a", "U8", "[2]", 0, 2) "}", 3, "1 too many"},
        {"one byte missing", "{" T("a", "U8", "[2]", 0, 2) "}", 1, "incomplete download?"},
        {"offsets beyond memory", "{" T("a", "U8", "[9223372036854775807]", 0, 9223372036854775807) "}", 1,
         "incomplete download?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        verdict v = judge(strlen(rows[i].header), rows[i].header, strlen(rows[i].header), rows[i].data_bytes);
        expect_refusal(rows[i].what, &v, OB_ERR_MODEL, rows[i].reason);
    }
}

static void test_safetensors_refuses_element_types_that_oberta_lacks(void **state)
{
    (void)state;
    static const char *const names[] = {"F8_E4M3",     "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ",
                                        "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,8]}}", names[i]);
        verdict v = judge(strlen(header), header, strlen(header), 8);
        expect_refusal(names[i], &v, OB_ERR_UNSUPPORTED, names[i]);
    }
}

static void test_safetensors_refuses_wrong_lengths(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *reason;
    } rows[] = {
        {0, "does not begin with '{'"},
        {1, "JSON: line 1"},
        {56, "JSON: line 1"}, /* the header is 57 bytes */
        {58, "JSON: line 1"}, /* data is not white space */
        {61, "JSON: line 1"}, /* up to the end of the file */
        {62, "header alone promises 70: incomplete download?"},
        {100000000, "header alone promises 100000008: incomplete download?"},
        {100000001, "at most 100000000 are allowed"},
        {(uint64_t)1 << 32, "at most 100000000"},
        {((uint64_t)1 << 63) - 1, "at most 100000000"},
        {(uint64_t)1 << 63, "header of 9223372036854775808 bytes"},
        {UINT64_MAX - 8, "at most 100000000"},
        {UINT64_MAX - 7, "at most 100000000"},
        {UINT64_MAX, "at most 100000000"},
    };
    const char *header = "{" T("abcd", "F32", "[1]", 0, 4) "}";
    assert_int_equal(strlen(header), 57);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char what[40];
        snprintf(what, sizeof what, "length %" PRIu64, rows[i].length);
        verdict v = judge(rows[i].length, header, 57, 4);
        expect_refusal(what, &v, OB_ERR_MODEL, rows[i].reason);
    }
    expect_legal("the right length", header, 4, 1);
}

static void test_safetensors_header_may_have_100_mb(void **state)
{
    (void)state;
    const size_t most = OB_SAFETENSORS_MAX_HEADER;
    char *header = malloc(most + 1);
    assert_non_null(header);
    memset(header, ' ', most + 1);
    memcpy(header, "{}", 2);
    for (size_t bytes = most - 1; bytes <= most + 1; bytes++) {
        verdict v = judge(bytes, header, bytes, 0);
        if (bytes <= most)
            assert_int_equal(v.status, OB_OK);
        else
            expect_refusal("100 MB + 1", &v, OB_ERR_MODEL, "at most 100000000 are allowed");
    }
    free(header);
}

static void test_safetensors_refuses_every_cut(void **state)
{
    (void)state;
    const char *header = "{" T("a", "F32", "[2,3]", 0, 24) "," T("b", "BF16", "[5]", 24, 34) "}";
    size_t bytes;
    unsigned char *file = build_container(strlen(header), header, strlen(header), 34, &bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        unsigned char *part = malloc(cut > 0 ? cut : 1);
        assert_non_null(part);
        memcpy(part, file, cut);
        verdict v = parse_bytes(part, cut);
        ob__tensor_list_release(&parsed);
        free(part);
        expect_refusal("cut", &v, OB_ERR_MODEL, "incomplete download?");
    }
    verdict v = parse_bytes(file, bytes);
    ob__tensor_list_release(&parsed);
    assert_int_equal(v.status, OB_OK);
    free(file);
}

/* A header whose unknown field is nested so that the whole is `depth` deep. */
static verdict judge_depth(size_t depth)
{
    ob_strbuf header = OB_STRBUF_INIT;
    ob_strbuf_puts(&header, "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":");
    for (size_t i = 2; i < depth; i++)
        ob_strbuf_putc(&header, '[');
    if (depth == 2)
        ob_strbuf_putc(&header, '0');
    for (size_t i = 2; i < depth; i++)
        ob_strbuf_putc(&header, ']');
    ob_strbuf_puts(&header, "}}");
    assert_false(header.failed);
    verdict v = judge(header.length, header.data, header.length, 0);
    ob_strbuf_release(&header);
    return v;
}

static void test_safetensors_limits_depth(void **state)
{
    (void)state;
    assert_int_equal(judge_depth(OB_JSON_MAX_DEPTH - 1).status, OB_OK);
    assert_int_equal(judge_depth(OB_JSON_MAX_DEPTH).status, OB_OK);
    verdict v = judge_depth(OB_JSON_MAX_DEPTH + 1);
    expect_refusal("limit + 1", &v, OB_ERR_MODEL, "nested more than 16 deep");
    v = judge_depth(1000000);
    expect_refusal("a million", &v, OB_ERR_MODEL, "nested more than 16 deep");
}

/* {"__metadata__":{},"a":{...,"x":[0,0,...]}} where structure and items count `values`. */
static verdict judge_values(size_t values)
{
    const char *begin = "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":[0";
    size_t counted = 1;
    for (const char *c = begin; *c != '\0'; c++)
        counted += strchr("{[,:", *c) != NULL;
    ob_strbuf header = OB_STRBUF_INIT;
    ob_strbuf_puts(&header, begin);
    for (; counted < values; counted++)
        ob_strbuf_puts(&header, ",0");
    ob_strbuf_puts(&header, "]}}");
    assert_false(header.failed);
    verdict v = judge(header.length, header.data, header.length, 0);
    ob_strbuf_release(&header);
    return v;
}

static void test_safetensors_limits_the_number_of_values(void **state)
{
    (void)state;
    assert_int_equal(judge_values(OB_JSON_MAX_VALUES - 1).status, OB_OK);
    assert_int_equal(judge_values(OB_JSON_MAX_VALUES).status, OB_OK);
    verdict v = judge_values(OB_JSON_MAX_VALUES + 1);
    expect_refusal("limit + 1", &v, OB_ERR_MODEL, "more than 1000000 values");
}

static void test_safetensors_message_tames_names(void **state)
{
    (void)state;
    char header[1024];
    int bytes = snprintf(header, sizeof header, "{\"%0500d\\n\":null}", 7);
    verdict v = judge((uint64_t)bytes, header, (size_t)bytes, 0);
    assert_int_equal(v.status, OB_ERR_MODEL);
    assert_non_null(strstr(v.err.text, "000...': not an object"));
    assert_true(strlen(v.err.text) < 200);
    const char *controls = "{\"a\\n\\u009b\\u007f\":[]}";
    v = judge(strlen(controls), controls, strlen(controls), 0);
    expect_refusal("control characters", &v, OB_ERR_MODEL, "tensor 'a\?\?\?': not an object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_reads_legal_oddities),
        cmocka_unit_test(test_safetensors_gives_name_shape_type_and_data),
        cmocka_unit_test(test_safetensors_refuses_wrong_headers),
        cmocka_unit_test(test_safetensors_refuses_element_types_that_oberta_lacks),
        cmocka_unit_test(test_safetensors_refuses_wrong_lengths),
        cmocka_unit_test(test_safetensors_header_may_have_100_mb),
        cmocka_unit_test(test_safetensors_refuses_every_cut),
        cmocka_unit_test(test_safetensors_limits_depth),
        cmocka_unit_test(test_safetensors_limits_the_number_of_values),
        cmocka_unit_test(test_safetensors_message_tames_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
