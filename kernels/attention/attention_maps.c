/* Attention after softmax, written down, and factors of heads: what few ask for, so its program is built at the first
 * use. One way for all devices and variants. */
#include "attention_internal.h"
#include "embedded_sources.h"

#include <oberta/memory.h>

/* These are attention_maps.cl's. */
#define TILE_QUERIES 2
#define TILE_KEYS    4
#define FIELDS       7

struct ob__attention_maps {
    ob_kernel *factors_kernel, *scores_kernel, *softmax_kernel; /* NULL before the first use */
    /* The planned batch: */
    int32_t *list; /* (sequence_count, FIELDS) */
    ob_buffer *sequences;
    size_t sequence_count, token_count, tile_count, max_keys;
    uint64_t elements; /* of the maps */
};

ob_status ob__attention_maps_create(ob_attention *op, ob_error *err)
{
    size_t entries;
    op->maps = ob_calloc(1, sizeof *op->maps);
    if (op->maps == NULL || !ob_size_mul(op->desc.max_sequences, FIELDS, &entries))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for attention's sequences");
    op->maps->list = ob_realloc_array(NULL, entries, sizeof *op->maps->list);
    if (op->maps->list == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for attention's sequences");
    return ob_buffer_create(op->ctx, entries * sizeof(int32_t), "attention sequences", &op->maps->sequences, err);
}

void ob__attention_maps_destroy(ob__attention_maps *maps)
{
    if (maps == NULL)
        return;
    ob_kernel_destroy(maps->factors_kernel);
    ob_kernel_destroy(maps->scores_kernel);
    ob_kernel_destroy(maps->softmax_kernel);
    ob_buffer_destroy(maps->sequences);
    ob_free(maps->list);
    ob_free(maps);
}

ob_status ob__attention_maps_plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens,
                                  size_t sequence_count, ob_error *err)
{
    ob__attention_maps *maps = op->maps;
    maps->sequence_count = sequence_count;
    maps->token_count = (size_t)cu_seqlens[sequence_count];
    maps->tile_count = maps->max_keys = 0;
    maps->elements = 0;
    for (size_t s = 0; s < sequence_count; s++) {
        int32_t length = cu_seqlens[s + 1] - cu_seqlens[s], keys = key_seqlens[s + 1] - key_seqlens[s];
        int32_t *entry = maps->list + FIELDS * s;
        entry[0] = cu_seqlens[s];
        entry[1] = length;
        entry[2] = key_seqlens[s];
        entry[3] = keys;
        entry[4] = (int32_t)(uint32_t)maps->elements;
        entry[5] = (int32_t)(uint32_t)(maps->elements >> 32);
        entry[6] = (int32_t)maps->tile_count;
        maps->elements += (uint64_t)op->desc.heads * (uint64_t)length * (uint64_t)keys;
        maps->tile_count += ((size_t)length + TILE_QUERIES - 1) / TILE_QUERIES;
        maps->max_keys = (size_t)keys > maps->max_keys ? (size_t)keys : maps->max_keys;
    }
    return ob_buffer_upload(maps->sequences, 0, maps->list, FIELDS * sequence_count * sizeof(int32_t), err);
}

uint64_t ob_attention_maps_elements(const ob_attention *op)
{
    return op->maps->elements;
}

