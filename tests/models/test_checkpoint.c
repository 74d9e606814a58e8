/* Model folders: which file is taken, what is refused, and that nothing outside the folder is read. */
#include "model_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <oberta/checkpoint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ONE_TENSOR   "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"
#define OTHER_TENSOR "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
#define INDEX        "model.safetensors.index.json"

static size_t open_file_count(void)
{
    size_t count = 0;
    DIR *entries = opendir("/proc/self/fd");
    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

static ob_checkpoint *open_right(const char *folder)
{
    ob_checkpoint *checkpoint = NULL;
    ob_error err;
    ob_error_clear(&err);
    if (ob_checkpoint_open(folder, &checkpoint, &err) != OB_OK)
        fail_msg("%s: %s", folder, err.text);
    return checkpoint;
}

static void expect_refusal(const char *folder, ob_status status, const char *reason)
{
    ob_checkpoint *checkpoint = NULL;
    ob_error err;
    ob_error_clear(&err);
    size_t open_before = open_file_count();
    ob_status got = ob_checkpoint_open(folder, &checkpoint, &err);
    if (got != status || strstr(err.text, reason) == NULL)
        fail_msg("expected %s '%s', got %s '%s'", ob_status_name(status), reason, ob_status_name(got), err.text);
    assert_null(checkpoint);
    assert_int_equal(open_file_count(), open_before);
}

static void test_checkpoint_opens_every_golden_folder(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "act_gelu/model",
        "container_bf16/model",
        "container_f16/model",
        "container_f32/model",
        "container_f32/model_safetensors_extra",
        "container_f32/model_safetensors_gamma_beta",
        "container_f32/model_safetensors_shards",
        "container_f32/model_safetensors_unaligned",
        "head64/model",
        "mlm12/model",
        "odd/model",
        "pooler/model_prefixed",
        "tied/model_other_decoder",
        "untied/model_both_biases",
    };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        ob_checkpoint *checkpoint = open_right(golden_folder(folders[i]));
        size_t count = ob_checkpoint_count(checkpoint);
        assert_true(count > 20);
        for (size_t t = 0; t < count; t++) {
            const ob_tensor *tensor = ob_checkpoint_get(checkpoint, t);
            assert_ptr_equal(ob_checkpoint_find(checkpoint, tensor->name), tensor);
            if (t > 0)
                assert_true(strcmp(ob_checkpoint_get(checkpoint, t - 1)->name, tensor->name) < 0);
        }
        assert_null(ob_checkpoint_find(checkpoint, "nothing"));
        ob_checkpoint_close(checkpoint);
    }
}

static void expect_same_tensors(const char *folder, const char *container)
{
    ob_checkpoint *plain = open_right(golden_folder("container_f32/model"));
    ob_checkpoint *other = open_right(golden_folder(folder));
    assert_string_equal(ob_checkpoint_container(plain), "safetensors");
    assert_string_equal(ob_checkpoint_container(other), container);
    assert_int_equal(ob_checkpoint_count(plain), ob_checkpoint_count(other));
    for (size_t i = 0; i < ob_checkpoint_count(plain); i++) {
        const ob_tensor *a = ob_checkpoint_get(plain, i), *b = ob_checkpoint_get(other, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->dtype, b->dtype);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->shape, b->shape, a->rank * sizeof a->shape[0]);
        assert_memory_equal(a->data, b->data, a->count * ob_dtype_bytes(a->dtype));
    }
    ob_checkpoint_close(plain);
    ob_checkpoint_close(other);
}

static void test_checkpoint_shards_equal_the_single_file(void **state)
{
    (void)state;
    expect_same_tensors("container_f32/model_safetensors_shards", "safetensors, 4 shards");
}

