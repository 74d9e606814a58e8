/* Attention for CPU devices with x86's matrix tiles, by float32 products of bfloat16 parts (common/amx.clh): a task is a head
 * and some queries of a sequence, 32 at a time, against all its keys.
 *
 * A work-item first splits keys and values into parts, in panels of 32 keys as weights of gemm_amx.cl are, in its share of the
 * scratch, which stays in its core's cache: keys [panel][HEAD_SIZE / 32] blocks of 32 components x 32 keys, behind
 * them values [HEAD_SIZE / 32][panel] blocks of 32 keys x 32 components; zeros beyond the sequence's end. Queries, and
 * scores after softmax, are blocks of rows. Softmax is exact, in two passes over a row of scores.
 *
 * Panels belong to one sequence, sums run over its keys in order: a row's bits depend on its own sequence alone. CAUSAL and
 * CROSS: as in attention_strip.cl. */

#define DEPTH (HEAD_SIZE / WIDE) /* blocks of a query */

/* Heads of a sequence that a work-item takes at once: rows of qkv lie pages apart, and memory hands out 768 bytes of a row
 * nearly twice as fast as three times 256 (Xeon of the fourth generation). */
#define MOST_HEADS (HEAD_SIZE > 96 ? 1 : 192 / HEAD_SIZE)

DEFINE_EXP(float16, int16)

/* Columns c to c + 3 of 16 keys, a vector each: 4 x 4 floats of every lane of 128 bits change places. */
#define KEYS(i, c)                                                                                                     \
    (float16)(vload4(0, key[i] + (c)), vload4(0, key[(i) + 4] + (c)), vload4(0, key[(i) + 8] + (c)),                   \
              vload4(0, key[(i) + 12] + (c)))
#define IN_TURNS(i)             (i), (i) + 16, (i) + 1, (i) + 17
#define IN_PAIRS(i)             (i), (i) + 1, (i) + 16, (i) + 17
#define LANES_OF(ORDER, i)      ORDER(i), ORDER((i) + 4), ORDER((i) + 8), ORDER((i) + 12)
#define SHUFFLE(x, y, ORDER, i) __builtin_shufflevector(x, y, LANES_OF(ORDER, i))
#define READ_COLUMNS(to, c)                                                                                            \
    float16 to[4];                                                                                                     \
    {                                                                                                                  \
        const float16 k0 = KEYS(0, c), k1 = KEYS(1, c), k2 = KEYS(2, c), k3 = KEYS(3, c);                              \
        const float16 first01 = SHUFFLE(k0, k1, IN_TURNS, 0), last01 = SHUFFLE(k0, k1, IN_TURNS, 2);                   \
        const float16 first23 = SHUFFLE(k2, k3, IN_TURNS, 0), last23 = SHUFFLE(k2, k3, IN_TURNS, 2);                   \
        to[0] = SHUFFLE(first01, first23, IN_PAIRS, 0);                                                                \
        to[1] = SHUFFLE(first01, first23, IN_PAIRS, 2);                                                                \
        to[2] = SHUFFLE(last01, last23, IN_PAIRS, 0);                                                                  \
        to[3] = SHUFFLE(last01, last23, IN_PAIRS, 2);                                                                  \
    }

/* Parts of `count` keys and their values, each of HEAD_SIZE floats, `step` floats apart; blocks of values `part_step` apart. */
void pack(__global const float *keys, __global const float *values, const size_t step, const int count,
          __global uint *key_parts, __global uint *value_parts, const size_t part_step);
