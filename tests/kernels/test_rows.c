/* The operators that work row by row: embedding, layer norm, row gather, pooling, top-k, scores of targets. */
#include "test_support.h"

#include "reference.h"
#include "test_device.h"

#include <math.h>
#include <oberta/op_embedding.h>
#include <oberta/op_gather_rows.h>
#include <oberta/op_gemm.h>
#include <oberta/op_layer_norm.h>
#include <oberta/op_pool.h>
#include <oberta/op_target_scores.h>
#include <oberta/op_top_k.h>
#include <oberta/rows.h>

static ob_context *ctx;
static ob_error err;

static ob_buffer *upload(const void *data, size_t bytes)
{
    ob_buffer *buffer;
    test_ok(ob_buffer_create(ctx, bytes, "test", &buffer, &err), &err);
    if (data != NULL)
        test_ok(ob_buffer_upload(buffer, 0, data, bytes, &err), &err);
    return buffer;
}

/* A row tile of 0 is the device's own, whose one variant is named by AUTO. */
static void check_layer_norm(size_t hidden, size_t rows, float offset, size_t row_tile, ob_layer_norm_variant variant)
{
    float *x = malloc(rows * hidden * 4), *w = malloc(hidden * 4), *b = malloc(hidden * 4),
          *y = malloc(rows * hidden * 4);
    double *want = malloc(hidden * sizeof *want);
    fill_random(x, rows * hidden, 1.0f, hidden);
    for (size_t i = 0; i < rows * hidden; i++)
        x[i] += offset;
    for (size_t i = 0; i < hidden; i++)
        x[i] = 3.5f; /* a row of variance 0 */
    fill_random(w, hidden, 2.0f, 7);
    fill_random(b, hidden, 1.0f, 8);
    row_tile = row_tile > 0 ? row_tile : ob_gemm_row_tile(ctx, OB_GEMM_AUTO);
    ob_layer_norm_desc desc = {hidden, 1e-5f, row_tile, variant};
    size_t count = ob_rows_elements(rows, hidden, row_tile);
    float *tiled = malloc(count * 4);
    memset(tiled, 0xFF, count * 4); /* NaN in rows and columns that are not there */
    ob_layer_norm *op;
    if (ob_layer_norm_create(ctx, &desc, &op, &err) == OB_OK) {
        to_row_tiles(tiled, x, rows, hidden, row_tile);
        ob_buffer *src = upload(tiled, count * 4), *weight = upload(w, hidden * 4), *bias = upload(b, hidden * 4);
        test_ok(ob_layer_norm_enqueue(op, src, weight, bias, rows, src, &err), &err);
        test_ok(ob_buffer_download(src, 0, tiled, count * 4, &err), &err);
        from_row_tiles(y, tiled, rows, hidden, row_tile);
        for (size_t r = 0; r < rows; r++) {
            double greatest = 0;
            reference_layer_norm(x + r * hidden, w, b, hidden, (double)1e-5f, want);
            for (size_t i = 0; i < hidden; i++)
                greatest = fmax(greatest, fabs(want[i]));
            /* The mean of n numbers near `offset` is off by up to n u offset / 2 in any order; on the scale of the
             * row's spread that is the greatest part. */
            double spread = r == 0 ? sqrt(1e-5) : 0.55;
            double bound = 16 * 0x1p-24 * (greatest + 1) +
                           2.0 * 0x1p-24 * fabs((double)offset) * sqrt((double)hidden) / spread +
                           (r == 0 ? 2.0 * 3.5 * (double)hidden * 0x1p-24 / spread : 0);
            for (size_t i = 0; i < hidden; i++)
                if (!(fabs((double)y[r * hidden + i] - want[i]) <= bound))
                    fail_msg("%s, hidden %zu, row %zu: %.9g, expected %.9g, bound %.3g", ob_layer_norm_variant_used(op),
                             hidden, r, (double)y[r * hidden + i], want[i], bound);
        }
        ob_buffer_destroy(src);
        ob_buffer_destroy(weight);
        ob_buffer_destroy(bias);
        ob_layer_norm_destroy(op);
    } else {
        test_refused(err.status, OB_ERR_DEVICE, &err, "layer norm by");
    }
    free(tiled);
    free(x);
    free(w);
    free(b);
    free(y);
    free(want);
}

