/* text-classification, multiple-choice and pseudo-log-likelihood, from a job to its rows: labels and tokens equal to
 * those of transformers, scores within 1e-4, and the same bits however the rows are batched. */
#include "job_runner.h"
#include "model_files.h"

#include <math.h>
#include <oberta/checkpoint.h>
#include <oberta/memory.h>
#include <oberta/strbuf.h>

#define FILES "inputs: {path: '%s'}\noutput: {path: '%s'}\n"

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void check_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-4))
        fail_msg("%.9g, expected %.9g", got, want);
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (root == NULL)
        fail_msg("%s: %s", path, error.text);
    return root;
}

/* text-classification --------------------------------------------------------------------------------------------- */

static void check_label(const json_t *got, const json_t *want)
{
    assert_string_equal(json_string_value(json_object_get(got, "label")),
                        json_string_value(json_object_get(want, "label")));
    check_near(number(got, "score"), number(want, "score"));
}

static void check_labels(const json_t *row, const json_t *result, bool as_list)
{
    const json_t *labels = json_object_get(row, "labels");
    check_label(row, json_array_get(result, 0));
    if (!as_list)
        assert_null(labels);
    for (size_t i = 0; as_list && i < json_array_size(result); i++)
        check_label(json_array_get(labels, i), json_array_get(result, i));
    assert_int_equal(json_array_size(labels), as_list ? json_array_size(result) : 0);
}

/* All cases of a golden that have these options, as one job. Returns how many. */
static size_t run_cases(const json_t *cases, const char *model, const json_t *options)
{
    ob_strbuf lines = OB_STRBUF_INIT;
    json_t *wanted = json_array(), *rows;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *test = json_array_get(cases, i), *input = json_object_get(test, "input");
        if (!json_equal(json_object_get(test, "options"), options))
            continue;
        json_t *row = json_is_string(input) ? json_pack("{sO}", "text", input) : json_deep_copy(input);
        job_add_line(&lines, row);
        json_decref(row);
        json_array_append(wanted, json_object_get(test, "result"));
    }
    char job[1000];
    const json_t *top_k = json_object_get(options, "top_k"), *function = json_object_get(options, "function_to_apply");
    char *top_k_text = top_k != NULL ? json_dumps(top_k, JSON_ENCODE_ANY) : strdup("1");
    snprintf(job, sizeof job,
             FILES "task: text-classification\ntext_classification: {top_k: %s, function_to_apply: %s}\n", "%s", "%s",
             top_k_text, function != NULL ? json_string_value(function) : "auto");
    test_ok(job_run(job, model, ob_strbuf_text(&lines), &rows, NULL), &job_error);
    size_t count = json_array_size(wanted);
    assert_int_equal(json_array_size(rows), count);
    for (size_t i = 0; i < count; i++)
        check_labels(json_array_get(rows, i), json_array_get(wanted, i), top_k != NULL);
    free(top_k_text);
    json_decref(rows);
    json_decref(wanted);
    ob_strbuf_release(&lines);
    return count;
}

static void check_pipeline(const char *name)
{
    char path[600], model[600];
    snprintf(path, sizeof path, "%s/pipeline.json", golden_folder(name));
    snprintf(model, sizeof model, "%s/model", golden_folder(name));
    json_t *root = load(path), *cases = json_object_get(root, "cases"), *done = json_array();
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *options = json_object_get(json_array_get(cases, i), "options");
        bool seen = false;
        for (size_t k = 0; k < json_array_size(done); k++)
            seen |= json_equal(json_array_get(done, k), options);
        if (seen)
            continue;
        json_array_append(done, options);
        count += run_cases(cases, model, options);
    }
    printf("%s: %zu cases, %zu options\n", name, count, json_array_size(done));
    assert_true(count == json_array_size(cases) && count > 40);
    json_decref(done);
    json_decref(root);
}

static void test_classification_matches_pipeline(void **state)
{
    (void)state;
    check_pipeline("seqcls3");
    check_pipeline("seqcls_multilabel");
    check_pipeline("seqcls_regression");
}

/* multiple-choice -------------------------------------------------------------------------------------------------- */

static void read_lines(const char *name, ob_strbuf *lines)
{
    char file[100];
    size_t bytes;
    snprintf(file, sizeof file, "%s/inputs.jsonl", name);
    unsigned char *text = read_golden(file, &bytes);
    ob_strbuf_append(lines, (const char *)text, bytes);
    free(text);
}

