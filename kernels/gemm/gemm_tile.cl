/* Matrix product for CPU devices: one work-item holds a TILE_M x TILE_N tile of dst in vector registers.
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * weight is packed in panels of TILE_N columns, [ceil(n / TILE_N)][k][TILE_N], zeros beyond n; bias is padded alike.
 * For each k a row of the panel is two vectors, multiplied with one broadcast element of each of TILE_M rows of src:
 * 2 TILE_M fma for 2 vector loads and TILE_M broadcasts. A work-item does `rows_per_item` rows of one panel, tile by tile,
 * while src's rows stay in the cache for the neighbouring panels.
 *
 * Every element is one chain of fma over k in order: its bits depend neither on m nor on its place in the tile. Tiles at
 * the lower edge compute their last row again instead of reading beyond it, and store only what exists.
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

/* Stores one vector of a row; in the last panel only the columns below n. */
void store_vector(const FLOATN value, __global float *row, const int column, const int n);
void store_vector(const FLOATN value, __global float *row, const int column, const int n)
{
    if (column + VEC_N <= n) {
        VSTOREN(value, 0, row + column);
        return;
    }
    float values[VEC_N];
    VSTOREN(value, 0, values);
    for (int j = 0; j < VEC_N && column + j < n; j++)
        row[column + j] = values[j];
}

FLOATN load_vector(__global const float *row, const int column, const int n);
FLOATN load_vector(__global const float *row, const int column, const int n)
{
    if (column + VEC_N <= n)
        return VLOADN(0, row + column);
    float values[VEC_N];
    for (int j = 0; j < VEC_N; j++)
        values[j] = row[min(column + j, n - 1)];
    return VLOADN(0, values);
}

#ifdef RESIDUAL
#define ADD_RESIDUAL(x, i, column) ((x) + load_vector(residual + (size_t)(row + i) * n, column, n))
#else
#define ADD_RESIDUAL(x, i, column) (x)
#endif

#define DECLARE_ROW(i)                                                                                                 \
    FLOATN c##i##0 = (FLOATN)(0.0f), c##i##1 = (FLOATN)(0.0f);                                                         \
    __global const float *a##i = src + (size_t)min(row + i, m - 1) * k;

#define MULTIPLY_ROW(i)                                                                                                \
    {                                                                                                                  \
        const FLOATN x = (FLOATN)(a##i[t]);                                                                            \
        c##i##0 = fma(x, b0, c##i##0);                                                                                 \
        c##i##1 = fma(x, b1, c##i##1);                                                                                 \
    }

#define STORE_ROW(i)                                                                                                   \
    if (row + i < m) {                                                                                                 \
        __global float *out = dst + (size_t)(row + i) * n;                                                             \
        const FLOATN y0 = c##i##0 + bias0, y1 = c##i##1 + bias1;                                                       \
        store_vector(ADD_RESIDUAL(ACTIVATE_N(y0), i, column), out, column, n);                                         \
        if (column + VEC_N < n)                                                                                        \
            store_vector(ADD_RESIDUAL(ACTIVATE_N(y1), i, column + VEC_N), out, column + VEC_N, n);                     \
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
    __global const float *panel_weight = weight + (size_t)panel * k * TILE_N;
    const FLOATN bias0 = VLOADN(0, bias + column), bias1 = VLOADN(1, bias + column);
    for (int row = begin; row < end; row += TILE_M) {
        ROWS(DECLARE_ROW)
        __global const float *w = panel_weight;
        for (int t = 0; t < k; t++) {
            const FLOATN b0 = VLOADN(0, w), b1 = VLOADN(1, w);
            w += TILE_N;
            ROWS(MULTIPLY_ROW)
        }
        ROWS(STORE_ROW)
    }
}
