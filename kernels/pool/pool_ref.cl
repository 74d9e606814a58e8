/* Vectors of a sequence (op_pool.h), in one pass over its tokens. src lies in row tiles (rows.clh), dst is row-major
 * (sequences, poolings, hidden). */

/* Those of ob_pool_mode. */
#define POOL_CLS           1
#define POOL_MAX           2
#define POOL_MEAN          4
#define POOL_MEAN_SQRT_LEN 8
#define POOL_WEIGHTED_MEAN 16
#define POOL_LAST_TOKEN    32

#define PUT(flag, value)                                                                                               \
    if ((poolings & (flag)) != 0) {                                                                                    \
        *to = value;                                                                                                   \
        to += hidden;                                                                                                  \
    }

/* `count`: how many poolings are asked for. Global range: (hidden, sequences). */
__kernel void pool__ref(__global const float *src, __global const int *cu_seqlens, __global const int *key_mask,
                        const int masked, __global float *dst, const int hidden, const int sequences, const int poolings,
                        const int count)
{
    const int h = (int)get_global_id(0);
    const int s = (int)get_global_id(1);
    if (h >= hidden || s >= sequences)
        return;
    const int begin = cu_seqlens[s], end = poolings == POOL_CLS ? begin : cu_seqlens[s + 1];
    float sum = 0.0f, weighted = 0.0f, weights = 0.0f, most = -INFINITY, last = 0.0f;
    int kept = 0;
    for (int t = begin; t < end; t++) {
        const bool keep = masked == 0 || key_mask[t] != 0;
        const float x = src[ROW_AT(t, h, hidden)], weight = keep ? (float)(t - begin + 1) : 0.0f;
        sum += keep ? x : 0.0f;
        weighted += keep ? weight * x : 0.0f;
        weights += weight;
        most = keep ? fmax(most, x) : most;
        last = keep ? x : last;
        kept += keep ? 1 : 0;
    }
    const float length = (float)max(kept, 1);
    __global float *to = dst + (size_t)s * count * hidden + h;
    PUT(POOL_CLS, src[ROW_AT(begin, h, hidden)])
    PUT(POOL_MAX, kept > 0 ? most : 0.0f)
    PUT(POOL_MEAN, sum / length)
    PUT(POOL_MEAN_SQRT_LEN, sum / sqrt(length))
    PUT(POOL_WEIGHTED_MEAN, weighted / fmax(weights, 1.0f))
    PUT(POOL_LAST_TOKEN, last)
}
