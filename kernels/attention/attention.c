/* Chooses a variant and hands calls on. */
#include "attention_internal.h"
#include "embedded_sources.h"
#include "tile.h"

#include <math.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <string.h>

/* The first that accepts is taken. */
static const ob__attention_ops *const variants[] = {&ob__attention_amx, &ob__attention_strip, &ob__attention_online,
                                                    &ob__attention_ref};
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

static ob_status check_desc(const ob_attention_desc *desc, ob_error *err)
{
    size_t width;
    if (desc->heads == 0 || desc->head_size == 0 || desc->max_sequence == 0 || desc->max_tokens > INT32_MAX / 4 ||
        desc->max_cross_tokens > INT32_MAX / 4 || desc->max_sequences > desc->max_tokens + 1 ||
        !ob_size_mul(desc->heads, desc->head_size, &width) || width > INT32_MAX / 4)
        return ob_error_set(
            err, OB_ERR_INTERNAL, "attention with %zu heads of %zu over %zu tokens and %zu others in %zu sequences",
            desc->heads, desc->head_size, desc->max_tokens, desc->max_cross_tokens, desc->max_sequences);
    if (desc->causal && ob__attention_is_cross(desc))
        return ob_error_set(err, OB_ERR_INTERNAL, "cross-attention cannot be causal");
    return OB_OK;
}

