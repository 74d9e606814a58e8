/* Tuning tables: what a file may say, which entry serves a device, and what the choice may change: the provider of a
 * shape and the block of a class of m, never a bit within a provider. */
#include "test_support.h"

#include "gemm_internal.h"
#include "test_device.h"

#include <oberta/op_gemm.h>
#include <oberta/tuning.h>

static ob_error err;
static ob_context *ctx; /* without a table */
static const ob_device_info gpu = {.platform = "Vendor CL", .name = "Vendor GPU 9", .driver_version = "550.54"};

#define HEAD  "oberta-tuning 1\n"
#define RATES " | 1 2 3 4 5 | 1 1 1 1 1.05\n"
#define LINE(driver, provider) \
    "Vendor CL | Vendor GPU 9 | " driver " | gemm | 2304 768 | " provider " | 16x32 auto auto auto 128x128" RATES

static ob_status parse(ob_tuning *tuning, const char *text)
{
    ob_error_clear(&err);
    return ob_tuning_parse(tuning, text, strlen(text), "t.txt", NULL, &err);
}

static void refuse(const char *text, const char *message)
{
    ob_tuning *tuning = ob_tuning_create();
    test_refused(parse(tuning, text), OB_ERR_CONFIG, &err, message);
    assert_int_equal(ob_tuning_count(tuning), 0);
    ob_tuning_destroy(tuning);
}

static void test_tables_are_read(void **state)
{
    (void)state;
    ob_tuning *tuning = ob_tuning_create();
    test_ok(parse(tuning, "# a comment\n\n" HEAD "\t" LINE("550.54", "block") "# the end, without a newline"), &err);
    const ob_tuning_entry *e = ob_tuning_find(tuning, &gpu, "gemm", 2304, 768);
    assert_non_null(e);
    assert_string_equal(e->provider, "block");
    assert_string_equal(e->variants[0], "16x32");
    assert_string_equal(e->variants[4], "128x128");
    assert_true(e->gflops[2] > 2.9 && e->gain[4] > 1.04 && e->line == 4);
    assert_null(ob_tuning_find(tuning, &gpu, "gemm", 768, 2304));
    assert_null(ob_tuning_find(tuning, &gpu, "attention", 2304, 768));
    assert_null(ob_tuning_find(NULL, &gpu, "gemm", 2304, 768));
    ob_tuning_destroy(tuning);
}

static void test_tables_are_refused_with_their_line(void **state)
{
    (void)state;
    refuse("", "t.txt:1: not a tuning table: 'oberta-tuning 1' is expected");
    refuse("# only this\n", "t.txt:1: not a tuning table");
    refuse("hello\n", "t.txt:1: not a tuning table");
    refuse("oberta-tuning one\n", "t.txt:1: not a tuning table");
    refuse(HEAD "a | b | c\n", "t.txt:2: 3 fields between '|', but 9 are expected");
    refuse(HEAD "a | b | c | gemm | 1 1 | ref | a a a a a | - - - - - | - - - - - | x\n", "t.txt:2: 10 fields");
    refuse(HEAD "a | b |  | gemm | 1 1 | ref | a a a a a | - - - - - | - - - - -\n", "t.txt:2: driver: empty");
    refuse(HEAD "a | b | c | gemm | 1 | ref | a a a a a | - - - - - | - - - - -\n", "n k: 1 values, but 2");
    refuse(HEAD "a | b | c | gemm | 1 -4 | ref | a a a a a | - - - - - | - - - - -\n", "k: '-4' is not a number");
    refuse(HEAD "a | b | c | gemm | 99999999999999999999 4 | ref | a a a a a | - - - - - | - - - - -\n", "n: '9999");
    refuse(HEAD "a | b | c | gemm | 1 1 | ref | a a a | - - - - - | - - - - -\n", "variants: 3 values, but 5");
    refuse(HEAD "a | b | c | gemm | 1 1 | ref | a a a a a | - - nan - - | - - - - -\n", "GFLOPS: 'nan' is neither");
    refuse(HEAD "a | b | c | gemm | 1 1 | ref | a a a a a | - - - - - | - - - -1 -\n", "gain: '-1' is neither");
    refuse(HEAD "\xff | b\n", "t.txt:2: not text in UTF-8");
    refuse(HEAD LINE("1", "ref") LINE("2", "ref") LINE("1", "tile"), "t.txt:4: the same device and shape as in line 2");
    refuse(HEAD LINE("1", "ref") "oops\n\nand again\n", "t.txt:3: 1 fields");
    assert_non_null(strstr(err.text, "t.txt:5: 1 fields")); /* all defects at once */
}

