/* One vector a sequence. src lies in row tiles (rows.clh), dst is row-major. Global range: (hidden, sequences). */

/* dst[s] = src[cu_seqlens[s]] */
__kernel void pool_cls__ref(__global const float *src, __global const int *cu_seqlens, __global const int *key_mask,
                            const int masked, __global float *dst, const int hidden, const int sequences)
{
    const int h = (int)get_global_id(0);
    const int s = (int)get_global_id(1);
    if (h < hidden && s < sequences)
        dst[(size_t)s * hidden + h] = src[ROW_AT(cu_seqlens[s], h, hidden)];
}

/* dst[s] = the mean of src over the kept tokens of s, summed in order; zeros where none is kept */
__kernel void pool_mean__ref(__global const float *src, __global const int *cu_seqlens, __global const int *key_mask,
                             const int masked, __global float *dst, const int hidden, const int sequences)
{
    const int h = (int)get_global_id(0);
    const int s = (int)get_global_id(1);
    if (h >= hidden || s >= sequences)
        return;
    float sum = 0.0f;
    int count = 0;
    for (int t = cu_seqlens[s]; t < cu_seqlens[s + 1]; t++) {
        const int keep = masked != 0 ? key_mask[t] : 1;
        sum += keep != 0 ? src[ROW_AT(t, h, hidden)] : 0.0f;
        count += keep != 0 ? 1 : 0;
    }
    dst[(size_t)s * hidden + h] = sum / (float)max(count, 1);
}
