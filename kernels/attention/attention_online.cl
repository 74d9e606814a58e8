/* Attention for GPUs: a work-group takes QUERIES queries of a head and walks the keys of their sequence KEYS at a time.
 *
 *     m' = max(m, max_j s_j)     f = exp(m - m')     p_j = exp(s_j - m')     l' = f l + sum_j p_j     o' = f o + sum_j p_j v_j
 *
 * after each block of keys, so that nothing of a row's scores is kept (online softmax; Milakov and Gimelshein, 2018). Both
 * products are register tiles over local memory: queries and keys CHUNK channels at a time, turned so that a work-item
 * reads four queries, or four keys, at once; values V_KEYS keys at a time.
 *
 *     work-item (x, y):   scores of queries 4 y .. 4 y + 3 and keys ITEM_KEYS x .. ITEM_KEYS (x + 1) - 1
 *                         channels 4 (x + ITEMS_N h) .. + 3, h < OWN, of the same queries
 *
 * Blocks of keys start at the sequence's first token and sums run over the keys in order, so a row's bits depend on its own
 * sequence alone, and not on QUERIES. Queries, keys and channels beyond the end are read from the last one; their scores
 * are -infinity, their values 0, and they are not stored. All loops are the same for a whole work-group.
 *
 * CAUSAL: later keys are dropped, and blocks of keys behind the last query are not read, unless the group has a query without
 * any key, which sees all of the sequence alike (op_attention.h); what is not read would have added zeros. CROSS: qkv holds
 * queries alone, keys and values stand side by side in kv.
 *
 * HEAD_SIZE   a multiple of 4, at most 128               QUERIES   8, 16 or 32; QUERIES / 4 x ITEMS_N work-items */

#ifndef HEAD_SIZE
#define HEAD_SIZE 64
#endif
#ifndef QUERIES
#define QUERIES 32
#endif
/* Floats from a token to the next, and numbers of a strip. */
#ifdef CROSS
#define Q_STEP  hidden
#define KV_STEP (2 * hidden)
#define FIELDS  5
#else
#define Q_STEP  (3 * hidden)
#define KV_STEP (3 * hidden)
#define FIELDS  3
#endif
#define KEYS     32
#define CHUNK    16
#define V_KEYS   16
#define ITEMS_N  (HEAD_SIZE > 64 ? 16 : 8)
#define ITEMS_M  (QUERIES / 4)
#define ITEMS    (ITEMS_N * ITEMS_M)
#define Q_STRIDE (QUERIES + 4) /* as in gemm_block.cl */
#define K_STRIDE (KEYS + 4)
#define FOURS    (HEAD_SIZE / 4)
#define OWN      ((FOURS + ITEMS_N - 1) / ITEMS_N)

/* Local memory, in vectors of 4 floats; attention_online.c counts it too. */
#define STAGE_KEYS   (CHUNK * (Q_STRIDE + K_STRIDE) / 4)
#define STAGE_VALUES (V_KEYS * FOURS)
#define STAGE        (STAGE_KEYS > STAGE_VALUES ? STAGE_KEYS : STAGE_VALUES)

/* X(h) for each vector of channels of a work-item: variables of their own, since an array may end in memory. */
#if HEAD_SIZE > 128 || HEAD_SIZE % 4 != 0
#error "HEAD_SIZE is above 128 or no multiple of 4"
#elif OWN == 1
#define EACH_OWN(X) X(0)
#else
#define EACH_OWN(X) X(0) X(1)
#endif

/* X(i, its element of the vector of keys) for each key of a work-item. */
#if HEAD_SIZE > 64
#define ITEM_KEYS      2
#define KEY_VECTOR     float2
#define EACH_KEY(X)    X(0, s0) X(1, s1)
#define MAXIMUM_OF_KEYS fmax(s0, s1)
#else
#define ITEM_KEYS      4
#define KEY_VECTOR     float4
#define EACH_KEY(X)    X(0, s0) X(1, s1) X(2, s2) X(3, s3)
#define MAXIMUM_OF_KEYS fmax(fmax(s0, s1), fmax(s2, s3))
#endif
#define DECLARE_SCORE(i, element)  float4 s##i = (float4)(0.0f);
#define MULTIPLY_KEY(i, element) s##i = fma(q, (float4)(k.element), s##i);

