/* What writers make of each record: the text of JSONL and CSV, the bytes of npy and safetensors, also where rows failed
 * or none came. */
#include "test_support.h"

#include <math.h>
#include <oberta/checkpoint.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/writer.h>

static ob_error err;
static char folder[] = "/tmp/oberta-test-XXXXXX";

/* What a writer makes of the records. `name` without a folder; the file is removed. */
static void write_records(const char *name, ob_output_format format, const ob_record *records, size_t count,
                          ob_strbuf *out)
{
    char *path = ob_path_join(folder, name);
    ob_writer *writer;
    ob_error_clear(&err);
    ob_strbuf_clear(out);
    test_ok(ob_writer_create(path, format, false, &writer, &err), &err);
    for (size_t i = 0; i < count; i++)
        test_ok(ob_writer_write(writer, &records[i], &err), &err);
    assert_false(ob_file_exists(path)); /* only when it is complete */
    test_ok(ob_writer_commit(writer, &err), &err);
    ob_writer_destroy(writer);
    test_ok(ob_file_read(path, 1 << 24, out, &err), &err);
    unlink(path);
    ob_free(path);
}

static void check_texts(const ob_record *records, size_t count, const char *jsonl, const char *csv)
{
    ob_strbuf text = OB_STRBUF_INIT;
    write_records("o.jsonl", OB_OUTPUT_JSONL, records, count, &text);
    assert_string_equal(ob_strbuf_text(&text), jsonl);
    write_records("o.csv", OB_OUTPUT_CSV, records, count, &text);
    assert_string_equal(ob_strbuf_text(&text), csv);
    ob_strbuf_release(&text);
}

static ob_record record_of(uint64_t row, ob_record_kind kind)
{
    return (ob_record){.row = row, .id = "", .kind = kind};
}

static ob_record error_of(uint64_t row)
{
    ob_record record = record_of(row, OB_RECORD_ERROR);
    record.error_code = "OB_ERR_INPUT";
    record.error_message = "bad row";
    return record;
}

#define ERROR_JSON(row) "{\"row\":" row ",\"error\":{\"code\":\"OB_ERR_INPUT\",\"message\":\"bad row\"}}\n"

static void test_labels(void **state)
{
    (void)state;
    static const ob_label_score labels[] = {{"POSITIVE", 0.75f}, {"=sum, \"x\"", 0.25f}};
    ob_record records[] = {error_of(0), record_of(1, OB_RECORD_LABELS), record_of(2, OB_RECORD_LABELS)};
    records[1].id = "\"a\"";
    records[1].label_count = records[2].label_count = 1;
    records[1].labels = labels;
    records[2].labels = labels + 1;
    check_texts(records, 3,
                ERROR_JSON("0") "{\"row\":1,\"id\":\"a\",\"label\":\"POSITIVE\",\"score\":0.75}\n"
                                "{\"row\":2,\"label\":\"=sum, \\\"x\\\"\",\"score\":0.25}\n",
                "row,id,label,score,error\r\n0,,,,\"bad row\"\r\n1,\"a\",\"POSITIVE\",0.75,\r\n"
                "2,,\"'=sum, \"\"x\"\"\",0.25,\r\n");
    records[1].label_count = 2;
    records[1].as_list = true;
    check_texts(records, 2,
                ERROR_JSON("0") "{\"row\":1,\"id\":\"a\",\"label\":\"POSITIVE\",\"score\":0.75,\"labels\":["
                                "{\"label\":\"POSITIVE\",\"score\":0.75},{\"label\":\"=sum, \\\"x\\\"\",\"score\":0.25}"
                                "]}\n",
                "row,id,label,score,labels,error\r\n0,,,,,\"bad row\"\r\n"
                "1,\"a\",\"POSITIVE\",0.75,\"[{\"\"label\"\":\"\"POSITIVE\"\",\"\"score\"\":0.75},"
                "{\"\"label\"\":\"\"=sum, \\\"\"x\\\"\"\"\",\"\"score\"\":0.25}]\",\r\n");
}

