/* Model folders: which file is taken, what is refused, and that nothing outside the folder is read. */
#include "checkpoint_case.h"
#include "model_files.h"
#include "torch_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_checkpoint_opens_every_golden_folder(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "act_gelu/model",
        "container_bf16/model",
        "container_bf16/model_bin_legacy",
        "container_bf16/model_bin_zip",
        "container_f16/model",
        "container_f16/model_bin_legacy",
        "container_f16/model_bin_zip",
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

/* The tensors of "<name>/model" are all in the other folder, bit for bit, under the same names. */
static void expect_tensors_of(const char *name, const char *folder, const char *container, size_t more)
{
    char path[64];
    snprintf(path, sizeof path, "%s/model", name);
    ob_checkpoint *plain = open_right(golden_folder(path));
    snprintf(path, sizeof path, "%s/%s", name, folder);
    ob_checkpoint *other = open_right(golden_folder(path));
    assert_string_equal(ob_checkpoint_container(plain), "safetensors");
    assert_string_equal(ob_checkpoint_container(other), container);
    assert_int_equal(ob_checkpoint_count(plain) + more, ob_checkpoint_count(other));
    for (size_t i = 0; i < ob_checkpoint_count(plain); i++) {
        const ob_tensor *a = ob_checkpoint_get(plain, i), *b = ob_checkpoint_find(other, a->name);
        if (b == NULL)
            fail_msg("%s: no tensor '%s'", folder, a->name);
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
    expect_tensors_of("container_f32", "model_safetensors_shards", "safetensors, 4 shards", 0);
}

/* save_pretrained leaves the tied decoder's weight and bias out of safetensors; torch.save writes them again. */
static void test_checkpoint_pytorch_files_equal_safetensors(void **state)
{
    (void)state;
    static const char *const precisions[] = {"container_f32", "container_f16", "container_bf16"};
    for (size_t i = 0; i < 3; i++) {
        expect_tensors_of(precisions[i], "model_bin_zip", "PyTorch zip", 2);
        expect_tensors_of(precisions[i], "model_bin_legacy", "PyTorch legacy", 2);
    }
    expect_tensors_of("container_f32", "model_bin_parameters", "PyTorch zip", 2);
    expect_tensors_of("container_f32", "model_bin_views", "PyTorch zip", 2);
    expect_tensors_of("container_f32", "model_bin_legacy_views", "PyTorch legacy", 2);
    expect_tensors_of("container_f32", "model_bin_shards", "PyTorch zip, 4 shards", 2);
}

static void test_checkpoint_copies_only_strided_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        size_t copies;
    } rows[] = {{"container_f32/model_bin_zip", 0},
                {"container_f32/model_bin_legacy", 0},
                {"container_f32/model_bin_views", 2},
                {"container_f32/model_bin_legacy_views", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ob_checkpoint *checkpoint = open_right(golden_folder(rows[i].folder));
        size_t copies = 0;
        for (size_t t = 0; t < ob_checkpoint_count(checkpoint); t++)
            copies += !ob_checkpoint_get(checkpoint, t)->mapped;
        assert_int_equal(copies, rows[i].copies);
        ob_checkpoint_close(checkpoint);
    }
}

static void test_checkpoint_takes_data_of_any_alignment(void **state)
{
    (void)state;
    expect_tensors_of("container_f32", "model_safetensors_unaligned", "safetensors", 0);
    ob_checkpoint *checkpoint = open_right(golden_folder("container_f32/model_safetensors_unaligned"));
    assert_int_not_equal((uintptr_t)ob_checkpoint_get(checkpoint, 0)->data % 4, 0);
    ob_checkpoint_close(checkpoint);
}

static void forget_and_compare(const char *name)
{
    ob_checkpoint *checkpoint = open_right(golden_folder(name));
    for (size_t i = 0; i < ob_checkpoint_count(checkpoint); i++) {
        const ob_tensor *tensor = ob_checkpoint_get(checkpoint, i);
        size_t bytes = tensor->count * ob_dtype_bytes(tensor->dtype);
        void *before = malloc(bytes + 1);
        assert_non_null(before);
        memcpy(before, tensor->data, bytes);
        ob_checkpoint_forget(tensor);
        assert_memory_equal(before, tensor->data, bytes);
        ob_checkpoint_forget_all(checkpoint);
        assert_memory_equal(before, tensor->data, bytes);
        free(before);
    }
    ob_checkpoint_close(checkpoint);
}

static void test_checkpoint_forgotten_tensors_read_the_same(void **state)
{
    (void)state;
    forget_and_compare("mlm12/model");
    forget_and_compare("container_f32/model_bin_legacy");
    forget_and_compare("container_f32/model_bin_views");
}

