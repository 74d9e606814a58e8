/* Every provider, block and epilogue against double precision: |error| <= 8 u sum |a b| for the product, u = 2^-24, and
 * what the activation may add; the same bits for a row in every batch and from every block; nothing written behind the
 * result. */
#include "test_support.h"

#include "gemm_block.h"
#include "reference.h"
#include "test_device.h"

#include <math.h>
#include <oberta/op_gemm.h>
#include <oberta/rows.h>

#define U     0x1p-24
#define GUARD 64 /* floats behind dst */

static ob_context *ctx;
static double worst;

typedef struct problem {
    size_t m, n, k;
    float *src, *weight, *bias, *residual, *dst;
} problem;

static problem make_problem(size_t m, size_t n, size_t k)
{
    problem p = {
        m, n, k, malloc(m * k * 4), malloc(n * k * 4), malloc(n * 4), malloc(m * n * 4), malloc((m * n + GUARD) * 4)};
    fill_random(p.src, m * k, 1.0f, 1);
    fill_random(p.weight, n * k, 0.2f, 2);
    fill_random(p.bias, n, 0.5f, 3);
    fill_random(p.residual, m * n, 2.0f, 4);
    return p;
}

static void free_problem(problem *p)
{
    free(p->src);
    free(p->weight);
    free(p->bias);
    free(p->residual);
    free(p->dst);
}

typedef struct way {
    ob_gemm_provider provider;
    bool half_weights;
    int variant;     /* of block: 1 + a row of its table */
    size_t row_tile; /* 0: the provider's own */
    bool other_dst;  /* dst row-major where it would lie in row tiles, and the other way round */
} way;

/* llvmpipe compiles a register tile for a minute, so there it gets one program: row-major dst, residual, no activation.
 */
static bool compiles_for_ever(ob_gemm_provider provider, const problem *p, ob_activation activation, bool residual)
{
    return provider == OB_GEMM_TILE && test_lane_is("rusticl") &&
           (p->n % 2 == 1 || activation != OB_ACT_NONE || !residual);
}

/* False where the provider refuses the device; nothing else may. */
static bool run_way(const problem *p, way how, ob_activation activation, bool residual, size_t parts, float *dst)
{
    static ob_error err;
    ob_error_clear(&err);
    if (compiles_for_ever(how.provider, p, activation, residual))
        return false;
    /* Every other shape leaves dst row-major, as the decoder and attention want it. */
    ob_gemm_desc desc = {.n = p->n,
                         .k = p->k,
                         .activation = activation,
                         .residual = residual,
                         .provider = how.provider,
                         .half_weights = how.half_weights,
                         .row_tile = how.row_tile > 0 ? how.row_tile : ob_gemm_row_tile(ctx, how.provider),
                         .tiled_dst = (p->n % 2 == 1) != how.other_dst,
                         .variant = how.variant};
    ob_gemm *gemm;
    ob_gemm_weights *weights;
    ob_buffer *src, *res, *out;
    if (ob_gemm_create(ctx, &desc, &gemm, &err) != OB_OK) {
        test_refused(err.status, OB_ERR_DEVICE, &err, "matrix products by");
        return false;
    }
    ob_gemm_part part[2] = {{p->weight, p->bias, OB_DTYPE_F32, OB_DTYPE_F32, p->n}};
    if (parts == 2) {
        size_t first = p->n / 2;
        part[0].rows = first;
        part[1] = (ob_gemm_part){p->weight + first * p->k, p->bias + first, OB_DTYPE_F32, OB_DTYPE_F32, p->n - first};
    }
    test_ok(ob_gemm_weights_create(gemm, part, parts, &weights, &err), &err);
    size_t tile = desc.row_tile, dst_tile = desc.tiled_dst ? tile : 1;
    size_t src_count = ob_rows_elements(p->m, p->k, tile), dst_count = ob_rows_elements(p->m, p->n, dst_tile);
    float *tiled = calloc(src_count > dst_count + GUARD ? src_count : dst_count + GUARD, 4);
    test_ok(ob_buffer_create(ctx, src_count * 4, "src", &src, &err), &err);
    test_ok(ob_buffer_create(ctx, dst_count * 4, "residual", &res, &err), &err);
    test_ok(ob_buffer_create(ctx, (dst_count + GUARD) * 4, "dst", &out, &err), &err);
    float guard[GUARD];
    for (size_t i = 0; i < GUARD; i++)
        guard[i] = -12345.0f;
    to_row_tiles(tiled, p->src, p->m, p->k, tile);
    test_ok(ob_buffer_upload(src, 0, tiled, src_count * 4, &err), &err);
    to_row_tiles(tiled, p->residual, p->m, p->n, dst_tile);
    test_ok(ob_buffer_upload(res, 0, tiled, dst_count * 4, &err), &err);
    test_ok(ob_buffer_upload(out, dst_count * 4, guard, sizeof guard, &err), &err);
    test_ok(ob_gemm_enqueue(gemm, weights, src, p->m, residual ? res : NULL, out, &err), &err);
    test_ok(ob_buffer_download(out, 0, tiled, (dst_count + GUARD) * 4, &err), &err);
    assert_memory_equal(tiled + dst_count, guard, sizeof guard);
    from_row_tiles(dst, tiled, p->m, p->n, dst_tile);
    free(tiled);
    ob_buffer_destroy(src);
    ob_buffer_destroy(res);
    ob_buffer_destroy(out);
    ob_gemm_weights_destroy(weights);
    ob_gemm_destroy(gemm);
    return true;
}

