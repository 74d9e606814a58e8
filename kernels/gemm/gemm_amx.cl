/* Matrix product for CPU devices with x86's matrix tiles: float32 by six products of bfloat16 parts (common/amx.clh).
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * weight is packed in panels of 32 columns, [ceil(n / 32)][k][32], zeros beyond n, as for gemm_tile.cl; src, residual and
 * dst are row-major. A work-item does `rows_per_item` rows and `panels_per_item` panels. It first splits its rows of src
 * into parts, in local memory; then it goes through a panel in steps of 32 k, splitting the panel once for all its rows. A
 * block of 32 x 32 sums is four tile registers, a step 24 products and 14 loads of tiles. In a step the pairs that stand
 * side by side are k and k + 16, so that a pair is two vectors of a row of src, and two rows of the panel.
 *
 * While the matrix unit works, the vector units split the next step of the panel: a piece stands between each two tile
 * instructions. Where there is nothing to split the next step's parts and dst are fetched, and empty instructions fill up
 * what is missing to eight: tile instructions that follow each other more closely fill the scheduler, and where a
 * neighbour shares the core they take up to twice as long (Xeon of the fourth generation, virtual: 24 products 420 ns with
 * 4 instructions between, 250 with 8; without a neighbour 180, either way).
 *
 * k goes in chunks whose parts fit the second-level cache; sums wait in local memory meanwhile, as float32. Every
 * element's order of additions is that of the steps and of the products in them, wherever its row stands. The last block's
 * rows beyond m repeat the last row and are not stored; with at most 16 rows it is half a block. */

#if ACTIVATION == ACT_GELU || ACTIVATION == ACT_GELU_10 || ACTIVATION == ACT_LAPLACE
DEFINE_ERF(float16)
#endif

#define WIDE      32         /* of a panel, a block's rows, a step's k */
#define BLOCK     (6 * PART) /* uints: the parts of 32 x 32 floats, [half][part][16][16 pairs] */
#define HALF      (3 * PART)
#define STEP_FLOATS (WIDE * WIDE) /* of a panel */
#ifndef FETCH_WEIGHT
#define FETCH_WEIGHT PREFETCH_FAR
#endif
#define LINE      16         /* floats or uints in a cache line */
#define BLOCK_ROW (WIDE * (int)sizeof(float))

/* Parts of 32 k of up to 32 rows of src from `row` on; zeros beyond the `left` of k. */
void split_src(__global const float *src, const int row, const int last_row, const int k, const int at, const int halves,
               __local uint *to);
void split_src(__global const float *src, const int row, const int last_row, const int k, const int at, const int halves,
               __local uint *to)
{
    const int left = k - at;
    for (int half_of = 0; half_of < halves; half_of++)
        for (int i = 0; i < 16; i++) {
            __global const float *x = src + (size_t)min(row + half_of * 16 + i, last_row) * k + at;
            float16 x0, x1;
            if (left >= WIDE) {
                x0 = vload16(0, x);
                x1 = vload16(1, x);
            } else {
                float both[WIDE];
                for (int c = 0; c < WIDE; c++)
                    both[c] = c < left ? x[c] : 0.0f;
                x0 = vload16(0, both);
                x1 = vload16(1, both);
            }
            SPLIT_PAIR(x0, x1, to + half_of * HALF + i * 16)
        }
}

/* Rows i and i + 16 of a step of the panel, columns h * 16 to h * 16 + 15. */
#define SPLIT_WEIGHTS(from, i, h, to)                                                                                  \
    {                                                                                                                  \
        const float16 y0 = vload16(h, (from) + (i)*WIDE), y1 = vload16(h, (from) + ((i) + 16) * WIDE);                 \
        SPLIT_PAIR(y0, y1, (to) + (h)*HALF + (i)*16)                                                                   \
    }

/* A whole step at once; zeros beyond the `left` rows of the panel. */
void split_weights(__global const float *panel, const int left, __local uint *to);
void split_weights(__global const float *panel, const int left, __local uint *to)
{
    for (int i = 0; i < 16; i++) {
        const int i1 = i + 16;
        for (int h = 0; h < 2; h++) {
            const float16 y0 = i < left ? vload16(i * 2 + h, panel) : (float16)(0.0f);
            const float16 y1 = i1 < left ? vload16(i1 * 2 + h, panel) : (float16)(0.0f);
            SPLIT_PAIR(y0, y1, to + h * HALF + i * 16)
        }
    }
}

