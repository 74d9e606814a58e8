/* The plain matrix product: one work-item an element, weights as the checkpoint has them.
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * Four partial sums, so that the loop stays below the 65,535 turns after which some drivers end loops silently. */

#if ACTIVATION == ACT_GELU || ACTIVATION == ACT_GELU_10 || ACTIVATION == ACT_LAPLACE
DEFINE_ERF(float)
#endif

#ifdef TILED_DST
#define PLACE(i, j) ROW_AT(i, j, n)
#else
#define PLACE(i, j) ROW_MAJOR(i, j, n)
#endif

/* Global range: (n, m). */
__kernel void gemm__ref(__global const float *src, __global const STORED *weight, __global const float *bias,
                        __global const float *residual, __global float *dst, const int m, const int n, const int k)
{
    const int j = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    if (i >= m || j >= n)
        return;
    __global const STORED *b = weight + (size_t)j * k;
    float4 sums = (float4)(0.0f);
    int t = 0;
    for (; t + 4 <= k; t += 4)
        sums = fma(vload4(0, src + ROW_AT(i, t, k)), LOAD_STORED_FOUR(b, t), sums);
    float sum = (sums.x + sums.y) + (sums.z + sums.w);
    for (; t < k; t++)
        sum = fma(src[ROW_AT(i, t, k)], LOAD_STORED(b, t), sum);
    const float x = sum + bias[j];
    float y = ACTIVATE(float, x);
#ifdef RESIDUAL
    y += residual[PLACE(i, j)];
#endif
    dst[PLACE(i, j)] = y;
}
