/* Folders of sentence-transformers: the embedding that modules.json describes, what a job may change of it, and what is
 * refused. The reference is the formula, on the hidden states that transformers gives. */
#include "job_runner.h"
#include "model_files.h"
#include "tasks/strip.h"

#include <math.h>
#include <oberta/batch.h>
#include <oberta/checkpoint.h>
#include <oberta/memory.h>
#include <sys/stat.h>

#define FILES "inputs: {path: '%s'}\noutput: {path: '%s'}\ntask: feature-extraction\n"

#define MODULE(index, path, type)                                                                                     \
    "{\"idx\":" #index ",\"name\":\"" #index "\",\"path\":\"" path "\",\"type\":\"sentence_transformers.models." type \
    "\"}"
#define TRANSFORMER MODULE(0, "", "Transformer")
#define POOLING     MODULE(1, "1_Pooling", "Pooling")
#define NORMALIZE   MODULE(2, "2_Normalize", "Normalize")

static const char *const model_files[] = {"config.json", "model.safetensors", "vocab.json", "merges.txt"};

static void make_subfolder(const char *folder, const char *name)
{
    assert_int_equal(mkdir(path_in(folder, name), 0700), 0);
}

/* The golden `pooler` as a sentence model; its encoder in `inside`. */
static char *make_sentence_folder(const char *modules, const char *pooling, const char *inside)
{
    char source[600], target[100];
    char *folder = make_folder();
    if (inside[0] != '\0')
        make_subfolder(folder, inside);
    for (size_t i = 0; i < sizeof model_files / sizeof *model_files; i++) {
        snprintf(source, sizeof source, "%s/%s", golden_folder("pooler/model"), model_files[i]);
        snprintf(target, sizeof target, "%s%s%s", inside, inside[0] != '\0' ? "/" : "", model_files[i]);
        assert_int_equal(symlink(source, path_in(folder, target)), 0);
    }
    make_subfolder(folder, "1_Pooling");
    write_text(folder, "modules.json", modules);
    write_text(folder, "1_Pooling/config.json", pooling);
    return folder;
}

static void remove_sentence_folder(char *folder, const char *inside)
{
    static const char *const inner[] = {"1_Pooling/config.json", "sentence_bert_config.json"};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        unlink(path_in(folder, inner[i]));
    for (size_t i = 0; inside[0] != '\0' && i < sizeof model_files / sizeof *model_files; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s/%s", inside, model_files[i]);
        unlink(path_in(folder, name));
    }
    remove_folder(folder);
}

/* Element `column` of the embedding of hidden states (tokens, hidden), before it is normalised. */
static double pool(unsigned want, const ob_tensor *hidden, size_t column)
{
    size_t tokens = hidden->shape[0], width = hidden->shape[1];
    double sum = 0, maximum = -INFINITY, first = 0, weighted = 0, weights = 0, last = 0;
    for (size_t t = 0; t < tokens; t++) {
        float x;
        ob_convert_to_f32(&x, (const char *)hidden->data + (t * width + column) * sizeof x, hidden->dtype, 1);
        last = (double)x;
        first = t == 0 ? last : first;
        sum += last;
        maximum = fmax(maximum, last);
        weighted += (double)(t + 1) * last;
        weights += (double)(t + 1);
    }
    return want == OB_WANT_CLS             ? first
           : want == OB_WANT_MAX           ? maximum
           : want == OB_WANT_MEAN          ? sum / (double)tokens
           : want == OB_WANT_MEAN_SQRT_LEN ? sum / sqrt((double)tokens)
           : want == OB_WANT_WEIGHTED_MEAN ? weighted / weights
                                           : last;
}

/* The rows of `pooler` against `wants`, one after the other in each embedding. */
static void check_embeddings(const json_t *rows, const unsigned *wants, size_t want_count, bool normalized)
{
    char path[600], name[64];
    ob_checkpoint *expected;
    snprintf(path, sizeof path, "%s/expected.safetensors", golden_folder("pooler"));
    test_ok(ob_checkpoint_open_file(path, &expected, &job_error), &job_error);
    assert_true(json_array_size(rows) == 5);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        snprintf(name, sizeof name, "last_hidden_state.%zu", r);
        const ob_tensor *hidden = ob_checkpoint_find(expected, name);
        size_t width = hidden->shape[1];
        const json_t *got = json_object_get(json_array_get(rows, r), "embedding");
        assert_int_equal(json_array_size(got), want_count * width);
        double square = 0;
        for (size_t i = 0; i < want_count * width; i++)
            square += pow(pool(wants[i / width], hidden, i % width), 2);
        for (size_t i = 0; i < want_count * width; i++) {
            double want = pool(wants[i / width], hidden, i % width) / (normalized ? sqrt(square) : 1);
            assert_true(fabs(json_number_value(json_array_get(got, i)) - want) <= 2e-5 * fmax(1, fabs(want)));
        }
    }
    ob_checkpoint_close(expected);
}

