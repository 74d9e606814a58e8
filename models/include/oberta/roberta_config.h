/* config.json of a RoBERTa folder, checked. Missing keys take the defaults of transformers' RobertaConfig. */
#ifndef OBERTA_ROBERTA_CONFIG_H
#define OBERTA_ROBERTA_CONFIG_H

#include <oberta/api.h>
#include <oberta/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The classes of transformers by what they put on the encoder. */
typedef enum ob_head {
    OB_HEAD_NONE, /* RobertaModel */
    OB_HEAD_LM,   /* RobertaForMaskedLM, RobertaForCausalLM */
    OB_HEAD_SEQUENCE_CLASSIFICATION,
    OB_HEAD_TOKEN_CLASSIFICATION,
    OB_HEAD_QUESTION_ANSWERING,
    OB_HEAD_MULTIPLE_CHOICE
} ob_head;

typedef enum ob_problem_type {
    OB_PROBLEM_UNSET,
    OB_PROBLEM_REGRESSION,
    OB_PROBLEM_SINGLE_LABEL,
    OB_PROBLEM_MULTI_LABEL
} ob_problem_type;

/* Copies share `labels` and `pruned_heads` with the config that was loaded, which must outlive them. */
typedef struct ob_roberta_config {
    size_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    size_t max_position_embeddings, type_vocab_size;
    float layer_norm_eps;
    char hidden_act[32]; /* a name that ob_activation_from_name knows */
    int32_t pad_token_id;
    bool tie_word_embeddings;
    char architecture[64]; /* the first of `architectures`, "RobertaModel" where there is none */
    ob_head head;          /* of that class */
    bool is_decoder;       /* causal self-attention */
    bool add_cross_attention;
    /* (num_hidden_layers, num_attention_heads): 0 kept; 1 config.json prunes it, and the file may hold the full weights
     * or those without it; 2 ob_roberta_config_prune added it, and the file holds its weights. NULL: all kept. */
    uint8_t *pruned_heads;
    size_t label_count; /* entries of id2label; 2 where the file has none */
    char **labels;      /* (label_count) by id: "LABEL_0", ... where the file names none */
    ob_problem_type problem_type;
} ob_roberta_config;

/* Every defect of the file is listed, a line each ("config.json: key: value: rule"). Errors: OB_ERR_MODEL,
 * OB_ERR_UNSUPPORTED (a key asks for something that is not there: relative positions, quantisation, another family,
 * ...). `out` is written on success only; release it with ob_roberta_config_release. */
OB_API ob_status ob_roberta_config_load(const char *folder, ob_roberta_config *out, ob_error *err);

/* The same from memory; `name` stands in messages. */
OB_API ob_status ob_roberta_config_parse(const char *text, size_t bytes, const char *name, ob_roberta_config *out,
                                         ob_error *err);

/* The sizes of a published model, with a masked-LM head: roberta-base, roberta-large, distilroberta-base,
 * codebert-base, xlm-roberta-base. OB_ERR_USAGE for another name, with the list. */
OB_API ob_status ob_roberta_config_known(const char *name, ob_roberta_config *out, ob_error *err);
/* Heads of a layer that are not pruned. */
OB_API size_t ob_roberta_config_kept_heads(const ob_roberta_config *config, size_t layer);
/* Prunes one more head; one that is pruned already stays so. OB_ERR_CONFIG for one that the model does not have, or the
 * last of a layer. */
OB_API ob_status ob_roberta_config_prune(ob_roberta_config *config, size_t layer, size_t head, ob_error *err);
/* Frees labels and pruned_heads; a config without them, or released before, is fine. */
OB_API void ob_roberta_config_release(ob_roberta_config *config);
/* The longest sequence, special tokens included: max_position_embeddings - pad_token_id - 1. */
OB_API size_t ob_roberta_config_max_length(const ob_roberta_config *config);

#ifdef __cplusplus
}
#endif
#endif
