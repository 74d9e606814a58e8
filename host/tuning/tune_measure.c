/* Measures one shape: every candidate is built once, then raced for each class of m.
 *
 * A round runs every candidate after the other, the default first, so that what slows the machine slows all of them; a
 * candidate's gain is the median of its rounds' ratios to the default. Before its first race each has to be right. */
#include "tune_internal.h"

#include <math.h>
#include <oberta/clock.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/rows.h>
#include <oberta/tuning.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CANDIDATES 32
#define MIN_ROUNDS     3
#define MAX_ROUNDS     9
#define TURN_SECONDS   0.004 /* of one candidate in a round: clocks and launches count for little */
#define MAX_LAUNCHES   64    /* in a turn */
#define HOPELESS       4     /* times slower than the default: is not raced */
/* The largest result: the head runs in chunks of this size, and the encoder's products are smaller. */
#define MAX_RESULT_BYTES ((size_t)64 << 20)
/* Data repeat after these numbers of rows, which are no multiples of any block. */
#define WEIGHT_ROWS 509
#define SRC_ROWS    251
#define SAMPLE_ROWS 4
#define SAMPLE_COLS 48
#define SAMPLES     (SAMPLE_ROWS * SAMPLE_COLS)

typedef ob__tune_candidate candidate;

typedef struct shape {
    ob__tune_run *run;
    ob_tune_result *result;
    size_t n, k;
    size_t row_tile;                      /* how a model on this device lays src out; a candidate has to take it */
    candidate candidates[MAX_CANDIDATES]; /* the default first */
    size_t count;
    size_t steps, step;                               /* of progress */
    ob_gemm_weights *weights[OB_GEMM_PROVIDER_COUNT]; /* by provider */
    float *weight_rows, *bias, *src_rows;             /* (WEIGHT_ROWS, k), (n), (SRC_ROWS, k) */
    ob_buffer *src, *dst;                             /* of the class at work */
    size_t m;
    float first[OB_GEMM_PROVIDER_COUNT][SAMPLES]; /* what a provider gave first in this class */
    bool has_first[OB_GEMM_PROVIDER_COUNT];
} shape;

static const char *variant_name(const candidate *c)
{
    return c->variant == 0 ? OB_TUNING_AUTO : ob_gemm_variant_name(c->provider, (size_t)c->variant - 1);
}

static ob_status check_clock(ob__tune_run *run, ob_error *err)
{
    run->late = ob_clock_seconds() > run->deadline;
    return run->late ? ob_error_set(err, OB_ERR_INTERRUPTED, "time ran out") : OB_OK;
}

/* Tells the caller what begins now. */
static ob_status tick(shape *s, const candidate *c, ob_error *err)
{
    ob__tune_run *run = s->run;
    double done = (double)(run->shape_count - run->shapes_left) + (double)s->step++ / (double)s->steps;
    const ob_tune_progress progress = {.result = s->result,
                                       .m = s->m,
                                       .provider = ob_gemm_provider_name(c->provider),
                                       .variant = variant_name(c),
                                       .part = done / (double)run->shape_count,
                                       .seconds = ob_clock_seconds() - run->begin};
    if (run->progress != NULL && !run->progress(run->user, &progress))
        return ob_error_set(err, OB_ERR_INTERRUPTED, "interrupted");
    return check_clock(run, err);
}

/* Candidates */

static void add_candidate(shape *s, ob_gemm_provider provider, int variant)
{
    if (s->count < MAX_CANDIDATES)
        s->candidates[s->count++] = (candidate){.provider = provider, .variant = variant};
}

static bool is_wanted(const shape *s, ob_gemm_provider provider)
{
    const ob_tune_options *o = s->run->options;
    const ob_gemm_desc desc = {.n = s->n, .k = s->k, .row_tile = s->row_tile};
    const char *name = ob_gemm_provider_name(provider);
    for (size_t i = 0; i < o->provider_count; i++)
        if (strcmp(o->providers[i], name) == 0)
            return true;
    if (o->provider_count > 0)
        return false;
    const char *reason = ob_gemm_refusal(ob_context_device(s->run->ctx), &desc, provider);
    if (reason != NULL)
        ob_log(OB_LOG_INFO, "tune", "%zu x %zu: not %s: %s", s->n, s->k, name, reason);
    return reason == NULL;
}

