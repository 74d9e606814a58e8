/* Matrix product for CPU devices with x86's matrix tiles: float32 by six products of bfloat16 parts (common/amx.clh).
 *
 *     dst[i][j] = act(sum_k src[i][k] weight[j][k] + bias[j]) + residual[i][j]
 *
 * weight is packed in panels of 32 columns, [ceil(n / 32)][k][32], zeros beyond n, as for gemm_tile.cl; src, residual and
 * dst are row-major. A task is some panels of a group of rows. A work-item first splits its rows of src into parts, in
 * its share of the scratch; then it goes through a panel in steps of 32 k, splitting the panel once for all its rows. A
 * block of 32 x 32 sums is four tile registers, a step 24 products and 14 loads of tiles. In a step the pairs that stand
 * side by side are k and k + 16, so that a pair is two vectors of a row of src, and two rows of the panel.
 *
 * While the matrix unit works, the vector units split the next step of the panel: a piece stands between each two tile
 * instructions.
 *
 * k goes in chunks whose parts fit the second-level cache; sums wait in the share meanwhile, as float32. Every
 * element's order of additions is that of the steps and of the products in them, wherever its row stands. The last block's
 * rows beyond m repeat the last row and are not stored; with at most 16 rows it is half a block. */

#if ACTIVATION == ACT_GELU || ACTIVATION == ACT_GELU_10 || ACTIVATION == ACT_LAPLACE
DEFINE_ERF(float16)
#endif

#define STEP_FLOATS (WIDE * WIDE) /* of a panel */
#define BLOCK_ROW   (WIDE * (int)sizeof(float))

/* Rows i and i + 16 of a step of the panel, columns h * 16 to h * 16 + 15. */
#define SPLIT_WEIGHTS(from, i, h, to)                                                                                  \
    {                                                                                                                  \
        const float16 y0 = vload16(h, (from) + (i)*WIDE), y1 = vload16(h, (from) + ((i) + 16) * WIDE);                 \
        SPLIT_PAIR(y0, y1, (to) + (h)*HALF + (i)*16)                                                                   \
    }

/* A whole step at once; zeros beyond the `left` rows of the panel. */
void split_weights(__global const float *panel, const int left, __global uint *to);
void split_weights(__global const float *panel, const int left, __global uint *to)
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

/* The panel is fetched some steps ahead, from PAGES of them at a time, of 4 KiB each where it is one of float32: hardware runs
 * ahead within a page alone, and this way it does so in all of them (two cores of a Xeon, in turns: one page at a time 17
 * to 19 GB/s, four 22 to 23, eight 23 to 25). To the second-level cache, since the first is too small for as much. Line
 * `line` of 64 of the step that is PAGES to 2 PAGES - 1 steps ahead, if they were in order. */
#define PAGES      8
#define STEP_LINES (STEP_FLOATS / LINE)
#define FETCH_WEIGHT(line) PREFETCH_FAR(fetched + (line) / PAGES * LINE + (line) % PAGES * STEP_FLOATS)

/* The same for a panel's first steps, in step s of splitting src, when nothing else is read from memory. */
#define FIRST_LINES 2 /* of a page */
void fetch_first(__global const float *panel, const int count, const int s);
void fetch_first(__global const float *panel, const int count, const int s)
{
    const int line = s * FIRST_LINES, pages = line / STEP_LINES * PAGES;
    if (pages + PAGES >= count)
        return;
    __global const float *from = panel + (size_t)pages * STEP_FLOATS + line % STEP_LINES * LINE;
    for (int page = 0; page <= PAGES; page++)
        for (int i = 0; i < FIRST_LINES; i++)
            PREFETCH_FAR(from + page * STEP_FLOATS + i * LINE)
}

/* What stands between tile instructions, by their number in the step: a 32nd of splitting the panel's next step, or the rest.
 * The src parts of the next step are fetched into the first-level cache, since a tile waits for each of its lines. Two
 * rows of dst are fetched in each step, and after the first block, which splits, a share of the panel that follows:
 * SPREAD lines, so that four blocks fetch it all. */
