/* dst[i][c] = src[rows[first + i]][c]. Global range: (width, count). */
__kernel void gather_rows__ref(__global const float *src, __global const int *rows, __global float *dst,
                               const int width, const int first, const int count)
{
    const int c = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    if (c < width && i < count)
        dst[(size_t)i * width + c] = src[(size_t)rows[first + i] * width + c];
}
