/* Job files: from text to a checked struct, and back to a commented template. */
#include "job_keys.h"

#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <oberta/writer.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIBLINGS 64

const char *ob_task_name(ob_task task)
{
    static const char *const names[] = {
#define TASK_NAME(code, name) name,
        OB_TASK_MAP(TASK_NAME)
#undef TASK_NAME
    };
    return (size_t)task < sizeof names / sizeof *names ? names[task] : "?";
}

void ob_job_default(ob_job *job)
{
    *job = (ob_job){.dtype = OB_DTYPE_F32,
                    .task = OB_TASK_FILL_MASK,
                    .output_path = ob_strdup("-"),
                    .truncation = OB_TRUNCATION_LONGEST_FIRST,
                    .sort_by_length = true,
                    .fill_mask = {.top_k = 5},
                    .forward = {.outputs = OB_FORWARD_LAST_HIDDEN_STATE},
                    .text_classification = {.top_k = 1},
                    .question_answering = {
                        .top_k = 1, .doc_stride = OB_DOC_STRIDE_AUTO, .max_answer_len = 15, .align_to_words = true}};
    job->token_classification.ignore_labels = ob_calloc(1, sizeof *job->token_classification.ignore_labels);
    if (job->token_classification.ignore_labels != NULL &&
        (job->token_classification.ignore_labels[0] = ob_strdup("O")) != NULL)
        job->token_classification.ignore_label_count = 1;
    job->devices = ob_calloc(1, sizeof *job->devices);
    if (job->devices != NULL) {
        ob_device_selector_default(&job->devices[0]);
        job->device_count = 1;
    }
}

void ob_job_release(ob_job *job)
{
    ob__job_release_inputs(job);
    for (size_t i = 0; i < job->device_count; i++)
        ob_device_selector_release(&job->devices[i]);
    ob_free(job->devices);
    ob__job_release_texts(&job->fill_mask.targets, &job->fill_mask.target_count);
    ob__job_release_texts(&job->token_classification.ignore_labels, &job->token_classification.ignore_label_count);
    ob_free(job->prune_heads);
    ob_free(job->model_path);
    ob_free(job->output_path);
    *job = (ob_job){0};
}

static const ob__job_key *find_key(const char *section, const char *key)
{
    char path[160];
    snprintf(path, sizeof path, "%s%s%.100s", section, section[0] != '\0' ? "." : "", key);
    for (size_t i = 0; i < ob__job_key_count; i++)
        if (strcmp(ob__job_keys[i].path, path) == 0)
            return &ob__job_keys[i];
    return NULL;
}

static bool is_section(const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < ob__job_key_count; i++)
        if (strncmp(ob__job_keys[i].path, key, length) == 0 && ob__job_keys[i].path[length] == '.')
            return true;
    return false;
}

/* The last words of the section's keys; for the top level, keys and sections. */
static size_t list_siblings(const char *section, char names[MAX_SIBLINGS][64], const char **pointers)
{
    size_t count = 0, length = strlen(section);
    for (size_t i = 0; i < ob__job_key_count && count < MAX_SIBLINGS; i++) {
        const char *path = ob__job_keys[i].path;
        if (length > 0 && (strncmp(path, section, length) != 0 || path[length] != '.'))
            continue;
        path += length > 0 ? length + 1 : 0;
        snprintf(names[count], 64, "%.*s", (int)strcspn(path, "."), path);
        if (count > 0 && strcmp(names[count], names[count - 1]) == 0)
            continue; /* the same section */
        pointers[count] = names[count];
        count++;
    }
    return count;
}

static void unknown_key(ob__job_reader *r, const ob__yaml_node *node, const char *section)
{
    char names[MAX_SIBLINGS][64], path[200];
    const char *pointers[MAX_SIBLINGS];
    size_t count = list_siblings(section, names, pointers);
    ob__yaml_node at = {.line = node->key_line, .column = node->key_column};
    snprintf(path, sizeof path, "%s%s%.100s", section, section[0] != '\0' ? "." : "", node->key);
    const char *nearest = ob_text_nearest(node->key, pointers, count);
    if (nearest != NULL)
        ob__job_defect(r, &at, path, "unknown key; did you mean '%s'?", nearest);
    else
        ob__job_defect(r, &at, path, "unknown key");
}

static void read_mapping(ob__job_reader *r, const ob__yaml_node *mapping, const char *section)
{
    for (size_t i = 0; i < mapping->count; i++) {
        const ob__yaml_node *child = &mapping->children[i];
        const ob__job_key *key = find_key(section, child->key);
        if (key != NULL)
            key->read(r, key, child);
        else if (section[0] == '\0' && is_section(child->key) && child->kind == OB__YAML_MAPPING)
            read_mapping(r, child, child->key);
        else if (section[0] == '\0' && is_section(child->key) && ob__yaml_is_null(child))
            continue; /* a section whose keys are all commented out */
        else if (section[0] == '\0' && is_section(child->key))
            ob__job_defect(r, child, child->key, "a mapping is expected");
        else
            unknown_key(r, child, section);
    }
}

