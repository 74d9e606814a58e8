/* Every variant against double precision on odd lengths and head sizes; rows alone, in a batch, and beside NaN. */
#include "test_support.h"

#include "attention_online.h"
#include "reference.h"
#include "test_device.h"

#include <math.h>
#include <oberta/op_attention.h>
#include <oberta/op_gemm.h>
#include <oberta/rows.h>

#define GUARD 64 /* floats behind dst */

static ob_context *ctx;
static double worst;

typedef struct batch {
    size_t heads, head_size, sequences, tokens;
    int32_t cu_seqlens[16];
    float *qkv, *dst;
    int32_t *mask; /* NULL: none */
} batch;

static batch make_batch(size_t heads, size_t head_size, const int32_t *lengths, size_t count)
{
    batch b = {heads, head_size, count, 0, {0}, NULL, NULL, NULL};
    for (size_t i = 0; i < count; i++)
        b.cu_seqlens[i + 1] = b.cu_seqlens[i] + lengths[i];
    b.tokens = (size_t)b.cu_seqlens[count];
    b.qkv = malloc(b.tokens * 3 * heads * head_size * 4);
    b.dst = malloc(b.tokens * heads * head_size * 4);
    fill_random(b.qkv, b.tokens * 3 * heads * head_size, 1.5f, head_size + b.tokens);
    return b;
}

static void free_batch(batch *b)
{
    free(b->qkv);
    free(b->dst);
    free(b->mask);
}

typedef struct way {
    ob_attention_variant variant;
    size_t queries; /* of online */
    const char *name;
} way;

static bool run(const batch *b, const way *how)
{
    static ob_error err;
    ob_error_clear(&err);
    /* Heads of whole vectors also where the next matrix product wants its rows in tiles. */
    bool tiled = how->variant != OB_ATTENTION_ONLINE && b->head_size % 32 == 0;
    size_t row_tile = tiled ? ob_gemm_row_tile(ctx, OB_GEMM_AUTO) : 1;
    ob_attention_desc desc = {.heads = b->heads,
                              .head_size = b->head_size,
                              .max_sequence = b->tokens,
                              .max_tokens = b->tokens,
                              .max_sequences = b->sequences,
                              .row_tile = row_tile,
                              .variant = how->variant,
                              .queries = how->queries};
    ob_attention *op;
    ob_buffer *qkv, *dst, *workspace = NULL, *mask = NULL;
    if (ob_attention_create(ctx, &desc, &op, &err) != OB_OK) {
        test_refused(err.status, OB_ERR_DEVICE, &err, "attention with");
        return false;
    }
    size_t hidden = b->heads * b->head_size;
    test_ok(ob_buffer_create(ctx, b->tokens * 3 * hidden * 4, "qkv", &qkv, &err), &err);
    size_t values = ob_rows_elements(b->tokens, hidden, row_tile);
    float *rows = malloc(values * 4);
    float guard[GUARD], *behind = malloc(sizeof guard);
    for (size_t i = 0; i < GUARD; i++)
        guard[i] = -12345.0f;
    test_ok(ob_buffer_create(ctx, (values + GUARD) * 4, "dst", &dst, &err), &err);
    test_ok(ob_buffer_upload(dst, values * 4, guard, sizeof guard, &err), &err);
    if (ob_attention_workspace_bytes(op) > 0)
        test_ok(ob_buffer_create(ctx, ob_attention_workspace_bytes(op), "workspace", &workspace, &err), &err);
    if (b->mask != NULL) {
        test_ok(ob_buffer_create(ctx, b->tokens * 4, "mask", &mask, &err), &err);
        test_ok(ob_buffer_upload(mask, 0, b->mask, b->tokens * 4, &err), &err);
    }
    test_ok(ob_buffer_upload(qkv, 0, b->qkv, b->tokens * 3 * hidden * 4, &err), &err);
    test_ok(ob_attention_plan(op, b->cu_seqlens, b->sequences, &err), &err);
    test_ok(ob_attention_enqueue(op, qkv, mask, workspace, dst, &err), &err);
    test_ok(ob_buffer_download(dst, 0, rows, values * 4, &err), &err);
    from_row_tiles(b->dst, rows, b->tokens, hidden, row_tile);
    free(rows);
    test_ok(ob_buffer_download(dst, values * 4, behind, sizeof guard, &err), &err);
    assert_memory_equal(behind, guard, sizeof guard);
    free(behind);
    ob_buffer_destroy(qkv);
    ob_buffer_destroy(dst);
    ob_buffer_destroy(workspace);
    ob_buffer_destroy(mask);
    ob_attention_destroy(op);
    return true;
}

/* Values are averages of numbers below 1.5. A score's error is below 8 u sum |q k| / sqrt(d) <= 8 u 1.5^2 sqrt(d); the
 * exponential turns it into a relative error of each weight, twice since the sum has it too, and adds 4 ulp. */
