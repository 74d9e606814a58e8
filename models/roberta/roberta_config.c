/* Reads config.json: a table of keys with their ranges, then the rules between them. */
#include <oberta/roberta_config.h>

#include <jansson.h>
#include <oberta/activation.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME        "config.json"
#define MAX_CONFIG_BYTES ((size_t)16 << 20)

/* Sizes of published models, with room; products of any three of them fit 64 bits. */
#define MAX_LAYERS    1024
#define MAX_WIDTH     (1 << 20)
#define MAX_VOCAB     (1 << 24)
#define MAX_POSITIONS (1 << 20)

typedef struct parser {
    const json_t *root;
    const char *name;
    ob_error *err;
    bool defect;
} parser;

static void defect(parser *p, ob_status status, const char *key, const char *rule)
{
    char *value = json_dumps(json_object_get(p->root, key), JSON_ENCODE_ANY | JSON_COMPACT);
    ob_error_add(p->err, status, "%s: %s: %.80s: %s", p->name, key, value != NULL ? value : "missing", rule);
    free(value);
    p->defect = true;
}

static size_t read_size(parser *p, const char *key, size_t fallback, size_t low, size_t high)
{
    const json_t *value = json_object_get(p->root, key);
    if (value == NULL)
        return fallback;
    json_int_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= (json_int_t)low && number <= (json_int_t)high)
        return (size_t)number;
    char rule[80];
    snprintf(rule, sizeof rule, "not an integer between %zu and %zu", low, high);
    defect(p, OB_ERR_MODEL, key, rule);
    return fallback;
}

static void read_epsilon(parser *p, ob_roberta_config *out)
{
    const json_t *value = json_object_get(p->root, "layer_norm_eps");
    double number = value == NULL ? 1e-12 : json_number_value(value);
    if (value != NULL && (!json_is_number(value) || !(number > 0) || number > 1))
        defect(p, OB_ERR_MODEL, "layer_norm_eps", "not a number above 0 and at most 1");
    out->layer_norm_eps = (float)number;
}

static void read_activation(parser *p, ob_roberta_config *out)
{
    const json_t *value = json_object_get(p->root, "hidden_act");
    const char *name = value == NULL ? "gelu" : json_string_value(value);
    ob_activation activation;
    snprintf(out->hidden_act, sizeof out->hidden_act, "%s", name != NULL ? name : "");
    if (name == NULL || !ob_activation_from_name(name, &activation))
        defect(p, name == NULL ? OB_ERR_MODEL : OB_ERR_UNSUPPORTED, "hidden_act",
               "not an activation that oberta has (gelu, gelu_new, relu, silu, tanh, ...)");
}

static bool is_flag(parser *p, const char *key, bool fallback)
{
    const json_t *value = json_object_get(p->root, key);
    if (value == NULL || json_is_null(value))
        return fallback;
    if (!json_is_boolean(value))
        defect(p, OB_ERR_MODEL, key, "neither true nor false");
    return json_is_true(value);
}

/* What would silently give other numbers is refused by name. */
static void refuse_unsupported(parser *p)
{
    const json_t *type = json_object_get(p->root, "model_type");
    if (type != NULL && (!json_is_string(type) || strcmp(json_string_value(type), "roberta") != 0))
        defect(p, OB_ERR_UNSUPPORTED, "model_type", "not 'roberta'");
    const json_t *positions = json_object_get(p->root, "position_embedding_type");
    if (positions != NULL && (!json_is_string(positions) || strcmp(json_string_value(positions), "absolute") != 0))
        defect(p, OB_ERR_UNSUPPORTED, "position_embedding_type", "only 'absolute' is available in this version");
    if (is_flag(p, "is_decoder", false))
        defect(p, OB_ERR_UNSUPPORTED, "is_decoder", "causal attention is not available in this version");
    if (is_flag(p, "add_cross_attention", false))
        defect(p, OB_ERR_UNSUPPORTED, "add_cross_attention", "cross attention is not available in this version");
    if (json_object_size(json_object_get(p->root, "pruned_heads")) > 0)
        defect(p, OB_ERR_UNSUPPORTED, "pruned_heads", "pruned models are not available in this version");
}

