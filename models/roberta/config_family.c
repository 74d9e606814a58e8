/* Which model of the family a config.json describes: model_type, architectures, encoder or decoder; and everything that
 * would change the mathematics and is not there. Such keys are refused by name, never ignored; keys that matter in
 * training alone are left alone. */
#include "config_keys.h"

#include <oberta/log.h>
#include <stdio.h>
#include <string.h>

typedef struct refusal {
    const char *name, *reason;
} refusal;

/* The first two have RoBERTa's encoder, but their folders hold SentencePiece models: ids that oberta made of a text
 * would be wrong, so the whole folder is refused. */
#define SENTENCEPIECE "RoBERTa's encoder, but a SentencePiece tokenizer: not supported"

static void refuse(ob__config_keys *c, const char *key, const json_t *value, const char *name, const refusal *refusals,
                   size_t count, const char *otherwise)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, refusals[i].name) == 0)
            otherwise = refusals[i].reason;
    ob__config_defect(c, OB_ERR_UNSUPPORTED, key, value, "%s", otherwise);
}

static void check_model_type(ob__config_keys *c)
{
    static const refusal relatives[] = {
        {"camembert", SENTENCEPIECE},
        {"xlm-roberta", SENTENCEPIECE},
        {"xlm-roberta-xl", "layer norms before the sublayers and a SentencePiece tokenizer: not supported"},
        {"roberta-prelayernorm", "layer norms before the sublayers: not supported"},
        {"longformer", "attention in a sliding window: not supported"},
        {"data2vec-text", "tensors under other names: not supported"},
        {"ibert", "integer arithmetic: not supported"},
        {"mpnet", "relative positions: not supported"},
    };
    const char *type = ob__config_text(c, "model_type");
    if (type != NULL && strcmp(type, "roberta") != 0)
        refuse(c, "model_type", ob__config_get(c, "model_type"), type, relatives,
               sizeof relatives / sizeof relatives[0], "only roberta is supported");
}

/* Folders that call themselves roberta and bring another tokenizer: vinai/bertweet-base, vinai/phobert-base,
 * klue/roberta-base, hfl/chinese-roberta-wwm-ext. */
static void check_tokenizer_class(ob__config_keys *c)
{
    static const char *const others[] = {
        "BertweetTokenizer",       "BertweetTokenizerFast", "PhobertTokenizer",       "PhobertTokenizerFast",
        "BertTokenizer",           "BertTokenizerFast",     "BertJapaneseTokenizer",  "XLMRobertaTokenizer",
        "XLMRobertaTokenizerFast", "CamembertTokenizer",    "CamembertTokenizerFast", "AlbertTokenizer",
        "AlbertTokenizerFast",     "T5Tokenizer",           "T5TokenizerFast"};
    const char *name = ob__config_text_or_null(c, "tokenizer_class");
    for (size_t i = 0; name != NULL && i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            ob__config_defect(c, OB_ERR_UNSUPPORTED, "tokenizer_class", ob__config_get(c, "tokenizer_class"),
                              "not byte-level BPE: not supported");
}

/* The class decides which head to expect in the weights; the encoder is the same below all of them. */
static void check_architecture(ob__config_keys *c, ob_roberta_config *config)
{
    static const struct {
        const char *name;
        ob_head head;
    } classes[] = {
        {"RobertaModel", OB_HEAD_NONE},
        {"RobertaForMaskedLM", OB_HEAD_LM},
        {"RobertaForCausalLM", OB_HEAD_LM},
        {"RobertaForSequenceClassification", OB_HEAD_SEQUENCE_CLASSIFICATION},
        {"RobertaForTokenClassification", OB_HEAD_TOKEN_CLASSIFICATION},
        {"RobertaForQuestionAnswering", OB_HEAD_QUESTION_ANSWERING},
        {"RobertaForMultipleChoice", OB_HEAD_MULTIPLE_CHOICE},
    };
    const json_t *list = ob__config_get(c, "architectures");
    if (list == NULL || json_is_null(list))
        return;
    if (!json_is_array(list)) {
        ob__config_defect(c, OB_ERR_MODEL, "architectures", list, "not an array of names");
        return;
    }
    const json_t *first = json_array_get(list, 0);
    if (first == NULL)
        return;
    const char *name = json_string_value(first);
    if (name == NULL) {
        ob__config_defect(c, OB_ERR_MODEL, "architectures", first, "not a name");
        return;
    }
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(name, classes[i].name) == 0) {
            snprintf(config->architecture, sizeof config->architecture, "%s", name);
            config->head = classes[i].head;
            return;
        }
    ob__config_defect(c, OB_ERR_UNSUPPORTED, "architectures", first,
                      "only RobertaModel and RobertaForMaskedLM, CausalLM, SequenceClassification, "
                      "TokenClassification, QuestionAnswering and MultipleChoice are supported");
}

static void check_decoder(ob__config_keys *c, ob_roberta_config *config)
{
    bool encoder_decoder = false;
    bool right = ob__config_bool(c, "is_decoder", &config->is_decoder);
    right &= ob__config_bool(c, "add_cross_attention", &config->add_cross_attention);
    if (right && config->add_cross_attention && !config->is_decoder)
        ob__config_defect(c, OB_ERR_MODEL, "add_cross_attention", ob__config_get(c, "add_cross_attention"),
                          "only a decoder has it, but is_decoder is not true");
    if (ob__config_bool(c, "is_encoder_decoder", &encoder_decoder) && encoder_decoder)
        ob__config_defect(c, OB_ERR_UNSUPPORTED, "is_encoder_decoder", ob__config_get(c, "is_encoder_decoder"),
                          "RoBERTa is an encoder or a decoder, not both");
    if (right && !config->is_decoder && strcmp(config->architecture, "RobertaForCausalLM") == 0)
        ob_log(OB_LOG_WARN, "model",
               "%s: RobertaForCausalLM without is_decoder: true: its attention sees the tokens on both sides", c->name);
}

static void check_unsupported(ob__config_keys *c)
{
    const char *positions = ob__config_text(c, "position_embedding_type");
    if (positions != NULL && strcmp(positions, "absolute") != 0)
        ob__config_defect(c, OB_ERR_UNSUPPORTED, "position_embedding_type",
                          ob__config_get(c, "position_embedding_type"), "only absolute positions are supported");
    const json_t *quantization = ob__config_get(c, "quantization_config");
    if (quantization != NULL && !json_is_null(quantization))
        ob__config_defect(c, OB_ERR_UNSUPPORTED, "quantization_config", quantization,
                          "quantised weights are not supported");
    /* Cuts the feed-forward layers' rows into pieces, with the same result: nothing to do but to see that it is one. */
    json_int_t chunk = 0;
    ob__config_integer(c, "chunk_size_feed_forward", 0, INT32_MAX, &chunk);
}

void ob__config_read_family(ob__config_keys *keys, ob_roberta_config *config)
{
    check_model_type(keys);
    check_architecture(keys, config);
    check_tokenizer_class(keys);
    check_decoder(keys, config);
    check_unsupported(keys);
}
