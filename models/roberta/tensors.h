/* The tensors of a RoBERTa checkpoint by their role, whatever names the file gives them.
 *
 * Internal to models/roberta. Names and shapes: table 2.1 of the model's specification, as in the comments. */
#ifndef OBERTA_ROBERTA_TENSORS_H
#define OBERTA_ROBERTA_TENSORS_H

#include <oberta/checkpoint.h>
#include <oberta/roberta_config.h>

/* A linear layer or a layer norm. */
typedef struct ob__weight_bias {
    const ob_tensor *weight, *bias;
} ob__weight_bias;

typedef struct ob__layer_tensors {
    ob__weight_bias query, key, value; /* (hidden, hidden), (hidden) */
    ob__weight_bias attention_output;  /* (hidden, hidden), (hidden) */
    ob__weight_bias attention_norm;    /* (hidden), (hidden) */
    ob__weight_bias intermediate;      /* (intermediate, hidden), (intermediate) */
    ob__weight_bias output;            /* (hidden, intermediate), (hidden) */
    ob__weight_bias output_norm;       /* (hidden), (hidden) */
} ob__layer_tensors;

typedef struct ob__roberta_tensors {
    const ob_tensor *word;       /* (vocab, hidden) */
    const ob_tensor *position;   /* (max_position_embeddings, hidden) */
    const ob_tensor *token_type; /* (type_vocab, hidden) */
    ob__weight_bias embedding_norm;
    ob__layer_tensors *layers; /* (num_hidden_layers) */

    bool has_lm_head;
    ob__weight_bias lm_dense, lm_norm; /* (hidden, hidden), (hidden) */
    ob__weight_bias decoder;           /* (vocab, hidden), (vocab); weight is `word` itself where tied */

    uint64_t parameter_count; /* elements of all of the above, a tied tensor once */
} ob__roberta_tensors;

/* Finds everything that encoder and, with `lm_head`, the masked-LM head need, and checks types and shapes. All defects
 * are listed in one OB_ERR_MODEL. The result points into `checkpoint`; free it with ob__roberta_tensors_release. */
ob_status ob__roberta_tensors_map(const ob_roberta_config *config, const ob_checkpoint *checkpoint, bool lm_head,
                                  ob__roberta_tensors *out, ob_error *err);
void ob__roberta_tensors_release(ob__roberta_tensors *tensors);

#endif