static bool run(const problem *p, ob_gemm_provider provider, ob_activation activation, bool residual, size_t parts,
                float *dst)
{
    return run_way(p, (way){provider, false, 0, 0, false}, activation, residual, parts, dst);
}

static void check(const problem *p, const char *what, ob_activation activation, bool residual)
{
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double magnitude, dot = reference_dot(p->src + i * p->k, p->weight + j * p->k, p->k, &magnitude);
            double x = dot + (double)p->bias[j];
            double want = reference_activation(activation, x) + (residual ? (double)p->residual[i * p->n + j] : 0);
            /* The product's own bound (slopes of all activations are below 1.3, relu2's is 2 |x|), one rounding each
             * for bias and residual, and the activation's: 1e-6 max(1, |x|). */
            double slope = activation == OB_ACT_RELU2 ? 2 * fabs(x) + 1 : 1.3;
            double bound = slope * (8 * U * magnitude + 2 * U * fabs(x)) + 2 * U * fabs(want) +
                           (activation == OB_ACT_NONE ? 0 : 1e-6 * fmax(1, fabs(x)));
            double error = fabs((double)p->dst[i * p->n + j] - want);
            if (!(error <= bound))
                fail_msg("%s: m %zu n %zu k %zu, %s: dst[%zu][%zu] = %.9g, expected %.9g, bound %.3g", what, p->m, p->n,
                         p->k, ob_activation_name(activation), i, j, (double)p->dst[i * p->n + j], want, bound);
            worst = error / bound > worst ? error / bound : worst;
        }
}

static const ob_gemm_provider all[] = {OB_GEMM_REF, OB_GEMM_TILE, OB_GEMM_AMX, OB_GEMM_CLBLAST};
#define ALL (sizeof all / sizeof *all)

/* Calls `body` for each line of shapes/gemm.txt. */
static void each_shape(void (*body)(size_t m, size_t n, size_t k))
{
    char path[512], line[128];
    snprintf(path, sizeof path, "%s/../kernels/shapes/gemm.txt", test_data());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t m, n, k;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%zu %zu %zu", &m, &n, &k) == 3 && !(test_lane_is("oclgrind") && m * n * k > 10000))
            body(m, n, k);
    fclose(file);
}

static bool has_amx(void)
{
    return (ob_context_device(ctx)->capabilities & OB_CAP_AMX) != 0;
}

static size_t served[ALL];