static void test_layer_norm_is_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 60, 128, 768, 1025};
    for (size_t i = 0; i < (test_lane_is("oclgrind") ? 3u : 6u); i++)
        for (int variant = OB_LAYER_NORM_REF; variant <= OB_LAYER_NORM_VECTOR; variant++) {
            check_layer_norm(sizes[i], 5, 0.0f, 1, (ob_layer_norm_variant)variant);
            check_layer_norm(sizes[i], 5, 100.0f, 1, (ob_layer_norm_variant)variant);
        }
    for (size_t i = 0; i < (test_lane_is("oclgrind") ? 3u : 6u); i++) {
        check_layer_norm(sizes[i], 29, 0.0f, 0, OB_LAYER_NORM_AUTO);
        check_layer_norm(sizes[i], 5, 100.0f, 0, OB_LAYER_NORM_AUTO);
    }
}

static void test_embedding_adds_three_tables(void **state)
{
    (void)state;
    enum { HIDDEN = 19, VOCAB = 37, POSITIONS = 11, TYPES = 2, TOKENS = 9 };
    float word[VOCAB * HIDDEN], position[POSITIONS * HIDDEN], type[TYPES * HIDDEN], got[TOKENS * HIDDEN];
    int32_t ids[TOKENS], positions[TOKENS], types[TOKENS];
    fill_random(word, VOCAB * HIDDEN, 1, 1);
    fill_random(position, POSITIONS * HIDDEN, 1, 2);
    fill_random(type, TYPES * HIDDEN, 1, 3);
    for (int t = 0; t < TOKENS; t++) {
        ids[t] = t * 4 + (t == TOKENS - 1 ? VOCAB - 1 - t * 4 : 0);
        positions[t] = (t * 5) % POSITIONS;
        types[t] = t % TYPES;
    }
    for (size_t block = 1; block <= 16; block *= 16) {
        size_t padded = (VOCAB + block - 1) / block * block;
        float *packed = calloc(padded * HIDDEN, 4);
        for (size_t r = 0; r < VOCAB; r++)
            for (size_t k = 0; k < HIDDEN; k++)
                packed[((r / block) * HIDDEN + k) * block + r % block] = word[r * HIDDEN + k];
        ob_embedding_desc desc = {HIDDEN, VOCAB, TYPES, POSITIONS, block, false, 1, 1e-5f};
        ob_embedding *op;
        test_ok(ob_embedding_create(ctx, &desc, &op, &err), &err);
        ob_buffer *b[] = {upload(packed, padded * HIDDEN * 4),
                          upload(position, sizeof position),
                          upload(type, sizeof type),
                          upload(ids, sizeof ids),
                          upload(positions, sizeof positions),
                          upload(types, sizeof types),
                          upload(NULL, sizeof got)};
        test_ok(ob_embedding_enqueue(op, b[0], b[1], b[2], b[3], b[4], b[5], NULL, NULL, TOKENS, b[6], &err), &err);
        test_ok(ob_buffer_download(b[6], 0, got, sizeof got, &err), &err);
        for (int t = 0; t < TOKENS; t++)
            for (int k = 0; k < HIDDEN; k++) {
                float sum = word[ids[t] * HIDDEN + k] + type[types[t] * HIDDEN + k];
                sum += position[positions[t] * HIDDEN + k];
                if (sum != got[t * HIDDEN + k])
                    fail_msg("block %zu, token %d, channel %d: %.9g, expected %.9g", block, t, k,
                             (double)got[t * HIDDEN + k], (double)sum);
            }
        for (size_t i = 0; i < 7; i++)
            ob_buffer_destroy(b[i]);
        ob_embedding_destroy(op);
        free(packed);
    }
}