static void check_choice(const json_t *row, const ob_tensor *expected)
{
    const json_t *scores = json_object_get(row, "scores"), *logits = json_object_get(row, "logits");
    size_t count = expected->count, best = 0;
    double want[64], sum = 0;
    assert_true(count <= 64 && json_array_size(scores) == count && json_array_size(logits) == count);
    for (size_t i = 0; i < count; i++) {
        float logit;
        ob_convert_to_f32(&logit, (const char *)expected->data + i * sizeof logit, expected->dtype, 1);
        check_near(json_number_value(json_array_get(logits, i)), (double)logit);
        want[i] = exp((double)logit);
        sum += want[i];
        best = want[i] > want[best] ? i : best;
    }
    for (size_t i = 0; i < count; i++)
        check_near(json_number_value(json_array_get(scores, i)), want[i] / sum);
    assert_int_equal(json_integer_value(json_object_get(row, "choice")), best);
    check_near(number(row, "score"), want[best] / sum);
}

static void test_choices_match_reference(void **state)
{
    (void)state;
    char path[600], model[600], name[32];
    snprintf(path, sizeof path, "%s/expected.safetensors", golden_folder("mchoice"));
    snprintf(model, sizeof model, "%s/model", golden_folder("mchoice"));
    ob_strbuf lines = OB_STRBUF_INIT;
    ob_checkpoint *expected;
    json_t *rows;
    read_lines("mchoice", &lines);
    test_ok(ob_checkpoint_open_file(path, &expected, &job_error), &job_error);
    test_ok(job_run(FILES "task: multiple-choice\n", model, ob_strbuf_text(&lines), &rows, NULL), &job_error);
    assert_int_equal(json_array_size(rows), ob_checkpoint_count(expected));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        snprintf(name, sizeof name, "logits.%zu", i);
        check_choice(json_array_get(rows, i), ob_checkpoint_find(expected, name));
    }
    ob_checkpoint_close(expected);
    ob_strbuf_release(&lines);
    json_decref(rows);
}

/* pseudo-log-likelihood -------------------------------------------------------------------------------------------- */

static void check_likelihood(const json_t *row, const json_t *want)
{
    const json_t *scores = json_object_get(want, "token_scores"), *got = json_object_get(row, "token_scores");
    size_t count = json_array_size(scores);
    assert_int_equal(json_integer_value(json_object_get(row, "token_count")), count);
    assert_true(json_equal(json_object_get(row, "tokens"), json_object_get(want, "tokens")));
    assert_int_equal(json_array_size(got), count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        check_near(json_number_value(json_array_get(got, i)), json_number_value(json_array_get(scores, i)));
        sum += json_number_value(json_array_get(got, i));
    }
    assert_true(fabs(number(row, "score") - sum) < 1e-4);
    assert_true(fabs(sum - number(want, "score")) < 1e-4 * (double)(count + 1));
}

static void test_likelihood_matches_reference(void **state)
{
    (void)state;
    char path[600], model[600];
    snprintf(path, sizeof path, "%s/pipelines/likelihood.json", test_data());
    snprintf(model, sizeof model, "%s/model", golden_folder("mlm12"));
    json_t *root = load(path), *cases = json_object_get(root, "cases"), *rows;
    ob_strbuf lines = OB_STRBUF_INIT;
    for (size_t i = 0; i < json_array_size(cases); i++)
        job_add_line(&lines, json_array_get(cases, i));
    ob_progress summary;
    test_ok(job_run(FILES "task: pseudo-log-likelihood\npseudo_log_likelihood: {token_scores: true}\n", model,
                    ob_strbuf_text(&lines), &rows, &summary),
            &job_error);
    assert_int_equal(json_array_size(rows), json_array_size(cases));
    assert_int_equal(summary.rows, json_array_size(cases)); /* a row of 74 sequences is one row, an empty one too */
    for (size_t i = 0; i < json_array_size(rows); i++)
        check_likelihood(json_array_get(rows, i), json_object_get(json_array_get(cases, i), "result"));
    json_decref(rows);
    test_ok(job_run(FILES "task: pseudo-log-likelihood\n", model, ob_strbuf_text(&lines), &rows, NULL), &job_error);
    assert_null(json_object_get(json_array_get(rows, 0), "token_scores"));
    json_decref(rows);
    json_decref(root);
    ob_strbuf_release(&lines);
}

/* Batches ---------------------------------------------------------------------------------------------------------- */

/* The lines of `text` from the last to the first. */
static void reverse(const ob_strbuf *text, ob_strbuf *out)
{
    size_t end = text->length;
    while (end > 0) {
        size_t begin = end - 1;
        while (begin > 0 && text->data[begin - 1] != '\n')
            begin--;
        ob_strbuf_append(out, text->data + begin, end - begin);
        end = begin;
    }
}