#define SPREAD 22
#define FETCH_SRC(line) PREFETCH_NEAR(next_src_parts + (line)*LINE)
#define FETCH_DST(i)    PREFETCH_WRITE(block_dst + min(2 * s % WIDE + (i) / 2, rows - 1) * (size_t)n + (i) % 2 * LINE)
#define REST(i)                                                                                                        \
    FETCH_NEXT(i)                                                                                                      \
    if ((i) < SPREAD)                                                                                                  \
        PREFETCH_FAR(spread + (i)*LINE)                                                                                \
    if ((i) >= 34 && (i) < 38)                                                                                         \
        FETCH_DST((i)-34)
#define SPLIT_PIECE(i)                                                                                                 \
    {                                                                                                                  \
        FETCH_WEIGHT(2 * (i))                                                                                          \
        FETCH_WEIGHT(2 * (i) + 1)                                                                                      \
        SPLIT_WEIGHTS(next_weight, (i) / 2, (i) % 2, next)                                                             \
    }
#define SPLIT_ONE(i)                                                                                                   \
    if ((i) < 32) {                                                                                                    \
        FETCH_SRC(3 * (i))                                                                                             \
        FETCH_SRC(3 * (i) + 1)                                                                                         \
        FETCH_SRC(3 * (i) + 2)                                                                                         \
        SPLIT_PIECE(i)                                                                                                 \
    } else {                                                                                                           \
        REST(i)                                                                                                        \
    }
/* Among 23 instructions instead of 38: one or two pieces, and half of the lines of src. */
#define PIECE(i) ((32 * (i) + 22) / 23)
#define SPLIT_TWO(i)                                                                                                   \
    FETCH_SRC(2 * (i))                                                                                                 \
    FETCH_SRC(2 * (i) + 1)                                                                                             \
    if ((i) == 22) {                                                                                                   \
        FETCH_SRC(46)                                                                                                  \
        FETCH_SRC(47)                                                                                                  \
    }                                                                                                                  \
    if ((i) >= 19)                                                                                                     \
        FETCH_DST((i)-19)                                                                                              \
    SPLIT_PIECE(PIECE(i))                                                                                              \
    if (PIECE(i) + 1 < PIECE((i) + 1)) {                                                                               \
        SPLIT_PIECE(PIECE(i) + 1)                                                                                      \
    }

/* The steps of a chunk for one block. The first block of a panel splits it, one step ahead; the last one the first step of
 * the panel that follows, if one does. Where that is another task's, the task is taken late: nobody sits on it. */
#define SUM_STEPS(STEP, SPLIT)                                                                                         \
    for (int s = 0; s < count; s++) {                                                                                  \
        if (s == takes_at) {                                                                                           \
            task = take_tasks(tasks, all_panels, panels, least, most);                                                 \
            follows = task.x < all_panels && task.x / panels == group;                                                 \
            following = weight + (size_t)(task.x % panels) * k * WIDE;                                                 \
        }                                                                                                              \
        const bool ends = s + 1 == count, splits = ends ? block + 1 == blocks && follows : block == 0;                 \
        const int at = ends ? 0 : s + 1, left = k - (first + at) * WIDE;                                               \
        __global const float *next_weight = ends ? following : weight_chunk + (size_t)at * STEP_FLOATS;                \
        const int ahead = s + 1 + PAGES - s % PAGES;                                                                   \
        __global const float *fetched = (ahead < count ? weight_chunk : following) +                                   \
                                        s % PAGES * (STEP_FLOATS / PAGES) +                                            \
                                        (size_t)(ahead < count ? ahead : ahead - count) * STEP_FLOATS;                 \
        __global const float *spread = coming + (size_t)((max(block, 1) - 1) * count + s) * (SPREAD * LINE);           \
        __global uint *next_src_parts = ends && block + 1 == blocks ? all_src_parts : src_parts + BLOCK;               \
        turn ^= splits;                                                                                                \
        __global uint *next = panel_parts + (keeps ? at : turn) * BLOCK;                                               \
        if (splits && left >= WIDE) {                                                                                  \
            STEP(SPLIT)                                                                                                \
        } else {                                                                                                       \
            if (splits)                                                                                                \
                split_weights(next_weight, left, next);                                                                \
            STEP(REST)                                                                                                 \
        }                                                                                                              \
        src_parts = next_src_parts;                                                                                    \
        weight_parts = next;                                                                                           \
    }
