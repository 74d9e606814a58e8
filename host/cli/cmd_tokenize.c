/* oberta tokenize: ids, tokens and offsets of texts; text of ids. */
#include "cli.h"

#include <jansson.h>
#include <oberta/memory.h>
#include <string.h>

typedef struct tokenize_job {
    cli_context *ctx;
    ob_tokenizer *tokenizer;
    ob_tokenizer_cache *cache;
    ob_encoding encoding;
    ob_strbuf out;
    bool jsonl, decode;
} tokenize_job;

static void append_numbers(ob_strbuf *out, const char *name, const ob_encoding *e,
                           void (*append)(ob_strbuf *, const ob_encoding *, size_t))
{
    ob_strbuf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < e->count; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        append(out, e, i);
    }
    ob_strbuf_putc(out, ']');
}

static void append_offset(ob_strbuf *out, const ob_encoding *e, size_t i)
{
    ob_strbuf_printf(out, "[%zu,%zu]", e->offsets[i][0], e->offsets[i][1]);
}

static void append_one(ob_strbuf *out, const ob_encoding *e, size_t i)
{
    (void)e;
    (void)i;
    ob_strbuf_putc(out, '1');
}

static void append_special(ob_strbuf *out, const ob_encoding *e, size_t i)
{
    ob_strbuf_printf(out, "%d", e->special_tokens_mask[i]);
}

static void append_word(ob_strbuf *out, const ob_encoding *e, size_t i)
{
    if (e->word_ids[i] < 0)
        ob_strbuf_puts(out, "null");
    else
        ob_strbuf_printf(out, "%d", (int)e->word_ids[i]);
}

static void append_sequence(ob_strbuf *out, const ob_encoding *e, size_t i)
{
    if (e->sequence_ids[i] < 0)
        ob_strbuf_puts(out, "null");
    else
        ob_strbuf_printf(out, "%d", e->sequence_ids[i]);
}

static void append_encoding_json(const tokenize_job *job, bool has_pair, ob_strbuf *out)
{
    const ob_encoding *e = &job->encoding;
    ob_strbuf_puts(out, "{\"input_ids\":[");
    for (size_t i = 0; i < e->count; i++)
        ob_strbuf_printf(out, i > 0 ? ",%d" : "%d", (int)e->ids[i]);
    ob_strbuf_puts(out, "],\"tokens\":[");
    for (size_t i = 0; i < e->count; i++) {
        const char *token = ob_tokenizer_token(job->tokenizer, e->ids[i]);
        if (i > 0)
            ob_strbuf_putc(out, ',');
        ob_json_append_string(out, token, strlen(token));
    }
    ob_strbuf_putc(out, ']');
    append_numbers(out, "offsets", e, append_offset);
    append_numbers(out, "attention_mask", e, append_one);
    append_numbers(out, "special_tokens_mask", e, append_special);
    append_numbers(out, "word_ids", e, append_word);
    if (has_pair)
        append_numbers(out, "sequence_ids", e, append_sequence);
    ob_strbuf_puts(out, "}\n");
}

static void append_error_json(const char *message, ob_strbuf *out)
{
    ob_strbuf_puts(out, "{\"error\":");
    ob_json_append_string(out, message, strlen(message));
    ob_strbuf_puts(out, "}\n");
}

static void print_table(const tokenize_job *job, const char *text)
{
    const ob_encoding *e = &job->encoding;
    cli_print_text(stdout, text, strlen(text));
    printf("\n     id  offsets    token\n");
    for (size_t i = 0; i < e->count; i++) {
        char range[48];
        const char *token = ob_tokenizer_token(job->tokenizer, e->ids[i]);
        snprintf(range, sizeof range, "%zu-%zu", e->offsets[i][0], e->offsets[i][1]);
        printf("%7d  %-9s  ", (int)e->ids[i], e->special_tokens_mask[i] ? "" : range);
        cli_print_text(stdout, token, strlen(token));
        putchar('\n');
    }
}

