/* config.json, key by key: type, range, and what the keys demand of each other. All defects are reported at once. */
#include "config_keys.h"

#include <inttypes.h>
#include <oberta/activation.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/strbuf.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_FILE      "config.json"
#define CONFIG_MAX_BYTES ((size_t)4 << 20)
#define MAX_SIZE         ((json_int_t)1 << 24)
#define MAX_LAYERS       1024
/* With at most 2^40 parameters and sizes up to 2^24 no later product of sizes and element bytes leaves 64 bits. */
#define MAX_PARAMETERS ((uint64_t)1 << 40)

static bool check_sizes(ob__config_keys *c, ob_roberta_config *config)
{
    const struct {
        const char *key;
        json_int_t high;
        size_t *out;
    } sizes[] = {
        {"vocab_size", MAX_SIZE, &config->vocab_size},
        {"hidden_size", MAX_SIZE, &config->hidden_size},
        {"num_hidden_layers", MAX_LAYERS, &config->num_hidden_layers},
        {"num_attention_heads", MAX_SIZE, &config->num_attention_heads},
        {"intermediate_size", MAX_SIZE, &config->intermediate_size},
        {"max_position_embeddings", MAX_SIZE, &config->max_position_embeddings},
        {"type_vocab_size", MAX_SIZE, &config->type_vocab_size},
    };
    bool right = true;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        json_int_t value = (json_int_t)*sizes[i].out;
        right &= ob__config_integer(c, sizes[i].key, 1, sizes[i].high, &value);
        *sizes[i].out = (size_t)value;
    }
    json_int_t pad = config->pad_token_id;
    right &= ob__config_integer(c, "pad_token_id", 0, MAX_SIZE - 1, &pad);
    config->pad_token_id = (int32_t)pad;
    return right;
}

static uint64_t parameter_count(const ob_roberta_config *c)
{
    uint64_t hidden = c->hidden_size;
    uint64_t tables = (uint64_t)c->vocab_size + c->max_position_embeddings + c->type_vocab_size + c->label_count;
    uint64_t attention = (c->add_cross_attention ? 8 : 4) * hidden;
    uint64_t layer = attention + 2 * (uint64_t)c->intermediate_size; /* columns of width hidden */
    return (tables + layer * c->num_hidden_layers) * hidden;         /* below 2^(24 + 38) */
}

/* Only where each size is right by itself: else one defect would show twice. */
static bool check_sizes_together(ob__config_keys *c, const ob_roberta_config *config)
{
    bool right = true;
    if (config->hidden_size % config->num_attention_heads != 0) {
        ob__config_defect(c, OB_ERR_MODEL, "hidden_size", NULL, "%zu: not a multiple of num_attention_heads (%zu)",
                          config->hidden_size, config->num_attention_heads);
        right = false;
    }
    size_t pad = (size_t)config->pad_token_id;
    if (pad >= config->vocab_size) {
        ob__config_defect(c, OB_ERR_MODEL, "pad_token_id", NULL, "%zu: not below vocab_size (%zu)", pad,
                          config->vocab_size);
        right = false;
    }
    if (config->max_position_embeddings < pad + 3) {
        ob__config_defect(c, OB_ERR_MODEL, "max_position_embeddings", NULL,
                          "%zu: no room for two tokens, whose positions begin at pad_token_id + 1 (%zu)",
                          config->max_position_embeddings, pad + 1);
        right = false;
    }
    uint64_t count = parameter_count(config);
    if (count > MAX_PARAMETERS) {
        ob__config_defect(c, OB_ERR_MODEL, "num_hidden_layers", NULL,
                          "%zu: the sizes make %" PRIu64 " parameters, more than %" PRIu64, config->num_hidden_layers,
                          count, MAX_PARAMETERS);
        right = false;
    }
    return right;
}

static void check_eps(ob__config_keys *c, float *out)
{
    const json_t *value = ob__config_get(c, "layer_norm_eps");
    if (value == NULL)
        return;
    if (!json_is_number(value)) {
        ob__config_defect(c, OB_ERR_MODEL, "layer_norm_eps", value, "not a number");
        return;
    }
    float eps = (float)json_number_value(value);
    if (!(eps > 0.0f && eps <= 1.0f)) /* the float, since that is what divides */
        ob__config_defect(c, OB_ERR_MODEL, "layer_norm_eps", value, "not above 0 (in float32) and up to 1");
    else
        *out = eps;
}

