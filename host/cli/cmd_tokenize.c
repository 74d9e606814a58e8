/* oberta tokenize: ids, tokens and offsets of texts; text of ids. */
#include "cli.h"
#include "tokenize_row.h"

#include <jansson.h>
#include <oberta/memory.h>
#include <oberta/sentence.h>
#include <string.h>

typedef struct tokenize_job {
    cli_context *ctx;
    ob_tokenizer *tokenizer;
    ob_tokenizer_cache *cache;
    tokenize_batch batch;
    ob_strbuf out;
    bool jsonl, decode;
} tokenize_job;

static void append_error_json(const char *message, ob_strbuf *out)
{
    ob_strbuf_puts(out, "{\"error\":");
    ob_json_append_string(out, message, strlen(message));
    ob_strbuf_putc(out, '}');
}

static void print_table(const tokenize_job *job, const char *text, size_t bytes)
{
    const ob_encoding *e = &job->batch.lists[0].windows[0];
    cli_print_text(stdout, text, bytes);
    printf("\n     id  offsets    token\n");
    for (size_t i = 0; i < e->count; i++) {
        char range[48];
        const char *token = ob_tokenizer_token(job->tokenizer, e->ids[i]);
        snprintf(range, sizeof range, "%zu-%zu", e->offsets[i][0], e->offsets[i][1]);
        printf("%7d  %-9s  ", (int)e->ids[i], e->special_tokens_mask[i] ? "" : range);
        if (token != NULL)
            cli_print_text(stdout, token, strlen(token));
        putchar('\n');
    }
}

static ob_status encode(tokenize_job *job, const json_t *text, const json_t *pair, const tokenize_options *options,
                        ob_error *err)
{
    if (!json_is_string(text) || (pair != NULL && !json_is_string(pair)))
        return ob_error_set(err, OB_ERR_INPUT, "%s: a string, or for a batch a list of strings, is expected",
                            json_is_string(text) ? "text_pair" : "text");
    return tokenize_batch_add(&job->batch, job->tokenizer, job->cache, json_string_value(text),
                              json_string_length(text), json_string_value(pair), json_string_length(pair), options,
                              err);
}

static ob_status encode_batch(tokenize_job *job, const json_t *texts, const json_t *pairs,
                              const tokenize_options *options, ob_error *err)
{
    size_t i;
    const json_t *text;
    if (pairs != NULL && json_array_size(pairs) != json_array_size(texts))
        return ob_error_set(err, OB_ERR_INPUT, "text_pair: a list of %zu strings is expected, as text is one",
                            json_array_size(texts));
    json_array_foreach(texts, i, text)
    {
        const json_t *pair = pairs != NULL ? json_array_get(pairs, i) : NULL;
        if (encode(job, text, pair, options, err) != OB_OK) {
            ob_error_prefix(err, "text %zu", i);
            return ob_error_status(err);
        }
    }
    return OB_OK;
}

static ob_status encode_json_row(tokenize_job *job, const json_t *root, ob_error *err)
{
    const json_t *text = json_object_get(root, "text"), *pair = json_object_get(root, "text_pair");
    bool is_list = json_is_array(text);
    tokenize_options options;
    if (json_is_null(pair))
        pair = NULL;
    if (tokenize_options_read(job->tokenizer, json_object_get(root, "options"), &options, err) != OB_OK ||
        (is_list ? encode_batch(job, text, pair, &options, err) : encode(job, text, pair, &options, err)) != OB_OK)
        return ob_error_status(err);
    return tokenize_batch_append(&job->batch, job->tokenizer, &options, is_list, pair != NULL, &job->out, err);
}

static ob_status encode_plain(tokenize_job *job, const char *text, size_t bytes, ob_error *err)
{
    tokenize_options options;
    tokenize_options_default(job->tokenizer, &options);
    if (tokenize_batch_add(&job->batch, job->tokenizer, job->cache, text, bytes, NULL, 0, &options, err) != OB_OK)
        return ob_error_status(err);
    if (job->ctx->json)
        return tokenize_batch_append(&job->batch, job->tokenizer, &options, false, false, &job->out, err);
    print_table(job, text, bytes);
    return OB_OK;
}

