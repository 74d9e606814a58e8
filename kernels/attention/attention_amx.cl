/* Attention for CPU devices with x86's matrix tiles: a work-item takes 32 queries of a head against all keys of their
 * sequence, by float32 products of bfloat16 parts (common/amx.clh).
 *
 * Keys and values are first split into parts, in panels of 32 keys as weights of gemm_amx.cl are: keys
 * [head][panel][HEAD_SIZE / 32] blocks of 32 components x 32 keys, behind them values [head][HEAD_SIZE / 32][panel] blocks of
 * 32 keys x 32 components; zeros beyond the sequence's end. Queries, and scores after softmax, are blocks of rows in local
 * memory. Softmax is exact, in two passes over a row of scores.
 *
 * Panels belong to one sequence, sums run over its keys in order: a row's bits depend on its own sequence alone. CAUSAL and
 * CROSS: as in attention_strip.cl. */

#define DEPTH (HEAD_SIZE / WIDE) /* blocks of a query */

#define KEYS_AT(head, panel) (((size_t)(head)*panel_count + (panel)) * (DEPTH * BLOCK))
#define VALUES_AT(head, part, panel)                                                                                   \
    ((size_t)heads * panel_count * (DEPTH * BLOCK) + (((size_t)(head)*DEPTH + (part)) * panel_count + (panel)) * BLOCK)

