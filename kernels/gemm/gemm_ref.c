/* The plain provider: any device, any shape. */
#include "embedded_sources.h"
#include "gemm_internal.h"

/* A work-item's loop has k / 4 turns; some drivers stop at 65,535. */
#define MAX_K 240000

static const char *refuse(const ob_device_info *device, const ob_gemm_desc *desc)
{
    (void)device;
    return desc->k <= MAX_K ? NULL : "k is above 240,000";
}

static ob_status create(ob_gemm *gemm, ob_error *err)
{
    const ob_source *const own[] = {&ob_source_gemm_ref};
    ob_defines defines = OB_DEFINES_INIT;
    return ob__gemm_build(gemm, own, 1, "gemm__ref", &defines, &gemm->kernel, err);
}

static ob_status enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                         const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    const ob_arg args[] = {ob_arg_buffer(src),
                           ob_arg_buffer(weights->weight),
                           ob_arg_buffer(weights->bias),
                           ob_arg_buffer(residual),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)gemm->desc.n),
                           ob_arg_i32((int32_t)gemm->desc.k)};
    const ob_ndrange range = {2, {gemm->desc.n, m}, {0}};
    return ob_kernel_enqueue(gemm->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__gemm_ops ob__gemm_ref = {OB_GEMM_REF, "ref", refuse, create, enqueue};
