/* Entities and answers from logits, against the transformers pipelines (tests/data/pipelines): the rules alone, with
 * pseudo-random logits in the model's place. */
#include "test_support.h"

#include "tasks/answers.h"
#include "tasks/entities.h"
#include "tasks/lower_case.h"

#include <jansson.h>
#include <math.h>
#include <oberta/memory.h>

static ob_error err;

static size_t size_of(const json_t *object, const char *key, size_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL ? (size_t)json_integer_value(value) : otherwise;
}

static json_t *load_cases(const char *name, json_t **root)
{
    char path[600];
    json_error_t error;
    snprintf(path, sizeof path, "%s/pipelines/%s", test_data(), name);
    *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(*root);
    json_t *cases = json_object_get(*root, "cases");
    assert_true(json_array_size(cases) > 0);
    return cases;
}

static ob_tokenizer *open_tokenizer(const json_t *test)
{
    char path[600];
    ob_tokenizer *tokenizer;
    snprintf(path, sizeof path, "%s/%s", test_data(), json_string_value(json_object_get(test, "folder")));
    test_ok(ob_tokenizer_open(path, &tokenizer, &err), &err);
    return tokenizer;
}

/* The generator of tools/pipeline_cases.py. */
static float *draw_logits(uint32_t *state, size_t count, double scale)
{
    float *out = ob_realloc_array(NULL, count, sizeof *out);
    for (size_t i = 0; i < count; i++) {
        *state = *state * 1664525u + 1013904223u;
        out[i] = (float)(((double)(*state >> 8) / 16777216.0 - 0.5) * scale);
    }
    return out;
}

static void check_text(const json_t *expected, const char *text, size_t bytes)
{
    if (json_string_length(expected) != bytes || memcmp(json_string_value(expected), text, bytes) != 0)
        fail_msg("'%.*s', expected '%s'", (int)bytes, text, json_string_value(expected));
}

static void check_answers(const json_t *expected, const ob_answer *answers, size_t count)
{
    assert_true(json_array_size(expected) <= count);
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *want = json_array_get(expected, i);
        check_text(json_object_get(want, "answer"), answers[i].answer, answers[i].answer_bytes);
        assert_int_equal(answers[i].start, json_integer_value(json_object_get(want, "start")));
        assert_int_equal(answers[i].end, json_integer_value(json_object_get(want, "end")));
        assert_true(fabs((double)answers[i].score - json_number_value(json_object_get(want, "score"))) < 1e-5);
    }
}

static ob__answer_options answer_options(const json_t *options, const ob_tokenizer *tokenizer)
{
    const json_t *align = json_object_get(options, "align_to_words");
    return (ob__answer_options){.top_k = size_of(options, "top_k", 1),
                                .max_answer_len = size_of(options, "max_answer_len", 15),
                                .handle_impossible_answer =
                                    json_is_true(json_object_get(options, "handle_impossible_answer")),
                                .align_to_words = align == NULL || json_is_true(align),
                                .cls_id = ob_tokenizer_special_id(tokenizer, OB_TOKEN_BOS)};
}

static void run_answer_case(const json_t *test)
{
    const json_t *options = json_object_get(test, "options"), *lengths = json_object_get(test, "lengths");
    const json_t *question = json_object_get(test, "question"), *context = json_object_get(test, "context");
    ob_tokenizer *tokenizer = open_tokenizer(test);
    ob_encode_options encode;
    ob_encode_options_default(&encode);
    encode.details = true;
    encode.truncation = OB_TRUNCATION_ONLY_SECOND;
    encode.max_length = size_of(options, "max_seq_len", 384);
    encode.stride = size_of(options, "doc_stride", encode.max_length / 2 < 128 ? encode.max_length / 2 : 128);
    ob_encoding_list windows = {0};
    test_ok(ob_tokenizer_encode_windows(tokenizer, NULL, json_string_value(question), json_string_length(question),
                                        json_string_value(context), json_string_length(context), &encode, &windows,
                                        &err),
            &err);
    assert_int_equal(windows.count, json_array_size(lengths));
    ob__answers answers;
    const ob__answer_options answer = answer_options(options, tokenizer);
    test_ok(ob__answers_init(&answers, &answer, json_string_value(context), json_string_length(context), &err), &err);
    uint32_t state = (uint32_t)size_of(test, "seed", 0);
    for (size_t i = 0; i < windows.count; i++) {
        size_t count = windows.windows[i].count;
        assert_int_equal(count, json_integer_value(json_array_get(lengths, i)));
        float *logits = draw_logits(&state, 2 * count, json_number_value(json_object_get(test, "scale")));
        test_ok(ob__answers_add_window(&answers, &windows.windows[i], logits, &err), &err);
        ob_free(logits);
    }
    const ob_answer *found;
    size_t count;
    test_ok(ob__answers_finish(&answers, &found, &count, &err), &err);
    check_answers(json_object_get(test, "result"), found, count);
    assert_true(count <= answer.top_k);
    ob__answers_release(&answers);
    ob_encoding_list_release(&windows);
    ob_tokenizer_close(tokenizer);
}