static void check_bits(const char *name, const char *task)
{
    char model[600], job[600];
    ob_strbuf lines = OB_STRBUF_INIT, reversed = OB_STRBUF_INIT;
    json_t *rows, *others;
    snprintf(model, sizeof model, "%s/model", golden_folder(name));
    read_lines(name, &lines);
    reverse(&lines, &reversed);
    snprintf(job, sizeof job, FILES "task: %s\n", "%s", "%s", task);
    test_ok(job_run(job, model, ob_strbuf_text(&lines), &rows, NULL), &job_error);
    snprintf(job, sizeof job, FILES "task: %s\nbatch: {max_tokens: 1, sort_by_length: false}\n", "%s", "%s", task);
    test_ok(job_run(job, model, ob_strbuf_text(&reversed), &others, NULL), &job_error);
    size_t count = json_array_size(rows);
    assert_true(count > 4 && json_array_size(others) == count);
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_array_get(rows, i), *other = json_array_get(others, count - 1 - i);
        assert_int_equal(json_integer_value(json_object_get(row, "row")), i);
        json_object_del(row, "row");
        json_object_del(other, "row");
        assert_true(json_equal(row, other)); /* numbers are written so that they read back as the same float */
    }
    json_decref(rows);
    json_decref(others);
    ob_strbuf_release(&lines);
    ob_strbuf_release(&reversed);
}

static void test_same_bits_whatever_the_batch(void **state)
{
    (void)state;
    check_bits("seqcls3", "text-classification");
    check_bits("mchoice", "multiple-choice");
    check_bits("mlm12", "pseudo-log-likelihood");
}

/* Errors ----------------------------------------------------------------------------------------------------------- */

static void test_row_of_several_sequences_fails_once(void **state)
{
    (void)state;
    char model[600], longest[800];
    snprintf(model, sizeof model, "%s/model", golden_folder("mchoice"));
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ob_strbuf lines = OB_STRBUF_INIT;
    ob_strbuf_puts(&lines, "{\"choices\":[[\"a\",\"b\"],[\"a\",\"c\"]]}\n");
    ob_strbuf_printf(&lines, "{\"id\":9,\"choices\":[[\"a\",\"b\"],[\"a\",\"%s\"],[\"a\",\"%s\"]]}\n", longest,
                     longest);
    ob_strbuf_puts(&lines, "{\"text\":\"a\"}\n{\"choices\":[[\"a\",\"b\"]]}\n");
    static const char job[] = FILES "task: multiple-choice\non_error: skip\ntokenizer: {truncation: error}\n";
    static const char stop[] = FILES "task: multiple-choice\ntokenizer: {truncation: error}\n";
    json_t *rows;
    ob_progress summary;
    ob_status status = job_run(job, model, ob_strbuf_text(&lines), &rows, &summary);
    test_refused(status, OB_ERR_ROWS_FAILED, &job_error, "2 of 4 rows failed");
    assert_int_equal(ob_status_exit_code(status), 4);
    assert_int_equal(json_array_size(rows), 4);
    assert_true(summary.rows == 4 && summary.failed_rows == 2);
    for (size_t i = 0; i < 4; i++)
        assert_true((json_object_get(json_array_get(rows, i), "error") != NULL) == (i == 1 || i == 2));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 1), "id")), 9);
    check_near(number(json_array_get(rows, 3), "score"), 1);
    json_decref(rows);
    test_refused(job_run(stop, model, ob_strbuf_text(&lines), &rows, NULL), OB_ERR_INPUT, &job_error, ":2: row 1: ");
    assert_null(rows);
    ob_strbuf_release(&lines);
}

/* Before any device is looked for: none of this name exists. */
static void test_missing_heads_are_refused_first(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *task, *part;
    } cases[] = {{"mlm12/model", "text-classification", "classifier"},
                 {"mlm12/model", "multiple-choice", "classifier"},
                 {"seqcls3/model", "pseudo-log-likelihood", "lm_head"},
                 {"pooler/model", "forward\nforward: {outputs: [logits]}", "'RobertaModel' has no head"},
                 {"prefixed/model", "forward\nforward: {outputs: [pooler_output]}", "pooler"},
                 {"mlm12/model", "forward\nforward: {outputs: [cross_attentions]}", "add_cross_attention"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char job[600];
        json_t *rows;
        snprintf(job, sizeof job, FILES "device: {name: no such device}\ntask: %s\n", "%s", "%s", cases[i].task);
        ob_status status = job_run(job, golden_folder(cases[i].folder), "{\"text\":\"a\"}\n", &rows, NULL);
        if (ob_status_exit_code(status) != 3 || strstr(job_error.text, cases[i].part) == NULL)
            fail_msg("%s, %s: %s: '%s'", cases[i].folder, cases[i].task, ob_status_name(status), job_error.text);
        assert_null(rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classification_matches_pipeline),
                                       cmocka_unit_test(test_choices_match_reference),
                                       cmocka_unit_test(test_likelihood_matches_reference),
                                       cmocka_unit_test(test_same_bits_whatever_the_batch),
                                       cmocka_unit_test(test_row_of_several_sequences_fails_once),
                                       cmocka_unit_test(test_missing_heads_are_refused_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
