/* Small kernels with known answers. The host knows what each has to say; see device_probe.c. */

/* out[i] = a fixed polynomial of i, exact in float32: shows that arithmetic, indexing and arguments work. */
__kernel void probe_arithmetic(__global float *out, const int scale)
{
    const int i = (int)get_global_id(0);
    const float x = (float)(i * scale);
    out[i] = fma(x, 3.0f, 1.0f) - sqrt(x * x);
}

/* Counts to `count`: some drivers end loops silently after 65,535 turns. */
__kernel void probe_loop(__global const int *step, __global int *out, const int count)
{
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += step[i & 1];
    out[0] = sum;
}

#ifdef PROBE_FP16
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
__kernel void probe_fp16(__global float *out)
{
    const int i = (int)get_global_id(0);
    const half x = (half)(i + 1);
    out[i] = (float)(x * x + (half)0.5f);
}
#endif

#ifdef PROBE_FP64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
__kernel void probe_fp64(__global float *out)
{
    const int i = (int)get_global_id(0);
    const double x = 1.0 + ldexp(1.0, -40) * (double)(i + 1);
    out[i] = (float)((x - 1.0) * ldexp(1.0, 40));
}
#endif

#ifdef PROBE_SUBGROUPS
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
__kernel void probe_subgroups(__global float *out)
{
    const int i = (int)get_global_id(0);
    const uint first = get_sub_group_local_id() == 0 ? 1u : 0u;
    out[i] = (float)(sub_group_reduce_add(first) + sub_group_broadcast((uint)i, 0) * 0u);
}
#endif

#ifdef PROBE_PREFETCH
__kernel void probe_prefetch(__global float *out)
{
    const int i = (int)get_global_id(0);
    __builtin_prefetch((const void *)(size_t)(out + i), 1, 3);
    out[i] = (float)i;
}
#endif
