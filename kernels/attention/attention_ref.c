/* The plain variant: any device, any head size. */
#include "attention_internal.h"
#include "embedded_sources.h"

#define MAX_LOOPS 60000 /* of a work-item, where the device ends loops silently at 65,535 */

static const char *refuse(const ob_device_info *device, const ob_attention_desc *desc)
{
    size_t turns = ob__attention_max_keys(desc) * (3 * (desc->head_size / 4 + desc->head_size % 4) + 2);
    if (turns > MAX_LOOPS && (device->capabilities & OB_CAP_LONG_LOOPS) == 0)
        return "the device ends long loops silently";
    return NULL;
}

static ob_status create(ob_attention *op, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_rows, &ob_source_attention_ref};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob_defines_int(&defines, "HEAD_SIZE", (long)op->desc.head_size);
    ob__attention_define(&op->desc, &defines);
    if (op->desc.row_tile > 1)
        ob_defines_int(&defines, "ROW_TILE", (long)op->desc.row_tile);
    if (ob_program_create(op->ctx, "attention_ref", sources, 2, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, "attention__ref", &op->kernel, err);
    ob_program_destroy(program);
    return status == OB_OK ? ob__attention_reserve(op, 2 * op->desc.max_tokens, 0, err) : status;
}

static ob_status plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens, size_t sequence_count,
                      ob_error *err)
{
    op->strip_count = (size_t)cu_seqlens[sequence_count];
    for (size_t s = 0; s < sequence_count; s++)
        for (int32_t i = cu_seqlens[s]; i < cu_seqlens[s + 1]; i++) {
            op->list[2 * i] = key_seqlens[s];
            op->list[2 * i + 1] = key_seqlens[s + 1];
        }
    return ob_buffer_upload(op->strips, 0, op->list, 2 * op->strip_count * sizeof(int32_t), err);
}

static ob_status enqueue(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv, const ob_buffer *key_mask,
                         ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    (void)workspace;
    /* Some drivers do not take a null pointer: without a mask any buffer stands in, unread. */
    const ob_arg args[] = {ob_arg_buffer(q),
                           ob_arg_buffer(op->strips),
                           ob_arg_buffer(key_mask != NULL ? key_mask : op->strips),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)op->desc.heads),
                           ob_arg_i32((int32_t)op->strip_count),
                           ob_arg_f32(ob__attention_scale(op)),
                           ob_arg_buffer(kv)};
    const size_t count = sizeof args / sizeof *args - (ob__attention_is_cross(&op->desc) ? 0 : 1);
    const ob_ndrange range = {2, {op->desc.heads, op->strip_count}, {0}};
    return ob_kernel_enqueue(op->kernel, &range, args, count, err);
}

const ob__attention_ops ob__attention_ref = {OB_ATTENTION_REF, "ref", refuse, create, NULL, plan, enqueue};
