/* Matrix product for CPU devices: one work-item holds a TILE_M x TILE_N tile of dst in vector registers.
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * weight is packed in panels of TILE_N columns, [ceil(n / TILE_N)][k][TILE_N], zeros beyond n; bias is padded alike. src
 * lies in row tiles (rows.clh), so a tile reads one stream of it: four columns of TILE_M rows, then the next four. For
 * each k a row of the panel is two vectors, multiplied with one broadcast element of each row of src: 2 TILE_M fma for 2
 * vector loads and TILE_M broadcasts. A work-item does `rows_per_item` rows of one panel, tile by tile, while src's rows
 * stay in the second-level cache for the neighbouring panels.
 *
 * What the hardware does not see coming is fetched ahead: the panel a few rows of k before it is used; the next panel, a
 * part with each tile, since it comes from memory or the third-level cache; dst before it is written. With weights that
 * are not in a cache this took 128 rows from 53 % of the peak to 85 % (two cores, AVX-512).
 *
 * Every element is one chain of fma over k in order: its bits depend neither on m nor on its place in the tile. The last
 * rows go through a lower tile; its rows beyond m are computed from what lies there and not stored.
 * TILE_M, VEC_N and TILE_N: common/tile.clh. */

#if ACTIVATION == ACT_GELU || ACTIVATION == ACT_GELU_10 || ACTIVATION == ACT_LAPLACE
#if VEC_N == 4
DEFINE_ERF(float4)
#elif VEC_N == 8
DEFINE_ERF(float8)
#else
DEFINE_ERF(float16)
#endif
#endif
#if VEC_N == 4
#define ACTIVATE_N(x) ACTIVATE(float4, x)
#elif VEC_N == 8
#define ACTIVATE_N(x) ACTIVATE(float8, x)
#else
#define ACTIVATE_N(x) ACTIVATE(float16, x)
#endif

#define LINE  16                              /* floats in a cache line */
#define AHEAD 1024                            /* floats of the panel between fetch and use: 32 rows of k */
#define LINES (4 * TILE_N / LINE > 0 ? 4 * TILE_N / LINE : 1) /* of the panel in four rows of k */

/* residual and dst: where row i of this tile has its column j, and how to step to the next four columns. */
#ifdef TILED_DST
#define FOURS(n)       (((uint)(n) + 3) / 4)
#define PLACE(i, j, n) (((size_t)(row / TILE_M) * FOURS(n) + (uint)(j) / 4) * (4 * TILE_M) + (i) * 4)
#define NEXT_FOUR      (4 * TILE_M)
#define PREFETCH_DST(i) PREFETCH_WRITE(dst + PLACE(0, column, n) + (i) * TILE_N) /* one stretch of TILE_M x TILE_N */ \
                        PREFETCH_WRITE(dst + PLACE(0, column, n) + (i) * TILE_N + TILE_N / 2)
#else
#define PLACE(i, j, n) ((size_t)(row + (i)) * (n) + (j))
#define NEXT_FOUR      4
#define PREFETCH_DST(i) PREFETCH_WRITE(dst + PLACE(i, column, n)) PREFETCH_WRITE(dst + PLACE(i, column, n) + TILE_N / 2)
#endif

/* Stores one vector of a row; in the last panel only the columns below n. */
void store_vector(const FLOATN value, __global float *to, const int columns);
void store_vector(const FLOATN value, __global float *to, const int columns)
{
    if (columns >= VEC_N) {
#ifdef TILED_DST
        STORE_FOURS(value, to, NEXT_FOUR)
#else
        VSTOREN(value, 0, to);
#endif
        return;
    }
    float values[VEC_N];
    VSTOREN(value, 0, values);
    for (int j = 0; j < columns; j++)
        to[j / 4 * NEXT_FOUR + j % 4] = values[j];
}

FLOATN load_vector(__global const float *from, const int columns);
FLOATN load_vector(__global const float *from, const int columns)
{
#ifdef TILED_DST
    if (columns >= VEC_N)
        return LOAD_FOURS(from, NEXT_FOUR);
#else
    if (columns >= VEC_N)
        return VLOADN(0, from);
#endif
    float values[VEC_N];
    for (int j = 0; j < VEC_N; j++) {
        const int c = min(j, columns - 1);
        values[j] = from[c / 4 * NEXT_FOUR + c % 4];
    }
    return VLOADN(0, values);
}