static void check_shape(size_t m, size_t n, size_t k)
{
    problem p = make_problem(m, n, k);
    for (size_t i = 0; i < ALL; i++) {
        /* CLBlast under Oclgrind is not ours to check; on llvmpipe each of its shapes takes seconds. */
        if (all[i] == OB_GEMM_CLBLAST && (test_lane_is("oclgrind") || (test_lane_is("rusticl") && m * n * k > 100000)))
            continue;
        if (run(&p, all[i], OB_ACT_NONE, true, 1, p.dst)) {
            check(&p, ob_gemm_provider_name(all[i]), OB_ACT_NONE, true);
            served[i]++;
        }
    }
    free_problem(&p);
}

static void test_gemm_is_right_for_every_shape(void **state)
{
    (void)state;
    each_shape(check_shape);
    for (size_t i = 0; i < ALL; i++)
        printf("%s %zu, ", ob_gemm_provider_name(all[i]), served[i]);
    printf("shapes; worst error %.0f %% of the bound\n", worst * 100);
    assert_true(served[0] > 3);
    assert_true(has_amx() ? served[2] == served[0] : served[2] == 0);
    if (!has_amx())
        printf("SKIPPED amx: this device has no matrix tiles of x86\n");
}

/* llvmpipe compiles the larger blocks for half a minute. */
static bool slow_here(size_t variant)
{
    return test_lane_is("rusticl") && variant > 0 && variant + 1 < OB__GEMM_VARIANT_COUNT;
}

/* Every block gives the first one's bits. */
static size_t blocks_served;

static void check_blocks(size_t m, size_t n, size_t k)
{
    problem p = make_problem(m, n, k);
    float *again = malloc((m * n + GUARD) * 4);
    bool first = true;
    for (int v = 1; v <= OB__GEMM_VARIANT_COUNT; v++) {
        if (slow_here((size_t)v) ||
            !run_way(&p, (way){OB_GEMM_BLOCK, false, v, 1, false}, OB_ACT_NONE, true, 1, first ? p.dst : again))
            continue;
        if (first)
            check(&p, ob__gemm_variants[v - 1].name, OB_ACT_NONE, true);
        else if (memcmp(p.dst, again, m * n * 4) != 0)
            fail_msg("m %zu n %zu k %zu: block %s gives other bits", m, n, k, ob__gemm_variants[v - 1].name);
        first = false;
        blocks_served++;
    }
    free(again);
    free_problem(&p);
}

static void test_gemm_blocks_agree_for_every_shape(void **state)
{
    (void)state;
    each_shape(check_blocks);
    printf("%zu blocks\n", blocks_served);
    assert_true(blocks_served > 3);
}

/* To half precision and back: 11 significant bits, from 2^-24 on. */
static float rounded_to_half(float x)
{
    int exponent;
    frexp((double)x, &exponent);
    double place = ldexp(1, exponent - 11 > -24 ? exponent - 11 : -24);
    return (float)(rint((double)x / place) * place);
}

static void test_gemm_keeps_half_weights(void **state)
{
    (void)state;
    bool small = test_lane_is("oclgrind");
    problem p = make_problem(9, 37, small ? 16 : 80);
    float *again = malloc((p.m * p.n + GUARD) * 4);
    p.weight[0] = 0x1.ffep-15f * 0x1p-9f; /* a subnormal half, between two of them */
    p.weight[1] = 1.0f + 0x1p-11f;        /* ties */
    p.weight[2] = 1.0f + 0x3p-11f;
    for (size_t v = 0; v <= OB__GEMM_VARIANT_COUNT; v++) {
        way how = {v == 0 ? OB_GEMM_REF : OB_GEMM_BLOCK, true, (int)v, 1, false};
        if (slow_here(v))
            continue;
        problem q = p;
        q.weight = malloc(p.n * p.k * 4);
        for (size_t i = 0; i < p.n * p.k; i++)
            q.weight[i] = rounded_to_half(p.weight[i]);
        /* What was rounded beforehand gives the same bits as what create rounds. */
        if (run_way(&p, how, OB_ACT_NONE, false, 2, p.dst)) {
            assert_true(run_way(&q, how, OB_ACT_NONE, false, 1, again));
            assert_memory_equal(p.dst, again, p.m * p.n * 4);
            check(&q, v == 0 ? "ref" : ob__gemm_variants[v - 1].name, OB_ACT_NONE, false);
        }
        free(q.weight);
    }
    static const ob_gemm_provider others[] = {OB_GEMM_TILE, OB_GEMM_AMX, OB_GEMM_CLBLAST};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(run_way(&p, (way){others[i], true, 0, 0, false}, OB_ACT_NONE, false, 1, p.dst));
    free(again);
    free_problem(&p);
}

