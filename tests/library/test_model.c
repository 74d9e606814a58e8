/* The handle of model.h, on liboberta.so: tasks against raw forward passes, settings, and everything that is refused.
 */
#include "open_model.h"

#include <math.h>
#include <pthread.h>

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

/* Every task gives its kind of record for a row as its inputs have it. */
static void test_every_task(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *task, *row;
        ob_record_kind kind;
    } tasks[] = {
        {"seqcls3", "text-classification", "{\"text\":\"a\",\"text_pair\":\"b\"}", OB_RECORD_LABELS},
        {"tokcls", "token-classification", "{\"text\":\"Paris is the capital\"}", OB_RECORD_ENTITIES},
        {"qa", "question-answering", "{\"question\":\"Who?\",\"context\":\"It is I.\"}", OB_RECORD_ANSWERS},
        {"mchoice", "multiple-choice", "{\"choices\":[[\"I \",\"am\"],[\"I \",\"are\"]]}", OB_RECORD_CHOICE},
        {"mlm12", "pseudo-log-likelihood", "{\"text\":\"I love China\"}", OB_RECORD_SCORE},
        {"type2", "forward", "{\"input_ids\":[0,5,2],\"token_type_ids\":[0,1,1]}", OB_RECORD_ARRAYS},
    };
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        ob_error err;
        ob_error_clear(&err);
        ob_results *results = NULL;
        ob_model *model = open_golden(tasks[i].golden, tasks[i].task);
        test_ok(ob_model_run_jsonl(model, tasks[i].row, strlen(tasks[i].row), &results, &err), &err);
        const ob_record *record = ob_results_get(results, 0);
        assert_int_equal(record->kind, tasks[i].kind);
        if (record->kind == OB_RECORD_LABELS)
            assert_true(record->label_count >= 1 && record->labels[0].score > 0 && record->labels[0].label[0] != 0);
        if (record->kind == OB_RECORD_ANSWERS)
            assert_true(record->answer_count == 1 && record->answers[0].end <= 8);
        if (record->kind == OB_RECORD_CHOICE)
            assert_true(record->choice_count == 2 &&
                        fabs((double)(record->choice_scores[0] + record->choice_scores[1]) - 1) < 1e-6);
        if (record->kind == OB_RECORD_SCORE)
            assert_true(record->score < 0 && record->token_count > 1);
        if (record->kind == OB_RECORD_ARRAYS)
            assert_string_equal(record->arrays[0].name, "last_hidden_state");
        ob_results_destroy(results);
        ob_model_close(model);
    }
}

/* A question and its context are a pair of texts, too. */
static void test_question_as_pair(void **state)
{
    (void)state;
    static const char row[] = "{\"question\":\"Who?\",\"context\":\"It is I.\"}";
    const char *question = "Who?", *context = "It is I.";
    ob_error err;
    ob_error_clear(&err);
    ob_results *jsonl = NULL;
    ob_model *model = open_golden("qa", "question-answering");
    ob_results *results = run_texts(model, &question, &context, 1);
    test_ok(ob_model_run_jsonl(model, row, sizeof row - 1, &jsonl, &err), &err);
    const ob_answer *a = ob_results_get(results, 0)->answers, *b = ob_results_get(jsonl, 0)->answers;
    assert_string_equal(a->answer, b->answer);
    assert_memory_equal(&a->score, &b->score, sizeof a->score);
    ob_results_destroy(results);
    ob_results_destroy(jsonl);
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
    refuse_open("/dev/null/none", NULL, NULL, NULL, OB_ERR_MODEL, "/dev/null/none: no such folder");
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
        cmocka_unit_test(test_jsonl_rows),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_every_task),
        cmocka_unit_test(test_question_as_pair),
        cmocka_unit_test(test_what_cannot_be_opened),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
