/* Keys whose values are lists. */
#include "job_keys.h"

#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>

void ob__job_read_outputs(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"last_hidden_state", OB_FORWARD_LAST_HIDDEN_STATE},
                                         {"logits", OB_FORWARD_LOGITS},
                                         {"pooler_output", OB_FORWARD_POOLER_OUTPUT},
                                         {"hidden_states", OB_FORWARD_HIDDEN_STATES},
                                         {"attentions", OB_FORWARD_ATTENTIONS},
                                         {"cross_attentions", OB_FORWARD_CROSS_ATTENTIONS}};
    if (node->kind != OB__YAML_SEQUENCE || node->count == 0) {
        ob__job_defect(r, node, key->path, "a list of outputs is expected, such as [last_hidden_state, logits]");
        return;
    }
    unsigned outputs = 0;
    for (size_t i = 0; i < node->count; i++) {
        int value = ob__job_read_word(r, key->path, &node->children[i], words, sizeof words / sizeof *words);
        outputs |= value >= 0 ? (unsigned)value : 0;
    }
    r->job->forward.outputs = outputs;
}

void ob__job_release_texts(char ***texts, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        ob_free((*texts)[i]);
    ob_free(*texts);
    *texts = NULL;
    *count = 0;
}

/* A list of scalars, or a single one, in place of what stands in *texts. */
static void read_texts(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node, char ***texts,
                       size_t *count)
{
    bool many = node->kind == OB__YAML_SEQUENCE;
    const ob__yaml_node *items = many ? node->children : node;
    size_t item_count = many ? node->count : 1, filled = 0;
    char **list = ob_calloc(item_count + 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < item_count; i++) {
        const char *text = ob__job_scalar(r, &items[i], key->path);
        if (text != NULL && (list[filled] = ob_strdup(text)) != NULL)
            filled++;
    }
    ob__job_release_texts(texts, count);
    *texts = list;
    *count = filled;
}

void ob__job_read_targets(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    if (ob__yaml_is_null(node))
        return;
    if (node->kind == OB__YAML_MAPPING || (node->kind == OB__YAML_SEQUENCE && node->count == 0))
        ob__job_defect(r, node, key->path, "a token, or a list of them, is expected");
    else
        read_texts(r, key, node, &r->job->fill_mask.targets, &r->job->fill_mask.target_count);
}

void ob__job_read_ignore_labels(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    if (node->kind != OB__YAML_SEQUENCE)
        ob__job_defect(r, node, key->path, "a list of labels is expected; [] ignores none");
    else
        read_texts(r, key, node, &r->job->token_classification.ignore_labels,
                   &r->job->token_classification.ignore_label_count);
}

/* The heads of one layer: "0: [1, 2]". */
static void read_layer(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node, ob_pruned_head *heads,
                       size_t *count)
{
    size_t layer, head;
    ob__yaml_node at = {.line = node->key_line, .column = node->key_column};
    if (!ob__job_parse_size(node->key, &layer)) {
        ob__job_defect(r, &at, key->path, "'%.40s' is no number of a layer", node->key);
        return;
    }
    if (node->kind != OB__YAML_SEQUENCE) {
        ob__job_defect(r, node, key->path, "a list of heads is expected, such as {%zu: [0, 2]}", layer);
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        const char *text = ob__job_scalar(r, &node->children[i], key->path);
        if (text != NULL && ob__job_parse_size(text, &head))
            heads[(*count)++] = (ob_pruned_head){layer, head};
        else if (text != NULL)
            ob__job_defect(r, &node->children[i], key->path, "'%.40s' is no number of a head", text);
    }
}

void ob__job_read_prune_heads(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    size_t most = 0, count = 0;
    if (node->kind != OB__YAML_MAPPING) {
        if (!ob__yaml_is_null(node))
            ob__job_defect(r, node, key->path, "a mapping of layers to lists of heads is expected: {0: [1]}");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        most += node->children[i].count;
    ob_pruned_head *heads = ob_calloc(most + 1, sizeof *heads);
    if (heads == NULL) {
        ob__job_defect(r, node, key->path, "no memory");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        read_layer(r, key, &node->children[i], heads, &count);
    ob_free(r->job->prune_heads);
    r->job->prune_heads = heads;
    r->job->prune_head_count = count;
}
