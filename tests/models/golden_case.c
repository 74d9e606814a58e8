/* Reads goldens. */
#include "golden_case.h"

#include <math.h>
#include <oberta/file.h>
#include <oberta/tokenizer.h>

#define MAX_ROWS    64
#define MAX_CHOICES 8

static json_t *load_json(const char *folder, const char *name)
{
    char path[1400];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s: %s", path, error.text);
    return root;
}

/* A safetensors file under another name: a folder with a link makes it a checkpoint. */
static ob_checkpoint *open_tensors(const char *folder, const char *name)
{
    ob_error err;
    ob_error_clear(&err);
    ob_checkpoint *out;
    char path[600], links[] = "/tmp/oberta-test-XXXXXX", link_name[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_non_null(mkdtemp(links));
    snprintf(link_name, sizeof link_name, "%s/model.safetensors", links);
    assert_int_equal(symlink(path, link_name), 0);
    test_ok(ob_checkpoint_open(links, &out, &err), &err);
    unlink(link_name);
    rmdir(links);
    return out;
}

void golden_open(const char *name, golden_case *out)
{
    char path[600];
    *out = (golden_case){.row_count = 0};
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->folder, sizeof out->folder, "%s/goldens/%s", test_data(), name);
    out->info = load_json(out->folder, "case.json");
    out->expected = open_tensors(out->folder, "expected.safetensors");
    snprintf(path, sizeof path, "%s/encoder.safetensors", out->folder);
    if (ob_file_exists(path))
        out->encoders = open_tensors(out->folder, "encoder.safetensors");
}

void golden_close(golden_case *g)
{
    ob_checkpoint_close(g->expected);
    ob_checkpoint_close(g->encoders);
    json_decref(g->info);
}

