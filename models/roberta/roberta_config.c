/* config.json, key by key: type, range, and what the keys demand of each other. All defects are reported at once.
 *
 * A table names the sizes; the keys that ask for what oberta does not have are refused by name, never ignored. */
#include <oberta/roberta_config.h>

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <oberta/activation.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE      "config.json"
#define CONFIG_MAX_BYTES ((size_t)4 << 20)
#define MAX_SIZE         ((json_int_t)1 << 24)
#define MAX_LAYERS       1024
/* With at most 2^40 parameters and sizes up to 2^24 no later product of sizes and element bytes leaves 64 bits. */
#define MAX_PARAMETERS ((uint64_t)1 << 40)

typedef struct checker {
    const json_t *root;
    const char *name; /* of the file, in messages */
    ob_error *err;
    bool defect;
} checker;

/* One more line: "config.json: key: value: rule". */
OB_PRINTF(5, 6)
static void add_defect(checker *c, ob_status status, const char *key, const json_t *value, const char *format, ...)
{
    char rule[320];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    /* As JSON in ASCII the value cannot smuggle control characters into a message. */
    char *shown = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    if (!c->defect)
        ob_error_clear(c->err);
    c->defect = true;
    if (shown == NULL)
        ob_error_add(c->err, status, "%s: %s: %s", c->name, key, rule);
    else
        ob_error_add(c->err, status, "%s: %s: %.80s%s: %s", c->name, key, shown, strlen(shown) > 80 ? "..." : "", rule);
    free(shown);
}

/* The key's value; NULL where it is absent and the default holds. */
static const json_t *get(const checker *c, const char *key)
{
    return json_object_get(c->root, key);
}

static bool get_integer(checker *c, const char *key, json_int_t low, json_int_t high, json_int_t *out)
{
    const json_t *value = get(c, key);
    if (value == NULL)
        return true;
    if (!json_is_integer(value)) {
        add_defect(c, OB_ERR_MODEL, key, value, "not an integer");
        return false;
    }
    json_int_t number = json_integer_value(value);
    if (number < low || number > high) {
        add_defect(c, OB_ERR_MODEL, key, value, "not within %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, low,
                   high);
        return false;
    }
    *out = number;
    return true;
}

static bool get_bool(checker *c, const char *key, bool *out)
{
    const json_t *value = get(c, key);
    if (value == NULL)
        return true;
    if (!json_is_boolean(value)) {
        add_defect(c, OB_ERR_MODEL, key, value, "not true or false");
        return false;
    }
    *out = json_is_true(value);
    return true;
}

/* NULL where the key is absent or wrong. */
static const char *get_text(checker *c, const char *key)
{
    const json_t *value = get(c, key);
    if (value != NULL && !json_is_string(value))
        add_defect(c, OB_ERR_MODEL, key, value, "not a string");
    return json_string_value(value);
}

static void check_model_type(checker *c)
{
    static const char *const near[] = {"camembert", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm"};
    const char *type = get_text(c, "model_type");
    if (type == NULL || strcmp(type, "roberta") == 0)
        return;
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        if (strcmp(type, near[i]) == 0) {
            add_defect(c, OB_ERR_UNSUPPORTED, "model_type", get(c, "model_type"),
                       i < 2 ? "the mathematics of RoBERTa, but another tokenizer: not supported"
                             : "a relative of RoBERTa with other mathematics: not supported");
            return;
        }
    }
    add_defect(c, OB_ERR_UNSUPPORTED, "model_type", get(c, "model_type"), "only roberta is supported");
}

/* The name decides which heads to expect in the weights; the encoder is the same below all of them. */
static void check_architecture(checker *c, char *out, size_t out_bytes)
{
    const json_t *list = get(c, "architectures");
    snprintf(out, out_bytes, "RobertaModel");
    if (list == NULL || json_is_null(list))
        return;
    if (!json_is_array(list)) {
        add_defect(c, OB_ERR_MODEL, "architectures", list, "not an array of names");
        return;
    }
    const json_t *first = json_array_get(list, 0);
    if (first == NULL)
        return;
    const char *name = json_string_value(first);
    if (name == NULL || strlen(name) >= out_bytes)
        add_defect(c, OB_ERR_MODEL, "architectures", first, "not a name of at most %zu bytes", out_bytes - 1);
    else if (strncmp(name, "Roberta", 7) != 0 || strncmp(name, "RobertaPreLayerNorm", 19) == 0)
        add_defect(c, OB_ERR_UNSUPPORTED, "architectures", first, "only RobertaModel and RobertaFor... are supported");
    else
        snprintf(out, out_bytes, "%s", name);
}