static const char *pick(size_t m, size_t n, size_t units, size_t group, uint64_t local_bytes)
{
    ob_device_info device = {
        .max_work_group = group, .max_work_items = {group, group, group}, .local_bytes = local_bytes};
    unsigned fitting = ob__gemm_variants_that_fit(&device);
    return fitting == 0 ? "none" : ob__gemm_variants[ob__gemm_variant_pick(m, n, units, fitting)].name;
}

static void test_gemm_picks_a_block(void **state)
{
    (void)state;
    assert_string_equal(pick(8192, 768, 40, 256, 65536), "128x128");
    assert_string_equal(pick(8192, 768, 40, 256, 16384), "128x128");
    assert_string_equal(pick(8192, 768, 40, 128, 65536), "64x128");
    assert_string_equal(pick(512, 768, 24, 256, 65536), "64x128");
    assert_string_equal(pick(256, 768, 24, 256, 65536), "64x64");
    assert_string_equal(pick(128, 768, 60, 256, 65536), "16x32"); /* as many groups as there can be */
    assert_string_equal(pick(16, 50265, 60, 256, 65536), "16x64");
    assert_string_equal(pick(1, 768, 60, 256, 65536), "16x32");
    assert_string_equal(pick(1, 768, 60, 16, 65536), "16x16");
    assert_string_equal(pick(8192, 768, 8, 1, 65536), "8x4");
    assert_string_equal(pick(8192, 768, 8, 256, 1024), "8x4");
    assert_string_equal(pick(8192, 768, 8, 256, 128), "none");
    for (size_t i = 0; i < OB__GEMM_VARIANT_COUNT; i++)
        assert_true(ob__gemm_variant_local_bytes(&ob__gemm_variants[i]) <= 16384);
}

/* Register tiles are for CPU devices with vectors; blocks for GPUs, and for CPU devices that make lanes of work-items.
 */
static void test_gemm_suits_the_device(void **state)
{
    (void)state;
    const ob_gemm_desc desc = {.n = 768, .k = 768, .row_tile = 1};
    ob_device_info device = {.type = OB_DEVICE_CPU,
                             .vector_width = 16,
                             .max_work_group = 1024,
                             .max_work_items = {1024, 1024, 1024},
                             .local_bytes = 32768};
    assert_non_null(ob_gemm_refusal(&device, &desc, OB_GEMM_BLOCK));
    device.vector_width = 1;
    assert_null(ob_gemm_refusal(&device, &desc, OB_GEMM_BLOCK));
    device.type = OB_DEVICE_GPU;
    assert_null(ob_gemm_refusal(&device, &desc, OB_GEMM_BLOCK));
    assert_non_null(ob_gemm_refusal(&device, &desc, OB_GEMM_TILE));
    /* With matrix tiles rows lie plainly, else in register tiles' rows. */
    if (test_lane_is("pocl"))
        assert_true(ob_gemm_row_tile(ctx, OB_GEMM_TILE) > 1 && (ob_gemm_row_tile(ctx, OB_GEMM_AUTO) == 1) == has_amx());
    assert_int_equal(ob_gemm_row_tile(ctx, OB_GEMM_AMX), 1);
    assert_non_null(ob_gemm_refusal(&device, &desc, OB_GEMM_AMX));
    device.capabilities = OB_CAP_AMX;
    assert_null(ob_gemm_refusal(&device, &desc, OB_GEMM_AMX));
    if (test_lane_is("rusticl"))
        assert_int_equal(ob_gemm_row_tile(ctx, OB_GEMM_AUTO), 1);
}

