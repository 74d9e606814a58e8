/* Batches of a caller's own through model.h, on liboberta.so: what they may leave out, and all that is refused. */
#include "open_model.h"

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
    test_refused(ob_model_forward(model, &b, &result, &err), OB_ERR_INPUT, &err, "the model has no cross-attention");
    ob_error_clear(&err);
    test_ok(ob_model_forward(model, &good, &result, &err), &err); /* none of them left a trace */
    ob_result_release(&result);
    ob_model_close(model);
}

/* Encoder states through the door: they change what comes out, and are counted. */
static void test_cross_attention(void **state)
{
    (void)state;
    ob_error err;
    ob_error_clear(&err);
    ob_model *model = open_golden("cross", "forward");
    const ob_roberta_config *config = ob_model_get_info(model)->config;
    size_t width = config->hidden_size;
    float states[8 * 512];
    int32_t ids[] = {0, 9, 11, 2}, encoder_cu[] = {0, 8};
    assert_true(config->add_cross_attention && width <= 512);
    for (size_t i = 0; i < 8 * width; i++)
        states[i] = (float)(i % 7) - 3.0f;
    ob_batch batch = {.want = OB_WANT_HIDDEN, .sequence_count = 1, .token_count = 4, .input_ids = ids};
    ob_result without = {0}, with = {0};
    test_ok(ob_model_forward(model, &batch, &without, &err), &err);
    batch.encoder_cu_seqlens = encoder_cu;
    batch.encoder_hidden_states = states;
    test_ok(ob_model_forward(model, &batch, &with, &err), &err);
    assert_memory_not_equal(without.hidden, with.hidden, 4 * width * sizeof(float));
    encoder_cu[1] = 9;
    test_refused(ob_model_forward(model, &batch, &with, &err), OB_ERR_INPUT, &err, "a sequence of 9 states, but 8");
    encoder_cu[1] = 1 << 30;
    test_refused(ob_model_forward(model, &batch, &with, &err), OB_ERR_INPUT, &err, "1073741824 states, but");
    encoder_cu[1] = 0;
    test_refused(ob_model_forward(model, &batch, &with, &err), OB_ERR_INPUT, &err, "encoder_cu_seqlens[1]: 0 after 0");
    ob_result_release(&without);
    ob_result_release(&with);
    ob_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_fills_in),
        cmocka_unit_test(test_maps_and_poolings),
        cmocka_unit_test(test_batches_that_are_refused),
        cmocka_unit_test(test_cross_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