/* Options as transformers names them. Those that this version lacks refuse the row. */
static ob_status read_options(const json_t *options, ob_encode_options *out, ob_error *err)
{
    const char *key, *text;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)options, key, value)
    {
        text = json_string_value(value);
        if (strcmp(key, "add_special_tokens") == 0)
            out->add_special_tokens = json_is_true(value);
        else if (strcmp(key, "split_special_tokens") == 0)
            out->split_special_tokens = json_is_true(value);
        else if (strcmp(key, "max_length") == 0 && (json_is_null(value) || json_integer_value(value) >= 0))
            out->max_length = (size_t)json_integer_value(value);
        else if (strcmp(key, "truncation_side") == 0 && text != NULL)
            out->truncate_left = strcmp(text, "left") == 0;
        else if (strcmp(key, "truncation") == 0 &&
                 (json_is_true(value) || (text && strcmp(text, "longest_first") == 0)))
            out->truncation = OB_TRUNCATION_LONGEST_FIRST;
        else if (strcmp(key, "truncation") == 0 && text != NULL && strcmp(text, "only_first") == 0)
            out->truncation = OB_TRUNCATION_ONLY_FIRST;
        else if (strcmp(key, "truncation") == 0 && text != NULL && strcmp(text, "only_second") == 0)
            out->truncation = OB_TRUNCATION_ONLY_SECOND;
        else if (strcmp(key, "truncation") == 0 &&
                 (json_is_false(value) || (text && strcmp(text, "do_not_truncate") == 0)))
            out->truncation = OB_TRUNCATION_NONE;
        else
            return ob_error_set(err, OB_ERR_INPUT, "options.%s: not available in this version", key);
    }
    /* As in transformers, a length alone cuts, and cutting without a length does nothing. */
    if (json_integer_value(json_object_get(options, "max_length")) > 0 &&
        json_object_get(options, "truncation") == NULL)
        out->truncation = OB_TRUNCATION_LONGEST_FIRST;
    if (!json_is_integer(json_object_get(options, "max_length")))
        out->truncation = OB_TRUNCATION_NONE;
    return OB_OK;
}

static ob_status encode(tokenize_job *job, const char *text, size_t bytes, const json_t *pair,
                        const ob_encode_options *options, ob_error *err)
{
    return ob_tokenizer_encode(job->tokenizer, job->cache, text, bytes, json_string_value(pair),
                               json_string_length(pair), options, &job->encoding, err);
}

static ob_status encode_json_row(tokenize_job *job, const json_t *root, ob_error *err)
{
    const json_t *text = json_object_get(root, "text"), *pair = json_object_get(root, "text_pair");
    ob_encode_options options;
    ob_encode_options_default(&options);
    options.details = true;
    if (!json_is_string(text) || (pair != NULL && !json_is_null(pair) && !json_is_string(pair)))
        return ob_error_set(err, OB_ERR_INPUT, "text: a string is expected");
    if (read_options(json_object_get(root, "options"), &options, err) != OB_OK ||
        encode(job, json_string_value(text), json_string_length(text), pair, &options, err) != OB_OK)
        return ob_error_status(err);
    append_encoding_json(job, json_is_string(pair), &job->out);
    return OB_OK;
}

static ob_status decode_json_row(tokenize_job *job, const json_t *root, ob_error *err)
{
    const json_t *list = json_object_get(root, "ids");
    size_t count = json_array_size(list);
    int32_t *ids = ob_realloc_array(NULL, count, sizeof *ids);
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status = OB_OK;
    if (!json_is_array(list) || ids == NULL)
        status = ob_error_set(err, OB_ERR_INPUT, "ids: a list of integers is expected");
    for (size_t i = 0; status == OB_OK && i < count; i++) {
        json_int_t id = json_integer_value(json_array_get(list, i));
        ids[i] = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
    }
    if (status == OB_OK)
        status =
            ob_tokenizer_decode(job->tokenizer, ids, count, json_is_true(json_object_get(root, "skip_special_tokens")),
                                json_is_true(json_object_get(root, "clean_up_tokenization_spaces")), &text, err);
    if (status == OB_OK) {
        ob_strbuf_puts(&job->out, "{\"text\":");
        ob_json_append_string(&job->out, ob_strbuf_text(&text), text.length);
        ob_strbuf_puts(&job->out, "}\n");
    }
    ob_strbuf_release(&text);
    ob_free(ids);
    return status;
}

