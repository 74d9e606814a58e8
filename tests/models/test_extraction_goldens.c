/* token-classification and question-answering, whole, against the transformers pipelines: strings and places equal,
 * scores within 1e-4; and the same bits however the rows are batched. */
#include "test_support.h"

#include <jansson.h>
#include <math.h>
#include <oberta/memory.h>
#include <oberta/pipeline.h>

#define MAX_ROWS   100
#define MAX_SCORES 4000

static ob_error err;

/* Rows of one run: cases, or texts in pairs that need not have a result. */
typedef struct run {
    const json_t *rows[MAX_ROWS];
    size_t count, next, seen;
    float scores[MAX_SCORES];
    size_t score_count;
    char error[512]; /* of the last row that was refused */
} run;

static void set_text(ob_strbuf *out, const json_t *text)
{
    ob_strbuf_append(out, json_string_value(text), json_string_length(text));
}

static ob_status next_row(void *user, ob_row *row, bool *more, ob_error *unused)
{
    run *r = user;
    (void)unused;
    *more = r->next < r->count;
    if (!*more)
        return OB_OK;
    const json_t *test = r->rows[r->next], *question = json_object_get(test, "question");
    const json_t *text = json_object_get(test, "text"), *context = json_object_get(test, "context");
    row->number = r->next++;
    set_text(&row->text, question != NULL ? question : text != NULL ? text : json_object_get(test, "input"));
    row->has_pair = context != NULL;
    if (context != NULL)
        set_text(&row->pair, context);
    return OB_OK;
}

static void check_text(const json_t *expected, const char *text, size_t bytes)
{
    if (json_string_length(expected) != bytes || memcmp(json_string_value(expected), text, bytes) != 0)
        fail_msg("'%.*s', expected '%s'", (int)bytes, text, json_string_value(expected));
}

static void check_number(const json_t *expected, size_t number)
{
    assert_int_equal(json_integer_value(expected), number);
}

static void check_score(run *r, const json_t *expected, float score)
{
    assert_true(fabs((double)score - json_number_value(expected)) <= 1e-4);
    assert_true(r->score_count < MAX_SCORES);
    r->scores[r->score_count++] = score;
}

/* As the pipeline gives it, or as short list: [index,] label, score, word, start, end. */
static void check_entity(run *r, const json_t *want, const ob_entity *got, bool grouped)
{
    static const char *const names[] = {"index", "entity", "score", "word", "start", "end"};
    const json_t *fields[6];
    for (size_t i = 0; i < 6; i++)
        if (json_is_array(want))
            fields[i] = i > 0 || !grouped ? json_array_get(want, i - grouped) : NULL;
        else
            fields[i] = json_object_get(want, i == 1 && grouped ? "entity_group" : names[i]);
    if (!grouped)
        check_number(fields[0], got->index);
    assert_string_equal(json_string_value(fields[1]), got->entity);
    check_score(r, fields[2], got->score);
    check_text(fields[3], got->word, got->word_bytes);
    check_number(fields[4], got->start);
    check_number(fields[5], got->end);
}

static void check_answer(run *r, const json_t *want, const ob_answer *got)
{
    check_text(json_object_get(want, "answer"), got->answer, got->answer_bytes);
    check_number(json_object_get(want, "start"), got->start);
    check_number(json_object_get(want, "end"), got->end);
    check_score(r, json_object_get(want, "score"), got->score);
}

static ob_status take(void *user, const ob_record *record, ob_error *unused)
{
    run *r = user;
    (void)unused;
    const json_t *result = json_object_get(r->rows[record->row], "result");
    assert_int_equal(record->row, r->seen++);
    if (result == NULL) {
        assert_int_equal(record->kind, OB_RECORD_ERROR);
        snprintf(r->error, sizeof r->error, "%s", record->error_message);
    } else if (record->kind == OB_RECORD_ENTITIES) {
        assert_int_equal(record->entity_count, json_array_size(result));
        for (size_t i = 0; i < record->entity_count; i++)
            check_entity(r, json_array_get(result, i), &record->entities[i], record->grouped);
    } else {
        assert_int_equal(record->kind, OB_RECORD_ANSWERS);
        assert_true(record->answer_count >= json_array_size(result));
        for (size_t i = 0; json_is_true(result) && i < record->answer_count; i++)
            r->scores[r->score_count++] = record->answers[i].score;
        for (size_t i = 0; i < json_array_size(result); i++)
            check_answer(r, json_array_get(result, i), &record->answers[i]);
    }
    return OB_OK;
}

