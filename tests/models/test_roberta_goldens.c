/* Whole models against the outputs of transformers: hidden states within 2e-5, logits within 1e-4, or as the case says;
 * and every row alone against the same row in a batch, bit for bit. */
#include "golden_case.h"
#include "test_device.h"

#include <dirent.h>
#include <math.h>
#include <oberta/file.h>
#include <oberta/memory.h>

static ob_context *ctx;

/* What a golden knows, and what it does not, in the names of golden_find_slice. */
static const struct {
    const char *output;
    unsigned want;
} outputs[] = {{"last_hidden_state", OB_WANT_HIDDEN},
               {"hidden_states", OB_WANT_HIDDEN_STATES},
               {"attentions", OB_WANT_ATTENTIONS},
               {"cross_attentions", OB_WANT_CROSS_ATTENTIONS},
               {"pooler_output", OB_WANT_POOLER},
               {"pooled", OB_WANT_POOLED},
               {"logits", OB_WANT_LOGITS},
               {"top_ids", OB_WANT_TOP_K},
               {"top_scores", OB_WANT_TOP_K},
               {"target_scores", OB_WANT_TARGET_SCORES}};

typedef struct subject {
    const golden_case *g;
    ob_roberta_config config;
    ob_head head;
    ob_roberta *model;
} subject;

/* start_logits and end_logits stand side by side. */
static double compare_ends(const golden_case *g, size_t row, golden_slice slice)
{
    static const char *const names[2] = {"start_logits", "end_logits"};
    double worst = 0;
    float *one = calloc(slice.count / 2, sizeof *one);
    for (size_t end = 0; end < 2; end++) {
        for (size_t t = 0; t < slice.count / 2; t++)
            one[t] = slice.data[2 * t + end];
        worst = fmax(worst, golden_compare(g, names[end], row, one, slice.count / 2));
    }
    free(one);
    return worst;
}

/* The log-probabilities of the targets and the scores of the best follow from the logits. */
static void check_scores(const subject *s, const ob_batch *batch, const ob_result *r)
{
    size_t vocab = s->config.vocab_size;
    for (size_t i = 0; i < batch->position_count; i++) {
        const float *logits = r->logits + i * vocab;
        double greatest = -INFINITY, sum = 0;
        for (size_t j = 0; j < vocab; j++)
            greatest = fmax(greatest, (double)logits[j]);
        for (size_t j = 0; j < vocab; j++)
            sum += exp((double)logits[j] - greatest);
        double target = (double)logits[batch->target_ids[i]] - greatest - log(sum);
        assert_true(fabs(target - (double)r->target_scores[i]) < 1e-4);
        for (size_t k = 0; k < batch->top_k; k++) {
            double score = exp((double)logits[r->top_ids[i * batch->top_k + k]] - greatest) / sum;
            assert_true(fabs(score - (double)r->top_scores[i * batch->top_k + k]) < 1e-5);
        }
    }
}

/* Poolings of rows without dropped tokens, from the hidden states. */
static void check_poolings(const subject *s, const ob_batch *batch, const ob_result *r)
{
    size_t h = s->config.hidden_size;
    if (batch->attention_mask != NULL)
        return;
    for (size_t i = 0; i < batch->sequence_count; i++) {
        size_t begin = (size_t)batch->cu_seqlens[i], count = (size_t)batch->cu_seqlens[i + 1] - begin;
        const float *pooled = r->pooled + i * 6 * h;
        for (size_t c = 0; c < h; c++) {
            double greatest = -INFINITY, sum = 0, weighted = 0, weights = 0;
            for (size_t t = 0; t < count; t++) {
                double x = (double)r->hidden[(begin + t) * h + c];
                greatest = fmax(greatest, x);
                sum += x;
                weighted += (double)(t + 1) * x;
                weights += (double)(t + 1);
            }
            const double want[6] = {
                (double)r->hidden[begin * h + c], greatest,           sum / (double)count,
                sum / sqrt((double)count),        weighted / weights, (double)r->hidden[(begin + count - 1) * h + c]};
            for (size_t p = 0; p < 6; p++)
                assert_true(fabs(want[p] - (double)pooled[p * h + c]) < 1e-4 * fmax(1, fabs(want[p])));
        }
    }
}

