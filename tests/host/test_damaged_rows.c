/* Inputs with damaged rows, and outputs that cannot be written: nothing is lost, doubled or left behind. */
#include "test_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/reader.h>
#include <oberta/writer.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static ob_error err;
static char folder[] = "/tmp/oberta-test-XXXXXX";

static char *path_of(const char *name)
{
    char *path = ob_path_join(folder, name);
    assert_non_null(path);
    return path;
}

static void write_text(const char *path, const char *text, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static ob_status open_reader(char *path, ob_reader **reader)
{
    static char text[] = "text", pair[] = "text_pair", id[] = "id";
    static ob_input_spec spec; /* the reader keeps a pointer to it */
    spec =
        (ob_input_spec){.path = path, .format = OB_INPUT_AUTO, .text_field = text, .pair_field = pair, .id_field = id};
    ob_error_clear(&err);
    return ob_reader_create(&spec, 1, reader, &err);
}

/* Damaged lines of JSONL, and a part of what must be said about each. */
static const struct {
    const char *line;
    size_t bytes;
    const char *defect;
} poison[] = {
#define LINE(text) text, sizeof(text) - 1
    {LINE("{\"text\":"), "not JSON"},
    {LINE("{\"text\":7}"), "text: a string is expected"},
    {LINE("{\"txt\":\"a\"}"), "text: the field is missing"},
    {LINE("{\"text\":\"a\0b\"}"), "not JSON"}, /* a raw NUL; the escaped one is a character */
    {LINE("{\"text\":\"\xC0\xAF\"}"), "invalid UTF-8 at byte 9"},
    {LINE("{\"text\":\"\xED\xA0\x80\"}"), "invalid UTF-8 at byte 9"},
    {LINE("{\"text\":\"\xE2\x82"), "invalid UTF-8 at byte 9"},
    {LINE("{\"text\":\"\\ud800\"}"), "not JSON"},
    {LINE(""), "not JSON"},
    {LINE("{\"text\":\"a\"} x"), "not JSON"},
    {LINE("{\"text\":\"a\",\"id\":[1]}"), "id: a string, a number"},
    {LINE("{\"input_ids\":[1,2],\"attention_mask\":[1]}"), "attention_mask: a list of 2"},
    {LINE("{\"input_ids\":[4294967296]}"), "input_ids[0]"},
};
#define POISON_COUNT (sizeof poison / sizeof *poison)
#define MANY         100000
#define EVERY        97

static void write_poisoned(const char *path)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("\xEF\xBB\xBF", file);
    for (size_t i = 0; i < MANY; i++) {
        if (i % EVERY == EVERY - 1)
            fwrite(poison[i / EVERY % POISON_COUNT].line, 1, poison[i / EVERY % POISON_COUNT].bytes, file);
        else
            fprintf(file, "{\"text\":\"row %zu \xE2\x80\xA8 \\u0000\",\"id\":%zu}", i, i);
        fputs(i + 1 == MANY ? "" : i % 3 == 0 ? "\r\n" : "\n", file); /* no newline at the end */
    }
    assert_int_equal(fclose(file), 0);
}

static void test_reader_counts_every_poisoned_row(void **state)
{
    (void)state;
    char *path = path_of("poison.jsonl"), text[64], id[32];
    write_poisoned(path);
    ob_reader *reader;
    ob_row row;
    bool more;
    size_t defects = 0;
    test_ok(open_reader(path, &reader), &err);
    ob_row_init(&row);
    for (size_t i = 0; i < MANY; i++) {
        ob_row_clear(&row);
        test_ok(ob_reader_next(reader, &row, &more, &err), &err);
        assert_true(more && row.number == i && row.line == i + 1);
        if (i % EVERY == EVERY - 1) {
            const char *expected = poison[i / EVERY % POISON_COUNT].defect;
            if (row.defect == OB_OK || strstr(ob_strbuf_text(&row.defect_text), expected) == NULL)
                fail_msg("row %zu: '%s', expected '%s'", i, ob_strbuf_text(&row.defect_text), expected);
            defects++;
            continue;
        }
        size_t length = (size_t)snprintf(text, sizeof text, "row %zu \xE2\x80\xA8 ", i) + 1; /* the NUL is its last */
        snprintf(id, sizeof id, "%zu", i);
        assert_int_equal(row.defect, OB_OK);
        assert_int_equal(row.text.length, length);
        assert_memory_equal(row.text.data, text, length);
        assert_string_equal(ob_strbuf_text(&row.id), id);
    }
    test_ok(ob_reader_next(reader, &row, &more, &err), &err);
    assert_false(more);
    assert_int_equal(defects, MANY / EVERY);
    uint64_t done, total;
    ob_reader_progress(reader, &done, &total);
    assert_true(done == total && total > 0);
    ob_row_release(&row);
    ob_reader_destroy(reader);
    unlink(path);
    ob_free(path);
}