/* The value of an override: YAML where it is a list, a mapping or quoted, else the text as it stands ("-" is a path).
 */
static ob_status parse_override(const char *text, ob__yaml_node *out, ob_error *err)
{
    if (text[0] != '\0' && strchr("[{'\"", text[0]) != NULL)
        return ob__yaml_parse(text, strlen(text), "--set", out, err);
    *out = (ob__yaml_node){.kind = OB__YAML_SCALAR, .plain = true, .text = ob_strdup(text)};
    return out->text != NULL ? OB_OK : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for --set");
}

/* "batch.max_tokens=4096" */
static ob_status apply_override(ob__job_reader *r, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL)
        return ob_error_add(r->err, OB_ERR_USAGE, "--set %s: not of the form KEY=VALUE", text);
    char *path = ob_strndup(text, (size_t)(equals - text));
    ob__yaml_node value = {0};
    ob_error err;
    ob_error_clear(&err);
    if (path == NULL)
        return ob_error_add(r->err, OB_ERR_OUT_OF_MEMORY, "no memory for --set");
    ob_status status = parse_override(equals + 1, &value, &err);
    const ob__job_key *key = find_key("", path);
    if (status != OB_OK) {
        ob_error_add(r->err, status, "--set %s: %s", path, err.text);
        r->defect = true;
    } else if (key != NULL) {
        key->read(r, key, &value);
    } else {
        char *dot = strchr(path, '.');
        ob__yaml_node node = value;
        node.key = dot != NULL ? dot + 1 : path;
        if (dot != NULL)
            *dot = '\0';
        if (dot == NULL || !ob__job_override_inside(r, path, &node))
            unknown_key(r, &node, dot != NULL && is_section(path) ? path : "");
    }
    ob__yaml_release(&value);
    ob_free(path);
    return OB_OK;
}

/* What rows of the inputs hold, and where encoder states come from. */
static void check_inputs(ob__job_reader *r)
{
    ob_job *job = r->job;
    size_t with_tensors = 0;
    for (size_t i = 0; i < job->input_count; i++) {
        ob_input_spec *input = &job->inputs[i];
        input->form = job->task == OB_TASK_QUESTION_ANSWERING ? OB_ROWS_OF_QUESTIONS
                      : job->task == OB_TASK_MULTIPLE_CHOICE  ? OB_ROWS_OF_CHOICES
                                                              : OB_ROWS_OF_TEXTS;
        with_tensors += input->tensors_path != NULL;
    }
    if (with_tensors > 0 && job->task != OB_TASK_FORWARD) {
        ob_error_add(r->err, OB_ERR_CONFIG, "%s: inputs.tensors: only the task 'forward' takes encoder states",
                     r->name);
        r->defect = true;
    } else if (with_tensors > 0 && with_tensors < job->input_count) {
        ob_error_add(r->err, OB_ERR_CONFIG, "%s: inputs.tensors: %zu of %zu inputs have it; all or none must", r->name,
                     with_tensors, job->input_count);
        r->defect = true;
    }
}

/* What only the whole job can tell. */
static void check_whole(ob__job_reader *r)
{
    ob_job *job = r->job;
    check_inputs(r);
    if (!r->has_inputs) {
        ob_error_add(r->err, OB_ERR_CONFIG, "%s: inputs: missing; a job needs at least 'inputs: {path: FILE}'",
                     r->name);
        r->defect = true;
    }
    if (job->output_format == OB_OUTPUT_AUTO && !ob_output_format_from_path(job->output_path, &job->output_format)) {
        if (strcmp(job->output_path, "-") == 0) {
            job->output_format = OB_OUTPUT_JSONL;
        } else {
            ob_error_add(r->err, OB_ERR_CONFIG,
                         "%s: output.format: '%s' ends in none of .jsonl, .csv, .npy, .safetensors", r->name,
                         job->output_path);
            r->defect = true;
        }
    }
    for (size_t i = 0; i < job->input_count; i++)
        if (job->inputs[i].path != NULL && strcmp(job->output_path, "-") != 0 &&
            strcmp(job->inputs[i].path, job->output_path) == 0) {
            ob_error_add(r->err, OB_ERR_CONFIG, "%s: output.path: '%s' is also an input", r->name, job->output_path);
            r->defect = true;
        }
}

