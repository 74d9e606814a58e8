/* Heads that are taken out: pruned_heads of config.json, and more of them on request. */
#include "config_keys.h"

#include <oberta/memory.h>

enum { KEPT, PRUNED_BY_CONFIG, PRUNED_ON_REQUEST };

static bool allocate(ob_roberta_config *config)
{
    if (config->pruned_heads == NULL)
        config->pruned_heads = ob_calloc(config->num_hidden_layers, config->num_attention_heads);
    return config->pruned_heads != NULL;
}

size_t ob_roberta_config_kept_heads(const ob_roberta_config *config, size_t layer)
{
    if (config->pruned_heads == NULL)
        return config->num_attention_heads;
    const uint8_t *pruned = config->pruned_heads + layer * config->num_attention_heads;
    size_t kept = 0;
    for (size_t h = 0; h < config->num_attention_heads; h++)
        kept += pruned[h] == KEPT;
    return kept;
}

static void read_layer(ob__config_keys *c, const char *key, const json_t *list, ob_roberta_config *config)
{
    size_t layer, heads = config->num_attention_heads;
    if (!ob__config_index(key, config->num_hidden_layers, &layer)) {
        json_t *shown = json_string(key);
        ob__config_defect(c, OB_ERR_MODEL, "pruned_heads", shown, "not a layer from 0 to %zu",
                          config->num_hidden_layers - 1);
        json_decref(shown);
        return;
    }
    if (!json_is_array(list)) {
        ob__config_defect(c, OB_ERR_MODEL, "pruned_heads", list, "layer %zu: not an array of heads", layer);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *head = json_array_get(list, i);
        json_int_t number = json_is_integer(head) ? json_integer_value(head) : -1;
        if (number < 0 || (size_t)number >= heads) {
            ob__config_defect(c, OB_ERR_MODEL, "pruned_heads", head, "layer %zu: not a head from 0 to %zu", layer,
                              heads - 1);
            return;
        }
        config->pruned_heads[layer * heads + (size_t)number] = PRUNED_BY_CONFIG;
    }
    if (ob_roberta_config_kept_heads(config, layer) == 0)
        ob__config_defect(c, OB_ERR_MODEL, "pruned_heads", list, "layer %zu: a layer keeps one head at least", layer);
}

void ob__config_read_pruning(ob__config_keys *keys, ob_roberta_config *config)
{
    const json_t *layers = ob__config_get(keys, "pruned_heads");
    if (layers == NULL || json_is_null(layers))
        return;
    if (!json_is_object(layers)) {
        ob__config_defect(keys, OB_ERR_MODEL, "pruned_heads", layers, "not an object");
        return;
    }
    if (json_object_size(layers) == 0)
        return;
    if (!allocate(config)) {
        ob__config_defect(keys, OB_ERR_OUT_OF_MEMORY, "pruned_heads", NULL, "no memory for %zu layers of %zu heads",
                          config->num_hidden_layers, config->num_attention_heads);
        return;
    }
    const char *key;
    json_t *list;
    json_object_foreach((json_t *)layers, key, list) read_layer(keys, key, list, config);
}

ob_status ob_roberta_config_prune(ob_roberta_config *config, size_t layer, size_t head, ob_error *err)
{
    size_t heads = config->num_attention_heads;
    if (layer >= config->num_hidden_layers || head >= heads)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "head %zu of layer %zu cannot be pruned: the model has %zu layers of %zu heads, both "
                            "counted from 0",
                            head, layer, config->num_hidden_layers, heads);
    if (!allocate(config))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the pruned heads of %zu layers",
                            config->num_hidden_layers);
    uint8_t *state = config->pruned_heads + layer * heads + head;
    if (*state != KEPT)
        return OB_OK;
    if (ob_roberta_config_kept_heads(config, layer) == 1)
        return ob_error_set(err, OB_ERR_CONFIG,
                            "head %zu of layer %zu cannot be pruned: it is the last, and a layer keeps one head at "
                            "least",
                            head, layer);
    *state = PRUNED_ON_REQUEST;
    return OB_OK;
}

void ob_roberta_config_release(ob_roberta_config *config)
{
    ob_free(config->labels);
    ob_free(config->pruned_heads);
    config->labels = NULL;
    config->label_count = 0;
    config->pruned_heads = NULL;
}
