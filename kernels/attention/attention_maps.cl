/* What few ask of attention: its weights, written down, and factors of heads. Any device, any head size.
 *
 * sequences (count, FIELDS), in order: first token, number of tokens, first key, number of keys, where the sequence's maps
 * begin (low and high 32 bits), its first tile of TILE_QUERIES. Maps are (heads, length, keys) a sequence. */

#ifndef HEAD_SIZE
#define HEAD_SIZE 64
#endif
#define FOURS        (HEAD_SIZE / 4)
#define TILE_QUERIES 2 /* of a work-item; four of them spill on some GPUs */
#define TILE_KEYS    4
#define FIELDS       7
#define FIRST_TOKEN  0
#define TOKENS       1
#define FIRST_KEY    2
#define KEYS         3
#define MAPS         4
#define FIRST_TILE   6

/* The entry of the last sequence whose `field` is not above `at`. */
__global const int *find_sequence(__global const int *sequences, const int count, const int field, const int at);
__global const int *find_sequence(__global const int *sequences, const int count, const int field, const int at)
{
    int low = 0, high = count; /* the one looked for is in [low, high) */
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (sequences[middle * FIELDS + field] <= at)
            low = middle;
        else
            high = middle;
    }
    return sequences + low * FIELDS;
}

/* Where row `query` of a head's map begins. */
size_t map_row(__global const int *sequence, const int head, const int query);
size_t map_row(__global const int *sequence, const int head, const int query)
{
    const size_t first = (size_t)((ulong)(uint)sequence[MAPS + 1] << 32 | (uint)sequence[MAPS]);
    return first + ((size_t)head * sequence[TOKENS] + query) * sequence[KEYS];
}

#define EACH_QUERY(X) X(0) X(1)
#define EACH_KEY(X)   X(0) X(1) X(2) X(3)
#define EACH_OF(X, r) X(r, 0) X(r, 1) X(r, 2) X(r, 3)
#define EACH(X)       EACH_OF(X, 0) EACH_OF(X, 1)

#define DECLARE_QUERY(r)   __global const float *q##r = queries + (size_t)min(i0 + r, length - 1) * q_step;
#define DECLARE_KEY(k)     __global const float *key##k = keys + (size_t)min(j0 + k, key_count - 1) * kv_step;
#define DECLARE_SUM(r, k)  float4 s##r##k = (float4)(0.0f);
#define LOAD_QUERY(r)      const float4 x##r = vload4(c, q##r);
#define LOAD_KEY(k)        const float4 y##k = vload4(c, key##k);
#define MULTIPLY(r, k)     s##r##k = fma(x##r, y##k, s##r##k);
#define MULTIPLY_ONE(r, k) s##r##k.x = fma(q##r[c], key##k[c], s##r##k.x);
#define DROP(k)                                                                                                        \
    const bool drop##k = masked != 0 && key_mask[first_key + min(j0 + k, key_count - 1)] == 0;
