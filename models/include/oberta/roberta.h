/* RoBERTa on a device: encoder or decoder, pooler, and one head of those that the folder has.
 *
 * A model belongs to its context's thread. */
#ifndef OBERTA_ROBERTA_H
#define OBERTA_ROBERTA_H

#include <oberta/api.h>
#include <oberta/batch.h>
#include <oberta/checkpoint.h>
#include <oberta/context.h>
#include <oberta/roberta_config.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_roberta ob_roberta;

typedef struct ob_roberta_options {
    size_t max_tokens;    /* of a batch; at least the longest sequence that will come */
    size_t max_sequences; /* of a batch */
    size_t max_length;    /* the longest sequence; 0: the model's own limit */
    ob_head head;         /* to load; NONE: the encoder alone */
    bool pooler;          /* load the pooler (multiple choice loads it anyway) */
    unsigned want; /* of ob_want: all that batches may want; memory for attention maps, target scores and more than one
                      pooling at a time is there only where this says so */
    size_t max_encoder_tokens; /* of a batch, for cross-attention; 0: none come */
    size_t max_encoder_length; /* the longest encoder sequence; 0: max_encoder_tokens */
    size_t top_k;     /* the most that a batch will ask for; more than OB_TOP_K_MAX is chosen on the host; 0: none */
    const char *gemm; /* provider of matrix products: "auto", "amx", "tile", "block", "clblast", "ref" */
} ob_roberta_options;

OB_API void ob_roberta_options_default(ob_roberta_options *options);

/* Checks that the checkpoint has every tensor that is needed, in its shape: all defects are listed (OB_ERR_MODEL),
 * before any device memory is taken. A head or pooler that the file lacks is a defect with a line of its own: nothing
 * is ever made up. Names and their variants: tensor_finder.c. */
OB_API ob_status ob_roberta_check(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_head head,
                                  bool pooler, ob_error *err);

/* The same check, which also sets `used` (ob_checkpoint_count, in its order) for every tensor that encoder, head and
 * pooler are made of; others stay as they are. A tied decoder's copy of the word embeddings is not used. */
OB_API ob_status ob_roberta_find_tensors(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_head head,
                                         bool pooler, bool *used, ob_error *err);

/* Device bytes of the activations of a batch that wants hidden states, or what the LM head gives: about as much as
 * ob_roberta_activation_bytes will say, without a device. CPU devices pack keys for themselves. */
typedef struct ob_roberta_memory {
    uint64_t cpu_bytes, gpu_bytes;
} ob_roberta_memory;
OB_API ob_roberta_memory ob_roberta_estimate(const ob_roberta_config *config, ob_head head, size_t tokens);

/* Uploads and packs the weights, builds all kernels, allocates all activations: nothing of this happens later, but that
 * the first head_mask and the first attention maps build their program. Of pruned heads nothing is uploaded. `config`
 * and `checkpoint` are not needed after it. */
OB_API ob_status ob_roberta_create(ob_context *ctx, const ob_roberta_config *config, const ob_checkpoint *checkpoint,
                                   const ob_roberta_options *options, ob_roberta **out, ob_error *err);
OB_API void ob_roberta_destroy(ob_roberta *model);

/* Runs one batch and waits for it. Every number of it is checked against the config (OB_ERR_INPUT). A decoder with
 * cross-attention passes it by for a batch without encoder states. Arrays of
 * `result` that are wanted are allocated (or reused when it comes from an earlier run of at least this size: pass a
 * zeroed struct at first) and belong to the caller. */
OB_API ob_status ob_roberta_run(ob_roberta *model, const ob_batch *batch, ob_result *result, ob_error *err);

/* Parameters of encoder and loaded heads. */
OB_API uint64_t ob_roberta_parameter_count(const ob_roberta *model);
/* Device bytes: weights, and activations of the largest batch. */
OB_API uint64_t ob_roberta_weight_bytes(const ob_roberta *model);
OB_API uint64_t ob_roberta_activation_bytes(const ob_roberta *model);

#ifdef __cplusplus
}
#endif
#endif
