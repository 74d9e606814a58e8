/* Attention within each sequence of a flat batch:
 *
 *     dst[i][h] = sum_j softmax_j(q[i][h] . k[j][h] / sqrt(head_size) + mask_j) v[j][h]     i, j in the same sequence
 *
 * qkv (total_tokens, 3 * heads * head_size): query, key and value side by side, row-major; dst (total_tokens, heads *
 * head_size) in row tiles (rows.h). Softmax subtracts the row's maximum. A row's bits depend on its own sequence alone.
 */
#ifndef OBERTA_OP_ATTENTION_H
#define OBERTA_OP_ATTENTION_H

#include <oberta/buffer.h>

typedef enum ob_attention_variant {
    OB_ATTENTION_AUTO,
    OB_ATTENTION_REF,
    OB_ATTENTION_STRIP,
    OB_ATTENTION_ONLINE,
    OB_ATTENTION_AMX
} ob_attention_variant;

typedef struct ob_attention_desc {
    size_t heads, head_size;
    size_t max_sequence;              /* the longest sequence that will ever be planned */
    size_t max_tokens, max_sequences; /* of a batch: sizes what plan needs on the device */
    size_t row_tile;                  /* of dst: 1, or that of `tile` (ob_gemm_row_tile), which strip and ref can */
    bool causal;             /* query i sees keys j <= i alone: a later key gets -FLT_MAX added, as a dropped one */
    size_t max_cross_tokens; /* > 0: cross-attention, never causal; queries of one text, keys and values of another, so
                                many at most of a batch */
    size_t max_cross_sequence; /* the longest of those texts; 0: max_cross_tokens */
    ob_attention_variant variant;
    size_t queries; /* of a work-group of online; 0: by the device; for tests and tools */
} ob_attention_desc;

typedef struct ob_attention ob_attention;

ob_status ob_attention_create(ob_context *ctx, const ob_attention_desc *desc, ob_attention **out, ob_error *err);
void ob_attention_destroy(ob_attention *op);
const char *ob_attention_variant_used(const ob_attention *op); /* "ref", "strip", "online", "amx" */

/* Device memory that enqueue needs as `workspace` for a batch of max_tokens, in bytes; may be 0. */
size_t ob_attention_workspace_bytes(const ob_attention *op);

/* Takes the shape of the next batch: cu_seqlens are the prefix sums of the lengths (sequence_count + 1 entries, the
 * last is total_tokens), in host memory. Uploads the work list; serves all layers until the next plan. */
ob_status ob_attention_plan(ob_attention *op, const int32_t *cu_seqlens, size_t sequence_count, ob_error *err);

/* `key_mask` (total_tokens) int32, 1 keep, 0 drop, or NULL where every token is kept. A dropped key, or a later one,
 * gets -FLT_MAX added to its score once, so a query that may see no key at all (a sequence without any kept key;
 * causal, those before the first kept key) attends to all keys of its sequence alike, later ones too. */
ob_status ob_attention_enqueue(const ob_attention *op, const ob_buffer *qkv, const ob_buffer *key_mask,
                               ob_buffer *workspace, ob_buffer *dst, ob_error *err);

/* The same with a batch of queries and a batch of keys and values, where desc.max_cross_tokens > 0: sequence s of the
 * one attends to sequence s of the other. q (tokens, heads * head_size) and kv (cross tokens, 2 * heads * head_size:
 * key and value side by side) row-major; key_mask (cross tokens). */
ob_status ob_attention_plan_cross(ob_attention *op, const int32_t *cu_seqlens, const int32_t *cross_cu_seqlens,
                                  size_t sequence_count, ob_error *err);
ob_status ob_attention_enqueue_cross(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv,
                                     const ob_buffer *key_mask, ob_buffer *workspace, ob_buffer *dst, ob_error *err);

/* Factors of heads after softmax (head_mask): element s * heads + h of `factors`, from element `first` on, belongs to
 * head h of the planned sequence s. Multiplies what enqueue put into dst. The first use of factors or maps builds their
 * program. */
ob_status ob_attention_enqueue_factors(const ob_attention *op, const ob_buffer *factors, size_t first, ob_buffer *dst,
                                       ob_error *err);

/* Attention after softmax, times the factors (NULL: none), of the planned batch: sequence after sequence (heads,
 * length, keys), float32, into `maps`. `q` is qkv, and `kv` NULL, for self-attention. */
ob_status ob_attention_enqueue_maps(const ob_attention *op, const ob_buffer *q, const ob_buffer *kv,
                                    const ob_buffer *key_mask, const ob_buffer *factors, size_t first, ob_buffer *maps,
                                    ob_error *err);

/* Elements of `maps` for the planned batch: heads * (the sum of length * keys). */
uint64_t ob_attention_maps_elements(const ob_attention *op);

#endif