/* A copy is memory of our own: had its pages been given to the system, they would read as zeros. */
static void test_checkpoint_forgotten_copies_read_the_same(void **state)
{
    (void)state;
    enum { ROWS = 512, COLUMNS = 300 };
    static float numbers[COLUMNS * ROWS];
    for (size_t i = 0; i < COLUMNS * ROWS; i++)
        numbers[i] = (float)(i + 1);
    const torch_tensor view = {"a", "FloatStorage", "0", ROWS * COLUMNS, 0, 2, 2, {ROWS, COLUMNS}, {1, ROWS}};
    ob_strbuf pickle = OB_STRBUF_INIT;
    pickle_state_dict(&pickle, &view, 1, false);
    zip_file zip;
    build_torch_zip(&pickle, "little", numbers, sizeof numbers, &zip);
    char *folder = make_folder();
    write_file(folder, "pytorch_model.bin", zip.bytes.data, zip.bytes.length);
    ob_checkpoint *checkpoint = open_right(folder);
    const ob_tensor *tensor = ob_checkpoint_find(checkpoint, "a");
    ob_checkpoint_forget(tensor);
    ob_checkpoint_forget_all(checkpoint);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++)
            assert_true(((const float *)tensor->data)[r * COLUMNS + c] == numbers[c * ROWS + r]);
    ob_checkpoint_close(checkpoint);
    remove_folder(folder);
    ob_strbuf_release(&zip.bytes);
    ob_strbuf_release(&pickle);
}

static void write_torch_zip(const char *folder, const char *name, const char *const *tensors, size_t count)
{
    static const float storage[] = {1, 2};
    torch_tensor views[4];
    ob_strbuf pickle = OB_STRBUF_INIT;
    zip_file zip;
    assert_true(count <= 4);
    for (size_t i = 0; i < count; i++)
        views[i] = (torch_tensor){tensors[i], "FloatStorage", "0", 2, 0, 1, 1, {2}, {1}};
    pickle_state_dict(&pickle, views, count, false);
    build_torch_zip(&pickle, "little", storage, sizeof storage, &zip);
    write_file(folder, name, zip.bytes.data, zip.bytes.length);
    ob_strbuf_release(&zip.bytes);
    ob_strbuf_release(&pickle);
}

/* The order of transformers 4. What is first is read or refused; nothing else stands in for it. */
static void test_checkpoint_has_an_order_of_files(void **state)
{
    (void)state;
    static const char *const names[] = {"model.safetensors", INDEX, "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};
    char *folder = make_folder();
    write_torch_zip(folder, "x", (const char *const[]){"a"}, 1);
    write_text(folder, names[3], "{\"weight_map\":{\"a\":\"x\"}}");
    ob_checkpoint *checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "PyTorch zip, 1 shard");
    ob_checkpoint_close(checkpoint);
    write_torch_zip(folder, names[2], (const char *const[]){"b"}, 1);
    checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "PyTorch zip");
    assert_string_equal(ob_checkpoint_get(checkpoint, 0)->name, "b");
    assert_string_equal(ob_checkpoint_get(checkpoint, 0)->file, names[2]);
    ob_checkpoint_close(checkpoint);
    write_container(folder, "y", ONE_TENSOR, 8);
    write_text(folder, names[1], "{\"weight_map\":{\"a\":\"y\"}}");
    checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "safetensors, 1 shard");
    ob_checkpoint_close(checkpoint);
    write_container(folder, names[0], ONE_TENSOR, 8);
    checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "safetensors");
    assert_int_equal(ob_checkpoint_bytes(checkpoint), 8 + sizeof ONE_TENSOR - 1 + 8);
    ob_checkpoint_close(checkpoint);
    for (size_t i = 0; i < 4; i++) {
        write_text(folder, names[i], "damaged");
        expect_refusal(folder, OB_ERR_MODEL, names[i]);
        assert_int_equal(unlink(path_in(folder, names[i])), 0);
    }
    remove_folder(folder);
}

/* Content decides; the name only earns a warning. */
static void test_checkpoint_reads_by_content(void **state)
{
    (void)state;
    char *folder = make_folder();
    write_container(folder, "pytorch_model.bin", ONE_TENSOR, 8);
    ob_checkpoint *checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "safetensors");
    ob_checkpoint_close(checkpoint);
    write_torch_zip(folder, "model.safetensors", (const char *const[]){"a"}, 1);
    checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_container(checkpoint), "PyTorch zip");
    ob_checkpoint_close(checkpoint);
    char *sharded = make_folder();
    write_container(sharded, "x", OTHER_TENSOR, 4);
    write_torch_zip(sharded, "y", (const char *const[]){"a"}, 1);
    write_text(sharded, INDEX, "{\"weight_map\":{\"b\":\"x\",\"a\":\"y\"}}");
    checkpoint = open_right(sharded);
    assert_string_equal(ob_checkpoint_container(checkpoint), "mixed, 2 shards");
    ob_checkpoint_close(checkpoint);
    remove_folder(sharded);
    remove_folder(folder);
}

