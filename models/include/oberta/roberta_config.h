/* config.json of a RoBERTa folder, checked. Missing keys take the defaults of transformers' RobertaConfig. */
#ifndef OBERTA_ROBERTA_CONFIG_H
#define OBERTA_ROBERTA_CONFIG_H

#include <oberta/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ob_roberta_config {
    size_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    size_t max_position_embeddings, type_vocab_size;
    float layer_norm_eps;
    char hidden_act[32]; /* a name that ob_activation_from_name knows */
    int32_t pad_token_id;
    bool tie_word_embeddings;
    char architecture[64]; /* the first of `architectures`, "RobertaModel" where there is none */
} ob_roberta_config;

/* Every defect of the file is listed, a line each ("config.json: key: value: rule"). Errors: OB_ERR_MODEL,
 * OB_ERR_UNSUPPORTED (a key asks for something that is not there: relative positions, is_decoder, pruned_heads, ...).
 */
ob_status ob_roberta_config_load(const char *folder, ob_roberta_config *out, ob_error *err);

/* The same from memory; `name` stands in messages. */
ob_status ob_roberta_config_parse(const char *text, size_t bytes, const char *name, ob_roberta_config *out,
                                  ob_error *err);

/* The longest sequence, special tokens included: max_position_embeddings - pad_token_id - 1. */
size_t ob_roberta_config_max_length(const ob_roberta_config *config);

#endif