static void check_activation(ob__config_keys *c, char *out, size_t out_bytes)
{
    static const char *const parametrised[] = {"prelu", "xielu"};
    const char *name = ob__config_text(c, "hidden_act");
    if (name == NULL)
        return;
    ob_activation activation;
    if (strlen(name) < out_bytes && ob_activation_from_name(name, &activation)) {
        snprintf(out, out_bytes, "%s", name);
        return;
    }
    for (size_t i = 0; i < sizeof parametrised / sizeof parametrised[0]; i++) {
        if (strcmp(name, parametrised[i]) == 0) {
            ob__config_defect(c, OB_ERR_UNSUPPORTED, "hidden_act", ob__config_get(c, "hidden_act"),
                              "activations with parameters of their own are not supported");
            return;
        }
    }
    ob_strbuf known = OB_STRBUF_INIT;
    for (int i = 0; i < OB_ACTIVATION_COUNT; i++)
        ob_strbuf_printf(&known, i == 0 ? "%s" : ", %s", ob_activation_name((ob_activation)i));
    ob__config_defect(c, OB_ERR_UNSUPPORTED, "hidden_act", ob__config_get(c, "hidden_act"), "not one of %s",
                      ob_strbuf_text(&known));
    ob_strbuf_release(&known);
}

/* The defaults of transformers' RobertaConfig; they are not those of any published model. */
static ob_roberta_config default_config(void)
{
    return (ob_roberta_config){
        .vocab_size = 50265,
        .hidden_size = 768,
        .num_hidden_layers = 12,
        .num_attention_heads = 12,
        .intermediate_size = 3072,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .layer_norm_eps = 1e-12f,
        .hidden_act = "gelu",
        .pad_token_id = 1,
        .tie_word_embeddings = true,
        .architecture = "RobertaModel",
    };
}

ob_status ob_roberta_config_parse(const char *text, size_t bytes, const char *name, ob_roberta_config *out,
                                  ob_error *err)
{
    json_t *root = NULL;
    ob_status status = ob__config_object(text, bytes, name, &root, err);
    if (status != OB_OK)
        return status;
    ob_error own; /* decides the status even where the caller wants no text */
    ob_error_clear(&own);
    ob__config_keys c = {.root = root, .name = name, .err = err != NULL ? err : &own};
    ob_roberta_config config = default_config();
    ob__config_read_family(&c, &config);
    ob__config_read_labels(&c, &config);
    if (check_sizes(&c, &config) && check_sizes_together(&c, &config))
        ob__config_read_pruning(&c, &config);
    check_eps(&c, &config.layer_norm_eps);
    check_activation(&c, config.hidden_act, sizeof config.hidden_act);
    ob__config_bool(&c, "tie_word_embeddings", &config.tie_word_embeddings);
    json_decref(root);
    if (c.defect) {
        ob_roberta_config_release(&config);
        return ob_error_status(c.err);
    }
    *out = config;
    return OB_OK;
}

ob_status ob_roberta_config_load(const char *folder, ob_roberta_config *out, ob_error *err)
{
    ob_strbuf text = OB_STRBUF_INIT;
    char *path = ob_path_join(folder, CONFIG_FILE);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", CONFIG_FILE);
    ob_status status;
    if (!ob_file_exists(path))
        status = ob_error_set(err, OB_ERR_MODEL, "%s: no such %s", path, ob_folder_exists(folder) ? "file" : "folder");
    else if ((status = ob_file_check_downloaded(path, err)) == OB_OK)
        status = ob_file_read(path, CONFIG_MAX_BYTES, &text, err);
    if (status == OB_OK)
        status = ob_roberta_config_parse(ob_strbuf_text(&text), text.length, CONFIG_FILE, out, err);
    ob_strbuf_release(&text);
    ob_free(path);
    return status;
}

size_t ob_roberta_config_max_length(const ob_roberta_config *config)
{
    return config->max_position_embeddings - (size_t)config->pad_token_id - 1;
}
