/* Every variant against double precision on odd lengths and head sizes, plain, causal and with keys of another text;
 * rows alone, in a batch, and beside NaN. Maps and factors of heads. */
#include "test_support.h"

#include "attention_cases.h"
#include "attention_online.h"
#include "reference.h"
#include "test_device.h"

#include <math.h>

static ob_context *ctx;

static const int32_t lengths[] = {1, 2, 5, 6, 7, 15, 16, 17, 33, 64}, few[] = {1, 7, 17};
static const int32_t key_lengths[] = {3, 1, 16, 9, 1, 33, 17, 40, 5, 31}, few_keys[] = {2, 18, 5};

static attention_case odd_case(case_kind kind, size_t heads, size_t head_size)
{
    bool small = test_lane_is("oclgrind");
    return make_case(kind, heads, head_size, small ? few : lengths, small ? few_keys : key_lengths, small ? 3 : 10);
}

/* All ways give what they should, and work-groups of any size the same bits. */
static double check_all_ways(const attention_case *c, size_t *served)
{
    float *online = NULL;
    double worst = 0;
    for (size_t v = 0; v < WAYS; v++) {
        if (slow_here(c, &ways[v]) || !run_case(ctx, c, &ways[v]))
            continue;
        worst = fmax(worst, check_case(c, ways[v].name));
        served[v]++;
        if (ways[v].variant != OB_ATTENTION_ONLINE)
            continue;
        size_t bytes = c->tokens * c->heads * c->head_size * sizeof *online;
        if (online != NULL)
            assert_memory_equal(online, c->dst, bytes);
        else
            online = memcpy(malloc(bytes), c->dst, bytes);
    }
    free(online);
    return worst;
}

static void check_kind(case_kind kind, const size_t *head_sizes, size_t count)
{
    size_t served[WAYS] = {0};
    double worst = 0;
    for (size_t i = 0; i < (test_lane_is("oclgrind") ? 3u : count); i++) {
        attention_case c = odd_case(kind, 2, head_sizes[i]);
        worst = fmax(worst, check_all_ways(&c, served));
        mask_with_holes(&c);
        worst = fmax(worst, check_all_ways(&c, served));
        mask_on_the_left(&c);
        worst = fmax(worst, check_all_ways(&c, served));
        free_case(&c);
    }
    for (size_t v = 0; v < WAYS; v++)
        printf("%s: %zu shapes\n", ways[v].name, served[v]);
    printf("worst error %.0f %% of the bound\n", worst * 100);
    assert_true(served[0] > 0);
}

static void test_attention_is_right_for_odd_shapes(void **state)
{
    (void)state;
    static const size_t head_sizes[] = {5, 12, 16, 32, 64, 80, 128};
    check_kind(CASE_PLAIN, head_sizes, 7);
}

/* Fewer programs to compile: one without fours, one and two vectors of keys a work-item, and one for strips. */
static const size_t kind_head_sizes[] = {5, 12, 64, 80};

static void test_attention_is_right_when_causal(void **state)
{
    (void)state;
    check_kind(CASE_CAUSAL, kind_head_sizes, 4);
}

static void test_attention_is_right_across_texts(void **state)
{
    (void)state;
    check_kind(CASE_CROSS, kind_head_sizes, 4);
}

static void test_attention_is_right_for_long_sequences(void **state)
{
    (void)state;
    if (test_lane_is("oclgrind"))
        skip();
    static const int32_t longs[] = {127, 128, 129, 511, 512};
    size_t served[WAYS] = {0};
    for (size_t i = 0; i < 5; i++) {
        attention_case c = make_case(CASE_PLAIN, 1, 64, &longs[i], NULL, 1);
        check_all_ways(&c, served);
        free_case(&c);
        c = make_case(CASE_CAUSAL, 1, 64, &longs[i], NULL, 1);
        check_all_ways(&c, served);
        c.mask = calloc(c.tokens, sizeof *c.mask);
        c.mask[c.tokens - 60] = 1; /* most queries see no key, so all keys */
        check_all_ways(&c, served);
        free_case(&c);
    }
    assert_true(served[0] > 0);
}

/* Whole numbers, whose scores are exact: exponentials from 1 down to where they are 0. */
static void test_attention_is_right_for_scores_far_apart(void **state)
{
    (void)state;
    size_t served[WAYS] = {0};
    attention_case c = odd_case(CASE_PLAIN, 2, 64);
    size_t width = q_width(&c);
    for (size_t i = 0; i < c.tokens * width; i++)
        if (i % width < width / 3 * 2) /* queries and keys */
            c.q[i] = roundf(2.0f * c.q[i]);
    check_all_ways(&c, served);
    free_case(&c);
    assert_true(served[0] > 0);
}