#define STORE(r, k)                                                                                                    \
    if (i0 + r < length && j0 + k < key_count) {                                                                       \
        const float score = ((s##r##k.x + s##r##k.y) + (s##r##k.z + s##r##k.w)) * scale;                               \
        const bool drop = drop##k || (causal != 0 && j0 + k > i0 + r);                                                 \
        rows[(size_t)r * key_count + k] = score + (drop ? -FLT_MAX : 0.0f);                                            \
    }

/* Scores, scaled, with -FLT_MAX added where a key is dropped. q and kv point to rows of q_step and kv_step floats, keys are
 * kv_first floats behind the beginning of theirs. Global range: (the most keys / TILE_KEYS, tiles, heads). */
__kernel void attention_scores__ref(__global const float *q, __global const float *kv, __global const int *key_mask,
                                    const int masked, __global const int *sequences, const int count,
                                    __global float *maps, const int q_step, const int kv_step, const int kv_first,
                                    const int causal, const float scale)
{
    const int tile = (int)get_global_id(1), head = (int)get_global_id(2);
    const int j0 = (int)get_global_id(0) * TILE_KEYS;
    __global const int *sequence = find_sequence(sequences, count, FIRST_TILE, tile);
    const int length = sequence[TOKENS], key_count = sequence[KEYS], first_key = sequence[FIRST_KEY];
    if (j0 >= key_count)
        return;
    const int i0 = (tile - sequence[FIRST_TILE]) * TILE_QUERIES;
    __global const float *queries = q + (size_t)sequence[FIRST_TOKEN] * q_step + head * HEAD_SIZE;
    __global const float *keys = kv + (size_t)first_key * kv_step + kv_first + head * HEAD_SIZE;
    EACH_QUERY(DECLARE_QUERY)
    EACH_KEY(DECLARE_KEY)
    EACH(DECLARE_SUM)
    for (int c = 0; c < FOURS; c++) {
        EACH_QUERY(LOAD_QUERY)
        EACH_KEY(LOAD_KEY)
        EACH(MULTIPLY)
    }
    for (int c = FOURS * 4; c < HEAD_SIZE; c++) {
        EACH(MULTIPLY_ONE)
    }
    __global float *rows = maps + map_row(sequence, head, i0) + j0;
    EACH_KEY(DROP)
    EACH(STORE)
}

/* Softmax over each row of scores in place, times the head's factor. Global range: (tokens, heads). */
__kernel void attention_softmax__ref(__global const int *sequences, const int count, __global const float *factors,
                                     const int factored, const int first_factor, __global float *maps, const int tokens,
                                     const int heads)
{
    const int token = (int)get_global_id(0), head = (int)get_global_id(1);
    if (token >= tokens || head >= heads)
        return;
    __global const int *sequence = find_sequence(sequences, count, FIRST_TOKEN, token);
    const int keys = sequence[KEYS], fours = keys / 4;
    __global float *row = maps + map_row(sequence, head, token - sequence[FIRST_TOKEN]);
    float4 most = (float4)(-INFINITY), sums = (float4)(0.0f);
    for (int j = 0; j < fours; j++)
        most = fmax(most, vload4(j, row));
    float maximum = fmax(fmax(most.x, most.y), fmax(most.z, most.w));
    for (int j = fours * 4; j < keys; j++)
        maximum = fmax(maximum, row[j]);
    for (int j = 0; j < fours; j++) {
        const float4 e = exp(vload4(j, row) - maximum);
        sums += e;
        vstore4(e, j, row);
    }
    float sum = (sums.x + sums.y) + (sums.z + sums.w);
    for (int j = fours * 4; j < keys; j++) {
        row[j] = exp(row[j] - maximum);
        sum += row[j];
    }
    const int s = (int)(sequence - sequences) / FIELDS;
    const float factor = factored != 0 ? factors[first_factor + s * heads + head] : 1.0f;
    for (int j = 0; j < fours; j++)
        vstore4(vload4(j, row) / sum * factor, j, row);
    for (int j = fours * 4; j < keys; j++)
        row[j] = row[j] / sum * factor;
}

/* dst, in row tiles (rows.clh), times the factor of each head. Global range: (heads, tokens). */
__kernel void attention_factors__ref(__global const int *sequences, const int count, __global const float *factors,
                                     const int first_factor, __global float *dst, const int tokens, const int heads)
{
    const int head = (int)get_global_id(0), token = (int)get_global_id(1);
    if (token >= tokens || head >= heads)
        return;
    const int s = (int)(find_sequence(sequences, count, FIRST_TOKEN, token) - sequences) / FIELDS;
    const float factor = factors[first_factor + s * heads + head];
    for (int c = head * HEAD_SIZE; c < (head + 1) * HEAD_SIZE; c++)
        dst[ROW_AT(token, c, heads * HEAD_SIZE)] *= factor;
}