/* With the layer norm, in the device's row tiles and row-major: both are near the norm of the exact sums. */
static void test_embedding_is_normalised(void **state)
{
    (void)state;
    enum { HIDDEN = 22, VOCAB = 40, POSITIONS = 9, TOKENS = 17, BLOCK = 8 };
    float word[VOCAB * HIDDEN], packed[VOCAB * HIDDEN], position[POSITIONS * HIDDEN], type[HIDDEN], w[HIDDEN],
        b[HIDDEN];
    int32_t ids[TOKENS], positions[TOKENS], types[TOKENS] = {0};
    fill_random(word, VOCAB * HIDDEN, 1, 1);
    fill_random(position, POSITIONS * HIDDEN, 1, 2);
    fill_random(type, HIDDEN, 1, 3);
    fill_random(w, HIDDEN, 2, 4);
    fill_random(b, HIDDEN, 1, 5);
    for (size_t r = 0; r < VOCAB; r++)
        for (size_t k = 0; k < HIDDEN; k++)
            packed[((r / BLOCK) * HIDDEN + k) * BLOCK + r % BLOCK] = word[r * HIDDEN + k];
    for (int t = 0; t < TOKENS; t++) {
        ids[t] = (t * 7) % VOCAB;
        positions[t] = (t * 5) % POSITIONS;
    }
    const size_t tiles[] = {1, ob_gemm_row_tile(ctx, OB_GEMM_AUTO)};
    for (size_t i = 0; i < 2; i++) {
        ob_embedding_desc desc = {HIDDEN, VOCAB, 1, POSITIONS, BLOCK, false, tiles[i], 1e-5f};
        size_t count = ob_rows_elements(TOKENS, HIDDEN, tiles[i]);
        float *tiled = malloc(count * 4), got[TOKENS * HIDDEN], sum[HIDDEN];
        double want[HIDDEN];
        ob_embedding *op;
        test_ok(ob_embedding_create(ctx, &desc, &op, &err), &err);
        ob_buffer *buffers[] = {upload(packed, sizeof packed),
                                upload(position, sizeof position),
                                upload(type, sizeof type),
                                upload(ids, sizeof ids),
                                upload(positions, sizeof positions),
                                upload(types, sizeof types),
                                upload(w, sizeof w),
                                upload(b, sizeof b),
                                upload(NULL, count * 4)};
        test_ok(ob_embedding_enqueue(op, buffers[0], buffers[1], buffers[2], buffers[3], buffers[4], buffers[5],
                                     buffers[6], buffers[7], TOKENS, buffers[8], &err),
                &err);
        test_ok(ob_buffer_download(buffers[8], 0, tiled, count * 4, &err), &err);
        from_row_tiles(got, tiled, TOKENS, HIDDEN, tiles[i]);
        for (int t = 0; t < TOKENS; t++) {
            for (int k = 0; k < HIDDEN; k++)
                sum[k] = word[ids[t] * HIDDEN + k] + type[k] + position[positions[t] * HIDDEN + k];
            reference_layer_norm(sum, w, b, HIDDEN, (double)1e-5f, want);
            for (int k = 0; k < HIDDEN; k++)
                assert_true(fabs((double)got[t * HIDDEN + k] - want[k]) <= 2e-6 * (1 + fabs(want[k])));
        }
        for (size_t j = 0; j < 9; j++)
            ob_buffer_destroy(buffers[j]);
        ob_embedding_destroy(op);
        free(tiled);
    }
}

static void check_gather(size_t row_tile)
{
    enum { WIDTH = 13, ROWS = 14 };
    float src[ROWS * WIDTH], got[4 * WIDTH];
    const int32_t rows[] = {0, 13, 3, 3, 7};
    size_t elements = ob_rows_elements(ROWS, WIDTH, row_tile), four = ob_rows_elements(4, WIDTH, row_tile);
    float *tiled = calloc(elements, 4), *gathered = malloc(four * 4);
    fill_random(src, ROWS * WIDTH, 1, 5);
    to_row_tiles(tiled, src, ROWS, WIDTH, row_tile);
    ob_gather_rows *gather;
    ob_buffer *b[] = {upload(tiled, elements * 4), upload(rows, sizeof rows),
                      upload(NULL, sizeof got > four * 4 ? sizeof got : four * 4)};
    for (int tiled_dst = 0; tiled_dst < 2; tiled_dst++) {
        const ob_gather_rows_desc desc = {WIDTH, row_tile, tiled_dst != 0};
        test_ok(ob_gather_rows_create(ctx, &desc, &gather, &err), &err);
        for (int listed = 0; listed < 2; listed++) {
            test_ok(ob_gather_rows_enqueue(gather, b[0], listed ? b[1] : NULL, 1, 4, b[2], &err), &err);
            test_ok(ob_buffer_download(b[2], 0, gathered, (tiled_dst ? four : 4 * WIDTH) * 4, &err), &err);
            from_row_tiles(got, gathered, 4, WIDTH, tiled_dst ? row_tile : 1);
            for (int i = 0; i < 4; i++)
                assert_memory_equal(got + i * WIDTH, src + (listed ? rows[1 + i] : 1 + i) * WIDTH, WIDTH * 4);
        }
        ob_gather_rows_destroy(gather);
    }
    for (size_t i = 0; i < 3; i++)
        ob_buffer_destroy(b[i]);
    free(tiled);
    free(gathered);
}