static void test_entities(void **state)
{
    (void)state;
    static const ob_entity entities[] = {{"B-PER", 0.5f, 2, "\xC4\xA0J\xE2\x80\xA8", 6, 3, 5},
                                         {"I-PER", 1, 3, "an", 2, 5, 7}};
    ob_record records[] = {record_of(0, OB_RECORD_ENTITIES), record_of(1, OB_RECORD_ENTITIES)};
    records[0].entity_count = 2;
    records[0].entities = entities;
    check_texts(
        records, 2,
        "{\"row\":0,\"entities\":[{\"entity\":\"B-PER\",\"score\":0.5,\"index\":2,\"word\":\"\xC4\xA0J\\u2028\","
        "\"start\":3,\"end\":5},{\"entity\":\"I-PER\",\"score\":1.0,\"index\":3,\"word\":\"an\",\"start\":5,"
        "\"end\":7}]}\n{\"row\":1,\"entities\":[]}\n",
        "row,id,entities,error\r\n"
        "0,,\"[{\"\"entity\"\":\"\"B-PER\"\",\"\"score\"\":0.5,\"\"index\"\":2,\"\"word\"\":\"\"\xC4\xA0J\\u2028"
        "\"\",\"\"start\"\":3,\"\"end\"\":5},{\"\"entity\"\":\"\"I-PER\"\",\"\"score\"\":1.0,\"\"index\"\":3,"
        "\"\"word\"\":\"\"an\"\",\"\"start\"\":5,\"\"end\"\":7}]\",\r\n1,,\"[]\",\r\n");
    records[0].grouped = true;
    records[0].entity_count = 1;
    check_texts(records, 1,
                "{\"row\":0,\"entities\":[{\"entity_group\":\"B-PER\",\"score\":0.5,\"word\":\"\xC4\xA0J\\u2028\","
                "\"start\":3,\"end\":5}]}\n",
                "row,id,entities,error\r\n0,,\"[{\"\"entity_group\"\":\"\"B-PER\"\",\"\"score\"\":0.5,\"\"word\"\":\"\""
                "\xC4\xA0J\\u2028\"\",\"\"start\"\":3,\"\"end\"\":5}]\",\r\n");
}

static void test_answers(void **state)
{
    (void)state;
    static const ob_answer answers[] = {{0.5f, 4, 9, "-here", 5}, {0.125f, 0, 0, "", 0}};
    ob_record records[] = {record_of(0, OB_RECORD_ANSWERS), record_of(1, OB_RECORD_ANSWERS), error_of(2)};
    records[0].answer_count = records[1].answer_count = 1;
    records[0].answers = answers;
    records[1].answers = answers + 1;
    check_texts(records, 3,
                "{\"row\":0,\"score\":0.5,\"start\":4,\"end\":9,\"answer\":\"-here\"}\n"
                "{\"row\":1,\"score\":0.125,\"start\":0,\"end\":0,\"answer\":\"\"}\n" ERROR_JSON("2"),
                "row,id,score,start,end,answer,error\r\n0,,0.5,4,9,\"'-here\",\r\n1,,0.125,0,0,\"\",\r\n"
                "2,,,,,,\"bad row\"\r\n");
    records[0].answer_count = 2;
    records[0].as_list = records[1].as_list = true;
    records[1].answer_count = 0;
    check_texts(
        records, 2,
        "{\"row\":0,\"score\":0.5,\"start\":4,\"end\":9,\"answer\":\"-here\",\"answers\":[{\"score\":0.5,"
        "\"start\":4,\"end\":9,\"answer\":\"-here\"},{\"score\":0.125,\"start\":0,\"end\":0,\"answer\":\"\"}]}\n"
        "{\"row\":1,\"answers\":[]}\n",
        "row,id,score,start,end,answer,answers,error\r\n"
        "0,,0.5,4,9,\"'-here\",\"[{\"\"score\"\":0.5,\"\"start\"\":4,\"\"end\"\":9,\"\"answer\"\":\"\"-here\"\"},"
        "{\"\"score\"\":0.125,\"\"start\"\":0,\"\"end\"\":0,\"\"answer\"\":\"\"\"\"}]\",\r\n1,,,,,,\"[]\",\r\n");
}

