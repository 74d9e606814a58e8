/* The result's arrays: how large they are, and what each layer sends into them. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_RESULTS_H
#define OBERTA_ROBERTA_RESULTS_H

#include <oberta/batch.h>
#include <oberta/buffer.h>
#include <oberta/roberta_config.h>

/* Values a token or sequence that `head` gives as logits: labels, or the vocabulary. */
size_t ob__logit_width(const ob_roberta_config *config, ob_head head);

/* Grows the arrays that a checked batch wants, sizes checked. OB_ERR_OUT_OF_MEMORY names the array. */
ob_status ob__results_allocate(const ob_roberta_config *config, ob_head head, const ob_batch *batch, ob_result *result,
                               ob_error *err);

/* One layer's hidden states (tokens, hidden), row-major, each sequence's to its place in `hidden_states`, later. */
ob_status ob__download_states(ob_buffer *states, const ob_roberta_config *config, size_t index, const ob_batch *batch,
                              float *hidden_states, ob_error *err);

/* Which part of the maps one layer gives. */
typedef struct ob__map_layer {
    size_t layers, layer; /* of the model; this one */
    size_t all_heads;     /* of the model's layers */
    size_t count;         /* of this layer */
    const size_t *heads;  /* (count) their numbers, ascending */
} ob__map_layer;

/* One layer's maps as ob_attention_enqueue_maps leaves them, each head's to its place in `maps`, later; those of pruned
 * heads are zeros. `key_cu_seqlens` says how many keys each sequence has. */
ob_status ob__download_maps(ob_buffer *buffer, const ob__map_layer *layer, const ob_batch *batch,
                            const int32_t *key_cu_seqlens, float *maps, ob_error *err);

#endif