static int32_t *read_ids(const json_t *line, const char *key, size_t count)
{
    const json_t *list = json_object_get(line, key);
    if (list == NULL)
        return NULL;
    assert_int_equal(json_array_size(list), count);
    int32_t *out = calloc(count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void encode(const ob_tokenizer *tokenizer, const json_t *text, const json_t *pair, golden_sequence *out)
{
    ob_encode_options options;
    ob_encode_options_default(&options);
    ob_encoding encoding = OB_ENCODING_INIT;
    ob_error err;
    ob_error_clear(&err);
    test_ok(ob_tokenizer_encode(tokenizer, NULL, json_string_value(text), json_string_length(text),
                                json_string_value(pair), json_string_length(pair), &options, &encoding, &err),
            &err);
    out->count = encoding.count;
    out->ids = calloc(out->count, sizeof *out->ids);
    memcpy(out->ids, encoding.ids, out->count * sizeof *out->ids);
    ob_encoding_release(&encoding);
}

static float *read_head_mask(const json_t *line, const ob_roberta_config *config)
{
    const json_t *layers = json_object_get(line, "head_mask");
    if (layers == NULL)
        return NULL;
    size_t heads = config->num_attention_heads;
    assert_int_equal(json_array_size(layers), config->num_hidden_layers);
    float *out = calloc(config->num_hidden_layers * heads, sizeof *out);
    for (size_t i = 0; i < config->num_hidden_layers * heads; i++)
        out[i] = (float)json_number_value(json_array_get(json_array_get(layers, i / heads), i % heads));
    return out;
}

static void read_encoder(const golden_case *g, size_t row, golden_sequence *out)
{
    char name[64];
    snprintf(name, sizeof name, "encoder_hidden_states.%zu", row);
    const ob_tensor *states = g->encoders != NULL ? ob_checkpoint_find(g->encoders, name) : NULL;
    if (states == NULL)
        return;
    out->encoder_count = states->shape[0];
    out->encoder_states = calloc(states->count, sizeof(float));
    ob_convert_to_f32(out->encoder_states, states->data, states->dtype, states->count);
    snprintf(name, sizeof name, "encoder_attention_mask.%zu", row);
    const ob_tensor *mask = ob_checkpoint_find(g->encoders, name);
    if (mask == NULL)
        return;
    assert_int_equal(mask->count, out->encoder_count);
    assert_int_equal(mask->count * 8, mask->count * ob_dtype_bytes(mask->dtype)); /* int64 */
    out->encoder_mask = calloc(mask->count, sizeof(int32_t));
    for (size_t i = 0; i < mask->count; i++) {
        int64_t value;
        memcpy(&value, (const char *)mask->data + i * sizeof value, sizeof value);
        out->encoder_mask[i] = (int32_t)value;
    }
}

/* What a row of one sequence may bring besides its ids. */
static void read_sequence(const golden_case *g, size_t row, const json_t *line, const ob_roberta_config *config,
                          golden_sequence *out)
{
    out->types = read_ids(line, "token_type_ids", out->count);
    if (out->types == NULL)
        out->types = calloc(out->count, sizeof *out->types);
    out->mask = read_ids(line, "attention_mask", out->count);
    out->head_mask = read_head_mask(line, config);
    read_encoder(g, row, out);
    out->positions = read_ids(line, "position_ids", out->count);
    if (out->positions == NULL) {
        out->positions = calloc(out->count, sizeof *out->positions);
        ob_position_ids(out->ids, out->count, config->pad_token_id, out->positions);
    }
}

static void read_row(golden_case *g, const json_t *line, const ob_tokenizer *tokenizer, const ob_roberta_config *config)
{
    const json_t *text = json_object_get(line, "text"), *choices = json_object_get(line, "choices");
    golden_row *row = &g->rows[g->row_count];
    row->first = g->row_count > 0 ? row[-1].first + row[-1].count : 0;
    row->count = choices != NULL ? json_array_size(choices) : 1;
    assert_in_range(row->count, 1, MAX_CHOICES);
    for (size_t i = 0; i < row->count; i++) {
        golden_sequence *s = &g->sequences[row->first + i];
        const json_t *choice = json_array_get(choices, i);
        if (choice != NULL) {
            encode(tokenizer, json_array_get(choice, 0), json_array_get(choice, 1), s);
        } else if (text != NULL) {
            encode(tokenizer, text, json_object_get(line, "text_pair"), s);
        } else {
            s->count = json_array_size(json_object_get(line, "input_ids"));
            s->ids = read_ids(line, "input_ids", s->count);
        }
        read_sequence(g, g->row_count, line, config, s);
    }
    g->row_count++;
}

void golden_read_rows(golden_case *g, const char *model, const ob_roberta_config *config)
{
    char path[1400];
    ob_error err;
    ob_error_clear(&err);
    ob_tokenizer *tokenizer = NULL;
    snprintf(path, sizeof path, "%s/vocab.json", model);
    if (ob_file_exists(path))
        test_ok(ob_tokenizer_open(model, &tokenizer, &err), &err);
    snprintf(path, sizeof path, "%s/inputs.jsonl", g->folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static char line[1 << 20];
    g->rows = calloc(MAX_ROWS, sizeof *g->rows);
    g->sequences = calloc(MAX_ROWS * MAX_CHOICES, sizeof *g->sequences);
    while (fgets(line, sizeof line, file) != NULL) {
        assert_true(g->row_count < MAX_ROWS);
        json_t *root = json_loads(line, 0, NULL);
        assert_non_null(root);
        read_row(g, root, tokenizer, config);
        json_decref(root);
    }
    fclose(file);
    ob_tokenizer_close(tokenizer);
}

void golden_release_rows(golden_case *g)
{
    size_t count = g->row_count > 0 ? g->rows[g->row_count - 1].first + g->rows[g->row_count - 1].count : 0;
    for (size_t i = 0; i < count; i++) {
        golden_sequence *s = &g->sequences[i];
        free(s->ids);
        free(s->types);
        free(s->positions);
        free(s->mask);
        free(s->head_mask);
        free(s->encoder_states);
        free(s->encoder_mask);
    }
    free(g->sequences);
    free(g->rows);
    g->sequences = NULL;
    g->rows = NULL;
    g->row_count = 0;
}

bool golden_has_output(const golden_case *g, const char *output)
{
    const json_t *outputs = json_object_get(g->info, "outputs");
    for (size_t i = 0; i < json_array_size(outputs); i++)
        if (strcmp(json_string_value(json_array_get(outputs, i)), output) == 0)
            return true;
    return false;
}

unsigned golden_want(const golden_case *g)
{
    static const struct {
        const char *output;
        unsigned want;
    } outputs[] = {{"last_hidden_state", OB_WANT_HIDDEN}, {"hidden_states", OB_WANT_HIDDEN_STATES},
                   {"attentions", OB_WANT_ATTENTIONS},    {"cross_attentions", OB_WANT_CROSS_ATTENTIONS},
                   {"pooler_output", OB_WANT_POOLER},     {"logits", OB_WANT_LOGITS},
                   {"start_logits", OB_WANT_LOGITS},      {"end_logits", OB_WANT_LOGITS}};
    unsigned want = 0;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (golden_has_output(g, outputs[i].output))
            want |= outputs[i].want;
    return want;
}

/* Space for the largest batch; pointers that no sequence needs become NULL. */
static void allocate_batch(const golden_sequence *s, size_t sequences, size_t per_sequence, size_t hidden, ob_batch *b)
{
    size_t encoder = 0;
    bool masked = false, heads = false, encoder_masked = false;
    for (size_t i = 0; i < sequences; i++) {
        b->token_count += s[i].count;
        encoder += s[i].encoder_count;
        masked |= s[i].mask != NULL;
        heads |= s[i].head_mask != NULL;
        encoder_masked |= s[i].encoder_mask != NULL;
    }
    b->sequence_count = sequences;
    b->position_count = b->token_count;
    b->cu_seqlens = calloc(sequences + 1, sizeof(int32_t));
    b->input_ids = calloc(b->token_count, sizeof(int32_t));
    b->position_ids = calloc(b->token_count, sizeof(int32_t));
    b->token_type_ids = calloc(b->token_count, sizeof(int32_t));
    b->positions = calloc(b->token_count, sizeof(int32_t));
    b->target_ids = calloc(b->token_count, sizeof(int32_t));
    b->attention_mask = masked ? calloc(b->token_count, sizeof(int32_t)) : NULL;
    b->head_mask = heads ? calloc(sequences * per_sequence, sizeof(float)) : NULL;
    if (encoder == 0)
        return;
    b->encoder_cu_seqlens = calloc(sequences + 1, sizeof(int32_t));
    b->encoder_hidden_states = calloc(encoder * hidden, sizeof(float));
    b->encoder_attention_mask = encoder_masked ? calloc(encoder, sizeof(int32_t)) : NULL;
}

static void add_encoder(const golden_sequence *s, size_t index, size_t hidden, ob_batch *b)
{
    if (b->encoder_cu_seqlens == NULL)
        return;
    size_t at = (size_t)b->encoder_cu_seqlens[index];
    memcpy(b->encoder_hidden_states + at * hidden, s->encoder_states, s->encoder_count * hidden * sizeof(float));
    for (size_t t = 0; b->encoder_attention_mask != NULL && t < s->encoder_count; t++)
        b->encoder_attention_mask[at + t] = s->encoder_mask != NULL ? s->encoder_mask[t] : 1;
    b->encoder_cu_seqlens[index + 1] = (int32_t)(at + s->encoder_count);
}

void golden_make_batch(const golden_case *g, size_t begin, size_t end, const ob_roberta_config *config, unsigned want,
                       ob_batch *b)
{
    const golden_sequence *first = &g->sequences[g->rows[begin].first];
    size_t sequences = g->rows[end - 1].first + g->rows[end - 1].count - g->rows[begin].first;
    size_t per_sequence = config->num_hidden_layers * config->num_attention_heads;
    *b = (ob_batch){.want = want, .top_k = 5};
    allocate_batch(first, sequences, per_sequence, config->hidden_size, b);
    size_t at = 0;
    for (size_t i = 0; i < sequences; i++) {
        const golden_sequence *s = &first[i];
        for (size_t t = 0; t < s->count; t++, at++) {
            b->input_ids[at] = b->target_ids[at] = s->ids[t];
            b->position_ids[at] = s->positions[t];
            b->token_type_ids[at] = s->types[t];
            b->positions[at] = (int32_t)at;
            if (b->attention_mask != NULL)
                b->attention_mask[at] = s->mask != NULL ? s->mask[t] : 1;
        }
        b->cu_seqlens[i + 1] = (int32_t)at;
        for (size_t h = 0; b->head_mask != NULL && h < per_sequence; h++)
            b->head_mask[i * per_sequence + h] = s->head_mask != NULL ? s->head_mask[h] : 1;
        add_encoder(s, i, config->hidden_size, b);
    }
}

void golden_release_batch(ob_batch *b)
{
    free(b->cu_seqlens);
    free(b->input_ids);
    free(b->position_ids);
    free(b->token_type_ids);
    free(b->positions);
    free(b->target_ids);
    free(b->attention_mask);
    free(b->head_mask);
    free(b->encoder_cu_seqlens);
    free(b->encoder_hidden_states);
    free(b->encoder_attention_mask);
}

/* Elements of the maps of the sequences before `end`. */
static size_t count_maps(const ob_roberta_config *config, const ob_batch *b, const int32_t *keys, size_t end)
{
    size_t count = 0;
    for (size_t s = 0; s < end; s++)
        count += (size_t)(b->cu_seqlens[s + 1] - b->cu_seqlens[s]) * (size_t)(keys[s + 1] - keys[s]);
    return count * config->num_hidden_layers * config->num_attention_heads;
}

golden_slice golden_find_slice(const ob_roberta_config *config, ob_head head, const ob_batch *b, const ob_result *r,
                               const char *output, size_t begin, size_t end)
{
    size_t first = (size_t)b->cu_seqlens[begin], tokens = (size_t)b->cu_seqlens[end] - first;
    size_t sequences = end - begin, h = config->hidden_size, layers = config->num_hidden_layers;
    size_t pooled = ob_want_pooled_count(b->want) * h;
    bool by_token = head != OB_HEAD_SEQUENCE_CLASSIFICATION && head != OB_HEAD_MULTIPLE_CHOICE;
    size_t width = head == OB_HEAD_LM                   ? config->vocab_size
                   : head == OB_HEAD_QUESTION_ANSWERING ? 2
                   : head == OB_HEAD_MULTIPLE_CHOICE    ? 1
                                                        : config->label_count;
    const struct {
        const char *output;
        const void *data;
        size_t at, count;
    } parts[] = {
        {"last_hidden_state", r->hidden, first * h, tokens * h},
        {"hidden_states", r->hidden_states, first * (layers + 1) * h, tokens * (layers + 1) * h},
        {"pooler_output", r->pooler, begin * h, sequences * h},
        {"pooled", r->pooled, begin * pooled, sequences * pooled},
        {"logits", r->logits, (by_token ? first : begin) * width, (by_token ? tokens : sequences) * width},
        {"top_ids", r->top_ids, first * b->top_k, tokens * b->top_k},
        {"top_scores", r->top_scores, first * b->top_k, tokens * b->top_k},
        {"target_scores", r->target_scores, first, tokens},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].output, output) == 0)
            return (golden_slice){(const float *)parts[i].data + parts[i].at, parts[i].count};
    bool cross = strcmp(output, "cross_attentions") == 0;
    const int32_t *keys = cross ? b->encoder_cu_seqlens : b->cu_seqlens;
    const float *maps = cross ? r->cross_attentions : r->attentions;
    size_t at = count_maps(config, b, keys, begin);
    return (golden_slice){maps + at, count_maps(config, b, keys, end) - at};
}

double golden_compare(const golden_case *g, const char *output, size_t row, const float *got, size_t count)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%zu", output, row);
    const ob_tensor *want = ob_checkpoint_find(g->expected, name);
    if (want == NULL)
        fail_msg("%s: no tensor '%s'", g->name, name);
    assert_int_equal(want->count, count);
    const json_t *tolerance = json_object_get(json_object_get(g->info, "tolerance"), output);
    double atol = json_number_value(json_object_get(tolerance, "atol"));
    double rtol = json_number_value(json_object_get(tolerance, "rtol")), worst = 0;
    assert_true(atol > 0);
    for (size_t i = 0; i < count; i++) {
        float expected;
        memcpy(&expected, (const char *)want->data + i * sizeof expected, sizeof expected);
        double share = fabs((double)got[i] - (double)expected) / (atol + rtol * fabs((double)expected));
        if (!(share <= 1))
            fail_msg("%s: %s: element %zu: %.9g, expected %.9g", g->name, name, i, (double)got[i], (double)expected);
        worst = share > worst ? share : worst;
    }
    return worst;
}