static void test_other_versions_and_operators_are_ignored(void **state)
{
    (void)state;
    ob_tuning *tuning = ob_tuning_create();
    static const char later[] = "oberta-tuning 2\nwho knows what\n";
    bool known = true;
    test_ok(ob_tuning_parse(tuning, later, strlen(later), "t.txt", &known, &err), &err);
    assert_false(known);
    test_ok(parse(tuning, HEAD "a | b | c | attention | other | fields\n" LINE("1", "ref")), &err);
    assert_int_equal(ob_tuning_count(tuning), 1);
    ob_tuning_destroy(tuning);
}

static const char *provider_for(const ob_tuning *tuning, const char *driver)
{
    ob_device_info device = gpu;
    device.driver_version = driver;
    const ob_tuning_entry *e = ob_tuning_find(tuning, &device, "gemm", 2304, 768);
    return e == NULL ? "none" : e->provider;
}

static void test_tables_are_searched_in_order(void **state)
{
    (void)state;
    ob_tuning *tuning = ob_tuning_create();
    test_ok(parse(tuning, HEAD LINE("1", "shipped1") LINE("2", "shipped2")), &err);
    assert_string_equal(provider_for(tuning, "1"), "shipped1");
    assert_string_equal(provider_for(tuning, "2"), "shipped2");
    assert_string_equal(provider_for(tuning, "3"), "shipped2");
    test_ok(parse(tuning, HEAD LINE("1", "user")), &err); /* a later file wins */
    assert_string_equal(provider_for(tuning, "1"), "user");
    assert_string_equal(provider_for(tuning, "2"), "shipped2"); /* but the driver itself comes before others */
    assert_string_equal(provider_for(tuning, "3"), "user");
    ob_device_info other = gpu;
    other.name = "Vendor GPU 90";
    assert_null(ob_tuning_find(tuning, &other, "gemm", 2304, 768));
    other = gpu;
    other.platform = "vendor cl";
    assert_null(ob_tuning_find(tuning, &other, "gemm", 2304, 768));
    ob_tuning_destroy(tuning);
}

static void test_tables_are_written_and_read_back(void **state)
{
    (void)state;
    const ob_device_info odd = {.platform = " A | B\t\tC ", .name = "#1 \"x\" | y", .driver_version = ""};
    const ob_tuning_entry entry = {.platform = odd.platform,
                                   .device = odd.name,
                                   .driver = odd.driver_version,
                                   .op = "gemm",
                                   .n = 50265,
                                   .k = 768,
                                   .provider = "block",
                                   .variants = {"16x64", "auto", "auto", "64x64", "auto"},
                                   .gflops = {1234567.5, 0.25, -1, 3, -1},
                                   .gain = {1.5, 1, -1, 1.04, -1}};
    ob_strbuf text = OB_STRBUF_INIT;
    ob_tuning_print_head(&text);
    ob_tuning_print(&entry, &text);
    ob_tuning *tuning = ob_tuning_create();
    test_ok(parse(tuning, ob_strbuf_text(&text)), &err);
    const ob_tuning_entry *e = ob_tuning_find_exact(tuning, &odd, "gemm", 50265, 768);
    assert_non_null(e);
    assert_string_equal(e->platform, "A B C");
    assert_string_equal(e->device, "1 \"x\" y");
    assert_string_equal(e->variants[3], "64x64");
    assert_true(e->gflops[0] > 1234567 && e->gflops[2] < 0 && e->gain[0] > 1.49 && e->gain[4] < 0);
    ob_strbuf again = OB_STRBUF_INIT;
    ob_tuning_print_head(&again);
    ob_tuning_print(e, &again);
    assert_string_equal(ob_strbuf_text(&again), ob_strbuf_text(&text));
    ob_strbuf_release(&text);
    ob_strbuf_release(&again);
    ob_tuning_destroy(tuning);
}

