/* Packs weights into a provider's layout, straight into the device's memory.
 *
 * Rows are converted a stretch of k at a time into a block that stays in the first-level cache, and go from there to
 * their panel: file and device memory are each touched once, in long runs. */
#include "gemm_internal.h"

#include <oberta/memory.h>
#include <oberta/parallel.h>
#include <string.h>

#define MAX_BLOCK 32
#define STRETCH   64 /* of k: MAX_BLOCK * STRETCH floats are 8 KiB */
#define RUN_ROWS  64 /* that a thread packs at a time */

typedef struct source {
    const ob_gemm_part *parts;
    size_t count;
    size_t k;
} source;

/* Converts elements [at, at + count) of row `row` of the stacked parts. */
static void read_row(const source *s, size_t row, size_t at, size_t count, float *out)
{
    size_t part = 0;
    while (row >= s->parts[part].rows)
        row -= s->parts[part++].rows;
    const ob_gemm_part *p = &s->parts[part];
    size_t bytes = ob_dtype_bytes(p->weight_dtype);
    ob_convert_to_f32(out, (const char *)p->weight + (row * s->k + at) * bytes, p->weight_dtype, count);
}

/* out[t][j] = block[j][t]; `width` is the layout's block. The inner loops have fixed lengths for the compiler's sake.
 */
static void transpose(const float (*restrict block)[STRETCH], size_t count, size_t width, float *restrict out)
{
    if (width == 16 && count == STRETCH)
        for (size_t t = 0; t < STRETCH; t++)
            for (size_t j = 0; j < 16; j++)
                out[t * 16 + j] = block[j][t];
    else if (width == 32 && count == STRETCH)
        for (size_t t = 0; t < STRETCH; t++)
            for (size_t j = 0; j < 32; j++)
                out[t * 32 + j] = block[j][t];
    else
        for (size_t t = 0; t < count; t++)
            for (size_t j = 0; j < width; j++)
                out[t * width + j] = block[j][t];
}

/* Where packed elements go: the device's memory as the host sees it, of float or of half. */
typedef struct sink {
    void *data;
    bool half;
} sink;

static void put(const sink *out, size_t at, const float *values, size_t count)
{
    if (out->half)
        ob_convert_to_f16((uint16_t *)out->data + at, values, count);
    else
        memcpy((float *)out->data + at, values, count * sizeof *values);
}

/* `at` is the panel's place in `out`. */
static void pack_panel(const source *s, size_t first_row, size_t rows, size_t width, const sink *out, size_t at)
{
    float block[MAX_BLOCK][STRETCH], turned[STRETCH * MAX_BLOCK];
    memset(block, 0, sizeof block); /* rows beyond n are zeros */
    for (size_t t = 0; t < s->k; t += STRETCH) {
        size_t count = s->k - t < STRETCH ? s->k - t : STRETCH;
        for (size_t j = 0; j < rows; j++)
            read_row(s, first_row + j, t, count, block[j]);
        float *to = out->half ? turned : (float *)out->data + at + t * width;
        transpose((const float(*)[STRETCH])block, count, width, to);
        if (out->half)
            put(out, at + t * width, turned, count * width);
    }
}

static void pack_rows(const source *s, size_t first, size_t count, const sink *out)
{
    float stretch[STRETCH];
    for (size_t row = first; row < first + count; row++)
        for (size_t t = 0; t < s->k; t += STRETCH) {
            size_t length = s->k - t < STRETCH ? s->k - t : STRETCH;
            read_row(s, row, t, length, stretch);
            put(out, row * s->k + t, stretch, length);
        }
}

/* One packing, in runs of whole panels that threads take one after the other. */
typedef struct packing {
    const source *source;
    size_t n, width, run; /* run: rows, a multiple of width */
    const sink *out;
} packing;

static void pack_run(void *user, size_t thread, size_t index)
{
    (void)thread;
    const packing *p = user;
    size_t begin = index * p->run, end = p->n - begin < p->run ? p->n : begin + p->run;
    if (p->width == 1)
        pack_rows(p->source, begin, end - begin, p->out);
    else
        for (size_t row = begin; row < end; row += p->width)
            pack_panel(p->source, row, end - row < p->width ? end - row : p->width, p->width, p->out,
                       row * p->source->k);
}

static void pack(const source *s, size_t n, size_t width, const sink *out, ob_parallel *threads)
{
    packing p = {s, n, width, width * (RUN_ROWS / width > 0 ? RUN_ROWS / width : 1), out};
    ob_parallel_for(threads, (n + p.run - 1) / p.run, pack_run, &p);
}

static void pack_bias(const source *s, size_t padded, float *out)
{
    size_t at = 0;
    for (size_t i = 0; i < s->count; at += s->parts[i].rows, i++)
        if (s->parts[i].bias != NULL)
            ob_convert_to_f32(out + at, s->parts[i].bias, s->parts[i].bias_dtype, s->parts[i].rows);
        else
            memset(out + at, 0, s->parts[i].rows * sizeof *out);
    memset(out + at, 0, (padded - at) * sizeof *out);
}

static ob_status fill(ob_gemm_weights *w, const source *s, size_t padded, ob_parallel *threads, ob_error *err)
{
    void *mapped;
    if (ob_buffer_map_write(w->weight, &mapped, err) != OB_OK)
        return ob_error_status(err);
    const sink out = {mapped, w->half};
    pack(s, w->n, w->block, &out, threads);
    if (ob_buffer_unmap(w->weight, mapped, err) != OB_OK || ob_buffer_map_write(w->bias, &mapped, err) != OB_OK)
        return ob_error_status(err);
    pack_bias(s, padded, mapped);
    return ob_buffer_unmap(w->bias, mapped, err);
}

ob_status ob_gemm_weights_create(const ob_gemm *gemm, const ob_gemm_part *parts, size_t part_count,
                                 ob_gemm_weights **out, ob_error *err)
{
    size_t n = gemm->desc.n, k = gemm->desc.k, rows = 0, padded, bytes;
    for (size_t i = 0; i < part_count; i++)
        rows += parts[i].rows;
    if (rows != n || !ob_size_align(n, gemm->block, &padded) || !ob_size_mul(padded, k, &bytes) ||
        !ob_size_mul(bytes, gemm->desc.half_weights ? sizeof(uint16_t) : sizeof(float), &bytes))
        return ob_error_set(err, OB_ERR_INTERNAL, "%zu rows of weights for a matrix product of %zu x %zu", rows, n, k);
    ob_gemm_weights *w = ob_calloc(1, sizeof *w);
    if (w == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for weights");
    *w = (ob_gemm_weights){.n = n, .k = k, .block = gemm->block, .half = gemm->desc.half_weights};
    const source s = {parts, part_count, k};
    if (ob_buffer_create(gemm->ctx, bytes, "weight", &w->weight, err) != OB_OK ||
        ob_buffer_create(gemm->ctx, padded * sizeof(float), "bias", &w->bias, err) != OB_OK ||
        fill(w, &s, padded, ob_context_parallel(gemm->ctx), err) != OB_OK) {
        ob_gemm_weights_destroy(w);
        return ob_error_status(err);
    }
    *out = w;
    return OB_OK;
}

void ob_gemm_weights_destroy(ob_gemm_weights *weights)
{
    if (weights == NULL)
        return;
    ob_buffer_destroy(weights->weight);
    ob_buffer_destroy(weights->bias);
    ob_free(weights);
}

const ob_buffer *ob_gemm_weights_buffer(const ob_gemm_weights *weights)
{
    return weights->weight;
}

size_t ob_gemm_weights_block(const ob_gemm_weights *weights)
{
    return weights->block;
}
