/* Job files: what is read, and for each mistake the place, the key and the rule. */
#include "test_support.h"

#include <oberta/job.h>
#include <time.h>

static ob_error err;

static ob_status parse(const char *text, const char *override, ob_job *job)
{
    ob_error_clear(&err);
    ob_job_default(job);
    return ob_job_parse(text, strlen(text), "j.yaml", "folder/", &override, override != NULL ? 1 : 0, job, &err);
}

static void test_job_reads_every_key(void **state)
{
    (void)state;
    ob_job job;
    test_ok(
        parse("version: 1\nmodel: {path: m, dtype: float32}\ndevice: {platform: pocl, type: cpu, requires: [fp64], "
              "exclude: {name: old}}\ntask: feature-extraction\ninputs:\n  - {path: a.csv, format: tsv, text: t, "
              "text_pair: u, id: k}\n  - path: '-'\noutput: {path: /o.npy, overwrite: true}\n"
              "tokenizer: {max_length: 77, truncation: only_first}\nbatch: {max_tokens: 999, sort_by_length: false}\n"
              "on_error: skip\nfill_mask: {top_k: 3, targets: [a, ' b'], without_mask: error}\n"
              "feature_extraction: {pooling: mean, normalize: true}\nforward: {outputs: [logits]}\n",
              "batch.max_tokens=1000", &job),
        &err);
    assert_string_equal(job.model_path, "folder/m");
    assert_true(job.devices[0].match.types == OB_DEVICE_CPU && job.devices[0].match.requires == OB_CAP_FP64 &&
                job.devices[0].has_exclude && strcmp(job.devices[0].exclude.name, "old") == 0);
    assert_true(job.input_count == 2 && job.inputs[0].format == OB_INPUT_TSV && job.inputs[0].pair_required);
    assert_string_equal(job.inputs[0].path, "folder/a.csv");
    assert_string_equal(job.inputs[1].path, "-");
    assert_string_equal(job.output_path, "/o.npy");
    assert_true(job.output_format == OB_OUTPUT_NPY && job.overwrite && job.max_length == 77 &&
                job.truncation == OB_TRUNCATION_ONLY_FIRST && job.max_tokens == 1000 && !job.sort_by_length &&
                job.skip_errors && job.fill_mask.top_k == 3 && job.fill_mask.target_count == 2 &&
                job.fill_mask.without_mask_error && job.feature_extraction.pooling == OB_POOLING_MEAN &&
                job.feature_extraction.normalize && job.forward.outputs == OB_FORWARD_LOGITS);
    ob_job_release(&job);
}

static void test_one_target_needs_no_list(void **state)
{
    (void)state;
    ob_job job;
    test_ok(parse("inputs: {path: a}\nfill_mask: {targets: ' b'}\n", NULL, &job), &err);
    assert_int_equal(job.fill_mask.target_count, 1);
    assert_string_equal(job.fill_mask.targets[0], " b");
    ob_job_release(&job);
    test_ok(parse("inputs: {path: a}\nfill_mask: {targets: [c, d]}\n", "fill_mask.targets=e", &job), &err);
    assert_int_equal(job.fill_mask.target_count, 1);
    assert_string_equal(job.fill_mask.targets[0], "e");
    ob_job_release(&job);
}

