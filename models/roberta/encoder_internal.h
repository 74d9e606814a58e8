/* What encoder.c builds and encoder_pass.c runs. */
#ifndef OBERTA_ROBERTA_ENCODER_INTERNAL_H
#define OBERTA_ROBERTA_ENCODER_INTERNAL_H

#include "encoder.h"

#include <oberta/op_embedding.h>
#include <oberta/op_encoder_layer.h>
#include <oberta/op_gather_rows.h>
#include <oberta/op_layer_norm.h>

typedef struct ob__encoder_layer {
    const ob__attention_block *block; /* of self-attention, one of the encoder's */
    size_t head_count;
    size_t *heads; /* (head_count) their numbers in the model */
    ob__attention_weights attention, cross;
    ob_gemm_weights *intermediate, *output;
    ob__norm_weights output_norm;
} ob__encoder_layer;

struct ob__encoder {
    const ob_roberta_config *config; /* borrowed */
    ob__encoder_limits limits;
    size_t layer_count;
    const ob_buffer *word; /* borrowed */
    ob_buffer *position, *token_type;
    ob__norm_weights embedding_norm;
    ob__encoder_layer *layers;
    size_t *head_numbers; /* memory of the layers' heads, and then all numbers of a layer that is not pruned */
    size_t row_tile;      /* of all activations but query, key and value */

    /* Layers of the same shapes share their operators: one block for each count of heads. */
    ob__attention_block *blocks;
    size_t block_count;
    ob__attention_block cross; /* where max_encoder_tokens > 0 */
    ob_embedding *embedding;
    ob_layer_norm *norm;
    ob_gemm *intermediate_gemm, *output_gemm;
    ob_encoder_layer *whole; /* a layer in one launch, of the operators here and those of whole_block; NULL: none */
    const ob__attention_block *whole_block;
    ob_gather_rows *gather; /* hidden states from row tiles to plain rows */
    float *staging;         /* head_mask and encoder states on their way, in the device's order */
};

#endif
