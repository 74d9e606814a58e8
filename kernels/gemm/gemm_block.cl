/* Matrix product for GPUs: a work-group holds a BLOCK_M x BLOCK_N block of dst in the registers of its work-items.
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * weight is packed in panels of PANEL columns, [ceil(n / PANEL)][k][PANEL], zeros beyond n; bias is padded alike. The
 * work-group walks k in steps of BLOCK_K: each step's part of src, turned to [BLOCK_K][BLOCK_M], and of weight,
 * [BLOCK_K][BLOCK_N], stand in local memory, while the next step's are on their way from global memory to registers.
 *
 *                 BLOCK_N                      a work-item's columns (ITEM_N = 8):   4 x .. 4 x + 3
 *              +-----+-----+                                          BLOCK_N / 2 +  4 x .. 4 x + 3
 *      BLOCK_K |     |     |  weight           and its rows likewise, so that neighbours read neighbouring
 *              +-----+-----+                   vectors of local memory: no two of them from the same bank.
 *     +---+    +-----+-----+
 *     |   |    |  xx |  xx |
 *     +---+    +-----+-----+  dst
 *     |   |    |  xx |  xx |
 *     +---+    +-----+-----+
 *      src^T
 *
 * Every element is one chain of fma over k in order, zeros beyond k: its bits depend neither on the variant nor on m. Rows
 * beyond m and panels beyond n are read from the last one and never stored. No load stands behind a branch, so a step is
 * one straight run of instructions.
 *
 * BLOCK_M, BLOCK_N, BLOCK_K   the block                     ITEMS_M, ITEMS_N   work-items along m and n
 * K_WHOLE                     k is a multiple of BLOCK_K: rows of src are read as aligned vectors, without a test
 * N_FOURS                     n is a multiple of 4: rows of dst and residual are aligned vectors
 * STORAGE_HALF                weight is half (common/storage.clh) */

#ifndef BLOCK_M
#define BLOCK_M 64
#define BLOCK_N 64
#define BLOCK_K 16
#define ITEMS_M 16
#define ITEMS_N 16
#endif
#define PANEL    32 /* gemm_block.h knows it too */
#define ITEM_M   (BLOCK_M / ITEMS_M)
#define ITEM_N   (BLOCK_N / ITEMS_N)
#define ITEMS    (ITEMS_M * ITEMS_N)
#define A_STRIDE (BLOCK_M + 4) /* four lanes that write a transposed vector meet four banks */
#define A_ROWS   (ITEMS * 4 / BLOCK_K) /* rows of src, and of weight, that one load of all work-items brings */
#define B_ROWS   (ITEMS * 4 / BLOCK_N)
#define A_LOADS  (BLOCK_M / A_ROWS)
#define B_LOADS  (BLOCK_K / B_ROWS)

/* What a work-item loads and sums are variables of their own: an array may end in memory. */
#define REPEAT_1(X) X(0)
#define REPEAT_2(X) X(0) X(1)
#define REPEAT_4(X) REPEAT_2(X) X(2) X(3)
#define REPEAT_8(X) REPEAT_4(X) X(4) X(5) X(6) X(7)
#if A_LOADS == 1
#define EACH_A(X) REPEAT_1(X)
#elif A_LOADS == 2
#define EACH_A(X) REPEAT_2(X)
#elif A_LOADS == 4
#define EACH_A(X) REPEAT_4(X)
#elif A_LOADS == 8
#define EACH_A(X) REPEAT_8(X)
#else
#error "BLOCK_M x BLOCK_K is not 1, 2, 4 or 8 loads"
#endif
#if B_LOADS == 1
#define EACH_B(X) REPEAT_1(X)
#elif B_LOADS == 2
#define EACH_B(X) REPEAT_2(X)
#elif B_LOADS == 4
#define EACH_B(X) REPEAT_4(X)
#elif B_LOADS == 8
#define EACH_B(X) REPEAT_8(X)
#else
#error "BLOCK_K x BLOCK_N is not 1, 2, 4 or 8 loads"
#endif

/* X(row of the item, its element of the column of src) */
#if ITEM_M == 8
#define EACH_ROW(X)                                                                                                    \
    X(0, a0.s0) X(1, a0.s1) X(2, a0.s2) X(3, a0.s3) X(4, a1.s0) X(5, a1.s1) X(6, a1.s2) X(7, a1.s3)
