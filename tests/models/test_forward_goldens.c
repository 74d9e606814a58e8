/* `forward` from a job file to a safetensors file, against every output of transformers; heads pruned by the job; and
 * what is refused of files with encoder states. */
#include "job_runner.h"
#include "model_files.h"

#include <math.h>
#include <oberta/checkpoint.h>
#include <oberta/file.h>
#include <oberta/memory.h>

/* The absolute and relative tolerance of an output. */
typedef struct tolerance {
    double absolute, relative;
} tolerance;

static tolerance find_tolerance(const json_t *info, const char *name)
{
    char output[64];
    snprintf(output, sizeof output, "%.*s", (int)strcspn(name, "."), name);
    const json_t *entry = json_object_get(json_object_get(info, "tolerance"), output);
    assert_non_null(entry);
    return (tolerance){json_number_value(json_object_get(entry, "atol")),
                       json_number_value(json_object_get(entry, "rtol"))};
}

static void check_tensor(const char *where, const ob_tensor *got, const ob_tensor *want, tolerance t)
{
    if (got == NULL)
        fail_msg("%s: %s is missing", where, want->name);
    assert_int_equal(got->rank, want->rank);
    for (size_t i = 0; i < want->rank; i++)
        assert_int_equal(got->shape[i], want->shape[i]);
    for (size_t i = 0; i < want->count; i++) {
        float x, y;
        ob_convert_to_f32(&x, (const char *)got->data + i * sizeof x, got->dtype, 1);
        ob_convert_to_f32(&y, (const char *)want->data + i * sizeof y, want->dtype, 1);
        double allowed = t.absolute + t.relative * fabs((double)y);
        if (!(fabs((double)x - (double)y) <= allowed))
            fail_msg("%s: %s[%zu]: %.9g, expected %.9g", where, want->name, i, (double)x, (double)y);
    }
}

static void check_file(const char *where, const char *path, const char *expected_path, const json_t *info)
{
    ob_checkpoint *got, *want;
    test_ok(ob_checkpoint_open_file(path, &got, &job_error), &job_error);
    test_ok(ob_checkpoint_open_file(expected_path, &want, &job_error), &job_error);
    assert_int_equal(ob_checkpoint_count(got), ob_checkpoint_count(want));
    for (size_t i = 0; i < ob_checkpoint_count(want); i++) {
        const ob_tensor *t = ob_checkpoint_get(want, i);
        check_tensor(where, ob_checkpoint_find(got, t->name), t, find_tolerance(info, t->name));
    }
    printf("%s: %zu tensors\n", where, ob_checkpoint_count(want));
    ob_checkpoint_close(got);
    ob_checkpoint_close(want);
}

/* The outputs of case.json as a list of YAML; start and end logits are the two parts of logits. */
static void list_outputs(const json_t *info, ob_strbuf *out)
{
    const json_t *outputs = json_object_get(info, "outputs");
    bool logits = false;
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const char *name = json_string_value(json_array_get(outputs, i));
        bool is_logits = strstr(name, "logits") != NULL;
        if (!is_logits || !logits)
            ob_strbuf_printf(out, "%s%s", i > 0 ? ", " : "", is_logits ? "logits" : name);
        logits |= is_logits;
    }
    ob_strbuf_putc(out, ']');
}

