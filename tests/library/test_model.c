/* The handle of model.h, on liboberta.so: tasks against raw forward passes, settings, and everything that is refused.
 */
#include "test_support.h"

#include <math.h>
#include <oberta/oberta.h>
#include <pthread.h>

static const char *demo_folder(void)
{
    static char path[1024];
    const char *models = getenv("OB_TEST_MODELS");
    assert_non_null(models);
    snprintf(path, sizeof path, "%s/demo", models);
    return path;
}

static ob_model *open_demo(const char *task, const char *const *settings, size_t count)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_model_options options;
    ob_model_options_default(&options);
    options.task = task;
    options.settings = settings;
    options.setting_count = count;
    options.pipeline.cache_folder = getenv("OBERTA_CACHE_DIR");
    ob_model *model = NULL;
    test_ok(ob_model_open(demo_folder(), &options, &model, &err), &err);
    return model;
}

static ob_results *run_texts(ob_model *model, const char *const *texts, const char *const *pairs, size_t count)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_results *results = NULL;
    test_ok(ob_model_run(model, texts, pairs, count, &results, &err), &err);
    assert_int_equal(ob_results_count(results), count);
    return results;
}

static void encode(const ob_model *model, const char *text, ob_encoding *out)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_encode_options options;
    ob_encode_options_default(&options);
    test_ok(ob_tokenizer_encode(ob_model_tokenizer(model), NULL, text, strlen(text), NULL, 0, &options, out, &err),
            &err);
}

/* What the settings leave open is planned by the options; what neither plans is refused. */
static void test_maps_and_poolings(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_model_options options;
    ob_model_options_default(&options);
    options.pipeline.cache_folder = getenv("OBERTA_CACHE_DIR");
    options.pipeline.want = OB_WANT_ATTENTIONS | OB_WANT_CLS | OB_WANT_MEAN;
    options.pipeline.top_k = 7;
    ob_model *model = NULL;
    test_ok(ob_model_open(demo_folder(), &options, &model, &err), &err);
    const ob_roberta_config *config = ob_model_get_info(model)->config;
    const char *text = "import <mask> as np";
    ob_results *results = run_texts(model, &text, NULL, 1);
    const ob_record *record = ob_results_get(results, 0);
    ob_encoding e = OB_ENCODING_INIT;
    encode(model, text, &e);
    assert_int_equal(record->input_token_count, e.count);
    assert_string_equal(record->input_tokens[0], "<s>");
    int32_t second = 1;
    ob_batch batch = {.want = OB_WANT_ATTENTIONS | OB_WANT_CLS | OB_WANT_MEAN | OB_WANT_HIDDEN | OB_WANT_TOP_K,
                      .sequence_count = 1,
                      .token_count = e.count,
                      .input_ids = e.ids,
                      .position_count = 1,
                      .positions = &second,
                      .top_k = 7};
    ob_result result = {0};
    test_ok(ob_model_forward(model, &batch, &result, &err), &err);
    size_t maps = config->num_hidden_layers * config->num_attention_heads * e.count * e.count;
    assert_memory_equal(result.attentions, record->attentions->data, maps * sizeof(float));
    assert_memory_equal(result.pooled, result.hidden, config->hidden_size * sizeof(float)); /* cls comes first */
    assert_true(result.top_scores[0] >= result.top_scores[6] && result.top_scores[6] > 0);
    batch.top_k = 8;
    test_refused(ob_model_forward(model, &batch, &result, &err), OB_ERR_INPUT, &err, "top_k: 8");
    batch.top_k = 7;
    batch.want |= OB_WANT_LAST_TOKEN;
    test_refused(ob_model_forward(model, &batch, &result, &err), OB_ERR_INPUT, &err, "want: 0x400 was not planned");
    ob_result_release(&result);
    ob_encoding_release(&e);
    ob_results_destroy(results);
    ob_model_close(model);
}

