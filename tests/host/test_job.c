/* Job files: what is read, and for each mistake the place, the key and the rule. */
#include "test_support.h"

#include <oberta/job.h>

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

static void test_template_is_a_job(void **state)
{
    (void)state;
    ob_job job;
    ob_strbuf text = OB_STRBUF_INIT;
    ob_job_write_template(&text, "# no device\n", NULL);
    test_ok(parse(ob_strbuf_text(&text), NULL, &job), &err);
    assert_true(job.fill_mask.top_k == 5 && job.max_tokens == 0 && job.truncation == OB_TRUNCATION_LONGEST_FIRST);
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
        {IN "fill_mask: {targets: a}\n", NULL, "a list of tokens is expected"},
        {IN "task: fill_mask\n", NULL, "did you mean 'fill-mask'?"},
        {IN "task: question-answering\n", NULL, "not available in this version"},
        {IN "model: {dtype: int8}\n", NULL, "'int8' is not available in this version"},
        {IN "version: 2\n", NULL, "version: '2' is not a version"},
        {IN "device: [cpu, gpu]\n", NULL, "several devices are not available"},
        {IN "device: {tpye: gpu}\n", NULL, "did you mean 'type'?"},
        {IN "output: {path: x.bin}\n", NULL, "ends in none of"},
        {IN "output: {path: a.jsonl}\n", "inputs={path: folder/a.jsonl}", "is also an input"},
        {IN "forward: {outputs: []}\n", NULL, "a list of outputs is expected"},
        {IN "forward: {outputs: [attentions]}\n", NULL, "'attentions' is not available"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_job_reads_every_key),
                                       cmocka_unit_test(test_template_is_a_job),
                                       cmocka_unit_test(test_job_names_every_mistake)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
