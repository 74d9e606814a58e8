/* The amx variant: tasks of a head and a run of queries, in x86's matrix tiles. */
#include "amx.h"
#include "attention_internal.h"
#include "embedded_sources.h"
#include "tasks.h"

#define TASKS_PER_UNIT 4   /* or more, where there are so many strips: a task packs all keys anew */
#define MAX_PANELS     256 /* of keys: 9 MiB for each work-item with heads of 64 */
/* Bytes of dst from which it passes the caches by. With the product that reads it, in turns (Xeon of the fourth
 * generation, 2 MiB of second-level cache a core): 128 tokens of 768 floats 0.99, 256 1.01, 512 1.03, 1024 to
 * 4096 1.04. */
#define STREAMED (1u << 20)

static size_t panels_of(const ob_attention_desc *desc)
{
    return (ob__attention_max_keys(desc) + OB__AMX_WIDE - 1) / OB__AMX_WIDE;
}

/* Parts of queries, of keys and values, and of exponentials; scores, what is added to each key's, and a factor for each
 * row. */
static size_t share_bytes(const ob_attention_desc *desc)
{
    size_t panels = panels_of(desc), depth = desc->head_size / OB__AMX_WIDE;
    return (depth + 2 * panels * depth + panels) * OB__AMX_PARTS_BYTES + panels * OB__AMX_SUMS_BYTES +
           (panels + 1) * OB__AMX_WIDE * sizeof(float);
}

static const char *refuse(const ob_device_info *device, const ob_attention_desc *desc)
{
    if ((device->capabilities & OB_CAP_AMX) == 0)
        return "the device has no matrix tiles of x86";
    if (desc->head_size % OB__AMX_WIDE != 0)
        return "the head size is not a multiple of 32";
    if (desc->row_tile > 1)
        return "dst lies in row tiles";
    return panels_of(desc) <= MAX_PANELS ? NULL : "there are too many keys to split at once";
}

static size_t max_runs(const ob_attention *op)
{
    return op->desc.max_tokens / OB__AMX_WIDE + op->desc.max_sequences;
}

static ob_status create(ob_attention *op, ob_error *err)
{
    const ob_source *const own[] = {&ob_source_exp, &ob_source_tasks, &ob_source_amx, &ob_source_attention_tokens,
                                    &ob_source_attention_amx};
    if (ob__amx_reserve(op->ctx, share_bytes(&op->desc), err) != OB_OK ||
        ob__tasks_create(op->ctx, "attention tasks", 0, &op->tasks, err) != OB_OK ||
        ob__attention_build_tokens(op, own, 5, "attention__amx", NULL, err) != OB_OK)
        return ob_error_status(err);
    return ob__attention_reserve(op, ob__attention_fields(&op->desc) * max_runs(op), 0, err);
}

/* Queries of a run: all of a sequence where heads and sequences are tasks enough. */
static size_t run_queries(const ob_attention *op, size_t tokens, size_t sequence_count)
{
    size_t wanted = TASKS_PER_UNIT * (size_t)ob_context_device(op->ctx)->compute_units;
    size_t runs = (wanted + op->desc.heads - 1) / op->desc.heads;
    size_t queries = sequence_count >= runs ? op->desc.max_sequence : tokens / runs + 1;
    return (queries + OB__AMX_WIDE - 1) / OB__AMX_WIDE * OB__AMX_WIDE;
}

static ob_status plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens, size_t sequence_count,
                      ob_error *err)
{
    size_t fields = ob__attention_fields(&op->desc);
    int32_t most = (int32_t)run_queries(op, (size_t)cu_seqlens[sequence_count], sequence_count);
    op->strip_count = 0;
    op->streams = (size_t)cu_seqlens[sequence_count] * op->desc.heads * op->desc.head_size * sizeof(float) > STREAMED;
    for (size_t s = 0; s < sequence_count; s++) {
        int32_t begin = cu_seqlens[s], length = cu_seqlens[s + 1] - begin;
        for (int32_t at = 0; at < length; at += most) {
            int32_t *run = op->list + fields * op->strip_count++;
            run[0] = begin;
            run[1] = length;
            run[2] = at;
            run[3] = length - at < most ? length : at + most;
            if (fields == 6) {
                run[4] = key_seqlens[s];
                run[5] = key_seqlens[s + 1] - key_seqlens[s];
            }
        }
    }
    return ob_buffer_upload(op->strips, 0, op->list, fields * op->strip_count * sizeof(int32_t), err);
}

static ob_status enqueue(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv, const ob_buffer *key_mask,
                         ob_buffer *workspace, ob_buffer *dst, ob_error *err)
{
    (void)workspace;
    /* Without a mask any buffer stands in, unread. */
    const ob_arg args[] = {ob_arg_buffer(q),
                           ob_arg_buffer(kv != NULL ? kv : q),
                           ob_arg_buffer(op->strips),
                           ob_arg_buffer(key_mask != NULL ? key_mask : op->strips),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(dst),
                           ob_arg_i32(op->streams),
                           ob_arg_buffer(op->tasks),
                           ob_arg_buffer(ob_context_scratch(op->ctx)),
                           ob_arg_i32((int32_t)(ob__amx_share_bytes(op->ctx) / sizeof(int32_t))),
                           ob_arg_i32((int32_t)op->strip_count),
                           ob_arg_i32((int32_t)op->desc.heads),
                           ob_arg_f32(ob__attention_scale(op))};
    size_t tasks = op->strip_count * op->desc.heads;
    const ob_ndrange range = {1, {ob__tasks_items(op->ctx, tasks)}, {1}};
    return ob_kernel_enqueue(op->kernel, &range, args, sizeof args / sizeof *args, err);
}

const ob__attention_ops ob__attention_amx = {OB_ATTENTION_AMX, "amx", refuse, create, NULL, plan, enqueue};