static ob_status build(const ob_attention *op, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_rows, &ob_source_attention_maps};
    ob__attention_maps *maps = op->maps;
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    if (maps->softmax_kernel != NULL)
        return OB_OK;
    ob_defines_int(&defines, "HEAD_SIZE", (long)op->desc.head_size);
    if (op->desc.row_tile > 1)
        ob_defines_int(&defines, "ROW_TILE", (long)op->desc.row_tile);
    if (ob_program_create(op->ctx, "attention_maps", sources, 2, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = OB_OK;
    if (maps->factors_kernel == NULL)
        status = ob_kernel_create(program, "attention_factors__ref", &maps->factors_kernel, err);
    if (status == OB_OK && maps->scores_kernel == NULL)
        status = ob_kernel_create(program, "attention_scores__ref", &maps->scores_kernel, err);
    if (status == OB_OK)
        status = ob_kernel_create(program, "attention_softmax__ref", &maps->softmax_kernel, err);
    ob_program_destroy(program);
    return status;
}

static ob_status check_factors(const ob_attention *op, const ob_buffer *factors, size_t first, ob_error *err)
{
    size_t have = ob_buffer_bytes(factors) / sizeof(float), want = op->maps->sequence_count * op->desc.heads;
    if (first > INT32_MAX || want > INT32_MAX - first || first > have || want > have - first)
        return ob_error_set(err, OB_ERR_INTERNAL, "%zu factors of heads from %zu on, there are %zu", want, first, have);
    return OB_OK;
}

ob_status ob_attention_enqueue_factors(const ob_attention *op, const ob_buffer *factors, size_t first, ob_buffer *dst,
                                       ob_error *err)
{
    const ob__attention_maps *maps = op->maps;
    if (check_factors(op, factors, first, err) != OB_OK || build(op, err) != OB_OK)
        return ob_error_status(err);
    const ob_arg args[] = {ob_arg_buffer(maps->sequences),
                           ob_arg_i32((int32_t)maps->sequence_count),
                           ob_arg_buffer(factors),
                           ob_arg_i32((int32_t)first),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)maps->token_count),
                           ob_arg_i32((int32_t)op->desc.heads)};
    const ob_ndrange range = {2, {op->desc.heads, maps->token_count}, {0}};
    return ob_kernel_enqueue(maps->factors_kernel, &range, args, sizeof args / sizeof *args, err);
}

static ob_status enqueue_scores(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv,
                                const ob_buffer *key_mask, ob_buffer *dst, ob_error *err)
{
    const ob__attention_maps *maps = op->maps;
    const bool cross = ob__attention_is_cross(&op->desc);
    int32_t hidden = (int32_t)(op->desc.heads * op->desc.head_size);
    /* Without a mask any buffer stands in, unread. */
    const ob_arg args[] = {ob_arg_buffer(q),
                           ob_arg_buffer(cross ? kv : q),
                           ob_arg_buffer(key_mask != NULL ? key_mask : maps->sequences),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(maps->sequences),
                           ob_arg_i32((int32_t)maps->sequence_count),
                           ob_arg_buffer(dst),
                           ob_arg_i32(cross ? hidden : 3 * hidden),
                           ob_arg_i32(cross ? 2 * hidden : 3 * hidden),
                           ob_arg_i32(cross ? 0 : hidden),
                           ob_arg_i32(op->desc.causal),
                           ob_arg_f32(ob__attention_scale(op))};
    const ob_ndrange range = {3, {(maps->max_keys + TILE_KEYS - 1) / TILE_KEYS, maps->tile_count, op->desc.heads}, {0}};
    return ob_kernel_enqueue(maps->scores_kernel, &range, args, sizeof args / sizeof *args, err);
}

ob_status ob_attention_enqueue_maps(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv,
                                    const ob_buffer *key_mask, const ob_buffer *factors, size_t first, ob_buffer *dst,
                                    ob_error *err)
{
    const ob__attention_maps *maps = op->maps;
    if ((kv != NULL) != ob__attention_is_cross(&op->desc))
        return ob_error_set(err, OB_ERR_INTERNAL, "maps of attention that was created for %s",
                            kv != NULL ? "one batch, not for cross-attention" : "cross-attention");
    if (ob_buffer_bytes(dst) / sizeof(float) < maps->elements)
        return ob_error_set(err, OB_ERR_INTERNAL, "attention maps of %llu elements into %zu bytes",
                            (unsigned long long)maps->elements, ob_buffer_bytes(dst));
    if ((factors != NULL && check_factors(op, factors, first, err) != OB_OK) || build(op, err) != OB_OK ||
        enqueue_scores(op, q, kv, key_mask, dst, err) != OB_OK)
        return ob_error_status(err);
    const ob_arg args[] = {ob_arg_buffer(maps->sequences),
                           ob_arg_i32((int32_t)maps->sequence_count),
                           ob_arg_buffer(factors != NULL ? factors : maps->sequences),
                           ob_arg_i32(factors != NULL),
                           ob_arg_i32((int32_t)first),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)maps->token_count),
                           ob_arg_i32((int32_t)op->desc.heads)};
    const ob_ndrange range = {2, {maps->token_count, op->desc.heads}, {0}};
    return ob_kernel_enqueue(maps->softmax_kernel, &range, args, sizeof args / sizeof *args, err);
}