/* The step in which fetching reaches the panel that follows. */
#define FIRST_AHEAD(count) ((count) < PAGES + 2 ? 0 : ((count)-2) / PAGES * PAGES)

/* The epilogue of up to 32 rows of 32 sums, of which `columns` are stored. residual: NULL for none */
void finish(__global float *sums, __global const float *bias, __global const float *residual, __global float *dst,
            const int rows, const int columns, const int n, const int activates);
void finish(__global float *sums, __global const float *bias, __global const float *residual, __global float *dst,
            const int rows, const int columns, const int n, const int activates)
{
    const float16 bias0 = vload16(0, bias), bias1 = vload16(1, bias);
    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * n;
        float16 x0 = vload16(2 * i, sums) + bias0, x1 = vload16(2 * i + 1, sums) + bias1;
        if (activates) {
            x0 = ACTIVATE(float16, x0);
            x1 = ACTIVATE(float16, x1);
        }
        if (columns == WIDE) {
            if (residual != 0) {
                x0 += vload16(0, residual + at);
                x1 += vload16(1, residual + at);
            }
            STORE_FLOATS(x0, dst + at)
            STORE_FLOATS(x1, dst + at + 16)
            continue;
        }
        float row[WIDE];
        vstore16(x0, 0, row);
        vstore16(x1, 1, row);
        for (int c = 0; c < columns; c++)
            dst[at + c] = residual != 0 ? row[c] + residual[at + c] : row[c];
    }
}

/* Takes tasks, one after the other, until there are none; how many panels it did. The parts of a group's rows serve further
 * tasks of it, where k is one chunk. tasks (common/tasks.clh) are panels, those of one group of rows after those of the
 * other; group_rows is a multiple of 32, chunk counts steps; a task has `least` to `most` panels. residual: NULL for none
 *
 * own: the work-item's share of the scratch. In KiB at least: 6 chunk for each 32 rows of a group; 6 chunk for a panel, but 12
 * at least, and where a group has 32 rows; 4 for each 32 rows and panel of a task where k is more than a chunk, else 4. */
int do_products(__global const float *src, __global const float *weight, __global const float *bias,
                __global const float *residual, __global float *dst, __global int *tasks, __global uint *own, const int m,
                const int n, const int k, const int group_rows, const int chunk, const int least, const int most,
                const int activates);