/* What changes the mathematics and is not there. Keys that only matter in training are left alone. */
static void check_unsupported(checker *c)
{
    const char *positions = get_text(c, "position_embedding_type");
    if (positions != NULL && strcmp(positions, "absolute") != 0)
        add_defect(c, OB_ERR_UNSUPPORTED, "position_embedding_type", get(c, "position_embedding_type"),
                   "only absolute positions are supported");
    static const char *const flags[] = {"is_decoder", "add_cross_attention", "is_encoder_decoder"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool on = false;
        if (get_bool(c, flags[i], &on) && on)
            add_defect(c, OB_ERR_UNSUPPORTED, flags[i], get(c, flags[i]), "only encoders are supported");
    }
    const json_t *pruned = get(c, "pruned_heads");
    if (pruned != NULL && !json_is_null(pruned) && !json_is_object(pruned))
        add_defect(c, OB_ERR_MODEL, "pruned_heads", pruned, "not an object");
    else if (json_object_size(pruned) > 0)
        add_defect(c, OB_ERR_UNSUPPORTED, "pruned_heads", pruned, "pruned heads are not supported");
    const json_t *quantization = get(c, "quantization_config");
    if (quantization != NULL && !json_is_null(quantization))
        add_defect(c, OB_ERR_UNSUPPORTED, "quantization_config", quantization, "quantised weights are not supported");
}

static bool check_sizes(checker *c, ob_roberta_config *config)
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
        right &= get_integer(c, sizes[i].key, 1, sizes[i].high, &value);
        *sizes[i].out = (size_t)value;
    }
    json_int_t pad = config->pad_token_id;
    right &= get_integer(c, "pad_token_id", 0, MAX_SIZE - 1, &pad);
    config->pad_token_id = (int32_t)pad;
    return right;
}

static uint64_t parameter_count(const ob_roberta_config *c)
{
    uint64_t hidden = c->hidden_size;
    uint64_t tables = (uint64_t)c->vocab_size + c->max_position_embeddings + c->type_vocab_size;
    uint64_t layer = 4 * hidden + 2 * (uint64_t)c->intermediate_size; /* columns of width hidden */
    return (tables + layer * c->num_hidden_layers) * hidden;          /* below 2^(24 + 37) */
}

/* Only where each size is right by itself: else one defect would show twice. */
static void check_sizes_together(checker *c, const ob_roberta_config *config)
{
    if (config->hidden_size % config->num_attention_heads != 0)
        add_defect(c, OB_ERR_MODEL, "hidden_size", NULL, "%zu: not a multiple of num_attention_heads (%zu)",
                   config->hidden_size, config->num_attention_heads);
    size_t pad = (size_t)config->pad_token_id;
    if (pad >= config->vocab_size)
        add_defect(c, OB_ERR_MODEL, "pad_token_id", NULL, "%zu: not below vocab_size (%zu)", pad, config->vocab_size);
    if (config->max_position_embeddings < pad + 3)
        add_defect(c, OB_ERR_MODEL, "max_position_embeddings", NULL,
                   "%zu: no room for two tokens, whose positions begin at pad_token_id + 1 (%zu)",
                   config->max_position_embeddings, pad + 1);
    uint64_t count = parameter_count(config);
    if (count > MAX_PARAMETERS)
        add_defect(c, OB_ERR_MODEL, "num_hidden_layers", NULL,
                   "%zu: the sizes make %" PRIu64 " parameters, more than %" PRIu64, config->num_hidden_layers, count,
                   MAX_PARAMETERS);
}

