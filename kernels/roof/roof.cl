/* Chains of fma that nothing but arithmetic limits. Each item runs SUMS independent vectors, enough to hide the latency.
 * x -> x * 0.5 + 0.5 tends to 1 from any start; after many turns it is 1 exactly. */

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)

/* Without a width: scalars. */
#if VEC_N == 1
#define FLOATN                    float
#define STORE(value, index, out) (out)[index] = (value)
#else
#define FLOATN                    JOIN(float, VEC_N)
#define STORE(value, index, out) JOIN(vstore, VEC_N)(value, index, out)
#endif

#define SUMS_10(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define DECLARE(i) FLOATN x##i = (FLOATN)(start + 0.125f * i);
#ifdef FUSED
#define STEP(i) x##i = fma(x##i, half_of, half_of);
#else /* fma() is emulated there; halving is exact, so the answers are the same */
#define STEP(i) x##i = x##i * half_of + half_of;
#endif
#define ADD(i)     + x##i

__kernel void roof_fma(__global float *out, const float start, const float half_value, const int turns)
{
    const FLOATN half_of = (FLOATN)(half_value);
    SUMS_10(DECLARE)
    for (int t = 0; t < turns; t++) {
        SUMS_10(STEP)
    }
    const FLOATN sum = (FLOATN)(0.0f) SUMS_10(ADD);
    STORE(sum, get_global_id(0), out);
}