/* A switch of a row, which may be absent. */
static ob_status read_switch(const json_t *root, const char *key, bool fallback, bool *out, ob_error *err)
{
    const json_t *value = json_object_get(root, key);
    if (value != NULL && !json_is_null(value) && !json_is_boolean(value))
        return ob_error_set(err, OB_ERR_INPUT, "%s: true or false is expected", key);
    *out = json_is_boolean(value) ? json_is_true(value) : fallback;
    return OB_OK;
}

/* Ids that no vocabulary can have become -1, which is left out like any unknown one. */
static ob_status read_ids(const json_t *list, int32_t *ids, ob_error *err)
{
    size_t i;
    const json_t *value;
    json_array_foreach(list, i, value)
    {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value))
            return ob_error_set(err, OB_ERR_INPUT, "ids[%zu]: an integer is expected", i);
        ids[i] = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
    }
    return OB_OK;
}

static ob_status decode_json_row(tokenize_job *job, const json_t *root, ob_error *err)
{
    const json_t *list = json_object_get(root, "ids");
    bool skip, clean_up;
    ob_strbuf text = OB_STRBUF_INIT;
    if (!json_is_array(list))
        return ob_error_set(err, OB_ERR_INPUT, "ids: a list of integers is expected");
    if (read_switch(root, "skip_special_tokens", false, &skip, err) != OB_OK ||
        read_switch(root, "clean_up_tokenization_spaces", ob_tokenizer_cleans_up_spaces(job->tokenizer), &clean_up,
                    err) != OB_OK)
        return ob_error_status(err);
    int32_t *ids = ob_realloc_array(NULL, json_array_size(list), sizeof *ids);
    if (ids == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu ids", json_array_size(list));
    ob_status status = read_ids(list, ids, err);
    if (status == OB_OK)
        status = ob_tokenizer_decode(job->tokenizer, ids, json_array_size(list), skip, clean_up, &text, err);
    if (status == OB_OK) {
        ob_strbuf_puts(&job->out, "{\"text\":");
        ob_json_append_string(&job->out, ob_strbuf_text(&text), text.length);
        ob_strbuf_putc(&job->out, '}');
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
    job->batch.count = 0;
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
        status = encode_plain(job, text, bytes, &err);
    }
    if (status != OB_OK)
        ob_strbuf_clear(&job->out);
    if (status != OB_OK && (json || job->ctx->json))
        append_error_json(err.text, &job->out);
    else if (status != OB_OK)
        cli_fail(job->ctx, &err);
    if (job->out.length > 0)
        ob_strbuf_putc(&job->out, '\n');
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

static ob_status open_tokenizer(cli_context *ctx, ob_tokenizer **out, ob_error *err)
{
    const char *folder = cli_model_folder(ctx, err);
    char *model = NULL;
    if (folder == NULL || ob_model_folder_find(folder, &model, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_tokenizer_open(model, out, err);
    if (status != OB_OK)
        ob_error_prefix_each(err, "%s", model);
    ob_free(model);
    return status;
}

int cli_tokenize(cli_context *ctx, int argc, char **argv)
{
    tokenize_job job = {.ctx = ctx};
    const cli_option options[] = {
        {"jsonl", 0, NULL, "rows {\"text\", \"text_pair\", \"options\"} from standard input", NULL, &job.jsonl, NULL,
         NULL},
        {"decode", 0, NULL, "rows {\"ids\", \"skip_special_tokens\", \"clean_up_tokenization_spaces\"} to {\"text\"}",
         NULL, &job.decode, NULL, NULL},
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
    if (open_tokenizer(ctx, &job.tokenizer, &err) != OB_OK)
        return cli_fail(ctx, &err);
    job.cache = ob_tokenizer_cache_create();
    status = 0;
    if (lines)
        status = take_lines(&job);
    for (size_t i = 0; !lines && i < count; i++)
        if (!take_row(&job, argv[i], strlen(argv[i])))
            status = ob_status_exit_code(OB_ERR_INPUT);
    ob_strbuf_release(&job.out);
    tokenize_batch_release(&job.batch);
    ob_tokenizer_cache_destroy(job.cache);
    ob_tokenizer_close(job.tokenizer);
    return status;
}