/* Each row as "text|id|defect" and a newline. */
static void read_all(const char *name, const char *text, size_t bytes, ob_strbuf *out)
{
    char *path = path_of(name);
    write_text(path, text, bytes);
    ob_reader *reader;
    ob_row row;
    bool more = true;
    ob_strbuf_clear(out);
    ob_row_init(&row);
    test_ok(open_reader(path, &reader), &err);
    for (;;) {
        ob_row_clear(&row);
        test_ok(ob_reader_next(reader, &row, &more, &err), &err);
        if (!more)
            break;
        ob_strbuf_printf(out, "%s|%s|%s\n", row.defect == OB_OK ? ob_strbuf_text(&row.text) : "",
                         ob_strbuf_text(&row.id), ob_strbuf_text(&row.defect_text));
    }
    ob_row_release(&row);
    ob_reader_destroy(reader);
    unlink(path);
    ob_free(path);
}

#define READ(name, text) read_all(name, text, sizeof(text) - 1, &out)

static void test_table_rows_end_where_they_should(void **state)
{
    (void)state;
    ob_strbuf out = OB_STRBUF_INIT;
    /* Text after a closing quote spoils its own row, and does not open another quote. */
    READ("q.csv", "text\r\n\"a\"x\"y\r\nnext\r\n\"\"\"q\"\"\"\r\n\"\"\r\n");
    assert_string_equal(ob_strbuf_text(&out), "||column 1: text after the closing quote\nnext||\n\"q\"||\n||\n");
    /* A blank line is no row of a table of two columns, and an empty text in one of one. */
    READ("b.csv", "id,text\n1,a\n\n2,b\n\n");
    assert_string_equal(ob_strbuf_text(&out), "a|\"1\"|\nb|\"2\"|\n");
    READ("c.csv", "text\na\n\nb\n");
    assert_string_equal(ob_strbuf_text(&out), "a||\n||\nb||\n");
    ob_strbuf_clear(&out);
    ob_strbuf_puts(&out, "text");
    for (int i = 0; i < 4096; i++)
        ob_strbuf_puts(&out, ",c");
    char *path = path_of("wide.csv");
    write_text(path, out.data, out.length);
    ob_reader *reader;
    test_refused(open_reader(path, &reader), OB_ERR_INPUT, &err, "wide.csv:1: the header line has more than 4096");
    unlink(path);
    ob_free(path);
    ob_strbuf_release(&out);
}

static void test_ids_stay_what_they_were(void **state)
{
    (void)state;
    ob_strbuf out = OB_STRBUF_INIT;
    READ("i.jsonl", "{\"text\":\"\",\"id\":0.1}\n{\"text\":\"\",\"id\":-5}\n{\"text\":\"\",\"id\":2.0}\n"
                    "{\"text\":\"\",\"id\":9007199254740993}\n{\"text\":\"\",\"id\":null}\n"
                    "{\"text\":\"\",\"id\":\"a\xE2\x80\xA8\\u0000\"}\n");
    assert_string_equal(ob_strbuf_text(&out), "|0.1|\n|-5|\n|2.0|\n|9007199254740993|\n|null|\n"
                                              "|\"a\\u2028\\u0000\"|\n");
    ob_strbuf_release(&out);
}

/* A pipe's other end: one short line, and the rest only when that was read. */
typedef struct slow_writer {
    int fd, go;
} slow_writer;