static void test_gather_takes_the_right_rows(void **state)
{
    (void)state;
    check_gather(1);
    check_gather(6);
    check_gather(12);
}

#define POOL_WIDTH 13
#define POOL_ROWS  14
static const int32_t pool_seqlens[] = {0, 1, 5, 9, 14}, pool_mask[POOL_ROWS] = {1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1};
#define POOL_SEQUENCES 4

static double reference_pooling(unsigned pooling, const float *src, const int32_t *mask, size_t s, size_t column)
{
    double sum = 0, weighted = 0, weights = 0, count = 0, most = -INFINITY, last = 0;
    for (int32_t t = pool_seqlens[s]; t < pool_seqlens[s + 1]; t++) {
        double x = (double)src[(size_t)t * POOL_WIDTH + column], weight = t - pool_seqlens[s] + 1;
        if (mask != NULL && mask[t] == 0)
            continue;
        sum += x;
        count++;
        weighted += weight * x;
        weights += weight;
        most = fmax(most, x);
        last = x;
    }
    if (pooling == OB_POOL_CLS)
        return (double)src[(size_t)pool_seqlens[s] * POOL_WIDTH + column];
    if (count == 0)
        return 0;
    return pooling == OB_POOL_MAX             ? most
           : pooling == OB_POOL_MEAN          ? sum / count
           : pooling == OB_POOL_MEAN_SQRT_LEN ? sum / sqrt(count)
           : pooling == OB_POOL_WEIGHTED_MEAN ? weighted / weights
                                              : last;
}

/* Each pooling alone, then all of them side by side with the same bits. */
static void check_pool(size_t row_tile, const int32_t *mask)
{
    float src[POOL_ROWS * POOL_WIDTH], one[POOL_SEQUENCES * POOL_WIDTH], all[POOL_SEQUENCES * 6 * POOL_WIDTH];
    size_t elements = ob_rows_elements(POOL_ROWS, POOL_WIDTH, row_tile);
    float *tiled = calloc(elements, 4);
    fill_random(src, POOL_ROWS * POOL_WIDTH, 1, 5);
    for (size_t i = 0; i < POOL_WIDTH; i++)
        src[11 * POOL_WIDTH + i] -= 2; /* the greatest of some columns are negative */
    to_row_tiles(tiled, src, POOL_ROWS, POOL_WIDTH, row_tile);
    ob_pool *pool;
    test_ok(ob_pool_create(ctx, POOL_WIDTH, row_tile, &pool, &err), &err);
    ob_buffer *b[] = {upload(tiled, elements * 4), upload(pool_seqlens, sizeof pool_seqlens),
                      upload(pool_mask, sizeof pool_mask), upload(NULL, sizeof all)};
    ob_buffer *key_mask = mask != NULL ? b[2] : NULL;
    test_ok(ob_pool_enqueue(pool, OB_POOL_ALL, b[0], b[1], key_mask, POOL_SEQUENCES, b[3], &err), &err);
    test_ok(ob_buffer_download(b[3], 0, all, sizeof all, &err), &err);
    for (unsigned p = 0; p < 6; p++) {
        test_ok(ob_pool_enqueue(pool, 1u << p, b[0], b[1], key_mask, POOL_SEQUENCES, b[3], &err), &err);
        test_ok(ob_buffer_download(b[3], 0, one, sizeof one, &err), &err);
        for (size_t s = 0; s < POOL_SEQUENCES; s++) {
            assert_memory_equal(one + s * POOL_WIDTH, all + (s * 6 + p) * POOL_WIDTH, POOL_WIDTH * 4);
            for (size_t c = 0; c < POOL_WIDTH; c++) {
                double want = reference_pooling(1u << p, src, mask, s, c), got = (double)one[s * POOL_WIDTH + c];
                if (!(fabs(got - want) <= 1e-6))
                    fail_msg("pooling %u, sequence %zu, column %zu: %.9g, expected %.9g", p, s, c, got, want);
            }
        }
    }
    test_refused(ob_pool_enqueue(pool, 0, b[0], b[1], NULL, 1, b[3], &err), OB_ERR_INTERNAL, &err, "poolings 0x0");
    test_refused(ob_pool_enqueue(pool, 64, b[0], b[1], NULL, 1, b[3], &err), OB_ERR_INTERNAL, &err, "poolings 0x40");
    ob_error_clear(&err);
    for (size_t i = 0; i < 4; i++)
        ob_buffer_destroy(b[i]);
    ob_pool_destroy(pool);
    free(tiled);
}

