/* Records that a list keeps are whole: nothing in them points to what was added. */
#include "test_support.h"

#include "results.h"

#include <oberta/memory.h>

/* Everything that a record can hold, in memory that the test can overwrite. */
typedef struct source {
    ob_record record;
    ob_prediction predictions[4];
    int32_t token_ids[3];
    const char *tokens[3];
    float token_scores[3];
    ob_label_score labels[2];
    ob_entity entities[2];
    ob_answer answers[2];
    float choices[4];
    ob_named_array arrays[3];
    float numbers[12];
    char strings[32][16];
    size_t used;
} source;

static const char *string(source *s, const char *text)
{
    char *copy = s->strings[s->used++];
    assert_true(s->used <= 32);
    snprintf(copy, sizeof s->strings[0], "%s", text);
    return copy;
}

static void fill_lists(source *s)
{
    for (int i = 0; i < 4; i++) {
        s->predictions[i] = (ob_prediction){0.5f + (float)i, 7 + i, string(s, "tok\0x"), 5, string(s, "seq"), 3};
        memcpy((char *)(uintptr_t)s->predictions[i].token_str, "to\0k", 5); /* a NUL inside is a character */
        s->choices[i] = (float)i;
    }
    for (int i = 0; i < 3; i++) {
        s->token_ids[i] = 100 + i;
        s->token_scores[i] = -1.5f * (float)i;
        s->tokens[i] = string(s, i == 1 ? "" : "token");
    }
    for (int i = 0; i < 2; i++) {
        s->labels[i] = (ob_label_score){string(s, i == 0 ? "GOOD" : "BAD"), 0.25f};
        s->entities[i] = (ob_entity){string(s, "PER"), 0.75f, 3, string(s, "Ada"), 3, 4, 7};
        s->answers[i] = (ob_answer){0.125f, 1, 2, string(s, "an answer"), 9};
    }
    for (int i = 0; i < 12; i++)
        s->numbers[i] = (float)(i * i);
    s->arrays[0] = (ob_named_array){string(s, "hidden"), 3, {2, 3, 2}, s->numbers};
    s->arrays[1] = (ob_named_array){string(s, "nothing"), 2, {0, 5}, s->numbers};
    s->arrays[2] = (ob_named_array){string(s, "one"), 0, {0}, s->numbers + 5};
}

static void fill(source *s)
{
    memset(s, 0, sizeof *s);
    fill_lists(s);
    s->record = (ob_record){.row = 42,
                            .id = string(s, "\"a\""),
                            .input = string(s, "input"),
                            .input_bytes = 5,
                            .kind = OB_RECORD_MASKS,
                            .error_code = string(s, "CODE"),
                            .error_message = string(s, "message"),
                            .mask_count = 2,
                            .top_k = 2,
                            .predictions = s->predictions,
                            .token_count = 3,
                            .token_ids = s->token_ids,
                            .tokens = s->tokens,
                            .text = string(s, "text"),
                            .text_bytes = 4,
                            .input_token_count = 3,
                            .input_tokens = s->tokens,
                            .attentions = &s->arrays[0],
                            .label_count = 2,
                            .labels = s->labels,
                            .entity_count = 2,
                            .entities = s->entities,
                            .grouped = true,
                            .answer_count = 2,
                            .answers = s->answers,
                            .as_list = true,
                            .choice_count = 4,
                            .choice_scores = s->choices,
                            .choice_logits = s->choices,
                            .score = -12.5,
                            .token_scores = s->token_scores,
                            .array_count = 3,
                            .arrays = s->arrays};
}

static void check_lists(const ob_record *r)
{
    for (int i = 0; i < 4; i++) {
        const ob_prediction *p = &r->predictions[i];
        assert_true(p->score == 0.5f + (float)i && p->token == 7 + i);
        assert_memory_equal(p->token_str, "to\0k", p->token_str_bytes);
        assert_string_equal(p->sequence, "seq");
        assert_true(r->choice_scores[i] == (float)i && r->choice_logits[i] == (float)i);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(r->token_ids[i] == 100 + i && r->token_scores[i] == -1.5f * (float)i);
        assert_string_equal(r->tokens[i], i == 1 ? "" : "token");
        assert_string_equal(r->input_tokens[i], r->tokens[i]);
    }
    for (int i = 0; i < 2; i++) {
        assert_string_equal(r->labels[i].label, i == 0 ? "GOOD" : "BAD");
        assert_string_equal(r->entities[i].entity, "PER");
        assert_string_equal(r->entities[i].word, "Ada");
        assert_true(r->entities[i].index == 3 && r->entities[i].start == 4 && r->entities[i].end == 7);
        assert_string_equal(r->answers[i].answer, "an answer");
        assert_true(r->labels[i].score == 0.25f && r->entities[i].score == 0.75f && r->answers[i].score == 0.125f);
    }
    for (int i = 0; i < 12; i++)
        assert_true(r->arrays[0].data[i] == (float)(i * i) && r->attentions->data[i] == (float)(i * i));
    assert_string_equal(r->arrays[0].name, "hidden");
    assert_string_equal(r->arrays[1].name, "nothing");
    assert_true(r->arrays[0].rank == 3 && r->arrays[0].shape[1] == 3 && r->arrays[2].data[0] == 25.0f);
}

static void test_whole_record(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_results *results = ob__results_create();
    source *s = ob_malloc(sizeof *s);
    assert_non_null(results);
    assert_non_null(s);
    for (int round = 0; round < 20; round++) {
        fill(s);
        test_ok(ob__results_add(results, &s->record, &err), &err);
        memset(s, 0xA5, sizeof *s);
    }
    ob_free(s);
    assert_int_equal(ob_results_count(results), 20);
    assert_null(ob_results_get(results, 20));
    for (size_t i = 0; i < 20; i++) {
        const ob_record *r = ob_results_get(results, i);
        check_lists(r);
        assert_true(r->row == 42 && r->kind == OB_RECORD_MASKS && r->grouped && r->as_list && r->score == -12.5);
        assert_string_equal(r->id, "\"a\"");
        assert_string_equal(r->input, "input");
        assert_string_equal(r->error_code, "CODE");
        assert_string_equal(r->error_message, "message");
        assert_string_equal(r->text, "text");
    }
    ob_results_destroy(results);
}

static void test_empty_record(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_results *results = ob__results_create();
    assert_non_null(results);
    const ob_record empty = {.kind = OB_RECORD_ERROR, .id = "", .token_count = 5, .mask_count = 1, .top_k = 3};
    test_ok(ob__results_add(results, &empty, &err), &err);
    const ob_record *r = ob_results_get(results, 0);
    assert_string_equal(r->id, "");
    assert_true(r->input == NULL && r->predictions == NULL && r->tokens == NULL && r->arrays == NULL);
    ob_results_destroy(results);
}

/* Shapes whose product wraps are refused, not half copied. */
static void test_shape_that_wraps(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_results *results = ob__results_create();
    assert_non_null(results);
    const float number = 1;
    const ob_named_array array = {"wraps", 2, {SIZE_MAX / 2, 8}, &number};
    const ob_record record = {.row = 3, .kind = OB_RECORD_ARRAYS, .id = "", .array_count = 1, .arrays = &array};
    test_refused(ob__results_add(results, &record, &err), OB_ERR_OUT_OF_MEMORY, &err, "row 3");
    assert_int_equal(ob_results_count(results), 0);
    ob_results_destroy(results);
    ob_results_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_record),
        cmocka_unit_test(test_empty_record),
        cmocka_unit_test(test_shape_that_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
