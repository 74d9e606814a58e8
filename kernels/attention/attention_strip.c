/* The strip variant: strips of queries against panels of keys, in vector registers of CPU devices. */
#include "attention_internal.h"
#include "embedded_sources.h"
#include "tile.h"

static size_t round_up(size_t count, size_t to)
{
    return (count + to - 1) / to * to;
}

/* Scores, queries, and a factor for each row. */
static size_t strip_bytes(const ob__tile *tile, const ob_attention_desc *desc)
{
    size_t keys = round_up(ob__attention_max_keys(desc), 2 * tile->vector);
    return tile->rows * (keys + desc->head_size + 4) * sizeof(float);
}

static const char *refuse(const ob_device_info *device, const ob_attention_desc *desc)
{
    ob__tile tile = ob__tile_for(device);
    if (desc->variant == OB_ATTENTION_STRIP ? device->type != OB_DEVICE_CPU : !ob__tile_suits(device))
        return "it is for CPU devices with vectors";
    if (desc->head_size % (2 * tile.vector) != 0)
        return "the head size is not a multiple of the tile's width";
    if ((device->capabilities & OB_CAP_LONG_LOOPS) == 0)
        return "the device ends long loops silently";
    return strip_bytes(&tile, desc) <= device->local_bytes ? NULL : "a strip does not fit the local memory";
}

/* Each sequence ends in one panel, and in one strip, that may be partly filled. */
static size_t max_panels(const ob_attention *op)
{
    return ob__attention_max_key_tokens(&op->desc) / op->tile_n + op->desc.max_sequences;
}

static size_t max_strips(const ob_attention *op)
{
    return op->desc.max_tokens / op->tile_m + op->desc.max_sequences;
}

static ob_status create(ob_attention *op, ob_error *err)
{
    const ob__tile tile = ob__tile_for(ob_context_device(op->ctx));
    op->tile_m = tile.rows;
    op->tile_n = 2 * tile.vector;
    const ob_source *const own[] = {&ob_source_exp, &ob_source_rows, &ob_source_attention_tokens,
                                    &ob_source_attention_strip};
    if (ob__attention_build_tokens(op, own, 4, "attention__strip", "attention_pack__strip", err) != OB_OK)
        return ob_error_status(err);
    return ob__attention_reserve(op, ob__attention_fields(&op->desc) * max_strips(op), 2 * max_panels(op), err);
}

/* Keys and values. */
static size_t workspace_bytes(const ob_attention *op)
{
    return max_panels(op) * 2 * op->tile_n * op->desc.heads * op->desc.head_size * sizeof(float);
}

static ob_status plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens, size_t sequence_count,
                      ob_error *err)
{
    size_t fields = ob__attention_fields(&op->desc);
    int32_t *strips = op->list, *panels = op->list + fields * max_strips(op);
    int32_t tile_m = (int32_t)op->tile_m, tile_n = (int32_t)op->tile_n;
    op->strip_count = op->panel_count = 0;
    for (size_t s = 0; s < sequence_count; s++) {
        int32_t begin = cu_seqlens[s], length = cu_seqlens[s + 1] - begin;
        int32_t key_begin = key_seqlens[s], keys = key_seqlens[s + 1] - key_begin;
        int32_t first_panel = (int32_t)op->panel_count;
        for (int32_t at = 0; at < length; at += tile_m) {
            int32_t *strip = strips + fields * op->strip_count++;
            strip[0] = begin;
            strip[1] = length;
            strip[2] = at;
            strip[3] = first_panel;
            if (fields == 6) {
                strip[4] = key_begin;
                strip[5] = keys;
            }
        }
        for (int32_t at = 0; at < keys; at += tile_n) {
            int32_t *panel = panels + 2 * op->panel_count++;
            panel[0] = key_begin + at;
            panel[1] = keys - at < tile_n ? keys - at : tile_n;
        }
    }
    if (ob_buffer_upload(op->strips, 0, strips, fields * op->strip_count * sizeof(int32_t), err) != OB_OK)
        return ob_error_status(err);
    return ob_buffer_upload(op->panels, 0, panels, 2 * op->panel_count * sizeof(int32_t), err);
}

static ob_status enqueue(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv, const ob_buffer *key_mask,
                         ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    const ob__tile tile = {op->tile_m, op->tile_n / 2};
    const bool cross = ob__attention_is_cross(&op->desc);
    const ob_arg keys[] = {ob_arg_buffer(cross ? kv : q), ob_arg_buffer(op->panels), ob_arg_buffer(workspace),
                           ob_arg_i32((int32_t)op->desc.heads)};
    const ob_ndrange keys_range = {2, {op->desc.heads, op->panel_count}, {1, 1}};
    if (ob_kernel_enqueue(op->keys_kernel, &keys_range, keys, sizeof keys / sizeof *keys, err) != OB_OK)
        return ob_error_status(err);
    /* Without a mask any buffer stands in, unread. */
    const ob_arg args[] = {ob_arg_buffer(q),
                           ob_arg_buffer(workspace),
                           ob_arg_buffer(op->strips),
                           ob_arg_buffer(key_mask != NULL ? key_mask : op->strips),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(dst),
                           ob_arg_local(strip_bytes(&tile, &op->desc)),
                           ob_arg_i32((int32_t)op->desc.heads),
                           ob_arg_i32((int32_t)op->panel_count),
                           ob_arg_f32(ob__attention_scale(op))};
    const ob_ndrange range = {2, {op->strip_count, op->desc.heads}, {1, 1}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__attention_ops ob__attention_strip = {OB_ATTENTION_STRIP, "strip", refuse, create,
                                               workspace_bytes,    plan,    enqueue};
