/* Softmax and the K largest of each row of logits, in two steps over fixed segments of the vocabulary.
 *
 * A segment's entry: its maximum, the sum of exp(x - maximum), and its K best, greatest first, equal ones in order of
 * their ids. The second step combines the segments of a row in order. NaN counts as the smallest value. */

#ifndef K
#define K 5
#endif
#ifndef SEGMENT
#define SEGMENT 1024
#endif

/* Global range: (segments, rows). */
__kernel void top_k_segments__ref(__global const float *logits, __global float *segment_stats,
                                  __global int *segment_ids, __global float *segment_values, const int rows,
                                  const int vocab, const int segments)
{
    const int s = (int)get_global_id(0);
    const int row = (int)get_global_id(1);
    if (s >= segments || row >= rows)
        return;
    __global const float *x = logits + (size_t)row * vocab;
    const int begin = s * SEGMENT, end = min(vocab, begin + SEGMENT);
    float best[K];
    int ids[K];
    for (int i = 0; i < K; i++) {
        best[i] = -INFINITY;
        ids[i] = -1;
    }
    float maximum = -INFINITY;
    for (int j = begin; j < end; j++) {
        const float value = isnan(x[j]) ? -INFINITY : x[j];
        maximum = fmax(maximum, value);
        if (value <= best[K - 1] && ids[K - 1] >= 0)
            continue;
        int at = K - 1;
        for (; at > 0 && (ids[at - 1] < 0 || best[at - 1] < value); at--) {
            best[at] = best[at - 1];
            ids[at] = ids[at - 1];
        }
        best[at] = value;
        ids[at] = j;
    }
    float sum = 0.0f;
    for (int j = begin; j < end; j++)
        sum += exp(x[j] - maximum);
    const size_t entry = (size_t)row * segments + s;
    segment_stats[2 * entry] = maximum;
    segment_stats[2 * entry + 1] = sum;
    for (int i = 0; i < K; i++) {
        segment_ids[entry * K + i] = ids[i];
        segment_values[entry * K + i] = best[i];
    }
}

/* Global range: (rows). `cursors` (rows, segments) is workspace. */
__kernel void top_k_merge__ref(__global const float *segment_stats, __global const int *segment_ids,
                               __global const float *segment_values, __global int *cursors, __global int *ids,
                               __global float *scores, __global float *stats, const int rows, const int segments)
{
    const int row = (int)get_global_id(0);
    if (row >= rows)
        return;
    const size_t first = (size_t)row * segments;
    float maximum = -INFINITY;
    for (int s = 0; s < segments; s++) {
        maximum = fmax(maximum, segment_stats[2 * (first + s)]);
        cursors[first + s] = 0;
    }
    float sum = 0.0f;
    for (int s = 0; s < segments; s++)
        sum += segment_stats[2 * (first + s) + 1] * exp(segment_stats[2 * (first + s)] - maximum);
    stats[2 * row] = maximum;
    stats[2 * row + 1] = sum;
    for (int i = 0; i < K; i++) {
        int best = -1;
        float value = -INFINITY;
        for (int s = 0; s < segments; s++) {
            const int at = cursors[first + s];
            const size_t entry = (first + s) * K + min(at, K - 1);
            const bool left = at < K && segment_ids[entry] >= 0;
            if (left && (best < 0 || segment_values[entry] > value)) {
                best = s;
                value = segment_values[entry];
            }
        }
        const size_t entry = (first + max(best, 0)) * K + min(cursors[first + max(best, 0)], K - 1);
        ids[row * K + i] = segment_ids[entry];
        scores[row * K + i] = exp(value - maximum) / sum;
        if (best >= 0)
            cursors[first + best]++;
    }
}