/* Runs a case's rows through `model`, with `keys` more in the job, and compares the file. */
static void check_case(const char *name, const char *model, const char *keys)
{
    char input[600], expected[600], info_path[600], tensors[600], job[2000];
    json_error_t error;
    char *folder = make_folder(), *output = ob_path_join(folder, "out.safetensors");
    ob_strbuf outputs = OB_STRBUF_INIT;
    snprintf(input, sizeof input, "%s/inputs.jsonl", golden_folder(name));
    snprintf(expected, sizeof expected, "%s/expected.safetensors", golden_folder(name));
    snprintf(info_path, sizeof info_path, "%s/case.json", golden_folder(name));
    snprintf(tensors, sizeof tensors, "%s/encoder.safetensors", golden_folder(name));
    json_t *info = json_load_file(info_path, 0, &error);
    assert_non_null(info);
    list_outputs(info, &outputs);
    bool cross = ob_file_exists(tensors);
    snprintf(job, sizeof job,
             "inputs: {path: '%s'%s%s}\noutput: {path: '%s'}\ntask: forward\nforward: {outputs: %s}\n"
             "tokenizer: {truncation: error}\n%s",
             "%s", cross ? ", tensors: " : "", cross ? tensors : "", "%s", ob_strbuf_text(&outputs), keys);
    test_ok(job_run_to(job, model, input, output), &job_error);
    check_file(name, output, expected, info);
    json_decref(info);
    ob_strbuf_release(&outputs);
    ob_free(output);
    remove_folder(folder);
}

static void test_forward_matches_reference(void **state)
{
    (void)state;
    static const char *const cases[] = {"causal", "cross", "headmask", "masks", "mchoice", "outliers",
                                        "pruned", "qa",    "tokcls",   "type2", "odd",     "seqcls_multilabel"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char model[600];
        snprintf(model, sizeof model, "%s/model", golden_folder(cases[i]));
        check_case(cases[i], model, "");
        if (i < 3) /* and row by row */
            check_case(cases[i], model, "batch: {max_tokens: 1}\n");
    }
}

static void link_file(const char *from, const char *folder, const char *name)
{
    char source[600];
    snprintf(source, sizeof source, "%s/%s", from, name);
    assert_int_equal(symlink(source, path_in(folder, name)), 0);
}

/* The full weights, and a config that says nothing of pruning: the job says it all. */
static void test_job_prunes_heads(void **state)
{
    (void)state;
    char from[600], config_path[700];
    json_error_t error;
    char *folder = make_folder();
    snprintf(from, sizeof from, "%s", golden_folder("pruned/model_unpruned_weights"));
    snprintf(config_path, sizeof config_path, "%s/config.json", from);
    link_file(from, folder, "model.safetensors");
    link_file(from, folder, "vocab.json");
    link_file(from, folder, "merges.txt");
    json_t *config = json_load_file(config_path, 0, &error);
    assert_non_null(config);
    assert_int_equal(json_object_del(config, "pruned_heads"), 0);
    char *text = json_dumps(config, 0);
    write_text(folder, "config.json", text);
    free(text);
    json_decref(config);
    check_case("pruned", folder, "model: {prune_heads: {0: [1], 1: [0, 2]}}\n");

    json_t *rows;
    static const char job[] = "inputs: {path: '%s'}\noutput: {path: '%s'}\ntask: forward\n"
                              "device: {name: no such device}\nmodel: {prune_heads: {0: [4]}}\n";
    ob_status status = job_run(job, folder, "{\"text\":\"a\"}\n", &rows, NULL);
    test_refused(status, OB_ERR_CONFIG, &job_error, "model.prune_heads");
    assert_null(rows);
    remove_folder(folder);
}

/* Encoder states --------------------------------------------------------------------------------------------------- */

/* A job on `cross` with a file of `header` and `data_bytes` bytes. The status; the message is in job_error. */
static ob_status run_with_tensors(const char *header, size_t data_bytes, const char *keys, json_t **rows)
{
    char job[1500];
    char *folder = make_folder();
    write_container(folder, "e.safetensors", header, data_bytes);
    snprintf(job, sizeof job,
             "inputs: {path: '%s', tensors: '%s'}\noutput: {path: '%s'}\ntask: forward\nforward: {outputs: "
             "[cross_attentions]}\n%s",
             "%s", path_in(folder, "e.safetensors"), "%s", keys);
    ob_status status = job_run(job, golden_folder("cross/model"), "{\"text\":\"a\"}\n{\"text\":\"b\"}\n", rows, NULL);
    remove_folder(folder);
    return status;
}