int do_products(__global const float *src, __global const float *weight, __global const float *bias,
                __global const float *residual, __global float *dst, __global int *tasks, __global uint *own, const int m,
                const int n, const int k, const int group_rows, const int chunk, const int least, const int most,
                const int activates)
{
    const int panels = (n + WIDE - 1) / WIDE, all_panels = (m + group_rows - 1) / group_rows * panels;
    const int steps = (k + WIDE - 1) / WIDE;
    __global uint *all_src_parts = own;
    __global uint *panel_parts = all_src_parts + (size_t)group_rows / WIDE * chunk * BLOCK;
    __global float *all_sums = (__global float *)(panel_parts + (size_t)(group_rows > WIDE ? max(chunk, 2) : 2) * BLOCK);
    int done = 0;
    int2 task = take_tasks(tasks, all_panels, panels, least, most);
    for (int group = -1; task.x < all_panels;) {
        const int first_panel = task.x % panels, new_group = task.x / panels;
        const int begin = new_group * group_rows, end = min(m, begin + group_rows);
        const int blocks = (end - begin + WIDE - 1) / WIDE;
        for (int first = 0; first < steps; first += chunk) {
            const int count = min(chunk, steps - first);
            __global const float *weight_chunk = weight + ((size_t)first_panel * k + (size_t)first * WIDE) * WIDE;
            if (steps > chunk || new_group != group)
                for (int block = 0; block < blocks; block++)
                    for (int s = 0; s < count; s++) {
                        if (block == 0)
                            fetch_first(weight_chunk, count, s);
                        split_rows(src + (size_t)(begin + block * WIDE) * k + (first + s) * WIDE, (size_t)k,
                                   end - begin - block * WIDE, k - (first + s) * WIDE,
                                   begin + block * WIDE + 16 < end ? 2 : 1,
                                   all_src_parts + ((size_t)block * count + s) * BLOCK);
                    }
            group = new_group;
            __global uint *weight_parts = panel_parts;
            const bool keeps = group_rows > WIDE && count > 1; /* a panel's steps for further blocks; else two places in turns */
            int turn = 0;
            split_weights(weight_chunk, k - first * WIDE, weight_parts);
            int panel = first_panel, end_panel = first_panel + task.y - task.x;
            for (bool follows = true; follows;) {
                follows = panel + 1 < end_panel;
                const bool takes = !follows && steps <= chunk;
                __global const float *following = weight_chunk + (size_t)k * WIDE;
                for (int block = 0; block < blocks; block++) {
                    const int row = begin + block * WIDE, rows = min(WIDE, end - row);
                    const int takes_at = takes && block + 1 == blocks ? FIRST_AHEAD(count) : -1;
                    __global const float *coming =
                        follows                 ? following
                        : first + count < steps ? weight + ((size_t)first_panel * k + (size_t)(first + count) * WIDE) * WIDE
                                                : weight + (size_t)(*(volatile __global int *)tasks % panels) * k * WIDE;
                    __global float *block_dst = dst + (size_t)row * n + panel * WIDE;
                    __global uint *src_parts = all_src_parts + (size_t)block * count * BLOCK;
                    __global float *sums =
                        all_sums + (steps > chunk ? ((panel - first_panel) * blocks + block) * (WIDE * WIDE) : 0);
                    if (first == 0) {
                        CLEAR_SUMS_TILES()
                    } else {
                        MOVE_SUMS(TILE_LOAD, sums, BLOCK_ROW)
                    }
                    if (rows > 16)
                        SUM_STEPS(STEP, SPLIT_ONE)
                    else
                        SUM_STEPS(STEP_LOW, SPLIT_TWO)
                    MOVE_SUMS(TILE_STORE, sums, BLOCK_ROW)
                    if (first + count == steps)
                        finish(sums, bias + panel * WIDE,
                               residual != 0 ? residual + (size_t)row * n + panel * WIDE : residual, block_dst, rows,
                               min(WIDE, n - panel * WIDE), n, activates);
                }
                done += first + count == steps;
                weight_chunk = following;
                panel = takes ? task.x % panels : panel + 1;
                end_panel = takes ? panel + task.y - task.x : end_panel;
            }
        }
        if (steps > chunk)
            task = take_tasks(tasks, all_panels, panels, least, most);
    }
    end_tasks(tasks);
    return done;
}

/* share: uints of the scratch for a work-item. Global range: any. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
gemm__amx(__global const float *src, __global const float *weight, __global const float *bias,
          __global const float *residual, __global float *dst, __global int *tasks, __global uint *scratch, const int share,
          const int m, const int n, const int k, const int group_rows, const int chunk, const int least, const int most)
{
    const int own = claim_share(tasks);
    TILE_CONFIGURE_WHOLE()
    do_products(src, weight, bias, residual, dst, tasks, scratch + own * (size_t)share, m, n, k, group_rows, chunk, least, most,
                1);
    TILE_RELEASE()
    leave_share(tasks, own);
}
