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

/* A is the heads that the file holds times their size: hidden, but where the file is pruned. */
typedef struct ob__attention_tensors {
    ob__weight_bias query, key, value; /* (A, hidden), (A) */
    ob__weight_bias output;            /* (hidden, A), (hidden) */
    ob__weight_bias norm;              /* (hidden), (hidden) */
} ob__attention_tensors;

/* Which heads an attention has; those of cross-attention are never pruned. */
typedef struct ob__heads {
    size_t count;      /* that stay */
    size_t in_file;    /* at least `count` */
    size_t *numbers;   /* (count) in the model, ascending: rows of head_mask and of attention maps */
    size_t *positions; /* (count) in the file */
} ob__heads;

typedef struct ob__layer_tensors {
    ob__heads heads;
    ob__attention_tensors attention;
    ob__attention_tensors cross;  /* where add_cross_attention */
    ob__weight_bias intermediate; /* (intermediate, hidden), (intermediate) */
    ob__weight_bias output;       /* (hidden, intermediate), (hidden) */
    ob__weight_bias output_norm;  /* (hidden), (hidden) */
} ob__layer_tensors;

typedef struct ob__roberta_tensors {
    const ob_checkpoint *checkpoint; /* that holds them */
    const ob_tensor *word;           /* (vocab, hidden) */
    const ob_tensor *position;       /* (max_position_embeddings, hidden) */
    const ob_tensor *token_type;     /* (type_vocab, hidden) */
    ob__weight_bias embedding_norm;
    ob__layer_tensors *layers; /* (num_hidden_layers) */
    size_t *head_lists;        /* memory of all layers' heads */

    ob__weight_bias pooler;            /* (hidden, hidden), (hidden); NULL where it is not wanted */
    ob_head head;                      /* of which some of these are set: */
    ob__weight_bias lm_dense, lm_norm; /* (hidden, hidden), (hidden) */
    ob__weight_bias decoder;           /* (vocab, hidden), (vocab); weight is `word` itself where tied */
    ob__weight_bias classifier_dense;  /* sequence classification: (hidden, hidden), (hidden) */
    ob__weight_bias classifier;        /* (labels, hidden), (labels); labels is 1 for multiple choice */

    uint64_t parameter_count; /* elements of all of the above that are used, a tied tensor once */
} ob__roberta_tensors;

/* Finds everything that encoder, `head` and, with `pooler` or multiple choice, the pooler need, and checks types and
 * shapes. All defects are listed in one OB_ERR_MODEL. The result points into `checkpoint`; free it with
 * ob__roberta_tensors_release. */
ob_status ob__roberta_tensors_map(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_head head,
                                  bool pooler, ob__roberta_tensors *out, ob_error *err);
void ob__roberta_tensors_release(ob__roberta_tensors *tensors);

#endif
