/* A layer of the encoder in one launch, for few rows on CPU devices with x86's matrix tiles: seven operators one after the
 * other, by the functions of their own kernels, so every bit is theirs.
 *
 *     qkv = hidden Wqkv + bqkv;  context = attention(qkv);  middle = norm(context Wo + bo + hidden)
 *     inner = act(middle W1 + b1);  hidden = norm(inner W2 + b2 + middle)
 *
 * A launch costs 10 to 20 us where threads sleep in between, and several times that where others use the machine; with 16
 * rows the operators take 10 to 400. */

/* A work-item takes rows until there are none; how many it did. */
int do_rows(__global float *rows, __global const float *weight, __global const float *bias, __global int *tasks, const int m,
            const int hidden, const float eps);
int do_rows(__global float *rows, __global const float *weight, __global const float *bias, __global int *tasks, const int m,
            const int hidden, const float eps)
{
    int done = 0;
    for (int row = atomic_inc(tasks); row < m; row = atomic_inc(tasks), done++) {
        __global float *x = rows + (size_t)row * hidden;
        normalise_row(x, weight, bias, x, hidden, eps);
    }
    end_tasks(tasks);
    return done;
}

/* The stages that are counted: four products, attention, two norms. */
#define ATTENTION  4
#define FIRST_NORM 5
#define STAGES     7

/* hidden (m, hidden_size), qkv (m, 3 width), context (m, width), middle (m, hidden_size), inner (m, inner_size), m <= 32;
 * width: heads * HEAD_SIZE. Weights as for gemm__amx; runs, key_mask and masked as for attention__amx.
 * tasks: 2 int and one for each work-item (common/tasks.clh), then 3 for each stage; zeros before and after a launch.
 * share: uints of the scratch for a work-item, as much as the operators need. patience: finish_stage's. Global range: any. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
encoder_layer__amx(__global float *hidden, __global float *qkv, __global float *context, __global float *middle,
                   __global float *inner, __global const float *qkv_weight, __global const float *qkv_bias,
                   __global const float *out_weight, __global const float *out_bias, __global const float *middle_scale,
                   __global const float *middle_shift, __global const float *inner_weight,
                   __global const float *inner_bias, __global const float *last_weight, __global const float *last_bias,
                   __global const float *last_scale, __global const float *last_shift, __global const int *runs,
                   __global const int *key_mask, const int masked, __global int *tasks, __global uint *scratch,
                   const int share, const int m, const int hidden_size, const int inner_size, const int run_count,
                   const int heads, const float scale, const float eps, const int patience)
{
    const int width = heads * HEAD_SIZE, own = claim_share(tasks);
    __global uint *parts = scratch + own * (size_t)share;
    __global int *counters = tasks + 2 + get_global_size(0), *done = counters + 2 * STAGES;
    /* In a loop, since compilers put functions where they are called: a third of the code, and of the time to compile. */
    __global const float *const src[] = {hidden, context, middle, inner};
    __global const float *const weight[] = {qkv_weight, out_weight, inner_weight, last_weight};
    __global const float *const bias[] = {qkv_bias, out_bias, inner_bias, last_bias};
    __global const float *const residual[] = {0, hidden, 0, middle};
    __global float *const dst[] = {qkv, middle, inner, hidden};
    const int n[] = {3 * width, hidden_size, inner_size, hidden_size}, k[] = {hidden_size, width, hidden_size, inner_size};
    TILE_CONFIGURE_WHOLE()
    bool stays = true;
    for (int i = 0; i < 4 && stays; i++) {
        const int panels = (n[i] + WIDE - 1) / WIDE, steps = (k[i] + WIDE - 1) / WIDE;
        /* all rows in one group, all of k in one chunk */
        const int products = do_products(src[i], weight[i], bias[i], residual[i], dst[i], counters + 2 * i, parts, m, n[i], k[i],
                                         WIDE, steps, 1, panels, i == 2);
        stays = finish_stage(done + i, products, panels, patience);
        if (stays && i == 0) {
            const int own_heads = do_heads(qkv, qkv, runs, key_mask, masked, context, 0, counters + 2 * ATTENTION, parts,
                                           run_count, heads, scale);
            stays = finish_stage(done + ATTENTION, own_heads, run_count * heads, patience);
        }
        if (stays && i % 2 == 1) {
            const int stage = FIRST_NORM + i / 2;
            const int own_rows = do_rows(dst[i], i == 1 ? middle_scale : last_scale, i == 1 ? middle_shift : last_shift,
                                         counters + 2 * stage, m, hidden_size, eps);
            stays = finish_stage(done + stage, own_rows, m, patience);
        }
    }
    TILE_RELEASE()
    leave_share(tasks, own);
    if (atomic_inc(tasks) + 1 == (int)get_global_size(0)) { /* the last one */
        for (int i = 0; i < 3 * STAGES; i++)
            counters[i] = 0;
        tasks[0] = 0;
    }
}
