/* Whether one launch can do a layer, and that launch. */
#include "amx.h"
#include "attention_internal.h"
#include "embedded_sources.h"
#include "gemm_internal.h"
#include "tasks.h"
#include "tile.h"

#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/op_encoder_layer.h>
#include <oberta/processor.h>
#include <oberta/profile.h>
#include <string.h>

#define MAX_ROWS OB__AMX_WIDE /* of one block */
#define COUNTERS (3 * 7)      /* for each stage of encoder_layer_amx.cl */
#define PATIENCE 4000         /* some 200 us; the longest tasks take 70 */

struct ob_encoder_layer {
    ob_context *ctx;
    ob_encoder_layer_desc desc; /* borrowed */
    ob_kernel *kernel;
    ob_buffer *tasks;
    size_t items; /* work-items of a launch */
    int32_t patience;
};

static bool suits(const ob_gemm *gemm, size_t n, size_t k, bool residual)
{
    const ob_gemm_desc *d = &gemm->desc;
    return gemm->ops->provider == OB_GEMM_AMX && d->n == n && d->k == k && d->residual == residual &&
           k <= (size_t)OB__AMX_MAX_SINGLE * OB__AMX_WIDE;
}

/* NULL where one launch can do it; else the reason, one clause. */
static const char *refuse(const ob_context *ctx, const ob_encoder_layer_desc *d)
{
    const ob_attention_desc *attention = &d->attention->desc;
    size_t hidden = ob_layer_norm_get_desc(d->norm)->hidden_size, inner = d->inner->desc.n;
    size_t width = attention->heads * attention->head_size;
    if ((ob_context_device(ctx)->capabilities & OB_CAP_SPREAD) == 0)
        return "the driver may give all work-groups to one unit";
    if (ob_context_profiles(ctx))
        return "a profile is of operators";
    if (d->attention->ops->variant != OB_ATTENTION_AMX || ob__attention_is_cross(attention))
        return "attention is not of matrix tiles within a text";
    if (strcmp(ob_layer_norm_variant_used(d->norm), "vector") != 0)
        return "layer norm is not that of vectors";
    if (!suits(d->qkv, 3 * width, hidden, false) || !suits(d->attention_output, hidden, width, true) ||
        !suits(d->inner, inner, hidden, false) || !suits(d->output, hidden, inner, true))
        return "products are not of matrix tiles, or too deep";
    return d->qkv->desc.activation == OB_ACT_NONE && d->attention_output->desc.activation == OB_ACT_NONE &&
                   d->output->desc.activation == OB_ACT_NONE
               ? NULL
               : "there is more than one activation";
}

