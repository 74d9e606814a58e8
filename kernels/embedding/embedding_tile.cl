/* Embeddings and their layer norm in one, for CPU devices: a work-item does a row tile (layer_norm_tile.cl, rows.clh).
 *
 *     x[t] = (word[input_ids[t]] + token_type[token_type_ids[t]]) + position[position_ids[t]];  dst = norm(x)
 *
 * Element (row, h) of `word` stands at ((row / WORD_BLOCK) * hidden + h) * WORD_BLOCK + row % WORD_BLOCK. Rows beyond the
 * last token repeat it. Global range: (tiles). */

#ifndef WORD_BLOCK
#define WORD_BLOCK 1
#endif

__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void
embedding__tile(__global const float *word, __global const float *position, __global const float *token_type,
                __global const int *input_ids, __global const int *position_ids, __global const int *token_type_ids,
                __global const float *weight, __global const float *bias, __global float *dst, const int tokens,
                const int hidden, const int vocab, const int positions, const int types, const float eps)
{
    const int first = (int)get_global_id(0) * TILE_M;
    __global float *tile = dst + (size_t)first * ((hidden + 3) / 4 * 4);
    for (int i = 0; i < TILE_M; i++) {
        const int t = min(first + i, tokens - 1);
        /* The host has checked the ids; clamping keeps a mistake there from reading foreign memory. */
        const uint id = (uint)clamp(input_ids[t], 0, vocab - 1);
        __global const float *w = word + (size_t)(id / WORD_BLOCK) * hidden * WORD_BLOCK + id % WORD_BLOCK;
        __global const float *p = position + (size_t)clamp(position_ids[t], 0, positions - 1) * hidden;
        __global const float *e = token_type + (size_t)clamp(token_type_ids[t], 0, types - 1) * hidden;
        for (int h = 0; h < hidden; h++)
            tile[(h / 4 * TILE_M + i) * 4 + h % 4] = (w[(size_t)h * WORD_BLOCK] + e[h]) + p[h];
    }
    normalise(tile, weight, bias, tile, hidden, eps);
}
