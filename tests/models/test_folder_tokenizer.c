/* What a folder's tokenizer says for itself, in whole jobs: the side that is cut, special tokens as plain text, spaces
 * that decoding cleans up, and roles without a token. */
#include "job_runner.h"
#include "model_files.h"

#define FILES "inputs: {path: '%s'}\noutput: {path: '%s'}\n"

static const char *const model_files[] = {"config.json", "model.safetensors", "vocab.json", "merges.txt"};

/* The golden mlm12 with a tokenizer_config.json of its own; no tokenizer.json. */
static char *make_model(const char *config)
{
    char *folder = make_folder(), source[600];
    for (size_t i = 0; i < sizeof model_files / sizeof *model_files; i++) {
        snprintf(source, sizeof source, "%s/%s", golden_folder("mlm12/model"), model_files[i]);
        assert_int_equal(symlink(source, path_in(folder, model_files[i])), 0);
    }
    write_text(folder, "tokenizer_config.json", config);
    return folder;
}

/* The one row that a text of one line gives. */
static json_t *run_text(const char *config, const char *job, const char *line)
{
    char *folder = make_model(config);
    json_t *rows;
    test_ok(job_run(job, folder, line, &rows, NULL), &job_error);
    assert_int_equal(json_array_size(rows), 1);
    json_t *row = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    remove_folder(folder);
    return row;
}

static const char *first_prediction(const json_t *row, const char *field)
{
    const json_t *masks = json_object_get(row, "masks");
    const char *text = json_string_value(json_object_get(json_array_get(json_array_get(masks, 0), 0), field));
    if (text == NULL)
        fail_msg("no prediction with a %s: %s", field, json_dumps(row, JSON_COMPACT));
    return text;
}

#define SHORT FILES "tokenizer: {max_length: 8}\n"

static void test_the_folder_says_which_side_is_cut(void **state)
{
    (void)state;
    static const char line[] = "{\"text\":\"one two three four five six seven eight nine <mask>\"}\n";
    json_t *row = run_text("{\"truncation_side\":\"left\"}", SHORT, line);
    assert_null(strstr(first_prediction(row, "sequence"), "one"));
    json_decref(row);
    char *folder = make_model("{}");
    test_refused(job_run(SHORT, folder, line, &row, NULL), OB_ERR_INPUT, &job_error,
                 "its mask lies beyond the 8 tokens");
    remove_folder(folder);
}

/* Of a target that is no token one is left, on the side that is not cut. */
static void test_the_folder_says_which_token_a_target_is(void **state)
{
    (void)state;
    static const char job[] = FILES "fill_mask: {targets: [zq]}\n", line[] = "{\"text\":\"a <mask>\"}\n";
    json_t *row = run_text("{}", job, line);
    assert_string_equal(first_prediction(row, "token_str"), "z");
    json_decref(row);
    row = run_text("{\"truncation_side\":\"left\"}", job, line);
    assert_string_equal(first_prediction(row, "token_str"), "q");
    json_decref(row);
}

static void test_special_tokens_may_be_plain_text(void **state)
{
    (void)state;
    static const char line[] = "{\"text\":\"a <mask>\"}\n";
    json_t *row = run_text("{\"split_special_tokens\":true}", FILES, line);
    assert_null(json_object_get(row, "masks"));
    const json_t *ids = json_object_get(json_object_get(row, "prediction"), "input_ids");
    assert_true(json_array_size(ids) > 4); /* <s>, a, several for the six characters, </s> */
    json_decref(row);
}

static void test_the_folder_says_whether_spaces_are_cleaned_up(void **state)
{
    (void)state;
    static const char job[] = FILES "fill_mask: {targets: [x]}\n";
    static const char line[] = "{\"text\":\"I do n't know , <mask> .\"}\n";
    json_t *row = run_text("{\"clean_up_tokenization_spaces\":true}", job, line);
    assert_string_equal(first_prediction(row, "sequence"), "I don't know,x.");
    json_decref(row);
    row = run_text("{\"clean_up_tokenization_spaces\":false}", job, line);
    assert_string_equal(first_prediction(row, "sequence"), "I do n't know ,x .");
    json_decref(row);
}

/* The pipeline drops a prediction that is padding from the sequence, as it does padding in the text. */
static void test_padding_is_no_part_of_a_sequence(void **state)
{
    (void)state;
    static const char job[] = FILES "fill_mask: {targets: [<pad>]}\n";
    json_t *row = run_text("{}", job, "{\"text\":\"a<pad> <mask>b<mask>\"}\n");
    assert_string_equal(first_prediction(row, "token_str"), "<pad>");
    assert_string_equal(first_prediction(row, "sequence"), "<s>ab<mask></s>");
    json_decref(row);
}

/* A tokenizer of another class whose vocabulary calls no token <mask>. */
static char *make_model_without_mask(void)
{
    char *folder = make_model("{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}");
    size_t bytes;
    char *text = (char *)read_golden("mlm12/model/tokenizer.json", &bytes);
    for (char *at; (at = strstr(text, "<mask>")) != NULL;)
        memcpy(at, "<hole>", 6);
    write_text(folder, "tokenizer.json", text);
    free(text);
    return folder;
}

static void test_masks_need_a_token(void **state)
{
    (void)state;
    char *folder = make_model_without_mask();
    json_t *rows;
    test_refused(job_run(FILES, folder, "{\"text\":\"a\"}\n", &rows, NULL), OB_ERR_MODEL, &job_error,
                 "the tokenizer has no mask token");
    assert_null(rows);
    test_refused(job_run(FILES "task: pseudo-log-likelihood\n", folder, "{\"text\":\"a\"}\n", &rows, NULL),
                 OB_ERR_MODEL, &job_error, "the tokenizer has no mask token");
    assert_null(rows);
    test_ok(job_run(FILES "task: feature-extraction\nfeature_extraction: {pooling: mean}\n", folder,
                    "{\"text\":\"a <hole>\"}\n", &rows, NULL),
            &job_error);
    json_decref(rows);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_folder_says_which_side_is_cut),
        cmocka_unit_test(test_the_folder_says_which_token_a_target_is),
        cmocka_unit_test(test_special_tokens_may_be_plain_text),
        cmocka_unit_test(test_the_folder_says_whether_spaces_are_cleaned_up),
        cmocka_unit_test(test_padding_is_no_part_of_a_sequence),
        cmocka_unit_test(test_masks_need_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