static void test_job_reads_the_keys_of_tasks(void **state)
{
    (void)state;
    ob_job job;
    test_ok(parse("model: {prune_heads: {0: [1], 3: [0, 2], 4: []}}\ntask: forward\n"
                  "inputs: {path: a, tensors: e.safetensors, question: q, context: c, choices: x}\n"
                  "text_classification: {top_k: null, function_to_apply: sigmoid}\n"
                  "token_classification: {aggregation_strategy: average, ignore_labels: [], stride: 8}\n"
                  "question_answering: {top_k: 3, max_seq_len: 100, doc_stride: 9, max_question_len: 20, "
                  "max_answer_len: 5, handle_impossible_answer: true, align_to_words: false}\n"
                  "pseudo_log_likelihood: {token_scores: true}\nfeature_extraction: {pooling: pooler}\n"
                  "forward: {outputs: [hidden_states, cross_attentions, pooler_output]}\n",
                  NULL, &job),
            &err);
    assert_int_equal(job.prune_head_count, 3);
    assert_true(job.prune_heads[0].layer == 0 && job.prune_heads[0].head == 1 && job.prune_heads[2].layer == 3 &&
                job.prune_heads[2].head == 2);
    assert_string_equal(job.inputs[0].tensors_path, "folder/e.safetensors");
    assert_string_equal(job.inputs[0].question_field, "q");
    assert_string_equal(job.inputs[0].context_field, "c");
    assert_string_equal(job.inputs[0].choices_field, "x");
    assert_true(job.text_classification.top_k == 0 && job.text_classification.function_to_apply == OB_SCORE_SIGMOID);
    assert_true(job.token_classification.aggregation_strategy == OB_AGGREGATION_AVERAGE &&
                job.token_classification.ignore_label_count == 0 && job.token_classification.stride == 8);
    assert_true(job.question_answering.top_k == 3 && job.question_answering.max_seq_len == 100 &&
                job.question_answering.doc_stride == 9 && job.question_answering.max_question_len == 20 &&
                job.question_answering.max_answer_len == 5 && job.question_answering.handle_impossible_answer &&
                !job.question_answering.align_to_words && job.pseudo_log_likelihood.token_scores);
    assert_true(job.feature_extraction.pooling_given && job.feature_extraction.pooling == OB_POOLING_POOLER);
    assert_int_equal(job.forward.outputs,
                     OB_FORWARD_HIDDEN_STATES | OB_FORWARD_CROSS_ATTENTIONS | OB_FORWARD_POOLER_OUTPUT);
    ob_job_release(&job);
    test_ok(parse("inputs: {path: a}\ntask: question-answering\n", "model.prune_heads={1: [0]}", &job), &err);
    assert_true(job.inputs[0].form == OB_ROWS_OF_QUESTIONS && job.prune_head_count == 1);
    ob_job_release(&job);
    test_ok(parse("inputs: {path: a}\ntask: multiple-choice\n", NULL, &job), &err);
    assert_true(job.inputs[0].form == OB_ROWS_OF_CHOICES);
    ob_job_release(&job);
}

static void test_template_is_a_job(void **state)
{
    (void)state;
    ob_job job;
    ob_strbuf text = OB_STRBUF_INIT;
    ob_job_write_template(&text, "# no device\n", NULL);
    test_ok(parse(ob_strbuf_text(&text), NULL, &job), &err);
    assert_true(job.fill_mask.top_k == 5 && job.max_tokens == 0 && job.truncation == OB_TRUNCATION_LONGEST_FIRST);
    assert_true(job.text_classification.top_k == 1 && job.question_answering.top_k == 1 &&
                job.question_answering.max_seq_len == 0 && job.question_answering.doc_stride == OB_DOC_STRIDE_AUTO &&
                job.question_answering.max_answer_len == 15 && job.question_answering.align_to_words &&
                job.token_classification.ignore_label_count == 1 && !job.feature_extraction.pooling_given);
    assert_string_equal(job.token_classification.ignore_labels[0], "O");
    ob_job_release(&job);
    ob_strbuf_release(&text);
}

