/* The arena's planner, and programs and their cache on a device. */
#include "test_support.h"

#include "test_device.h"

#include <oberta/arena.h>
#include <oberta/cache.h>
#include <oberta/file.h>
#include <oberta/launch.h>
#include <oberta/memory.h>
#include <sys/stat.h>

static ob_context *ctx;
static ob_error err;

static void test_arena_never_shares_living_bytes(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 300; round++) {
        ob_arena_slot slots[24];
        size_t count = (size_t)(rand() % 24 + 1), total, sum = 0;
        for (size_t i = 0; i < count; i++) {
            int first = rand() % 10;
            slots[i] = (ob_arena_slot){"slot", (size_t)(rand() % 5000), first, first + rand() % 4, 0};
            sum += slots[i].bytes + 128;
        }
        test_ok(ob_arena_plan(slots, count, 128, &total, &err), &err);
        assert_true(total <= sum);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < i; j++) {
                bool together = slots[i].first <= slots[j].last && slots[j].first <= slots[i].last;
                bool overlap = slots[i].offset < slots[j].offset + slots[j].bytes &&
                               slots[j].offset < slots[i].offset + slots[i].bytes;
                assert_false(together && overlap && slots[i].bytes > 0 && slots[j].bytes > 0);
                assert_int_equal(slots[i].offset % 128, 0);
            }
    }
}

static void test_scratch_is_one_and_grows(void **state)
{
    (void)state;
    assert_null(ob_context_scratch(ctx));
    test_ok(ob_context_reserve_scratch(ctx, 4096, &err), &err);
    const ob_buffer *first = ob_context_scratch(ctx);
    assert_int_equal(ob_buffer_bytes(first), 4096);
    test_ok(ob_context_reserve_scratch(ctx, 100, &err), &err);
    assert_ptr_equal(ob_context_scratch(ctx), first);
    test_ok(ob_context_reserve_scratch(ctx, (size_t)5 << 20, &err), &err); /* with huge pages, where there are any */
    assert_int_equal(ob_buffer_bytes(ob_context_scratch(ctx)), (size_t)5 << 20);
    first = ob_context_scratch(ctx);
    assert_int_equal(ob_context_reserve_scratch(ctx, SIZE_MAX / 2, &err), OB_ERR_DEVICE);
    assert_ptr_equal(ob_context_scratch(ctx), first);
    ob_context_stats stats;
    ob_context_get_stats(ctx, &stats);
    assert_int_equal(stats.buffer_bytes, (size_t)5 << 20);
}

static void test_quirks_are_named_once(void **state)
{
    (void)state;
    char names[256], *rest = names, *name;
    snprintf(names, sizeof names, "%s", ob_context_device(ctx)->quirks);
    while ((name = strtok_r(rest, ", ", &rest)) != NULL)
        assert_null(strstr(rest, name));
}

static const unsigned char good_text[] =
    "#line 1 \"good.cl\"\n"
    "__kernel void add(__global int *x, const int by, const float f, __local int *l)\n"
    "{ l[0] = by; x[get_global_id(0)] += l[0] * (int)f * SCALE; }\n";
static const ob_source good = {"good.cl", good_text, sizeof good_text - 1};

static void run_add(ob_context *on, int expected)
{
    const ob_source *const sources[] = {&good};
    ob_defines defines = OB_DEFINES_INIT;
    ob_defines_int(&defines, "SCALE", 2);
    ob_program *program;
    ob_kernel *kernel;
    ob_buffer *buffer;
    int32_t values[4] = {1, 2, 3, 4};
    test_ok(ob_program_create(on, "add", sources, 1, &defines, &program, &err), &err);
    test_ok(ob_kernel_create(program, "add", &kernel, &err), &err);
    test_ok(ob_buffer_create(on, sizeof values, "values", &buffer, &err), &err);
    test_ok(ob_buffer_upload(buffer, 0, values, sizeof values, &err), &err);
    const ob_arg args[] = {ob_arg_buffer(buffer), ob_arg_i32(5), ob_arg_f32(3.0f), ob_arg_local(4)};
    const ob_ndrange range = {1, {4}, {1}};
    test_ok(ob_kernel_enqueue(kernel, &range, args, 4, &err), &err);
    test_ok(ob_buffer_download(buffer, 0, values, sizeof values, &err), &err);
    assert_int_equal(values[3], expected);
    /* Limits are ours to check: drivers abort. */
    const ob_arg greedy[] = {ob_arg_buffer(buffer), ob_arg_i32(5), ob_arg_f32(3.0f), ob_arg_local((size_t)1 << 30)};
    test_refused(ob_kernel_enqueue(kernel, &range, greedy, 4, &err), OB_ERR_DEVICE, &err, "local memory");
    test_refused(ob_buffer_download(buffer, 8, values, 16, &err), OB_ERR_INTERNAL, &err, "values");
    ob_buffer_destroy(buffer);
    ob_kernel_destroy(kernel);
    ob_program_destroy(program);
}

