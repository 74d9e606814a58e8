/* A layer in one launch gives the bits of its operators one by one, whatever the rows; and what it leaves to them. */
#include "test_support.h"

#include "reference.h"
#include "test_device.h"

#include <oberta/op_encoder_layer.h>
#include <oberta/profile.h>

#define MAX_ROWS 32

static ob_context *ctx;
static ob_error err;

typedef struct shape {
    size_t heads, head_size, hidden, inner;
    ob_activation act;
    bool causal;
} shape;

/* The operators of a layer, its weights and activations. */
typedef struct layer {
    shape shape;
    ob_gemm *qkv, *attention_output, *inner, *output;
    ob_attention *attention;
    ob_layer_norm *norm;
    ob_encoder_layer_weights w;
    ob_buffer *hidden, *qkv_rows, *context, *middle, *inner_rows, *mask;
} layer;

static ob_buffer *device_floats(size_t count, float scale, uint64_t seed)
{
    float *values = malloc(count * sizeof *values);
    ob_buffer *buffer;
    fill_random(values, count, scale, seed);
    test_ok(ob_buffer_create(ctx, count * sizeof *values, "test", &buffer, &err), &err);
    test_ok(ob_buffer_upload(buffer, 0, values, count * sizeof *values, &err), &err);
    free(values);
    return buffer;
}

static ob_gemm *make_gemm(size_t n, size_t k, ob_activation act, bool residual, ob_gemm_provider provider)
{
    const ob_gemm_desc desc = {.n = n, .k = k, .activation = act, .residual = residual, .provider = provider};
    ob_gemm *gemm;
    test_ok(ob_gemm_create(ctx, &desc, &gemm, &err), &err);
    return gemm;
}

static ob_gemm_weights *make_weights(const ob_gemm *gemm, size_t n, size_t k, uint64_t seed)
{
    float *weight = malloc(n * k * sizeof *weight), *bias = malloc(n * sizeof *bias);
    ob_gemm_weights *weights;
    fill_random(weight, n * k, 0.2f, seed);
    fill_random(bias, n, 0.5f, seed + 1);
    const ob_gemm_part part = {weight, bias, OB_DTYPE_F32, OB_DTYPE_F32, n};
    test_ok(ob_gemm_weights_create(gemm, &part, 1, &weights, &err), &err);
    free(bias);
    free(weight);
    return weights;
}

static layer make_layer(const shape *s, ob_gemm_provider provider)
{
    size_t width = s->heads * s->head_size;
    layer l = {.shape = *s};
    const ob_attention_desc attention = {.heads = s->heads,
                                         .head_size = s->head_size,
                                         .max_sequence = MAX_ROWS,
                                         .max_tokens = MAX_ROWS,
                                         .max_sequences = MAX_ROWS,
                                         .row_tile = 1,
                                         .causal = s->causal};
    const ob_layer_norm_desc norm = {s->hidden, 1e-5f, 1, OB_LAYER_NORM_AUTO};
    l.qkv = make_gemm(3 * width, s->hidden, OB_ACT_NONE, false, provider);
    l.attention_output = make_gemm(s->hidden, width, OB_ACT_NONE, true, provider);
    l.inner = make_gemm(s->inner, s->hidden, s->act, false, provider);
    l.output = make_gemm(s->hidden, s->inner, OB_ACT_NONE, true, provider);
    test_ok(ob_attention_create(ctx, &attention, &l.attention, &err), &err);
    test_ok(ob_layer_norm_create(ctx, &norm, &l.norm, &err), &err);
    l.w.qkv = make_weights(l.qkv, 3 * width, s->hidden, 10);
    l.w.attention_output = make_weights(l.attention_output, s->hidden, width, 20);
    l.w.inner = make_weights(l.inner, s->inner, s->hidden, 30);
    l.w.output = make_weights(l.output, s->hidden, s->inner, 40);
    l.w.middle_scale = device_floats(s->hidden, 2.0f, 50);
    l.w.middle_shift = device_floats(s->hidden, 1.0f, 51);
    l.w.last_scale = device_floats(s->hidden, 2.0f, 52);
    l.w.last_shift = device_floats(s->hidden, 1.0f, 53);
    l.hidden = device_floats(MAX_ROWS * s->hidden, 1.0f, 60);
    l.qkv_rows = device_floats(MAX_ROWS * 3 * width, 1.0f, 61);
    l.context = device_floats(MAX_ROWS * width, 1.0f, 62);
    l.middle = device_floats(MAX_ROWS * s->hidden, 1.0f, 63);
    l.inner_rows = device_floats(MAX_ROWS * s->inner, 1.0f, 64);
    int32_t mask[MAX_ROWS];
    for (int i = 0; i < MAX_ROWS; i++)
        mask[i] = i % 3 != 1;
    test_ok(ob_buffer_create(ctx, sizeof mask, "mask", &l.mask, &err), &err);
    test_ok(ob_buffer_upload(l.mask, 0, mask, sizeof mask, &err), &err);
    return l;
}