/* Probability of `token` after a softmax over a row of logits. */
static double probability(const float *logits, size_t count, int32_t token)
{
    double maximum = logits[0], sum = 0;
    for (size_t i = 0; i < count; i++)
        maximum = fmax(maximum, (double)logits[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - maximum);
    return exp((double)logits[token] - maximum) / sum;
}

static void test_fill_mask_is_the_model_s(void **state)
{
    (void)state;
    static const char *const settings[] = {"fill_mask.top_k=4"};
    static const char *const texts[] = {"for i in <mask>(10):", "import <mask> as <mask>", "I love China"};
    ob_error err;
    ob_error_clear(&err);
    ob_model *model = open_demo(NULL, settings, 1);
    ob_results *results = run_texts(model, texts, NULL, 3);
    const size_t vocabulary = ob_model_get_info(model)->config->vocab_size;
    const int32_t mask = ob_tokenizer_special_id(ob_model_tokenizer(model), OB_TOKEN_MASK);
    for (size_t t = 0; t < 2; t++) {
        const ob_record *record = ob_results_get(results, t);
        assert_int_equal(record->kind, OB_RECORD_MASKS);
        assert_int_equal(record->mask_count, t + 1);
        assert_int_equal(record->top_k, 4);
        assert_string_equal(record->input, texts[t]);
        ob_encoding e = OB_ENCODING_INIT;
        encode(model, texts[t], &e);
        int32_t positions[2];
        size_t masks = 0;
        for (size_t i = 0; i < e.count; i++)
            if (e.ids[i] == mask)
                positions[masks++] = (int32_t)i;
        ob_batch batch = {.want = OB_WANT_LOGITS,
                          .sequence_count = 1,
                          .token_count = e.count,
                          .input_ids = e.ids,
                          .position_count = masks,
                          .positions = positions};
        ob_result result = {0};
        test_ok(ob_model_forward(model, &batch, &result, &err), &err);
        for (size_t i = 0; i < masks * 4; i++) {
            const ob_prediction *p = &record->predictions[i];
            double expected = probability(result.logits + i / 4 * vocabulary, vocabulary, p->token);
            assert_true(fabs(expected - (double)p->score) <= 1e-5);
            assert_true(i % 4 == 0 || p->score <= record->predictions[i - 1].score);
        }
        ob_result_release(&result);
        ob_encoding_release(&e);
    }
    assert_int_equal(ob_results_get(results, 2)->kind, OB_RECORD_PREDICTION);
    ob_results_destroy(results);
    ob_model_close(model);
}

/* What a batch leaves out is what it would have said, and rows keep their bits beside others. */
static void test_forward_fills_in(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_model *model = open_demo("feature-extraction", NULL, 0);
    const ob_roberta_config *config = ob_model_get_info(model)->config;
    ob_encoding e = OB_ENCODING_INIT;
    encode(model, "def main():", &e);
    int32_t ids[64], types[64] = {0}, positions[64], cu[3] = {0, (int32_t)e.count, 2 * (int32_t)e.count};
    assert_true(e.count <= 32);
    memcpy(ids, e.ids, e.count * sizeof *ids);
    memcpy(ids + e.count, e.ids, e.count * sizeof *ids);
    for (size_t i = 0; i < 2 * e.count; i++)
        positions[i] = config->pad_token_id + 1 + (int32_t)(i % e.count);
    ob_result alone = {0}, both = {0};
    ob_batch batch = {.want = OB_WANT_HIDDEN, .sequence_count = 1, .token_count = e.count, .input_ids = ids};
    test_ok(ob_model_forward(model, &batch, &alone, &err), &err);
    batch = (ob_batch){.want = OB_WANT_HIDDEN,
                       .sequence_count = 2,
                       .token_count = 2 * e.count,
                       .input_ids = ids,
                       .cu_seqlens = cu,
                       .token_type_ids = types,
                       .position_ids = positions};
    test_ok(ob_model_forward(model, &batch, &both, &err), &err);
    size_t row = e.count * config->hidden_size;
    assert_memory_equal(alone.hidden, both.hidden, row * sizeof(float));
    assert_memory_equal(alone.hidden, both.hidden + row, row * sizeof(float));

    const char *text = "def main():";
    ob_results *results = run_texts(model, &text, NULL, 1);
    const ob_record *record = ob_results_get(results, 0);
    assert_int_equal(record->kind, OB_RECORD_ARRAYS);
    assert_int_equal(record->arrays[0].shape[0], e.count);
    assert_memory_equal(alone.hidden, record->arrays[0].data, row * sizeof(float));
    ob_results_destroy(results);
    ob_result_release(&alone);
    ob_result_release(&both);
    ob_encoding_release(&e);
    ob_model_close(model);
}

static void test_batches_that_are_refused(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_model *model = open_demo("feature-extraction", NULL, 0);
    int32_t ids[4] = {0, 5, 6, 2}, falls[3] = {0, 3, 2}, starts_late[2] = {1, 4}, ends_early[2] = {0, 3},
            negative[3] = {0, -1, 4}, far[1] = {4}, high[4] = {0, 5, 1 << 30, 2};
    const ob_batch good = {.want = OB_WANT_HIDDEN, .sequence_count = 1, .token_count = 4, .input_ids = ids};
    float states[1] = {0};
    ob_result result = {0};
    ob_batch b = good;
    b.token_count = 0;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "token_count: 0");
    b.token_count = ob_model_get_info(model)->max_tokens + 1;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "is not between 1 and");
    b = good;
    b.sequence_count = 0;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "sequence_count: 0");
    b.sequence_count = 2;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "cu_seqlens: missing");
    b.cu_seqlens = falls;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "cu_seqlens[2]: 2 after 3");
    b.cu_seqlens = negative;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "cu_seqlens[1]: -1");
    b.sequence_count = 1;
    b.cu_seqlens = starts_late;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "cu_seqlens: 1 to 4");
    b.cu_seqlens = ends_early;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "cu_seqlens: 0 to 3");
    b = good;
    b.input_ids = NULL;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "input_ids: missing");
    b.input_ids = high;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "input_ids: 1073741824");
    b = good;
    b.position_count = 1;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "position_count: 1");
    b.positions = far;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "positions[0]: 4");
    assert_true(ob_model_forward(model, &b, &result, NULL) != OB_OK);
    b = good;
    b.want = OB_WANT_LOGITS;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "loads no head");
    b.want = OB_WANT_POOLER;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "want: 0x10 was not planned");
    b = good;
    b.encoder_cu_seqlens = ends_early;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "encoder_hidden_states: missing");
    b.encoder_hidden_states = states;
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "3 states, but 0 were planned");
    ob_error_clear(&err);
    test_ok(ob_model_forward(model, &good, &result, &err), &err); /* none of them left a trace */
    ob_result_release(&result);
    ob_model_close(model);
}