ob_status ob_attention_create(ob_context *ctx, const ob_attention_desc *desc, ob_attention **out, ob_error *err)
{
    if (check_desc(desc, err) != OB_OK)
        return ob_error_status(err);
    ob_attention *op = ob_calloc(1, sizeof *op);
    if (op == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for attention");
    op->ctx = ctx;
    op->desc = *desc;
    if (choose(op, err) != OB_OK || op->ops->create(op, err) != OB_OK || ob__attention_maps_create(op, err) != OB_OK) {
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
    ob_buffer_destroy(op->tasks);
    ob__attention_maps_destroy(op->maps);
    ob_free(op->list);
    ob_free(op);
}

const char *ob_attention_variant_used(const ob_attention *op)
{
    return op->ops->name;
}

size_t ob_attention_workspace_bytes(const ob_attention *op)
{
    return op->ops->workspace_bytes != NULL ? op->ops->workspace_bytes(op) : 0;
}

float ob__attention_scale(const ob_attention *op)
{
    return (float)(1.0 / sqrt((double)op->desc.head_size));
}

bool ob__attention_is_cross(const ob_attention_desc *desc)
{
    return desc->max_cross_tokens > 0;
}

size_t ob__attention_fields(const ob_attention_desc *desc)
{
    return ob__attention_is_cross(desc) ? 6 : 4;
}

size_t ob__attention_max_key_tokens(const ob_attention_desc *desc)
{
    return ob__attention_is_cross(desc) ? desc->max_cross_tokens : desc->max_tokens;
}

size_t ob__attention_max_keys(const ob_attention_desc *desc)
{
    if (!ob__attention_is_cross(desc))
        return desc->max_sequence;
    return desc->max_cross_sequence > 0 ? desc->max_cross_sequence : desc->max_cross_tokens;
}

void ob__attention_define(const ob_attention_desc *desc, ob_defines *defines)
{
    if (desc->causal)
        ob_defines_int(defines, "CAUSAL", 1);
    if (ob__attention_is_cross(desc))
        ob_defines_int(defines, "CROSS", 1);
}

ob_status ob__attention_build_tokens(ob_attention *op, const ob_source *const *own, size_t own_count,
                                     const char *kernel, const char *keys_kernel, ob_error *err)
{
    const ob_source *sources[1 + OB__ATTENTION_OWN] = {&ob_source_tile};
    const ob_device_info *device = ob_context_device(op->ctx);
    const ob__tile tile = ob__tile_for(device);
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    memcpy(sources + 1, own, own_count * sizeof *own);
    ob__tile_define(&tile, device, &defines);
    if (op->desc.row_tile > 1)
        ob_defines_int(&defines, "ROW_TILE", (long)op->desc.row_tile);
    ob_defines_int(&defines, "HEAD_SIZE", (long)op->desc.head_size);
    ob__attention_define(&op->desc, &defines);
    if (ob_program_create(op->ctx, kernel, sources, 1 + own_count, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, kernel, &op->kernel, err);
    if (status == OB_OK && keys_kernel != NULL)
        status = ob_kernel_create(program, keys_kernel, &op->keys_kernel, err);
    ob_program_destroy(program);
    return status;
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

/* Prefix sums of lengths against the limits that the operator was created with. */
static ob_status check_lengths(const char *what, const int32_t *cu_seqlens, size_t sequence_count, size_t max_tokens,
                               size_t max_sequence, ob_error *err)
{
    for (size_t i = 0; i < sequence_count; i++) {
        int64_t length = (int64_t)cu_seqlens[i + 1] - cu_seqlens[i];
        if (length <= 0 || (size_t)length > max_sequence)
            return ob_error_set(err, OB_ERR_INTERNAL, "attention over a sequence of %d %s, at most %zu", (int)length,
                                what, max_sequence);
    }
    if ((size_t)cu_seqlens[sequence_count] > max_tokens)
        return ob_error_set(err, OB_ERR_INTERNAL, "attention over %d %s, at most %zu", (int)cu_seqlens[sequence_count],
                            what, max_tokens);
    return OB_OK;
}

static ob_status plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens, size_t sequence_count,
                      ob_error *err)
{
    const ob_attention_desc *desc = &op->desc;
    if (sequence_count > desc->max_sequences)
        return ob_error_set(err, OB_ERR_INTERNAL, "attention over %zu sequences, at most %zu", sequence_count,
                            desc->max_sequences);
    if (check_lengths("tokens", cu_seqlens, sequence_count, desc->max_tokens, desc->max_sequence, err) != OB_OK ||
        (key_seqlens != cu_seqlens &&
         check_lengths("keys", key_seqlens, sequence_count, ob__attention_max_key_tokens(desc),
                       ob__attention_max_keys(desc), err) != OB_OK) ||
        op->ops->plan(op, cu_seqlens, key_seqlens, sequence_count, err) != OB_OK)
        return ob_error_status(err);
    return ob__attention_maps_plan(op, cu_seqlens, key_seqlens, sequence_count, err);
}

static ob_status check_kind(const ob_attention *op, bool cross, ob_error *err)
{
    if (ob__attention_is_cross(&op->desc) == cross)
        return OB_OK;
    return ob_error_set(err, OB_ERR_INTERNAL, "attention was created for %s",
                        cross ? "one batch, not for cross-attention" : "cross-attention");
}

ob_status ob_attention_plan(ob_attention *op, const int32_t *cu_seqlens, size_t sequence_count, ob_error *err)
{
    return check_kind(op, false, err) == OB_OK ? plan(op, cu_seqlens, cu_seqlens, sequence_count, err)
                                               : ob_error_status(err);
}

ob_status ob_attention_plan_cross(ob_attention *op, const int32_t *cu_seqlens, const int32_t *cross_cu_seqlens,
                                  size_t sequence_count, ob_error *err)
{
    return check_kind(op, true, err) == OB_OK ? plan(op, cu_seqlens, cross_cu_seqlens, sequence_count, err)
                                              : ob_error_status(err);
}

ob_status ob_attention_enqueue(const ob_attention *op, const ob_buffer *qkv, const ob_buffer *key_mask,
                               ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    if (check_kind(op, false, err) != OB_OK)
        return ob_error_status(err);
    return op->strip_count == 0 ? OB_OK : op->ops->enqueue(op, qkv, NULL, key_mask, workspace, dst, err);
}

ob_status ob_attention_enqueue_cross(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv,
                                     const ob_buffer *key_mask, ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    if (check_kind(op, true, err) != OB_OK)
        return ob_error_status(err);
    return op->strip_count == 0 ? OB_OK : op->ops->enqueue(op, q, kv, key_mask, workspace, dst, err);
}
