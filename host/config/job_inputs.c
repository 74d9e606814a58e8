/* The keys `inputs` and `device`: structures, and lists of them. */
#include "job_keys.h"

#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdio.h>
#include <string.h>

static void unknown(ob__job_reader *r, const ob__yaml_node *node, const char *section, const char *const *known,
                    size_t count)
{
    char path[128];
    ob__yaml_node at = {.line = node->key_line, .column = node->key_column};
    snprintf(path, sizeof path, "%s.%.60s", section, node->key);
    const char *nearest = ob_text_nearest(node->key, known, count);
    if (nearest != NULL)
        ob__job_defect(r, &at, path, "unknown key; did you mean '%s'?", nearest);
    else
        ob__job_defect(r, &at, path, "unknown key");
}

/* Null leaves the default. */
static bool set_text(ob__job_reader *r, const ob__yaml_node *node, const char *key, char **field)
{
    const char *text = ob__yaml_is_null(node) ? NULL : ob__job_scalar(r, node, key);
    char *copy = text != NULL ? ob_strdup(text) : NULL;
    if (copy == NULL)
        return false;
    ob_free(*field);
    *field = copy;
    return true;
}

static void read_input_format(ob__job_reader *r, const ob__yaml_node *node, ob_input_spec *input)
{
    static const char *const names[] = {"auto", "text", "jsonl", "csv", "tsv"}; /* in the enum's order */
    const char *text = ob__job_scalar(r, node, "inputs.format");
    for (size_t i = 0; text != NULL && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], text) == 0) {
            input->format = (ob_input_format)i;
            return;
        }
    if (text != NULL)
        ob__job_defect(r, node, "inputs.format", "'%.40s' is none of auto, text, jsonl, csv, tsv", text);
}

static void read_input_path(ob__job_reader *r, const ob__yaml_node *node, const char *key, char **path)
{
    const char *text = ob__job_scalar(r, node, key);
    if (text == NULL || text[0] == '\0' || ob__yaml_is_null(node))
        return;
    ob_free(*path);
    *path = ob__job_resolve_path(r, text);
}

static void read_input_key(ob__job_reader *r, const ob__yaml_node *node, ob_input_spec *input)
{
    static const char *const known[] = {"path",      "format",   "text",    "text_pair", "id",
                                        "input_ids", "question", "context", "choices",   "tensors"};
    if (strcmp(node->key, "path") == 0) {
        read_input_path(r, node, "inputs.path", &input->path);
    } else if (strcmp(node->key, "format") == 0) {
        read_input_format(r, node, input);
    } else if (strcmp(node->key, "text") == 0) {
        set_text(r, node, "inputs.text", &input->text_field);
    } else if (strcmp(node->key, "text_pair") == 0) {
        input->pair_required = set_text(r, node, "inputs.text_pair", &input->pair_field);
    } else if (strcmp(node->key, "id") == 0) {
        set_text(r, node, "inputs.id", &input->id_field);
    } else if (strcmp(node->key, "input_ids") == 0) {
        set_text(r, node, "inputs.input_ids", &input->ids_field);
    } else if (strcmp(node->key, "question") == 0) {
        set_text(r, node, "inputs.question", &input->question_field);
    } else if (strcmp(node->key, "context") == 0) {
        set_text(r, node, "inputs.context", &input->context_field);
    } else if (strcmp(node->key, "choices") == 0) {
        set_text(r, node, "inputs.choices", &input->choices_field);
    } else if (strcmp(node->key, "tensors") == 0) {
        read_input_path(r, node, "inputs.tensors", &input->tensors_path);
    } else {
        unknown(r, node, "inputs", known, sizeof known / sizeof *known);
    }
}

static bool default_input(ob_input_spec *input)
{
    *input = (ob_input_spec){.format = OB_INPUT_AUTO,
                             .text_field = ob_strdup("text"),
                             .pair_field = ob_strdup("text_pair"),
                             .id_field = ob_strdup("id"),
                             .ids_field = ob_strdup("input_ids")};
    return input->text_field != NULL && input->pair_field != NULL && input->id_field != NULL &&
           input->ids_field != NULL;
}

static void no_memory(ob__job_reader *r)
{
    ob_error_set(r->err, OB_ERR_OUT_OF_MEMORY, "no memory for the job's inputs");
    r->defect = true;
}

