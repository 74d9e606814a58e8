/* Matrix product for CPU devices: one work-item holds a TILE_M x TILE_N tile of dst in vector registers.
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * weight is packed in panels of TILE_N columns, [ceil(n / TILE_N)][k][TILE_N], zeros beyond n; bias is padded alike. src
 * lies in row tiles (rows.clh), so a tile reads one stream of it: four columns of TILE_M rows, then the next four. For
 * each k a row of the panel is two vectors, multiplied with one broadcast element of each row of src: 2 TILE_M fma for 2
 * vector loads and TILE_M broadcasts. A task is rows_per_task rows of one panel, tile by tile, while src's rows
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

#ifdef TILED_DST
/* residual and dst lie in row tiles: a vector in memory is four columns of VEC_N / 4 rows, so the rows of a group trade
 * fours before they are added and stored, and whole cache lines are written. Columns come in fours here, rows in
 * whole tiles: what lies beyond n and m is there to be overwritten. */
#define FOURS(n)        (((uint)(n) + 3) / 4)
#define PLACE(i, j)     (((size_t)(row / TILE_M) * FOURS(n) + (uint)(j) / 4) * (4 * TILE_M) + (i) * 4)
#define PREFETCH_DST(i) PREFETCH_WRITE(dst + PLACE(0, column) + (i) * TILE_N) /* one stretch of TILE_M x TILE_N */      \
                        PREFETCH_WRITE(dst + PLACE(0, column) + (i) * TILE_N + TILE_N / 2)
#ifdef RESIDUAL
#define PUT(v, i, j)                                                                                                   \
    if ((j) < n)                                                                                                       \
        VSTOREN((v) + VLOADN(0, residual + PLACE(i, j)), 0, dst + PLACE(i, j));
#else
#define PUT(v, i, j)                                                                                                   \
    if ((j) < n)                                                                                                       \
        VSTOREN(v, 0, dst + PLACE(i, j));
#endif
#define EPILOGUE(i, h) ACTIVATE_N(c##i##h + bias##h)
#if VEC_N == 4
#define STORE_GROUP(i) PUT(EPILOGUE(i, 0), i, column) PUT(EPILOGUE(i, 1), i, column + 4)
#define GROUPS_8(X)    ROWS_8(X)
#define GROUPS_4(X)    ROWS_4(X)
#elif VEC_N == 8
#define STORE_HALF(i, i1, h)                                                                                           \
    {                                                                                                                  \
        const float8 y0 = EPILOGUE(i, h), y1 = EPILOGUE(i1, h);                                                        \
        PUT((float8)(y0.lo, y1.lo), i, column + h * 8)                                                                 \
        PUT((float8)(y0.hi, y1.hi), i, column + h * 8 + 4)                                                             \
    }
#define STORE_GROUP(i, i1) STORE_HALF(i, i1, 0) STORE_HALF(i, i1, 1)
#define GROUPS_2(X)        X(0, 1)
#define GROUPS_4(X)        X(0, 1) X(2, 3)
#define GROUPS_6(X)        GROUPS_4(X) X(4, 5)
#else
#define STORE_HALF(i, i1, i2, i3, h)                                                                                   \
    {                                                                                                                  \
        const float16 y0 = EPILOGUE(i, h), y1 = EPILOGUE(i1, h), y2 = EPILOGUE(i2, h), y3 = EPILOGUE(i3, h);           \
        PUT((float16)(y0.lo.lo, y1.lo.lo, y2.lo.lo, y3.lo.lo), i, column + h * 16)                                     \
        PUT((float16)(y0.lo.hi, y1.lo.hi, y2.lo.hi, y3.lo.hi), i, column + h * 16 + 4)                                 \
        PUT((float16)(y0.hi.lo, y1.hi.lo, y2.hi.lo, y3.hi.lo), i, column + h * 16 + 8)                                 \
        PUT((float16)(y0.hi.hi, y1.hi.hi, y2.hi.hi, y3.hi.hi), i, column + h * 16 + 12)                                \
    }
#define STORE_GROUP(i, i1, i2, i3) STORE_HALF(i, i1, i2, i3, 0) STORE_HALF(i, i1, i2, i3, 1)
#define GROUPS_4(X)                X(0, 1, 2, 3)
#define GROUPS_8(X)                GROUPS_4(X) X(4, 5, 6, 7)
#define GROUPS_12(X)               GROUPS_8(X) X(8, 9, 10, 11)
#endif
#define STORE(count) JOIN(GROUPS_, count)(STORE_GROUP)
#else
/* residual and dst are row-major, of exactly m rows and n columns. */
#define PLACE(i, j)     ((size_t)(row + (i)) * n + (j))
#define PREFETCH_DST(i) PREFETCH_WRITE(dst + PLACE(i, column)) PREFETCH_WRITE(dst + PLACE(i, column) + TILE_N / 2)

/* Stores one vector of a row; in the last panel only the columns below n. */
void store_vector(const FLOATN value, __global float *to, const int columns);
void store_vector(const FLOATN value, __global float *to, const int columns)
{
    if (columns >= VEC_N) {
        VSTOREN(value, 0, to);
        return;
    }
    float values[VEC_N];
    VSTOREN(value, 0, values);
    for (int j = 0; j < columns; j++)
        to[j] = values[j];
}

FLOATN load_vector(__global const float *from, const int columns);
FLOATN load_vector(__global const float *from, const int columns)
{
    if (columns >= VEC_N)
        return VLOADN(0, from);
    float values[VEC_N];
    for (int j = 0; j < VEC_N; j++)
        values[j] = from[min(j, columns - 1)];
    return VLOADN(0, values);
}

