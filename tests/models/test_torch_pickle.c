/* The unpickler: what state dicts need is read, everything else is refused by its name and place. */
#include "pickle.h"
#include "torch_files.h"

#include <oberta/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ob_error err;

static ob_status read_bytes(const void *data, size_t bytes, ob__pickle *out)
{
    unsigned char *copy = exact_copy(data, bytes);
    ob_error_clear(&err);
    ob_status status = ob__pickle_read(copy, bytes, out, &err);
    assert_int_equal(status, err.status);
    assert_int_equal(status == OB_OK, err.text[0] == '\0');
    free(copy); /* a refusal keeps nothing; who reads texts of a success must hold the bytes himself */
    return status;
}

static void expect_refusal(const void *data, size_t bytes, const char *reason)
{
    ob__pickle pickle;
    ob_status status = read_bytes(data, bytes, &pickle);
    if (status != OB_ERR_MODEL || strstr(err.text, reason) == NULL)
        fail_msg("expected '%s', got %s '%s'", reason, ob_status_name(status), err.text);
}

/* A pickle of `length` bytes in a literal, NULs and all. */
#define REFUSE(bytes, reason) expect_refusal(bytes, sizeof(bytes) - 1, reason)

static void test_pickle_refuses_every_other_global(void **state)
{
    (void)state;
    static const char *const globals[][2] = {
        {"os", "system"},
        {"posix", "system"},
        {"builtins", "eval"},
        {"builtins", "exec"},
        {"builtins", "getattr"},
        {"__builtin__", "eval"},
        {"subprocess", "Popen"},
        {"pkgutil", "resolve_name"},
        {"copyreg", "_reconstructor"},
        {"copy_reg", "_reconstructor"},
        {"operator", "attrgetter"},
        {"_codecs", "encode"},
        {"numpy.core.multiarray", "_reconstruct"},
        {"torch", "load"},
        {"torch", "OrderedDict"},
        {"torch.storage", "_load_from_bytes"},
        {"torch._utils", "_rebuild_sparse_tensor"},
        {"torch._utils", "_rebuild_tensor_v2.__globals__"},
        {"torch._utils ", "_rebuild_tensor_v2"},
        {"torch.hub", "load"},
        {"collections", "OrderedDict "},
        {"collections", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        char named[128];
        snprintf(named, sizeof named, "'%s.%s' is not among", globals[i][0], globals[i][1]);
        ob_strbuf old = OB_STRBUF_INIT, new = OB_STRBUF_INIT;
        ob_strbuf_printf(&old, "\x80\x02%c%s\n%s\n)R.", 'c', globals[i][0], globals[i][1]);
        expect_refusal(old.data, old.length, named);
        assert_non_null(strstr(err.text, "byte 2: GLOBAL: global"));
        ob_strbuf_puts(&new, "\x80\x04");
        pickle_text(&new, globals[i][0]);
        pickle_text(&new, globals[i][1]);
        ob_strbuf_puts(&new, "\x93)R.");
        expect_refusal(new.data, new.length, named);
        assert_non_null(strstr(err.text, "STACK_GLOBAL"));
        ob_strbuf_release(&old);
        ob_strbuf_release(&new);
    }
    REFUSE("\x80\x02"
           "ctorch.nn.modules.container\nSequential\n)\x81.",
           "save its state_dict()");
}

static void test_pickle_refuses_other_opcodes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *reason;
    } rows[] = {
        {"\x80\x02(ios\nsystem\n.", "byte 3: INST: an opcode (0x69)"},
        {"\x80\x02(o.", "byte 3: OBJ"},
        {"\x80\x02)}\x92.", "NEWOBJ_EX"},
        {"\x80\x02N0.", "byte 3: POP: an opcode"},
        {"\x80\x02(1.", "POP_MARK"},
        {"\x80\x02N2.", "DUP"},
        {"\x80\x02\x82\x01.", "EXT1"},
        {"\x80\x02Pid\n.", "PERSID"},
        {"\x80\x02I1\n.", "INT"},
        {"\x80\x02S'a'\n.", "STRING"},
        {"\x80\x02(d.", "DICT"},
        {"\x80\x05\x97.", "NEXT_BUFFER"},
        {"\x80\x02\xff.", "byte 2: the pickle: 0xff is no opcode"},
        {"}.", "protocol 0 or 1"},
        {"(dp0\n.", "protocol 0 or 1"},
        {"\x80\x06.", "protocol 6"},
        {"\x80\x02\x80\x02N.", "not at the beginning"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_refusal(rows[i].bytes, strlen(rows[i].bytes), rows[i].reason);
}

static void test_pickle_refuses_wrong_stacks(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *reason;
    } rows[] = {
        {"\x80\x02.", "STOP: the stack holds 0 values"},
        {"\x80\x02NN.", "STOP: the stack holds 2 values"},
        {"\x80\x02N(.", "1 marks"},
        {"\x80\x02t.", "TUPLE: there is no mark"},
        {"\x80\x02u.", "SETITEMS: there is no mark"},
        {"\x80\x02"
         "e.",
         "APPENDS: there is no mark"},
        {"\x80\x02N\x86.", "TUPLE2: the stack has 1 values"},
        {"\x80\x02N(\x85.", "has 0 values above the mark"},
        {"\x80\x02N(s.", "SETITEM: the stack has 0 values above the mark"},
        {"\x80\x02}(Nu.", "a key without a value"},
        {"\x80\x02N(NNu.", "SETITEMS: its target is no dict"},
        {"\x80\x02(NNu.", "SETITEMS: the stack has 0 values"},
        {"\x80\x02}(Ne.", "APPENDS: its target is no list"},
        {"\x80\x02]Nb.", "BUILD: its target is no dict"},
        {"\x80\x02h\x07.", "BINGET: memo 7 was never set"},
        {"\x80\x02N\x94h\x01.", "memo 1 was never set"},
        {"\x80\x02q\x01.", "BINPUT: the stack has 0 values"},
        {"\x80\x02Nr\xff\xff\xff\x7f.", "memo 2147483647: at most"},
        {"\x80\x02j\xff\xff\xff\xff.", "memo 4294967295 was never set"},
        {"\x80\x02"
         "N)R.",
         "REDUCE: what is called is no function"},
        {"\x80\x02"
         "ccollections\nOrderedDict\nNR.",
         "its arguments are no tuple"},
        {"\x80\x02"
         "ctorch\nFloatStorage\n)R.",
         "what is called is no function"},
        {"\x80\x02"
         "ccollections\nOrderedDict\nNN\x86R.",
         "OrderedDict: 2 arguments, but it takes 0 to 1"},
        {"\x80\x02"
         "ccollections\nOrderedDict\nN\x85R.",
         "no list of pairs"},
        {"\x80\x02"
         "ccollections\nOrderedDict\n](Ne\x85R.",
         "something that is no pair"},
        {"\x80\x02"
         "ctorch._utils\n_rebuild_tensor_v2\nNNN\x87R.",
         "_rebuild_tensor_v2: 3 arguments, but it takes 6 to 7"},
        {"\x80\x02"
         "ctorch._utils\n_rebuild_tensor\n(NNNNtR.",
         "_rebuild_tensor: its first argument is no storage"},
        {"\x80\x02"
         "ctorch._utils\n_rebuild_parameter\nNNN\x87R.",
         "_rebuild_parameter: its first argument is no tensor"},
        {"\x80\x02"
         "ctorch._utils\n_rebuild_parameter\n)R.",
         "0 arguments, but it takes 1 to 3"},
        {"\x80\x02NQ.", "BINPERSID: the persistent id is no tuple"},
        {"\x80\x02)Q.", "BINPERSID: the persistent id is no tuple"},
        {"\x80\x02U\x06module\x85Q.", "holds a pickled module"},
        {"\x80\x02U\x05other\x85Q.", "persistent id 'other'"},
        {"\x80\x02U\x07storage\x85Q.", "storage: 1 parts"},
        {"\x80\x02(U\x07storageNU\x01kNK\x01tQ.", "its class is no storage class"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_refusal(rows[i].bytes, strlen(rows[i].bytes), rows[i].reason);
}

static void test_pickle_refuses_wrong_storages(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *reason;
    } rows[] = {
        {"ctorch\nFloatStorage\nNNK\x01tQ.", "its key is no text"},
        {"ctorch\nFloatStorage\nU\x01kNNtQ.", "count of elements is no size"},
        {"ctorch\nFloatStorage\nU\x01kNJ\xff\xff\xff\xfftQ.", "count of elements is no size"},
        {"ctorch\nFloatStorage\nU\x01kNK\x04NNtQ.", "storage: 7 parts"},
        {"ctorch\nFloatStorage\nU\x01kNK\x04K\x04tQ.", "storage 'k': its view is not"},
        {"ctorch\nFloatStorage\nU\x01kNK\x04U\x01vK\x03K\x02\x87tQ.", "a view of 2 elements at 3, but it has 4"},
        {"ctorch\nFloatStorage\nU\x01kNK\x04U\x01vK\x05K\x01\x87tQ.", "a view of 1 elements at 5, but it has 4"},
        {"ccollections\nOrderedDict\nU\x01kNK\x04tQ.", "its class is no storage class"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ob_strbuf bytes = OB_STRBUF_INIT;
        ob_strbuf_puts(&bytes, "\x80\x02(U\x07storage");
        ob_strbuf_puts(&bytes, rows[i].rest);
        expect_refusal(bytes.data, bytes.length, rows[i].reason);
        ob_strbuf_release(&bytes);
    }
    ob__pickle pickle;
    static const char complex[] = "\x80\x02(U\x07storagectorch\nComplexFloatStorage\nU\x01kNK\x04tQ.";
    assert_int_equal(read_bytes(complex, sizeof complex - 1, &pickle), OB_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "torch.ComplexFloatStorage"));
}

static void append_times(ob_strbuf *out, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        ob_strbuf_puts(out, text);
}

static void test_pickle_keeps_its_limits(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *unit;
        size_t most; /* of `unit` */
        const char *reason;
    } rows[] = {
        {"\x80\x02", "(", OB_PICKLE_MAX_MARKS, "nested more than 64 deep"},
        {"\x80\x02", "N", OB_PICKLE_MAX_STACK, "more than 65536 values on the stack"},
        {"\x80\x02]", "Na", OB_PICKLE_MAX_VALUES - 1, "more than 1048576 values"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ob_strbuf bytes = OB_STRBUF_INIT;
        ob_strbuf_puts(&bytes, rows[i].begin);
        append_times(&bytes, rows[i].unit, rows[i].most);
        expect_refusal(bytes.data, bytes.length, "ends without STOP"); /* all of them were taken */
        ob_strbuf_puts(&bytes, rows[i].unit);
        expect_refusal(bytes.data, bytes.length, rows[i].reason);
        ob_strbuf_release(&bytes);
    }
    REFUSE("\x80\x02X\xff\xff\xff\x7f.", "BINUNICODE: a text of 2147483647 bytes: at most 1048576");
    REFUSE("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", "BINUNICODE8: a text of 9223372036854775807 bytes");
    REFUSE("\x80\x02\x8b\xff\xff\xff\xff.", "LONG4: a number of 4294967295 bytes");
    REFUSE("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.", "FRAME: 18446744073709551615 bytes");
    REFUSE("\x80\x02X\x05\0\0\0abc", "BINUNICODE: 3 bytes follow, but it promises 5: incomplete download?");
    REFUSE("\x80\x02"
           "cos",
           "a line without an end");
    ob_strbuf bytes = OB_STRBUF_INIT;
    ob_strbuf_puts(&bytes, "\x80\x02"
                           "c");
    append_times(&bytes, "a", 257);
    ob_strbuf_puts(&bytes, "\nb\n.");
    expect_refusal(bytes.data, bytes.length, "a name of more than 256 bytes");
    ob_strbuf_release(&bytes);
}

/* A list that holds itself, and one value held a million times, are neither walked nor copied. */
static void test_pickle_survives_cycles(void **state)
{
    (void)state;
    static const char cycle[] = "\x80\x02]q\x01h\x01"
                                "a}q\x02h\x02h\x02sa.";
    ob__pickle pickle;
    assert_int_equal(read_bytes(cycle, sizeof cycle - 1, &pickle), OB_OK);
    assert_int_equal(pickle.root->kind, OB_PICKLE_LIST);
    assert_int_equal(pickle.root->as.items.count, 2);
    assert_ptr_equal(pickle.root->as.items.values[0], pickle.root);
    assert_null(ob__pickle_dict_find(pickle.root, "x"));
    ob__pickle_release(&pickle);
    ob_strbuf bytes = OB_STRBUF_INIT;
    ob_strbuf_puts(&bytes, "\x80\x02]q\x01");
    append_times(&bytes,
                 "h\x01"
                 "a",
                 1000000);
    ob_strbuf_putc(&bytes, '.');
    assert_int_equal(read_bytes(bytes.data, bytes.length, &pickle), OB_OK);
    assert_int_equal(pickle.value_count, 1);
    ob__pickle_release(&pickle);
    ob_strbuf_release(&bytes);
}

static const ob__pickle_value *item(const ob__pickle_value *list, size_t i)
{
    assert_true(i < list->as.items.count);
    return list->as.items.values[i];
}

static void test_pickle_reads_every_kind(void **state)
{
    (void)state;
    static const unsigned char bytes[] = "\x80\x04\x95\x01\0\0\0\0\0\0\0]("
                                         "N\x88\x89K\xffM\xff\xffJ\xfe\xff\xff\xff\x8a\x00\x8a\x01\x80"
                                         "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\0\0\0\0\0\0\0\0\x01"
                                         "G\x3f\xf8\0\0\0\0\0\0\x8c\x01zU\x01yX\x01\0\0\0x)K\x01\x85NN\x86NNN\x87(NNNNt"
                                         "}K\x01K\x02s\x8f(K\x03\x90"
                                         "e.trailing";
    ob__pickle pickle;
    ob_error_clear(&err);
    assert_int_equal(ob__pickle_read(bytes, sizeof bytes - 1, &pickle, &err), OB_OK);
    assert_int_equal(pickle.bytes, sizeof bytes - 1 - strlen("trailing"));
    const ob__pickle_value *list = pickle.root;
    assert_int_equal(list->kind, OB_PICKLE_LIST);
    assert_int_equal(list->as.items.count, 21);
    assert_int_equal(item(list, 0)->kind, OB_PICKLE_NONE);
    assert_true(item(list, 1)->as.boolean);
    assert_false(item(list, 2)->as.boolean);
    static const int64_t integers[] = {255, 65535, -2, 0, -128, INT64_MIN};
    for (size_t i = 0; i < 6; i++) {
        size_t size;
        assert_int_equal(item(list, 3 + i)->kind, OB_PICKLE_INTEGER);
        assert_true(item(list, 3 + i)->as.integer == integers[i]);
        assert_int_equal(ob__pickle_as_size(item(list, 3 + i), &size), integers[i] >= 0);
    }
    assert_int_equal(item(list, 9)->kind, OB_PICKLE_LONG);
    assert_true(item(list, 10)->as.real == 1.5);
    assert_true(ob__pickle_text_is(item(list, 11)->as.text, "z"));
    assert_true(ob__pickle_text_is(item(list, 12)->as.text, "y"));
    assert_true(ob__pickle_text_is(item(list, 13)->as.text, "x"));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(item(list, 14 + i)->kind, OB_PICKLE_TUPLE);
        assert_int_equal(item(list, 14 + i)->as.items.count, i);
    }
    assert_int_equal(item(list, 19)->kind, OB_PICKLE_DICT);
    assert_int_equal(item(item(list, 19), 1)->as.integer, 2);
    assert_int_equal(item(item(list, 20), 0)->as.integer, 3);
    ob__pickle_release(&pickle);
}