static void test_choice(void **state)
{
    (void)state;
    static const float scores[] = {0.25f, 0.5f, 0.25f}, logits[] = {-1, 0.5f, -1};
    ob_record record = record_of(0, OB_RECORD_CHOICE);
    record.choice_count = 3;
    record.choice_scores = scores;
    record.choice_logits = logits;
    check_texts(&record, 1,
                "{\"row\":0,\"choice\":1,\"score\":0.5,\"scores\":[0.25,0.5,0.25],\"logits\":[-1.0,0.5,-1.0]}\n",
                "row,id,choice,score,scores,logits,error\r\n0,,1,0.5,\"[0.25,0.5,0.25]\",\"[-1.0,0.5,-1.0]\",\r\n");
}

static void test_score(void **state)
{
    (void)state;
    static const float scores[] = {-0.5f, -INFINITY};
    static const char *const tokens[] = {"a", "\xC4\xA0\""};
    ob_record records[] = {record_of(0, OB_RECORD_SCORE), record_of(1, OB_RECORD_SCORE)};
    records[0].score = -1234.0625000001;
    records[1].score = (double)-INFINITY;
    records[0].token_count = records[1].token_count = 2;
    check_texts(records, 2,
                "{\"row\":0,\"score\":-1234.0625000001,\"token_count\":2}\n"
                "{\"row\":1,\"score\":null,\"token_count\":2}\n",
                "row,id,score,token_count,error\r\n0,,-1234.0625000001,2,\r\n1,,,2,\r\n");
    records[0].token_scores = scores;
    records[0].tokens = tokens;
    check_texts(records, 1,
                "{\"row\":0,\"score\":-1234.0625000001,\"token_count\":2,\"token_scores\":[-0.5,null],"
                "\"tokens\":[\"a\",\"\xC4\xA0\\\"\"]}\n",
                "row,id,score,token_count,token_scores,tokens,error\r\n"
                "0,,-1234.0625000001,2,\"[-0.5,null]\",\"[\"\"a\"\",\"\"\xC4\xA0\\\"\"\"\"]\",\r\n");
}

static void test_doubles_read_back(void **state)
{
    (void)state;
    ob_strbuf out = OB_STRBUF_INIT;
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 5000; i++) {
        double value;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        ob_strbuf_clear(&out);
        ob_json_append_double(&out, value);
        assert_true(strtod(ob_strbuf_text(&out), NULL) == value);
    }
    ob_strbuf_clear(&out);
    ob_json_append_double(&out, -0.1);
    ob_json_append_double(&out, 0.0);
    ob_json_append_double(&out, (double)NAN);
    assert_string_equal(ob_strbuf_text(&out), "-0.10.0null");
    ob_strbuf_release(&out);
}

static ob_record embedding_of(uint64_t row, const ob_named_array *array)
{
    ob_record record = record_of(row, OB_RECORD_EMBEDDING);
    record.array_count = 1;
    record.arrays = array;
    return record;
}

/* The numbers of an npy file after its header has been checked. */
static void read_npy(const ob_record *records, size_t count, const char *shape, ob_strbuf *out)
{
    write_records("o.npy", OB_OUTPUT_NPY, records, count, out);
    assert_true(out->length >= 128 && memcmp(out->data, "\x93NUMPY\x01\x00\x76\x00", 10) == 0);
    assert_int_equal(out->data[127], '\n');
    out->data[127] = '\0';
    if (strstr(out->data + 10, shape) == NULL)
        fail_msg("%s, expected %s", out->data + 10, shape);
}

/* The index is the row, wherever rows fail. */
static void test_npy_keeps_places_of_failed_rows(void **state)
{
    (void)state;
    static float values[600];
    for (size_t i = 0; i < 600; i++)
        values[i] = (float)i;
    const ob_named_array first = {"embedding", 1, {300}, values}, second = {"embedding", 1, {300}, values + 300};
    const ob_record records[] = {error_of(0), error_of(1), embedding_of(2, &first), error_of(3),
                                 embedding_of(4, &second)};
    ob_strbuf file = OB_STRBUF_INIT;
    read_npy(records, 5, "'shape': (5, 300)", &file);
    assert_int_equal(file.length, 128 + 5 * 300 * sizeof(float));
    for (size_t i = 0; i < 5 * 300; i++) {
        float value, expected = i / 300 == 2 ? (float)(i % 300) : (float)(i % 300 + 300);
        memcpy(&value, file.data + 128 + i * sizeof value, sizeof value);
        if (i / 300 == 2 || i / 300 == 4)
            assert_true(value == expected);
        else
            assert_true(isnan(value));
    }
    read_npy(records, 2, "'shape': (2, 0)", &file); /* nobody knows the width */
    assert_int_equal(file.length, 128);
    read_npy(NULL, 0, "'shape': (0, 0)", &file);
    assert_int_equal(file.length, 128);
    ob_strbuf_release(&file);
}