#elif ITEM_M == 4
#define EACH_ROW(X) X(0, a0.s0) X(1, a0.s1) X(2, a0.s2) X(3, a0.s3)
#else
#error "BLOCK_M / ITEMS_M is neither 4 nor 8"
#endif
#if ITEM_N == 8
#define IF_WIDE(X) X
#elif ITEM_N == 4
#define IF_WIDE(X)
#else
#error "BLOCK_N / ITEMS_N is neither 4 nor 8"
#endif

#if ACTIVATION == ACT_GELU || ACTIVATION == ACT_GELU_10 || ACTIVATION == ACT_LAPLACE
DEFINE_ERF(float4)
#endif

/* What a load reads: a pointer that all work-items share, moved by steps, and an offset of the work-item's own, so that
 * only the latter takes registers. Where k is whole in steps, nothing but the fetch behind the last step begins beyond k;
 * it gets the last step's elements again, unused. */

/* Four elements of a row of src from t + first on, zeros beyond k. `row` is the row's place. */
static float4 load_src(__global const float *src, const int row, const int t, const int first, const int k)
{
#ifdef K_WHOLE
    return *(__global const float4 *)(src + min(t, k - BLOCK_K) + (row + first));
#else
    const int at = t + first, last = k - 1;
    src += row;
    return (float4)(at < k ? src[min(at, last)] : 0.0f, at + 1 < k ? src[min(at + 1, last)] : 0.0f,
                    at + 2 < k ? src[min(at + 2, last)] : 0.0f, at + 3 < k ? src[min(at + 3, last)] : 0.0f);
#endif
}

/* Four columns of row t + first of a panel, zeros beyond k; halves stay as they are until they go to local memory. */
static STORED_FOUR load_weight(__global const STORED *weight, const int columns, const int t, const int first,
                               const int k)
{
#ifdef K_WHOLE
    return *(__global const STORED_FOUR *)(weight + (size_t)min(t, k - BLOCK_K) * PANEL + (columns + first * PANEL));
#else
    const size_t at = (size_t)min(t + first, k - 1) * PANEL + columns;
    const STORED_FOUR four = *(__global const STORED_FOUR *)(weight + at);
    return t + first < k ? four : (STORED_FOUR)(0);
#endif
}

/* The epilogue of four columns of a row, those below n. `at` is the place of the first in dst. */
static void finish(const float4 x, __global const float *residual, __global float *dst, const size_t at, const int column,
            const int n)
{
    float4 y = ACTIVATE(float4, x);
#ifdef N_FOURS
    if (column < n) {
#ifdef RESIDUAL
        y += *(__global const float4 *)(residual + at);
#endif
        *(__global float4 *)(dst + at) = y;
    }
#else
#ifdef RESIDUAL
    /* Columns from n on read column n - 1. */
    __global const float *r = residual + at;
    const int last = n - 1 - column;
    y += (float4)(r[min(0, last)], r[min(1, last)], r[min(2, last)], r[min(3, last)]);
#endif
    if (column < n)
        dst[at] = y.s0;
    if (column + 1 < n)
        dst[at + 1] = y.s1;
    if (column + 2 < n)
        dst[at + 2] = y.s2;
    if (column + 3 < n)
        dst[at + 3] = y.s3;
#endif
}

#define DECLARE_A(l)                                                                                                   \
    const int a_row##l = (min(row + a_first + l * A_ROWS, m - 1) - row) * k;                                           \
    float4 next_a##l;
#define DECLARE_B(l) STORED_FOUR next_b##l;
#define FETCH_A(l)   next_a##l = load_src(block_src, a_row##l, t, a_k, k);
#define FETCH_B(l)   next_b##l = load_weight(block_weight, b_columns, t, b_first + l * B_ROWS, k);
#define KEEP_A(l)                                                                                                      \
    {                                                                                                                  \
        __local float *to = (__local float *)a_tile + a_k * A_STRIDE + a_first + l * A_ROWS;                           \
        to[0] = next_a##l.s0;                                                                                          \
        to[A_STRIDE] = next_a##l.s1;                                                                                   \
        to[2 * A_STRIDE] = next_a##l.s2;                                                                               \
        to[3 * A_STRIDE] = next_a##l.s3;                                                                               \
    }
