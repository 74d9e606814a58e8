/* Models to measure: a folder, or random weights of a shape, which need no download. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "bench_internal.h"

#include <errno.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONFIG_BYTES ((size_t)1 << 20)

typedef struct tensor {
    char name[96];
    size_t rows, columns; /* columns 0: a vector */
} tensor;

typedef struct list {
    tensor *tensors;
    size_t count, capacity;
    bool failed;
} list;

static void add(list *l, const char *name, size_t rows, size_t columns)
{
    if (!ob_array_reserve((void **)&l->tensors, &l->capacity, l->count + 1, sizeof *l->tensors)) {
        l->failed = true;
        return;
    }
    tensor *t = &l->tensors[l->count++];
    *t = (tensor){.rows = rows, .columns = columns};
    snprintf(t->name, sizeof t->name, "%s", name);
}

static void add_pair(list *l, const char *stem, size_t rows, size_t columns)
{
    char name[96];
    snprintf(name, sizeof name, "%s.weight", stem);
    add(l, name, rows, columns);
    snprintf(name, sizeof name, "%s.bias", stem);
    add(l, name, rows, 0);
}

static void list_tensors(const ob_roberta_config *c, list *l)
{
    size_t h = c->hidden_size;
    char stem[80];
    add(l, "roberta.embeddings.word_embeddings.weight", c->vocab_size, h);
    add(l, "roberta.embeddings.position_embeddings.weight", c->max_position_embeddings, h);
    add(l, "roberta.embeddings.token_type_embeddings.weight", c->type_vocab_size, h);
    add_pair(l, "roberta.embeddings.LayerNorm", h, 0);
    static const char *const square[] = {"attention.self.query", "attention.self.key", "attention.self.value",
                                         "attention.output.dense"};
    for (size_t i = 0; i < c->num_hidden_layers; i++) {
        for (size_t s = 0; s < 4; s++) {
            snprintf(stem, sizeof stem, "roberta.encoder.layer.%zu.%s", i, square[s]);
            add_pair(l, stem, h, h);
        }
        snprintf(stem, sizeof stem, "roberta.encoder.layer.%zu.attention.output.LayerNorm", i);
        add_pair(l, stem, h, 0);
        snprintf(stem, sizeof stem, "roberta.encoder.layer.%zu.intermediate.dense", i);
        add_pair(l, stem, c->intermediate_size, h);
        snprintf(stem, sizeof stem, "roberta.encoder.layer.%zu.output.dense", i);
        add_pair(l, stem, h, c->intermediate_size);
        snprintf(stem, sizeof stem, "roberta.encoder.layer.%zu.output.LayerNorm", i);
        add_pair(l, stem, h, 0);
    }
    add_pair(l, "lm_head.dense", h, h);
    add_pair(l, "lm_head.layer_norm", h, 0);
    add(l, "lm_head.bias", c->vocab_size, 0);
    if (!c->tie_word_embeddings)
        add(l, "lm_head.decoder.weight", c->vocab_size, h);
}

static size_t element_count(const tensor *t)
{
    return t->rows * (t->columns > 0 ? t->columns : 1);
}

static ob_status put(FILE *file, const void *bytes, size_t count, ob_error *err)
{
    if (fwrite(bytes, 1, count, file) == count)
        return OB_OK;
    return ob_error_set_errno(err, OB_ERR_IO, errno, "random weights: cannot write them into a temporary folder");
}

static ob_status write_header(const list *l, FILE *file, ob_error *err)
{
    ob_strbuf header = OB_STRBUF_INIT;
    uint64_t at = 0;
    ob_strbuf_putc(&header, '{');
    for (size_t i = 0; i < l->count; i++) {
        const tensor *t = &l->tensors[i];
        uint64_t end = at + element_count(t) * sizeof(float);
        ob_strbuf_printf(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu", i > 0 ? "," : "", t->name, t->rows);
        if (t->columns > 0)
            ob_strbuf_printf(&header, ",%zu", t->columns);
        ob_strbuf_printf(&header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)end);
        at = end;
    }
    ob_strbuf_putc(&header, '}');
    while (header.length % 8 != 0 && !header.failed)
        ob_strbuf_putc(&header, ' ');
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    ob_status status = header.failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model") : OB_OK;
    if (status == OB_OK)
        status = put(file, length, sizeof length, err);
    if (status == OB_OK)
        status = put(file, header.data, header.length, err);
    ob_strbuf_release(&header);
    return status;
}

/* Uniform in (-scale, scale) from a xorshift: quick, and the same everywhere. Layer norms are near 1. */
static ob_status write_tensor(const tensor *t, uint64_t *state, FILE *file, ob_error *err)
{
    float chunk[4096];
    bool norm = strstr(t->name, "orm.weight") != NULL;
    float scale = t->columns > 0 ? 0.05f : 0.02f;
    for (size_t left = element_count(t); left > 0;) {
        size_t count = left < 4096 ? left : 4096;
        for (size_t i = 0; i < count; i++) {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            chunk[i] = ((float)(*state >> 40) * 0x1p-23f - 1.0f) * scale + (norm ? 1.0f : 0.0f);
        }
        if (put(file, chunk, count * sizeof *chunk, err) != OB_OK)
            return ob_error_status(err);
        left -= count;
    }
    return OB_OK;
}

