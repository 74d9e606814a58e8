/* Chooses a variant and hands calls on. */
#include "attention_internal.h"

#include <math.h>
#include <oberta/log.h>
#include <oberta/memory.h>

/* The first that accepts is taken. */
static const ob__attention_ops *const variants[] = {&ob__attention_strip, &ob__attention_online, &ob__attention_ref};
#define VARIANT_COUNT (sizeof variants / sizeof *variants)

static ob_status choose(ob_attention *op, ob_error *err)
{
    const ob_device_info *device = ob_context_device(op->ctx);
    const char *reason = "there is no such variant";
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        if (op->desc.variant != OB_ATTENTION_AUTO && op->desc.variant != variants[i]->variant)
            continue;
        reason = variants[i]->refuse(device, &op->desc);
        if (reason == NULL) {
            op->ops = variants[i];
            return OB_OK;
        }
        ob_log(OB_LOG_DEBUG, "attention", "%zu heads of %zu: not %s: %s", op->desc.heads, op->desc.head_size,
               variants[i]->name, reason);
    }
    return ob_error_set(err, OB_ERR_DEVICE, "attention with %zu heads of %zu over %zu tokens on '%s': %s",
                        op->desc.heads, op->desc.head_size, op->desc.max_sequence, device->name, reason);
}

ob_status ob_attention_create(ob_context *ctx, const ob_attention_desc *desc, ob_attention **out, ob_error *err)
{
    if (desc->heads == 0 || desc->head_size == 0 || desc->max_sequence == 0 || desc->max_tokens > INT32_MAX / 4 ||
        desc->max_sequences > desc->max_tokens + 1)
        return ob_error_set(err, OB_ERR_INTERNAL, "attention with %zu heads of %zu over %zu tokens in %zu sequences",
                            desc->heads, desc->head_size, desc->max_tokens, desc->max_sequences);
    ob_attention *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for attention");
    op->ctx = ctx;
    op->desc = *desc;
    if (choose(op, err) != OB_OK || op->ops->create(op, err) != OB_OK) {
        ob_attention_destroy(op);
        return ob_error_status(err);
    }
    *out = op;
    return OB_OK;
}

void ob_attention_destroy(ob_attention *op)
{
    if (op == NULL)
        return;
    ob_kernel_destroy(op->kernel);
    ob_kernel_destroy(op->keys_kernel);
    ob_buffer_destroy(op->strips);
    ob_buffer_destroy(op->panels);
    ob_free(op->list);
    ob_free(op);
}

const char *ob_attention_variant_used(const ob_attention *op)
{
    return op->ops->name;
}

size_t ob_attention_workspace_bytes(const ob_attention *op)
{
    return op->ops->workspace_bytes(op);
}

float ob__attention_scale(const ob_attention *op)
{
    return (float)(1.0 / sqrt((double)op->desc.head_size));
}

ob_status ob__attention_reserve(ob_attention *op, size_t strips, size_t panels, ob_error *err)
{
    op->list_capacity = strips + panels;
    op->list = ob_realloc_array(NULL, op->list_capacity, sizeof *op->list);
    if (op->list == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for attention's work list");
    if (ob_buffer_create(op->ctx, strips * sizeof(int32_t), "attention strips", &op->strips, err) != OB_OK ||
        (panels > 0 &&
         ob_buffer_create(op->ctx, panels * sizeof(int32_t), "attention panels", &op->panels, err) != OB_OK))
        return ob_error_status(err);
    return OB_OK;
}

ob_status ob_attention_plan(ob_attention *op, const int32_t *cu_seqlens, size_t sequence_count, ob_error *err)
{
    if (sequence_count > op->desc.max_sequences || (size_t)cu_seqlens[sequence_count] > op->desc.max_tokens)
        return ob_error_set(err, OB_ERR_INTERNAL, "attention over %d tokens in %zu sequences, at most %zu in %zu",
                            (int)cu_seqlens[sequence_count], sequence_count, op->desc.max_tokens,
                            op->desc.max_sequences);
    for (size_t i = 0; i < sequence_count; i++) {
        int32_t length = cu_seqlens[i + 1] - cu_seqlens[i];
        if (length <= 0 || (size_t)length > op->desc.max_sequence)
            return ob_error_set(err, OB_ERR_INTERNAL, "attention over a sequence of %d tokens, at most %zu",
                                (int)length, op->desc.max_sequence);
    }
    return op->ops->plan(op, cu_seqlens, sequence_count, err);
}

ob_status ob_attention_enqueue(const ob_attention *op, const ob_buffer *qkv, const ob_buffer *key_mask,
                               ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    return op->strip_count == 0 ? OB_OK : op->ops->enqueue(op, qkv, key_mask, workspace, dst, err);
}