#define DECLARE_SUMS(h)                                                                                                \
    float4 o0##h = (float4)(0.0f), o1##h = (float4)(0.0f), o2##h = (float4)(0.0f), o3##h = (float4)(0.0f);
#define RESCALE(h)                                                                                                     \
    o0##h *= factor.s0;                                                                                                \
    o1##h *= factor.s1;                                                                                                \
    o2##h *= factor.s2;                                                                                                \
    o3##h *= factor.s3;
#define ADD_VALUES(h)                                                                                                  \
    {                                                                                                                  \
        const float4 v = stage[j * FOURS + min(x + h * ITEMS_N, FOURS - 1)];                                           \
        o0##h = fma((float4)(p.s0), v, o0##h);                                                                         \
        o1##h = fma((float4)(p.s1), v, o1##h);                                                                         \
        o2##h = fma((float4)(p.s2), v, o2##h);                                                                         \
        o3##h = fma((float4)(p.s3), v, o3##h);                                                                         \
    }
#define STORE_ROW(r, o, element)                                                                                       \
    if (first + 4 * y + r < length)                                                                                    \
        *(__global float4 *)(out + (size_t)r * hidden) = o / sum.element;
#define STORE(h)                                                                                                       \
    if (x + h * ITEMS_N < FOURS) {                                                                                     \
        __global float *out =                                                                                          \
            dst + (size_t)(begin + first + 4 * y) * hidden + head * HEAD_SIZE + 4 * (x + h * ITEMS_N);                 \
        STORE_ROW(0, o0##h, s0)                                                                                        \
        STORE_ROW(1, o1##h, s1)                                                                                        \
        STORE_ROW(2, o2##h, s2)                                                                                        \
        STORE_ROW(3, o3##h, s3)                                                                                        \
    }

/* Brings channels [c0, c0 + CHUNK) of `count` rows from `first` on, those beyond `last` from `last`, to local memory as
 * [CHUNK][stride]; zeros beyond HEAD_SIZE. */
#define BRING_TURNED(to, stride, count, rows, step, first, last)                                                            \
    _Pragma("unroll 1") for (int l = 0; l < (count) * (CHUNK / 4) / ITEMS; l++)                                        \
    {                                                                                                                  \
        const int e = item + l * ITEMS, row = e / (CHUNK / 4), c = e % (CHUNK / 4) * 4;                                \
        __global const float *from = (rows) + (size_t)min((first) + row, last) * (step);                               \
        float4 four = *(__global const float4 *)(from + min(c0 + c, HEAD_SIZE - 4));                                   \
        if (HEAD_SIZE % CHUNK != 0 && c0 + c >= HEAD_SIZE)                                                             \
            four = (float4)(0.0f);                                                                                     \
        __local float *column = (to) + c * (stride) + row;                                                             \
        column[0] = four.s0;                                                                                           \
        column[stride] = four.s1;                                                                                      \
        column[2 * (stride)] = four.s2;                                                                                \
        column[3 * (stride)] = four.s3;                                                                                \
    }

#ifdef CAUSAL
#define DROP_LATER(s) s = select(s, (float4)(-FLT_MAX), key > first + 4 * y + (int4)(0, 1, 2, 3));
#else
#define DROP_LATER(s)
#endif
/* -FLT_MAX for a key that is dropped, -infinity for one beyond the sequence. */
#define FINISH_SCORE(i, element)                                                                                                \
    {                                                                                                                  \
        const int key = j0 + ITEM_KEYS * x + i;                                                                                \
        float drop = 0.0f;                                                                                             \
        if (masked != 0)                                                                                               \
            drop = key_mask[key_begin + min(key, key_count - 1)] == 0 ? -FLT_MAX : 0.0f;                               \
        s##i = s##i * scale + drop;                                                                                    \
        DROP_LATER(s##i)                                                                                               \
        s##i = key < key_count ? s##i : (float4)(-INFINITY);                                                           \
    }
#define KEEP_WEIGHT(i, element) weights[(ITEM_KEYS * x + i) * (Q_STRIDE / 4) + y] = exp(s##i - maximum);

/* strips (count, FIELDS): first token and length of the sequence, first query in it, and with CROSS where its keys begin and
 * how many they are. Global range: work-groups along strips,
 * then along heads. */
__attribute__((reqd_work_group_size(ITEMS_N, ITEMS_M, 1))) __kernel void
attention__online(__global const float *restrict qkv, __global const int *restrict strips,
                  __global const int *restrict key_mask, const int masked, __global float *restrict dst,
                  const int heads, const float scale
#ifdef CROSS
                  ,
                  __global const float *restrict kv
#endif
)
{
    __local float4 stage[STAGE];
    __local float4 weights[KEYS * Q_STRIDE / 4]; /* [key][query] */
    __local float4 partial[ITEMS];               /* maxima of a work-item's keys */
    const int x = (int)get_local_id(0), y = (int)get_local_id(1), item = y * ITEMS_N + x;
    const int head = (int)get_group_id(1);
    __global const int *task = strips + FIELDS * get_group_id(0);
    const int begin = task[0], length = task[1], first = task[2];
    const int hidden = heads * HEAD_SIZE;
#ifdef CROSS
    const int key_begin = task[3], key_count = task[4];
    __global const float *queries = qkv + (size_t)begin * Q_STEP + head * HEAD_SIZE;
    __global const float *keys = kv + (size_t)key_begin * KV_STEP + head * HEAD_SIZE;
#else
    const int key_begin = begin, key_count = length;
    __global const float *queries = qkv + (size_t)begin * 3 * hidden + head * HEAD_SIZE;
    __global const float *keys = queries + hidden;
#endif
#ifdef CAUSAL
    int kept = 0; /* the first kept key, if the first query sees any: the same for the whole work-group */
    if (masked != 0)
        while (kept <= first && key_mask[begin + kept] == 0)
            kept++;
    const int seen = kept <= first ? min(first + QUERIES, length) : length;
#else
    const int seen = key_count;
#endif
    __global const float *values = keys + hidden;
    __local float *q_stage = (__local float *)stage, *k_stage = q_stage + CHUNK * Q_STRIDE;
    float4 maximum = (float4)(-INFINITY), sum = (float4)(0.0f);
    EACH_OWN(DECLARE_SUMS)
    for (int j0 = 0; j0 < seen; j0 += KEYS) {
        EACH_KEY(DECLARE_SCORE)
        for (int c0 = 0; c0 < HEAD_SIZE; c0 += CHUNK) {
            barrier(CLK_LOCAL_MEM_FENCE);
            BRING_TURNED(q_stage, Q_STRIDE, QUERIES, queries, Q_STEP, first, length - 1)
            BRING_TURNED(k_stage, K_STRIDE, KEYS, keys, KV_STEP, j0, key_count - 1)
            barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 4
            for (int c = 0; c < CHUNK; c++) {
                const float4 q = stage[c * (Q_STRIDE / 4) + y];
                const KEY_VECTOR k = ((__local KEY_VECTOR *)k_stage)[c * (K_STRIDE / ITEM_KEYS) + x];
                EACH_KEY(MULTIPLY_KEY)
            }
        }
        EACH_KEY(FINISH_SCORE)
        partial[x * ITEMS_M + y] = MAXIMUM_OF_KEYS;
        barrier(CLK_LOCAL_MEM_FENCE);
        const float4 before = maximum;
#pragma unroll
        for (int i = 0; i < ITEMS_N; i++)
            maximum = fmax(maximum, partial[i * ITEMS_M + y]);
        const float4 factor = exp(before - maximum);
        sum *= factor;
        EACH_OWN(RESCALE)
        EACH_KEY(KEEP_WEIGHT)
        for (int v0 = 0; v0 < KEYS; v0 += V_KEYS) {
            barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
            for (int l = 0; l < (STAGE_VALUES + ITEMS - 1) / ITEMS; l++) {
                const int e = min(item + l * ITEMS, STAGE_VALUES - 1), key = j0 + v0 + e / FOURS;
                __global const float *from = values + (size_t)min(key, key_count - 1) * KV_STEP;
                const float4 four = *(__global const float4 *)(from + e % FOURS * 4);
                stage[e] = key < key_count ? four : (float4)(0.0f);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
            for (int j = 0; j < V_KEYS; j++) {
                const float4 p = weights[(v0 + j) * (Q_STRIDE / 4) + y];
                sum += p;
                EACH_OWN(ADD_VALUES)
            }
        }
    }
    EACH_OWN(STORE)
}
