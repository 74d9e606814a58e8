/* The same on vectors, for CPU devices: a row stays in the first-level cache over the passes. hidden >= VEC_N; the last
 * hidden % VEC_N elements go one by one. dst may be src. */
void normalise_row(__global const float *x, __global const float *weight, __global const float *bias, __global float *y,
                   const int hidden, const float eps);
void normalise_row(__global const float *x, __global const float *weight, __global const float *bias, __global float *y,
                   const int hidden, const float eps)
{
    const int whole = hidden / VEC_N * VEC_N;
    FLOATN sums = (FLOATN)(0.0f);
    for (int i = 0; i < whole; i += VEC_N)
        sums += VLOADN(0, x + i);
    float sum = SUM_N(sums);
    for (int i = whole; i < hidden; i++)
        sum += x[i];
    const float mean = sum / (float)hidden;
    FLOATN squares = (FLOATN)(0.0f);
    for (int i = 0; i < whole; i += VEC_N) {
        const FLOATN d = VLOADN(0, x + i) - mean;
        squares = fma(d, d, squares);
    }
    float square = SUM_N(squares);
    for (int i = whole; i < hidden; i++)
        square = fma(x[i] - mean, x[i] - mean, square);
    const float scale = 1.0f / sqrt(square / (float)hidden + eps);
    for (int i = 0; i < whole; i += VEC_N)
        VSTOREN(fma((VLOADN(0, x + i) - mean) * scale, VLOADN(0, weight + i), VLOADN(0, bias + i)), 0, y + i);
    for (int i = whole; i < hidden; i++)
        y[i] = fma((x[i] - mean) * scale, weight[i], bias[i]);
}

/* Global range: (rows). */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
layer_norm__vector(__global const float *src, __global const float *weight, __global const float *bias,
                   __global float *dst, const int rows, const int hidden, const float eps)
{
    const size_t at = get_global_id(0) * hidden;
    normalise_row(src + at, weight, bias, dst + at, hidden, eps);
}