void pack(__global const float *keys, __global const float *values, const size_t step, const int count,
          __global uint *key_parts, __global uint *value_parts, const size_t part_step)
{
    for (int part = 0; part < DEPTH; part++) {
        for (int h = 0; h < 2; h++) {
            const int16 beyond = h * 16 + LANES >= count;
            __global uint *to = key_parts + part * BLOCK + h * HALF;
            __global const float *key[16];
#pragma unroll
            for (int i = 0; i < 16; i++)
                key[i] = keys + min(h * 16 + i, count - 1) * step + part * WIDE;
            for (int c = 0; c < 16; c += 4) {
                READ_COLUMNS(low, c)
                READ_COLUMNS(high, c + 16)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const float16 x = select(low[i], (float16)(0.0f), beyond);
                    const float16 y = select(high[i], (float16)(0.0f), beyond);
                    SPLIT_PAIR(x, y, to + (c + i) * 16)
                }
            }
        }
        for (int i = 0; i < 16; i++)
            for (int h = 0; h < 2; h++) {
                __global const float *value = values + i * step + part * WIDE + h * 16;
                const float16 x = i < count ? vload16(0, value) : (float16)(0.0f);
                const float16 y = i + 16 < count ? vload16(0, value + 16 * step) : (float16)(0.0f);
                SPLIT_PAIR(x, y, value_parts + part * part_step + h * HALF + i * 16)
            }
    }
}

/* What is added to the scores of keys, for all rows: -FLT_MAX where a key is dropped, -infinity, whose exponential is 0,
 * beyond the sequence's end. */
void drop_keys(__global const int *mask, const int masked, const int keys, const int width, __global float *drop);
void drop_keys(__global const int *mask, const int masked, const int keys, const int width, __global float *drop)
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
float softmax(__global float *scores, __global const float *drop, const int width, const int query, const float scale,
              __global uint *parts);
float softmax(__global float *scores, __global const float *drop, const int width, const int query, const float scale,
              __global uint *parts)
{
    float16 most = (float16)(-INFINITY), sums = (float16)(0.0f);
    for (int j = 0; j < width; j += 16) {
        __global float16 *x = (__global float16 *)(scores + j);
        const float16 y = fma(*x, (float16)(scale), DROP(j));
        most = select(most, y, y > most); /* fmax, which minds NaN, is five instructions */
        *x = y;
    }
    const float8 most8 = fmax(most.lo, most.hi);
    const float4 most4 = fmax(most8.lo, most8.hi);
    const float16 maximum = (float16)(MAX_4(most4));
    for (int j = 0; j < width; j += WIDE, parts += BLOCK) {
        __global const float16 *x = (__global const float16 *)(scores + j);
        const float16 e0 = exp_float16(x[0] - maximum), e1 = exp_float16(x[1] - maximum);
        sums += e0 + e1;
        SPLIT_PAIR(e0, e1, parts)
    }
    return 1.0f / SUM_N(sums);
}

/* What a work-item's next tasks read, fetched while those at hand are computed: pieces, of neighbouring heads' floats, are
 * a row's queries, keys and values in turn. A step of products fetches two, a line after each tile instruction, where waiting
 * for memory holds up nothing; what is left then is fetched evenly over the rows of softmax. */
#define STEP_PIECES 2
#define PIECE_LINES (MOST_HEADS * HEAD_SIZE / LINE)
typedef struct {
    __global const float *queries, *keys; /* the first rows */
    int query_count, key_count, heads;
    int pieces, done;
    int rows, left, due; /* softmax's; pieces left for them; left * rows so far, less what was fetched for it */
} ahead_t;

/* Tasks x to y - 1 of `next`, where they are below task_count, while those of `taken` are done. */
ahead_t plan_ahead(__global const float *q, __global const float *kv, __global const int *runs, const int2 taken,
                   const int2 next, const int task_count, const int heads);
ahead_t plan_ahead(__global const float *q, __global const float *kv, __global const int *runs, const int2 taken,
                   const int2 next, const int task_count, const int heads)
{
    ahead_t a = {q, kv, 0, 0, 0, 0, 0, 0, 0, 0};
    if (next.x < task_count) {
        __global const int *run = runs + FIELDS * (next.x / heads);
        const int hidden = heads * HEAD_SIZE, head = next.x % heads, begin = run[0], length = run[1];
        READ_KEYS(run)
        a.queries += (begin + run[2]) * Q_STEP + head * HEAD_SIZE;
        a.keys += key_begin * KV_STEP + KEYS_FIRST + head * HEAD_SIZE;
        a.query_count = run[3] - run[2];
        a.key_count = keys;
        a.heads = next.y - next.x;
        a.pieces = 3 * max(a.query_count, a.key_count);
    }
    __global const int *run = runs + FIELDS * (taken.x / heads);
    const int begin = run[0], length = run[1], queries = run[3] - run[2];
    READ_KEYS(run)
    const int blocks = (queries + WIDE - 1) / WIDE, panels = (keys + WIDE - 1) / WIDE;
    a.rows = (taken.y - taken.x) * queries;
    a.left = max(a.pieces - STEP_PIECES * (taken.y - taken.x) * blocks * panels * 2 * DEPTH, 0);
    return a;
}

