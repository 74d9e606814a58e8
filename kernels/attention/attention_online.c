/* The variant for GPUs: strips of queries against blocks of keys in local memory, with an online softmax.
 *
 * Any of its work-groups gives the same bits, so the device alone decides. */
#include "attention_online.h"

#include "attention_internal.h"
#include "embedded_sources.h"
#include "tile.h"

#include <oberta/log.h>

/* By queries of a work-group and head size (a fma is 2 flop; local memory is read in vectors, which lanes of the same
 * row or column share):
 *
 *                 work-items           KiB of local memory      flop a byte of local memory: scores, values
 *                 <= 64   <= 128       64       128             <= 64          <= 128
 *     32             64      128       10.0     14.5            1.0, 1.33      0.67, 1.33
 *     16             32       64        7.0     11.5
 *      8             16       32        5.8     10.0
 *
 * 32 queries are one strip of a text of average length (50 tokens fill 78 % of two); 64 would leave a third of their
 * rows empty and need 17 KiB. Local memory stays below 16 KiB, so that three to six groups share a unit: one computes
 * while another waits for its keys. What compilers make of it: kernels/ISA.md. */
const size_t ob__online_queries[OB__ONLINE_VARIANT_COUNT] = {32, 16, 8};

/* These are attention_online.cl's. */
#define KEYS          32
#define CHUNK         16 /* channels of queries and keys, and keys of values, that stand in local memory at once */
#define PAD           4
#define MAX_HEAD_SIZE 128

size_t ob__online_items_n(size_t head_size)
{
    return head_size > 64 ? 16 : 8;
}

size_t ob__online_items_m(size_t queries)
{
    return queries / 4;
}

size_t ob__online_local_bytes(size_t head_size, size_t queries)
{
    size_t keys = CHUNK * (queries + PAD + KEYS + PAD), values = CHUNK * head_size;
    size_t stage = keys > values ? keys : values;
    size_t partial = 4 * ob__online_items_n(head_size) * ob__online_items_m(queries);
    return (stage + KEYS * (queries + PAD) + partial) * sizeof(float);
}

size_t ob__online_pick(const ob_device_info *device, const ob_attention_desc *desc)
{
    for (size_t i = 0; i < OB__ONLINE_VARIANT_COUNT; i++) {
        size_t queries = ob__online_queries[i];
        size_t items_n = ob__online_items_n(desc->head_size), items_m = ob__online_items_m(queries);
        if ((desc->queries == 0 || desc->queries == queries) && items_n * items_m <= device->max_work_group &&
            items_n <= device->max_work_items[0] && items_m <= device->max_work_items[1] &&
            ob__online_local_bytes(desc->head_size, queries) <= device->local_bytes)
            return queries;
    }
    return 0;
}

static const char *refuse(const ob_device_info *device, const ob_attention_desc *desc)
{
    if (ob__tile_suits(device) && desc->variant != OB_ATTENTION_ONLINE)
        return "it is for GPUs";
    if (desc->row_tile > 1)
        return "it writes plain rows";
    if (desc->head_size > MAX_HEAD_SIZE || desc->head_size % 4 != 0)
        return "the head size is above 128 or no multiple of 4";
    return ob__online_pick(device, desc) == 0 ? "no strip fits the work-group and the local memory" : NULL;
}

void ob__online_define(const ob_attention_desc *desc, size_t queries, ob_defines *defines)
{
    ob_defines_int(defines, "HEAD_SIZE", (long)desc->head_size);
    ob_defines_int(defines, "QUERIES", (long)queries);
    ob__attention_define(desc, defines);
}

/* Each sequence ends in one strip that may be partly filled. */
static size_t max_strips(const ob_attention *op)
{
    return op->desc.max_tokens / op->tile_m + op->desc.max_sequences;
}

/* Numbers of a strip in the work list; cross-attention's own are where its keys begin and how many they are. */
static size_t strip_fields(const ob_attention *op)
{
    return ob__attention_is_cross(&op->desc) ? 5 : 3;
}

static ob_status build(ob_attention *op, ob_error *err)
{
    const ob_source *const sources[] = {&ob_source_attention_online};
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob__online_define(&op->desc, op->tile_m, &defines);
    if (ob_program_create(op->ctx, "attention_online", sources, 1, &defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, "attention__online", &op->kernel, err);
    ob_program_destroy(program);
    return status;
}

static ob_status create(ob_attention *op, ob_error *err)
{
    ob_device_info device = *ob_context_device(op->ctx);
    size_t items, left;
    do { /* A compiler may leave a kernel less than the device's largest work-group. */
        op->tile_m = ob__online_pick(&device, &op->desc);
        if (op->tile_m == 0)
            return ob_error_set(err, OB_ERR_DEVICE, "attention with 'online' on '%s': its work-groups are too small",
                                device.name);
        ob_kernel_destroy(op->kernel);
        op->kernel = NULL;
        if (build(op, err) != OB_OK)
            return ob_error_status(err);
        items = ob__online_items_n(op->desc.head_size) * ob__online_items_m(op->tile_m);
        left = ob_kernel_max_work_group(op->kernel);
        if (left < items)
            ob_log(OB_LOG_DEBUG, "attention", "online %zu: its work-group is %zu, the compiler leaves %zu", op->tile_m,
                   items, left);
        device.max_work_group = left;
    } while (left < items);
    return ob__attention_reserve(op, strip_fields(op) * max_strips(op), 0, err);
}

static ob_status plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens, size_t sequence_count,
                      ob_error *err)
{
    size_t fields = strip_fields(op);
    op->strip_count = 0;
    for (size_t s = 0; s < sequence_count; s++) {
        int32_t begin = cu_seqlens[s], length = cu_seqlens[s + 1] - begin;
        for (int32_t at = 0; at < length; at += (int32_t)op->tile_m) {
            int32_t *strip = op->list + fields * op->strip_count++;
            strip[0] = begin;
            strip[1] = length;
            strip[2] = at;
            if (fields == 5) {
                strip[3] = key_seqlens[s];
                strip[4] = key_seqlens[s + 1] - key_seqlens[s];
            }
        }
    }
    return ob_buffer_upload(op->strips, 0, op->list, fields * op->strip_count * sizeof(int32_t), err);
}

static ob_status enqueue(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv, const ob_buffer *key_mask,
                         ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    (void)workspace;
    size_t items_n = ob__online_items_n(op->desc.head_size), items_m = ob__online_items_m(op->tile_m);
    /* Without a mask any buffer stands in, unread. */
    const ob_arg args[] = {ob_arg_buffer(q),
                           ob_arg_buffer(op->strips),
                           ob_arg_buffer(key_mask != NULL ? key_mask : op->strips),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(dst),
                           ob_arg_i32((int32_t)op->desc.heads),
                           ob_arg_f32(ob__attention_scale(op)),
                           ob_arg_buffer(kv)};
    const size_t count = sizeof args / sizeof *args - (ob__attention_is_cross(&op->desc) ? 0 : 1);
    const ob_ndrange range = {2, {op->strip_count * items_n, op->desc.heads * items_m}, {items_n, items_m}};
    return ob_kernel_enqueue(op->kernel, &range, args, count, err);
}

const ob__attention_ops ob__attention_online = {OB_ATTENTION_ONLINE, "online", refuse, create, NULL, plan, enqueue};
