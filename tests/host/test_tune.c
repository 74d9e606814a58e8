/* What a tuner makes of its measurements, and which files of tables hold. */
#include "test_support.h"

#include "tune_internal.h"

#include <oberta/tuning.h>

static ob_error err;

#define ALL(g)        \
    {                 \
        g, g, g, g, g \
    }
static const bool all_measured[OB_TUNE_M_CLASSES] = {true, true, true, true, true};

static void test_a_provider_wins_by_more_than_the_margin(void **state)
{
    (void)state;
    ob__tune_candidate c[] = {{.provider = OB_GEMM_TILE, .gain = ALL(1)}, {.provider = OB_GEMM_REF, .gain = ALL(1.02)}};
    assert_int_equal(ob__tune_choose_provider(c, 2, all_measured), OB_GEMM_TILE);
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++)
        c[1].gain[i] = 1.04;
    assert_int_equal(ob__tune_choose_provider(c, 2, all_measured), OB_GEMM_REF);
    c[1].gain[4] = 0; /* wrong or not run in one class: never chosen */
    assert_int_equal(ob__tune_choose_provider(c, 2, all_measured), OB_GEMM_TILE);
    static const bool small[OB_TUNE_M_CLASSES] = {true, true, true, true, false};
    assert_int_equal(ob__tune_choose_provider(c, 2, small), OB_GEMM_REF);
}

/* The classes count alike: twice as fast in one weighs as much as half as fast in another. */
static void test_a_provider_is_chosen_for_all_rows(void **state)
{
    (void)state;
    const ob__tune_candidate c[] = {{.provider = OB_GEMM_BLOCK, .gain = ALL(1)},
                                    {.provider = OB_GEMM_CLBLAST, .gain = {0.5, 0.9, 1, 1, 2.2}},
                                    {.provider = OB_GEMM_REF, .gain = {4, 0.9, 0.9, 0.9, 0.5}}};
    assert_int_equal(ob__tune_choose_provider(c, 2, all_measured), OB_GEMM_BLOCK);
    assert_int_equal(ob__tune_choose_provider(c, 3, all_measured), OB_GEMM_REF);
}

static void test_variants_are_chosen_by_class(void **state)
{
    (void)state;
    const ob__tune_candidate c[] = {{.provider = OB_GEMM_BLOCK, .gain = ALL(1)},
                                    {.provider = OB_GEMM_BLOCK, .variant = 1, .gain = {0.5, 1.01, 1.5, 0, 1.2}},
                                    {.provider = OB_GEMM_BLOCK, .variant = 2, .gain = {0.5, 1.02, 1.1, 0.9, 1.3}},
                                    {.provider = OB_GEMM_REF, .gain = {1.1, 1.1, 1.1, 1.1, 1.1}}};
    static const int expected[OB_TUNE_M_CLASSES] = {0, 0, 1, 0, 2};
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++)
        assert_int_equal(ob__tune_best_of(c, 4, OB_GEMM_BLOCK, i)->variant, expected[i]);
    assert_int_equal(ob__tune_choose_provider(c, 4, all_measured), OB_GEMM_BLOCK); /* with its variants */
    assert_null(ob__tune_best_of(c, 4, OB_GEMM_TILE, 0));
}

static void test_shapes_are_listed_once(void **state)
{
    (void)state;
    ob_tune_shape shapes[OB_TUNE_MAX_SHAPES];
    ob_roberta_config config = {.hidden_size = 768, .intermediate_size = 3072, .vocab_size = 50265};
    assert_int_equal(ob_tune_shapes(&config, shapes), 5);
    assert_true(shapes[4].n == 50265 && shapes[4].k == 768);
    config.intermediate_size = 3 * config.hidden_size;
    assert_int_equal(ob_tune_shapes(&config, shapes), 4);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define TABLE(provider) \
    "oberta-tuning 1\nP | D | 1 | gemm | 2 3 | " provider " | auto auto auto auto auto | - - - - - | - - - - -\n"

static void expect_provider(const ob_tuning_places *places, const char *provider)
{
    const ob_device_info device = {.platform = "P", .name = "D", .driver_version = "1"};
    ob_tuning *tuning;
    ob_error_clear(&err);
    test_ok(ob_tuning_open(places, &tuning, &err), &err);
    const ob_tuning_entry *e = ob_tuning_find(tuning, &device, "gemm", 2, 3);
    assert_string_equal(e == NULL ? "none" : e->provider, provider);
    ob_tuning_close(tuning);
}

static void test_tables_are_found(void **state)
{
    (void)state;
    char folder[] = "/tmp/oberta-test-XXXXXX", user[64], own[64];
    assert_non_null(mkdtemp(folder));
    snprintf(user, sizeof user, "%s/none", folder);
    snprintf(own, sizeof own, "%s/own", folder);
    expect_provider(&(ob_tuning_places){folder, user, NULL}, "none");
    write_file(folder, "b.txt", TABLE("second"));
    write_file(folder, "a.txt", TABLE("first"));
    write_file(folder, "c.txt.tmp", TABLE("temporary"));
    write_file(folder, "d.txt", TABLE("broken") "oops\n"); /* costs this file alone */
    expect_provider(&(ob_tuning_places){folder, user, NULL}, "second");
    write_file(folder, "own", TABLE("own"));
    expect_provider(&(ob_tuning_places){NULL, folder, own}, "own"); /* in place of the user's folder */
    expect_provider(&(ob_tuning_places){folder, NULL, own}, "own");
    expect_provider(&(ob_tuning_places){NULL, NULL, NULL}, "none");
    ob_tuning *tuning;
    ob_error_clear(&err);
    test_refused(ob_tuning_open(&(ob_tuning_places){NULL, NULL, user}, &tuning, &err), OB_ERR_IO, &err, "none");
    static const char *const names[] = {"a.txt", "b.txt", "c.txt.tmp", "d.txt", "own"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(own, sizeof own, "%s/%s", folder, names[i]);
        unlink(own);
    }
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_provider_wins_by_more_than_the_margin),
        cmocka_unit_test(test_a_provider_is_chosen_for_all_rows),
        cmocka_unit_test(test_variants_are_chosen_by_class),
        cmocka_unit_test(test_shapes_are_listed_once),
        cmocka_unit_test(test_tables_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
