/* Layer norm of a row tile, for CPU devices: a work-item does TILE_M rows, VEC_N / 4 of them in a vector.
 *
 * In row tiles (rows.clh) a vector is four columns of VEC_N / 4 neighbouring rows, so the sums of those rows run side by
 * side in its lanes; every four lanes are added at the end. TILE_M rows of 768 columns are 36 KiB, which stay in the
 * first-level cache over the passes. A row's own lanes and order are the same wherever it stands.
 *
 * embedding_tile.cl uses the same function on rows that it has just summed. Rows beyond the last are computed from what
 * lies there. Columns beyond `hidden`, up to a multiple of four, are kept out of the sums. */

/* Four values from column c on, zeros beyond the end. */
float4 four_of(__global const float *values, const int c, const int hidden);
float4 four_of(__global const float *values, const int c, const int hidden)
{
    if (c + 4 <= hidden)
        return vload4(0, values + c);
    return (float4)(values[c], c + 1 < hidden ? values[c + 1] : 0.0f, c + 2 < hidden ? values[c + 2] : 0.0f, 0.0f);
}

/* 1 for columns below hidden, else 0 */
float4 four_kept(const int c, const int hidden);
float4 four_kept(const int c, const int hidden)
{
    return select((float4)(1.0f), (float4)(0.0f), c + (int4)(0, 1, 2, 3) >= hidden);
}

void normalise(__global const float *x, __global const float *weight, __global const float *bias, __global float *y,
               const int hidden, const float eps);
void normalise(__global const float *x, __global const float *weight, __global const float *bias, __global float *y,
               const int hidden, const float eps)
{
    FLOATN sums[PARTS], squares[PARTS];
#pragma unroll
    for (int p = 0; p < PARTS; p++)
        sums[p] = squares[p] = (FLOATN)(0.0f);
    const int whole = hidden / 4;
    for (int q = 0; q < whole; q++)
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            sums[p] += VLOADN(q * PARTS + p, x);
    if (hidden % 4 != 0)
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            sums[p] += select((FLOATN)(0.0f), VLOADN(whole * PARTS + p, x),
                              REPEAT_FOUR(four_kept(4 * whole, hidden)) > (FLOATN)(0.0f));
#pragma unroll
    for (int p = 0; p < PARTS; p++)
        sums[p] = SUM_FOURS(sums[p]) / (FLOATN)((float)hidden); /* the means now */
    for (int q = 0; q < whole; q++)
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            const FLOATN d = VLOADN(q * PARTS + p, x) - sums[p];
            squares[p] = fma(d, d, squares[p]);
        }
    if (hidden % 4 != 0)
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            const FLOATN d = select((FLOATN)(0.0f), VLOADN(whole * PARTS + p, x) - sums[p],
                                    REPEAT_FOUR(four_kept(4 * whole, hidden)) > (FLOATN)(0.0f));
            squares[p] = fma(d, d, squares[p]);
        }
#pragma unroll
    for (int p = 0; p < PARTS; p++)
        squares[p] = (FLOATN)(1.0f) / sqrt(SUM_FOURS(squares[p]) / (FLOATN)((float)hidden) + (FLOATN)(eps));
    for (int q = 0; q * 4 < hidden; q++) {
        const FLOATN w = REPEAT_FOUR(four_of(weight, 4 * q, hidden)), b = REPEAT_FOUR(four_of(bias, 4 * q, hidden));
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            VSTOREN(fma((VLOADN(q * PARTS + p, x) - sums[p]) * squares[p], w, b), q * PARTS + p, y);
    }
}

/* Global range: (tiles). dst may be src. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
layer_norm__tile(__global const float *src, __global const float *weight, __global const float *bias,
                 __global float *dst, const int rows, const int hidden, const float eps)
{
    const size_t at = get_global_id(0) * TILE_M * ((hidden + 3) / 4 * 4);
    normalise(src + at, weight, bias, dst + at, hidden, eps);
}