static void read_architecture(parser *p, ob_roberta_config *out)
{
    const json_t *first = json_array_get(json_object_get(p->root, "architectures"), 0);
    const char *name = json_is_string(first) ? json_string_value(first) : "RobertaModel";
    snprintf(out->architecture, sizeof out->architecture, "%s", name);
}

static void check_relations(parser *p, const ob_roberta_config *c)
{
    char rule[96];
    if (c->hidden_size % c->num_attention_heads != 0) {
        snprintf(rule, sizeof rule, "not a multiple of num_attention_heads (%zu)", c->num_attention_heads);
        defect(p, OB_ERR_MODEL, "hidden_size", rule);
    }
    if ((size_t)c->pad_token_id >= c->vocab_size) {
        snprintf(rule, sizeof rule, "not below vocab_size (%zu)", c->vocab_size);
        defect(p, OB_ERR_MODEL, "pad_token_id", rule);
    }
    if (c->max_position_embeddings < (size_t)c->pad_token_id + 2) {
        snprintf(rule, sizeof rule, "too few for one token: position ids begin at pad_token_id + 1 (%d)",
                 (int)c->pad_token_id + 1);
        defect(p, OB_ERR_MODEL, "max_position_embeddings", rule);
    }
}

ob_status ob_roberta_config_parse(const char *text, size_t bytes, const char *name, ob_roberta_config *out,
                                  ob_error *err)
{
    json_error_t json_err;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &json_err);
    if (root == NULL)
        return ob_error_set(err, OB_ERR_MODEL, "%s:%d:%d: %s", name, json_err.line, json_err.column, json_err.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return ob_error_set(err, OB_ERR_MODEL, "%s: not an object", name);
    }
    ob_error own;
    ob_error_clear(&own);
    parser p = {root, name, &own, false};
    ob_roberta_config c = {
        .vocab_size = read_size(&p, "vocab_size", 50265, 1, MAX_VOCAB),
        .hidden_size = read_size(&p, "hidden_size", 768, 1, MAX_WIDTH),
        .num_hidden_layers = read_size(&p, "num_hidden_layers", 12, 0, MAX_LAYERS),
        .num_attention_heads = read_size(&p, "num_attention_heads", 12, 1, MAX_WIDTH),
        .intermediate_size = read_size(&p, "intermediate_size", 3072, 1, MAX_WIDTH),
        .max_position_embeddings = read_size(&p, "max_position_embeddings", 512, 1, MAX_POSITIONS),
        .type_vocab_size = read_size(&p, "type_vocab_size", 2, 1, MAX_VOCAB),
        .pad_token_id = (int32_t)read_size(&p, "pad_token_id", 1, 0, MAX_VOCAB),
        .tie_word_embeddings = is_flag(&p, "tie_word_embeddings", true),
    };
    read_epsilon(&p, &c);
    read_activation(&p, &c);
    read_architecture(&p, &c);
    refuse_unsupported(&p);
    check_relations(&p, &c);
    json_decref(root);
    if (p.defect)
        return ob_error_set(err, own.status, "%s", own.text);
    *out = c;
    return OB_OK;
}

ob_status ob_roberta_config_load(const char *folder, ob_roberta_config *out, ob_error *err)
{
    char *path = ob_path_join(folder, FILE_NAME);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %s", FILE_NAME);
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status;
    if (!ob_file_exists(path))
        status = ob_error_set(err, OB_ERR_MODEL, "%s is missing", FILE_NAME);
    else if ((status = ob_file_read(path, MAX_CONFIG_BYTES, &text, err)) == OB_OK)
        status = ob_roberta_config_parse(ob_strbuf_text(&text), text.length, FILE_NAME, out, err);
    ob_strbuf_release(&text);
    ob_free(path);
    return status;
}

size_t ob_roberta_config_max_length(const ob_roberta_config *c)
{
    return c->max_position_embeddings - (size_t)c->pad_token_id - 1;
}