#ifdef RESIDUAL
#define ADD_RESIDUAL(x, i, j) ((x) + load_vector(residual + PLACE(i, j, n), n - (j)))
#else
#define ADD_RESIDUAL(x, i, j) (x)
#endif

#define DECLARE_ROW(i)                                                                                                 \
    FLOATN c##i##0 = (FLOATN)(0.0f), c##i##1 = (FLOATN)(0.0f);                                                         \
    PREFETCH_DST(i)

#define MULTIPLY_ROW(i)                                                                                                \
    {                                                                                                                  \
        const FLOATN x = (FLOATN)(a[i * 4 + u]);                                                                       \
        c##i##0 = fma(x, b0, c##i##0);                                                                                 \
        c##i##1 = fma(x, b1, c##i##1);                                                                                 \
    }

#define STORE_ROW(i)                                                                                                   \
    if (row + i < m) {                                                                                                 \
        const FLOATN y0 = c##i##0 + bias0, y1 = c##i##1 + bias1;                                                       \
        store_vector(ADD_RESIDUAL(ACTIVATE_N(y0), i, column), dst + PLACE(i, column, n), n - column);                  \
        if (column + VEC_N < n)                                                                                        \
            store_vector(ADD_RESIDUAL(ACTIVATE_N(y1), i, column + VEC_N), dst + PLACE(i, column + VEC_N, n),           \
                         n - column - VEC_N);                                                                          \
    }

#define MULTIPLY_FOUR(ROWS, count)                                                                                     \
    _Pragma("unroll 1") for (int u = 0; u < (count); u++)                                                              \
    {                                                                                                                  \
        PREFETCH_NEAR(w + AHEAD)                                                                                       \
        PREFETCH_NEAR(w + AHEAD + LINE)                                                                                \
        const FLOATN b0 = VLOADN(0, w), b1 = VLOADN(1, w);                                                             \
        w += TILE_N;                                                                                                   \
        ROWS(MULTIPLY_ROW)                                                                                             \
    }

#define TILE(ROWS)                                                                                                     \
    {                                                                                                                  \
        ROWS(DECLARE_ROW)                                                                                              \
        __global const float *w = panel_weight;                                                                        \
        __global const float *a = src + (size_t)(row / TILE_M) * fours * (4 * TILE_M);                                 \
        for (int t = 0; t < k / 4; t++) {                                                                              \
            for (int line = 0; line < lines; line++, next += LINE)                                                     \
                PREFETCH_FAR(next)                                                                                     \
            MULTIPLY_FOUR(ROWS, 4)                                                                                     \
            a += 4 * TILE_M;                                                                                           \
        }                                                                                                              \
        MULTIPLY_FOUR(ROWS, k % 4)                                                                                     \
        ROWS(STORE_ROW)                                                                                                \
    }

/* Global range: (panels, ceil(m / rows_per_item)). rows_per_item is a multiple of TILE_M. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
gemm__tile(__global const float *restrict src, __global const float *restrict weight,
           __global const float *restrict bias, __global const float *residual, __global float *dst, const int m,
           const int n, const int k, const int rows_per_item)
{
    const int panel = (int)get_global_id(0);
    const int column = panel * TILE_N;
    const int begin = (int)get_global_id(1) * rows_per_item;
    const int end = min(m, begin + rows_per_item);
    const uint fours = ((uint)k + 3) / 4;
    __global const float *panel_weight = weight + (size_t)panel * k * TILE_N;
    __global const float *next = panel_weight + (size_t)k * TILE_N;
    const int tiles = (end - begin + TILE_M - 1) / TILE_M;
    const int lines = column + TILE_N < n ? (LINES + tiles - 1) / tiles : 0;
    const FLOATN bias0 = VLOADN(0, bias + column), bias1 = VLOADN(1, bias + column);
    int row = begin;
    for (; row + TILE_M - ROWS_STEP < end; row += TILE_M)
        TILE(ROWS)
#if TILE_M == 12
    if (row + 4 < end)
        TILE(ROWS_8)
    else
#endif
    if (row < end)
        TILE(ROWS_PART)
}
