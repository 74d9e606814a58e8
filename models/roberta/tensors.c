/* Finds RoBERTa's tensors under the names that files use, and checks them all before anything is uploaded.
 *
 * Task models put "roberta." before the encoder's names, a bare encoder does not; old files call a layer norm's weight
 * and bias "gamma" and "beta"; the decoder of the masked-LM head is usually the word embedding and then absent. */
#include "tensors.h"

#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 192

typedef struct finder {
    const ob_roberta_config *config;
    const ob_checkpoint *checkpoint;
    const char *prefix; /* "roberta." or "" */
    uint64_t parameter_count;
    ob_error *err;
    bool defect;
} finder;

static void format_shape(char *out, size_t bytes, size_t rank, const size_t *shape)
{
    size_t at = (size_t)snprintf(out, bytes, "(");
    for (size_t i = 0; i < rank && at < bytes; i++)
        at += (size_t)snprintf(out + at, bytes - at, i == 0 ? "%zu" : ", %zu", shape[i]);
    if (at < bytes)
        snprintf(out + at, bytes - at, ")");
}

/* Old layer norms: "...LayerNorm.weight" may be called "...LayerNorm.gamma", and bias beta. */
static const ob_tensor *find_old_name(const ob_checkpoint *checkpoint, const char *name)
{
    static const char *const renamed[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                             {"LayerNorm.bias", "LayerNorm.beta"}};
    size_t length = strlen(name);
    for (size_t i = 0; i < 2; i++) {
        size_t suffix = strlen(renamed[i][0]);
        if (length < suffix || strcmp(name + length - suffix, renamed[i][0]) != 0)
            continue;
        char old[NAME_BYTES];
        snprintf(old, sizeof old, "%.*s%s", (int)(length - suffix), name, renamed[i][1]);
        return ob_checkpoint_find(checkpoint, old);
    }
    return NULL;
}

static bool check_tensor(finder *f, const ob_tensor *tensor, size_t rank, const size_t *shape)
{
    if (!ob_dtype_is_float(tensor->dtype)) {
        ob_error_add(f->err, OB_ERR_MODEL, "%s: tensor '%s': type %s, but weights are F32, F16, BF16 or F64",
                     tensor->file, tensor->name, ob_dtype_name(tensor->dtype));
        f->defect = true;
        return false;
    }
    if (tensor->rank == rank && memcmp(tensor->shape, shape, rank * sizeof *shape) == 0)
        return true;
    char have[160], want[64];
    format_shape(have, sizeof have, tensor->rank, tensor->shape);
    format_shape(want, sizeof want, rank, shape);
    ob_error_add(f->err, OB_ERR_MODEL, "%s: tensor '%s': shape %s, but config.json asks for %s", tensor->file,
                 tensor->name, have, want);
    f->defect = true;
    return false;
}

/* The tensor if the file has it in the right form, NULL (and maybe a defect) otherwise. columns 0: a vector. */
static const ob_tensor *find_optional(finder *f, const char *name, size_t rows, size_t columns)
{
    const ob_tensor *tensor = ob_checkpoint_find(f->checkpoint, name);
    if (tensor == NULL)
        tensor = find_old_name(f->checkpoint, name);
    size_t shape[2] = {rows, columns};
    if (tensor == NULL || !check_tensor(f, tensor, columns == 0 ? 1 : 2, shape))
        return NULL;
    f->parameter_count += tensor->count;
    return tensor;
}

static const ob_tensor *find(finder *f, const char *name, size_t rows, size_t columns)
{
    bool defect_before = f->defect;
    f->defect = false;
    const ob_tensor *tensor = find_optional(f, name, rows, columns);
    if (tensor == NULL && !f->defect) {
        ob_error_add(f->err, OB_ERR_MODEL, "tensor '%s' is missing", name);
        f->defect = true;
    }
    f->defect |= defect_before;
    return tensor;
}

/* <name>.weight and <name>.bias, where the name is a format. columns 0: a layer norm. */
OB_PRINTF(4, 5)
static ob__weight_bias find_pair(finder *f, size_t rows, size_t columns, const char *format, ...)
{
    char stem[NAME_BYTES - 16], name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(stem, sizeof stem, format, args);
    va_end(args);
    ob__weight_bias pair;
    snprintf(name, sizeof name, "%s.weight", stem);
    pair.weight = find(f, name, rows, columns);
    snprintf(name, sizeof name, "%s.bias", stem);
    pair.bias = find(f, name, rows, 0);
    return pair;
}

static const ob_tensor *find_embedding(finder *f, const char *kind, size_t rows)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%sembeddings.%s_embeddings.weight", f->prefix, kind);
    return find(f, name, rows, f->config->hidden_size);
}

