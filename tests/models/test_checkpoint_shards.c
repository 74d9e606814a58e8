/* Weights in several files: what the index names stays in the folder and is all there. */
#include "checkpoint_case.h"
#include "model_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_checkpoint_shard_names_stay_in_the_folder(void **state)
{
    (void)state;
    static const struct {
        const char *name, *reason;
    } rows[] = {
        {"../x", "begins with a dot"},
        {"..", "begins with a dot"},
        {".", "begins with a dot"},
        {".hidden", "begins with a dot"},
        {"", "is empty"},
        {"/etc/passwd", "is not a plain file name"},
        {"a/b", "is not a plain file name"},
        {"a/../../b", "is not a plain file name"},
        {"a\\\\b", "is not a plain file name"},
        {"a\\u002fb", "is not a plain file name"},
        {"a\\u0000b", "JSON: line 1"},
    };
    char *folder = make_folder();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char index[256];
        snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", rows[i].name);
        write_text(folder, INDEX, index);
        expect_refusal(folder, OB_ERR_MODEL, rows[i].reason);
        assert_int_equal(unlink(path_in(folder, INDEX)), 0);
        write_text(folder, "pytorch_model.bin.index.json", index);
        expect_refusal(folder, OB_ERR_MODEL, rows[i].reason);
        expect_refusal(folder, OB_ERR_MODEL, "pytorch_model.bin.index.json: ");
        assert_int_equal(unlink(path_in(folder, "pytorch_model.bin.index.json")), 0);
    }
    for (size_t length = 254; length <= 256; length++) {
        char index[512], name[257];
        memset(name, 'n', length);
        name[length] = '\0';
        snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", name);
        write_text(folder, INDEX, index);
        expect_refusal(folder, OB_ERR_MODEL, length <= 255 ? "is missing" : "is longer than 255 bytes");
    }
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"../x\",\"b\":\"/y\",\"c\":\"good\"}}");
    expect_refusal(folder, OB_ERR_MODEL, "file name '/y' is not");
    expect_refusal(folder, OB_ERR_MODEL, "file name '../x' begins");
    remove_folder(folder);
}

static void test_checkpoint_refuses_damaged_indices(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", "does not begin with '{'"},
        {"[]", "does not begin with '{'"},
        {"{", "JSON: line 1"},
        {"{}", "weight_map: missing"},
        {"{\"weight_map\":[]}", "weight_map: missing, or not an object"},
        {"{\"weight_map\":{}}", "names no file"},
        {"{\"weight_map\":{\"a\":1}}", "weight_map: 'a': not a file name"},
        {"{\"weight_map\":{\"a\":null}}", "weight_map: 'a': not a file name"},
        {"{\"weight_map\":{\"a\":\"x\",\"a\":\"x\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"x\"},\"weight_map\":{\"a\":\"x\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"x\"}} x", "JSON: line 1"},
    };
    char *folder = make_folder();
    write_container(folder, "x", ONE_TENSOR, 8);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(folder, INDEX, rows[i].text);
        expect_refusal(folder, OB_ERR_MODEL, rows[i].reason);
    }
    write_text(folder, INDEX, "{\"metadata\":{\"total_size\":99},\"weight_map\":{\"a\":\"x\"}}\n");
    ob_checkpoint *checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "safetensors, 1 shard");
    ob_checkpoint_close(checkpoint);
    remove_folder(folder);
}

static void test_checkpoint_limits_the_number_of_shards(void **state)
{
    (void)state;
    char *folder = make_folder();
    for (size_t shards = 1023; shards <= 1025; shards++) {
        char index[65536] = "{\"weight_map\":{";
        size_t at = strlen(index);
        for (size_t i = 0; i < shards; i++)
            at += (size_t)snprintf(index + at, sizeof index - at, "%s\"t%zu\":\"f%zu\"", i == 0 ? "" : ",", i, i);
        snprintf(index + at, sizeof index - at, "}}");
        write_text(folder, INDEX, index);
        expect_refusal(folder, OB_ERR_MODEL, shards <= 1024 ? "'f0' is missing" : "names 1025 files: at most 1024");
    }
    remove_folder(folder);
}

static void test_checkpoint_checks_every_tensor_of_the_index(void **state)
{
    (void)state;
    char *folder = make_folder();
    write_container(folder, "x", ONE_TENSOR, 8);
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"x\",\"b\":\"y\",\"c\":\"z\"}}");
    expect_refusal(folder, OB_ERR_MODEL, "file 'y' is missing: incomplete download?\n");
    expect_refusal(folder, OB_ERR_MODEL, "file 'z' is missing");
    write_container(folder, "y", OTHER_TENSOR, 4);
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"x\",\"b\":\"y\",\"c\":\"y\",\"d\":\"x\"}}");
    expect_refusal(folder, OB_ERR_MODEL, "tensor 'c' is not in its file 'y'");
    expect_refusal(folder, OB_ERR_MODEL, "tensor 'd' is not in its file 'x'");
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"y\",\"b\":\"x\"}}");
    expect_refusal(folder, OB_ERR_MODEL, "tensor 'a' is not in its file 'y'");
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"x\",\"b\":\"y\"}}");
    write_container(folder, "y", ONE_TENSOR, 8);
    expect_refusal(folder, OB_ERR_MODEL, "tensor 'a' is in two files, 'x' and 'y'");
    write_container(folder, "y", OTHER_TENSOR, 3);
    expect_refusal(folder, OB_ERR_MODEL, "y: file is 65 bytes, but its header promises 66: incomplete download?");
    remove_folder(folder);
}

/* The reference loads whole shards, so a tensor that the index forgot is there all the same. */
static void test_checkpoint_keeps_tensors_that_the_index_lacks(void **state)
{
    (void)state;
    char *folder = make_folder();
    write_container(folder, "x",
                    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                    "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}",
                    9);
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"x\"}}");
    ob_checkpoint *checkpoint = open_right(folder);
    assert_int_equal(ob_checkpoint_count(checkpoint), 2);
    assert_int_equal(*(const unsigned char *)ob_checkpoint_find(checkpoint, "b")->data, 8);
    ob_checkpoint_close(checkpoint);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_shard_names_stay_in_the_folder),
        cmocka_unit_test(test_checkpoint_refuses_damaged_indices),
        cmocka_unit_test(test_checkpoint_limits_the_number_of_shards),
        cmocka_unit_test(test_checkpoint_checks_every_tensor_of_the_index),
        cmocka_unit_test(test_checkpoint_keeps_tensors_that_the_index_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