static void read_size(const json_t *options, const char *key, size_t *out)
{
    const json_t *value = json_object_get(options, key);
    if (value != NULL)
        *out = (size_t)json_integer_value(value);
}

static void read_options(const json_t *options, ob_job *job)
{
    static const char *const strategies[] = {"none", "simple", "first", "average", "max"};
    const char *strategy = json_string_value(json_object_get(options, "aggregation_strategy"));
    const json_t *align = json_object_get(options, "align_to_words");
    for (int i = 0; strategy != NULL && i < 5; i++)
        if (strcmp(strategies[i], strategy) == 0)
            job->token_classification.aggregation_strategy = (ob_aggregation)i;
    read_size(options, "stride", &job->token_classification.stride);
    read_size(options, "top_k", &job->question_answering.top_k);
    read_size(options, "max_seq_len", &job->question_answering.max_seq_len);
    read_size(options, "doc_stride", &job->question_answering.doc_stride);
    read_size(options, "max_answer_len", &job->question_answering.max_answer_len);
    read_size(options, "max_question_len", &job->question_answering.max_question_len);
    job->question_answering.handle_impossible_answer = json_is_true(json_object_get(options, "handle_impossible_"
                                                                                             "answer"));
    job->question_answering.align_to_words = align == NULL || json_is_true(align);
}

static ob_status run_rows(run *r, ob_task task, const char *model, const json_t *options, size_t max_tokens)
{
    char path[600];
    ob_job job;
    ob_pipeline *pipeline = NULL;
    ob_pipeline_options pipeline_options;
    ob_pipeline_options_default(&pipeline_options);
    ob_error_clear(&err);
    ob_job_default(&job);
    job.task = task;
    job.output_format = OB_OUTPUT_JSONL;
    job.skip_errors = true;
    job.max_tokens = max_tokens;
    read_options(options, &job);
    snprintf(path, sizeof path, "%s/goldens/%s/model", test_data(), model);
    r->next = r->seen = r->score_count = 0;
    const ob_row_source source = {next_row, NULL, NULL, r};
    const ob_record_sink sink = {take, r};
    ob_status status = ob_pipeline_create(&job, path, &pipeline_options, &pipeline, &err);
    if (status == OB_OK)
        status = ob_pipeline_run_with(pipeline, &source, &sink, NULL, NULL, NULL, &err);
    ob_pipeline_destroy(pipeline);
    ob_job_release(&job);
    return status;
}

/* All cases of a file, those with equal options together; batches of one sequence give the same bits as large ones. */
static void check_cases(ob_task task, const char *model, const char *file)
{
    static run together, alone;
    char path[600];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s", test_data(), file);
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(root);
    const json_t *cases = json_object_get(root, "cases");
    size_t count = json_array_size(cases), done = 0;
    for (size_t first = 0; first < count; first++) {
        const json_t *options = json_object_get(json_array_get(cases, first), "options");
        bool is_first = true;
        together.count = 0;
        for (size_t i = 0; i < count; i++) {
            const json_t *test = json_array_get(cases, i);
            if (!json_equal(json_object_get(test, "options"), options))
                continue;
            is_first &= i >= first;
            together.rows[together.count++] = test;
            assert_true(together.count < MAX_ROWS);
        }
        if (!is_first)
            continue;
        char *shown = json_dumps(options, 0);
        print_message("%s: %zu rows\n", shown, together.count);
        free(shown);
        alone = together;
        test_ok(run_rows(&together, task, model, options, 0), &err);
        test_ok(run_rows(&alone, task, model, options, 64), &err);
        assert_int_equal(together.seen, together.count);
        assert_int_equal(together.score_count, alone.score_count);
        assert_memory_equal(together.scores, alone.scores, together.score_count * sizeof(float));
        done += together.count;
    }
    assert_int_equal(done, count);
    json_decref(root);
}

static void test_token_classification_matches_pipeline(void **state)
{
    (void)state;
    check_cases(OB_TASK_TOKEN_CLASSIFICATION, "tokcls", "goldens/tokcls/pipeline.json");
}

static void test_token_classification_in_windows(void **state)
{
    (void)state;
    check_cases(OB_TASK_TOKEN_CLASSIFICATION, "tokcls", "pipelines/tokcls.json");
}

static void test_question_answering_matches_pipeline(void **state)
{
    (void)state;
    check_cases(OB_TASK_QUESTION_ANSWERING, "qa", "pipelines/qa.json");
}