static void test_jobs_without_rows(void **state)
{
    (void)state;
    ob_strbuf file = OB_STRBUF_INIT;
    check_texts(NULL, 0, "", "");
    write_records("o.safetensors", OB_OUTPUT_SAFETENSORS, NULL, 0, &file);
    assert_int_equal(file.length, 8 + 32);
    assert_memory_equal(file.data, "\x20\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"}}", 40);
    ob_strbuf_release(&file);
}

/* More than a piece of JSONL, and every rank there is. */
static void test_arrays_of_rank_four(void **state)
{
    (void)state;
    static float values[2 * 3 * 160 * 160];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)i * 0.125f;
    const ob_named_array arrays[] = {{"attentions", 4, {2, 3, 160, 160}, values}, {"pooler_output", 1, {2}, values}};
    ob_record record = record_of(7, OB_RECORD_ARRAYS);
    record.array_count = 2;
    record.arrays = arrays;
    ob_strbuf text = OB_STRBUF_INIT;
    write_records("o.jsonl", OB_OUTPUT_JSONL, &record, 1, &text);
    assert_int_equal(strncmp(text.data, "{\"row\":7,\"attentions\":[[[[0.0,0.125,0.25,", 41), 0);
    static const char end[] = ",19199.75,19199.875]]]],\"pooler_output\":[0.0,0.125]}\n";
    assert_string_equal(text.data + text.length - (sizeof end - 1), end);
    const char *at = text.data + 22;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        at += strspn(at, "[],");
        assert_true(strtof(at, (char **)(uintptr_t)&at) == values[i]);
    }
    char *path = ob_path_join(folder, "model.safetensors");
    ob_writer *writer;
    ob_checkpoint *checkpoint;
    const ob_record failed = error_of(6);
    test_ok(ob_writer_create(path, OB_OUTPUT_SAFETENSORS, false, &writer, &err), &err);
    test_ok(ob_writer_write(writer, &failed, &err), &err);
    test_ok(ob_writer_write(writer, &record, &err), &err);
    test_ok(ob_writer_commit(writer, &err), &err);
    ob_writer_destroy(writer);
    test_ok(ob_checkpoint_open(folder, &checkpoint, &err), &err);
    assert_int_equal(ob_checkpoint_count(checkpoint), 2);
    const ob_tensor *tensor = ob_checkpoint_find(checkpoint, "attentions.7");
    assert_true(tensor != NULL && tensor->rank == 4 && tensor->shape[0] == 2 && tensor->shape[3] == 160);
    assert_memory_equal(tensor->data, values, sizeof values);
    ob_checkpoint_close(checkpoint);
    unlink(path);
    ob_free(path);
    ob_strbuf_release(&text);
}

static void test_formats_say_what_they_take(void **state)
{
    (void)state;
    for (int kind = OB_RECORD_ERROR; kind <= OB_RECORD_SCORE; kind++) {
        assert_true(ob_output_format_takes(OB_OUTPUT_JSONL, (ob_record_kind)kind));
        assert_int_equal(ob_output_format_takes(OB_OUTPUT_CSV, (ob_record_kind)kind), kind != OB_RECORD_ARRAYS);
        assert_int_equal(ob_output_format_takes(OB_OUTPUT_SAFETENSORS, (ob_record_kind)kind),
                         kind == OB_RECORD_ARRAYS || kind == OB_RECORD_EMBEDDING);
        assert_int_equal(ob_output_format_takes(OB_OUTPUT_NPY, (ob_record_kind)kind),
                         kind == OB_RECORD_ERROR || kind == OB_RECORD_EMBEDDING);
    }
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_entities),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_doubles_read_back),
        cmocka_unit_test(test_npy_keeps_places_of_failed_rows),
        cmocka_unit_test(test_jobs_without_rows),
        cmocka_unit_test(test_arrays_of_rank_four),
        cmocka_unit_test(test_formats_say_what_they_take),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) != 0 || failed;
}