static void test_gemm_has_every_activation(void **state)
{
    (void)state;
    problem p = make_problem(7, 19, 24);
    for (int a = 0; a < OB_ACTIVATION_COUNT; a++) /* the smallest block, which compiles fast */
        if (!(test_lane_is("rusticl") && a != OB_ACT_GELU) &&
            run_way(&p, (way){OB_GEMM_BLOCK, false, OB__GEMM_VARIANT_COUNT, 1, false}, (ob_activation)a, false, 1,
                    p.dst))
            check(&p, "block", (ob_activation)a, false);
    for (size_t i = 0; i < (test_lane_is("pocl") ? ALL : ALL - 1); i++) /* CLBlast is the last */
        for (int a = 0; a < OB_ACTIVATION_COUNT; a++)
            /* amx has tile's vectors: two will do, each takes PoCL seconds to compile. */
            if (!(all[i] == OB_GEMM_AMX && a != OB_ACT_GELU && a != OB_ACT_SILU) &&
                run(&p, all[i], (ob_activation)a, false, 1, p.dst))
                check(&p, ob_gemm_provider_name(all[i]), (ob_activation)a, false);
    free_problem(&p);
}

/* Rows are the same bits alone and among others, wherever they stand. */
static void test_gemm_rows_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    if (test_lane_is("oclgrind"))
        skip();
    const way ways[] = {{OB_GEMM_REF, false, 0, 0, false},
                        {OB_GEMM_TILE, false, 0, 0, false},
                        {OB_GEMM_AMX, false, 0, 0, false},
                        {OB_GEMM_CLBLAST, false, 0, 0, false},
                        {OB_GEMM_BLOCK, false, test_lane_is("rusticl") ? OB__GEMM_VARIANT_COUNT : 0, 0, false}};
    problem p = make_problem(29, 50, 96);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!run_way(&p, ways[i], OB_ACT_GELU, false, 1, p.dst))
            continue;
        for (size_t row = 0; row < p.m; row += 7) {
            problem one = p;
            one.m = 1;
            one.src = p.src + row * p.k;
            one.dst = malloc((p.n + GUARD) * 4);
            assert_true(run_way(&one, ways[i], OB_ACT_GELU, false, 1, one.dst));
            assert_memory_equal(one.dst, p.dst + row * p.n, p.n * 4);
            free(one.dst);
        }
    }
    free_problem(&p);
}

/* Sums so long that a few rows of src fill a second-level cache, and more rows than a work-item takes: as right as
 * others, and a row alone has the same bits. */
static void test_gemm_is_right_for_long_sums(void **state)
{
    (void)state;
    static const ob_gemm_provider long_ones[] = {OB_GEMM_TILE, OB_GEMM_AMX};
    /* and of one and two steps of matrix tiles, several panels, and rows for several tasks */
    static const size_t shapes[][3] = {{61, 64, 8200}, {300, 70, 1100}, {150, 250, 20}, {150, 250, 64}};
    if (test_lane_is("oclgrind") || test_lane_is("rusticl"))
        skip();
    for (size_t i = 0; i < 8; i++) {
        const size_t *shape = shapes[i / 2];
        const way how = {long_ones[i % 2], false, 0, 0, true};
        problem p = make_problem(shape[0], shape[1], shape[2]);
        bool serves = run_way(&p, how, OB_ACT_NONE, true, 1, p.dst);
        assert_true(serves == (how.provider == OB_GEMM_TILE || has_amx()));
        if (serves) {
            check(&p, ob_gemm_provider_name(how.provider), OB_ACT_NONE, true);
            problem one = p;
            one.m = 1;
            one.dst = malloc((p.n + GUARD) * 4);
            for (size_t row = 0; row < p.m; row += 12) {
                one.src = p.src + row * p.k;
                one.residual = p.residual + row * p.n;
                assert_true(run_way(&one, how, OB_ACT_NONE, true, 1, one.dst));
                assert_memory_equal(one.dst, p.dst + row * p.n, p.n * 4);
            }
            free(one.dst);
        }
        free_problem(&p);
    }
}