static void check_refused_row(ob_task task, const char *model, const char *row, const char *options, const char *part)
{
    static run r;
    json_t *test = json_loads(row, 0, NULL), *o = json_loads(options, 0, NULL);
    assert_true(test != NULL && o != NULL);
    r.rows[0] = test;
    r.count = 1;
    ob_status status = run_rows(&r, task, model, o, 0);
    assert_int_equal(status, OB_ERR_ROWS_FAILED);
    if (strstr(r.error, part) == NULL)
        fail_msg("%s: '%s', expected to contain '%s'", row, r.error, part);
    json_decref(test);
    json_decref(o);
}

static void test_wrong_rows_say_why(void **state)
{
    (void)state;
    ob_task qa = OB_TASK_QUESTION_ANSWERING;
    check_refused_row(qa, "qa", "{\"question\": \"\", \"context\": \"a\"}", "{}", "question: is empty");
    check_refused_row(qa, "qa", "{\"question\": \"a\", \"context\": \"\"}", "{}", "context: is empty");
    check_refused_row(qa, "qa", "{\"question\": \"a\"}", "{}", "context: is empty");
    const char *row =
        "{\"question\": \"Who met the quick brown fox and the lazy dog?\", \"context\": \"abcdefghijklm\"}";
    check_refused_row(qa, "qa", row, "{\"max_seq_len\": 40, \"doc_stride\": 2}",
                      "no room for the context in windows of");
    check_refused_row(OB_TASK_TOKEN_CLASSIFICATION, "tokcls", "{\"text\": \"a\", \"context\": \"b\"}", "{}",
                      "text_pair: token-classification takes one text");
}

static size_t answer(run *r, const char *row, const char *options)
{
    json_t *test = json_loads(row, 0, NULL), *o = json_loads(options, 0, NULL);
    assert_true(test != NULL && o != NULL);
    r->rows[0] = test;
    r->count = 1;
    test_ok(run_rows(r, OB_TASK_QUESTION_ANSWERING, "qa", o, 0), &err);
    json_decref(test);
    json_decref(o);
    return r->score_count;
}

/* Ten tokens of the question end within its last character but one, which then goes as a whole. */
static void test_question_is_cut(void **state)
{
    (void)state;
    static run cut, by_hand, whole;
    const char *row = "{\"question\": \"Who met Zo\\u00eb?\", \"context\": \"Paris met Zo\\u00eb.\", \"result\": true}";
    size_t count = answer(&cut, row, "{\"max_question_len\": 10, \"top_k\": 3}");
    answer(&whole, row, "{\"top_k\": 3}");
    row = "{\"question\": \"Who met Zo\", \"context\": \"Paris met Zo\\u00eb.\", \"result\": true}";
    answer(&by_hand, row, "{\"top_k\": 3}");
    assert_true(count > 0 && count == by_hand.score_count);
    assert_memory_equal(cut.scores, by_hand.scores, count * sizeof(float));
    assert_memory_not_equal(cut.scores, whole.scores, count * sizeof(float));
}

static void check_refused_job(ob_task task, const char *model, const char *options, const char *part)
{
    static run r;
    json_t *o = json_loads(options, 0, NULL);
    assert_non_null(o);
    r.count = 0;
    test_refused(run_rows(&r, task, model, o, 0), OB_ERR_CONFIG, &err, part);
    json_decref(o);
}

static void test_wrong_jobs_say_why(void **state)
{
    (void)state;
    check_refused_job(OB_TASK_QUESTION_ANSWERING, "qa", "{\"max_seq_len\": 65}",
                      "question_answering.max_seq_len: 65 is more than the 64");
    check_refused_job(OB_TASK_QUESTION_ANSWERING, "qa", "{\"max_seq_len\": 20, \"doc_stride\": 20}",
                      "question_answering.doc_stride: 20 leaves nothing new");
    check_refused_job(OB_TASK_TOKEN_CLASSIFICATION, "tokcls", "{\"stride\": 3}", "token_classification.stride: 3");
    check_refused_job(OB_TASK_TOKEN_CLASSIFICATION, "tokcls", "{\"stride\": 62, \"aggregation_strategy\": \"simple\"}",
                      "leaves nothing new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_classification_matches_pipeline),
        cmocka_unit_test(test_token_classification_in_windows),
        cmocka_unit_test(test_question_answering_matches_pipeline),
        cmocka_unit_test(test_question_is_cut),
        cmocka_unit_test(test_wrong_rows_say_why),
        cmocka_unit_test(test_wrong_jobs_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
