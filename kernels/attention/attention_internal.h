/* What the variants of attention share. */
#ifndef OBERTA_ATTENTION_INTERNAL_H
#define OBERTA_ATTENTION_INTERNAL_H

#include <oberta/launch.h>
#include <oberta/op_attention.h>

typedef struct ob__attention_ops ob__attention_ops;
typedef struct ob__attention_maps ob__attention_maps;

struct ob_attention {
    ob_context *ctx;
    ob_attention_desc desc;
    const ob__attention_ops *ops;
    ob_kernel *kernel, *keys_kernel; /* keys_kernel: strip */
    size_t tile_m, tile_n;           /* queries of a strip; keys of a panel, strip */
    /* The work of the planned batch, host and device: */
    int32_t *list;        /* ref: spans; strip: strips, then panels; online: strips; amx: runs */
    size_t list_capacity; /* elements */
    ob_buffer *strips, *panels;
    ob_buffer *tasks;                /* amx: a counter of tasks taken and one of work-items that ended */
    size_t strip_count, panel_count; /* ref: strip_count is the number of tokens */
    bool streams;                    /* amx: dst passes the caches by */
    ob__attention_maps *maps;
};

struct ob__attention_ops {
    ob_attention_variant variant;
    const char *name;
    /* NULL where it serves the device and the shape; else the reason, one clause. */
    const char *(*refuse)(const ob_device_info *device, const ob_attention_desc *desc);
    ob_status (*create)(ob_attention *op, ob_error *err);
    size_t (*workspace_bytes)(const ob_attention *op); /* NULL: it needs none */
    /* key_seqlens: prefix sums of the keys of each sequence; cu_seqlens itself but for cross-attention. */
    ob_status (*plan)(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens, size_t sequence_count,
                      ob_error *err);
    /* kv is read by cross-attention alone; else q is qkv. */
    ob_status (*enqueue)(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv, const ob_buffer *key_mask,
                         ob_buffer *workspace, ob_buffer *dst, ob_error *err);
};

extern const ob__attention_ops ob__attention_amx, ob__attention_strip, ob__attention_online, ob__attention_ref;

/* 1 / sqrt(head_size) */
float ob__attention_scale(const ob_attention *op);
bool ob__attention_is_cross(const ob_attention_desc *desc);
/* Numbers of a strip or run in the work list (FIELDS in attention_tokens.clh); cross-attention's own are where its keys
 * begin and how many they are. */
size_t ob__attention_fields(const ob_attention_desc *desc);
/* At most, of a batch and of a sequence. */
size_t ob__attention_max_key_tokens(const ob_attention_desc *desc);
size_t ob__attention_max_keys(const ob_attention_desc *desc);
/* CAUSAL and CROSS, where they are wanted. */
void ob__attention_define(const ob_attention_desc *desc, ob_defines *defines);
/* Builds op->kernel and, where it has a name, op->keys_kernel, of the variants for CPU devices: tile.clh, then their
 * own files, at most OB__ATTENTION_OWN. */
#define OB__ATTENTION_OWN 5
ob_status ob__attention_build_tokens(ob_attention *op, const ob_source *const *own, size_t own_count,
                                     const char *kernel, const char *keys_kernel, ob_error *err);
/* Allocates host and device memory for lists of at most this many int32. */
ob_status ob__attention_reserve(ob_attention *op, size_t strips, size_t panels, ob_error *err);

/* Maps and factors (attention_maps.c): the same for every variant. */
ob_status ob__attention_maps_create(ob_attention *op, ob_error *err);
void ob__attention_maps_destroy(ob__attention_maps *maps);
ob_status ob__attention_maps_plan(ob_attention *op, const int32_t *cu_seqlens, const int32_t *key_seqlens,
                                  size_t sequence_count, ob_error *err);

#endif