/* Row `index` of the batch with all rows: its expected outputs, and its bits when it runs alone. */
static double check_row(const subject *s, size_t index, const ob_batch *all, const ob_result *in_batch)
{
    const golden_row *row = &s->g->rows[index];
    ob_batch alone;
    ob_result result = {0};
    ob_error err;
    ob_error_clear(&err);
    double worst = 0;
    golden_make_batch(s->g, index, index + 1, &s->config, all->want, &alone);
    test_ok(ob_roberta_run(s->model, &alone, &result, &err), &err);
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        if ((all->want & outputs[i].want) == 0)
            continue;
        const char *name = outputs[i].output;
        golden_slice slice =
            golden_find_slice(&s->config, s->head, all, in_batch, name, row->first, row->first + row->count);
        golden_slice bits = golden_find_slice(&s->config, s->head, &alone, &result, name, 0, row->count);
        assert_int_equal(slice.count, bits.count);
        if (memcmp(slice.data, bits.data, bits.count * sizeof *bits.data) != 0)
            fail_msg("%s: %s.%zu: other bits alone than in a batch", s->g->name, name, index);
        if (golden_has_output(s->g, name))
            worst = fmax(worst, golden_compare(s->g, name, index, slice.data, slice.count));
        else if (strcmp(name, "logits") == 0 && golden_has_output(s->g, "start_logits"))
            worst = fmax(worst, compare_ends(s->g, index, slice));
    }
    golden_release_batch(&alone);
    ob_result_release(&result);
    return worst;
}

static double check_rows(const subject *s, unsigned want)
{
    ob_batch batch;
    ob_result result = {0};
    ob_error err;
    ob_error_clear(&err);
    double worst = 0;
    golden_make_batch(s->g, 0, s->g->row_count, &s->config, want, &batch);
    test_ok(ob_roberta_run(s->model, &batch, &result, &err), &err);
    for (size_t i = 0; i < s->g->row_count; i++)
        worst = fmax(worst, check_row(s, i, &batch, &result));
    check_poolings(s, &batch, &result);
    if ((want & OB_WANT_TARGET_SCORES) != 0)
        check_scores(s, &batch, &result);
    golden_release_batch(&batch);
    ob_result_release(&result);
    return worst;
}

static void check_model(golden_case *g, const char *name, const char *gemm)
{
    char folder[1300];
    ob_error err;
    ob_error_clear(&err);
    subject s = {.g = g};
    ob_checkpoint *checkpoint;
    snprintf(folder, sizeof folder, "%s/%s", g->folder, name);
    test_ok(ob_roberta_config_load(folder, &s.config, &err), &err);
    test_ok(ob_checkpoint_open(folder, &checkpoint, &err), &err);
    golden_read_rows(g, folder, &s.config);
    unsigned want = golden_want(g) | OB_WANT_HIDDEN | OB_WANT_POOLED;
    s.head = (want & OB_WANT_LOGITS) != 0 ? s.config.head : OB_HEAD_NONE;
    want |= s.head == OB_HEAD_LM ? OB_WANT_TOP_K | OB_WANT_TARGET_SCORES : 0;
    ob_roberta_options options;
    ob_roberta_options_default(&options);
    options.head = s.head;
    options.pooler = (want & OB_WANT_POOLER) != 0;
    options.want = want;
    options.top_k = s.head == OB_HEAD_LM ? 5 : 0;
    options.max_tokens = 2048;
    options.max_encoder_tokens = s.config.add_cross_attention ? 256 : 0;
    options.gemm = gemm;
    test_ok(ob_roberta_create(ctx, &s.config, checkpoint, &options, &s.model, &err), &err);
    double worst = check_rows(&s, want);
    printf("%-18s %-28s %-8s %2zu rows, greatest error %.0f %% of the tolerance\n", g->name, name, gemm, g->row_count,
           100 * worst);
    ob_roberta_destroy(s.model);
    ob_checkpoint_close(checkpoint);
    ob_roberta_config_release(&s.config);
    golden_release_rows(g);
}

/* Row-major activations, as GPUs have them, in one case of each kind; every case would double the compiler's work. */
static bool runs_with_ref(const char *name)
{
    static const char *const cases[] = {"act_relu", "cross", "mchoice", "odd", "pruned", "qa", "seqcls3"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(name, cases[i]) == 0)
            return true;
    return false;
}

static void check_case(const char *name)
{
    golden_case g;
    golden_open(name, &g);
    DIR *directory = opendir(g.folder);
    assert_non_null(directory);
    for (struct dirent *item; (item = readdir(directory)) != NULL;)
        if (strncmp(item->d_name, "model", 5) == 0) {
            check_model(&g, item->d_name, "auto");
            if (strcmp(item->d_name, "model") == 0 && runs_with_ref(name) && !test_lane_is("rusticl"))
                check_model(&g, item->d_name, "ref");
        }
    closedir(directory);
    golden_close(&g);
}

/* llvmpipe compiles each model's kernels for half a minute; the operators have tests of their own there. */
static bool is_small(const char *name)
{
    static const char *const cases[] = {"act_relu", "cross", "pruned", "mchoice", "tokcls"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(name, cases[i]) == 0)
            return true;
    return false;
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
    assert_true(count >= 31);
    for (size_t i = 0; i < count; i++) {
        if (!test_lane_is("rusticl") || is_small(names[i]))
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
