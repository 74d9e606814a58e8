/* Which tensors of a file a model is made of: what is left over, nobody reads. */
#include "tensors.h"

#include <oberta/roberta.h>

typedef struct marker {
    const ob_checkpoint *checkpoint;
    bool *used;
} marker;

static void mark(const marker *m, const ob_tensor *tensor)
{
    for (size_t i = 0; tensor != NULL && i < ob_checkpoint_count(m->checkpoint); i++)
        m->used[i] |= ob_checkpoint_get(m->checkpoint, i) == tensor;
}

static void mark_pair(const marker *m, const ob__weight_bias *pair)
{
    mark(m, pair->weight);
    mark(m, pair->bias);
}

static void mark_attention(const marker *m, const ob__attention_tensors *attention)
{
    mark_pair(m, &attention->query);
    mark_pair(m, &attention->key);
    mark_pair(m, &attention->value);
    mark_pair(m, &attention->output);
    mark_pair(m, &attention->norm);
}

ob_status ob_roberta_find_tensors(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_head head,
                                  bool pooler, bool *used, ob_error *err)
{
    ob__roberta_tensors t;
    ob_status status = ob__roberta_tensors_map(config, checkpoint, head, pooler, &t, err);
    if (status != OB_OK)
        return status;
    const marker m = {checkpoint, used};
    mark(&m, t.word);
    mark(&m, t.position);
    mark(&m, t.token_type);
    const ob__weight_bias *pairs[] = {&t.embedding_norm, &t.pooler,           &t.lm_dense,  &t.lm_norm,
                                      &t.decoder,        &t.classifier_dense, &t.classifier};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        mark_pair(&m, pairs[i]);
    for (size_t i = 0; i < config->num_hidden_layers; i++) {
        mark_attention(&m, &t.layers[i].attention);
        mark_attention(&m, &t.layers[i].cross);
        mark_pair(&m, &t.layers[i].intermediate);
        mark_pair(&m, &t.layers[i].output);
        mark_pair(&m, &t.layers[i].output_norm);
    }
    ob__roberta_tensors_release(&t);
    return OB_OK;
}