/* Values of many sizes in one sum: the bound is that of their products, not of the largest. */
static void test_gemm_is_right_for_values_of_every_size(void **state)
{
    (void)state;
    problem p = make_problem(5, 33, test_lane_is("oclgrind") ? 20 : 100);
    for (size_t i = 0; i < p.m * p.k; i++)
        p.src[i] = ldexpf(p.src[i], (int)(i % 61) - 50);
    for (size_t i = 0; i < p.n * p.k; i++)
        p.weight[i] = ldexpf(p.weight[i], (int)(i % 37) - 30);
    for (size_t i = 0; i < ALL - 1; i++)
        if (run(&p, all[i], OB_ACT_NONE, false, 1, p.dst))
            check(&p, ob_gemm_provider_name(all[i]), OB_ACT_NONE, false);
    free_problem(&p);
}

/* A row that is not finite changes no other, though they share tiles. */
static void test_gemm_keeps_rows_that_are_not_finite_apart(void **state)
{
    (void)state;
    problem p = make_problem(7, 19, 24);
    float *again = malloc((p.m * p.n + GUARD) * 4);
    for (size_t i = 0; i < ALL - 1; i++) {
        if (!run(&p, all[i], OB_ACT_NONE, true, 1, p.dst))
            continue;
        problem q = p;
        q.src = malloc(p.m * p.k * 4);
        memcpy(q.src, p.src, p.m * p.k * 4);
        q.src[2 * p.k + 3] = NAN;
        q.src[4 * p.k + 5] = INFINITY;
        assert_true(run(&q, all[i], OB_ACT_NONE, true, 1, again));
        for (size_t row = 0; row < p.m; row++)
            for (size_t c = 0; c < p.n; c++)
                if (row == 2 || row == 4)
                    assert_false(isfinite(again[row * p.n + c]));
                else
                    assert_memory_equal(again + row * p.n + c, p.dst + row * p.n + c, 4);
        free(q.src);
    }
    free(again);
    free_problem(&p);
}

/* Columns that fill their panels, in row tiles and row-major; the shapes' file has each n in one layout alone. */
static void test_gemm_stores_whole_panels(void **state)
{
    (void)state;
    if (test_lane_is("rusticl"))
        skip();
    problem p = make_problem(test_lane_is("oclgrind") ? 5 : 43, 32, 36);
    for (int other = 0; other < 2; other++)
        if (run_way(&p, (way){OB_GEMM_TILE, false, 0, 0, other == 1}, OB_ACT_GELU, true, 1, p.dst))
            check(&p, "tile", OB_ACT_GELU, true);
    if (run_way(&p, (way){OB_GEMM_AMX, false, 0, 0, false}, OB_ACT_GELU, true, 1, p.dst))
        check(&p, "amx", OB_ACT_GELU, true);
    free_problem(&p);
}

static void test_gemm_takes_weights_in_parts(void **state)
{
    (void)state;
    problem p = make_problem(5, 21, 16);
    float *again = malloc((p.m * p.n + GUARD) * 4);
    for (size_t i = 0; i < ALL - 1; i++)
        if (run(&p, all[i], OB_ACT_NONE, false, 1, p.dst) && run(&p, all[i], OB_ACT_NONE, false, 2, again))
            assert_memory_equal(p.dst, again, p.m * p.n * 4);
    free(again);
    free_problem(&p);
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_is_right_for_every_shape),
        cmocka_unit_test(test_gemm_blocks_agree_for_every_shape),
        cmocka_unit_test(test_gemm_keeps_half_weights),
        cmocka_unit_test(test_gemm_picks_a_block),
        cmocka_unit_test(test_gemm_suits_the_device),
        cmocka_unit_test(test_gemm_has_every_activation),
        cmocka_unit_test(test_gemm_rows_do_not_depend_on_the_batch),
        cmocka_unit_test(test_gemm_is_right_for_long_sums),
        cmocka_unit_test(test_gemm_is_right_for_values_of_every_size),
        cmocka_unit_test(test_gemm_keeps_rows_that_are_not_finite_apart),
        cmocka_unit_test(test_gemm_stores_whole_panels),
        cmocka_unit_test(test_gemm_takes_weights_in_parts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
