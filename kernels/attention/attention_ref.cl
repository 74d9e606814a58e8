/* Plain attention: one work-item a head and query, three passes over the keys, nothing stored in between.
 *
 * qkv (tokens, 3 * heads * HEAD_SIZE); spans (tokens, 2): first and end of the keys of the token's own sequence.
 * CAUSAL: later keys are dropped. CROSS: qkv holds queries alone, keys and values stand side by side in kv.
 * Dot products run in fours, so that the loops of a long sequence stay below the 65,535 turns after which some drivers
 * end loops silently. Global range: (heads, tokens). */

#ifndef HEAD_SIZE
#define HEAD_SIZE 64
#endif
#define FOURS (HEAD_SIZE / 4)

#ifdef CROSS
#define Q_STEP  ((size_t)hidden)
#define KV_STEP ((size_t)2 * hidden)
#define KV      kv
#else
#define Q_STEP  ((size_t)3 * hidden)
#define KV_STEP ((size_t)3 * hidden)
#define KV      (qkv + hidden)
#endif
#ifdef CAUSAL
#define IS_LATER(j) ((j) > i)
#else
#define IS_LATER(j) false
#endif
#define DROP(j) ((masked != 0 && key_mask[j] == 0) || IS_LATER(j) ? -FLT_MAX : 0.0f)

float score(__global const float *q, __global const float *k, const float scale);
float score(__global const float *q, __global const float *k, const float scale)
{
    float4 sums = (float4)(0.0f);
    for (int c = 0; c < FOURS; c++)
        sums = fma(vload4(c, q), vload4(c, k), sums);
    float sum = (sums.x + sums.y) + (sums.z + sums.w);
    for (int c = FOURS * 4; c < HEAD_SIZE; c++)
        sum = fma(q[c], k[c], sum);
    return sum * scale;
}

__kernel void attention__ref(__global const float *qkv, __global const int *spans, __global const int *key_mask,
                             const int masked, __global float *dst, const int heads, const int tokens,
                             const float scale
#ifdef CROSS
                             ,
                             __global const float *kv
#endif
)
{
    const int head = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    if (head >= heads || i >= tokens)
        return;
    const int hidden = heads * HEAD_SIZE;
    const size_t stride = KV_STEP;
    __global const float *q = qkv + i * Q_STEP + head * HEAD_SIZE;
    __global const float *keys = KV + head * HEAD_SIZE;
    __global const float *values = keys + hidden;
    const int begin = spans[2 * i], end = spans[2 * i + 1];
    float maximum = -INFINITY;
    for (int j = begin; j < end; j++) {
        const float drop = DROP(j);
        maximum = fmax(maximum, score(q, keys + j * stride, scale) + drop);
    }
    float sum = 0.0f;
    float4 sums[FOURS + 1];
    float rest[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int c = 0; c <= FOURS; c++)
        sums[c] = (float4)(0.0f);
    for (int j = begin; j < end; j++) {
        const float drop = DROP(j);
        const float p = exp(score(q, keys + j * stride, scale) + drop - maximum);
        __global const float *v = values + j * stride;
        sum += p;
        for (int c = 0; c < FOURS; c++)
            sums[c] = fma((float4)(p), vload4(c, v), sums[c]);
        for (int c = FOURS * 4; c < HEAD_SIZE; c++)
            rest[c - FOURS * 4] = fma(p, v[c], rest[c - FOURS * 4]);
    }
    for (int c = 0; c < HEAD_SIZE; c++) {
        const float value = c < FOURS * 4 ? ((const float *)&sums[c / 4])[c % 4] : rest[c - FOURS * 4];
        dst[ROW_AT(i, head * HEAD_SIZE + c, hidden)] = value / sum;
    }
}