/* One text or JSON row; what is wrong with it is printed, and the next goes on. False: a row was refused. */
static bool take_row(tokenize_job *job, const char *text, size_t bytes)
{
    ob_error err;
    ob_error_clear(&err);
    ob_status status;
    bool json = job->jsonl || job->decode;
    ob_strbuf_clear(&job->out);
    if (json) {
        json_error_t json_err;
        json_t *root = json_loadb(text, bytes, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &json_err);
        if (!json_is_object(root))
            status = ob_error_set(&err, OB_ERR_INPUT, "not a JSON object%s%s", root == NULL ? ": " : "",
                                  root == NULL ? json_err.text : "");
        else
            status = job->decode ? decode_json_row(job, root, &err) : encode_json_row(job, root, &err);
        json_decref(root);
    } else {
        ob_encode_options options;
        ob_encode_options_default(&options);
        options.details = true;
        status = encode(job, text, bytes, NULL, &options, &err);
        if (status == OB_OK && job->ctx->json)
            append_encoding_json(job, false, &job->out);
        else if (status == OB_OK)
            print_table(job, text);
    }
    if (status != OB_OK && (json || job->ctx->json))
        append_error_json(err.text, &job->out);
    else if (status != OB_OK)
        cli_fail(job->ctx, &err);
    fwrite(ob_strbuf_text(&job->out), 1, job->out.length, stdout);
    return status == OB_OK;
}

static int take_lines(tokenize_job *job)
{
    char path[] = "-", text[] = "text", pair[] = "text_pair", id[] = "id";
    ob_input_spec input = {
        .path = path, .format = OB_INPUT_TEXT, .text_field = text, .pair_field = pair, .id_field = id};
    ob_reader *reader;
    ob_error err;
    ob_error_clear(&err);
    if (ob_reader_create(&input, 1, &reader, &err) != OB_OK)
        return cli_fail(job->ctx, &err);
    ob_row row;
    ob_row_init(&row);
    bool more = true, all = true;
    ob_status status;
    while ((status = ob_reader_next(reader, &row, &more, &err)) == OB_OK && more) {
        all &= take_row(job, ob_strbuf_text(&row.text), row.text.length);
        ob_row_clear(&row);
    }
    ob_row_release(&row);
    ob_reader_destroy(reader);
    if (status != OB_OK)
        return cli_fail(job->ctx, &err);
    return all ? 0 : ob_status_exit_code(OB_ERR_ROWS_FAILED);
}

int cli_tokenize(cli_context *ctx, int argc, char **argv)
{
    tokenize_job job = {.ctx = ctx, .encoding = OB_ENCODING_INIT};
    const cli_option options[] = {
        {"jsonl", 0, NULL, "rows {\"text\", \"text_pair\", \"options\"} from standard input", NULL, &job.jsonl, NULL,
         NULL},
        {"decode", 0, NULL, "rows {\"ids\", \"skip_special_tokens\"} to {\"text\"}", NULL, &job.decode, NULL, NULL},
    };
    size_t count;
    int status =
        cli_parse(ctx, cli_find_command("tokenize"), options, sizeof options / sizeof *options, argc, argv, &count);
    if (status >= 0)
        return status;
    bool lines = job.jsonl || job.decode || (count == 1 && strcmp(argv[0], "-") == 0);
    if (count == 0 && !lines)
        return cli_usage(ctx, "a text is needed, or '-' for lines of standard input");
    ob_error err;
    ob_error_clear(&err);
    const char *model = cli_model_folder(ctx, &err);
    if (model == NULL || ob_tokenizer_open(model, &job.tokenizer, &err) != OB_OK) {
        if (model != NULL)
            ob_error_prefix(&err, "%s", model);
        return cli_fail(ctx, &err);
    }
    job.cache = ob_tokenizer_cache_create();
    status = 0;
    if (lines)
        status = take_lines(&job);
    for (size_t i = 0; !lines && i < count; i++)
        if (!take_row(&job, argv[i], strlen(argv[i])))
            status = ob_status_exit_code(OB_ERR_INPUT);
    ob_strbuf_release(&job.out);
    ob_encoding_release(&job.encoding);
    ob_tokenizer_cache_destroy(job.cache);
    ob_tokenizer_close(job.tokenizer);
    return status;
}