static void show(const json_t *test)
{
    char *text = json_dumps(test, JSON_COMPACT);
    print_message("%.100s\n", text);
    free(text);
}

static void test_answers_match_pipeline(void **state)
{
    (void)state;
    json_t *root, *cases = load_cases("answers.json", &root);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        show(json_array_get(cases, i));
        run_answer_case(json_array_get(cases, i));
    }
    json_decref(root);
}

/* [index,] label, score, word, start, end */
static void check_entity(const json_t *want, const ob_entity *got)
{
    size_t at = json_array_size(want) - 5;
    if (at > 0)
        assert_int_equal(got->index, json_integer_value(json_array_get(want, 0)));
    assert_string_equal(got->entity, json_string_value(json_array_get(want, at)));
    assert_true(fabs((double)got->score - json_number_value(json_array_get(want, at + 1))) < 1e-5);
    check_text(json_array_get(want, at + 2), got->word, got->word_bytes);
    assert_int_equal(got->start, json_integer_value(json_array_get(want, at + 3)));
    assert_int_equal(got->end, json_integer_value(json_array_get(want, at + 4)));
}

static ob__entity_options entity_options(const json_t *test, const ob_tokenizer *tokenizer, const char **ignored)
{
    static const char *const labels[] = {"O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC", "B-A-B", "A-B"};
    static const char *const strategies[] = {"none", "simple", "first", "average", "max"};
    static const char *const only_o[] = {"O"};
    const json_t *options = json_object_get(test, "options"), *ignore = json_object_get(options, "ignore_labels");
    ob__entity_options out = {.tokenizer = tokenizer, .labels = labels, .label_count = size_of(test, "labels", 0)};
    const char *strategy = json_string_value(json_object_get(options, "aggregation_strategy"));
    for (int i = 0; i < 5; i++)
        if (strcmp(strategies[i], strategy) == 0)
            out.aggregation = (ob_aggregation)i;
    out.ignore_labels = ignore != NULL ? ignored : only_o;
    out.ignore_label_count = ignore != NULL ? json_array_size(ignore) : 1;
    for (size_t i = 0; i < json_array_size(ignore); i++)
        ignored[i] = json_string_value(json_array_get(ignore, i));
    return out;
}

static void run_entity_case(const json_t *test)
{
    const json_t *text = json_object_get(test, "text"), *lengths = json_object_get(test, "lengths");
    ob_tokenizer *tokenizer = open_tokenizer(test);
    const char *ignored[2];
    const ob__entity_options options = entity_options(test, tokenizer, ignored);
    ob_encode_options encode;
    ob_encode_options_default(&encode);
    encode.details = true;
    encode.max_length = size_of(test, "max_length", 0);
    encode.truncation = encode.max_length > 0 ? OB_TRUNCATION_LONGEST_FIRST : OB_TRUNCATION_NONE;
    encode.stride = size_of(json_object_get(test, "options"), "stride", 0);
    ob_encoding_list windows = {0};
    const char *bytes = json_string_value(text);
    test_ok(
        ob_tokenizer_encode_windows(tokenizer, NULL, bytes, json_string_length(text), NULL, 0, &encode, &windows, &err),
        &err);
    assert_int_equal(windows.count, json_array_size(lengths));
    ob__entities entities;
    test_ok(ob__entities_init(&entities, &options, bytes, json_string_length(text), &err), &err);
    uint32_t state = (uint32_t)size_of(test, "seed", 0);
    for (size_t i = 0; i < windows.count; i++) {
        size_t count = windows.windows[i].count;
        assert_int_equal(count, json_integer_value(json_array_get(lengths, i)));
        float *logits =
            draw_logits(&state, options.label_count * count, json_number_value(json_object_get(test, "scale")));
        test_ok(ob__entities_add_window(&entities, &windows.windows[i], logits, &err), &err);
        ob_free(logits);
    }
    const ob_entity *found;
    size_t count;
    test_ok(ob__entities_finish(&entities, &found, &count, &err), &err);
    const json_t *result = json_object_get(test, "result");
    assert_int_equal(count, json_array_size(result));
    for (size_t i = 0; i < count; i++)
        check_entity(json_array_get(result, i), &found[i]);
    ob__entities_release(&entities);
    ob_encoding_list_release(&windows);
    ob_tokenizer_close(tokenizer);
}

