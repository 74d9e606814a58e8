/* See attention_cases.h. */
#include "attention_cases.h"

#include "reference.h"
#include "test_device.h"
#include "test_support.h"

#include <math.h>
#include <oberta/op_gemm.h>
#include <oberta/rows.h>

#define GUARD        64 /* floats behind dst and maps */
#define FIRST_FACTOR 5

const way ways[WAYS] = {{OB_ATTENTION_REF, 0, "ref"},
                        {OB_ATTENTION_STRIP, 0, "strip"},
                        {OB_ATTENTION_AMX, 0, "amx"},
                        {OB_ATTENTION_ONLINE, 8, "online of 8 queries"},
                        {OB_ATTENTION_ONLINE, 16, "online of 16 queries"},
                        {OB_ATTENTION_ONLINE, 32, "online of 32 queries"}};

size_t q_width(const attention_case *c)
{
    return c->heads * c->head_size * (c->kind == CASE_CROSS ? 1 : 3);
}

size_t kv_width(const attention_case *c)
{
    return c->heads * c->head_size * (c->kind == CASE_CROSS ? 2 : 3);
}

size_t map_elements(const attention_case *c)
{
    size_t sum = 0;
    for (size_t s = 0; s < c->sequences; s++)
        sum += c->heads * (size_t)(c->cu_seqlens[s + 1] - c->cu_seqlens[s]) *
               (size_t)(c->key_seqlens[s + 1] - c->key_seqlens[s]);
    return sum;
}

attention_case make_case(case_kind kind, size_t heads, size_t head_size, const int32_t *lengths,
                         const int32_t *key_lengths, size_t count)
{
    attention_case c = {.kind = kind, .heads = heads, .head_size = head_size, .sequences = count};
    for (size_t i = 0; i < count; i++) {
        c.cu_seqlens[i + 1] = c.cu_seqlens[i] + lengths[i];
        c.key_seqlens[i + 1] = c.key_seqlens[i] + (kind == CASE_CROSS ? key_lengths : lengths)[i];
    }
    c.tokens = (size_t)c.cu_seqlens[count];
    c.key_tokens = (size_t)c.key_seqlens[count];
    c.q = malloc(c.tokens * q_width(&c) * 4);
    fill_random(c.q, c.tokens * q_width(&c), 1.5f, head_size + c.tokens);
    if (kind == CASE_CROSS) {
        c.kv = malloc(c.key_tokens * kv_width(&c) * 4);
        fill_random(c.kv, c.key_tokens * kv_width(&c), 1.5f, head_size + c.key_tokens + 1);
    }
    c.dst = malloc(c.tokens * heads * head_size * 4);
    return c;
}

void free_case(attention_case *c)
{
    free(c->q);
    free(c->kv);
    free(c->mask);
    free(c->factors);
    free(c->dst);
    free(c->maps);
}

void mask_with_holes(attention_case *c)
{
    c->mask = realloc(c->mask, c->key_tokens * sizeof *c->mask);
    for (size_t t = 0; t < c->key_tokens; t++)
        c->mask[t] = t % 3 != 1;
    if (c->sequences > 2)
        for (int32_t t = c->key_seqlens[2]; t < c->key_seqlens[3]; t++)
            c->mask[t] = 0; /* a sequence with no key left: all count alike */
}

void mask_on_the_left(attention_case *c)
{
    c->mask = realloc(c->mask, c->key_tokens * sizeof *c->mask);
    for (size_t s = 0; s < c->sequences; s++)
        for (int32_t t = c->key_seqlens[s]; t < c->key_seqlens[s + 1]; t++)
            c->mask[t] = (size_t)(t - c->key_seqlens[s]) >= 1 + 4 * s;
}

bool slow_here(const attention_case *c, const way *how)
{
    size_t queries = c->head_size == 12 ? 32 : c->head_size == 64 ? 16 : c->head_size == 80 ? 8 : 0;
    if (!test_lane_is("rusticl") || how->variant != OB_ATTENTION_ONLINE)
        return false;
    return how->queries != queries || (c->kind != CASE_PLAIN && queries != 16);
}

static ob_buffer *upload(ob_context *ctx, const void *data, size_t bytes)
{
    static ob_error err;
    ob_buffer *buffer;
    ob_error_clear(&err);
    test_ok(ob_buffer_create(ctx, bytes, "test", &buffer, &err), &err);
    if (data != NULL)
        test_ok(ob_buffer_upload(buffer, 0, data, bytes, &err), &err);
    return buffer;
}