static ob_status build(ob_encoder_layer *layer, ob_error *err)
{
    static const ob_source *const own[] = {&ob_source_exp,
                                           &ob_source_tasks,
                                           &ob_source_amx,
                                           &ob_source_attention_tokens,
                                           &ob_source_attention_amx,
                                           &ob_source_gemm_amx,
                                           &ob_source_layer_norm_vector,
                                           &ob_source_encoder_layer_amx};
    const ob_source *sources[OB__GEMM_COMMON + sizeof own / sizeof *own];
    const ob_attention_desc *attention = &layer->desc.attention->desc;
    const ob_device_info *device = ob_context_device(layer->ctx);
    const ob__tile tile = ob__tile_for(device);
    ob_defines defines = OB_DEFINES_INIT;
    ob_program *program;
    ob__gemm_program(&layer->desc.inner->desc, sources, &defines); /* the activation is its */
    memcpy(sources + OB__GEMM_COMMON, own, sizeof own);
    ob__tile_define(&tile, device, &defines);
    ob_defines_int(&defines, "HEAD_SIZE", (long)attention->head_size);
    ob__attention_define(attention, &defines);
    if (ob_program_create(layer->ctx, "encoder_layer", sources, sizeof sources / sizeof *sources, &defines, &program,
                          err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, "encoder_layer__amx", &layer->kernel, err);
    ob_program_destroy(program);
    return status;
}

/* One for each unit, since each goes through all stages: more would come when everything is done. But no more than run
 * at a time, where the system gives fewer processors than the driver counts: who waits would keep others from running
 * (two threads on one processor, roberta-base, 1 x 16: 61 ms instead of 33). */
static size_t count_items(const ob_context *ctx, size_t wanted)
{
    size_t processors = ob_processor_count(), units = ob_context_device(ctx)->compute_units;
    return ob__tasks_items(ctx, wanted > 0 ? wanted : processors < units ? processors : units);
}

ob_status ob_encoder_layer_create(ob_context *ctx, const ob_encoder_layer_desc *desc, ob_encoder_layer **out,
                                  ob_error *err)
{
    const char *reason = refuse(ctx, desc);
    *out = NULL;
    if (reason != NULL) {
        ob_log(OB_LOG_DEBUG, "encoder_layer", "not in one launch: %s", reason);
        return OB_OK;
    }
    ob_encoder_layer *layer = ob_calloc(1, sizeof *layer);
    if (layer == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a layer");
    layer->ctx = ctx;
    layer->desc = *desc;
    layer->items = count_items(ctx, desc->work_items);
    layer->patience = desc->patience > 0 ? desc->patience : PATIENCE;
    if (build(layer, err) != OB_OK || ob__tasks_create(ctx, "layer tasks", COUNTERS, &layer->tasks, err) != OB_OK) {
        ob_encoder_layer_destroy(layer);
        return ob_error_status(err);
    }
    *out = layer;
    return OB_OK;
}

void ob_encoder_layer_destroy(ob_encoder_layer *layer)
{
    if (layer == NULL)
        return;
    ob_buffer_destroy(layer->tasks);
    ob_kernel_destroy(layer->kernel);
    ob_free(layer);
}

size_t ob_encoder_layer_max_rows(const ob_encoder_layer *layer)
{
    return layer != NULL ? MAX_ROWS : 0;
}

ob_status ob_encoder_layer_enqueue(const ob_encoder_layer *layer, const ob_encoder_layer_weights *w,
                                   const ob_encoder_layer_rows *rows, size_t m, const ob_buffer *key_mask,
                                   ob_error *err)
{
    const ob_attention *attention = layer->desc.attention;
    const ob_layer_norm_desc *norm = ob_layer_norm_get_desc(layer->desc.norm);
    if (m == 0)
        return OB_OK;
    if (m > MAX_ROWS)
        return ob_error_set(err, OB_ERR_INTERNAL, "a layer of %zu rows in one launch", m);
    const ob_arg args[] = {ob_arg_buffer(rows->hidden),
                           ob_arg_buffer(rows->qkv),
                           ob_arg_buffer(rows->context),
                           ob_arg_buffer(rows->middle),
                           ob_arg_buffer(rows->inner),
                           ob_arg_buffer(w->qkv->weight),
                           ob_arg_buffer(w->qkv->bias),
                           ob_arg_buffer(w->attention_output->weight),
                           ob_arg_buffer(w->attention_output->bias),
                           ob_arg_buffer(w->middle_scale),
                           ob_arg_buffer(w->middle_shift),
                           ob_arg_buffer(w->inner->weight),
                           ob_arg_buffer(w->inner->bias),
                           ob_arg_buffer(w->output->weight),
                           ob_arg_buffer(w->output->bias),
                           ob_arg_buffer(w->last_scale),
                           ob_arg_buffer(w->last_shift),
                           ob_arg_buffer(attention->strips),
                           ob_arg_buffer(key_mask),
                           ob_arg_i32(key_mask != NULL),
                           ob_arg_buffer(layer->tasks),
                           ob_arg_buffer(ob_context_scratch(layer->ctx)),
                           ob_arg_i32((int32_t)(ob__amx_share_bytes(layer->ctx) / sizeof(int32_t))),
                           ob_arg_i32((int32_t)m),
                           ob_arg_i32((int32_t)norm->hidden_size),
                           ob_arg_i32((int32_t)layer->desc.inner->desc.n),
                           ob_arg_i32((int32_t)attention->strip_count),
                           ob_arg_i32((int32_t)attention->desc.heads),
                           ob_arg_f32(ob__attention_scale(attention)),
                           ob_arg_f32(norm->eps),
                           ob_arg_i32(layer->patience)};
    const ob_ndrange range = {1, {layer->items}, {1}};
    return ob_kernel_enqueue(layer->kernel, &range, args, sizeof args / sizeof *args, err);
}