static void check(const batch *b, const char *what)
{
    double bound = 1.5 * (2 * 8 * 0x1p-24 * 2.25 * sqrt((double)b->head_size) + 12 * 0x1p-24) + 2e-7;
    double *want = malloc(b->head_size * sizeof *want);
    size_t hidden = b->heads * b->head_size;
    for (size_t s = 0; s < b->sequences; s++)
        for (int32_t i = b->cu_seqlens[s]; i < b->cu_seqlens[s + 1]; i++)
            for (size_t h = 0; h < b->heads; h++) {
                reference_attention(b->qkv, b->heads, b->head_size, (size_t)b->cu_seqlens[s],
                                    (size_t)(b->cu_seqlens[s + 1] - b->cu_seqlens[s]), b->mask, (size_t)i, h, want);
                for (size_t c = 0; c < b->head_size; c++) {
                    double got = (double)b->dst[(size_t)i * hidden + h * b->head_size + c];
                    if (!(fabs(got - want[c]) <= bound))
                        fail_msg("%s: heads of %zu, token %d, head %zu, channel %zu: %.9g, expected %.9g", what,
                                 b->head_size, (int)i, h, c, got, want[c]);
                    worst = fabs(got - want[c]) / bound > worst ? fabs(got - want[c]) / bound : worst;
                }
            }
    free(want);
}

#define WAYS 5
static const way ways[WAYS] = {{OB_ATTENTION_REF, 0, "ref"},
                               {OB_ATTENTION_STRIP, 0, "strip"},
                               {OB_ATTENTION_ONLINE, 8, "online of 8 queries"},
                               {OB_ATTENTION_ONLINE, 16, "online of 16 queries"},
                               {OB_ATTENTION_ONLINE, 32, "online of 32 queries"}};

/* llvmpipe compiles online for a quarter of a minute, so there it has three head sizes and one size of work-group each.
 */
static bool slow_here(const way *how, size_t head_size)
{
    size_t queries = head_size == 12 ? 32 : head_size == 64 ? 16 : head_size == 80 ? 8 : 0;
    return test_lane_is("rusticl") && how->variant == OB_ATTENTION_ONLINE && how->queries != queries;
}

static void test_attention_is_right_for_odd_shapes(void **state)
{
    (void)state;
    static const size_t head_sizes[] = {5, 12, 16, 32, 64, 80, 128};
    static const int32_t lengths[] = {1, 2, 5, 6, 7, 15, 16, 17, 33, 64}, few[] = {1, 7, 17};
    bool small = test_lane_is("oclgrind");
    size_t served[WAYS] = {0};
    for (size_t i = 0; i < (small ? 3u : 7u); i++)
        for (int masked = 0; masked < 2; masked++) {
            batch b = make_batch(2, head_sizes[i], small ? few : lengths, small ? 3 : 10);
            if (masked) {
                b.mask = malloc(b.tokens * sizeof *b.mask);
                for (size_t t = 0; t < b.tokens; t++)
                    b.mask[t] = t % 3 != 1;
                for (int32_t t = b.cu_seqlens[2]; t < b.cu_seqlens[3]; t++)
                    b.mask[t] = 0; /* a sequence with no key left: all count alike */
            }
            float *online = NULL;
            for (size_t v = 0; v < WAYS; v++) {
                if (slow_here(&ways[v], head_sizes[i]) || !run(&b, &ways[v]))
                    continue;
                check(&b, ways[v].name);
                served[v]++;
                if (ways[v].variant != OB_ATTENTION_ONLINE)
                    continue;
                /* Work-groups of any size give the same bits. */
                size_t bytes = b.tokens * b.heads * b.head_size * sizeof *online;
                if (online != NULL)
                    assert_memory_equal(online, b.dst, bytes);
                else
                    online = memcpy(malloc(bytes), b.dst, bytes);
            }
            free(online);
            free_batch(&b);
        }
    for (size_t v = 0; v < WAYS; v++)
        printf("%s: %zu shapes\n", ways[v].name, served[v]);
    printf("worst error %.0f %% of the bound\n", worst * 100);
    assert_true(served[0] > 0);
}

static void test_attention_is_right_for_long_sequences(void **state)
{
    (void)state;
    if (test_lane_is("oclgrind"))
        skip();
    static const int32_t lengths[] = {127, 128, 129, 511, 512};
    for (size_t i = 0; i < 5; i++) {
        batch b = make_batch(1, 64, &lengths[i], 1);
        for (size_t v = 0; v < WAYS; v++)
            if (!slow_here(&ways[v], 64) && run(&b, &ways[v]))
                check(&b, ways[v].name);
        free_batch(&b);
    }
}

static void test_attention_does_not_see_neighbours(void **state)
{
    (void)state;
    static const int32_t lengths[] = {3, 21, 9};
    batch b = make_batch(2, 32, lengths, 3);
    size_t row = 2 * 32;
    for (size_t t = 0; t < b.tokens; t++)
        if (t < 3 || t >= 24)
            for (size_t c = 0; c < 3 * row; c++)
                b.qkv[t * 3 * row + c] = NAN;
    for (size_t v = 0; v < WAYS; v++) {
        if (slow_here(&ways[v], 32) || !run(&b, &ways[v]))
            continue;
        batch alone = {2, 32, 1, 21, {0, 21}, b.qkv + 3 * 3 * row, malloc(21 * row * 4), NULL};
        assert_true(run(&alone, &ways[v]));
        assert_memory_equal(b.dst + 3 * row, alone.dst, 21 * row * 4);
        for (size_t i = 0; i < 21 * row; i++)
            assert_true(isfinite(alone.dst[i]));
        free(alone.dst);
    }
    free_batch(&b);
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
        cmocka_unit_test(test_attention_online_fits_the_device),
        cmocka_unit_test(test_attention_is_right_for_long_sequences),
        cmocka_unit_test(test_attention_does_not_see_neighbours),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