static void read_input(ob__job_reader *r, const ob__yaml_node *node, ob_input_spec *input)
{
    if (!default_input(input)) {
        no_memory(r);
        return;
    }
    if (node->kind != OB__YAML_MAPPING) {
        ob__job_defect(r, node, "inputs", "a mapping with a path is expected");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        read_input_key(r, &node->children[i], input);
    if (input->path == NULL)
        ob__job_defect(r, node, "inputs.path", "a path is missing; '-' is standard input");
}

void ob__job_release_inputs(ob_job *job)
{
    for (size_t i = 0; i < job->input_count; i++) {
        ob_free(job->inputs[i].path);
        ob_free(job->inputs[i].text_field);
        ob_free(job->inputs[i].pair_field);
        ob_free(job->inputs[i].id_field);
        ob_free(job->inputs[i].ids_field);
        ob_free(job->inputs[i].question_field);
        ob_free(job->inputs[i].context_field);
        ob_free(job->inputs[i].choices_field);
        ob_free(job->inputs[i].tensors_path);
    }
    ob_free(job->inputs);
    job->inputs = NULL;
    job->input_count = 0;
}

void ob__job_read_inputs(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    bool list = node->kind == OB__YAML_SEQUENCE;
    size_t count = list ? node->count : 1;
    r->has_inputs = true;
    if (count == 0) {
        ob__job_defect(r, node, key->path, "an empty list");
        return;
    }
    ob__job_release_inputs(r->job);
    r->job->inputs = ob_calloc(count, sizeof *r->job->inputs);
    if (r->job->inputs == NULL)
        no_memory(r);
    for (size_t i = 0; r->job->inputs != NULL && i < count; i++)
        read_input(r, list ? &node->children[i] : node, &r->job->inputs[r->job->input_count++]);
}

/* `requires` may be a list here. */
static void read_requires(ob__job_reader *r, const ob__yaml_node *node, ob_device_pattern *pattern)
{
    ob_error err;
    for (size_t i = 0; i < node->count; i++) {
        ob_error_clear(&err);
        const char *text = ob__job_scalar(r, &node->children[i], "device.requires");
        if (text != NULL && ob_device_pattern_set(pattern, "requires", text, &err) != OB_OK)
            ob__job_defect(r, &node->children[i], "device", "%s", err.text);
    }
}

static bool is_pattern_key(const char *key)
{
    const char *known;
    for (size_t i = 0; (known = ob_device_pattern_key(i)) != NULL; i++)
        if (strcmp(known, key) == 0)
            return true;
    return false;
}

static void read_pattern(ob__job_reader *r, const ob__yaml_node *node, ob_device_selector *selector, bool exclude)
{
    ob_device_pattern *pattern = exclude ? &selector->exclude : &selector->match;
    for (size_t i = 0; i < node->count; i++) {
        const ob__yaml_node *child = &node->children[i];
        ob_error err;
        ob_error_clear(&err);
        if (strcmp(child->key, "exclude") == 0 && !exclude && child->kind == OB__YAML_MAPPING) {
            selector->has_exclude = true;
            read_pattern(r, child, selector, true);
            continue;
        }
        if (strcmp(child->key, "requires") == 0 && child->kind == OB__YAML_SEQUENCE) {
            read_requires(r, child, pattern);
            continue;
        }
        const char *where = exclude ? "device.exclude" : "device";
        if (strcmp(child->key, "exclude") == 0 && !exclude) {
            ob__job_defect(r, child, "device.exclude", "a mapping is expected");
            continue;
        }
        const char *text = ob__job_scalar(r, child, where);
        /* A wrong key is shown where the key is, a wrong value where the value is. */
        ob__yaml_node at = {.line = child->key_line, .column = child->key_column};
        if (text != NULL && ob_device_pattern_set(pattern, child->key, text, &err) != OB_OK)
            ob__job_defect(r, is_pattern_key(child->key) ? child : &at, where, "%s", err.text);
    }
}

static void read_selector(ob__job_reader *r, const ob__yaml_node *node, ob_device_selector *out)
{
    ob_error err;
    ob_error_clear(&err);
    if (node->kind == OB__YAML_MAPPING)
        read_pattern(r, node, out, false);
    else if (node->kind != OB__YAML_SCALAR)
        ob__job_defect(r, node, "device", "a word or a mapping is expected");
    else if (ob_device_selector_parse(node->text, out, &err) != OB_OK)
        ob__job_defect(r, node, "device", "%s", err.text);
}

void ob__job_read_device(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const ob__yaml_node *one = node;
    if (node->kind == OB__YAML_SEQUENCE) {
        if (node->count != 1) {
            ob__job_defect(r, node, key->path,
                           node->count == 0 ? "an empty list" : "several devices are not available in this version");
            return;
        }
        one = &node->children[0];
    }
    ob_device_selector_release(&r->job->devices[0]);
    read_selector(r, one, &r->job->devices[0]);
}

bool ob__job_override_inside(ob__job_reader *r, const char *section, ob__yaml_node *node)
{
    ob_job *job = r->job;
    if (strcmp(section, "device") == 0) {
        ob__yaml_node mapping = {.kind = OB__YAML_MAPPING, .children = node, .count = 1};
        read_pattern(r, &mapping, &job->devices[0], false);
        return true;
    }
    if (strcmp(section, "inputs") != 0)
        return false;
    if (job->input_count > 1) {
        ob__job_defect(r, node, "inputs", "there are %zu; only --set inputs=[...] can say which is meant",
                       job->input_count);
        return true;
    }
    if (job->input_count == 0) {
        job->inputs = ob_calloc(1, sizeof *job->inputs);
        job->input_count = job->inputs != NULL;
        if (job->inputs == NULL || !default_input(&job->inputs[0])) {
            no_memory(r);
            return true;
        }
    }
    read_input_key(r, node, &job->inputs[0]);
    r->has_inputs |= job->inputs[0].path != NULL;
    return true;
}