static void test_checkpoint_takes_data_of_any_alignment(void **state)
{
    (void)state;
    expect_same_tensors("container_f32/model_safetensors_unaligned", "safetensors");
    ob_checkpoint *checkpoint = open_right(golden_folder("container_f32/model_safetensors_unaligned"));
    assert_int_not_equal((uintptr_t)ob_checkpoint_get(checkpoint, 0)->data % 4, 0);
    ob_checkpoint_close(checkpoint);
}

static void test_checkpoint_forgotten_tensors_read_the_same(void **state)
{
    (void)state;
    ob_checkpoint *checkpoint = open_right(golden_folder("mlm12/model"));
    for (size_t i = 0; i < ob_checkpoint_count(checkpoint); i++) {
        const ob_tensor *tensor = ob_checkpoint_get(checkpoint, i);
        size_t bytes = tensor->count * ob_dtype_bytes(tensor->dtype);
        void *before = malloc(bytes + 1);
        assert_non_null(before);
        memcpy(before, tensor->data, bytes);
        ob_checkpoint_forget(tensor);
        assert_memory_equal(before, tensor->data, bytes);
        free(before);
    }
    ob_checkpoint_close(checkpoint);
}

static void test_checkpoint_prefers_the_single_file(void **state)
{
    (void)state;
    char *folder = make_folder();
    write_container(folder, "model.safetensors", ONE_TENSOR, 8);
    write_text(folder, INDEX, "damaged");
    write_text(folder, "pytorch_model.bin", "PK");
    ob_checkpoint *checkpoint = open_right(folder);
    assert_int_equal(ob_checkpoint_count(checkpoint), 1);
    assert_int_equal(ob_checkpoint_bytes(checkpoint), 8 + sizeof ONE_TENSOR - 1 + 8);
    assert_string_equal(ob_checkpoint_get(checkpoint, 0)->file, "model.safetensors");
    ob_checkpoint_close(checkpoint);
    remove_folder(folder);
}

static void test_checkpoint_says_what_a_folder_lacks(void **state)
{
    (void)state;
    char *folder = make_folder();
    expect_refusal(folder, OB_ERR_MODEL, "has neither 'model.safetensors' nor 'pytorch_model.bin'");
    expect_refusal(path_in(folder, "absent"), OB_ERR_MODEL, "absent: no such folder");
    write_text(folder, "tf_model.h5", "");
    expect_refusal(folder, OB_ERR_UNSUPPORTED, "has 'tf_model.h5' but neither");
    write_text(folder, "model.safetensors", "");
    expect_refusal(folder, OB_ERR_MODEL, "file is 0 bytes");
    remove_folder(folder);
}

static void test_checkpoint_refuses_what_is_no_regular_file(void **state)
{
    (void)state;
    char *folder = make_folder();
    alarm(20); /* a FIFO that blocks would wait for ever */
    assert_int_equal(mkfifo(path_in(folder, "model.safetensors"), 0600), 0);
    expect_refusal(folder, OB_ERR_IO, "not a regular file");
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(mkdir(path_in(folder, "model.safetensors"), 0700), 0);
    expect_refusal(folder, OB_ERR_IO, "a folder, not a regular file");
    assert_int_equal(rmdir(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(symlink("/dev/zero", path_in(folder, "model.safetensors")), 0);
    expect_refusal(folder, OB_ERR_IO, "not a regular file");
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(symlink("nowhere", path_in(folder, "model.safetensors")), 0);
    expect_refusal(folder, OB_ERR_MODEL, "is a link to a file that does not exist");
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(mkfifo(path_in(folder, INDEX), 0600), 0);
    expect_refusal(folder, OB_ERR_IO, "not a regular file");
    alarm(0);
    remove_folder(folder);
}

/* The hub's cache keeps every file elsewhere, under its hash, and fills the model's folder with links. */
static void test_checkpoint_follows_links_to_regular_files(void **state)
{
    (void)state;
    char *blobs = make_folder(), *folder = make_folder();
    write_container(blobs, "0123", ONE_TENSOR, 8);
    write_container(blobs, "4567", OTHER_TENSOR, 4);
    char *first = strdup(path_in(blobs, "0123")), *second = strdup(path_in(blobs, "4567"));
    assert_int_equal(symlink(first, path_in(folder, "model.safetensors")), 0);
    ob_checkpoint *checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_get(checkpoint, 0)->name, "a");
    ob_checkpoint_close(checkpoint);
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(symlink(first, path_in(folder, "x")), 0);
    assert_int_equal(symlink(second, path_in(folder, "y")), 0);
    write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"x\",\"b\":\"y\"}}");
    checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_find(checkpoint, "b")->file, "y");
    ob_checkpoint_close(checkpoint);
    free(first);
    free(second);
    remove_folder(folder);
    remove_folder(blobs);
}

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