static void test_program_runs_and_explains_what_does_not_build(void **state)
{
    (void)state;
    static const unsigned char text[] = "#line 1 \"bad.cl\"\n\n__kernel void broken(void) { nonsense; }\n";
    static const ob_source bad = {"bad.cl", text, sizeof text - 1};
    const ob_source *const sources[] = {&bad};
    ob_program *program;
    run_add(ctx, 34);
    test_refused(ob_program_create(ctx, "bad", sources, 1, NULL, &program, &err), OB_ERR_BUILD, &err,
                 "building 'bad' on");
    if (!test_lane_is("rusticl")) /* whose log has no places */
        assert_non_null(strstr(err.text, "bad.cl:2"));
    ob_buffer *huge;
    test_refused(ob_buffer_create(ctx, (size_t)1 << 50, "huge", &huge, &err), OB_ERR_DEVICE, &err, "'huge'");
}

/* The only entry's path; counts must be 1. */
static char *only_entry(const char *folder)
{
    char path[600];
    ob_cache_entry *entries;
    size_t count;
    test_ok(ob_cache_list(folder, &entries, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_true(entries[0].valid && strcmp(entries[0].label, "add") == 0);
    snprintf(path, sizeof path, "%s/programs/%s", folder, entries[0].name);
    ob_free(entries);
    return ob_strdup(path);
}

static void expect_build(const char *folder, unsigned built, unsigned cached)
{
    ob_device_list *devices;
    ob_device_selector any;
    ob_device *device;
    ob_context *own;
    ob_context_options options;
    ob_context_stats stats;
    ob_context_options_default(&options);
    options.cache_folder = folder;
    ob_device_selector_default(&any);
    test_ok(ob_device_list_create(&devices, &err), &err);
    test_ok(ob_device_select(devices, &any, &device, NULL, &err), &err);
    test_ok(ob_context_create(device, &options, &own, &err), &err);
    run_add(own, 34);
    ob_context_get_stats(own, &stats);
    assert_int_equal(stats.programs_built, built);
    assert_int_equal(stats.programs_cached, cached);
    ob_context_destroy(own);
    ob_device_list_destroy(devices);
}

static void damage(const char *path, int how)
{
    ob_strbuf file = OB_STRBUF_INIT;
    test_ok(ob_file_read(path, (size_t)1 << 26, &file, &err), &err);
    if (how == 0)
        file.length /= 2; /* cut */
    else if (how == 1)
        file.data[file.length - 9] ^= 4; /* a bit of the binary */
    else if (how == 2)
        file.data[9] ^= 1; /* another format */
    else if (how == 3)
        memset(file.data + file.length / 2, 0, 64);
    else
        file.length = 10; /* shorter than a header */
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file.data, 1, file.length, out), file.length);
    fclose(out);
    ob_strbuf_release(&file);
}

static void test_cache_is_never_in_the_way(void **state)
{
    (void)state;
    char folder[] = "/tmp/oberta-cache-XXXXXX";
    assert_non_null(mkdtemp(folder));
    expect_build(folder, 1, 0);
    expect_build(folder, 0, 1);
    char *path = only_entry(folder);
    for (int how = 0; how < 5; how++) {
        damage(path, how);
        expect_build(folder, 1, 0); /* seen before the driver gets it */
        expect_build(folder, 0, 1); /* and replaced */
    }
    chmod(folder, 0777); /* others could put code here: not used */
    expect_build(folder, 1, 0);
    chmod(folder, 0700);
    uint64_t bytes;
    size_t count;
    test_ok(ob_cache_clear(folder, &bytes, &count, &err), &err);
    assert_true(count == 1 && bytes > 0);
    char programs[700];
    snprintf(programs, sizeof programs, "%s/programs", folder);
    rmdir(programs);
    assert_int_equal(rmdir(folder), 0);
    ob_free(path);
}

static void test_selector_explains_itself(void **state)
{
    (void)state;
    ob_device_selector s;
    test_ok(ob_device_selector_parse("platform=x,type=gpu", &s, &err), &err);
    assert_true(s.match.types == OB_DEVICE_GPU && strcmp(s.match.platform, "x") == 0);
    ob_device_list *devices;
    ob_device *device;
    test_ok(ob_device_list_create(&devices, &err), &err);
    test_refused(ob_device_select(devices, &s, &device, NULL, &err), OB_ERR_NO_DEVICE, &err, "ruled out by platform");
    ob_device_selector_release(&s);
    ob_device_list_destroy(devices);
    test_refused(ob_device_selector_parse("tpye=gpu", &s, &err), OB_ERR_USAGE, &err, "did you mean 'type'?");
    test_refused(ob_device_selector_parse("gpus", &s, &err), OB_ERR_USAGE, &err, "not a device");
    test_refused(ob_device_selector_parse("min_memory=much", &s, &err), OB_ERR_USAGE, &err, "not an amount");
    test_refused(ob_device_selector_parse("requires=fp61", &s, &err), OB_ERR_USAGE, &err, "did you mean");
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_never_shares_living_bytes),
        cmocka_unit_test(test_scratch_is_one_and_grows),
        cmocka_unit_test(test_quirks_are_named_once),
        cmocka_unit_test(test_program_runs_and_explains_what_does_not_build),
        cmocka_unit_test(test_cache_is_never_in_the_way),
        cmocka_unit_test(test_selector_explains_itself),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