static void test_checkpoint_names_foreign_files(void **state)
{
    (void)state;
    static char tar[512] = "pickle";
    memcpy(tar + 257, "ustar", 5);
    static const struct {
        const char *begin;
        size_t bytes;
        const char *reason;
    } rows[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", 64, "git lfs pull"},
        {"<!DOCTYPE html><html>", 21, "a web page"},
        {tar, sizeof tar, "a tar file, as PyTorch wrote them before 0.1.10"},
        {"7z\xbc\xaf\x27\x1c\0\4", 8, "a 7z archive"},
        {"\x1f\x8b\x08\0\0\0\0\0", 8, "a gzip file"},
        {"\x80\x02}q\0.", 6, "a Python pickle, but none that torch.save writes"},
        {"PK\5\6", 4, "an empty zip file"},
        {"\x89HDF\r\n\x1a\n", 8, "an HDF5 file"},
    };
    static const char *const names[] = {"pytorch_model.bin", "model.safetensors"};
    char *folder = make_folder();
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            write_file(folder, names[n], rows[i].begin, rows[i].bytes);
            expect_refusal(folder, OB_ERR_MODEL, rows[i].reason);
            expect_refusal(folder, OB_ERR_MODEL, names[n]);
        }
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    write_text(folder, "pytorch_model.bin", "hello there");
    expect_refusal(folder, OB_ERR_MODEL, "begins with 68 65 6c 6c: neither a PyTorch file");
    write_text(folder, "pytorch_model.bin", "");
    expect_refusal(folder, OB_ERR_MODEL, "file is 0 bytes");
    remove_folder(folder);
}

/* Models trained on several devices have it before every name, and then it is no part of any. */
static void test_checkpoint_strips_module(void **state)
{
    (void)state;
    char *folder = make_folder();
    write_torch_zip(folder, "pytorch_model.bin", (const char *const[]){"module.b", "module.a", "module.module.c"}, 3);
    ob_checkpoint *checkpoint = open_right(folder);
    assert_string_equal(ob_checkpoint_get(checkpoint, 0)->name, "a");
    assert_non_null(ob_checkpoint_find(checkpoint, "b"));
    assert_non_null(ob_checkpoint_find(checkpoint, "module.c"));
    ob_checkpoint_close(checkpoint);
    write_torch_zip(folder, "pytorch_model.bin", (const char *const[]){"module.b", "a"}, 2);
    checkpoint = open_right(folder);
    assert_non_null(ob_checkpoint_find(checkpoint, "module.b"));
    ob_checkpoint_close(checkpoint);
    write_torch_zip(folder, "pytorch_model.bin", (const char *const[]){"a", "b", "a"}, 3);
    expect_refusal(folder, OB_ERR_MODEL, "pytorch_model.bin: tensor 'a' is there twice");
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
    expect_refusal(folder, OB_ERR_MODEL, "not a regular file");
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(mkdir(path_in(folder, "model.safetensors"), 0700), 0);
    expect_refusal(folder, OB_ERR_MODEL, "a folder, not a regular file");
    assert_int_equal(rmdir(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(symlink("/dev/zero", path_in(folder, "model.safetensors")), 0);
    expect_refusal(folder, OB_ERR_MODEL, "not a regular file");
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(symlink("nowhere", path_in(folder, "model.safetensors")), 0);
    expect_refusal(folder, OB_ERR_MODEL, "is a link to a file that does not exist");
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    assert_int_equal(mkfifo(path_in(folder, INDEX), 0600), 0);
    expect_refusal(folder, OB_ERR_MODEL, "not a regular file");
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
    assert_int_equal(unlink(path_in(folder, "model.safetensors")), 0);
    static const struct {
        const char *begin;
        size_t bytes;
        const char *reason;
    } torch[] = {
        {"", 0, "begins with 00 00 00 00"},
        {"PK\3\4", 4, "no central directory ends with it"},
        {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15, "the protocol's pickle, at byte 15"},
    };
    for (size_t i = 0; i < sizeof torch / sizeof torch[0]; i++) {
        write_file(folder, "pytorch_model.bin", torch[i].begin, torch[i].bytes);
        assert_int_equal(truncate(path_in(folder, "pytorch_model.bin"), (off_t)1 << 40), 0);
        expect_refusal(folder, OB_ERR_MODEL, torch[i].reason);
    }
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_opens_every_golden_folder),
        cmocka_unit_test(test_checkpoint_shards_equal_the_single_file),
        cmocka_unit_test(test_checkpoint_pytorch_files_equal_safetensors),
        cmocka_unit_test(test_checkpoint_copies_only_strided_tensors),
        cmocka_unit_test(test_checkpoint_takes_data_of_any_alignment),
        cmocka_unit_test(test_checkpoint_forgotten_tensors_read_the_same),
        cmocka_unit_test(test_checkpoint_forgotten_copies_read_the_same),
        cmocka_unit_test(test_checkpoint_has_an_order_of_files),
        cmocka_unit_test(test_checkpoint_reads_by_content),
        cmocka_unit_test(test_checkpoint_names_foreign_files),
        cmocka_unit_test(test_checkpoint_strips_module),
        cmocka_unit_test(test_checkpoint_says_what_a_folder_lacks),
        cmocka_unit_test(test_checkpoint_refuses_what_is_no_regular_file),
        cmocka_unit_test(test_checkpoint_follows_links_to_regular_files),
        cmocka_unit_test(test_checkpoint_refuses_a_model_cut_or_grown),
        cmocka_unit_test(test_checkpoint_refuses_a_sparse_terabyte_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