/* Component c, and c + 16, of 16 keys; zeros beyond the sequence. */
#define LOW_x(i)  low[i].x
#define LOW_y(i)  low[i].y
#define LOW_z(i)  low[i].z
#define LOW_w(i)  low[i].w
#define HIGH_x(i) high[i].x
#define HIGH_y(i) high[i].y
#define HIGH_z(i) high[i].z
#define HIGH_w(i) high[i].w
#define PUT_KEYS(q, at)                                                                                                \
    {                                                                                                                  \
        const float16 x = select((float16)(LIST(LOW_##q)), (float16)(0.0f), beyond);                                   \
        const float16 y = select((float16)(LIST(HIGH_##q)), (float16)(0.0f), beyond);                                  \
        SPLIT_PAIR(x, y, __global, keys + (at)*16)                                                                     \
    }

/* panels (count, 2): first token, number of keys. packed is aligned to 64 bytes. Global range: (heads, count). */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention_pack__amx(__global const float *qkv, __global const int *panels, __global uint *packed, const int heads)
{
    const int head = (int)get_global_id(0), panel_count = (int)get_global_size(1);
    const int panel = (int)get_global_id(1);
    const int first = panels[2 * panel], count = panels[2 * panel + 1];
    const int hidden = heads * HEAD_SIZE;
    __global const float *tokens = qkv + first * KV_STEP + KEYS_FIRST + head * HEAD_SIZE;
    if (head + 1 < heads)
        for (int j = 0; j < count; j++) {
            fetch_head(tokens + j * KV_STEP + HEAD_SIZE);
            fetch_head(tokens + j * KV_STEP + HEAD_SIZE + hidden);
        }
    for (int part = 0; part < DEPTH; part++) {
        __global const float *from = tokens + part * WIDE;
        __global uint *keys = packed + KEYS_AT(head, panel) + part * BLOCK;
        __global uint *values = packed + VALUES_AT(head, part, panel);
        for (int h = 0; h < 2; h++, keys += HALF) {
            const int16 beyond = h * 16 + LANES >= count;
            for (int c = 0; c < 16; c += 4) {
                float4 low[16], high[16];
#pragma unroll
                for (int i = 0; i < 16; i++) {
                    __global const float *key = from + min(h * 16 + i, count - 1) * KV_STEP + c;
                    low[i] = vload4(0, key);
                    high[i] = vload4(4, key);
                }
                PUT_KEYS(x, c)
                PUT_KEYS(y, c + 1)
                PUT_KEYS(z, c + 2)
                PUT_KEYS(w, c + 3)
            }
        }
        for (int i = 0; i < 16; i++)
            for (int h = 0; h < 2; h++) {
                __global const float *value = from + hidden + i * KV_STEP + h * 16;
                const float16 x = i < count ? vload16(0, value) : (float16)(0.0f);
                const float16 y = i + 16 < count ? vload16(0, value + 16 * KV_STEP) : (float16)(0.0f);
                SPLIT_PAIR(x, y, __global, values + h * HALF + i * 16)
            }
    }
}

/* What is added to the scores of keys, for all rows: -FLT_MAX where a key is dropped, -infinity, whose exponential is 0,
 * beyond the sequence's end. */
void drop_keys(__global const int *mask, const int masked, const int keys, const int width, __local float *drop);
void drop_keys(__global const int *mask, const int masked, const int keys, const int width, __local float *drop)
{
    for (int j = 0; j < width; j += 16) {
        const float16 kept = masked != 0 ? load_drop(mask, j, keys) : (float16)(0.0f);
        vstore16(select(kept, (float16)(-INFINITY), j + LANES >= keys), 0, drop + j);
    }
}

#ifdef CAUSAL
#define DROP(j) fmin(vload16(0, drop + (j)), select((float16)(0.0f), (float16)(-FLT_MAX), (j) + LANES > query))
#else
#define DROP(j) vload16(0, drop + (j))
#endif

/* Turns a row of scores into the parts of their exponentials, relative to the row's maximum; 1 / (their sum). */
float softmax(__local float *scores, __local const float *drop, const int width, const int query, const float scale,
              __local uint *parts);
float softmax(__local float *scores, __local const float *drop, const int width, const int query, const float scale,
              __local uint *parts)
{
    float16 most = (float16)(-INFINITY), sums = (float16)(0.0f);
    for (int j = 0; j < width; j += 16) {
        __local float16 *x = (__local float16 *)(scores + j);
        *x = fma(*x, (float16)(scale), DROP(j));
        most = fmax(most, *x);
    }
    const float8 most8 = fmax(most.lo, most.hi);
    const float4 most4 = fmax(most8.lo, most8.hi);
    const float16 maximum = (float16)(MAX_4(most4));
    for (int j = 0; j < width; j += WIDE, parts += BLOCK) {
        __local const float16 *x = (__local const float16 *)(scores + j);
        const float16 e0 = exp(x[0] - maximum), e1 = exp(x[1] - maximum);
        sums += e0 + e1;
        SPLIT_PAIR(e0, e1, __local, parts)
    }
    return 1.0f / SUM_N(sums);
}

#define SUM_STEPS(count)                                                                                               \
    for (int s = 0; s < (count); s++) {                                                                                \
        if (halves == 2) {                                                                                             \
            STEP(FETCH_NEXT)                                                                                           \
        } else {                                                                                                       \
            STEP_LOW(FETCH_NEXT)                                                                                       \
        }                                                                                                              \
        src_parts += BLOCK;                                                                                            \
        weight_parts += BLOCK;                                                                                         \
    }

/* strips (count, FIELDS): READ_STRIP. Local memory: (HEAD_SIZE + W) / 32 x 6 KiB, 33 W + 32 floats and 64 bytes to align it,
 * where W is the longest sequence rounded up to 32. Global range: (count, heads), so that strips of one sequence and head, which
 * share its panels, follow each other. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention__amx(__global const float *qkv, __global const uint *packed, __global const int *strips,
               __global const int *key_mask, const int masked, __global float *dst, __local uint *local_memory,
               const int heads, const int panel_count, const float scale)
{
    const int head = (int)get_global_id(1);
    __global const int *task = strips + FIELDS * get_global_id(0);
    const int hidden = heads * HEAD_SIZE;
    READ_STRIP(task, WIDE)
    const int panels = (seen + WIDE - 1) / WIDE, width = panels * WIDE, halves = rows > 16 ? 2 : 1;
    __local uint *queries = (__local uint *)(((size_t)local_memory + 63) / 64 * 64);
    __local uint *exponentials = queries + DEPTH * BLOCK;
    __local float *scores = (__local float *)(exponentials + panels * BLOCK);
    __local float *drop = scores + WIDE * width, *inverse = drop + width;
    FETCH_NEXT_STRIP(task, WIDE)
    for (int part = 0; part < DEPTH; part++)
        split_rows(qkv + (begin + first) * Q_STEP + head * HEAD_SIZE + part * WIDE, Q_STEP, rows, WIDE, halves,
                   queries + part * BLOCK);
    drop_keys(key_mask + key_begin, masked, keys, width, drop);
    TILE_CONFIGURE_WHOLE()
    __global const uint *weight_parts = packed + KEYS_AT(head, panel);
    for (int j = 0; j < width; j += WIDE) {
        __local const uint *src_parts = queries;
        CLEAR_SUMS_TILES()
        SUM_STEPS(DEPTH)
        MOVE_SUMS(TILE_STORE, scores + j, width * 4)
    }
    for (int i = 0; i < rows; i++)
        inverse[i] = softmax(scores + i * width, drop, width, first + i, scale,
                             exponentials + i / 16 * HALF + i % 16 * 16);
    for (int part = 0; part < DEPTH; part++) {
        __local const uint *src_parts = exponentials;
        weight_parts = packed + VALUES_AT(head, part, panel);
        CLEAR_SUMS_TILES()
        SUM_STEPS(panels)
        MOVE_SUMS(TILE_STORE, scores, WIDE * 4)
        for (int i = 0; i < rows; i++) {
            __global float *to = dst + (size_t)(begin + first + i) * hidden + head * HEAD_SIZE + part * WIDE;
            STORE_FLOATS(vload16(2 * i, scores) * inverse[i], to)
            STORE_FLOATS(vload16(2 * i + 1, scores) * inverse[i], to + 16)
        }
    }
    TILE_RELEASE()
}