#define KEEP_B(l) b_tile[item + l * ITEMS] = FLOAT_FOUR(next_b##l);
#define DECLARE_SUMS(i, a) float4 c##i##0 = (float4)(0.0f); IF_WIDE(float4 c##i##1 = (float4)(0.0f);)
#define MULTIPLY(i, a)                                                                                                 \
    c##i##0 = fma((float4)(a), b0, c##i##0);                                                                           \
    IF_WIDE(c##i##1 = fma((float4)(a), b1, c##i##1);)
#define STORE(i, a)                                                                                                    \
    {                                                                                                                  \
        const int at = row + 4 * y + i % 4 + i / 4 * (BLOCK_M / 2);                                                    \
        if (at < m) {                                                                                                  \
            finish(c##i##0 + bias0, residual, dst, (size_t)at * n + column0, column0, n);                              \
            IF_WIDE(finish(c##i##1 + bias1, residual, dst, (size_t)at * n + column1, column1, n);)                     \
        }                                                                                                              \
    }

/* Global range: work-groups along n, then along m; the other way round where `m_first`. */
__attribute__((reqd_work_group_size(ITEMS_N, ITEMS_M, 1))) __kernel void
gemm__block(__global const float *restrict src, __global const STORED *restrict weight,
            __global const float *restrict bias, __global const float *residual, __global float *dst, const int m,
            const int n, const int k, const int m_first)
{
    __local float4 a_tile[BLOCK_K * A_STRIDE / 4];
    __local float4 b_tile[BLOCK_K * BLOCK_N / 4];
    const int x = (int)get_local_id(0), y = (int)get_local_id(1), item = y * ITEMS_N + x;
    const int group0 = (int)get_group_id(0), group1 = (int)get_group_id(1);
    const int row = (m_first != 0 ? group0 : group1) * BLOCK_M;
    const int column = (m_first != 0 ? group1 : group0) * BLOCK_N;
    const int panel = column / PANEL, last_panel = (n - 1) / PANEL;
    __global const float *block_src = src + (size_t)row * k;
    __global const STORED *block_weight = weight + (size_t)panel * k * PANEL;
    /* What this work-item brings of each step. */
    const int a_k = item % (BLOCK_K / 4) * 4, a_first = item / (BLOCK_K / 4);
    const int b_first = item / (BLOCK_N / 4), b_column = column + item % (BLOCK_N / 4) * 4;
    const int b_columns = (min(b_column / PANEL, last_panel) - panel) * k * PANEL + b_column % PANEL;
    EACH_A(DECLARE_A)
    EACH_B(DECLARE_B)
    EACH_ROW(DECLARE_SUMS)
    int t = 0;
    EACH_A(FETCH_A)
    EACH_B(FETCH_B)
    while (t < k) {
        barrier(CLK_LOCAL_MEM_FENCE);
        EACH_A(KEEP_A)
        EACH_B(KEEP_B)
        barrier(CLK_LOCAL_MEM_FENCE);
        t += BLOCK_K;
        EACH_A(FETCH_A)
        EACH_B(FETCH_B)
#pragma unroll
        for (int s = 0; s < BLOCK_K; s++) {
            const float4 a0 = a_tile[s * (A_STRIDE / 4) + y];
#if ITEM_M == 8
            const float4 a1 = a_tile[s * (A_STRIDE / 4) + BLOCK_M / 8 + y];
#endif
            const float4 b0 = b_tile[s * (BLOCK_N / 4) + x];
            IF_WIDE(const float4 b1 = b_tile[s * (BLOCK_N / 4) + BLOCK_N / 8 + x];)
            EACH_ROW(MULTIPLY)
        }
    }
    const int column0 = column + 4 * x;
    const float4 bias0 = vload4(0, bias + min(column0, last_panel * PANEL + PANEL - 4));
#if ITEM_N == 8
    const int column1 = column0 + BLOCK_N / 2;
    const float4 bias1 = vload4(0, bias + min(column1, last_panel * PANEL + PANEL - 4));
#endif
    EACH_ROW(STORE)
}
