/* The sum of a buffer of integers, which is exact in any order. The host chooses who reads what: an item begins at
 * id * stride vectors, so that a stretch of its own serves CPU devices and neighbouring items side by side (stride 1) serve
 * GPUs. */

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define UINTN       JOIN(uint, VEC_N)
#define VSTOREN     JOIN(vstore, VEC_N)

/* An item goes on by `step` vectors. Element i is i * factor: every word of every line counts in the sum. */
__kernel void roof_fill(__global uint *data, const int stride, const int step, const int turns, const int factor)
{
    int at = (int)get_global_id(0) * stride;
    for (int t = 0; t < turns; t++, at += step) {
        uint element[VEC_N];
        for (uint i = 0; i < VEC_N; i++)
            element[i] = ((uint)at * VEC_N + i) * (uint)factor;
        ((__global UINTN *)data)[at] = JOIN(vload, VEC_N)(0, element);
    }
}

/* In a turn of the loop an item reads eight vectors that lie `gap` apart, and it goes on by `advance`. turns is a multiple of
 * eight. CPU devices read eight streams, each its own pages: hardware runs ahead within a page alone (two cores of a Xeon,
 * in turns: one stream 17 to 19 GB/s, four 22 to 23, eight 24 to 25, more no better). */
__kernel void roof_read(__global const uint *data, __global uint *out, const int stride, const int gap,
                        const int advance, const int turns)
{
    __global const UINTN *at = (__global const UINTN *)data + (int)get_global_id(0) * stride;
    UINTN a = (UINTN)(0), b = (UINTN)(0), c = (UINTN)(0), d = (UINTN)(0);
    for (int t = 0; t < turns; t += 8, at += advance) {
        a += at[0] + at[4 * gap];
        b += at[gap] + at[5 * gap];
        c += at[2 * gap] + at[6 * gap];
        d += at[3 * gap] + at[7 * gap];
    }
    VSTOREN(a + b + (c + d), get_global_id(0), out);
}
