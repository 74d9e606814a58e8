/* The sum of a buffer of integers, which is exact in any order. The host chooses who reads what: an item begins at
 * id * stride and goes on by `step` vectors, so that a stretch of its own (step 1) serves CPU devices and neighbouring
 * items side by side (stride 1) serve GPUs. */

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define UINTN       JOIN(uint, VEC_N)
#define VSTOREN     JOIN(vstore, VEC_N)

/* Element i is i * factor: every word of every line counts in the sum. */
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

/* turns is a multiple of 4. */
__kernel void roof_read(__global const uint *data, __global uint *out, const int stride, const int step,
                        const int turns)
{
    __global const UINTN *at = (__global const UINTN *)data + (int)get_global_id(0) * stride;
    UINTN a = (UINTN)(0), b = (UINTN)(0), c = (UINTN)(0), d = (UINTN)(0);
    for (int t = 0; t < turns; t += 4, at += 4 * step) {
        a += at[0];
        b += at[step];
        c += at[2 * step];
        d += at[3 * step];
    }
    VSTOREN(a + b + (c + d), get_global_id(0), out);
}