static ob_buffer *create_guarded(ob_context *ctx, size_t values)
{
    float *all = malloc((values + GUARD) * 4);
    for (size_t i = 0; i < values + GUARD; i++)
        all[i] = -12345.0f;
    ob_buffer *buffer = upload(ctx, all, (values + GUARD) * 4);
    free(all);
    return buffer;
}

static void download_guarded(ob_buffer *buffer, float *out, size_t values)
{
    static ob_error err;
    float behind[GUARD];
    ob_error_clear(&err);
    test_ok(ob_buffer_download(buffer, 0, out, values * 4, &err), &err);
    test_ok(ob_buffer_download(buffer, values * 4, behind, sizeof behind, &err), &err);
    for (size_t i = 0; i < GUARD; i++)
        if (behind[i] != -12345.0f)
            fail_msg("element %zu behind the end was written", i);
    ob_buffer_destroy(buffer);
}

static void enqueue(ob_context *ctx, const attention_case *c, ob_attention *op, ob_buffer *dst, ob_buffer *maps)
{
    static ob_error err;
    ob_buffer *workspace = NULL, *kv = NULL, *mask = NULL, *factors = NULL;
    ob_buffer *q = upload(ctx, c->q, c->tokens * q_width(c) * 4);
    ob_error_clear(&err);
    if (ob_attention_workspace_bytes(op) > 0)
        workspace = upload(ctx, NULL, ob_attention_workspace_bytes(op));
    if (c->mask != NULL)
        mask = upload(ctx, c->mask, c->key_tokens * 4);
    if (c->factors != NULL) {
        size_t count = c->sequences * c->heads;
        float *all = calloc(FIRST_FACTOR + count, 4);
        memcpy(all + FIRST_FACTOR, c->factors, count * 4);
        factors = upload(ctx, all, (FIRST_FACTOR + count) * 4);
        free(all);
    }
    if (c->kind == CASE_CROSS) {
        kv = upload(ctx, c->kv, c->key_tokens * kv_width(c) * 4);
        test_ok(ob_attention_plan_cross(op, c->cu_seqlens, c->key_seqlens, c->sequences, &err), &err);
        test_ok(ob_attention_enqueue_cross(op, q, kv, mask, workspace, dst, &err), &err);
    } else {
        test_ok(ob_attention_plan(op, c->cu_seqlens, c->sequences, &err), &err);
        test_ok(ob_attention_enqueue(op, q, mask, workspace, dst, &err), &err);
    }
    assert_int_equal(ob_attention_maps_elements(op), map_elements(c));
    if (factors != NULL)
        test_ok(ob_attention_enqueue_factors(op, factors, FIRST_FACTOR, dst, &err), &err);
    if (maps != NULL)
        test_ok(ob_attention_enqueue_maps(op, q, kv, mask, factors, FIRST_FACTOR, maps, &err), &err);
    test_ok(ob_context_finish(ctx, &err), &err);
    ob_buffer_destroy(q);
    ob_buffer_destroy(kv);
    ob_buffer_destroy(workspace);
    ob_buffer_destroy(mask);
    ob_buffer_destroy(factors);
}