static void check_folder(const char *modules, const char *pooling, const char *inside, const char *keys,
                         const unsigned *wants, size_t want_count, bool normalized)
{
    char job[600];
    json_t *rows;
    char *folder = make_sentence_folder(modules, pooling, inside);
    snprintf(job, sizeof job, FILES "%s", "%s", "%s", keys);
    size_t bytes;
    char *lines = (char *)read_golden("pooler/inputs.jsonl", &bytes);
    test_ok(job_run(job, folder, lines, &rows, NULL), &job_error);
    free(lines);
    check_embeddings(rows, wants, want_count, normalized);
    json_decref(rows);
    remove_sentence_folder(folder, inside);
}

static void test_folder_gives_its_embedding(void **state)
{
    (void)state;
    static const unsigned mean[] = {OB_WANT_MEAN}, cls[] = {OB_WANT_CLS};
    static const unsigned all[] = {OB_WANT_CLS,           OB_WANT_MAX,           OB_WANT_MEAN,
                                   OB_WANT_MEAN_SQRT_LEN, OB_WANT_WEIGHTED_MEAN, OB_WANT_LAST_TOKEN};
    static const char mean_config[] =
        "{\"word_embedding_dimension\":32,\"pooling_mode_cls_token\":false,\"pooling_mode_mean_tokens\":true,"
        "\"include_prompt\":true}";
    check_folder("[" TRANSFORMER "," POOLING "," NORMALIZE "]", mean_config, "", "", mean, 1, true);
    check_folder("[" TRANSFORMER "," POOLING "]", mean_config, "", "", mean, 1, false);
    check_folder("[" TRANSFORMER "," POOLING "]", mean_config, "", "feature_extraction: {normalize: true}\n", mean, 1,
                 true);
    check_folder("[" TRANSFORMER "," POOLING "," NORMALIZE "]", mean_config, "", "feature_extraction: {pooling: cls}\n",
                 cls, 1, false); /* the job wins */
    check_folder("[" MODULE(0, "0_Transformer", "Transformer") "," POOLING "]", "{\"pooling_mode\":\"cls\"}",
                 "0_Transformer", "", cls, 1, false);
    check_folder("[" TRANSFORMER "," POOLING "]",
                 "{\"pooling_mode_lasttoken\":true,\"pooling_mode_cls_token\":true,\"pooling_mode_max_tokens\":true,"
                 "\"pooling_mode_mean_tokens\":true,\"pooling_mode_mean_sqrt_len_tokens\":true,"
                 "\"pooling_mode_weightedmean_tokens\":true}",
                 "", "", all, 6, false);
}

/* White space around a text does not matter, and max_seq_length cuts. */
static void test_texts_are_stripped_and_cut(void **state)
{
    (void)state;
    json_t *rows;
    char *folder = make_sentence_folder("[" TRANSFORMER "," POOLING "]", "{\"pooling_mode\":[\"mean\"]}", "");
    write_text(folder, "sentence_bert_config.json", "{\"max_seq_length\":4,\"do_lower_case\":false}");
    test_ok(job_run(FILES, folder,
                    "{\"text\":\"zy\"}\n{\"text\":\" \\t\\u00a0\\u3000zy\\u001f\\n\"}\n{\"text\":\"abcdefghi\"}\n"
                    "{\"text\":\"abcdefghij\"}\n",
                    &rows, NULL),
            &job_error);
    const json_t *embeddings[4];
    for (size_t i = 0; i < 4; i++)
        embeddings[i] = json_object_get(json_array_get(rows, i), "embedding");
    assert_true(json_equal(embeddings[0], embeddings[1]));
    assert_true(json_equal(embeddings[2], embeddings[3])); /* the same two tokens are left of both */
    assert_false(json_equal(embeddings[0], embeddings[2]));
    json_decref(rows);
    remove_sentence_folder(folder, "");
}