static void test_encoder_files_are_checked(void **state)
{
    (void)state;
#define STATES(row, shape, end) \
    "\"encoder_hidden_states." row "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[0," end "]}"
    static const struct {
        const char *header;
        size_t bytes;
        const char *part;
    } cases[] = {
        {"{" STATES("0", "[1,31]", "124") "}", 124, "encoder_hidden_states.0: not of shape (1 to 1048576, 32)"},
        {"{" STATES("0", "[32]", "128") "}", 128, "encoder_hidden_states.0: not of shape"},
        {"{" STATES("00", "[1,32]", "128") "}", 128, "encoder_hidden_states.00: neither"},
        {"{\"encoder_hidden_state.0\":{\"dtype\":\"F32\",\"shape\":[1,32],\"data_offsets\":[0,128]}}", 128,
         "encoder_hidden_state.0: neither"},
        {"{\"encoder_hidden_states.0\":{\"dtype\":\"I32\",\"shape\":[1,32],\"data_offsets\":[0,128]}}", 128,
         "encoder_hidden_states.0: I32, but floats are expected"},
        {"{" STATES("0", "[1,32]", "128") ",\"encoder_attention_mask.0\":{\"dtype\":\"U8\",\"shape\":[2],"
                                          "\"data_offsets\":[128,130]}}",
         130, "encoder_attention_mask.0: not as long as encoder_hidden_states.0"},
        {"{" STATES("0", "[3,32]", "384") ",\"encoder_attention_mask.0\":{\"dtype\":\"U8\",\"shape\":[3],"
                                          "\"data_offsets\":[384,387]}}",
         387, "encoder_attention_mask.0[0]: neither 0 nor 1"},
        {"{" STATES("0", "[1,32]", "999") "}", 128, "inputs.tensors: "}};
    json_t *rows;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ob_status status = run_with_tensors(cases[i].header, cases[i].bytes, "device: {name: no such device}\n", &rows);
        test_refused(status, OB_ERR_INPUT, &job_error, cases[i].part);
        assert_null(rows);
    }
    ob_status status = run_with_tensors("{" STATES("1", "[1,32]", "128") "}", 128, "on_error: skip\n", &rows);
    test_refused(status, OB_ERR_ROWS_FAILED, &job_error, "1 of 2 rows failed");
    assert_int_equal(json_array_size(rows), 2);
    assert_non_null(json_object_get(json_array_get(rows, 0), "error"));
    assert_non_null(json_object_get(json_array_get(rows, 1), "cross_attentions"));
    json_decref(rows);
}

/* Bytes that count up are the half-precision number 7D7C, a NaN, at element 62; a row of such states fails alone. */
static void test_encoder_states_that_are_not_finite(void **state)
{
    (void)state;
    static const char header[] =
        "{\"encoder_hidden_states.0\":{\"dtype\":\"F16\",\"shape\":[2,32],\"data_offsets\":[0,128]},"
        "\"encoder_hidden_states.1\":{\"dtype\":\"F16\",\"shape\":[1,32],\"data_offsets\":[128,192]}}";
    json_t *rows;
    test_refused(run_with_tensors(header, 192, "", &rows), OB_ERR_INPUT, &job_error,
                 "row 0: inputs.tensors: encoder_hidden_states.0: element 62 of row-major order is no finite number");
    assert_null(rows);
    test_refused(run_with_tensors(header, 192, "on_error: skip\n", &rows), OB_ERR_ROWS_FAILED, &job_error,
                 "1 of 2 rows failed");
    assert_non_null(json_object_get(json_array_get(rows, 0), "error"));
    assert_non_null(json_object_get(json_array_get(rows, 1), "cross_attentions"));
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_matches_reference), cmocka_unit_test(test_job_prunes_heads),
        cmocka_unit_test(test_encoder_files_are_checked), cmocka_unit_test(test_encoder_states_that_are_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
