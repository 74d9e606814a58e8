/* What goldens do not say: heads pruned on request, maps of pruned heads, a decoder without encoder states, and batches
 * that are refused. */
#include "golden_case.h"
#include "test_device.h"

#include <math.h>

static ob_context *ctx;

typedef struct subject {
    golden_case g;
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_roberta *model;
    ob_batch batch; /* all rows */
} subject;

/* The config of a folder; pruned_heads are left out where `unpruned`. */
static void read_config(const char *folder, bool unpruned, ob_roberta_config *out)
{
    char path[1400];
    ob_error err;
    ob_error_clear(&err);
    snprintf(path, sizeof path, "%s/config.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    if (unpruned)
        assert_int_equal(json_object_del(root, "pruned_heads"), 0);
    char *text = json_dumps(root, 0);
    test_ok(ob_roberta_config_parse(text, strlen(text), "config.json", out, &err), &err);
    free(text);
    json_decref(root);
}

static void open_subject(subject *s, const char *name, const char *model, bool unpruned)
{
    char folder[1300];
    ob_error err;
    ob_error_clear(&err);
    *s = (subject){.model = NULL};
    golden_open(name, &s->g);
    snprintf(folder, sizeof folder, "%s/%s", s->g.folder, model);
    read_config(folder, unpruned, &s->config);
    test_ok(ob_checkpoint_open(folder, &s->checkpoint, &err), &err);
    golden_read_rows(&s->g, folder, &s->config);
}

static void build(subject *s, ob_head head, unsigned want)
{
    ob_error err;
    ob_error_clear(&err);
    ob_roberta_options options;
    ob_roberta_options_default(&options);
    options.head = head;
    options.want = want;
    options.max_tokens = 512;
    options.max_sequences = 16;
    options.max_encoder_tokens = 128;
    options.max_encoder_length = 50;
    options.top_k = head == OB_HEAD_LM ? 5 : 0;
    test_ok(ob_roberta_create(ctx, &s->config, s->checkpoint, &options, &s->model, &err), &err);
    golden_make_batch(&s->g, 0, s->g.row_count, &s->config, want, &s->batch);
}

static void close_subject(subject *s)
{
    golden_release_batch(&s->batch);
    ob_roberta_destroy(s->model);
    ob_checkpoint_close(s->checkpoint);
    ob_roberta_config_release(&s->config);
    golden_release_rows(&s->g);
    golden_close(&s->g);
}

/* Full weights and a config without pruned_heads, all heads of `pruned` taken out by request. */
static void test_heads_are_pruned_on_request(void **state)
{
    (void)state;
    subject s;
    ob_result result = {0};
    ob_error err;
    ob_error_clear(&err);
    open_subject(&s, "pruned", "model_unpruned_weights", true);
    test_ok(ob_roberta_config_prune(&s.config, 0, 1, &err), &err);
    test_ok(ob_roberta_config_prune(&s.config, 1, 2, &err), &err);
    test_ok(ob_roberta_config_prune(&s.config, 1, 0, &err), &err);
    build(&s, OB_HEAD_SEQUENCE_CLASSIFICATION, OB_WANT_HIDDEN | OB_WANT_LOGITS);
    ob_roberta_config_release(&s.config); /* the model keeps nothing of it */
    s.config.label_count = 2;
    test_ok(ob_roberta_run(s.model, &s.batch, &result, &err), &err);
    for (size_t i = 0; i < s.g.row_count; i++) {
        size_t at = (size_t)s.batch.cu_seqlens[i], end = (size_t)s.batch.cu_seqlens[i + 1], h = s.config.hidden_size;
        golden_compare(&s.g, "last_hidden_state", i, result.hidden + at * h, (end - at) * h);
        golden_compare(&s.g, "logits", i, result.logits + i * 2, 2);
    }
    ob_result_release(&result);
    close_subject(&s);
}

/* A head more than the config prunes: from the pruned file and from the full one, the same bits; fewer parameters. */
static void test_pruning_goes_on_from_either_file(void **state)
{
    (void)state;
    static const char *const folders[] = {"model", "model_unpruned_weights"};
    ob_result results[2] = {{0}, {0}};
    uint64_t parameters[2];
    size_t bytes = 0;
    ob_error err;
    ob_error_clear(&err);
    for (size_t f = 0; f < 2; f++) {
        subject s;
        open_subject(&s, "pruned", folders[f], false);
        test_ok(ob_roberta_config_prune(&s.config, 1, 3, &err), &err);
        build(&s, OB_HEAD_NONE, OB_WANT_HIDDEN);
        test_ok(ob_roberta_run(s.model, &s.batch, &results[f], &err), &err);
        parameters[f] = ob_roberta_parameter_count(s.model);
        bytes = s.batch.token_count * s.config.hidden_size * sizeof(float);
        close_subject(&s);
    }
    assert_memory_equal(results[0].hidden, results[1].hidden, bytes);
    assert_int_equal(parameters[0], parameters[1]);
    for (size_t f = 0; f < 2; f++)
        ob_result_release(&results[f]);
}

/* Rows of kept heads add up to one, those of pruned heads are zeros; hidden_states end in last_hidden_state. */
static void test_maps_of_pruned_heads_are_zeros(void **state)
{
    (void)state;
    subject s;
    ob_result result = {0};
    ob_error err;
    ob_error_clear(&err);
    open_subject(&s, "pruned", "model", false);
    build(&s, OB_HEAD_NONE, OB_WANT_HIDDEN | OB_WANT_ATTENTIONS | OB_WANT_HIDDEN_STATES);
    size_t heads = s.config.num_attention_heads, layers = s.config.num_hidden_layers, h = s.config.hidden_size;
    test_ok(ob_roberta_run(s.model, &s.batch, &result, &err), &err);
    const float *map = result.attentions;
    for (size_t i = 0; i < s.batch.sequence_count; i++) {
        size_t begin = (size_t)s.batch.cu_seqlens[i], length = (size_t)s.batch.cu_seqlens[i + 1] - begin;
        for (size_t row = 0; row < layers * heads * length; row++, map += length) {
            double sum = 0;
            for (size_t j = 0; j < length; j++)
                sum += (double)map[j];
            assert_true(fabs(sum - (s.config.pruned_heads[row / length] != 0 ? 0 : 1)) < 1e-5);
        }
        const float *last = result.hidden_states + (begin * (layers + 1) + layers * length) * h;
        assert_memory_equal(last, result.hidden + begin * h, length * h * sizeof *last);
    }
    ob_result_release(&result);
    close_subject(&s);
}

/* Without encoder states a decoder passes its cross-attention by, as the reference does. */
static void test_decoder_runs_without_encoder_states(void **state)
{
    (void)state;
    subject s;
    ob_result with = {0}, without = {0}, again = {0};
    ob_error err;
    ob_error_clear(&err);
    open_subject(&s, "cross", "model", false);
    build(&s, OB_HEAD_NONE, OB_WANT_HIDDEN);
    size_t bytes = s.batch.token_count * s.config.hidden_size * sizeof(float);
    ob_batch plain = s.batch;
    plain.encoder_cu_seqlens = plain.encoder_attention_mask = NULL;
    plain.encoder_hidden_states = NULL;
    test_ok(ob_roberta_run(s.model, &s.batch, &with, &err), &err);
    test_ok(ob_roberta_run(s.model, &plain, &without, &err), &err);
    test_ok(ob_roberta_run(s.model, &s.batch, &again, &err), &err);
    assert_memory_equal(with.hidden, again.hidden, bytes);
    assert_memory_not_equal(with.hidden, without.hidden, bytes);
    ob_result_release(&with);
    ob_result_release(&without);
    ob_result_release(&again);
    close_subject(&s);
}

static void refuse(subject *s, const ob_batch *batch, ob_status status, const char *reason)
{
    ob_result result = {0};
    ob_error err;
    ob_error_clear(&err);
    test_refused(ob_roberta_run(s->model, batch, &result, &err), status, &err, reason);
    assert_null(result.hidden);
    ob_result_release(&result);
}

/* Puts `value` at `array`[1] of the batch, expects a refusal, and puts back what was there. */
#define REFUSE_VALUE(array, value, status, reason) \
    do {                                           \
        __typeof__(*(array)) kept = (array)[1];    \
        (array)[1] = (value);                      \
        refuse(&s, &s.batch, status, reason);      \
        (array)[1] = kept;                         \
    } while (0)

static void test_wrong_batches_are_refused(void **state)
{
    (void)state;
    subject s;
    open_subject(&s, "cross", "model", false);
    build(&s, OB_HEAD_LM, OB_WANT_HIDDEN | OB_WANT_LOGITS | OB_WANT_CROSS_ATTENTIONS | OB_WANT_TARGET_SCORES);
    size_t factors = s.batch.sequence_count * s.config.num_hidden_layers * s.config.num_attention_heads;
    s.batch.head_mask = calloc(factors, sizeof(float));
    REFUSE_VALUE(s.batch.head_mask, NAN, OB_ERR_INPUT, "head_mask: layer 0, head 1: nan is no finite number");
    REFUSE_VALUE(s.batch.head_mask, -INFINITY, OB_ERR_INPUT, "no finite number");
    REFUSE_VALUE(s.batch.input_ids, 300, OB_ERR_INPUT, "input_ids: 300 is not between 0 and");
    REFUSE_VALUE(s.batch.target_ids, -1, OB_ERR_INPUT, "target_ids: -1 is not between 0 and");
    REFUSE_VALUE(s.batch.positions, (int32_t)s.batch.token_count, OB_ERR_INTERNAL, "is wanted of");
    REFUSE_VALUE(s.batch.encoder_attention_mask, 2, OB_ERR_INPUT, "encoder_attention_mask: 2 is neither 0 nor 1");
    REFUSE_VALUE(s.batch.encoder_hidden_states, NAN, OB_ERR_INPUT,
                 "encoder_hidden_states: element 1: nan is no finite");
    REFUSE_VALUE(s.batch.encoder_cu_seqlens, 0, OB_ERR_INPUT, "encoder_hidden_states: a sequence of 0 states");
    size_t last = s.batch.sequence_count;
    int32_t count = s.batch.encoder_cu_seqlens[last];
    s.batch.encoder_cu_seqlens[last] = 129;
    refuse(&s, &s.batch, OB_ERR_INTERNAL, "129 encoder states, planned were 128");
    s.batch.encoder_cu_seqlens[last] = s.batch.encoder_cu_seqlens[last - 1] + 51;
    refuse(&s, &s.batch, OB_ERR_INTERNAL, "an encoder sequence of 51 states, planned were 50");
    s.batch.encoder_cu_seqlens[last] = count;

    ob_batch wrong = s.batch;
    wrong.want = OB_WANT_ATTENTIONS;
    refuse(&s, &wrong, OB_ERR_INTERNAL, "no memory was planned for");
    wrong.want = OB_WANT_MEAN | OB_WANT_MAX;
    refuse(&s, &wrong, OB_ERR_INTERNAL, "no memory was planned for");
    wrong.want = OB_WANT_POOLER;
    refuse(&s, &wrong, OB_ERR_INTERNAL, "the pooler was not loaded");
    wrong.want = OB_WANT_CROSS_ATTENTIONS;
    wrong.encoder_cu_seqlens = NULL;
    refuse(&s, &wrong, OB_ERR_INPUT, "there are no encoder_hidden_states");
    wrong.want = OB_WANT_TARGET_SCORES;
    wrong.target_ids = NULL;
    refuse(&s, &wrong, OB_ERR_INTERNAL, "without target_ids");
    close_subject(&s);
}

static void test_encoder_takes_no_encoder_states(void **state)
{
    (void)state;
    subject s;
    open_subject(&s, "pruned", "model", false);
    build(&s, OB_HEAD_NONE, OB_WANT_HIDDEN);
    float states[32] = {0};
    int32_t cu_seqlens[17] = {0};
    for (size_t i = 0; i <= s.batch.sequence_count; i++)
        cu_seqlens[i] = (int32_t)i;
    ob_batch wrong = s.batch;
    wrong.encoder_cu_seqlens = cu_seqlens;
    wrong.encoder_hidden_states = states;
    refuse(&s, &wrong, OB_ERR_INPUT, "the model has no cross-attention");
    wrong = s.batch;
    wrong.want = OB_WANT_LOGITS;
    refuse(&s, &wrong, OB_ERR_INTERNAL, "no head was loaded");
    wrong.want = OB_WANT_TOP_K;
    refuse(&s, &wrong, OB_ERR_INTERNAL, "the masked-LM head was not loaded");
    close_subject(&s);
}

int main(void)
{
    ctx = test_context_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_are_pruned_on_request),
        cmocka_unit_test(test_pruning_goes_on_from_either_file),
        cmocka_unit_test(test_maps_of_pruned_heads_are_zeros),
        cmocka_unit_test(test_decoder_runs_without_encoder_states),
        cmocka_unit_test(test_wrong_batches_are_refused),
        cmocka_unit_test(test_encoder_takes_no_encoder_states),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_context_close(ctx);
    return failed;
}