/* The default is what serves without a table. */
static ob_status list_candidates(shape *s, ob_error *err)
{
    static const ob_gemm_provider providers[] = {OB_GEMM_AMX, OB_GEMM_TILE, OB_GEMM_BLOCK, OB_GEMM_CLBLAST,
                                                 OB_GEMM_REF};
    const ob_gemm_desc desc = {.n = s->n, .k = s->k, .row_tile = s->row_tile};
    ob_gemm *gemm;
    if (ob_gemm_create(s->run->ctx, &desc, &gemm, err) != OB_OK)
        return ob_error_status(err);
    ob_gemm_provider usual = ob_gemm_get_provider(gemm);
    ob_gemm_destroy(gemm);
    add_candidate(s, usual, 0);
    for (size_t i = 0; i < sizeof providers / sizeof *providers; i++) {
        if (!is_wanted(s, providers[i]))
            continue;
        if (providers[i] != usual)
            add_candidate(s, providers[i], 0);
        for (int v = 0; ob_gemm_variant_name(providers[i], (size_t)v) != NULL; v++)
            add_candidate(s, providers[i], v + 1);
    }
    s->steps = s->count * (1 + OB_TUNE_M_CLASSES);
    return OB_OK;
}

/* All rows come from a pool; their biases differ. */
static ob_status create_weights(shape *s, const ob_gemm *gemm, ob_gemm_weights **out, ob_error *err)
{
    size_t count = (s->n + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
    ob_gemm_part *parts = ob_calloc(count, sizeof *parts);
    if (parts == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a product of %zu x %zu", s->n, s->k);
    for (size_t i = 0; i < count; i++) {
        size_t at = i * WEIGHT_ROWS;
        parts[i] = (ob_gemm_part){s->weight_rows, s->bias + at, OB_DTYPE_F32, OB_DTYPE_F32,
                                  s->n - at < WEIGHT_ROWS ? s->n - at : WEIGHT_ROWS};
    }
    ob_status status = ob_gemm_weights_create(gemm, parts, count, out, err);
    ob_free(parts);
    return status;
}

/* A candidate that cannot be built on this device is no error, only no candidate. */
static ob_status build(shape *s, candidate *c, ob_error *err)
{
    const ob_gemm_desc desc = {
        .n = s->n, .k = s->k, .provider = c->provider, .row_tile = s->row_tile, .variant = c->variant};
    ob_gemm_weights **weights = &s->weights[c->provider];
    ob_status status = ob_gemm_create(s->run->ctx, &desc, &c->gemm, err);
    if (status == OB_OK && *weights == NULL)
        status = create_weights(s, c->gemm, weights, err);
    if (status == OB_OK || c == s->candidates || status == OB_ERR_OUT_OF_MEMORY)
        return status;
    ob_log(OB_LOG_INFO, "tune", "%zu x %zu: no %s %s: %s", s->n, s->k, ob_gemm_provider_name(c->provider),
           variant_name(c), err->text);
    ob_error_clear(err);
    c->dropped = true;
    return OB_OK;
}

/* Data */

static void fill(float *out, size_t count, float scale, uint64_t state)
{
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = ((float)(state >> 40) * 0x1p-23f - 1.0f) * scale;
    }
}

static ob_status make_data(shape *s, ob_error *err)
{
    s->weight_rows = ob_realloc_array(NULL, s->k * WEIGHT_ROWS, sizeof(float));
    s->src_rows = ob_realloc_array(NULL, s->k * SRC_ROWS, sizeof(float));
    s->bias = ob_realloc_array(NULL, s->n, sizeof(float));
    if (s->weight_rows == NULL || s->src_rows == NULL || s->bias == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a product of %zu x %zu", s->n, s->k);
    fill(s->weight_rows, s->k * WEIGHT_ROWS, 0.2f, 88172645463325252u);
    fill(s->src_rows, s->k * SRC_ROWS, 1.0f, 2685821657736338717u);
    fill(s->bias, s->n, 0.5f, 1181783497276652981u);
    return OB_OK;
}

/* The rows to measure in a class: in its middle, as factors go; 0 where models do not multiply so many. */
static size_t rows_of_class(size_t m_class, size_t n)
{
    static const size_t rows[OB_TUNE_M_CLASSES] = {8, 32, 128, 512, 4096};
    size_t most = MAX_RESULT_BYTES / (n * sizeof(float)), m = rows[m_class] < most ? rows[m_class] : most;
    return m_class > 0 && m <= ob_tuning_m_limit(m_class - 1) ? 0 : m;
}

/* Whole row tiles of src, from row `first` on, as rows.h has them; what is beyond its rows and columns is zero. */
static void lay_out(const shape *s, size_t first, size_t tiles, float *out)
{
    size_t rows = tiles * s->row_tile;
    memset(out, 0, ob_rows_elements(rows, s->k, s->row_tile) * sizeof *out);
    for (size_t r = 0; r < rows && first + r < s->m; r++) {
        const float *row = s->src_rows + (first + r) % SRC_ROWS * s->k;
        for (size_t c = 0; c < s->k; c++)
            out[ob_rows_at(r, c, s->k, s->row_tile)] = row[c];
    }
}

#define TILES_AT_ONCE 16

static ob_status upload_src(shape *s, ob_error *err)
{
    size_t tiles = (s->m + s->row_tile - 1) / s->row_tile, bytes;
    bytes = ob_rows_elements(s->row_tile, s->k, s->row_tile) * sizeof(float); /* of one */
    float *part = ob_realloc_array(NULL, TILES_AT_ONCE, bytes);
    if (part == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a product of %zu x %zu", s->n, s->k);
    ob_status status = OB_OK;
    for (size_t at = 0; status == OB_OK && at < tiles; at += TILES_AT_ONCE) {
        size_t count = tiles - at < TILES_AT_ONCE ? tiles - at : TILES_AT_ONCE;
        lay_out(s, at * s->row_tile, count, part);
        status = ob_buffer_upload(s->src, at * bytes, part, count * bytes, err);
    }
    ob_free(part);
    return status;
}

static ob_status open_class(shape *s, ob_error *err)
{
    size_t elements = ob_rows_elements(s->m, s->k, s->row_tile);
    memset(s->has_first, 0, sizeof s->has_first);
    if (ob_buffer_create(s->run->ctx, elements * sizeof(float), "src", &s->src, err) != OB_OK ||
        ob_buffer_create(s->run->ctx, s->m * s->n * sizeof(float), "dst", &s->dst, err) != OB_OK)
        return ob_error_status(err);
    return upload_src(s, err);
}

static void close_class(shape *s)
{
    ob_buffer_destroy(s->src);
    ob_buffer_destroy(s->dst);
    s->src = s->dst = NULL;
}

/* Right or wrong */

static size_t sample_row(const shape *s, size_t i)
{
    return i == 0 ? 0 : i == 1 ? s->m - 1 : i * 7919 % s->m;
}

static size_t sample_col(const shape *s, size_t i)
{
    return i == 0 ? 0 : i == 1 ? s->n - 1 : i * 104729 % s->n;
}

static ob_status read_samples(shape *s, float out[SAMPLES], ob_error *err)
{
    float *row = ob_realloc_array(NULL, s->n, sizeof *row);
    if (row == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu columns", s->n);
    ob_status status = OB_OK;
    for (size_t i = 0; i < SAMPLE_ROWS && status == OB_OK; i++) {
        status = ob_buffer_download(s->dst, sample_row(s, i) * s->n * sizeof(float), row, s->n * sizeof(float), err);
        for (size_t j = 0; j < SAMPLE_COLS && status == OB_OK; j++)
            out[i * SAMPLE_COLS + j] = row[sample_col(s, j)];
    }
    ob_free(row);
    return status;
}

/* op_gemm.h's bound, and a rounding for the bias. */
static bool sample_is_right(const shape *s, size_t row, size_t col, float value)
{
    const float *a = s->src_rows + row % SRC_ROWS * s->k, *b = s->weight_rows + col % WEIGHT_ROWS * s->k;
    double sum = 0, magnitude = 0, u = 0x1p-24;
    for (size_t i = 0; i < s->k; i++) {
        sum += (double)a[i] * (double)b[i];
        magnitude += fabs((double)a[i] * (double)b[i]);
    }
    double want = sum + (double)s->bias[col];
    return fabs((double)value - want) <= 8 * u * magnitude + 2 * u * fabs(want);
}

/* Right by the bound, and bit for bit what the provider's other variants give. */
static ob_status check(shape *s, const candidate *c, bool *right, ob_error *err)
{
    float values[SAMPLES], *first = s->first[c->provider];
    if (read_samples(s, values, err) != OB_OK)
        return ob_error_status(err);
    *right = true;
    for (size_t i = 0; i < SAMPLES && *right; i++)
        *right = sample_is_right(s, sample_row(s, i / SAMPLE_COLS), sample_col(s, i % SAMPLE_COLS), values[i]);
    if (!*right) {
        ob_log(OB_LOG_WARN, "tune", "%zu x %zu x %zu: %s %s is wrong on '%s'", s->m, s->n, s->k,
               ob_gemm_provider_name(c->provider), variant_name(c), ob_context_device(s->run->ctx)->name);
    } else if (!s->has_first[c->provider]) {
        memcpy(first, values, sizeof values);
        s->has_first[c->provider] = true;
    } else if (memcmp(first, values, sizeof values) != 0) {
        *right = false;
        ob_log(OB_LOG_WARN, "tune", "%zu x %zu x %zu: %s %s gives other bits than the variants before it", s->m, s->n,
               s->k, ob_gemm_provider_name(c->provider), variant_name(c));
    }
    return OB_OK;
}

/* Races */

/* Seconds of one product, the mean of `launches`. */
static ob_status time_turn(shape *s, const candidate *c, size_t launches, double *seconds, ob_error *err)
{
    double begin = ob_clock_seconds();
    for (size_t i = 0; i < launches; i++)
        if (ob_gemm_enqueue(c->gemm, s->weights[c->provider], s->src, s->m, NULL, s->dst, err) != OB_OK)
            return ob_error_status(err);
    ob_status status = ob_context_finish(s->run->ctx, err);
    *seconds = (ob_clock_seconds() - begin) / (double)launches;
    return status;
}

static size_t launches_for(double seconds)
{
    double launches = TURN_SECONDS / (seconds > 1e-9 ? seconds : 1e-9);
    return launches < 1 ? 1 : launches > MAX_LAUNCHES ? MAX_LAUNCHES : (size_t)launches;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

typedef struct race {
    size_t m_class;
    bool runs[MAX_CANDIDATES];
    double seconds[MAX_CANDIDATES][MAX_ROUNDS];
    size_t rounds;
} race;

/* The first runs: is it right, and is it worth a race? A first estimate is left in seconds[m_class]. A provider that is
 * far behind at few rows is not tried at many. */
static ob_status warm_up(shape *s, size_t index, race *r, ob_error *err)
{
    candidate *c = &s->candidates[index];
    double seconds;
    bool right;
    if (c->dropped) {
        s->step++;
        return OB_OK;
    }
    ob_status status = tick(s, c, err);
    if (status == OB_OK)
        status = time_turn(s, c, 1, &seconds, err);
    if (status == OB_OK)
        status = check(s, c, &right, err);
    if (status == OB_OK && right)
        status = time_turn(s, c, 1, &seconds, err);
    if (status == OB_ERR_DEVICE && index > 0) {
        ob_log(OB_LOG_INFO, "tune", "%s", err->text);
        ob_error_clear(err);
        c->dropped = true;
        return OB_OK;
    }
    if (status == OB_OK && !right) { /* once wrong, never trusted */
        memset(c->gain, 0, sizeof c->gain);
        c->dropped = true;
    }
    if (status != OB_OK || !right)
        return status;
    const double usual = index == 0 ? seconds : s->candidates[0].seconds[r->m_class];
    c->seconds[r->m_class] = seconds;
    r->runs[index] = seconds <= HOPELESS * usual;
    if (!r->runs[index]) {
        c->gain[r->m_class] = usual / seconds;
        c->dropped = c->variant == 0;
    }
    return OB_OK;
}

static ob_status run_round(shape *s, race *r, ob_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const candidate *c = &s->candidates[i];
        if (r->runs[i] && (tick(s, c, err) != OB_OK || time_turn(s, c, launches_for(c->seconds[r->m_class]),
                                                                 &r->seconds[i][r->rounds], err) != OB_OK))
            return ob_error_status(err);
        s->step -= r->runs[i]; /* steps count candidates, not rounds */
    }
    r->rounds++;
    return OB_OK;
}

static void judge(shape *s, race *r)
{
    for (size_t i = s->count; i-- > 0;) { /* the default, which the others look at, last */
        double ratios[MAX_ROUNDS];
        if (!r->runs[i])
            continue;
        for (size_t round = 0; round < r->rounds; round++)
            ratios[round] = r->seconds[0][round] / r->seconds[i][round];
        s->candidates[i].gain[r->m_class] = median(ratios, r->rounds);
        s->candidates[i].seconds[r->m_class] = median(r->seconds[i], r->rounds);
    }
}

/* Until this class has had its share of what time is left, within bounds. */
static ob_status measure_class(shape *s, size_t m_class, ob_error *err)
{
    ob__tune_run *run = s->run;
    size_t classes_left = run->shapes_left * OB_TUNE_M_CLASSES - m_class;
    double now = ob_clock_seconds(), until = now + (run->deadline - now) / (double)classes_left;
    race r = {.m_class = m_class};
    ob_status status = open_class(s, err);
    for (size_t i = 0; i < s->count && status == OB_OK; i++)
        status = warm_up(s, i, &r, err);
    while (status == OB_OK && r.rounds < MAX_ROUNDS && (r.rounds < MIN_ROUNDS || ob_clock_seconds() < until))
        status = run_round(s, &r, err);
    close_class(s);
    if (status == OB_OK && !r.runs[0])
        return ob_error_set(err, OB_ERR_DEVICE, "%s computes a wrong product of %zu x %zu x %zu on '%s'",
                            ob_gemm_provider_name(s->candidates[0].provider), s->m, s->n, s->k,
                            ob_context_device(run->ctx)->name);
    if (status == OB_OK)
        judge(s, &r);
    return status;
}

/* The result */

static void decide(shape *s)
{
    ob_tune_result *r = s->result;
    bool measured[OB_TUNE_M_CLASSES];
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++)
        measured[i] = r->classes[i].m > 0;
    ob_gemm_provider provider = ob__tune_choose_provider(s->candidates, s->count, measured);
    snprintf(r->default_provider, sizeof r->default_provider, "%s", ob_gemm_provider_name(s->candidates[0].provider));
    snprintf(r->provider, sizeof r->provider, "%s", ob_gemm_provider_name(provider));
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++) {
        const candidate *best = ob__tune_best_of(s->candidates, s->count, provider, i);
        snprintf(r->classes[i].variant, sizeof r->classes[i].variant, "%s",
                 best == NULL ? OB_TUNING_AUTO : variant_name(best));
        r->classes[i].gain = r->classes[i].gflops = r->classes[i].default_gflops = OB_TUNING_UNMEASURED;
        if (best == NULL)
            continue;
        double gflop = 2e-9 * (double)r->classes[i].m * (double)s->n * (double)s->k;
        r->classes[i].gain = best->gain[i];
        r->classes[i].gflops = gflop / best->seconds[i];
        r->classes[i].default_gflops = gflop / s->candidates[0].seconds[i];
    }
    r->state = OB_TUNE_MEASURED;
}

static ob_status measure(shape *s, ob_error *err)
{
    if (make_data(s, err) != OB_OK || list_candidates(s, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < s->count; i++)
        if (tick(s, &s->candidates[i], err) != OB_OK || build(s, &s->candidates[i], err) != OB_OK)
            return ob_error_status(err);
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++) {
        s->result->classes[i].m = s->m = rows_of_class(i, s->n);
        if (s->m > 0 && measure_class(s, i, err) != OB_OK)
            return ob_error_status(err);
    }
    decide(s);
    return OB_OK;
}

ob_status ob__tune_measure(ob__tune_run *run, ob_tune_result *result, ob_error *err)
{
    shape *s = ob_calloc(1, sizeof *s);
    if (s == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for tuning");
    s->run = run;
    s->result = result;
    s->n = result->shape.n;
    s->k = result->shape.k;
    s->row_tile = ob_gemm_row_tile(run->ctx, OB_GEMM_AUTO);
    ob_status status = measure(s, err);
    for (size_t i = 0; i < s->count; i++)
        ob_gemm_destroy(s->candidates[i].gemm);
    for (size_t i = 0; i < sizeof s->weights / sizeof *s->weights; i++)
        ob_gemm_weights_destroy(s->weights[i]);
    ob_free(s->weight_rows);
    ob_free(s->src_rows);
    ob_free(s->bias);
    ob_free(s);
    return status;
}
