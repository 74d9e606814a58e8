/* The fill-mask task against the transformers pipeline: tokens and strings equal, scores within 1e-4. */
#include "test_support.h"

#include <jansson.h>
#include <math.h>
#include <oberta/memory.h>
#include <oberta/pipeline.h>

typedef struct check {
    const json_t *expected; /* a list of predictions, or a list of lists */
    size_t rows;
} check;

typedef struct texts {
    const json_t *list; /* a string, or a list of them */
    size_t next;
} texts;

static ob_status next_text(void *user, ob_row *row, bool *more, ob_error *err)
{
    texts *t = user;
    (void)err;
    bool single = json_is_string(t->list);
    *more = t->next < (single ? 1 : json_array_size(t->list));
    if (!*more)
        return OB_OK;
    const json_t *text = single ? t->list : json_array_get(t->list, t->next);
    row->number = t->next++;
    ob_strbuf_append(&row->text, json_string_value(text), json_string_length(text));
    return OB_OK;
}

static void compare(const json_t *want, const ob_prediction *got)
{
    const json_t *sequence = json_object_get(want, "sequence"), *token_str = json_object_get(want, "token_str");
    assert_int_equal(json_integer_value(json_object_get(want, "token")), got->token);
    assert_int_equal(json_string_length(token_str), got->token_str_bytes);
    assert_memory_equal(json_string_value(token_str), got->token_str, got->token_str_bytes);
    assert_int_equal(json_string_length(sequence), got->sequence_bytes);
    assert_memory_equal(json_string_value(sequence), got->sequence, got->sequence_bytes);
    assert_true(fabs(json_number_value(json_object_get(want, "score")) - (double)got->score) <= 1e-4);
}

/* The pipeline's result: predictions of one mask, lists of them for several, and one of these a text for a list. */
static ob_status take(void *user, const ob_record *record, ob_error *err)
{
    check *c = user;
    const json_t *want = c->expected;
    (void)err;
    if (record->kind == OB_RECORD_ERROR)
        return ob_error_set(err, OB_ERR_INPUT, "%s", record->error_message);
    assert_int_equal(record->kind, OB_RECORD_MASKS);
    if (c->rows != SIZE_MAX)
        want = json_array_get(want, record->row);
    for (size_t m = 0; m < record->mask_count; m++) {
        const json_t *list = record->mask_count > 1 ? json_array_get(want, m) : want;
        assert_int_equal(json_array_size(list), record->top_k);
        for (size_t i = 0; i < record->top_k; i++)
            compare(json_array_get(list, i), &record->predictions[m * record->top_k + i]);
    }
    return OB_OK;
}

static void read_options(const json_t *options, ob_job *job)
{
    const json_t *targets = json_object_get(options, "targets"), *top_k = json_object_get(options, "top_k");
    if (top_k != NULL)
        job->fill_mask.top_k = (size_t)json_integer_value(top_k);
    const json_t *length = json_object_get(json_object_get(options, "tokenizer_kwargs"), "max_length");
    if (length != NULL)
        job->max_length = (size_t)json_integer_value(length);
    size_t count = json_is_string(targets) ? 1 : json_array_size(targets);
    if (count > 0)
        job->fill_mask.targets = ob_calloc(count, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        job->fill_mask.targets[job->fill_mask.target_count++] =
            ob_strdup(json_string_value(json_is_string(targets) ? targets : json_array_get(targets, i)));
}

static bool run_case(const json_t *root, const char *model)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_job job;
    ob_pipeline *pipeline = NULL;
    ob_pipeline_options options;
    ob_pipeline_options_default(&options);
    ob_job_default(&job);
    job.output_format = OB_OUTPUT_JSONL;
    job.fill_mask.without_mask_error = true; /* as the pipeline */
    read_options(json_object_get(root, "options"), &job);
    const json_t *inputs = json_object_get(root, "inputs"), *result = json_object_get(root, "result");
    texts t = {inputs, 0};
    check c = {result, json_array_size(inputs) > 1 ? json_array_size(inputs) : SIZE_MAX};
    const ob_row_source source = {next_text, NULL, NULL, &t};
    const ob_record_sink sink = {take, &c};
    ob_status status = ob_pipeline_create(&job, model, &options, &pipeline, &err);
    if (status == OB_OK)
        status = ob_pipeline_run_with(pipeline, &source, &sink, NULL, NULL, NULL, &err);
    if (result != NULL)
        test_ok(status, &err);
    else
        assert_true(status != OB_OK && err.text[0] != '\0');
    ob_pipeline_destroy(pipeline);
    ob_job_release(&job);
    return result != NULL;
}

static void test_fill_mask_matches_pipeline(void **state)
{
    (void)state;
    char path[600], model[600];
    json_error_t error;
    snprintf(path, sizeof path, "%s/goldens/fill_mask/cases.json", test_data());
    snprintf(model, sizeof model, "%s/goldens/mlm12/model", test_data());
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(root);
    const json_t *cases = json_object_get(root, "cases");
    size_t results = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        char *shown = json_dumps(json_object_get(json_array_get(cases, i), "inputs"), JSON_ENCODE_ANY);
        print_message("%.100s\n", shown);
        free(shown);
        results += run_case(json_array_get(cases, i), model);
    }
    printf("%zu cases, %zu with results\n", json_array_size(cases), results);
    assert_true(results > 20);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fill_mask_matches_pipeline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