static void test_strip_is_pythons(void **state)
{
    (void)state;
    static const struct {
        const char *text, *stripped;
    } cases[] = {{"", ""},
                 {"  \t\r\n", ""},
                 {"a", "a"},
                 {" a b ", "a b"},
                 {"\xE2\x80\xA8\xC2\x85x\xE1\x9A\x80", "x"},
                 {"\xE2\x80\x8Bx\xEF\xBB\xBF", "\xE2\x80\x8Bx\xEF\xBB\xBF"}, /* zero width is no space */
                 {"\x1C\x1Fx\x1B", "x\x1B"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ob_strbuf text = OB_STRBUF_INIT;
        ob_strbuf_puts(&text, cases[i].text);
        ob_strbuf view = ob__strip(&text);
        assert_int_equal(view.length, strlen(cases[i].stripped));
        assert_memory_equal(ob_strbuf_text(&view), cases[i].stripped, view.length);
        ob_strbuf_release(&text);
    }
}

static void test_other_folders_are_refused(void **state)
{
    (void)state;
    static const char mean[] = "{\"pooling_mode_mean_tokens\":true}";
    static const struct {
        const char *modules, *pooling, *bert, *part;
    } cases[] = {
        {"[" TRANSFORMER "," POOLING "," MODULE(2, "2_Dense", "Dense") "]", mean, NULL, "modules.json[2]: 'Dense'"},
        {"[" TRANSFORMER "]", mean, NULL, "1 modules, where Transformer and Pooling are needed"},
        {"[" POOLING "," TRANSFORMER "]", mean, NULL, "modules.json[0]: 'Pooling'"},
        {"[" TRANSFORMER "," MODULE(1, "../1_Pooling", "Pooling") "]", mean, NULL, "modules.json[1]: type and path"},
        {"[" TRANSFORMER "," MODULE(1, "..", "Pooling") "]", mean, NULL, "modules.json[1]: type and path"},
        {"[" TRANSFORMER "," MODULE(1, "/tmp", "Pooling") "]", mean, NULL, "modules.json[1]: type and path"},
        {"[" TRANSFORMER ",7]", mean, NULL, "modules.json[1]: type and path"},
        {"{}", mean, NULL, "modules.json: a list is expected"},
        {"[" TRANSFORMER "," POOLING, mean, NULL, "modules.json: "},
        {"[" TRANSFORMER "," POOLING "]", "{}", NULL, "1_Pooling/config.json: no pooling_mode is true"},
        {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode_mean_tokens\":1}", NULL, "true or false is expected"},
        {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode_new\":true}", NULL, "pooling_mode_new: a pooling that"},
        {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode\":\"new\"}", NULL, "pooling_mode: none of cls"},
        {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode\":\"cls\",\"word_embedding_dimension\":31}", NULL,
         "word_embedding_dimension: 31, but hidden_size is 32"},
        {"[" TRANSFORMER "," POOLING "]", mean, "{\"do_lower_case\":true}", "do_lower_case: true"},
        {"[" TRANSFORMER "," POOLING "]", mean, "{\"max_seq_length\":\"x\"}", "max_seq_length: not a number"},
        {"[" TRANSFORMER "," POOLING "]", mean, "[]", "sentence_bert_config.json: an object is expected"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *rows;
        char *folder = make_sentence_folder(cases[i].modules, cases[i].pooling, "");
        if (cases[i].bert != NULL)
            write_text(folder, "sentence_bert_config.json", cases[i].bert);
        ob_status status = job_run(FILES "device: {name: no such device}\n", folder, "{\"text\":\"a\"}\n", &rows, NULL);
        if (ob_status_exit_code(status) != 3 || strstr(job_error.text, cases[i].part) == NULL)
            fail_msg("%s: %s: '%s', expected '%s'", cases[i].modules, ob_status_name(status), job_error.text,
                     cases[i].part);
        assert_null(rows);
        remove_sentence_folder(folder, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strip_is_pythons), cmocka_unit_test(test_folder_gives_its_embedding),
        cmocka_unit_test(test_texts_are_stripped_and_cut), cmocka_unit_test(test_other_folders_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