/* Heads that are taken several at a time, and an output that no cache of a core holds. */
static void test_attention_is_right_for_large_batches(void **state)
{
    (void)state;
    if (test_lane_is("oclgrind"))
        skip();
    static const int32_t large[] = {200, 1, 33, 290, 16};
    size_t served[WAYS] = {0};
    attention_case c = make_case(CASE_PLAIN, 16, 64, large, NULL, 5);
    check_all_ways(&c, served);
    free_case(&c);
    assert_true(served[0] > 0);
}

/* A sequence between two that are NaN, in one batch and alone. */
static void check_neighbours(case_kind kind, size_t head_size)
{
    static const int32_t mine[] = {3, 21, 9}, keys[] = {7, 18, 2};
    attention_case c = make_case(kind, 2, head_size, mine, keys, 3);
    attention_case alone = make_case(kind, 2, head_size, mine + 1, keys + 1, 1);
    size_t first_q = 3 * q_width(&c), first_kv = (size_t)c.key_seqlens[1] * kv_width(&c), hidden = 2 * head_size;
    mask_on_the_left(&c); /* of the middle one: the first five */
    alone.mask = malloc(alone.key_tokens * sizeof *alone.mask);
    memcpy(alone.mask, c.mask + c.key_seqlens[1], alone.key_tokens * sizeof *alone.mask);
    memcpy(alone.q, c.q + first_q, 21 * q_width(&c) * 4);
    for (size_t i = 0; i < c.tokens * q_width(&c); i++)
        c.q[i] = i < first_q || i >= first_q + 21 * q_width(&c) ? NAN : c.q[i];
    if (kind == CASE_CROSS) {
        memcpy(alone.kv, c.kv + first_kv, 18 * kv_width(&c) * 4);
        for (size_t i = 0; i < c.key_tokens * kv_width(&c); i++)
            c.kv[i] = i < first_kv || i >= first_kv + 18 * kv_width(&c) ? NAN : c.kv[i];
    }
    size_t map = map_elements(&alone);
    c.maps = malloc(map_elements(&c) * 4);
    alone.maps = malloc(map * 4);
    for (size_t v = 0; v < WAYS; v++) {
        if (slow_here(&c, &ways[v]) || !run_case(ctx, &c, &ways[v]))
            continue;
        assert_true(run_case(ctx, &alone, &ways[v]));
        assert_memory_equal(c.dst + 3 * hidden, alone.dst, 21 * hidden * 4);
        assert_memory_equal(c.maps + 2 * 3 * (size_t)c.key_seqlens[1], alone.maps, map * 4);
        for (size_t i = 0; i < 21 * hidden; i++)
            assert_true(isfinite(alone.dst[i]));
        for (size_t i = 0; i < map; i++)
            assert_true(isfinite(alone.maps[i]));
    }
    free_case(&c);
    free_case(&alone);
}

static void test_attention_does_not_see_neighbours(void **state)
{
    (void)state;
    check_neighbours(CASE_PLAIN, 32);
    check_neighbours(CASE_CAUSAL, 64);
    check_neighbours(CASE_CROSS, 64);
}

/* Other tokens from `from` on: earlier rows keep their bits, save those of sequences that they are told to see. */
static void test_causal_rows_do_not_see_later_tokens(void **state)
{
    (void)state;
    const int32_t length = test_lane_is("oclgrind") ? 20 : 70;
    attention_case c = make_case(CASE_CAUSAL, 1, 64, &length, NULL, 1);
    for (int masked = 0; masked < 2; masked++) {
        if (masked) {
            mask_with_holes(&c);
            c.mask[0] = 1;
        }
        for (size_t v = 0; v < WAYS; v++)
            for (size_t from = 3; from < c.tokens; from += 7) {
                attention_case other = make_case(CASE_CAUSAL, 1, 64, &length, NULL, 1);
                other.mask = c.mask;
                fill_random(other.q + from * q_width(&c), (c.tokens - from) * q_width(&c), 3.0f, from);
                if (!slow_here(&c, &ways[v]) && run_case(ctx, &c, &ways[v])) {
                    assert_true(run_case(ctx, &other, &ways[v]));
                    assert_memory_equal(c.dst, other.dst, from * 64 * 4);
                    assert_memory_not_equal(c.dst + from * 64, other.dst + from * 64, 64 * 4);
                }
                other.mask = NULL;
                free_case(&other);
            }
    }
    free_case(&c);
}

