/* Finds RoBERTa's tensors under the names that files use, and checks them all before anything is uploaded. */
#include "tensor_finder.h"

#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>

static const ob_tensor *find_embedding(ob__finder *f, const char *kind, size_t rows)
{
    char name[128];
    snprintf(name, sizeof name, "%sembeddings.%s_embeddings.weight", f->prefix, kind);
    return ob__find(f, rows, f->config->hidden_size, name);
}

/* Where a tied file holds the decoder alone, it is the word embedding too. */
static const ob_tensor *find_word(ob__finder *f)
{
    const ob_tensor *decoder = ob__peek_decoder(f);
    char name[64];
    snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", f->prefix);
    if (decoder == NULL || !f->config->tie_word_embeddings || ob__peek(f, name) != NULL)
        return find_embedding(f, "word", f->config->vocab_size);
    return ob__find(f, f->config->vocab_size, f->config->hidden_size, decoder->name + strlen(f->wrapper));
}

/* A layer's heads: those that stay, and where the file holds them. A file of a model with pruned_heads holds either the
 * smaller weights, as transformers saves them, or the full ones; what was pruned on request it holds in any case. */
static void list_heads(const ob__finder *f, size_t layer, ob__heads *heads)
{
    size_t n = f->config->num_attention_heads, head_size = f->config->hidden_size / n, missing = 0;
    const uint8_t *pruned = f->config->pruned_heads == NULL ? NULL : f->config->pruned_heads + layer * n;
    char name[128];
    snprintf(name, sizeof name, "%sencoder.layer.%zu.attention.self.query.weight", f->prefix, layer);
    const ob_tensor *query = ob__peek(f, name);
    bool full = query != NULL && query->rank == 2 && query->shape[0] == n * head_size;
    for (size_t h = 0; h < n; h++) {
        if (pruned != NULL && pruned[h] == 1 && !full)
            missing++;
        if (pruned != NULL && pruned[h] != 0)
            continue;
        heads->numbers[heads->count] = h;
        heads->positions[heads->count++] = h - missing;
    }
    heads->in_file = n - missing;
}

static void find_attention(ob__finder *f, size_t layer, const char *kind, size_t heads, ob__attention_tensors *out)
{
    size_t hidden = f->config->hidden_size, width = heads * (hidden / f->config->num_attention_heads);
    out->query = ob__find_encoder_pair(f, width, hidden, "encoder.layer.%zu.%s.self.query", layer, kind);
    out->key = ob__find_encoder_pair(f, width, hidden, "encoder.layer.%zu.%s.self.key", layer, kind);
    out->value = ob__find_encoder_pair(f, width, hidden, "encoder.layer.%zu.%s.self.value", layer, kind);
    out->output = ob__find_encoder_pair(f, hidden, width, "encoder.layer.%zu.%s.output.dense", layer, kind);
    out->norm = ob__find_encoder_pair(f, hidden, 0, "encoder.layer.%zu.%s.output.LayerNorm", layer, kind);
}

static void find_layer(ob__finder *f, size_t i, ob__layer_tensors *layer)
{
    size_t hidden = f->config->hidden_size, intermediate = f->config->intermediate_size;
    size_t head_size = hidden / f->config->num_attention_heads;
    list_heads(f, i, &layer->heads);
    find_attention(f, i, "attention", layer->heads.in_file, &layer->attention);
    if (f->config->add_cross_attention)
        find_attention(f, i, "crossattention", f->config->num_attention_heads, &layer->cross);
    layer->intermediate = ob__find_encoder_pair(f, intermediate, hidden, "encoder.layer.%zu.intermediate.dense", i);
    layer->output = ob__find_encoder_pair(f, hidden, intermediate, "encoder.layer.%zu.output.dense", i);
    layer->output_norm = ob__find_encoder_pair(f, hidden, 0, "encoder.layer.%zu.output.LayerNorm", i);
    uint64_t dropped = (layer->heads.in_file - layer->heads.count) * head_size;
    if (!f->defect)
        f->parameter_count -= dropped * (4 * hidden + 3);
}

static bool allocate_layers(const ob_roberta_config *config, ob__roberta_tensors *out)
{
    size_t layers = config->num_hidden_layers, heads = config->num_attention_heads, lists;
    out->layers = ob_calloc(layers, sizeof *out->layers);
    if (ob_size_mul(layers, 2 * heads, &lists))
        out->head_lists = ob_calloc(lists, sizeof *out->head_lists);
    if (out->layers == NULL || out->head_lists == NULL)
        return false;
    for (size_t i = 0; i < layers; i++) {
        out->layers[i].heads.numbers = out->head_lists + 2 * i * heads;
        out->layers[i].heads.positions = out->head_lists + (2 * i + 1) * heads;
    }
    return true;
}

ob_status ob__roberta_tensors_map(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_head head,
                                  bool pooler, ob__roberta_tensors *out, ob_error *err)
{
    ob__roberta_tensors tensors = {.checkpoint = checkpoint};
    if (!allocate_layers(config, &tensors)) {
        ob__roberta_tensors_release(&tensors);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the names of %zu layers",
                            config->num_hidden_layers);
    }
    ob__finder f = ob__finder_make(config, checkpoint, err);
    ob_error_clear(err);
    pooler |= head == OB_HEAD_MULTIPLE_CHOICE;
    tensors.word = find_word(&f);
    tensors.position = find_embedding(&f, "position", config->max_position_embeddings);
    tensors.token_type = find_embedding(&f, "token_type", config->type_vocab_size);
    tensors.embedding_norm = ob__find_encoder_pair(&f, config->hidden_size, 0, "embeddings.LayerNorm");
    for (size_t i = 0; i < config->num_hidden_layers; i++)
        find_layer(&f, i, &tensors.layers[i]);
    ob__find_heads(&f, head, pooler, &tensors);
    if (f.defect) {
        ob__roberta_tensors_release(&tensors);
        ob__explain_missing_heads(&f, head, pooler);
        return OB_ERR_MODEL;
    }
    tensors.parameter_count = f.parameter_count;
    *out = tensors;
    return OB_OK;
}

void ob__roberta_tensors_release(ob__roberta_tensors *tensors)
{
    ob_free(tensors->layers);
    ob_free(tensors->head_lists);
    *tensors = (ob__roberta_tensors){0};
}