static unsigned char *read_golden(const char *name, size_t *bytes)
{
    FILE *file = fopen(golden_folder(name), "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    data[*bytes] = 0;
    return data;
}

static void test_checkpoint_refuses_a_model_cut_or_grown(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char *model = read_golden("act_gelu/model/model.safetensors", &bytes);
    char *folder = make_folder();
    for (size_t i = 0; i < 64; i++) {
        write_file(folder, "model.safetensors", model, bytes * i / 64);
        expect_refusal(folder, OB_ERR_MODEL, "incomplete download?");
    }
    write_file(folder, "model.safetensors", model, bytes - 1);
    expect_refusal(folder, OB_ERR_MODEL, "incomplete download?");
    write_file(folder, "model.safetensors", model, bytes + 1);
    expect_refusal(folder, OB_ERR_MODEL, "1 too many");
    write_file(folder, "model.safetensors", model, bytes);
    ob_checkpoint_close(open_right(folder));
    free(model);
    remove_folder(folder);
}

static void test_checkpoint_refuses_a_sparse_terabyte_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *begin;
        size_t bytes;
        const char *reason;
    } rows[] = {
        {"", 0, "does not begin with '{'"},                         /* the hole says: a header of 0 bytes */
        {"\x00\xe1\xf5\x05\0\0\0\0", 8, "does not begin with '{'"}, /* 100 MB of hole */
        {"\x00\xe1\xf5\x05\0\0\0\0{", 9, "JSON: line 1"},           /* ... that begins right */
        {"\x02\0\0\0\0\0\0\0{}", 10, "1099511627766 too many"},
    };
    char *folder = make_folder();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_file(folder, "model.safetensors", rows[i].begin, rows[i].bytes);
        if (truncate(path_in(folder, "model.safetensors"), (off_t)1 << 40) != 0)
            skip(); /* a file system without files of this size */
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        expect_refusal(folder, OB_ERR_MODEL, rows[i].reason);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_true(end.tv_sec - begin.tv_sec < 5);
    }
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_opens_every_golden_folder),
        cmocka_unit_test(test_checkpoint_shards_equal_the_single_file),
        cmocka_unit_test(test_checkpoint_takes_data_of_any_alignment),
        cmocka_unit_test(test_checkpoint_forgotten_tensors_read_the_same),
        cmocka_unit_test(test_checkpoint_prefers_the_single_file),
        cmocka_unit_test(test_checkpoint_says_what_a_folder_lacks),
        cmocka_unit_test(test_checkpoint_refuses_what_is_no_regular_file),
        cmocka_unit_test(test_checkpoint_follows_links_to_regular_files),
        cmocka_unit_test(test_checkpoint_shard_names_stay_in_the_folder),
        cmocka_unit_test(test_checkpoint_refuses_damaged_indices),
        cmocka_unit_test(test_checkpoint_limits_the_number_of_shards),
        cmocka_unit_test(test_checkpoint_checks_every_tensor_of_the_index),
        cmocka_unit_test(test_checkpoint_keeps_tensors_that_the_index_lacks),
        cmocka_unit_test(test_checkpoint_refuses_a_model_cut_or_grown),
        cmocka_unit_test(test_checkpoint_refuses_a_sparse_terabyte_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