static void test_poolings_are_right_and_lie_side_by_side(void **state)
{
    (void)state;
    for (int masked = 0; masked < 2; masked++) {
        check_pool(1, masked ? pool_mask : NULL);
        check_pool(6, masked ? pool_mask : NULL);
        check_pool(12, masked ? pool_mask : NULL);
    }
}

static void check_top_k(size_t vocab, size_t k, size_t rows)
{
    float *logits = malloc(rows * vocab * 4), *scores = malloc(rows * k * 4);
    int32_t *ids = malloc(rows * k * 4);
    fill_random(logits, rows * vocab, 8, vocab + k);
    for (size_t i = 0; i < vocab; i++)
        logits[i] = floorf(logits[i]); /* many equal ones in the first row */
    if (rows > 1)
        logits[vocab + vocab / 2] = NAN;
    ob_top_k_desc desc = {vocab, k, rows};
    ob_top_k *op;
    test_ok(ob_top_k_create(ctx, &desc, &op, &err), &err);
    ob_buffer *b[] = {upload(logits, rows * vocab * 4), upload(NULL, rows * k * 4), upload(NULL, rows * k * 4),
                      upload(NULL, rows * 8)};
    test_ok(ob_top_k_enqueue(op, b[0], rows, b[1], b[2], b[3], &err), &err);
    test_ok(ob_buffer_download(b[1], 0, ids, rows * k * 4, &err), &err);
    test_ok(ob_buffer_download(b[2], 0, scores, rows * k * 4, &err), &err);
    for (size_t r = 0; r < rows; r++) {
        const float *x = logits + r * vocab;
        double maximum = -INFINITY, sum = 0;
        for (size_t j = 0; j < vocab; j++)
            maximum = isnan(x[j]) ? maximum : fmax(maximum, (double)x[j]);
        for (size_t j = 0; j < vocab; j++)
            sum += exp((double)x[j] - maximum);
        for (size_t i = 0; i < k; i++) {
            int32_t id = ids[r * k + i];
            assert_in_range(id, 0, vocab - 1);
            /* Exactly i entries stand before it: greater, or equal with a lower id. */
            size_t before = 0;
            for (size_t j = 0; j < vocab; j++)
                before += x[j] > x[id] || (x[j] == x[id] && (int32_t)j < id);
            if (before != i && !isnan(x[id]))
                fail_msg("vocab %zu, k %zu, row %zu: id %d is number %zu, not %zu", vocab, k, r, (int)id, before, i);
            if (r != 1) {
                /* x - maximum is rounded at up to 16, an absolute error of 1e-6 in the exponent */
                double want = exp((double)x[id] - maximum) / sum;
                assert_true(fabs((double)scores[r * k + i] - want) <= 4e-6 * want + 1e-9);
            }
        }
    }
    for (size_t i = 0; i < 4; i++)
        ob_buffer_destroy(b[i]);
    ob_top_k_destroy(op);
    free(logits);
    free(scores);
    free(ids);
}

