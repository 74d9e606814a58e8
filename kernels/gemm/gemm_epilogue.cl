/* What follows a plain matrix product that a library computed: dst = act(dst + bias) + residual, (m, n), in place. */

#if ACTIVATION == ACT_GELU || ACTIVATION == ACT_GELU_10 || ACTIVATION == ACT_LAPLACE
DEFINE_ERF(float)
#endif

/* Global range: (n, m). */
__kernel void gemm_epilogue__ref(__global const float *product, __global const float *bias,
                                 __global const float *residual, __global float *dst, const int m, const int n)
{
    const int j = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    if (i >= m || j >= n)
        return;
    const size_t at = (size_t)i * n + j;
    const float x = product[at] + bias[j];
    float y = ACTIVATE(float, x);
#ifdef RESIDUAL
    y += residual[at];
#endif
    dst[at] = y;
}