static void free_layer(layer *l)
{
    ob_gemm_weights_destroy((ob_gemm_weights *)l->w.qkv);
    ob_gemm_weights_destroy((ob_gemm_weights *)l->w.attention_output);
    ob_gemm_weights_destroy((ob_gemm_weights *)l->w.inner);
    ob_gemm_weights_destroy((ob_gemm_weights *)l->w.output);
    ob_buffer *const buffers[] = {(ob_buffer *)l->w.middle_scale,
                                  (ob_buffer *)l->w.middle_shift,
                                  (ob_buffer *)l->w.last_scale,
                                  (ob_buffer *)l->w.last_shift,
                                  l->hidden,
                                  l->qkv_rows,
                                  l->context,
                                  l->middle,
                                  l->inner_rows,
                                  l->mask};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        ob_buffer_destroy(buffers[i]);
    ob_gemm_destroy(l->qkv);
    ob_gemm_destroy(l->attention_output);
    ob_gemm_destroy(l->inner);
    ob_gemm_destroy(l->output);
    ob_attention_destroy(l->attention);
    ob_layer_norm_destroy(l->norm);
}

static ob_encoder_layer *whole_of(const layer *l, size_t work_items, int32_t patience)
{
    const ob_encoder_layer_desc desc = {.qkv = l->qkv,
                                        .attention_output = l->attention_output,
                                        .inner = l->inner,
                                        .output = l->output,
                                        .attention = l->attention,
                                        .norm = l->norm,
                                        .work_items = work_items,
                                        .patience = patience};
    ob_encoder_layer *whole;
    test_ok(ob_encoder_layer_create(ctx, &desc, &whole, &err), &err);
    return whole;
}

static void run_operators(const layer *l, size_t m, const ob_buffer *mask)
{
    test_ok(ob_gemm_enqueue(l->qkv, l->w.qkv, l->hidden, m, NULL, l->qkv_rows, &err), &err);
    test_ok(ob_attention_enqueue(l->attention, l->qkv_rows, mask, NULL, l->context, &err), &err);
    test_ok(ob_gemm_enqueue(l->attention_output, l->w.attention_output, l->context, m, l->hidden, l->middle, &err),
            &err);
    test_ok(ob_layer_norm_enqueue(l->norm, l->middle, l->w.middle_scale, l->w.middle_shift, m, l->middle, &err), &err);
    test_ok(ob_gemm_enqueue(l->inner, l->w.inner, l->middle, m, NULL, l->inner_rows, &err), &err);
    test_ok(ob_gemm_enqueue(l->output, l->w.output, l->inner_rows, m, l->middle, l->hidden, &err), &err);
    test_ok(ob_layer_norm_enqueue(l->norm, l->hidden, l->w.last_scale, l->w.last_shift, m, l->hidden, &err), &err);
}

/* Two layers on the same weights, so that what one leaves behind would be seen in the other. */
static void check_rows(const layer *l, const ob_encoder_layer *whole, size_t m, const ob_buffer *mask)
{
    size_t bytes = MAX_ROWS * l->shape.hidden * sizeof(float);
    float *start = malloc(bytes), *want = malloc(bytes), *got = malloc(bytes);
    const ob_encoder_layer_rows rows = {l->hidden, l->qkv_rows, l->context, l->middle, l->inner_rows};
    const int32_t one[] = {0, (int32_t)m}, two[] = {0, (int32_t)(m / 3), (int32_t)m};
    test_ok(ob_attention_plan(l->attention, m < 3 ? one : two, m < 3 ? 1 : 2, &err), &err);
    fill_random(start, MAX_ROWS * l->shape.hidden, 1.0f, m);
    test_ok(ob_buffer_upload(l->hidden, 0, start, bytes, &err), &err);
    run_operators(l, m, mask);
    run_operators(l, m, mask);
    test_ok(ob_buffer_download(l->hidden, 0, want, bytes, &err), &err);
    test_ok(ob_buffer_upload(l->hidden, 0, start, bytes, &err), &err);
    for (int i = 0; i < 2; i++)
        test_ok(ob_encoder_layer_enqueue(whole, &l->w, &rows, m, mask, &err), &err);
    test_ok(ob_buffer_download(l->hidden, 0, got, bytes, &err), &err);
    assert_memory_equal(got, want, bytes); /* rows from m on are as they were */
    free(got);
    free(want);
    free(start);
}