static void test_jsonl_rows(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    static const char rows[] = "{\"id\":7,\"text\":\"import <mask> as np\"}\n"
                               "{\"text\":5}\n"
                               "{\"input_ids\":[0,4,2]}";
    static const char *const skip[] = {"on_error=skip"};
    ob_results *results = NULL;
    ob_model *model = open_demo("fill-mask", NULL, 0);
    test_refused(ob_model_run_jsonl(model, rows, sizeof rows - 1, &results, &err), OB_ERR_INPUT, &err,
                 "rows:2: row 1: text: a string is expected");
    assert_null(results);
    ob_model_close(model);

    model = open_demo("fill-mask", skip, 1);
    ob_error_clear(&err);
    test_ok(ob_model_run_jsonl(model, rows, sizeof rows - 1, &results, &err), &err);
    assert_int_equal(ob_results_count(results), 3);
    assert_string_equal(ob_results_get(results, 0)->id, "7");
    assert_int_equal(ob_results_get(results, 1)->kind, OB_RECORD_ERROR);
    assert_string_equal(ob_results_get(results, 1)->error_code, "OB_ERR_INPUT");
    assert_null(ob_results_get(results, 2)->input);
    assert_int_equal(ob_results_get(results, 2)->row, 2);
    ob_results_destroy(results);

    /* The same row as a text. */
    static const char *const texts[] = {"import <mask> as np", "\xff"};
    results = run_texts(model, texts, NULL, 2);
    assert_string_equal(ob_results_get(results, 0)->predictions[0].token_str, " numpy");
    assert_string_equal(ob_results_get(results, 1)->error_message, "text: invalid UTF-8 at byte 0");
    ob_results_destroy(results);
    ob_model_close(model);
}