static void find_layer(finder *f, size_t i, ob__layer_tensors *layer)
{
    const char *p = f->prefix;
    size_t hidden = f->config->hidden_size, intermediate = f->config->intermediate_size;
    layer->query = find_pair(f, hidden, hidden, "%sencoder.layer.%zu.attention.self.query", p, i);
    layer->key = find_pair(f, hidden, hidden, "%sencoder.layer.%zu.attention.self.key", p, i);
    layer->value = find_pair(f, hidden, hidden, "%sencoder.layer.%zu.attention.self.value", p, i);
    layer->attention_output = find_pair(f, hidden, hidden, "%sencoder.layer.%zu.attention.output.dense", p, i);
    layer->attention_norm = find_pair(f, hidden, 0, "%sencoder.layer.%zu.attention.output.LayerNorm", p, i);
    layer->intermediate = find_pair(f, intermediate, hidden, "%sencoder.layer.%zu.intermediate.dense", p, i);
    layer->output = find_pair(f, hidden, intermediate, "%sencoder.layer.%zu.output.dense", p, i);
    layer->output_norm = find_pair(f, hidden, 0, "%sencoder.layer.%zu.output.LayerNorm", p, i);
}

static bool same_bytes(const ob_tensor *a, const ob_tensor *b)
{
    return a->dtype == b->dtype && a->count == b->count &&
           memcmp(a->data, b->data, a->count * ob_dtype_bytes(a->dtype)) == 0;
}

/* The output bias is one parameter with two names; a file may hold either, or both if they agree. */
static const ob_tensor *find_decoder_bias(finder *f)
{
    size_t vocab = f->config->vocab_size;
    bool either = ob_checkpoint_find(f->checkpoint, "lm_head.decoder.bias") != NULL;
    if (!either)
        return find(f, "lm_head.bias", vocab, 0);
    const ob_tensor *decoder_bias = find(f, "lm_head.decoder.bias", vocab, 0);
    uint64_t counted_once = f->parameter_count;
    const ob_tensor *bias = find_optional(f, "lm_head.bias", vocab, 0);
    f->parameter_count = counted_once;
    if (bias != NULL && decoder_bias != NULL && !same_bytes(bias, decoder_bias)) {
        ob_error_add(f->err, OB_ERR_MODEL,
                     "%s: tensors 'lm_head.bias' and 'lm_head.decoder.bias' differ, but they are one parameter",
                     bias->file);
        f->defect = true;
    }
    return decoder_bias;
}

/* Tied (the default): the word embedding decodes, whatever else the file holds, as transformers 4 does. */
static const ob_tensor *find_decoder_weight(finder *f, const ob_tensor *word)
{
    size_t vocab = f->config->vocab_size, hidden = f->config->hidden_size;
    if (!f->config->tie_word_embeddings)
        return find(f, "lm_head.decoder.weight", vocab, hidden);
    uint64_t counted_once = f->parameter_count;
    const ob_tensor *own = find_optional(f, "lm_head.decoder.weight", vocab, hidden);
    f->parameter_count = counted_once;
    if (own != NULL && word != NULL && !same_bytes(own, word))
        ob_log(OB_LOG_WARN, "model",
               "%s: 'lm_head.decoder.weight' differs from the word embeddings, but config.json ties them: the word "
               "embeddings are used for both",
               own->file);
    return word;
}

static void find_lm_head(finder *f, ob__roberta_tensors *out)
{
    size_t hidden = f->config->hidden_size;
    out->lm_dense = find_pair(f, hidden, hidden, "lm_head.dense");
    out->lm_norm = find_pair(f, hidden, 0, "lm_head.layer_norm");
    out->decoder.weight = find_decoder_weight(f, out->word);
    out->decoder.bias = find_decoder_bias(f);
    out->has_lm_head = true;
}

static const char *find_prefix(const ob_checkpoint *checkpoint)
{
    for (size_t i = 0; i < ob_checkpoint_count(checkpoint); i++)
        if (strncmp(ob_checkpoint_get(checkpoint, i)->name, "roberta.", 8) == 0)
            return "roberta.";
    return "";
}

ob_status ob__roberta_tensors_map(const ob_roberta_config *config, const ob_checkpoint *checkpoint, bool lm_head,
                                  ob__roberta_tensors *out, ob_error *err)
{
    ob__roberta_tensors tensors = {0};
    tensors.layers = ob_calloc(config->num_hidden_layers, sizeof *tensors.layers);
    if (tensors.layers == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the names of %zu layers",
                            config->num_hidden_layers);
    finder f = {config, checkpoint, find_prefix(checkpoint), 0, err, false};
    ob_error_clear(err);
    tensors.word = find_embedding(&f, "word", config->vocab_size);
    tensors.position = find_embedding(&f, "position", config->max_position_embeddings);
    tensors.token_type = find_embedding(&f, "token_type", config->type_vocab_size);
    tensors.embedding_norm = find_pair(&f, config->hidden_size, 0, "%sembeddings.LayerNorm", f.prefix);
    for (size_t i = 0; i < config->num_hidden_layers; i++)
        find_layer(&f, i, &tensors.layers[i]);
    if (lm_head)
        find_lm_head(&f, &tensors);
    if (f.defect) {
        ob__roberta_tensors_release(&tensors);
        if (lm_head && ob_checkpoint_find(checkpoint, "lm_head.dense.weight") == NULL)
            ob_error_add(err, OB_ERR_MODEL, "the file has no masked-LM head, which this task needs");
        return OB_ERR_MODEL;
    }
    tensors.parameter_count = f.parameter_count;
    *out = tensors;
    return OB_OK;
}

void ob__roberta_tensors_release(ob__roberta_tensors *tensors)
{
    ob_free(tensors->layers);
    *tensors = (ob__roberta_tensors){0};
}
