/* Attention for CPU devices: a work-item takes TILE_M queries of a head against all keys of their sequence.
 *
 * Keys are first turned into panels of TILE_N keys, [head][panel][HEAD_SIZE][TILE_N], so that scores are a register tile
 * as in gemm_tile.cl, and values are copied behind them, [head][HEAD_SIZE / TILE_N][panel][TILE_N][TILE_N]: a head's own
 * lie three hidden sizes apart, each on a page of its own, and this way both products read one stream. Both are zero beyond
 * the sequence's end. The queries and the strip of scores stay in local memory as row tiles (rows.clh). Softmax is exact,
 * in two passes over the strip.
 *
 * Panels belong to one sequence, sums run over its keys in order: a row's bits depend on its own sequence alone.
 *
 * CAUSAL: later keys are dropped, and panels behind the strip's last query are not read, unless the strip has a query
 * without any key, which sees all of the sequence alike (op_attention.h). CROSS: qkv of the strips holds queries alone, that
 * of the panels keys and values. */

/* Where panels stand among `panel_count` of each head. */
#define PANEL                        (TILE_N * HEAD_SIZE)
#define KEYS_AT(head, panel)         (((size_t)(head) * panel_count + (panel)) * PANEL)
#define VALUES_AT(head, part, panel)                                                                                   \
    ((size_t)heads * panel_count * PANEL +                                                                             \
     (((size_t)(head) * (HEAD_SIZE / TILE_N) + (part)) * panel_count + (panel)) * (TILE_N * TILE_N))