static void test_classes_of_m(void **state)
{
    (void)state;
    static const size_t m[] = {1, 16, 17, 64, 65, 256, 257, 1024, 1025, SIZE_MAX};
    for (size_t i = 0; i < sizeof m / sizeof *m; i++)
        assert_int_equal(ob_tuning_m_class(m[i]), i / 2);
}

/* Products on the device of the lane. */

#define N 50
#define K 96
#define M 300

/* A context with a table of one line for the lane's device. */
typedef struct tuned {
    ob_device_list *devices;
    ob_tuning *tuning;
    ob_context *ctx;
} tuned;

static tuned open_tuned(const char *provider, const char *const variants[OB_TUNING_M_CLASSES])
{
    tuned t;
    ob_device *device;
    ob_device_selector any;
    ob_context_options options;
    ob_device_selector_default(&any);
    ob_context_options_default(&options);
    options.cache_folder = getenv("OBERTA_CACHE_DIR");
    test_ok(ob_device_list_create(&t.devices, &err), &err);
    test_ok(ob_device_select(t.devices, &any, &device, NULL, &err), &err);
    const ob_device_info *info = ob_device_get_info(device);
    ob_tuning_entry entry = {.platform = info->platform,
                             .device = info->name,
                             .driver = "another",
                             .op = "gemm",
                             .n = N,
                             .k = K,
                             .provider = provider};
    for (size_t i = 0; i < OB_TUNING_M_CLASSES; i++)
        entry.variants[i] = variants[i];
    ob_strbuf text = OB_STRBUF_INIT;
    ob_tuning_print_head(&text);
    ob_tuning_print(&entry, &text);
    t.tuning = ob_tuning_create();
    test_ok(parse(t.tuning, ob_strbuf_text(&text)), &err);
    ob_strbuf_release(&text);
    options.tuning = t.tuning;
    test_ok(ob_context_create(device, &options, &t.ctx, &err), &err);
    return t;
}

static void close_tuned(tuned *t)
{
    ob_context_destroy(t->ctx);
    ob_device_list_destroy(t->devices);
    ob_tuning_destroy(t->tuning);
}

static ob_gemm_provider provider_of(ob_context *where, ob_gemm_desc desc)
{
    ob_gemm *gemm;
    ob_error_clear(&err);
    test_ok(ob_gemm_create(where, &desc, &gemm, &err), &err);
    ob_gemm_provider provider = ob_gemm_get_provider(gemm);
    ob_gemm_destroy(gemm);
    return provider;
}

static const char *const all_auto[OB_TUNING_M_CLASSES] = {"auto", "auto", "auto", "auto", "auto"};

static void test_a_table_names_the_provider(void **state)
{
    (void)state;
    tuned t = open_tuned("ref", all_auto);
    const ob_gemm_desc desc = {.n = N, .k = K, .row_tile = ob_gemm_row_tile(ctx, OB_GEMM_AUTO)};
    ob_gemm_desc other = desc, pinned = desc;
    other.n++;
    assert_int_equal(provider_of(t.ctx, desc), OB_GEMM_REF);
    assert_int_equal(provider_of(t.ctx, other), provider_of(ctx, other));
    pinned.provider = provider_of(ctx, desc);
    assert_int_not_equal(pinned.provider, OB_GEMM_REF);
    assert_int_equal(provider_of(t.ctx, pinned), pinned.provider); /* and not what the table says */
    close_tuned(&t);
}

static void test_what_cannot_serve_is_passed_by(void **state)
{
    (void)state;
    const ob_gemm_desc desc = {.n = N, .k = K}, half = {.n = N, .k = K, .half_weights = true};
    static const char *const strange[OB_TUNING_M_CLASSES] = {"9x9", "auto", "16x16", "-", "huge"};
    tuned t = open_tuned("warp", all_auto);
    assert_int_equal(provider_of(t.ctx, desc), provider_of(ctx, desc));
    assert_int_equal(provider_of(t.ctx, half), provider_of(ctx, half));
    close_tuned(&t);
    t = open_tuned("ref", strange);
    assert_int_equal(provider_of(t.ctx, desc), OB_GEMM_REF);
    close_tuned(&t);
}