ob_status ob_job_parse(const char *text, size_t bytes, const char *name, const char *folder,
                       const char *const *overrides, size_t override_count, ob_job *out, ob_error *err)
{
    ob__yaml_node root;
    ob_status status = ob__yaml_parse(text, bytes, name, &root, err);
    if (status != OB_OK)
        return status;
    ob_job job;
    ob_job_default(&job);
    ob_error own;
    ob_error_clear(&own);
    ob__job_reader r = {.job = &job, .name = name, .has_position = true, .folder = folder, .err = &own};
    if (job.devices == NULL || job.output_path == NULL || job.token_classification.ignore_label_count == 0)
        ob_error_set(&own, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    else if (root.kind != OB__YAML_MAPPING)
        ob_error_set(&own, OB_ERR_CONFIG, "%s:%zu:%zu: a job is a mapping of keys and values", name, root.line,
                     root.column);
    else
        read_mapping(&r, &root, "");
    bool is_job = root.kind == OB__YAML_MAPPING;
    ob__yaml_release(&root);
    r.has_inputs |= !is_job; /* what is no job lacks more than that */
    r.name = "--set";
    r.has_position = false;
    r.folder = "";
    for (size_t i = 0; i < override_count && own.status != OB_ERR_OUT_OF_MEMORY; i++)
        apply_override(&r, overrides[i]);
    r.name = name;
    if (own.status == OB_OK || own.status == OB_ERR_CONFIG || own.status == OB_ERR_USAGE)
        check_whole(&r); /* also beside other mistakes, so that one run shows them all */
    if (own.status != OB_OK) {
        ob_job_release(&job);
        return ob_error_set(err, own.status, "%s", own.text);
    }
    ob_job_release(out);
    *out = job;
    return OB_OK;
}

ob_status ob_job_load(const char *path, const char *const *overrides, size_t override_count, ob_job *out, ob_error *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL || standard_input ? ob_strdup("") : ob_strndup(path, (size_t)(slash - path) + 1);
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status;
    if (folder == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    } else if (standard_input) {
        char chunk[4096];
        for (size_t got; text.length <= OB__YAML_MAX_BYTES && (got = fread(chunk, 1, sizeof chunk, stdin)) > 0;)
            ob_strbuf_append(&text, chunk, got);
        status = ferror(stdin) ? ob_error_set(err, OB_ERR_IO, "standard input: cannot read the job")
                 : text.failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job")
                               : OB_OK;
    } else {
        status = ob_file_read(path, OB__YAML_MAX_BYTES, &text, err);
    }
    if (status == OB_OK)
        status = ob_job_parse(ob_strbuf_text(&text), text.length, standard_input ? "standard input" : path, folder,
                              overrides, override_count, out, err);
    ob_strbuf_release(&text);
    ob_free(folder);
    return status;
}

void ob_job_write_template(ob_strbuf *out, const char *devices, const char *model_path)
{
    const char *section = "";
    size_t section_length = 0;
    ob_strbuf_puts(out, "# A job for 'oberta run'. Every key is here with its default; only 'inputs' is needed.\n");
    ob_strbuf_puts(out, "# Relative paths are relative to this file.\n");
    for (size_t i = 0; i < ob__job_key_count; i++) {
        const ob__job_key *key = &ob__job_keys[i];
        const char *dot = strchr(key->path, '.'), *name = dot != NULL ? dot + 1 : key->path;
        size_t length = dot != NULL ? (size_t)(dot - key->path) : 0;
        if (length > 0 && (length != section_length || strncmp(section, key->path, length) != 0))
            ob_strbuf_printf(out, "%.*s:\n", (int)length, key->path);
        section = key->path;
        section_length = length;
        if (strcmp(key->path, "device") == 0)
            ob_strbuf_puts(out, devices);
        if (strcmp(key->path, "inputs") == 0) {
            ob_strbuf_printf(out, "inputs:  # %s\n", key->comment);
            ob_strbuf_puts(out,
                           "  path: texts.jsonl\n  format: auto     # text (a line is a row) | jsonl | csv | tsv, "
                           "from the name's ending\n  text: text       # field or column; text_pair for pairs\n"
                           "  id: id           # optional, copied to the output\n"
                           "  question: question    # and context: context, for question-answering\n"
                           "  choices: choices      # JSONL: [[prompt, choice], ...], for multiple-choice\n"
                           "  input_ids: input_ids  # JSONL: rows that come tokenised\n"
                           "  tensors: null         # safetensors with encoder_hidden_states.<row>, for forward\n");
            continue;
        }
        const char *value = strcmp(key->path, "model.path") == 0 && model_path != NULL ? model_path : key->value;
        if (strcmp(key->path, "output.path") == 0)
            value = "predictions.jsonl";
        ob_strbuf_printf(out, "%s%s: %s  # %s\n", length > 0 ? "  " : "", name, value, key->comment);
    }
}
