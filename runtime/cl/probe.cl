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

#ifdef PROBE_AMX
#ifdef __x86_64__
#define IN(letter, name, x) #letter((ulong)(x))
#else /* Intel's runtime compiles for SPIR first: it knows no register, and hands on what stands here as it is */
#define IN(letter, name, x) "{" #name "}"((ulong)(x))
#endif
/* Ones (16, 32) times i + 1 (32, 16), both bfloat16: 32 (i + 1) everywhere. The instructions: kernels' common/amx.clh. */
__kernel void probe_amx(__global float *out)
{
    const int i = (int)get_global_id(0);
    uchar shape[64];
    ushort ones[512], others[512];
    float sums[256];
    for (int t = 0; t < 64; t++)
        shape[t] = t == 0 ? 1 : t >= 16 && t < 32 && t % 2 == 0 ? 64 : t >= 48 && t < 56 ? 16 : 0;
    for (int t = 0; t < 512; t++) {
        ones[t] = 0x3F80;
        others[t] = (ushort)(as_uint((float)(i + 1)) >> 16);
    }
    __asm__ volatile(".byte 0xC4, 0xE2, 0x78, 0x49, 0x00"                         /* ldtilecfg (rax) */
                     "\n\t.byte 0xC4, 0xE2, 0x7B, 0x49, 0xC0"                     /* tilezero tmm0 */
                     "\n\t.byte 0xC4, 0xE2, 0x7B, 0x4B, 0x0C, 0x0A"               /* tileloadd (rdx + rcx), tmm1 */
                     "\n\t.byte 0xC4, 0xE2, 0x7B, 0x4B, 0x14, 0x0E"               /* tileloadd (rsi + rcx), tmm2 */
                     "\n\t.byte 0xC4, 0xE2, 0x6A, 0x5C, 0xC1"                     /* tdpbf16ps tmm2, tmm1, tmm0 */
                     "\n\t.byte 0xC4, 0xE2, 0x7A, 0x4B, 0x04, 0x0F"               /* tilestored tmm0, (rdi + rcx) */
                     "\n\t.byte 0xC4, 0xE2, 0x78, 0x49, 0xC0" /* tilerelease */
                     ::IN(a, rax, shape), IN(c, rcx, 64), IN(d, rdx, ones), IN(S, rsi, others), IN(D, rdi, sums)
                     : "memory");
    out[i] = sums[i * 37 % 256];
}
#endif