static void test_pairs(void **state)
{
    (void)state;
    static const char *const settings[] = {"feature_extraction.pooling=cls"};
    static const char *const texts[] = {"one", "one"}, *const pairs[] = {"two", NULL};
    ob_error err;
    ob_error_clear(&err);
    ob_model *model = open_demo("feature-extraction", settings, 1);
    ob_results *results = run_texts(model, texts, pairs, 2), *jsonl = NULL;
    static const char row[] = "{\"text\":\"one\",\"text_pair\":\"two\"}\n";
    test_ok(ob_model_run_jsonl(model, row, sizeof row - 1, &jsonl, &err), &err);
    const ob_named_array *pair = ob_results_get(results, 0)->arrays, *alone = ob_results_get(results, 1)->arrays;
    size_t bytes = pair->shape[0] * sizeof(float);
    assert_memory_equal(pair->data, ob_results_get(jsonl, 0)->arrays[0].data, bytes);
    assert_memory_not_equal(pair->data, alone->data, bytes);
    ob_results_destroy(results);
    ob_results_destroy(jsonl);
    results = run_texts(model, NULL, NULL, 0);
    ob_results_destroy(results);
    ob_model_close(model);
}

static void refuse_open(const char *folder, const char *device, const char *task, const char *setting,
                        ob_status expected, const char *part)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_model_options options;
    ob_model_options_default(&options);
    options.device = device;
    options.task = task;
    options.settings = &setting;
    options.setting_count = setting != NULL;
    ob_model *model = NULL;
    test_refused(ob_model_open(folder, &options, &model, &err), expected, &err, part);
    assert_null(model);
}

static void test_what_cannot_be_opened(void **state)
{
    (void)state;
    refuse_open("/nonexistent", NULL, NULL, NULL, OB_ERR_MODEL, "/nonexistent: no such folder");
    refuse_open(demo_folder(), "type=accelerator", NULL, NULL, OB_ERR_NO_DEVICE, "ruled out by type");
    refuse_open(demo_folder(), "plattform=x", NULL, NULL, OB_ERR_USAGE, "did you mean 'platform'");
    refuse_open(demo_folder(), NULL, "fil-mask", NULL, OB_ERR_CONFIG, "fil-mask");
    refuse_open(demo_folder(), NULL, NULL, "fill_mask.topk=3", OB_ERR_CONFIG, "did you mean 'top_k'");
    refuse_open(demo_folder(), NULL, NULL, "fill_mask", OB_ERR_USAGE, "KEY=VALUE");
    refuse_open(demo_folder(), NULL, NULL, "fill_mask.top_k=99999", OB_ERR_CONFIG, "8192");
}

/* Models on threads of their own do not know of each other. */
static void *run_alone(void *argument)
{
    const ob_model *model = argument;
    const char *text = "import <mask> as np";
    ob_results *results = NULL;
    for (int i = 0; i < 20; i++) {
        if (ob_model_run((ob_model *)(uintptr_t)model, &text, NULL, 1, &results, NULL) != OB_OK)
            return NULL;
        if (i < 19)
            ob_results_destroy(results);
    }
    return results;
}

static void test_two_threads(void **state)
{
    (void)state;
    ob_model *models[2];
    pthread_t threads[2];
    void *results[2];
    for (int i = 0; i < 2; i++)
        models[i] = open_demo("fill-mask", NULL, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_alone, models[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], &results[i]), 0);
    assert_true(results[0] != NULL && results[1] != NULL);
    for (size_t i = 0; i < 5; i++) {
        const ob_prediction *a = &ob_results_get(results[0], 0)->predictions[i];
        const ob_prediction *b = &ob_results_get(results[1], 0)->predictions[i];
        assert_true(a->token == b->token && memcmp(&a->score, &b->score, sizeof a->score) == 0);
    }
    for (int i = 0; i < 2; i++) {
        ob_results_destroy(results[i]);
        ob_model_close(models[i]);
    }
    ob_model_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_mask_is_the_model_s),
        cmocka_unit_test(test_forward_fills_in),
        cmocka_unit_test(test_maps_and_poolings),
        cmocka_unit_test(test_batches_that_are_refused),
        cmocka_unit_test(test_jsonl_rows),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_what_cannot_be_opened),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
