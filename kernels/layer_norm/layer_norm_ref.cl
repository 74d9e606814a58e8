/* y = (x - mean) / sqrt(var + eps) * weight + bias, one work-item a row; two passes, since E[x^2] - mean^2 cancels.
 * Global range: (rows). dst may be src. */
__kernel void layer_norm__ref(__global const float *src, __global const float *weight, __global const float *bias,
                              __global float *dst, const int rows, const int hidden, const float eps)
{
    const int row = (int)get_global_id(0);
    if (row >= rows)
        return;
    __global const float *x = src + (size_t)row * hidden;
    __global float *y = dst + (size_t)row * hidden;
    float sum = 0.0f;
    for (int i = 0; i < hidden; i++)
        sum += x[i];
    const float mean = sum / (float)hidden;
    float square = 0.0f;
    for (int i = 0; i < hidden; i++) {
        const float d = x[i] - mean;
        square = fma(d, d, square);
    }
    const float scale = 1.0f / sqrt(square / (float)hidden + eps);
    for (int i = 0; i < hidden; i++)
        y[i] = fma((x[i] - mean) * scale, weight[i], bias[i]);
}