/* Python 2 writes OrderedDict with a list of pairs. */
static void test_pickle_reads_dicts_of_python_2(void **state)
{
    (void)state;
    static const unsigned char bytes[] = "\x80\x02"
                                         "ccollections\nOrderedDict\n](](U\x01"
                                         "aK\x07"
                                         "eU\x01"
                                         "bK\x08\x86"
                                         "e\x85R.";
    ob__pickle pickle;
    ob_error_clear(&err);
    assert_int_equal(ob__pickle_read(bytes, sizeof bytes - 1, &pickle, &err), OB_OK);
    assert_int_equal(ob__pickle_dict_find(pickle.root, "a")->as.integer, 7);
    assert_int_equal(ob__pickle_dict_find(pickle.root, "b")->as.integer, 8);
    ob__pickle_release(&pickle);
}

static void test_pickle_refuses_every_cut(void **state)
{
    (void)state;
    torch_tensor tensors[] = {{"a", "FloatStorage", "0", 6, 0, 2, 2, {2, 3}, {3, 1}},
                              {"b", "HalfStorage", "1", 4, 1, 1, 1, {3}, {1}}};
    ob_strbuf bytes = OB_STRBUF_INIT;
    pickle_state_dict(&bytes, tensors, 2, false);
    for (size_t cut = 0; cut < bytes.length; cut++)
        expect_refusal(bytes.data, cut, "incomplete download?");
    ob__pickle pickle;
    assert_int_equal(read_bytes(bytes.data, bytes.length, &pickle), OB_OK);
    assert_int_equal(pickle.storage_count, 2);
    ob__pickle_release(&pickle);
    ob_strbuf_release(&bytes);
}

static void test_pickle_message_tames_names(void **state)
{
    (void)state;
    REFUSE("\x80\x02"
           "cos\x1b[31m\n\x07sys\xff\n.",
           "'os?[31m.?sys?'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pickle_refuses_every_other_global), cmocka_unit_test(test_pickle_refuses_other_opcodes),
        cmocka_unit_test(test_pickle_refuses_wrong_stacks),       cmocka_unit_test(test_pickle_refuses_wrong_storages),
        cmocka_unit_test(test_pickle_keeps_its_limits),           cmocka_unit_test(test_pickle_survives_cycles),
        cmocka_unit_test(test_pickle_reads_every_kind),           cmocka_unit_test(test_pickle_reads_dicts_of_python_2),
        cmocka_unit_test(test_pickle_refuses_every_cut),          cmocka_unit_test(test_pickle_message_tames_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