static void test_maps_and_factors_are_right(void **state)
{
    (void)state;
    static const size_t head_sizes[] = {5, 12, 64};
    for (int kind = CASE_PLAIN; kind <= CASE_CROSS; kind++)
        for (size_t i = 0; i < (test_lane_is("oclgrind") ? 2u : 3u); i++) {
            attention_case c = odd_case((case_kind)kind, 3, head_sizes[i]);
            c.maps = malloc(map_elements(&c) * 4);
            for (size_t v = 0; v < 2; v++)
                if (run_case(ctx, &c, &ways[v]))
                    check_case(&c, ways[v].name);
            c.factors = malloc(c.sequences * c.heads * 4);
            fill_random(c.factors, c.sequences * c.heads, 2.0f, 9);
            c.factors[1] = 0.0f;
            mask_with_holes(&c);
            for (size_t v = 0; v < 2; v++)
                if (run_case(ctx, &c, &ways[v]))
                    check_case(&c, ways[v].name);
            mask_on_the_left(&c);
            for (size_t v = 0; v < 2; v++)
                if (run_case(ctx, &c, &ways[v]))
                    check_case(&c, ways[v].name);
            free_case(&c);
        }
    if (test_lane_is("oclgrind"))
        return;
    static const int32_t longs[] = {512, 130};
    attention_case c = make_case(CASE_PLAIN, 2, 64, longs, NULL, 2);
    c.maps = malloc(map_elements(&c) * 4);
    assert_true(run_case(ctx, &c, &ways[0]));
    check_case(&c, "long");
    free_case(&c);
}

static void test_attention_refuses_what_it_was_not_made_for(void **state)
{
    (void)state;
    static ob_error err;
    const int32_t two[] = {0, 1, 3}, long_one[] = {0, 4}, empty[] = {0, 0};
    ob_attention_desc desc = {
        .heads = 1, .head_size = 4, .max_sequence = 3, .max_tokens = 4, .max_sequences = 2, .row_tile = 1};
    ob_attention *op;
    ob_buffer *small;
    ob_error_clear(&err);
    test_ok(ob_buffer_create(ctx, 4, "small", &small, &err), &err);
    test_ok(ob_attention_create(ctx, &desc, &op, &err), &err);
    test_refused(ob_attention_plan(op, long_one, 1, &err), OB_ERR_INTERNAL, &err, "a sequence of 4 tokens");
    test_refused(ob_attention_plan(op, empty, 1, &err), OB_ERR_INTERNAL, &err, "a sequence of 0 tokens");
    test_refused(ob_attention_plan_cross(op, two, two, 2, &err), OB_ERR_INTERNAL, &err, "not for cross-attention");
    test_ok(ob_attention_plan(op, two, 2, &err), &err);
    assert_int_equal(ob_attention_maps_elements(op), 1 + 4);
    test_refused(ob_attention_enqueue_maps(op, small, NULL, NULL, NULL, 0, small, &err), OB_ERR_INTERNAL, &err,
                 "5 elements into 4 bytes");
    test_refused(ob_attention_enqueue_maps(op, small, small, NULL, NULL, 0, small, &err), OB_ERR_INTERNAL, &err,
                 "not for cross-attention");
    test_refused(ob_attention_enqueue_factors(op, small, 0, small, &err), OB_ERR_INTERNAL, &err, "2 factors of heads");
    ob_attention_destroy(op);
    desc.max_cross_tokens = 5;
    desc.max_cross_sequence = 3;
    test_ok(ob_attention_create(ctx, &desc, &op, &err), &err);
    test_refused(ob_attention_plan(op, two, 2, &err), OB_ERR_INTERNAL, &err, "for cross-attention");
    test_refused(ob_attention_plan_cross(op, two, (const int32_t[]){0, 1, 5}, 2, &err), OB_ERR_INTERNAL, &err,
                 "a sequence of 4 keys, at most 3");
    ob_attention_destroy(op);
    desc.causal = true;
    test_refused(ob_attention_create(ctx, &desc, &op, &err), OB_ERR_INTERNAL, &err, "cannot be causal");
    ob_buffer_destroy(small);
}

static void test_attention_online_fits_the_device(void **state)
{
    (void)state;
    ob_device_info device = {.max_work_group = 256, .max_work_items = {256, 256, 64}, .local_bytes = 16384};
    ob_attention_desc desc = {.heads = 1, .head_size = 128};
    assert_int_equal(ob__online_pick(&device, &desc), 32);
    device.max_work_group = 64;
    assert_int_equal(ob__online_pick(&device, &desc), 16);
    desc.head_size = 64;
    assert_int_equal(ob__online_pick(&device, &desc), 32);
    desc.queries = 8;
    assert_int_equal(ob__online_pick(&device, &desc), 8);
    device.local_bytes = 1024;
    assert_int_equal(ob__online_pick(&device, &desc), 0);
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_is_right_for_odd_shapes),
        cmocka_unit_test(test_attention_is_right_when_causal),
        cmocka_unit_test(test_attention_is_right_across_texts),
        cmocka_unit_test(test_attention_online_fits_the_device),
        cmocka_unit_test(test_attention_is_right_for_long_sequences),
        cmocka_unit_test(test_attention_is_right_for_scores_far_apart),
        cmocka_unit_test(test_attention_is_right_for_large_batches),
        cmocka_unit_test(test_attention_does_not_see_neighbours),
        cmocka_unit_test(test_causal_rows_do_not_see_later_tokens),
        cmocka_unit_test(test_maps_and_factors_are_right),
        cmocka_unit_test(test_attention_refuses_what_it_was_not_made_for),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