/* What stands between tile instructions, by their number in the step: fetching the next step's parts, which are in the
 * second-level cache, 192 lines; and, at the end, two rows of dst. */
#define FETCH_PARTS(line)                                                                                              \
    PREFETCH_NEAR(((line) % 2 == 0 ? src_parts : weight_parts) + BLOCK + (line) / 2 * LINE)
#define FETCH_DST(i)                                                                                                   \
    if ((i) >= 0)                                                                                                      \
        PREFETCH_WRITE(block_dst + (2 * s % WIDE + (i) / 2) * (size_t)n + (i) % 2 * LINE)
#define REST(i)                                                                                                        \
    FETCH_PARTS(5 * (i))                                                                                               \
    FETCH_PARTS(5 * (i) + 1)                                                                                           \
    FETCH_PARTS(5 * (i) + 2)                                                                                           \
    FETCH_PARTS(5 * (i) + 3)                                                                                           \
    FETCH_PARTS(5 * (i) + 4)                                                                                           \
    FETCH_DST((i) - 34)                                                                                                \
    ASSEMBLY("nop\n\tnop\n\tnop");
#define SPLIT_ONE(i)                                                                                                   \
    if ((i) < 32) {                                                                                                    \
        FETCH_WEIGHT(fetched + (i) / 2 * LINE + (i) % 2 * 2 * STEP_FLOATS)                                             \
        FETCH_WEIGHT(fetched + (i) / 2 * LINE + ((i) % 2 * 2 + 1) * STEP_FLOATS)                                       \
        SPLIT_WEIGHTS(next_weight, (i) % 16, (i) / 16 % 2, next)                                                       \
    } else {                                                                                                           \
        REST(i)                                                                                                        \
    }
#define SPLIT_TWO(i) SPLIT_ONE(2 * (i)) SPLIT_ONE(2 * (i) + 1)

/* Sums are tiles 0 to 3, rows of src 4 and 5, the panel 6 and 7. */
#define ROWS_LOW(part)   TILE_LOAD(4, src_parts, (part)*4 * PART, 64)
#define ROWS_HIGH(part)  TILE_LOAD(5, src_parts, ((part)*PART + HALF) * 4, 64)
#define PANEL_LOW(part)  TILE_LOAD(6, weight_parts, (part)*4 * PART, 64)
#define PANEL_HIGH(part) TILE_LOAD(7, weight_parts, ((part)*PART + HALF) * 4, 64)
#define LOAD_PANEL(part, W, i)                                                                                         \
    PANEL_LOW(part) W(i)                                                                                               \
    PANEL_HIGH(part) W(i + 1)
#define HI  0
#define MID 1
#define LO  2

/* 38 tile instructions. The order of parts leaves one side in its registers from one group of products to the next. */
#define LOAD_ROWS(part, W, i)                                                                                          \
    ROWS_LOW(part) W(i)                                                                                                \
    ROWS_HIGH(part) W(i + 1)
#define MULTIPLY(W, i)                                                                                                 \
    TILE_PRODUCT(0, 4, 6) W(i)                                                                                         \
    TILE_PRODUCT(1, 4, 7) W(i + 1)                                                                                     \
    TILE_PRODUCT(2, 5, 6) W(i + 2)                                                                                     \
    TILE_PRODUCT(3, 5, 7) W(i + 3)
#define STEP(W)                                                                                                        \
    LOAD_ROWS(HI, W, 0)                                                                                                \
    LOAD_PANEL(LO, W, 2) MULTIPLY(W, 4)                                                                                \
    LOAD_PANEL(MID, W, 8) MULTIPLY(W, 10)                                                                              \
    LOAD_PANEL(HI, W, 14) MULTIPLY(W, 16)                                                                              \
    LOAD_ROWS(LO, W, 20) MULTIPLY(W, 22)                                                                               \
    LOAD_ROWS(MID, W, 26) MULTIPLY(W, 28)                                                                              \
    LOAD_PANEL(MID, W, 32) MULTIPLY(W, 34)

