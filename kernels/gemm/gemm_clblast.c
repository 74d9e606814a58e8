/* CLBlast as a provider, for GPUs. The epilogue is a kernel of ours behind it.
 *
 * CLBlast takes another kernel for small products than for large ones, which would make a row's bits depend on the
 * batch; so its choice is pinned to the large one's. */
#include "embedded_sources.h"
#include "gemm_internal.h"

#include <clblast_c.h>
#include <oberta/cl_interop.h>

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    if (desc->row_tile > 1)
        return "it reads plain rows";
    /* 17 to 27 GFLOPS on CPU devices whose peak is 438: it serves them only when it is asked for. */
    if (device->type == OB_DEVICE_CPU && desc->provider != OB_GEMM_CLBLAST)
        return "its kernels are slow on CPU devices";
    return desc->half_weights ? "it has no half weights" : NULL;
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    static const char *name = "XGEMM_MIN_INDIRECT_SIZE";
    const size_t always_indirect = 0;
    CLBlastStatusCode code = CLBlastOverrideParameters(ob_context_cl_device(gemm->ctx), "GemmRoutine",
                                                       CLBlastPrecisionSingle, 1, &name, &always_indirect);
    if (code != CLBlastSuccess)
        return ob_error_set(err, OB_ERR_DEVICE, "CLBlast: pinning its routine fails with %d", (int)code);
    const ob_source *const own[] = {&ob_source_gemm_epilogue};
    ob_defines defines = OB_DEFINES_INIT;
    return ob__gemm_build(gemm, own, 1, "gemm_epilogue__ref", &defines, &gemm->kernel, err);
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    size_t n = gemm->desc.n, k = gemm->desc.k;
    cl_command_queue queue = ob_context_cl_queue(gemm->ctx);
    cl_event event = NULL;
    CLBlastStatusCode code = CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeYes, m, n, k, 1.0f,
                                          ob_buffer_cl_mem(src), 0, k, ob_buffer_cl_mem(weights->weight), 0, k, 0.0f,
                                          ob_buffer_cl_mem(dst), 0, n, &queue, &event);
    if (code != CLBlastSuccess)
        return ob_error_set(err, OB_ERR_DEVICE, "CLBlast: a product of %zu x %zu x %zu fails with %d", m, n, k,
                            (int)code);
    if (event != NULL)
        ob_context_adopt_event(gemm->ctx, "CLBlastSgemm", event);
    const ob_arg args[] = {ob_arg_buffer(dst), ob_arg_buffer(weights->bias), ob_arg_buffer(residual),
                           ob_arg_buffer(dst), ob_arg_i32((int32_t)m),       ob_arg_i32((int32_t)n)};
    const ob_ndrange range = {2, {n, m}, {0}};
    return ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_clblast = {OB_GEMM_CLBLAST, "clblast", refuse, create, enqueue};