static void *write_slowly(void *user)
{
    slow_writer *w = user;
    char byte;
    assert_int_equal(write(w->fd, "a\n", 2), 2);
    assert_int_equal(read(w->go, &byte, 1), 1);
    close(w->fd);
    return NULL;
}

static void test_short_line_is_not_waited_on(void **state)
{
    (void)state;
    int data[2], go[2];
    char path[32];
    assert_true(pipe(data) == 0 && pipe(go) == 0);
    snprintf(path, sizeof path, "/dev/fd/%d", data[0]);
    slow_writer w = {data[1], go[0]};
    pthread_t thread;
    ob_reader *reader;
    ob_row row;
    bool more = false;
    ob_row_init(&row);
    alarm(20); /* a reader that waits for more than the line hangs here */
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, &w), 0);
    test_ok(open_reader(path, &reader), &err);
    test_ok(ob_reader_next(reader, &row, &more, &err), &err);
    assert_true(more);
    assert_string_equal(ob_strbuf_text(&row.text), "a");
    assert_int_equal(write(go[1], "", 1), 1);
    pthread_join(thread, NULL);
    alarm(0);
    ob_row_release(&row);
    ob_reader_destroy(reader);
    close(data[0]);
    close(go[0]);
    close(go[1]);
}

static ob_status put_error(ob_writer *writer, uint64_t row, const char *id)
{
    ob_record record = {
        .row = row, .id = id, .kind = OB_RECORD_ERROR, .error_code = "OB_ERR_INPUT", .error_message = "=bad \"row\""};
    return ob_writer_write(writer, &record, &err);
}

static ob_status put_embedding(ob_writer *writer, uint64_t row, const char *id, const float *values, size_t count)
{
    ob_named_array array = {"embedding", 1, {count}, values};
    ob_record record = {.row = row, .id = id, .kind = OB_RECORD_EMBEDDING, .array_count = 1, .arrays = &array};
    return ob_writer_write(writer, &record, &err);
}

static void check_file(const char *path, const char *expected)
{
    ob_strbuf text = OB_STRBUF_INIT;
    test_ok(ob_file_read(path, 1 << 20, &text, &err), &err);
    assert_string_equal(ob_strbuf_text(&text), expected);
    ob_strbuf_release(&text);
    unlink(path);
}

static void test_csv_keeps_rows_after_a_first_error(void **state)
{
    (void)state;
    static const float values[] = {1, -0.5f};
    char *path = path_of("o.csv");
    ob_writer *writer;
    ob_error_clear(&err);
    test_ok(ob_writer_create(path, OB_OUTPUT_CSV, false, &writer, &err), &err);
    test_ok(put_error(writer, 0, "-5"), &err);
    test_ok(put_embedding(writer, 1, "\"=a\\\"\\ud83d\\ude00\\n\"", values, 2), &err);
    test_ok(put_error(writer, 2, ""), &err);
    test_ok(ob_writer_commit(writer, &err), &err);
    ob_writer_destroy(writer);
    check_file(path, "row,id,e0,e1,error\r\n0,-5,,,\"'=bad \"\"row\"\"\"\r\n"
                     "1,\"'=a\"\"\xF0\x9F\x98\x80\n\",1.0,-0.5,\r\n2,,,,\"'=bad \"\"row\"\"\"\r\n");
    test_ok(ob_writer_create(path, OB_OUTPUT_CSV, false, &writer, &err), &err);
    test_ok(put_error(writer, 0, "\"a\""), &err);
    test_ok(ob_writer_commit(writer, &err), &err);
    ob_writer_destroy(writer);
    check_file(path, "row,id,error\r\n0,\"a\",\"'=bad \"\"row\"\"\"\r\n");
    ob_free(path);
}

static size_t files_in_folder(void)
{
    DIR *directory = opendir(folder);
    size_t count = 0;
    assert_non_null(directory);
    for (struct dirent *item; (item = readdir(directory)) != NULL;)
        count += strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0;
    closedir(directory);
    return count;
}