static void multiply(ob_context *where, ob_gemm_desc desc, const float *src, size_t m, float *dst)
{
    static float weight[N * K];
    for (size_t i = 0; i < N * K; i++)
        weight[i] = (float)((int)(i * 7919 % 1009) - 504) * 0.001f;
    ob_gemm *gemm;
    ob_gemm_weights *weights;
    ob_buffer *in, *out;
    const ob_gemm_part part = {weight, NULL, OB_DTYPE_F32, OB_DTYPE_F32, N};
    ob_error_clear(&err);
    test_ok(ob_gemm_create(where, &desc, &gemm, &err), &err);
    test_ok(ob_gemm_weights_create(gemm, &part, 1, &weights, &err), &err);
    test_ok(ob_buffer_create(where, m * K * 4, "src", &in, &err), &err);
    test_ok(ob_buffer_create(where, m * N * 4, "dst", &out, &err), &err);
    test_ok(ob_buffer_upload(in, 0, src, m * K * 4, &err), &err);
    test_ok(ob_gemm_enqueue(gemm, weights, in, m, NULL, out, &err), &err);
    test_ok(ob_buffer_download(out, 0, dst, m * N * 4, &err), &err);
    ob_buffer_destroy(in);
    ob_buffer_destroy(out);
    ob_gemm_weights_destroy(weights);
    ob_gemm_destroy(gemm);
}

/* Other blocks for other m, the same bits: a row alone, in batches of every class, and from the untuned block. */
static void test_variants_by_m_give_the_same_bits(void **state)
{
    (void)state;
    if (test_lane_is("rusticl"))
        skip(); /* compiles the larger blocks for half a minute */
    static const char *const variants[OB_TUNING_M_CLASSES] = {"16x16", "8x4", "32x32", "16x32", "16x16"};
    static float src[M * K], untuned[M * N], dst[M * N];
    for (size_t i = 0; i < M * K; i++)
        src[i] = (float)((int)(i * 104729 % 2003) - 1001) * 0.001f;
    tuned t = open_tuned("block", variants);
    ob_gemm_desc desc = {.n = N, .k = K, .provider = OB_GEMM_BLOCK};
    size_t largest = test_lane_is("oclgrind") ? 20 : M;
    multiply(ctx, desc, src, largest, untuned);
    desc.provider = OB_GEMM_AUTO;
    ob_gemm *gemm;
    test_ok(ob_gemm_create(t.ctx, &desc, &gemm, &err), &err);
    assert_int_equal(ob_gemm_get_provider(gemm), OB_GEMM_BLOCK);
    for (size_t i = 0; i < OB_TUNING_M_CLASSES; i++)
        assert_int_equal(gemm->tuned_blocks[i], 1 + ob__gemm_variant_find(variants[i]));
    ob_gemm_destroy(gemm);
    static const size_t batches[] = {1, 16, 17, 100, 256, M};
    for (size_t i = 0; i < sizeof batches / sizeof *batches && batches[i] <= largest; i++) {
        multiply(t.ctx, desc, src, batches[i], dst);
        assert_memory_equal(dst, untuned, batches[i] * N * 4);
    }
    close_tuned(&t);
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_read),
        cmocka_unit_test(test_tables_are_refused_with_their_line),
        cmocka_unit_test(test_other_versions_and_operators_are_ignored),
        cmocka_unit_test(test_tables_are_searched_in_order),
        cmocka_unit_test(test_tables_are_written_and_read_back),
        cmocka_unit_test(test_classes_of_m),
        cmocka_unit_test(test_a_table_names_the_provider),
        cmocka_unit_test(test_what_cannot_serve_is_passed_by),
        cmocka_unit_test(test_variants_by_m_give_the_same_bits),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