/* The same for half a block: 23 tile instructions. */
#define MULTIPLY_LOW(W, i)                                                                                             \
    TILE_PRODUCT(0, 4, 6) W(i)                                                                                         \
    TILE_PRODUCT(1, 4, 7) W(i + 1)
#define STEP_LOW(W)                                                                                                    \
    ROWS_LOW(HI) W(0)                                                                                                  \
    LOAD_PANEL(LO, W, 1) MULTIPLY_LOW(W, 3)                                                                            \
    LOAD_PANEL(MID, W, 5) MULTIPLY_LOW(W, 7)                                                                           \
    LOAD_PANEL(HI, W, 9) MULTIPLY_LOW(W, 11)                                                                           \
    ROWS_LOW(LO) W(13) MULTIPLY_LOW(W, 14)                                                                             \
    ROWS_LOW(MID) W(16) MULTIPLY_LOW(W, 17)                                                                            \
    LOAD_PANEL(MID, W, 19) MULTIPLY_LOW(W, 21)

/* The steps of a chunk for one block. The first block of a panel splits it, one step ahead; the last one the first step of
 * the next panel. */
#define SUM_STEPS(STEP, SPLIT)                                                                                         \
    for (int s = 0; s < count; s++) {                                                                                  \
        const bool ends = s + 1 == count, splits = ends ? block + 1 == blocks && panel + 1 < end_panel : block == 0;   \
        const int at = ends ? 0 : s + 1, left = k - (first + at) * WIDE;                                               \
        __global const float *next_weight = weight_chunk + (ends ? (size_t)k * WIDE : (size_t)at * STEP_FLOATS);       \
        const int ahead = s + 5 - s % 4;                                                                               \
        __global const float *fetched = weight_chunk + s % 4 * (4 * LINE * 4) +                                        \
                                        (ahead < count ? 0 : (size_t)k * WIDE) +                                       \
                                        (size_t)(ahead < count ? ahead : ahead - count) * STEP_FLOATS;                 \
        turn ^= 1;                                                                                                     \
        __local uint *next = panel_parts + (rows_per_item > WIDE ? at : turn) * BLOCK;                                           \
        if (splits && left >= WIDE) {                                                                                  \
            STEP(SPLIT)                                                                                                \
        } else {                                                                                                       \
            if (splits)                                                                                                \
                split_weights(next_weight, left, next);                                                                \
            STEP(REST)                                                                                                 \
        }                                                                                                              \
        src_parts += BLOCK;                                                                                            \
        weight_parts = next;                                                                                           \
    }

#ifdef RESIDUAL
#define ADD_RESIDUAL(y, at) ((y) + vload16(0, residual + (at)))
#define RESIDUAL_AT(at)     residual[at]
#else
#define ADD_RESIDUAL(y, at) (y)
#define RESIDUAL_AT(at)     0.0f
#endif

/* The epilogue of up to 32 rows of 32 sums, of which `columns` are stored. */
void finish(__local float *sums, __global const float *bias, __global const float *residual, __global float *dst,
            const int rows, const int columns, const int n);
void finish(__local float *sums, __global const float *bias, __global const float *residual, __global float *dst,
            const int rows, const int columns, const int n)
{
    const float16 bias0 = vload16(0, bias), bias1 = vload16(1, bias);
    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * n;
        const float16 x0 = vload16(2 * i, sums) + bias0, x1 = vload16(2 * i + 1, sums) + bias1;
        const float16 y0 = ACTIVATE(float16, x0), y1 = ACTIVATE(float16, x1);
        if (columns == WIDE) {
            vstore16(ADD_RESIDUAL(y0, at), 0, dst + at);
            vstore16(ADD_RESIDUAL(y1, at + 16), 0, dst + at + 16);
            continue;
        }
        float row[WIDE];
        vstore16(y0, 0, row);
        vstore16(y1, 1, row);
        for (int c = 0; c < columns; c++)
            dst[at + c] = row[c] + RESIDUAL_AT(at + c);
    }
}

