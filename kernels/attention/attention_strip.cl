/* Attention for CPU devices: a work-item takes TILE_M queries of a head against all keys of their sequence.
 *
 * Keys are first turned into panels of TILE_N keys, [panel][head][HEAD_SIZE][TILE_N], zeros beyond the sequence's end, so
 * that scores are a register tile as in gemm_tile.cl. The strip of scores, TILE_M x keys, stays in local memory; softmax
 * is exact, in two passes over the strip; then the strip times the rows of V is a register tile again.
 *
 * Panels belong to one sequence, sums run over its keys in order: a row's bits depend on its own sequence alone. */

#ifndef HEAD_SIZE
#define HEAD_SIZE 64
#endif

/* panels (count, 2): first token, number of keys. Global range: (heads, count). */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention_keys__strip(__global const float *qkv, __global const int *panels, __global float *packed, const int heads)
{
    const int head = (int)get_global_id(0);
    const int panel = (int)get_global_id(1);
    const int first = panels[2 * panel], count = panels[2 * panel + 1];
    const int hidden = heads * HEAD_SIZE;
    __global const float *keys = qkv + (size_t)first * 3 * hidden + hidden + head * HEAD_SIZE;
    __global float *out = packed + ((size_t)panel * heads + head) * HEAD_SIZE * TILE_N;
    for (int j = 0; j < TILE_N; j++) {
        __global const float *key = keys + (size_t)min(j, count - 1) * 3 * hidden;
        for (int c = 0; c < HEAD_SIZE; c++)
            out[c * TILE_N + j] = j < count ? key[c] : 0.0f;
    }
}

#define DECLARE_QUERY(i) __global const float *q##i = queries + (size_t)min(i, rows - 1) * 3 * hidden;
#define DECLARE_MAXIMUM(i) FLOATN m##i = (FLOATN)(-INFINITY);
#define CLEAR_SUMS(i) FLOATN s##i##0 = (FLOATN)(0.0f), s##i##1 = (FLOATN)(0.0f);
#define MULTIPLY_QUERY(i)                                                                                              \
    {                                                                                                                  \
        const FLOATN x = (FLOATN)(q##i[c]);                                                                            \
        s##i##0 = fma(x, k0, s##i##0);                                                                                 \
        s##i##1 = fma(x, k1, s##i##1);                                                                                 \
    }
/* Keys beyond the end of the sequence get -infinity, whose exponential is 0. */
#define STORE_SCORES(i)                                                                                                \
    s##i##0 = select(fma(s##i##0, (FLOATN)(scale), drop0), (FLOATN)(-INFINITY), beyond0);                              \
    s##i##1 = select(fma(s##i##1, (FLOATN)(scale), drop1), (FLOATN)(-INFINITY), beyond1);                              \
    m##i = fmax(m##i, fmax(s##i##0, s##i##1));                                                                         \
    VSTOREN(s##i##0, 0, strip + i * width + j);                                                                        \
    VSTOREN(s##i##1, 1, strip + i * width + j);
#define SOFTMAX(i)                                                                                                     \
    {                                                                                                                  \
        const FLOATN maximum = (FLOATN)(MAX_N(m##i));                                                                  \
        FLOATN sums = (FLOATN)(0.0f);                                                                                  \
        for (int j = 0; j < width; j += VEC_N) {                                                                       \
            const FLOATN p = exp(VLOADN(0, strip + i * width + j) - maximum);                                          \
            sums += p;                                                                                                 \
            VSTOREN(p, 0, strip + i * width + j);                                                                      \
        }                                                                                                              \
        sum##i = SUM_N(sums);                                                                                          \
    }
#define MULTIPLY_VALUE(i)                                                                                              \
    {                                                                                                                  \
        const FLOATN p = (FLOATN)(strip[i * width + j]);                                                               \
        s##i##0 = fma(p, v0, s##i##0);                                                                                 \
        s##i##1 = fma(p, v1, s##i##1);                                                                                 \
    }
#define STORE_CONTEXT(i)                                                                                               \
    if (i < rows) {                                                                                                    \
        __global float *to = dst + ROW_AT(begin + first + i, head * HEAD_SIZE + c, hidden);                            \
        STORE_FOURS(s##i##0 / (FLOATN)(sum##i), to, 4 * ROW_TILE)                                                      \
        STORE_FOURS(s##i##1 / (FLOATN)(sum##i), to + VEC_N * ROW_TILE, 4 * ROW_TILE)                                   \
    }
#define DECLARE_SUM(i) float sum##i;

/* -FLT_MAX for keys that are dropped. Clamped, so that nothing beyond the sequence is read. */
FLOATN load_drop(__global const int *mask, const int j, const int length);
FLOATN load_drop(__global const int *mask, const int j, const int length)
{
    float drop[VEC_N];
    for (int l = 0; l < VEC_N; l++)
        drop[l] = mask[min(j + l, length - 1)] == 0 ? -FLT_MAX : 0.0f;
    return VLOADN(0, drop);
}

/* strips (count, 4): first token and length of the sequence, first query in it, first panel of its keys.
 * Local memory: TILE_M x the longest sequence rounded up to TILE_N. Global range: (heads, count). */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention__strip(__global const float *qkv, __global const float *packed, __global const int *strips,
                 __global const int *key_mask, const int masked, __global float *dst, __local float *strip,
                 const int heads, const float scale)
{
    const int head = (int)get_global_id(0);
    __global const int *task = strips + 4 * get_global_id(1);
    const int begin = task[0], length = task[1], first = task[2], panel = task[3];
    const int hidden = heads * HEAD_SIZE;
    const int rows = min(TILE_M, length - first);
    const int width = (length + TILE_N - 1) / TILE_N * TILE_N;
    __global const float *queries = qkv + (size_t)(begin + first) * 3 * hidden + head * HEAD_SIZE;
    ROWS(DECLARE_QUERY)
    ROWS(DECLARE_MAXIMUM)
    ROWS(DECLARE_SUM)
    for (int j = 0; j < width; j += TILE_N) {
        __global const float *keys = packed + ((size_t)(panel + j / TILE_N) * heads + head) * HEAD_SIZE * TILE_N;
        ROWS(CLEAR_SUMS)
        for (int c = 0; c < HEAD_SIZE; c++) {
            const FLOATN k0 = VLOADN(0, keys), k1 = VLOADN(1, keys);
            keys += TILE_N;
            ROWS(MULTIPLY_QUERY)
        }
        const INTN beyond0 = j + LANES >= length, beyond1 = j + VEC_N + LANES >= length;
        FLOATN drop0 = (FLOATN)(0.0f), drop1 = (FLOATN)(0.0f);
        if (masked != 0) {
            drop0 = load_drop(key_mask + begin, j, length);
            drop1 = load_drop(key_mask + begin, j + VEC_N, length);
        }
        ROWS(STORE_SCORES)
    }
    ROWS(SOFTMAX)
    __global const float *values = qkv + (size_t)begin * 3 * hidden + 2 * hidden + head * HEAD_SIZE;
    for (int c = 0; c < HEAD_SIZE; c += TILE_N) {
        __global const float *value = values + c;
        ROWS(CLEAR_SUMS)
        for (int j = 0; j < length; j++) {
            const FLOATN v0 = VLOADN(0, value), v1 = VLOADN(1, value);
            value += 3 * hidden;
            ROWS(MULTIPLY_VALUE)
        }
        ROWS(STORE_CONTEXT)
    }
}
