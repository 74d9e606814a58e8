/* Whole models against the outputs of transformers: hidden states within 2e-5, logits within 1e-4, or as the case says.
 */
#include "test_support.h"

#include "test_device.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/roberta.h>
#include <oberta/tokenizer.h>

static ob_context *ctx;

typedef struct row {
    ob_encoding encoding; /* of a text */
    size_t count;
    int32_t *ids, *types, *positions, *mask; /* mask NULL: all kept */
} row;

typedef struct golden {
    char name[64], folder[512];
    json_t *info;
    ob_checkpoint *expected;
    row *rows;
    size_t row_count;
} golden;

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

static int32_t *read_ids(const json_t *line, const char *key, size_t count)
{
    const json_t *list = json_object_get(line, key);
    if (list == NULL)
        return NULL;
    int32_t *out = calloc(count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void read_row(const json_t *line, const ob_tokenizer *tokenizer, const ob_roberta_config *config, row *out)
{
    const json_t *text = json_object_get(line, "text"), *pair = json_object_get(line, "text_pair");
    ob_error err;
    ob_error_clear(&err);
    if (text != NULL) {
        ob_encode_options options;
        ob_encode_options_default(&options);
        test_ok(ob_tokenizer_encode(tokenizer, NULL, json_string_value(text), json_string_length(text),
                                    json_string_value(pair), json_string_length(pair), &options, &out->encoding, &err),
                &err);
        out->count = out->encoding.count;
        out->ids = calloc(out->count, sizeof *out->ids);
        memcpy(out->ids, out->encoding.ids, out->count * sizeof *out->ids);
        ob_encoding_release(&out->encoding);
    } else {
        out->count = json_array_size(json_object_get(line, "input_ids"));
        out->ids = read_ids(line, "input_ids", out->count);
    }
    out->types = read_ids(line, "token_type_ids", out->count);
    if (out->types == NULL)
        out->types = calloc(out->count, sizeof *out->types);
    out->mask = read_ids(line, "attention_mask", out->count);
    out->positions = read_ids(line, "position_ids", out->count);
    if (out->positions == NULL) {
        out->positions = calloc(out->count, sizeof *out->positions);
        ob_position_ids(out->ids, out->count, config->pad_token_id, out->positions);
    }
}

static void read_rows(golden *g, const char *model, const ob_roberta_config *config)
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
    g->rows = calloc(64, sizeof *g->rows);
    while (fgets(line, sizeof line, file) != NULL && g->row_count < 64) {
        json_t *root = json_loads(line, 0, NULL);
        assert_non_null(root);
        read_row(root, tokenizer, config, &g->rows[g->row_count++]);
        json_decref(root);
    }
    fclose(file);
    ob_tokenizer_close(tokenizer);
}

static void release_rows(golden *g)
{
    for (size_t i = 0; i < g->row_count; i++) {
        free(g->rows[i].ids);
        free(g->rows[i].types);
        free(g->rows[i].positions);
        free(g->rows[i].mask);
    }
    free(g->rows);
    g->rows = NULL;
    g->row_count = 0;
}

/* The rows [begin, end) in one batch. */
static void make_batch(const golden *g, size_t begin, size_t end, unsigned want, ob_batch *b)
{
    size_t tokens = 0;
    bool masked = false;
    for (size_t i = begin; i < end; i++) {
        tokens += g->rows[i].count;
        masked |= g->rows[i].mask != NULL;
    }
    *b = (ob_batch){.want = want, .sequence_count = end - begin, .token_count = tokens, .position_count = tokens};
    b->cu_seqlens = calloc(end - begin + 1, sizeof(int32_t));
    b->input_ids = calloc(tokens, sizeof(int32_t));
    b->position_ids = calloc(tokens, sizeof(int32_t));
    b->token_type_ids = calloc(tokens, sizeof(int32_t));
    b->positions = calloc(tokens, sizeof(int32_t));
    b->attention_mask = masked ? calloc(tokens, sizeof(int32_t)) : NULL;
    size_t at = 0;
    for (size_t i = begin; i < end; i++) {
        const row *r = &g->rows[i];
        for (size_t t = 0; t < r->count; t++, at++) {
            b->input_ids[at] = r->ids[t];
            b->position_ids[at] = r->positions[t];
            b->token_type_ids[at] = r->types[t];
            b->positions[at] = (int32_t)at;
            if (masked)
                b->attention_mask[at] = r->mask != NULL ? r->mask[t] : 1;
        }
        b->cu_seqlens[i - begin + 1] = (int32_t)at;
    }
}

static void release_batch(ob_batch *b)
{
    free(b->cu_seqlens);
    free(b->input_ids);
    free(b->position_ids);
    free(b->token_type_ids);
    free(b->positions);
    free(b->attention_mask);
}

/* Greatest error as a share of the tolerance; fails above 1. */
static double compare(const golden *g, const char *output, size_t number, const float *got, size_t count)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%zu", output, number);
    const ob_tensor *want = ob_checkpoint_find(g->expected, name);
    if (want == NULL)
        return 0;
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

static bool has_output(const golden *g, const char *output)
{
    size_t i;
    const json_t *value;
    json_array_foreach(json_object_get(g->info, "outputs"), i,
                       value) if (strcmp(json_string_value(value), output) == 0) return true;
    return false;
}

/* All rows at once against the expected, then each alone against the batch, bit for bit. */
static double check_rows(const golden *g, ob_roberta *model, const ob_roberta_config *config, unsigned want)
{
    ob_batch batch;
    ob_result all = {0}, one = {0};
    ob_error err;
    ob_error_clear(&err);
    double worst = 0;
    make_batch(g, 0, g->row_count, want, &batch);
    test_ok(ob_roberta_run(model, &batch, &all, &err), &err);
    for (size_t i = 0; i < g->row_count; i++) {
        size_t at = (size_t)batch.cu_seqlens[i], count = g->rows[i].count, h = config->hidden_size;
        size_t v = config->vocab_size;
        ob_batch alone;
        make_batch(g, i, i + 1, want, &alone);
        test_ok(ob_roberta_run(model, &alone, &one, &err), &err);
        release_batch(&alone);
        double share = compare(g, "last_hidden_state", i, all.hidden + at * h, count * h);
        worst = share > worst ? share : worst;
        assert_memory_equal(all.hidden + at * h, one.hidden, count * h * sizeof(float));
        if ((want & OB_WANT_LOGITS) == 0)
            continue;
        share = compare(g, "logits", i, all.logits + at * v, count * v);
        worst = share > worst ? share : worst;
        assert_memory_equal(all.logits + at * v, one.logits, count * v * sizeof(float));
    }
    release_batch(&batch);
    ob_result_release(&all);
    ob_result_release(&one);
    return worst;
}

static void check_model(golden *g, const char *name, const char *gemm)
{
    char folder[1300];
    ob_error err;
    ob_error_clear(&err);
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_roberta *model;
    snprintf(folder, sizeof folder, "%s/%s", g->folder, name);
    test_ok(ob_roberta_config_load(folder, &config, &err), &err);
    test_ok(ob_checkpoint_open(folder, &checkpoint, &err), &err);
    read_rows(g, folder, &config);
    bool head = has_output(g, "logits");
    ob_roberta_options options;
    ob_roberta_options_default(&options);
    options.head = head ? OB_HEAD_LM : OB_HEAD_NONE;
    options.max_tokens = 2048;
    options.gemm = gemm;
    test_ok(ob_roberta_create(ctx, &config, checkpoint, &options, &model, &err), &err);
    double worst = check_rows(g, model, &config, OB_WANT_HIDDEN | (head ? OB_WANT_LOGITS : 0));
    printf("%-14s %-28s %-8s %2zu rows, greatest error %.0f %% of the tolerance\n", g->name, name, gemm, g->row_count,
           100 * worst);
    ob_roberta_destroy(model);
    ob_checkpoint_close(checkpoint);
    release_rows(g);
}

static void check_case(const char *name)
{
    golden g = {0};
    ob_error err;
    ob_error_clear(&err);
    char path[1400];
    snprintf(g.name, sizeof g.name, "%s", name);
    snprintf(g.folder, sizeof g.folder, "%s/goldens/%s", test_data(), name);
    g.info = load_json(g.folder, "case.json");
    /* The expected outputs are a safetensors file under another name: a folder of links makes it a checkpoint. */
    char links[] = "/tmp/oberta-test-XXXXXX";
    assert_non_null(mkdtemp(links));
    char link_name[1400];
    snprintf(path, sizeof path, "%s/expected.safetensors", g.folder);
    snprintf(link_name, sizeof link_name, "%s/model.safetensors", links);
    assert_int_equal(symlink(path, link_name), 0);
    test_ok(ob_checkpoint_open(links, &g.expected, &err), &err);
    DIR *directory = opendir(g.folder);
    assert_non_null(directory);
    for (struct dirent *item; (item = readdir(directory)) != NULL;)
        if (strncmp(item->d_name, "model", 5) == 0) {
            check_model(&g, item->d_name, "auto");
            if (strcmp(item->d_name, "model") == 0)
                check_model(&g, item->d_name, "ref");
        }
    closedir(directory);
    ob_checkpoint_close(g.expected);
    unlink(link_name);
    rmdir(links);
    json_decref(g.info);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_roberta_matches_reference(void **state)
{
    (void)state;
    char path[1400], *names[64];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/goldens", test_data());
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *item; (item = readdir(directory)) != NULL && count < 64;) {
        snprintf(path, sizeof path, "%s/goldens/%s/case.json", test_data(), item->d_name);
        if (ob_file_exists(path))
            names[count++] = ob_strdup(item->d_name);
    }
    closedir(directory);
    qsort(names, count, sizeof *names, compare_names);
    assert_true(count >= 15);
    for (size_t i = 0; i < count; i++) {
        /* llvmpipe compiles each model's kernels for half a minute; the operators have tests of their own there. */
        if (!test_lane_is("rusticl") || strcmp(names[i], "act_relu") == 0)
            check_case(names[i]);
        ob_free(names[i]);
    }
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_roberta_matches_reference)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