/* Column c of VEC_N keys, zeros beyond the sequence. */
#define KEY_x(i) key[i].x
#define KEY_y(i) key[i].y
#define KEY_z(i) key[i].z
#define KEY_w(i) key[i].w
#define PUT_KEYS(q, c)                                                                                                 \
    VSTOREN(select((FLOATN)(LIST(KEY_##q)), (FLOATN)(0.0f), beyond), 0, keys + (c) * TILE_N + j);

/* panels (count, 2): first token, number of keys. Global range: (heads, count). */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention_pack__strip(__global const float *qkv, __global const int *panels, __global float *packed, const int heads)
{
    const int head = (int)get_global_id(0), panel_count = (int)get_global_size(1);
    const int panel = (int)get_global_id(1);
    const int first = panels[2 * panel], count = panels[2 * panel + 1];
    const int hidden = heads * HEAD_SIZE;
    __global const float *tokens = qkv + first * KV_STEP + KEYS_FIRST + head * HEAD_SIZE;
    __global float *keys = packed + KEYS_AT(head, panel), *values = packed + VALUES_AT(head, 0, panel);
    const size_t part = (size_t)panel_count * (TILE_N * TILE_N);
    if (head + 1 < heads)
        for (int j = 0; j < count; j++) {
            fetch_head(tokens + j * KV_STEP + HEAD_SIZE);
            fetch_head(tokens + j * KV_STEP + HEAD_SIZE + hidden);
        }
    for (int j = 0; j < TILE_N; j += VEC_N) {
        const INTN beyond = j + LANES >= count;
        for (int c = 0; c < HEAD_SIZE; c += 4) {
            float4 key[VEC_N];
#pragma unroll
            for (int i = 0; i < VEC_N; i++)
                key[i] = vload4(0, tokens + min(j + i, count - 1) * KV_STEP + c);
            PUT_KEYS(x, c)
            PUT_KEYS(y, c + 1)
            PUT_KEYS(z, c + 2)
            PUT_KEYS(w, c + 3)
        }
    }
    for (int j = 0; j < TILE_N; j++)
        for (int c = 0; c < HEAD_SIZE; c += VEC_N) {
            const FLOATN value = j < count ? VLOADN(0, tokens + j * KV_STEP + hidden + c) : (FLOATN)(0.0f);
            VSTOREN(value, 0, values + c / TILE_N * part + j * TILE_N + c % TILE_N);
        }
}

#define CLEAR_SUMS(i) FLOATN s##i##0 = (FLOATN)(0.0f), s##i##1 = (FLOATN)(0.0f);
/* x: four columns of a row tile */
#define MULTIPLY(i)                                                                                                    \
    {                                                                                                                  \
        const FLOATN e = (FLOATN)(x[i * 4 + u]);                                                                       \
        s##i##0 = fma(e, v0, s##i##0);                                                                                 \
        s##i##1 = fma(e, v1, s##i##1);                                                                                 \
    }
#define AHEAD 512 /* floats of the panels between fetch and use: 16 rows */
#define MULTIPLY_FOUR                                                                                                  \
    _Pragma("unroll 1") for (int u = 0; u < 4; u++)                                                                    \
    {                                                                                                                  \
        PREFETCH_NEAR(y + AHEAD)                                                                                       \
        PREFETCH_NEAR(y + AHEAD + TILE_N / 2)                                                                          \
        const FLOATN v0 = VLOADN(0, y), v1 = VLOADN(1, y);                                                             \
        y += TILE_N;                                                                                                   \
        ROWS(MULTIPLY)                                                                                                 \
    }
/* The number to be added to the score of row i and a key of vector h. */
#ifdef CAUSAL
#define DROP(i, h) select(drop##h, (FLOATN)(-FLT_MAX), j + h * VEC_N + LANES > first + i)
#else
#define DROP(i, h) drop##h
#endif
/* Keys beyond the end of the sequence get -infinity, whose exponential is 0. */
#define SCALE_SCORES(i)                                                                                                \
    s##i##0 = select(fma(s##i##0, (FLOATN)(scale), DROP(i, 0)), (FLOATN)(-INFINITY), beyond0);                         \
    s##i##1 = select(fma(s##i##1, (FLOATN)(scale), DROP(i, 1)), (FLOATN)(-INFINITY), beyond1);
/* Rows of a group trade fours: the strip's column j / 4 is [TILE_M][4]. */
#define PUT(v, i, j) VSTOREN(v, 0, strip + (j) * TILE_M + (i) * 4);
#if VEC_N == 4
#define STORE_GROUP(i) PUT(s##i##0, i, j) PUT(s##i##1, i, j + 4)
#define GROUPS(X)      ROWS(X)
#elif VEC_N == 8
#define STORE_HALF(i, i1, h)                                                                                           \
    PUT((float8)(s##i##h.lo, s##i1##h.lo), i, j + h * 8) PUT((float8)(s##i##h.hi, s##i1##h.hi), i, j + h * 8 + 4)
#define STORE_GROUP(i, i1) STORE_HALF(i, i1, 0) STORE_HALF(i, i1, 1)
#define GROUPS(X)          X(0, 1) X(2, 3) X(4, 5)
#else
#define QUARTER(i, i1, i2, i3, h, q) (float16)(s##i##h.q, s##i1##h.q, s##i2##h.q, s##i3##h.q)
#define STORE_HALF(i, i1, i2, i3, h)                                                                                   \
    PUT(QUARTER(i, i1, i2, i3, h, lo.lo), i, j + h * 16)                                                               \
    PUT(QUARTER(i, i1, i2, i3, h, lo.hi), i, j + h * 16 + 4)                                                           \
    PUT(QUARTER(i, i1, i2, i3, h, hi.lo), i, j + h * 16 + 8)                                                           \
    PUT(QUARTER(i, i1, i2, i3, h, hi.hi), i, j + h * 16 + 12)
#define STORE_GROUP(i, i1, i2, i3) STORE_HALF(i, i1, i2, i3, 0) STORE_HALF(i, i1, i2, i3, 1)
#define GROUPS(X)                  X(0, 1, 2, 3) X(4, 5, 6, 7) X(8, 9, 10, 11)
#endif
#define STORE_CONTEXT(i)                                                                                               \
    if (i < rows) {                                                                                                    \
        __global float *to = dst + ROW_AT(begin + first + i, head * HEAD_SIZE + c, hidden);                            \
        STORE_FOURS(s##i##0 * (FLOATN)(inverse[i * 4]), to, 4 * ROW_TILE)                                              \
        STORE_FOURS(s##i##1 * (FLOATN)(inverse[i * 4]), to + VEC_N * ROW_TILE, 4 * ROW_TILE)                           \
    }

DEFINE_EXP(FLOATN, INTN)

/* Turns the strip of scores into exponentials, relative to each row's maximum; 1 / (their sum) goes to `inverse`
 * (TILE_M, 4), four times for each row. */
void softmax(__local float *strip, const int width, __local float *inverse);
void softmax(__local float *strip, const int width, __local float *inverse)
{
    FLOATN most[PARTS], sums[PARTS];
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        most[p] = (FLOATN)(-INFINITY);
        sums[p] = (FLOATN)(0.0f);
    }
    for (int q = 0; q < width / 4; q++)
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            most[p] = fmax(most[p], VLOADN(q * PARTS + p, strip));
#pragma unroll
    for (int p = 0; p < PARTS; p++)
        most[p] = MAX_FOURS(most[p]);
    for (int q = 0; q < width / 4; q++)
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            const FLOATN e = JOIN(exp_, FLOATN)(VLOADN(q * PARTS + p, strip) - most[p]);
            sums[p] += e;
            VSTOREN(e, q * PARTS + p, strip);
        }
#pragma unroll
    for (int p = 0; p < PARTS; p++)
        VSTOREN((FLOATN)(1.0f) / SUM_FOURS(sums[p]), p, inverse);
}

/* strips (count, FIELDS): READ_STRIP. Local memory: TILE_M x (the longest sequence rounded up to TILE_N, and HEAD_SIZE, and 4).
 * Global range: (count, heads), so that strips of one sequence and head, which share its panels, follow each other. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention__strip(__global const float *qkv, __global const float *packed, __global const int *strips,
                 __global const int *key_mask, const int masked, __global float *dst, __local float *local_memory,
                 const int heads, const int panel_count, const float scale)
{
    const int head = (int)get_global_id(1);
    __global const int *task = strips + FIELDS * get_global_id(0);
    const int hidden = heads * HEAD_SIZE;
    READ_STRIP(task, TILE_M)
    const int width = (seen + TILE_N - 1) / TILE_N * TILE_N;
    __local float *queries = local_memory, *inverse = queries + TILE_M * HEAD_SIZE, *strip = inverse + 4 * TILE_M;
    FETCH_NEXT_STRIP(task, TILE_M)
    for (int i = 0; i < TILE_M; i++) {
        __global const float *q = qkv + (begin + first + min(i, rows - 1)) * Q_STEP + head * HEAD_SIZE;
        for (int c = 0; c < HEAD_SIZE / 4; c++)
            vstore4(vload4(c, q), c * TILE_M + i, queries);
    }
    __global const float *y = packed + KEYS_AT(head, panel);
    for (int j = 0; j < width; j += TILE_N) {
        __local const float *x = queries;
        ROWS(CLEAR_SUMS)
        for (int c = 0; c < HEAD_SIZE / 4; c++) {
            MULTIPLY_FOUR
            x += 4 * TILE_M;
        }
        const INTN beyond0 = j + LANES >= keys, beyond1 = j + VEC_N + LANES >= keys;
        FLOATN drop0 = (FLOATN)(0.0f), drop1 = (FLOATN)(0.0f);
        if (masked != 0) {
            drop0 = load_drop(key_mask + key_begin, j, keys);
            drop1 = load_drop(key_mask + key_begin, j + VEC_N, keys);
        }
        ROWS(SCALE_SCORES)
        GROUPS(STORE_GROUP)
    }
    softmax(strip, width, inverse);
    for (int c = 0; c < HEAD_SIZE; c += TILE_N) {
        __local const float *x = strip;
        y = packed + VALUES_AT(head, c / TILE_N, panel);
        ROWS(CLEAR_SUMS)
        for (int j = 0; j < width; j += 4) {
            MULTIPLY_FOUR
            x += 4 * TILE_M;
        }
        ROWS(STORE_CONTEXT)
    }
}