static ob_status write_tensors(const list *l, const ob_bench_watch *watch, FILE *file, ob_error *err)
{
    uint64_t state = 88172645463325252u;
    ob_status status = write_header(l, file, err);
    for (size_t i = 0; status == OB_OK && i < l->count; i++) {
        status = ob__bench_watch(watch, NULL, err);
        if (status == OB_OK)
            status = write_tensor(&l->tensors[i], &state, file, err);
    }
    return status;
}

static ob_status write_weights(const ob_roberta_config *config, const ob_bench_watch *watch, const char *path,
                               ob_error *err)
{
    list l = {NULL, 0, 0, false};
    list_tensors(config, &l);
    FILE *file = l.failed ? NULL : fopen(path, "wb");
    ob_status status = OB_OK;
    if (l.failed)
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model");
    else if (file == NULL)
        status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot create it", path);
    else
        status = write_tensors(&l, watch, file, err);
    if (file != NULL && fclose(file) != 0 && status == OB_OK)
        status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot write", path);
    ob_free(l.tensors);
    return status;
}

/* The checkpoint's mapping outlives the file's name, so nothing has to be tidied up later. */
static ob_status write_and_map(const char *folder, const ob_bench_watch *watch, ob_bench_model *m, ob_error *err)
{
    char *path = ob_path_join(folder, "model.safetensors");
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model");
    double begin = ob_clock_seconds();
    ob_status status = write_weights(&m->config, watch, path, err);
    m->make_seconds = ob_clock_seconds() - begin;
    begin = ob_clock_seconds();
    if (status == OB_OK)
        status = ob_checkpoint_open(folder, &m->checkpoint, err);
    m->open_seconds = ob_clock_seconds() - begin;
    unlink(path);
    ob_free(path);
    return status;
}

static ob_status make_weights(const ob_bench_watch *watch, ob_bench_model *m, ob_error *err)
{
    const char *root = getenv("TMPDIR");
    ob_strbuf folder = OB_STRBUF_INIT;
    ob_strbuf_printf(&folder, "%s/oberta-bench-XXXXXX", root != NULL && root[0] == '/' ? root : "/tmp");
    ob_status status = OB_OK;
    if (folder.failed)
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model");
    else if (mkdtemp(folder.data) == NULL)
        status =
            ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot create a folder for random weights", folder.data);
    else {
        status = write_and_map(folder.data, watch, m, err);
        rmdir(folder.data);
    }
    ob_strbuf_release(&folder);
    return status;
}

static ob_status read_shape(const char *path, ob_roberta_config *out, ob_error *err)
{
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status = ob_file_read(path, MAX_CONFIG_BYTES, &text, err);
    if (status == OB_OK)
        status = ob_roberta_config_parse(ob_strbuf_text(&text), text.length, path, out, err);
    ob_strbuf_release(&text);
    return status;
}

/* What looks like a file's name is one; anything else is a published model. */
static ob_status find_shape(const char *shape, ob_roberta_config *out, ob_error *err)
{
    bool is_file = strchr(shape, '/') != NULL || strstr(shape, ".json") != NULL;
    return is_file ? read_shape(shape, out, err) : ob_roberta_config_known(shape, out, err);
}

ob_status ob_bench_model_random(const char *shape, const ob_bench_watch *watch, ob_bench_model *out, ob_error *err)
{
    ob_bench_model m = {.random_weights = true};
    if (find_shape(shape, &m.config, err) != OB_OK)
        return ob_error_status(err);
    if (ob__bench_watch(watch, "random weights", err) != OB_OK) {
        ob_bench_model_release(&m);
        return ob_error_status(err);
    }
    m.name = ob_strdup(shape);
    ob_status status = m.name == NULL ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model")
                                      : make_weights(watch, &m, err);
    if (status == OB_OK)
        *out = m;
    else
        ob_bench_model_release(&m);
    return status;
}

ob_status ob_bench_model_open(const char *folder, ob_bench_model *out, ob_error *err)
{
    ob_bench_model m = {.name = ob_strdup(folder)};
    double begin = ob_clock_seconds();
    if (m.name == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model");
    if (ob_roberta_config_load(folder, &m.config, err) != OB_OK ||
        ob_checkpoint_open(folder, &m.checkpoint, err) != OB_OK) {
        ob_bench_model_release(&m);
        ob_error_prefix_each(err, "%s", folder);
        return ob_error_status(err);
    }
    m.open_seconds = ob_clock_seconds() - begin;
    *out = m;
    return OB_OK;
}

void ob_bench_model_release(ob_bench_model *model)
{
    ob_free(model->name);
    if (model->checkpoint != NULL)
        ob_checkpoint_close(model->checkpoint);
    ob_roberta_config_release(&model->config);
    *model = (ob_bench_model){.name = NULL};
}