#ifdef RESIDUAL
#define ADD_RESIDUAL(x, i, j) ((x) + load_vector(residual + PLACE(i, j), n - (j)))
#else
#define ADD_RESIDUAL(x, i, j) (x)
#endif

#define STORE_ROW(i)                                                                                                   \
    if (row + i < m) {                                                                                                 \
        const FLOATN y0 = c##i##0 + bias0, y1 = c##i##1 + bias1;                                                       \
        store_vector(ADD_RESIDUAL(ACTIVATE_N(y0), i, column), dst + PLACE(i, column), n - column);                     \
        if (column + VEC_N < n)                                                                                        \
            store_vector(ADD_RESIDUAL(ACTIVATE_N(y1), i, column + VEC_N), dst + PLACE(i, column + VEC_N),              \
                         n - column - VEC_N);                                                                          \
    }
#define STORE(count) JOIN(ROWS_, count)(STORE_ROW)
#endif

#define DECLARE_ROW(i)                                                                                                 \
    FLOATN c##i##0 = (FLOATN)(0.0f), c##i##1 = (FLOATN)(0.0f);                                                         \
    PREFETCH_DST(i)

/* u: which of the four columns of src */
#define MULTIPLY_ROW_BY(i, u)                                                                                          \
    {                                                                                                                  \
        const FLOATN x = (FLOATN)(a[i * 4 + u]);                                                                       \
        c##i##0 = fma(x, b0, c##i##0);                                                                                 \
        c##i##1 = fma(x, b1, c##i##1);                                                                                 \
    }
#define MULTIPLY_ROW_0(i) MULTIPLY_ROW_BY(i, 0)
#define MULTIPLY_ROW_1(i) MULTIPLY_ROW_BY(i, 1)
#define MULTIPLY_ROW_2(i) MULTIPLY_ROW_BY(i, 2)
#define MULTIPLY_ROW_3(i) MULTIPLY_ROW_BY(i, 3)
#define MULTIPLY_ROW_U(i) MULTIPLY_ROW_BY(i, u)

#define MULTIPLY(rows, which)                                                                                          \
    {                                                                                                                  \
        PREFETCH_NEAR(w + AHEAD)                                                                                       \
        PREFETCH_NEAR(w + AHEAD + LINE)                                                                                \
        const FLOATN b0 = VLOADN(0, w), b1 = VLOADN(1, w);                                                             \
        w += TILE_N;                                                                                                   \
        JOIN(ROWS_, rows)(MULTIPLY_ROW_##which)                                                                        \
    }

/* Written out in fours: as a loop of four it is 4 % slower. */
#define TILE(rows)                                                                                                     \
    {                                                                                                                  \
        JOIN(ROWS_, rows)(DECLARE_ROW)                                                                                 \
        __global const float *w = panel_weight;                                                                        \
        __global const float *a = src + (size_t)(row / TILE_M) * fours * (4 * TILE_M);                                 \
        for (int t = 0; t < k / 4; t++) {                                                                              \
            for (int line = 0; line < lines; line++, next += LINE)                                                     \
                PREFETCH_FAR(next)                                                                                     \
            MULTIPLY(rows, 0)                                                                                          \
            MULTIPLY(rows, 1)                                                                                          \
            MULTIPLY(rows, 2)                                                                                          \
            MULTIPLY(rows, 3)                                                                                          \
            a += 4 * TILE_M;                                                                                           \
        }                                                                                                              \
        for (int u = 0; u < k % 4; u++)                                                                                \
            MULTIPLY(rows, U)                                                                                          \
        STORE(rows)                                                                                                    \
    }

/* Work-items take tasks (common/tasks.clh), each a panel and a group of rows_per_task rows, a multiple of TILE_M; those of
 * one group after those of the other. The next one is taken before this is computed, so that its panel can be fetched
 * meanwhile. Global range: any; with a work-item for each task none computes two. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
gemm__tile(__global const float *restrict src, __global const float *restrict weight,
           __global const float *restrict bias, __global const float *residual, __global float *dst, __global int *tasks,
           const int m, const int n, const int k, const int rows_per_task)
{
    const int panels = (n + TILE_N - 1) / TILE_N, all = (m + rows_per_task - 1) / rows_per_task * panels;
    const uint fours = ((uint)k + 3) / 4;
    int2 taken = take_tasks(tasks, all, panels, 1, panels);
    for (int task = taken.x, following; task < all; task = following) {
        following = (int)get_global_size(0) < all ? task + 1 : all;
        if (following == taken.y) {
            taken = take_tasks(tasks, all, panels, 1, panels);
            following = taken.x;
        }
        const int column = task % panels * TILE_N;
        const int begin = task / panels * rows_per_task, end = min(m, begin + rows_per_task);
        __global const float *panel_weight = weight + (size_t)(task % panels) * k * TILE_N;
        __global const float *next = weight + (size_t)(following % panels) * k * TILE_N;
        const int tiles = (end - begin + TILE_M - 1) / TILE_M;
        const int lines = following < all ? (LINES + tiles - 1) / tiles : 0;
        const FLOATN bias0 = VLOADN(0, bias + column), bias1 = VLOADN(1, bias + column);
        int row = begin;
        for (; row + TILE_M - ROWS_STEP < end; row += TILE_M)
            TILE(TILE_M)
#ifdef ROWS_MIDDLE
        if (row + ROWS_STEP < end)
            TILE(ROWS_MIDDLE)
        else
#endif
            if (row < end)
            TILE(ROWS_STEP)
    }
    end_tasks(tasks);
}