/* Files may grow to 64 KiB only, as on a disk that becomes full. */
static void test_full_disk_leaves_nothing(void **state)
{
    (void)state;
    static const ob_output_format formats[] = {OB_OUTPUT_JSONL, OB_OUTPUT_CSV, OB_OUTPUT_SAFETENSORS, OB_OUTPUT_NPY};
    static float values[4096];
    char *path = path_of("full");
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 65536;
    signal(SIGXFSZ, SIG_IGN);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        ob_writer *writer;
        ob_status status = OB_OK;
        ob_error_clear(&err);
        test_ok(ob_writer_create(path, formats[f], false, &writer, &err), &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        for (uint64_t i = 0; i < 100 && status == OB_OK; i++)
            status = put_embedding(writer, i, "", values, 4096);
        if (status == OB_OK)
            status = ob_writer_commit(writer, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        ob_writer_destroy(writer);
        assert_int_equal(status, OB_ERR_IO);
        assert_non_null(strstr(err.text, "full: cannot write: File too large"));
        assert_int_equal(files_in_folder(), 0);
    }
    signal(SIGXFSZ, SIG_DFL);
    ob_free(path);
}

static void test_full_standard_output_is_an_error(void **state)
{
    (void)state;
    static const float value = 1;
    int full = open("/dev/full", O_WRONLY), kept;
    if (full < 0)
        skip();
    fflush(stdout);
    kept = dup(STDOUT_FILENO);
    assert_true(kept >= 0);
    ob_writer *writer;
    ob_error_clear(&err);
    test_ok(ob_writer_create("-", OB_OUTPUT_JSONL, false, &writer, &err), &err);
    dup2(full, STDOUT_FILENO);
    ob_status status = put_embedding(writer, 0, "", &value, 1);
    dup2(kept, STDOUT_FILENO);
    ob_writer_destroy(writer);
    close(kept);
    close(full);
    test_refused(status, OB_ERR_IO, &err, "standard output: cannot write: No space left on device");
}

static void test_floats_have_no_digit_too_many(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *text;
    } known[] = {{0.0f, "0.0"},      {-0.0f, "-0.0"},
                 {1, "1.0"},         {-5, "-5.0"},
                 {0.1f, "0.1"},      {1e-4f, "0.0001"},
                 {1e-5f, "1e-5"},    {1e15f, "1000000000000000.0"},
                 {1e16f, "1e16"},    {16777216, "16777216.0"},
                 {1e-45f, "1e-45"},  {FLT_MAX, "3.4028235e38"},
                 {INFINITY, "null"}, {NAN, "null"}};
    ob_strbuf out = OB_STRBUF_INIT;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ob_strbuf_clear(&out);
        ob_json_append_float(&out, known[i].value);
        assert_string_equal(ob_strbuf_text(&out), known[i].text);
    }
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 100003) {
        uint32_t pattern = (uint32_t)bits;
        float value, back;
        memcpy(&value, &pattern, sizeof value);
        if (!isfinite(value))
            continue;
        ob_strbuf_clear(&out);
        ob_json_append_float(&out, value);
        back = strtof(ob_strbuf_text(&out), NULL);
        assert_memory_equal(&back, &value, sizeof value);
        int digits = 0, zeros = 0;
        for (const char *at = out.data; *at != '\0' && *at != 'e'; at++)
            if (*at >= '0' && *at <= '9' && (digits > 0 || *at != '0')) {
                digits++;
                zeros = *at == '0' ? zeros + 1 : 0;
            }
        char shorter[32];
        if (digits - zeros < 2)
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - zeros - 2, (double)value);
        if (strtof(shorter, NULL) == value)
            fail_msg("%s, but %s reads back too", out.data, shorter);
    }
    ob_strbuf_release(&out);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader_counts_every_poisoned_row),
        cmocka_unit_test(test_table_rows_end_where_they_should),
        cmocka_unit_test(test_ids_stay_what_they_were),
        cmocka_unit_test(test_short_line_is_not_waited_on),
        cmocka_unit_test(test_csv_keeps_rows_after_a_first_error),
        cmocka_unit_test(test_full_disk_leaves_nothing),
        cmocka_unit_test(test_full_standard_output_is_an_error),
        cmocka_unit_test(test_floats_have_no_digit_too_many),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) != 0 || failed;
}
