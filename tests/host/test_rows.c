/* Readers, the scheduler, and writers that read back. */
#include "test_support.h"

#include "input/reader_internal.h"

#include <oberta/checkpoint.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/schedule.h>
#include <oberta/writer.h>

static ob_error err;
static char folder[] = "/tmp/oberta-test-XXXXXX";

static char *write_file(const char *name, const char *text, size_t bytes)
{
    char *path = ob_path_join(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
    return path;
}

typedef struct expected {
    const char *text, *pair, *id, *defect; /* NULL: none */
} expected;

static void check_rows(const char *name, const char *text, size_t bytes, const expected *rows, size_t count)
{
    char *path = write_file(name, text, bytes), t[] = "text", p[] = "text_pair", id[] = "id";
    const ob_input_spec spec = {.path = path,
                                .format = OB_INPUT_AUTO,
                                .text_field = t,
                                .pair_field = p,
                                .id_field = id,
                                .pair_required = false};
    ob_reader *reader;
    ob_row row;
    bool more = true;
    ob_row_init(&row);
    test_ok(ob_reader_create(&spec, 1, &reader, &err), &err);
    for (size_t i = 0; i <= count; i++) {
        ob_row_clear(&row);
        test_ok(ob_reader_next(reader, &row, &more, &err), &err);
        assert_int_equal(more, i < count);
        if (!more)
            break;
        assert_int_equal(row.number, i);
        if (rows[i].defect != NULL) {
            if (row.defect == OB_OK || strstr(ob_strbuf_text(&row.defect_text), rows[i].defect) == NULL)
                fail_msg("%s: row %zu: '%s', expected '%s'", name, i, ob_strbuf_text(&row.defect_text), rows[i].defect);
            continue;
        }
        if (row.defect != OB_OK)
            fail_msg("%s: row %zu: %s", name, i, ob_strbuf_text(&row.defect_text));
        assert_string_equal(ob_strbuf_text(&row.text), rows[i].text);
        assert_int_equal(row.has_pair, rows[i].pair != NULL);
        if (rows[i].pair != NULL)
            assert_string_equal(ob_strbuf_text(&row.pair), rows[i].pair);
        assert_string_equal(ob_strbuf_text(&row.id), rows[i].id != NULL ? rows[i].id : "");
    }
    ob_row_release(&row);
    ob_reader_destroy(reader);
    unlink(path);
    ob_free(path);
}

#define ROWS(name, text, ...)                                                       \
    do {                                                                            \
        static const expected rows[] = {__VA_ARGS__};                               \
        check_rows(name, text, sizeof(text) - 1, rows, sizeof rows / sizeof *rows); \
    } while (0)

static void test_readers_split_rows(void **state)
{
    (void)state;
    ROWS("a.txt", "\xEF\xBB\xBFone\r\n\ntwo \xE2\x80\xA8 three\nlast", {"one"}, {""}, {"two \xE2\x80\xA8 three"},
         {"last"});
    ROWS("b.txt", "bad \xFF\nok\n", {.defect = "invalid UTF-8 at byte 4"}, {"ok"});
    ROWS("a.jsonl",
         "{\"text\":\"a\",\"id\":7}\n{\"text\":\"b\",\"text_pair\":\"\",\"id\":\"x\"}\n{\"text\":3}\n[1]\n\n{\"txt\":1}"
         "\n"
         "{\"text\":\"z\",\"text\":\"y\"}\n{\"input_ids\":[1,\"x\"]}\n{\"input_ids\":[]}\n{\"text\":\"end\"}",
         {"a", NULL, "7"}, {"b", "", "\"x\""}, {.defect = "text: a string"}, {.defect = "not a JSON object"},
         {.defect = "not JSON"}, {.defect = "text: the field is missing"}, {.defect = "not JSON"},
         {.defect = "input_ids[1]"}, {.defect = "input_ids: a list"}, {"end"});
    ROWS("a.csv", "id,text\r\n1,\"a \"\"b\"\", c\nd\"\r\n2,plain\n3\n4,x,y\n5,\xC3\n", {"a \"b\", c\nd", NULL, "\"1\""},
         {"plain", NULL, "\"2\""}, {.defect = "1 fields, but the header line has 2"}, {.defect = "3 fields"},
         {.defect = "invalid UTF-8"});
    ROWS("a.tsv", "text\ttext_pair\nsay \"hi\"\tb\n", {"say \"hi\"", "b"});
}

/* One line of JSONL, or the defect it must have. */
static void read_line(const ob_input_spec *spec, const char *line, ob_row *row, const char *defect)
{
    ob_row_clear(row);
    test_ok(ob__jsonl_row(spec, line, strlen(line), row, &err), &err);
    const char *text = ob_strbuf_text(&row->defect_text);
    if (defect == NULL ? row->defect != OB_OK : row->defect == OB_OK || strstr(text, defect) == NULL)
        fail_msg("%s: '%s', expected '%s'", line, text, defect != NULL ? defect : "");
}

static void test_rows_of_questions_and_choices(void **state)
{
    (void)state;
    char t[] = "text", p[] = "text_pair", id[] = "id", q[] = "q";
    ob_input_spec spec = {
        .text_field = t, .pair_field = p, .id_field = id, .question_field = q, .form = OB_ROWS_OF_QUESTIONS};
    ob_row row;
    ob_row_init(&row);
    read_line(&spec, "{\"q\":\"who\",\"context\":\"me\",\"text\":7}", &row, NULL);
    assert_string_equal(ob_strbuf_text(&row.text), "who");
    assert_string_equal(ob_strbuf_text(&row.pair), "me");
    assert_true(row.has_pair);
    read_line(&spec, "{\"q\":\"who\"}", &row, "context: the field is missing");
    read_line(&spec, "{\"context\":\"who\"}", &row, "q: the field is missing");

    spec.form = OB_ROWS_OF_CHOICES;
    read_line(&spec, "{\"choices\":[[\"a\",\"b\"],[\"\",\"c\"]],\"text\":\"x\"}", &row, NULL);
    assert_int_equal(row.choice_count, 2);
    assert_string_equal(ob_strbuf_text(&row.choices[1].prompt), "");
    assert_string_equal(ob_strbuf_text(&row.choices[1].text), "c");
    read_line(&spec, "{\"choices\":[]}", &row, "choices: a list of 1 to");
    read_line(&spec, "{\"choices\":[[\"a\",\"b\"],[\"c\"]]}", &row, "choices[1]: a pair of strings");
    read_line(&spec, "{\"choices\":[[\"a\",1]]}", &row, "choices[0]: a pair of strings");
    read_line(&spec, "{\"text\":\"a\"}", &row, "choices: a list of 1 to");
    spec.form = OB_ROWS_OF_TEXTS; /* forward takes both */
    read_line(&spec, "{\"choices\":[[\"a\",\"b\"]]}", &row, NULL);
    assert_int_equal(row.choice_count, 1);
    read_line(&spec, "{\"choices\":[[\"a\",\"b\"]],\"text\":\"x\"}", &row, NULL);
    assert_true(row.choice_count == 0 && strcmp(ob_strbuf_text(&row.text), "x") == 0);
    ob_row_release(&row);
}

static void test_rows_of_head_masks(void **state)
{
    (void)state;
    char t[] = "text", p[] = "text_pair", id[] = "id";
    const ob_input_spec spec = {.text_field = t, .pair_field = p, .id_field = id};
    ob_row row;
    ob_row_init(&row);
    read_line(&spec, "{\"input_ids\":[0,2],\"head_mask\":[[1,0.5,-2],[0,1,1]]}", &row, NULL);
    static const float factors[] = {1, 0.5f, -2, 0, 1, 1};
    assert_true(row.head_mask_layers == 2 && row.head_mask_heads == 3);
    assert_memory_equal(row.head_mask, factors, sizeof factors);
    read_line(&spec, "{\"input_ids\":[0,2],\"head_mask\":[]}", &row, "head_mask: a list of layers");
    read_line(&spec, "{\"input_ids\":[0,2],\"head_mask\":[1]}", &row, "head_mask: a list of layers");
    read_line(&spec, "{\"input_ids\":[0,2],\"head_mask\":[[1,1],[1]]}", &row, "head_mask[1]: a list of 2 numbers");
    read_line(&spec, "{\"input_ids\":[0,2],\"head_mask\":[[1],[\"1\"]]}", &row, "head_mask[1][0]: not a number");
    read_line(&spec, "{\"input_ids\":[0,2],\"head_mask\":[[1],[1e39]]}", &row, "head_mask[1][0]: not a number");
    ob_row_release(&row);
}

static void test_rows_with_null_have_no_value(void **state)
{
    (void)state;
    char t[] = "text", p[] = "text_pair", id[] = "id";
    const ob_input_spec spec = {.text_field = t, .pair_field = p, .id_field = id};
    ob_row row;
    ob_row_init(&row);
    read_line(&spec,
              "{\"input_ids\":[0,2],\"token_type_ids\":null,\"position_ids\":null,\"attention_mask\":null,"
              "\"head_mask\":null}",
              &row, NULL);
    assert_true(row.tokenised && row.token_count == 2);
    assert_null(row.token_type_ids);
    assert_null(row.position_ids);
    assert_null(row.attention_mask);
    assert_null(row.head_mask);
    read_line(&spec, "{\"text\":\"x\",\"text_pair\":null,\"input_ids\":null,\"choices\":null,\"attention_mask\":null}",
              &row, NULL);
    assert_true(!row.tokenised && !row.has_pair && strcmp(ob_strbuf_text(&row.text), "x") == 0);
    read_line(&spec, "{\"text\":\"x\",\"head_mask\":[[0]]}", &row, "head_mask: only a row with input_ids");
    read_line(&spec, "{\"text\":\"x\",\"attention_mask\":[1,1,0]}", &row, "attention_mask: only a row with input_ids");
    ob_row_release(&row);
}

static void test_tables_of_questions(void **state)
{
    (void)state;
    char t[] = "text", p[] = "text_pair", id[] = "id";
    char *path = write_file("q.csv", "context,question\nme,who\n", 24);
    ob_input_spec spec = {.path = path, .text_field = t, .pair_field = p, .id_field = id, .form = OB_ROWS_OF_QUESTIONS};
    ob_reader *reader;
    ob_row row;
    bool more;
    ob_row_init(&row);
    test_ok(ob_reader_create(&spec, 1, &reader, &err), &err);
    test_ok(ob_reader_next(reader, &row, &more, &err), &err);
    assert_true(more && row.has_pair);
    assert_string_equal(ob_strbuf_text(&row.text), "who");
    assert_string_equal(ob_strbuf_text(&row.pair), "me");
    ob_row_release(&row);
    ob_reader_destroy(reader);
    unlink(path);
    ob_free(path);
    spec.path = path = write_file("q.csv", "question\nwho\n", 13);
    test_refused(ob_reader_create(&spec, 1, &reader, &err), OB_ERR_INPUT, &err,
                 "no column 'context' in the header line (inputs.context names it)");
    spec.form = OB_ROWS_OF_CHOICES;
    test_refused(ob_reader_create(&spec, 1, &reader, &err), OB_ERR_CONFIG, &err, "choices come as jsonl alone");
    unlink(path);
    ob_free(path);
    spec.path = path = write_file("q.txt", "who\n", 4);
    spec.form = OB_ROWS_OF_QUESTIONS;
    test_refused(ob_reader_create(&spec, 1, &reader, &err), OB_ERR_CONFIG, &err, "come as jsonl, csv or tsv");
    unlink(path);
    ob_free(path);
}

static void test_reader_refuses_what_has_no_rows(void **state)
{
    (void)state;
    char t[] = "text", p[] = "text_pair", id[] = "id";
    ob_reader *reader;
    ob_row row;
    bool more;
    char *path = write_file("x.csv", "a,b\n1,2\n", 8);
    ob_input_spec spec = {.path = path,
                          .format = OB_INPUT_AUTO,
                          .text_field = t,
                          .pair_field = p,
                          .id_field = id,
                          .pair_required = false};
    test_refused(ob_reader_create(&spec, 1, &reader, &err), OB_ERR_INPUT, &err, "no column 'text'");
    ob_free(path);
    spec.path = path = write_file("x.csv", "text\nok\n\"open\nto the end", 24);
    test_ok(ob_reader_create(&spec, 1, &reader, &err), &err);
    ob_row_init(&row);
    test_ok(ob_reader_next(reader, &row, &more, &err), &err);
    ob_row_clear(&row);
    test_refused(ob_reader_next(reader, &row, &more, &err), OB_ERR_INPUT, &err, "x.csv:3: a quote is opened here");
    ob_row_release(&row);
    ob_reader_destroy(reader);
    unlink(path);
    test_refused(ob_reader_create(&spec, 1, &reader, &err), OB_ERR_IO, &err, "x.csv: cannot open");
    spec.path = folder;
    test_refused(ob_reader_create(&spec, 1, &reader, &err), OB_ERR_IO, &err, "a folder");
    ob_free(path);
}

static void test_scheduler_keeps_its_budget(void **state)
{
    (void)state;
    srand(3);
    for (int round = 0; round < 200; round++) {
        size_t count = (size_t)(rand() % 60), lengths[60], costs[60], seen[60] = {0};
        for (size_t i = 0; i < count; i++) {
            lengths[i] = (size_t)(rand() % 50 + 1);
            costs[i] = (size_t)(rand() % 100);
        }
        ob_schedule_limits limits = {(size_t)(rand() % 200 + 1), (size_t)(rand() % 8 + 1), (size_t)(rand() % 300 + 1),
                                     rand() % 2 == 0};
        ob_schedule s;
        test_ok(ob_schedule_create(lengths, costs, count, &limits, &s, &err), &err);
        for (size_t b = 0; b < s.batch_count; b++) {
            size_t rows = s.begin[b + 1] - s.begin[b], tokens = 0, cost = 0;
            assert_true(rows > 0 && rows <= limits.max_sequences);
            for (size_t i = s.begin[b]; i < s.begin[b + 1]; i++) {
                seen[s.order[i]]++;
                tokens += lengths[s.order[i]];
                cost += costs[s.order[i]];
                assert_true(!limits.sort_by_length || i == 0 || lengths[s.order[i - 1]] >= lengths[s.order[i]]);
            }
            assert_true(rows == 1 || (tokens <= limits.max_tokens && cost <= limits.max_cost));
        }
        for (size_t i = 0; i < count; i++)
            assert_int_equal(seen[i], 1);
        ob_schedule_release(&s);
    }
}

static void write_embeddings(const char *path, ob_output_format format)
{
    static const float values[] = {1.5f, -0.1f, 3e-30f, 1.0f / 3};
    ob_writer *writer;
    test_ok(ob_writer_create(path, format, false, &writer, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        ob_named_array array = {"embedding", 1, {2}, values + 2 * i};
        ob_record record = {.row = i, .id = "", .kind = OB_RECORD_EMBEDDING, .array_count = 1, .arrays = &array};
        test_ok(ob_writer_write(writer, &record, &err), &err);
    }
    assert_false(ob_file_exists(path)); /* only when it is complete */
    test_ok(ob_writer_commit(writer, &err), &err);
    ob_writer_destroy(writer);
}

static void test_writers_read_back(void **state)
{
    (void)state;
    char *path = ob_path_join(folder, "model.safetensors");
    ob_strbuf text = OB_STRBUF_INIT;
    ob_checkpoint *checkpoint;
    write_embeddings(path, OB_OUTPUT_SAFETENSORS);
    test_ok(ob_checkpoint_open(folder, &checkpoint, &err), &err);
    const ob_tensor *tensor = ob_checkpoint_find(checkpoint, "embedding.1");
    float third;
    memcpy(&third, (const char *)tensor->data + 4, 4);
    assert_true(tensor->rank == 1 && tensor->shape[0] == 2 && third == 1.0f / 3);
    ob_checkpoint_close(checkpoint);
    ob_writer *writer;
    test_refused(ob_writer_create(path, OB_OUTPUT_SAFETENSORS, false, &writer, &err), OB_ERR_IO, &err,
                 "exists already");
    unlink(path);
    write_embeddings(path, OB_OUTPUT_JSONL);
    test_ok(ob_file_read(path, 4096, &text, &err), &err);
    assert_string_equal(ob_strbuf_text(&text), "{\"row\":0,\"embedding\":[1.5,-0.1]}\n"
                                               "{\"row\":1,\"embedding\":[3e-30,0.33333334]}\n");
    unlink(path);
    ob_strbuf_clear(&text);
    write_embeddings(path, OB_OUTPUT_NPY);
    test_ok(ob_file_read(path, 4096, &text, &err), &err);
    assert_true(text.length == 128 + 16 && memcmp(text.data, "\x93NUMPY\x01\x00\x76\x00", 10) == 0 &&
                strstr(text.data + 10, "'shape': (2, 2)") != NULL);
    unlink(path);
    ob_strbuf_clear(&text);
    write_embeddings(path, OB_OUTPUT_CSV);
    test_ok(ob_file_read(path, 4096, &text, &err), &err);
    assert_string_equal(ob_strbuf_text(&text), "row,id,e0,e1,error\r\n0,,1.5,-0.1,\r\n1,,3e-30,0.33333334,\r\n");
    unlink(path);
    ob_strbuf_release(&text);
    ob_free(path);
}

static void test_json_text_is_escaped_and_exact(void **state)
{
    (void)state;
    ob_strbuf out = OB_STRBUF_INIT;
    ob_json_append_string(&out, "a\"\\\n\x01\xE2\x80\xA8\xC3\xA9", 10);
    assert_string_equal(ob_strbuf_text(&out), "\"a\\\"\\\\\\n\\u0001\\u2028\xC3\xA9\"");
    uint32_t bits = 12345;
    for (int i = 0; i < 20000; i++) {
        float value;
        bits = bits * 1664525u + 1013904223u;
        memcpy(&value, &bits, 4);
        if (value != value || value - value != 0)
            continue;
        ob_strbuf_clear(&out);
        ob_json_append_float(&out, value);
        assert_true(strtof(ob_strbuf_text(&out), NULL) == value);
    }
    ob_strbuf_release(&out);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_split_rows),
        cmocka_unit_test(test_rows_of_questions_and_choices),
        cmocka_unit_test(test_rows_of_head_masks),
        cmocka_unit_test(test_rows_with_null_have_no_value),
        cmocka_unit_test(test_tables_of_questions),
        cmocka_unit_test(test_reader_refuses_what_has_no_rows),
        cmocka_unit_test(test_scheduler_keeps_its_budget),
        cmocka_unit_test(test_writers_read_back),
        cmocka_unit_test(test_json_text_is_escaped_and_exact),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) != 0 || failed;
}