bool run_case(ob_context *ctx, const attention_case *c, const way *how)
{
    static ob_error err;
    ob_error_clear(&err);
    /* Heads of whole vectors also where the next matrix product wants its rows in tiles. */
    bool tiled = how->variant != OB_ATTENTION_ONLINE && how->variant != OB_ATTENTION_AMX && c->head_size % 32 == 0;
    /* A device with matrix tiles wants its rows plain, yet has to know those of the others. */
    bool has_amx = (ob_context_device(ctx)->capabilities & OB_CAP_AMX) != 0;
    ob_attention_desc desc = {.heads = c->heads,
                              .head_size = c->head_size,
                              .max_sequence = c->tokens,
                              .max_tokens = c->tokens,
                              .max_sequences = c->sequences,
                              .row_tile = tiled ? ob_gemm_row_tile(ctx, has_amx ? OB_GEMM_TILE : OB_GEMM_AUTO) : 1,
                              .causal = c->kind == CASE_CAUSAL,
                              .max_cross_tokens = c->kind == CASE_CROSS ? c->key_tokens : 0,
                              .variant = how->variant,
                              .queries = how->queries};
    ob_attention *op;
    if (ob_attention_create(ctx, &desc, &op, &err) != OB_OK) {
        test_refused(err.status, OB_ERR_DEVICE, &err, "attention with");
        return false;
    }
    size_t hidden = c->heads * c->head_size, values = ob_rows_elements(c->tokens, hidden, desc.row_tile);
    ob_buffer *dst = create_guarded(ctx, values), *maps = NULL;
    if (c->maps != NULL)
        maps = create_guarded(ctx, map_elements(c));
    enqueue(ctx, c, op, dst, maps);
    float *rows = malloc(values * 4);
    download_guarded(dst, rows, values);
    from_row_tiles(c->dst, rows, c->tokens, hidden, desc.row_tile);
    free(rows);
    if (maps != NULL)
        download_guarded(maps, c->maps, map_elements(c));
    ob_attention_destroy(op);
    return true;
}

/* Row `i` of head `h` of sequence `s`: its vector of the context and its row of the map. */
static double check_row(const attention_case *c, const char *what, size_t s, size_t i, size_t h, const float *map)
{
    size_t first = (size_t)c->cu_seqlens[s], first_key = (size_t)c->key_seqlens[s];
    size_t keys = (size_t)c->key_seqlens[s + 1] - first_key, hidden = c->heads * c->head_size;
    const float *kv = c->kind == CASE_CROSS ? c->kv : c->q + hidden;
    const float *key = kv + first_key * kv_width(c) + h * c->head_size;
    double *weights = malloc(keys * sizeof *weights), *want = malloc(c->head_size * sizeof *want);
    reference_attention(c->q + (first + i) * q_width(c) + h * c->head_size, key, key + hidden, kv_width(c),
                        c->head_size, c->mask != NULL ? c->mask + first_key : NULL, keys,
                        c->kind == CASE_CAUSAL ? i + 1 : keys, weights, want);
    /* Values are averages of numbers below 1.5. A score's error is below 8 u sum |q k| / sqrt(d) <= 8 u 1.5^2 sqrt(d);
     * the exponential turns it into a relative error of each weight, twice since the sum has it too, and adds 4 ulp. */
    double relative = 2 * 8 * 0x1p-24 * 2.25 * sqrt((double)c->head_size) + 12 * 0x1p-24, worst = 0;
    double factor = c->factors != NULL ? (double)c->factors[s * c->heads + h] : 1;
    double bound = (1.5 * relative + 2e-7) * fabs(factor);
    for (size_t j = 0; j < c->head_size; j++) {
        double got = (double)c->dst[(first + i) * hidden + h * c->head_size + j], error = fabs(got - factor * want[j]);
        if (!(error <= bound))
            fail_msg("%s, kind %d: heads of %zu, sequence %zu, query %zu, head %zu, channel %zu: %.9g, expected %.9g",
                     what, (int)c->kind, c->head_size, s, i, h, j, got, factor * want[j]);
        worst = bound > 0 ? fmax(worst, error / bound) : worst;
    }
    for (size_t j = 0; map != NULL && j < keys; j++) {
        double got = (double)map[j], expected = factor * weights[j];
        if (!(fabs(got - expected) <= (relative + keys * 0x1p-24) * fabs(expected) + 1e-37))
            fail_msg(
                "%s, kind %d: heads of %zu, map of sequence %zu, head %zu, query %zu, key %zu: %.9g, expected %.9g",
                what, (int)c->kind, c->head_size, s, h, i, j, got, expected);
    }
    free(weights);
    free(want);
    return worst;
}

double check_case(const attention_case *c, const char *what)
{
    double worst = 0;
    size_t at = 0;
    for (size_t s = 0; s < c->sequences; s++) {
        size_t length = (size_t)(c->cu_seqlens[s + 1] - c->cu_seqlens[s]);
        size_t keys = (size_t)(c->key_seqlens[s + 1] - c->key_seqlens[s]);
        for (size_t h = 0; h < c->heads; h++)
            for (size_t i = 0; i < length; i++, at += keys)
                worst = fmax(worst, check_row(c, what, s, i, h, c->maps != NULL ? c->maps + at : NULL));
    }
    return worst;
}
