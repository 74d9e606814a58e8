/* log softmax at one entry of each row of logits, in two steps over fixed segments of the vocabulary. */

#ifndef SEGMENT
#define SEGMENT 1024
#endif

/* segment_stats (rows, segments, 2): each segment's maximum and sum of exp(x - maximum). Sixteen sums at a time: few terms
 * each, so that little is rounded away. Global range: (segments, rows). */
__kernel void target_scores_segments__ref(__global const float *logits, __global float *segment_stats, const int rows,
                                          const int vocab, const int segments)
{
    const int s = (int)get_global_id(0);
    const int row = (int)get_global_id(1);
    if (s >= segments || row >= rows)
        return;
    const int count = min(vocab - s * SEGMENT, SEGMENT), whole = count / 16;
    __global const float *x = logits + (size_t)row * vocab + s * SEGMENT;
    /* -FLT_MAX, not -infinity: no difference of infinities in a segment that has nothing else */
    float16 most = (float16)(-FLT_MAX), sums = (float16)(0.0f);
    for (int j = 0; j < whole; j++)
        most = fmax(most, vload16(j, x));
    const float8 most8 = fmax(most.lo, most.hi);
    const float4 most4 = fmax(most8.lo, most8.hi);
    float maximum = fmax(fmax(most4.x, most4.y), fmax(most4.z, most4.w));
    for (int j = whole * 16; j < count; j++)
        maximum = fmax(maximum, x[j]);
    for (int j = 0; j < whole; j++)
        sums += exp(vload16(j, x) - maximum);
    const float8 sums8 = sums.lo + sums.hi;
    const float4 sums4 = sums8.lo + sums8.hi;
    float sum = (sums4.x + sums4.y) + (sums4.z + sums4.w);
    for (int j = whole * 16; j < count; j++)
        sum += exp(x[j] - maximum);
    const size_t entry = (size_t)row * segments + s;
    segment_stats[2 * entry] = maximum;
    segment_stats[2 * entry + 1] = sum;
}

/* Global range: (rows). */
__kernel void target_scores__ref(__global const float *logits, __global const float *segment_stats,
                                 __global const int *targets, const int first, __global float *dst, const int rows,
                                 const int vocab, const int segments)
{
    const int row = (int)get_global_id(0);
    if (row >= rows)
        return;
    __global const float *stats = segment_stats + (size_t)row * segments * 2;
    float maximum = stats[0], sum = 0.0f;
    for (int s = 1; s < segments; s++)
        maximum = fmax(maximum, stats[2 * s]);
    for (int s = 0; s < segments; s++)
        sum += stats[2 * s + 1] * exp(stats[2 * s] - maximum);
    const int target = clamp(targets[first + row], 0, vocab - 1);
    dst[row] = logits[(size_t)row * vocab + target] - maximum - log(sum);
}