static void test_top_k_orders_and_scores(void **state)
{
    (void)state;
    check_top_k(1, 1, 1);
    check_top_k(7, 7, 3);
    check_top_k(100, 5, 3);
    if (test_lane_is("oclgrind"))
        return;
    check_top_k(1024, 32, 2);
    check_top_k(1025, 32, 2);
    check_top_k(50265, 5, 4);
}

/* Row 0 is the same for every `rows`, and gives the same bits. */
static void check_target_scores(size_t vocab, size_t rows, float scale)
{
    enum { FIRST = 3 };
    float *logits = malloc(rows * vocab * 4), *scores = malloc(rows * 4), alone;
    int32_t *targets = malloc((FIRST + rows) * 4);
    fill_random(logits, rows * vocab, scale, vocab);
    for (size_t r = 0; r < rows; r++)
        targets[FIRST + r] = (int32_t)(r * 7919 % vocab);
    targets[0] = targets[1] = targets[2] = 0;
    if (rows > 1) {
        logits[vocab + (size_t)targets[FIRST + 1]] = 3 * scale; /* nearly certain */
        for (size_t j = 0; j < vocab / 2; j++)
            logits[2 * vocab + j] = -INFINITY; /* whole segments, where there are several */
    }
    ob_target_scores_desc desc = {vocab, rows};
    ob_target_scores *op;
    test_ok(ob_target_scores_create(ctx, &desc, &op, &err), &err);
    ob_buffer *b[] = {upload(logits, rows * vocab * 4), upload(targets, (FIRST + rows) * 4), upload(NULL, rows * 4)};
    test_ok(ob_target_scores_enqueue(op, b[0], b[1], FIRST, 1, b[2], &err), &err);
    test_ok(ob_buffer_download(b[2], 0, &alone, 4, &err), &err);
    test_ok(ob_target_scores_enqueue(op, b[0], b[1], FIRST, rows, b[2], &err), &err);
    test_ok(ob_buffer_download(b[2], 0, scores, rows * 4, &err), &err);
    assert_memory_equal(&alone, scores, 4);
    for (size_t r = 0; r < rows; r++) {
        const float *x = logits + r * vocab;
        double maximum = -INFINITY, sum = 0;
        for (size_t j = 0; j < vocab; j++)
            maximum = fmax(maximum, (double)x[j]);
        for (size_t j = 0; j < vocab; j++)
            sum += exp((double)x[j] - maximum);
        double want = (double)x[targets[FIRST + r]] - maximum - log(sum), got = (double)scores[r];
        if (isinf(want) ? got != want : !(fabs(got - want) <= 1e-5 + 2e-7 * fabs(want)))
            fail_msg("vocab %zu, row %zu: %.9g, expected %.9g", vocab, r, got, want);
    }
    test_refused(ob_target_scores_enqueue(op, b[0], b[1], 0, rows + 1, b[2], &err), OB_ERR_INTERNAL, &err, "planned");
    ob_error_clear(&err);
    for (size_t i = 0; i < 3; i++)
        ob_buffer_destroy(b[i]);
    ob_target_scores_destroy(op);
    free(logits);
    free(scores);
    free(targets);
}

static void test_target_scores_are_right(void **state)
{
    (void)state;
    check_target_scores(1, 1, 8);
    check_target_scores(7, 3, 8);
    check_target_scores(100, 5, 30);
    if (test_lane_is("oclgrind"))
        return;
    check_target_scores(1024, 3, 1);
    check_target_scores(1025, 3, 20);
    check_target_scores(50265, 4, 0.01f);
    check_target_scores(50265, 4, 20);
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm_is_right),
        cmocka_unit_test(test_embedding_adds_three_tables),
        cmocka_unit_test(test_embedding_is_normalised),
        cmocka_unit_test(test_gather_takes_the_right_rows),
        cmocka_unit_test(test_poolings_are_right_and_lie_side_by_side),
        cmocka_unit_test(test_top_k_orders_and_scores),
        cmocka_unit_test(test_target_scores_are_right),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
