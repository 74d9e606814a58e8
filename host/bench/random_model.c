/* A RoBERTa folder with random weights, for measuring without a download. */
#include "bench.h"

#include <oberta/file.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>

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
}

static size_t element_count(const tensor *t)
{
    return t->rows * (t->columns > 0 ? t->columns : 1);
}

static ob_status write_header(const list *l, ob_atomic_file *file, ob_error *err)
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
    while (header.length % 8 != 0)
        ob_strbuf_putc(&header, ' ');
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    ob_status status = ob_atomic_file_write(file, length, sizeof length, err);
    if (status == OB_OK)
        status = ob_atomic_file_write(file, header.data, header.length, err);
    ob_strbuf_release(&header);
    return status;
}

/* Uniform in (-scale, scale) from a xorshift: quick, and the same everywhere. Layer norms are near 1. */
static ob_status write_tensor(const tensor *t, uint64_t *state, ob_atomic_file *file, ob_error *err)
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
        if (ob_atomic_file_write(file, chunk, count * sizeof *chunk, err) != OB_OK)
            return ob_error_status(err);
        left -= count;
    }
    return OB_OK;
}

static ob_status write_config(const ob_roberta_config *c, const char *folder, ob_error *err)
{
    ob_strbuf text = OB_STRBUF_INIT;
    ob_strbuf_printf(&text,
                     "{\"architectures\":[\"RobertaForMaskedLM\"],\"model_type\":\"roberta\",\"vocab_size\":%zu,"
                     "\"hidden_size\":%zu,\"num_hidden_layers\":%zu,\"num_attention_heads\":%zu,"
                     "\"intermediate_size\":%zu,\"max_position_embeddings\":%zu,\"type_vocab_size\":%zu,"
                     "\"layer_norm_eps\":1e-05,\"pad_token_id\":%d}\n",
                     c->vocab_size, c->hidden_size, c->num_hidden_layers, c->num_attention_heads, c->intermediate_size,
                     c->max_position_embeddings, c->type_vocab_size, (int)c->pad_token_id);
    char *path = ob_path_join(folder, "config.json");
    ob_atomic_file *file = NULL;
    ob_status status = path == NULL ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory")
                                    : ob_atomic_file_create(path, true, &file, err);
    if (status == OB_OK)
        status = ob_atomic_file_write(file, text.data, text.length, err);
    if (status == OB_OK)
        status = ob_atomic_file_commit(file, err);
    ob_atomic_file_destroy(file);
    ob_free(path);
    ob_strbuf_release(&text);
    return status;
}

ob_status bench_write_model(const ob_roberta_config *config, const char *folder, ob_error *err)
{
    list l = {NULL, 0, 0, false};
    list_tensors(config, &l);
    char *path = ob_path_join(folder, "model.safetensors");
    ob_atomic_file *file = NULL;
    uint64_t state = 88172645463325252u;
    ob_status status = l.failed || path == NULL ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the model")
                                                : ob_atomic_file_create(path, true, &file, err);
    if (status == OB_OK)
        status = write_header(&l, file, err);
    for (size_t i = 0; status == OB_OK && i < l.count; i++)
        status = write_tensor(&l.tensors[i], &state, file, err);
    if (status == OB_OK)
        status = ob_atomic_file_commit(file, err);
    ob_atomic_file_destroy(file);
    ob_free(path);
    ob_free(l.tensors);
    return status == OB_OK ? write_config(config, folder, err) : status;
}