/* The next piece; where there is none, one that was fetched. */
__global const float *next_piece(ahead_t *a, const int hidden);
__global const float *next_piece(ahead_t *a, const int hidden)
{
    const int i = a->done / 3, part = a->done % 3;
    if (a->done == a->pieces)
        return a->queries;
    a->done++;
    if (i >= (part == 0 ? a->query_count : a->key_count))
        return a->queries;
    return part == 0 ? a->queries + i * Q_STEP : a->keys + i * KV_STEP + (part - 1) * hidden;
}

/* Fetches what is due after one more row. */
void fetch_ahead(ahead_t *a, const int hidden);
void fetch_ahead(ahead_t *a, const int hidden)
{
    for (a->due += a->left; a->due >= a->rows; a->due -= a->rows) {
        __global const float *piece = next_piece(a, hidden);
        for (int c = 0; c < a->heads * HEAD_SIZE; c += LINE)
            PREFETCH_FAR(piece + c)
    }
}

#define FETCH_PIECES(i)                                                                                                \
    if ((i) < PIECE_LINES)                                                                                             \
        PREFETCH_FAR(piece0 + (i)*LINE)                                                                                \
    else if ((i) < 2 * PIECE_LINES)                                                                                    \
        PREFETCH_FAR(piece1 + ((i)-PIECE_LINES) * LINE)                                                                \
    else                                                                                                               \
        NO_MORE(i)
#define FETCH_ALL(i) FETCH_NEXT_AND(i, FETCH_PIECES)
#define SUM_BLOCKS(count)                                                                                              \
    for (int s = 0; s < (count); s++) {                                                                                \
        __global const float *piece0 = next_piece(ahead, hidden), *piece1 = next_piece(ahead, hidden);                 \
        if (halves == 2) {                                                                                             \
            STEP(FETCH_ALL)                                                                                            \
        } else {                                                                                                       \
            STEP_LOW(FETCH_ALL)                                                                                        \
        }                                                                                                              \
        src_parts += BLOCK;                                                                                            \
        weight_parts += BLOCK;                                                                                         \
    }

/* A head and a run of queries (do_heads), while `ahead` is fetched. */
void do_head(__global const float *q, __global const float *kv, __global const int *run, const int head,
             __global const int *key_mask, const int masked, __global float *dst, const int streams, __global uint *own,
             const int hidden, const float scale, ahead_t *ahead);