static void test_entities_match_pipeline(void **state)
{
    (void)state;
    json_t *root, *cases = load_cases("entities.json", &root);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        show(json_array_get(cases, i));
        run_entity_case(json_array_get(cases, i));
    }
    json_decref(root);
}

static void test_lower_case(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"aZ09[`", "az09[`"},
                                           {"\xC3\x89\xC3\x97\xC4\x80\xC4\x81", "\xC3\xA9\xC3\x97\xC4\x81\xC4\x81"},
                                           {"\xC4\xB0I", "i\xCC\x87i"},
                                           {"\xE1\xBA\x9E\xF0\x9E\xA4\x80", "\xC3\x9F\xF0\x9E\xA4\xA2"},
                                           {"\xCE\xA3\xCF\x82", "\xCF\x83\xCF\x83"}};
    ob_strbuf out = OB_STRBUF_INIT;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ob_strbuf_clear(&out);
        ob__append_lower(&out, texts[i][0], strlen(texts[i][0]));
        assert_string_equal(ob_strbuf_text(&out), texts[i][1]);
    }
    ob_strbuf_release(&out);
}

static void test_char_index_finds_bytes(void **state)
{
    (void)state;
    char text[1000];
    size_t starts[1000], count = 0, bytes = 0;
    static const char *const pieces[] = {"a", "\xC3\xA9", "\xE6\x88\x91", "\xF0\x9F\x98\x80"};
    for (uint32_t i = 7; bytes < 900; i = i * 1664525u + 1013904223u) {
        const char *piece = pieces[i >> 30];
        starts[count++] = bytes;
        memcpy(text + bytes, piece, strlen(piece));
        bytes += strlen(piece);
    }
    ob__char_index index;
    assert_true(ob__char_index_init(&index, text, bytes));
    assert_int_equal(index.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ob__char_index_byte(&index, i), starts[i]);
    assert_int_equal(ob__char_index_byte(&index, count), bytes);
    assert_int_equal(ob__char_index_byte(&index, SIZE_MAX), bytes);
    ob__char_index_release(&index);
}

/* No number may disturb what takes it: not-a-number and infinite logits end in answers without them. */
static void test_strange_logits_give_no_answer(void **state)
{
    (void)state;
    int32_t ids[] = {0, 9, 2, 2, 9, 9, 2}, words[] = {-1, 0, -1, -1, 0, 1, -1};
    int8_t sequences[] = {-1, 0, -1, -1, 1, 1, -1};
    size_t offsets[][2] = {{0, 0}, {0, 1}, {0, 0}, {0, 0}, {0, 1}, {1, 2}, {0, 0}};
    const ob_encoding encoding = {
        .count = 7, .ids = ids, .offsets = offsets, .word_ids = words, .sequence_ids = sequences};
    const ob__answer_options options = {SIZE_MAX, SIZE_MAX, false, true, 0};
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float logits[14];
        for (size_t j = 0; j < 14; j++)
            logits[j] = values[i];
        ob__answers answers;
        const ob_answer *found;
        size_t count;
        test_ok(ob__answers_init(&answers, &options, "ab", 2, &err), &err);
        test_ok(ob__answers_add_window(&answers, &encoding, logits, &err), &err);
        test_ok(ob__answers_finish(&answers, &found, &count, &err), &err);
        assert_int_equal(count, 1);
        assert_true(found[0].score == 0.0f && found[0].start == 0 && found[0].end == 0 && found[0].answer_bytes == 0);
        ob__answers_release(&answers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_match_pipeline),
        cmocka_unit_test(test_entities_match_pipeline),
        cmocka_unit_test(test_lower_case),
        cmocka_unit_test(test_char_index_finds_bytes),
        cmocka_unit_test(test_strange_logits_give_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