static bool serves(void)
{
    const unsigned needed = OB_CAP_AMX | OB_CAP_SPREAD;
    return (ob_context_device(ctx)->capabilities & needed) == needed;
}

static void test_one_launch_gives_the_same_bits(void **state)
{
    (void)state;
    static const shape shapes[] = {{2, 32, 64, 96, OB_ACT_GELU, false},
                                   {3, 64, 96, 160, OB_ACT_RELU, true},
                                   {12, 64, 768, 3072, OB_ACT_GELU, false}};
    static const size_t rows[] = {1, 2, 15, 16, 17, 31, 32};
    if (!serves()) {
        print_message("SKIP: the device has no matrix tiles, or may run all work-groups on one unit\n");
        skip();
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        layer l = make_layer(&shapes[i], OB_GEMM_AUTO);
        ob_encoder_layer *whole = whole_of(&l, 0, 0);
        assert_non_null(whole);
        assert_int_equal(ob_encoder_layer_max_rows(whole), MAX_ROWS);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            check_rows(&l, whole, rows[r], NULL);
            check_rows(&l, whole, rows[r], l.mask);
        }
        const ob_encoder_layer_rows all = {l.hidden, l.qkv_rows, l.context, l.middle, l.inner_rows};
        test_ok(ob_encoder_layer_enqueue(whole, &l.w, &all, 0, NULL, &err), &err);
        test_refused(ob_encoder_layer_enqueue(whole, &l.w, &all, MAX_ROWS + 1, NULL, &err), OB_ERR_INTERNAL, &err,
                     "33 rows");
        ob_encoder_layer_destroy(whole);
        free_layer(&l);
    }
}

/* One that does everything; some that leave at the first wait, so that others, or one that comes when all is done, go
 * on. */
static void test_any_number_may_stay(void **state)
{
    (void)state;
    static const shape some = {4, 64, 256, 512, OB_ACT_GELU, false};
    static const struct {
        size_t work_items;
        int32_t patience;
    } ways[] = {{1, 0}, {0, 1}, {3, 1}, {SIZE_MAX, 1}, {SIZE_MAX, 0}};
    if (!serves()) {
        print_message("SKIP: the device has no matrix tiles, or may run all work-groups on one unit\n");
        skip();
    }
    layer l = make_layer(&some, OB_GEMM_AUTO);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        ob_encoder_layer *whole = whole_of(&l, ways[i].work_items, ways[i].patience);
        for (size_t m = 1; m <= MAX_ROWS; m += 5)
            check_rows(&l, whole, m, NULL);
        ob_encoder_layer_destroy(whole);
    }
    free_layer(&l);
}

static void check_left(const shape *s, ob_gemm_provider provider)
{
    layer l = make_layer(s, provider);
    ob_encoder_layer *whole = whole_of(&l, 0, 0);
    assert_null(whole);
    assert_int_equal(ob_encoder_layer_max_rows(whole), 0);
    free_layer(&l);
}

static void test_other_operators_are_left_alone(void **state)
{
    (void)state;
    static const shape plain = {2, 32, 64, 96, OB_ACT_GELU, false}, small_heads = {2, 16, 32, 64, OB_ACT_GELU, false};
    check_left(&plain, OB_GEMM_REF);
    check_left(&small_heads, OB_GEMM_AUTO); /* attention has no tiles for them */
    if (!serves())
        check_left(&plain, OB_GEMM_AUTO);
}

/* A profile is about operators. */
static void test_profiles_are_of_operators(void **state)
{
    (void)state;
    static const shape plain = {2, 32, 64, 96, OB_ACT_GELU, false};
    ob_context_options options;
    ob_context *own = ctx, *profiled;
    ob_context_options_default(&options);
    options.profile = true;
    test_ok(ob_context_create(test_device(), &options, &profiled, &err), &err);
    ctx = profiled;
    check_left(&plain, OB_GEMM_AUTO);
    ctx = own;
    ob_context_destroy(profiled);
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_launch_gives_the_same_bits),
        cmocka_unit_test(test_any_number_may_stay),
        cmocka_unit_test(test_other_operators_are_left_alone),
        cmocka_unit_test(test_profiles_are_of_operators),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