void do_head(__global const float *q, __global const float *kv, __global const int *run, const int head,
             __global const int *key_mask, const int masked, __global float *dst, const int streams, __global uint *own,
             const int hidden, const float scale, ahead_t *ahead)
{
    const int begin = run[0], length = run[1], end_query = run[3];
    READ_KEYS(run)
    const int all_panels = (keys + WIDE - 1) / WIDE;
    __global const float *key = kv + key_begin * KV_STEP + KEYS_FIRST + head * HEAD_SIZE;
    __global uint *queries = own, *key_parts = queries + DEPTH * BLOCK;
    __global uint *value_parts = key_parts + all_panels * (DEPTH * BLOCK);
    __global uint *exponentials = value_parts + all_panels * (DEPTH * BLOCK);
    for (int first = run[2], packed = 0; first < end_query; first += WIDE) {
        const int rows = min(WIDE, end_query - first), halves = rows > 16 ? 2 : 1;
        READ_SEEN
        const int panels = (seen + WIDE - 1) / WIDE, width = panels * WIDE;
        __global float *scores = (__global float *)(exponentials + panels * BLOCK);
        __global float *drop = scores + WIDE * width, *inverse = drop + width;
        for (; packed < panels; packed++, key += WIDE * KV_STEP)
            pack(key, key + hidden, KV_STEP, min(WIDE, keys - packed * WIDE), key_parts + packed * (DEPTH * BLOCK),
                 value_parts + packed * BLOCK, (size_t)all_panels * BLOCK);
        for (int part = 0; part < DEPTH; part++)
            split_rows(q + (begin + first) * Q_STEP + head * HEAD_SIZE + part * WIDE, Q_STEP, rows, WIDE, halves,
                       queries + part * BLOCK);
        drop_keys(key_mask + key_begin, masked, keys, width, drop);
        __global const uint *weight_parts = key_parts;
        for (int j = 0; j < width; j += WIDE) {
            __global const uint *src_parts = queries;
            CLEAR_SUMS_TILES()
            SUM_BLOCKS(DEPTH)
            MOVE_SUMS(TILE_STORE, scores + j, width * 4)
        }
        for (int i = 0; i < rows; i++) {
            fetch_ahead(ahead, hidden);
            inverse[i] =
                softmax(scores + i * width, drop, width, first + i, scale, exponentials + i / 16 * HALF + i % 16 * 16);
        }
        for (int part = 0; part < DEPTH; part++) {
            __global const uint *src_parts = exponentials;
            weight_parts = value_parts + (size_t)part * all_panels * BLOCK;
            CLEAR_SUMS_TILES()
            SUM_BLOCKS(panels)
            MOVE_SUMS(TILE_STORE, scores, WIDE * 4)
            for (int i = 0; i < rows; i++) {
                __global float *to = dst + (size_t)(begin + first + i) * hidden + head * HEAD_SIZE + part * WIDE;
                const float16 low = vload16(2 * i, scores) * inverse[i], high = vload16(2 * i + 1, scores) * inverse[i];
                if (streams != 0) {
                    STREAM_FLOATS(low, to)
                    STREAM_FLOATS(high, to + 16)
                } else {
                    STORE_FLOATS(low, to)
                    STORE_FLOATS(high, to + 16)
                }
            }
        }
    }
}

/* Takes tasks until there are none; how many it did. runs (run_count, FIELDS): first token and length of the sequence, first
 * query in it and the one after the last, and with CROSS where its keys begin and how many they are. A task is a run and a
 * head. streams: not 0 where dst is to pass the caches by. tasks: common/tasks.clh.
 * own: the work-item's share of the scratch, at least 33 W + 32 uints and 6 KiB for each of D + W / 32 + 2 D W / 32 blocks,
 * where W is the longest sequence rounded up to 32 and D HEAD_SIZE / 32. */
int do_heads(__global const float *q, __global const float *kv, __global const int *runs, __global const int *key_mask,
             const int masked, __global float *dst, const int streams, __global int *tasks, __global uint *own,
             const int run_count, const int heads, const float scale);
int do_heads(__global const float *q, __global const float *kv, __global const int *runs, __global const int *key_mask,
             const int masked, __global float *dst, const int streams, __global int *tasks, __global uint *own,
             const int run_count, const int heads, const float scale)
{
    const int hidden = heads * HEAD_SIZE, task_count = run_count * heads;
    int done = 0;
    for (int2 taken = take_tasks(tasks, task_count, heads, 1, MOST_HEADS), next; taken.x < task_count; taken = next) {
        next = take_tasks(tasks, task_count, heads, 1, MOST_HEADS);
        ahead_t ahead = plan_ahead(q, kv, runs, taken, next, task_count, heads);
        for (int task = taken.x; task < taken.y; task++, done++)
            do_head(q, kv, runs + FIELDS * (task / heads), task % heads, key_mask, masked, dst, streams, own, hidden, scale,
                    &ahead);
    }
    end_tasks(tasks);
    return done;
}

/* share: uints of the scratch for a work-item. Global range: any. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
attention__amx(__global const float *q, __global const float *kv, __global const int *runs,
               __global const int *key_mask, const int masked, __global float *dst, const int streams,
               __global int *tasks, __global uint *scratch, const int share, const int run_count, const int heads,
               const float scale)
{
    const int own = claim_share(tasks);
    TILE_CONFIGURE_WHOLE()
    do_heads(q, kv, runs, key_mask, masked, dst, streams, tasks, scratch + own * (size_t)share, run_count, heads, scale);
    TILE_RELEASE()
    leave_share(tasks, own);
}