static void check_eps(checker *c, float *out)
{
    const json_t *value = get(c, "layer_norm_eps");
    if (value == NULL)
        return;
    if (!json_is_number(value)) {
        add_defect(c, OB_ERR_MODEL, "layer_norm_eps", value, "not a number");
        return;
    }
    float eps = (float)json_number_value(value);
    if (!(eps > 0.0f && eps <= 1.0f)) /* the float, since that is what divides */
        add_defect(c, OB_ERR_MODEL, "layer_norm_eps", value, "not above 0 (in float32) and up to 1");
    else
        *out = eps;
}

static void check_activation(checker *c, char *out, size_t out_bytes)
{
    static const char *const parametrised[] = {"prelu", "xielu"};
    const char *name = get_text(c, "hidden_act");
    if (name == NULL)
        return;
    ob_activation activation;
    if (strlen(name) < out_bytes && ob_activation_from_name(name, &activation)) {
        snprintf(out, out_bytes, "%s", name);
        return;
    }
    for (size_t i = 0; i < sizeof parametrised / sizeof parametrised[0]; i++) {
        if (strcmp(name, parametrised[i]) == 0) {
            add_defect(c, OB_ERR_UNSUPPORTED, "hidden_act", get(c, "hidden_act"),
                       "activations with parameters of their own are not supported");
            return;
        }
    }
    ob_strbuf known = OB_STRBUF_INIT;
    for (int i = 0; i < OB_ACTIVATION_COUNT; i++)
        ob_strbuf_printf(&known, i == 0 ? "%s" : ", %s", ob_activation_name((ob_activation)i));
    add_defect(c, OB_ERR_UNSUPPORTED, "hidden_act", get(c, "hidden_act"), "not one of %s", ob_strbuf_text(&known));
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

/* Python's JSON writer knows NaN and Infinity; JSON does not, and jansson's message would not say why. The line of the
 * first one, 0 for none. */
static size_t find_non_finite(const char *text, size_t bytes)
{
    size_t line = 1;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            line++;
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && ((bytes - i >= 3 && memcmp(text + i, "NaN", 3) == 0) ||
                                (bytes - i >= 8 && memcmp(text + i, "Infinity", 8) == 0)))
            return line;
    }
    return 0;
}

static ob_status load_object(const char *text, size_t bytes, const char *name, json_t **out, ob_error *err)
{
    size_t invalid_at = ob_utf8_invalid_at(text, bytes);
    if (invalid_at != bytes)
        return ob_error_set(err, OB_ERR_MODEL, "%s: byte %zu: not UTF-8", name, invalid_at);
    size_t line = find_non_finite(text, bytes);
    if (line != 0)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: line %zu: NaN and Infinity are not JSON and no value that a key "
                            "of a model can have",
                            name, line);
    json_error_t defect;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &defect);
    if (root == NULL) {
        if (json_error_code(&defect) == json_error_out_of_memory)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", name);
        for (char *p = defect.text; *p != '\0'; p++) /* it quotes the file, which may hold terminal escapes */
            *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
        return ob_error_set(err, OB_ERR_MODEL, "%s: line %d, column %d: %s", name, defect.line, defect.column,
                            defect.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return ob_error_set(err, OB_ERR_MODEL, "%s: not a JSON object", name);
    }
    *out = root;
    return OB_OK;
}

ob_status ob_roberta_config_parse(const char *text, size_t bytes, const char *name, ob_roberta_config *out,
                                  ob_error *err)
{
    json_t *root = NULL;
    ob_status status = load_object(text, bytes, name, &root, err);
    if (status != OB_OK)
        return status;
    ob_error own; /* decides the status even where the caller wants no text */
    ob_error_clear(&own);
    checker c = {.root = root, .name = name, .err = err != NULL ? err : &own};
    ob_roberta_config config = default_config();
    check_model_type(&c);
    check_architecture(&c, config.architecture, sizeof config.architecture);
    check_unsupported(&c);
    if (check_sizes(&c, &config))
        check_sizes_together(&c, &config);
    check_eps(&c, &config.layer_norm_eps);
    check_activation(&c, config.hidden_act, sizeof config.hidden_act);
    get_bool(&c, "tie_word_embeddings", &config.tie_word_embeddings);
    json_decref(root);
    if (c.defect)
        return ob_error_status(c.err);
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
    else
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
