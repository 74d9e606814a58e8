/* Workloads of the benchmark: names, rows, and the batches they run in. */
#include "test_support.h"

#include "bench/bench_internal.h"

static ob_error err;

static const ob_roberta_config config = {.vocab_size = 50265,
                                         .hidden_size = 768,
                                         .num_hidden_layers = 12,
                                         .num_attention_heads = 12,
                                         .intermediate_size = 3072,
                                         .max_position_embeddings = 514,
                                         .type_vocab_size = 1,
                                         .pad_token_id = 1};

static void test_names_are_rows_of_tokens(void **state)
{
    (void)state;
    ob_workload w;
    test_ok(ob_workload_parse("32x128", &w, &err), &err);
    assert_string_equal(w.name, "32x128");
    assert_int_equal(w.row_count, 32);
    assert_int_equal(w.token_count, 4096);
    assert_int_equal(w.longest, 128);
    /* 12 layers of 2 (4 h^2 + 2 h i) a token and 4 L h */
    double encoder = 4096.0 * 12 * (2.0 * (4 * 768 * 768 + 2 * 768 * 3072) + 4.0 * 128 * 768);
    assert_true(ob_workload_flops(&w, &config, OB_BENCH_ENCODER) == encoder);
    assert_true(ob_workload_flops(&w, &config, OB_BENCH_FILL_MASK) == encoder + 32 * 2.0 * 768 * (768 + 50265));
    assert_true(ob_workload_flops(&w, &config, OB_BENCH_LOGITS) == encoder + 4096 * 2.0 * 768 * (768 + 50265));
    ob_workload_release(&w);
    static const char *const wrong[] = {"",     "x",     "32",   "32x", "x128",       "0x8",        "8x0",    "-1x8",
                                        "1x8x", "1 x 8", " 1x8", "1X8", "99999999x1", "16777216x2", "mixed ", "Mixed"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        test_refused(ob_workload_parse(wrong[i], &w, &err), OB_ERR_USAGE, &err, wrong[i]);
}

static void test_mixed_is_the_same_everywhere(void **state)
{
    (void)state;
    ob_workload w;
    test_ok(ob_workload_parse("mixed", &w, &err), &err);
    assert_int_equal(w.row_count, 256);
    size_t sum = 0, shortest = SIZE_MAX, longest = 0;
    for (size_t i = 0; i < w.row_count; i++) {
        sum += w.lengths[i];
        shortest = w.lengths[i] < shortest ? w.lengths[i] : shortest;
        longest = w.lengths[i] > longest ? w.lengths[i] : longest;
    }
    assert_true(shortest >= 6);
    assert_true(longest <= 512);
    assert_int_equal(longest, w.longest);
    assert_int_equal(sum, w.token_count);
    assert_int_equal(sum, 12185); /* tools/peers/workloads.py has the same */
    ob_workload_release(&w);
}

static void check_batch(const ob_workload *w, const ob_batch *b, size_t first_row)
{
    assert_int_equal(b->cu_seqlens[0], 0);
    assert_int_equal(b->cu_seqlens[b->sequence_count], b->token_count);
    for (size_t s = 0; s < b->sequence_count; s++) {
        size_t row = first_row + s, begin = (size_t)b->cu_seqlens[s];
        assert_int_equal((size_t)b->cu_seqlens[s + 1] - begin, w->lengths[row]);
        for (size_t t = 0; t < w->lengths[row]; t++) {
            bool mask = b->want == OB_WANT_TOP_K && t == w->lengths[row] / 2;
            size_t id = mask ? 50264 : (row * 7919 + t * 104729) % (50265 - 4) + 4;
            assert_int_equal(b->input_ids[begin + t], id);
            assert_int_equal(b->position_ids[begin + t], t + 2);
        }
        if (b->want == OB_WANT_TOP_K)
            assert_int_equal(b->positions[s], begin + w->lengths[row] / 2);
    }
}

static void check_plan(const char *name, ob_bench_head head, size_t max_tokens, size_t batches)
{
    ob_workload w;
    ob__bench_plan plan;
    const ob__bench_limits limits = {max_tokens, 1000};
    test_ok(ob_workload_parse(name, &w, &err), &err);
    test_ok(ob__bench_plan_create(&w, &config, head, &limits, &plan, &err), &err);
    if (batches > 0)
        assert_int_equal(plan.batch_count, batches);
    size_t row = 0, tokens = 0;
    for (size_t i = 0; i < plan.batch_count; i++) {
        const ob_batch *b = &plan.batches[i];
        assert_true(b->token_count <= max_tokens || b->sequence_count == 1);
        check_batch(&w, b, row);
        size_t positions = head == OB_BENCH_LOGITS      ? b->token_count
                           : head == OB_BENCH_FILL_MASK ? b->sequence_count
                                                        : 0;
        assert_int_equal(b->position_count, positions);
        row += b->sequence_count;
        tokens += b->token_count;
    }
    assert_int_equal(row, w.row_count);
    assert_int_equal(tokens, w.token_count);
    ob__bench_plan_release(&plan);
    ob_workload_release(&w);
}

static void test_long_workloads_are_split_between_rows(void **state)
{
    (void)state;
    check_plan("32x128", OB_BENCH_ENCODER, 4096, 1);
    check_plan("32x128", OB_BENCH_ENCODER, 4095, 2);
    check_plan("32x128", OB_BENCH_FILL_MASK, 1000, 5);
    check_plan("3x100", OB_BENCH_ENCODER, 10, 3);
    check_plan("mixed", OB_BENCH_FILL_MASK, 2048, 0);
    check_plan("mixed", OB_BENCH_ENCODER, 512, 0);
    check_plan("5000x1", OB_BENCH_ENCODER, 8192, 5);
}

/* 256 MiB of logits are 1,335 tokens of this vocabulary. */
static void test_logits_are_bounded(void **state)
{
    (void)state;
    ob_workload w;
    ob__bench_plan plan;
    const ob__bench_limits limits = {8192, 1000};
    test_ok(ob_workload_parse("32x128", &w, &err), &err);
    test_ok(ob__bench_plan_create(&w, &config, OB_BENCH_LOGITS, &limits, &plan, &err), &err);
    for (size_t i = 0; i < plan.batch_count; i++) {
        assert_true(plan.batches[i].token_count <= 1335);
        assert_int_equal(plan.batches[i].position_count, plan.batches[i].token_count);
    }
    assert_int_equal(plan.batch_count, 4);
    ob__bench_plan_release(&plan);
    ob_workload_release(&w);
}

static bool stop(void *user, const char *what)
{
    (void)what;
    return --*(int *)user > 0;
}

/* Whatever happens, the temporary folder is gone. */
static void test_random_models_leave_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/oberta-test-XXXXXX";
    ob_bench_model model;
    int left = 5;
    const ob_bench_watch none = {NULL, NULL}, watch = {stop, &left};
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    test_refused(ob_bench_model_random("roberta-bas", &none, &model, &err), OB_ERR_USAGE, &err,
                 "did you mean 'roberta-base'");
    test_refused(ob_bench_model_random("roberta-base", &watch, &model, &err), OB_ERR_INTERRUPTED, &err, "interrupted");
    char shape[256];
    snprintf(shape, sizeof shape, "%s/demo/config.json", getenv("OB_TEST_MODELS"));
    test_ok(ob_bench_model_random(shape, &none, &model, &err), &err);
    test_ok(ob_roberta_check(&model.config, model.checkpoint, OB_HEAD_LM, false, &err), &err);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
    ob_bench_model_release(&model);
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_rows_of_tokens), cmocka_unit_test(test_mixed_is_the_same_everywhere),
        cmocka_unit_test(test_long_workloads_are_split_between_rows), cmocka_unit_test(test_logits_are_bounded),
        cmocka_unit_test(test_random_models_leave_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