static void test_job_names_every_mistake(void **state)
{
    (void)state;
#define IN "inputs: {path: a}\n"
    static const struct {
        const char *text, *override, *message;
    } cases[] = {
        {"", NULL, "j.yaml: inputs: missing"},
        {"- a\n", NULL, "j.yaml:1:1: a job is a mapping"},
        {"inputs: {path: a", NULL, "j.yaml:"},
        {IN "batch: {max_token: 1}\n", NULL, "j.yaml:2:9: batch.max_token: unknown key; did you mean 'max_tokens'?"},
        {IN "btach: {max_tokens: 1}\n", NULL, "j.yaml:2:1: btach: unknown key; did you mean 'batch'?"},
        {IN "batch: 5\n", NULL, "j.yaml:2:8: batch: a mapping is expected"},
        {IN "batch: {max_tokens: 010}\n", NULL, "010 is not a whole number"},
        {IN "batch: {max_tokens: 1e3}\n", NULL, "1e3 is not a whole number"},
        {IN "batch: {max_tokens: [1]}\n", NULL, "a single value is expected, not a list"},
        {IN "batch: {sort_by_length: no}\n", NULL, "'no' is neither true nor false"},
        {IN "fill_mask: {top_k: -3}\n", NULL,
         "j.yaml:2:20: fill_mask.top_k: -3 is not between 1 and the vocabulary's size"},
        {IN "fill_mask: {top_k: 99999999999999999999999}\n", NULL, "is not between 1"},
        {IN "fill_mask: {targets: []}\n", NULL, "a token, or a list of them, is expected"},
        {IN "fill_mask: {targets: {a: b}}\n", NULL, "a token, or a list of them, is expected"},
        {IN "task: fill_mask\n", NULL, "did you mean 'fill-mask'?"},
        {IN "question_answering: {doc_stride: -1}\n", NULL, "question_answering.doc_stride: -1 is not a whole number"},
        {IN "model: {dtype: int8}\n", NULL, "'int8' is not available in this version"},
        {IN "version: 2\n", NULL, "version: '2' is not a version"},
        {IN "device: [cpu, gpu]\n", NULL, "several devices are not available"},
        {IN "device: {tpye: gpu}\n", NULL, "did you mean 'type'?"},
        {IN "output: {path: x.bin}\n", NULL, "ends in none of"},
        {IN "output: {path: a.jsonl}\n", "inputs={path: folder/a.jsonl}", "is also an input"},
        {IN "forward: {outputs: []}\n", NULL, "a list of outputs is expected"},
        {IN "forward: {outputs: [attention]}\n", NULL, "'attention' is unknown; did you mean 'attentions'?"},
        {"inputs: {format: csv}\n", NULL, "inputs.path: a path is missing"},
        {"inputs: {path: a, formt: csv}\n", NULL, "did you mean 'format'?"},
        {"inputs: []\n", NULL, "inputs: an empty list"},
        {IN IN, NULL, "j.yaml:2:1: inputs: given twice; first in line 1"},
        {"inputs: &x {path: a}\n", NULL, "anchors and aliases are not taken"},
        {"inputs: !!map {path: a}\n", NULL, "tags are not taken"},
        {IN "---\n" IN, NULL, "a second document"},
        {IN "\tbatch: 1\n", NULL, "j.yaml:2:1"},
        {IN, "batch.max_token=3", "--set batch.max_token: unknown key; did you mean 'max_tokens'?"},
        {IN, "batch.max_tokens=many", "--set batch.max_tokens: many is not a whole number"},
        {IN, "nonsense", "not of the form KEY=VALUE"},
        {IN "batch: {max_tokens: 0x10}\n", NULL, "j.yaml:2:21: batch.max_tokens: 0x10 is not a whole number"},
        {IN "batch: {max_tokens: 1_000}\n", NULL, "j.yaml:2:21: batch.max_tokens: 1_000 is not a whole number"},
        {IN "batch: {max_tokens: .inf}\n", NULL, "j.yaml:2:21: batch.max_tokens: .inf is not a whole number"},
        {IN "fill_mask: {top_k: ~}\n", NULL, "j.yaml:2:20: fill_mask.top_k: a number is missing"},
        {IN "output: {overwrite: yes}\n", NULL, "j.yaml:2:21: output.overwrite: 'yes' is neither"},
        {IN "output: {path: ''}\n", NULL, "j.yaml:2:16: output.path: a path is missing"},
        {IN "model: {path: ~}\n", NULL, "j.yaml:2:15: model.path: a path is missing"},
        {IN "tokenizer: {max_length: 2}\n", NULL, "j.yaml:2:25: tokenizer.max_length: 2 is not a whole number between"},
        {IN "tokenizer: {truncation: both}\n", NULL, "j.yaml:2:25: tokenizer.truncation: 'both' is none of"},
        {IN "on_error: skp\n", NULL, "j.yaml:2:11: on_error: 'skp' is unknown; did you mean 'skip'?"},
        {IN "feature_extraction: {pooling: pool}\n", NULL,
         "j.yaml:2:31: feature_extraction.pooling: 'pool' is unknown; did you mean 'pooler'?"},
        {IN "model: {prune_heads: [0]}\n", NULL,
         "j.yaml:2:22: model.prune_heads: a mapping of layers to lists of heads"},
        {IN "model: {prune_heads: {a: [0]}}\n", NULL, "j.yaml:2:23: model.prune_heads: 'a' is no number of a layer"},
        {IN "model: {prune_heads: {1: 0}}\n", NULL, "j.yaml:2:26: model.prune_heads: a list of heads is expected"},
        {IN "model: {prune_heads: {1: [0, -1]}}\n", NULL,
         "j.yaml:2:30: model.prune_heads: '-1' is no number of a head"},
        {IN "text_classification: {top_k: 0}\n", NULL, "text_classification.top_k: 0 is not a whole number between 1"},
        {IN "text_classification: {function_to_apply: softmx}\n", NULL, "did you mean 'softmax'?"},
        {IN "text_clasification: {top_k: 1}\n", NULL, "did you mean 'text_classification'?"},
        {IN "token_classification: {ignore_labels: O}\n", NULL, "a list of labels is expected; [] ignores none"},
        {IN "pseudo_log_likelihood: {token_score: true}\n", NULL, "did you mean 'token_scores'?"},
        {"inputs: {path: a, contxt: c}\n", NULL, "did you mean 'context'?"},
        {"inputs: {path: a, tensors: e}\n", NULL, "inputs.tensors: only the task 'forward' takes encoder states"},
        {"task: forward\ninputs: [{path: a, tensors: e}, {path: b}]\n", NULL, "inputs.tensors: 1 of 2 inputs have it"},
        {IN "task: [forward]\n", NULL, "j.yaml:2:7: task: a single value is expected, not a list"},
        {IN "device: {tpye: gpu}\n", NULL, "j.yaml:2:10: device: "},
        {IN "device: {type: tpu}\n", NULL, "j.yaml:2:16: device: "},
        {IN "device: {exclude: 3}\n", NULL, "j.yaml:2:19: device.exclude: a mapping is expected"},
        {"inputs: {path: ~}\n", NULL, "j.yaml:1:9: inputs.path: a path is missing"},
        {"inputs: [a]\n", NULL, "j.yaml:1:10: inputs: a mapping with a path is expected"},
        {"batch: {max_token: 1}\n", NULL, "\nj.yaml: inputs: missing"},
        {IN "\"a\\0b\": 1\n", NULL, "j.yaml:2:1: a control character in a key"},
        {IN "\"\\e[31m\": 1\n", NULL, "j.yaml:2:1: a control character in a key"},
        {IN "? [a]\n: 1\n", NULL, "j.yaml:2:3: a key is a single word"},
        {"inputs: {path: *x}\n", NULL, "j.yaml:1:16: "},
        {IN, "inputs.pth=b", "--set inputs.pth: unknown key; did you mean 'path'?"},
        {IN, "device.type=tpu", "--set device: "},
        {"inputs: [{path: a}, {path: b}]\n", "inputs.path=c", "--set inputs: there are 2"},
        {IN "on_error: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n", NULL,
         "nested more than 32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ob_job job;
        ob_status status = parse(cases[i].text, cases[i].override, &job);
        if (status == OB_OK || strstr(err.text, cases[i].message) == NULL)
            fail_msg("'%s': '%s', expected '%s'", cases[i].text, err.text, cases[i].message);
        assert_int_equal(ob_status_exit_code(status), 2);
        ob_job_release(&job);
    }
    ob_job job; /* several mistakes of one file come together */
    (void)parse("batch: {max_token: 1}\nfill_mask: {top_k: 0}\ntask: x\n", NULL, &job);
    assert_true(strstr(err.text, ":1:") != NULL && strstr(err.text, ":2:") != NULL && strstr(err.text, ":3:") != NULL);
    ob_job_release(&job);
}

static void test_override_reaches_every_key(void **state)
{
    (void)state;
    ob_job job;
    test_ok(parse("inputs: {path: a, id: key, text_pair: null}\n", "inputs.path=b.csv", &job), &err);
    assert_string_equal(job.inputs[0].path, "b.csv");
    assert_string_equal(job.inputs[0].id_field, "key");
    assert_false(job.inputs[0].pair_required);
    ob_job_release(&job);
    test_ok(parse("", "inputs.path=-", &job), &err);
    assert_true(job.input_count == 1 && strcmp(job.inputs[0].path, "-") == 0);
    ob_job_release(&job);
    test_ok(parse("inputs: {path: a, input_ids: ids}\ndevice: {platform: pocl}\n", "device.type=cpu", &job), &err);
    assert_string_equal(job.inputs[0].ids_field, "ids");
    assert_string_equal(job.devices[0].match.platform, "pocl");
    assert_true(job.devices[0].match.types == OB_DEVICE_CPU);
    ob_job_release(&job);
}

/* A stride of 0 is one, and not what no stride means. */
static void test_lengths_of_question_answering(void **state)
{
    (void)state;
    ob_job job;
    test_ok(parse("inputs: {path: a}\nquestion_answering: {max_question_len: 9}\n", NULL, &job), &err);
    assert_true(job.question_answering.doc_stride == OB_DOC_STRIDE_AUTO && job.question_answering.max_seq_len == 0 &&
                job.question_answering.max_question_len == 9);
    ob_job_release(&job);
    test_ok(parse("inputs: {path: a}\nquestion_answering: {doc_stride: 0, max_seq_len: 99, max_question_len: null}\n",
                  NULL, &job),
            &err);
    assert_true(job.question_answering.doc_stride == 0 && job.question_answering.max_seq_len == 99 &&
                job.question_answering.max_question_len == 0);
    ob_job_release(&job);
    test_ok(
        parse("inputs: {path: a}\nquestion_answering: {doc_stride: 3}\n", "question_answering.doc_stride=auto", &job),
        &err);
    assert_true(job.question_answering.doc_stride == OB_DOC_STRIDE_AUTO);
    ob_job_release(&job);
}

/* Texts that cost a naive reader seconds or gigabytes are refused at once. */
static void test_bombs_are_refused_quickly(void **state)
{
    (void)state;
    const size_t bytes = (size_t)1 << 20;
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    memset(text, '[', bytes + 1);
    ob_job job;
    ob_job_default(&job);
    ob_error_clear(&err);
    clock_t begin = clock();
    test_refused(ob_job_parse(text, bytes, "j.yaml", "", NULL, 0, &job, &err), OB_ERR_CONFIG, &err,
                 "j.yaml:1:34: nested more than 32 deep");
    test_refused(ob_job_parse(text, bytes + 1, "j.yaml", "", NULL, 0, &job, &err), OB_ERR_CONFIG, &err, "at most");
    for (size_t i = 1; i + 2 <= bytes; i += 2)
        memcpy(text + i, "a,", 2);
    test_refused(ob_job_parse(text, bytes, "j.yaml", "", NULL, 0, &job, &err), OB_ERR_CONFIG, &err, "10,000 values");
    assert_true(clock() - begin < 2 * CLOCKS_PER_SEC); /* unbounded libyaml takes minutes; sanitizers take some */
    ob_job_release(&job);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_reads_every_key),        cmocka_unit_test(test_job_reads_the_keys_of_tasks),
        cmocka_unit_test(test_one_target_needs_no_list),   cmocka_unit_test(test_template_is_a_job),
        cmocka_unit_test(test_override_reaches_every_key), cmocka_unit_test(test_bombs_are_refused_quickly),
        cmocka_unit_test(test_job_names_every_mistake),    cmocka_unit_test(test_lengths_of_question_answering)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