/* Global range: (ceil(panels / panels_per_item), ceil(m / rows_per_item)); rows_per_item is a multiple of 32, chunk counts
 * steps. Local memory, in KiB: 6 chunk for each 32 rows of an item, 6 chunk for a panel (12 where an item has 32 rows), and 4 for
 * each of the item's blocks where k is more than a chunk, else 4; and 64 bytes to align it. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
gemm__amx(__global const float *restrict src, __global const float *restrict weight, __global const float *restrict bias,
          __global const float *residual, __global float *dst, __local uint *local_memory, const int m, const int n,
          const int k, const int rows_per_item, const int panels_per_item, const int chunk)
{
    const int begin = (int)get_global_id(1) * rows_per_item, end = min(m, begin + rows_per_item);
    const int blocks = (end - begin + WIDE - 1) / WIDE, steps = (k + WIDE - 1) / WIDE;
    const int first_panel = (int)get_global_id(0) * panels_per_item;
    const int end_panel = min((n + WIDE - 1) / WIDE, first_panel + panels_per_item);
    __local uint *all_src_parts = (__local uint *)(((size_t)local_memory + 63) / 64 * 64);
    __local uint *panel_parts = all_src_parts + (size_t)rows_per_item / WIDE * chunk * BLOCK;
    __local float *all_sums = (__local float *)(panel_parts + (size_t)(rows_per_item > WIDE ? chunk : 2) * BLOCK);
    int turn = 0; /* one block needs a panel's steps once, so two places serve it in turns */
    TILE_CONFIGURE_WHOLE()
    for (int first = 0; first < steps; first += chunk) {
        const int count = min(chunk, steps - first);
        for (int block = 0; block < blocks; block++)
            for (int s = 0; s < count; s++)
                split_src(src, begin + block * WIDE, end - 1, k, (first + s) * WIDE,
                          begin + block * WIDE + 16 < end ? 2 : 1, all_src_parts + ((size_t)block * count + s) * BLOCK);
        __local uint *weight_parts = panel_parts;
        turn = 0;
        split_weights(weight + ((size_t)first_panel * k + (size_t)first * WIDE) * WIDE, k - first * WIDE, weight_parts);
        for (int panel = first_panel; panel < end_panel; panel++) {
            __global const float *weight_chunk = weight + ((size_t)panel * k + (size_t)first * WIDE) * WIDE;
            for (int block = 0; block < blocks; block++) {
                const int row = begin + block * WIDE, rows = min(WIDE, end - row);
                __global float *block_dst = dst + (size_t)row * n + panel * WIDE;
                __local uint *src_parts = all_src_parts + (size_t)block * count * BLOCK;
                __local float *sums =
                    all_sums + (steps > chunk ? ((panel - first_panel) * blocks + block) * (WIDE * WIDE) : 0);
                if (first == 0) {
                    TILE_ZERO(0)
                    TILE_ZERO(1)
                    TILE_ZERO(2)
                    TILE_ZERO(3)
                } else {
                    TILE_LOAD(0, sums, 0, BLOCK_ROW)
                    TILE_LOAD(1, sums, 64, BLOCK_ROW)
                    TILE_LOAD(2, sums, 16 * BLOCK_ROW, BLOCK_ROW)
                    TILE_LOAD(3, sums, 16 * BLOCK_ROW + 64, BLOCK_ROW)
                }
                if (rows > 16)
                    SUM_STEPS(STEP, SPLIT_ONE)
                else
                    SUM_STEPS(STEP_LOW, SPLIT_TWO)
                TILE_STORE(0, sums, 0, BLOCK_ROW)
                TILE_STORE(1, sums, 64, BLOCK_ROW)
                TILE_STORE(2, sums, 16 * BLOCK_ROW, BLOCK_ROW)
                TILE_STORE(3, sums, 16 * BLOCK_ROW + 64, BLOCK_ROW)
                if (first + count == steps)
                    finish(sums, bias + panel * WIDE, residual + (size_t)row * n + panel * WIDE,
                           block_dst, rows, min(WIDE, n - panel * WIDE), n);
            }
        }
    }
    TILE_RELEASE()
}
