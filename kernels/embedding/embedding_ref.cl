/* dst[t][h] = (word[input_ids[t]][h] + token_type[token_type_ids[t]][h]) + position[position_ids[t]][h]
 *
 * Element (row, h) of `word` stands at ((row / WORD_BLOCK) * hidden + h) * WORD_BLOCK + row % WORD_BLOCK, which is plain
 * row-major for a block of 1. Global range: (hidden, tokens). */

#ifndef WORD_BLOCK
#define WORD_BLOCK 1
#endif

__kernel void embedding__ref(__global const STORED *word, __global const float *position,
                             __global const float *token_type, __global const int *input_ids,
                             __global const int *position_ids, __global const int *token_type_ids, __global float *dst,
                             const int tokens, const int hidden, const int vocab, const int positions, const int types)
{
    const int h = (int)get_global_id(0);
    const int t = (int)get_global_id(1);
    if (h >= hidden || t >= tokens)
        return;
    /* The host has checked the ids; clamping keeps a mistake there from reading foreign memory. */
    const int id = clamp(input_ids[t], 0, vocab - 1);
    const int p = clamp(position_ids[t], 0, positions - 1);
    const int type = clamp(token_type_ids[t], 0, types - 1);
    /* Unsigned: llvmpipe (Mesa 22.3) gets the signed division by a power of two wrong. */
    const uint panel = (uint)id / WORD_BLOCK, lane = (uint)id % WORD_BLOCK;
    const size_t at = ((size_t)panel * hidden + h) * WORD_BLOCK + lane;
    const float sum = LOAD_STORED(word, at) + token_type[(size_t)type * hidden + h];
    dst[(size_t)t * hidden + h] = sum + position[(size_t)p * hidden + h];
}
