/* oberta inspect: what a model folder holds, what it will need, or everything that is wrong with it. */
#include "inspect_report.h"

#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/roberta.h>
#include <stdlib.h>
#include <string.h>

/* Defects of all parts of a folder, a line each; more than one ob_error holds. */
typedef struct defects {
    const char *folder;
    ob_strbuf text;
    ob_status first;
} defects;

/* Takes over the lines of one part's error and clears it. */
static void note(defects *all, ob_error *err)
{
    if (err->status != OB_OK && all->first == OB_OK)
        all->first = err->status;
    for (const char *line = err->text; err->status != OB_OK && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, all->folder, strlen(all->folder)) != 0) /* some name the whole path already */
            ob_strbuf_printf(&all->text, "%s: ", all->folder);
        ob_strbuf_append(&all->text, line, length);
        ob_strbuf_putc(&all->text, '\n');
        line += length + (line[length] == '\n');
    }
    ob_error_clear(err);
}

static bool has_tensor_of(const cli_folder *f, const char *part)
{
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++)
        if (strstr(ob_checkpoint_get(f->checkpoint, i)->name, part) != NULL)
            return true;
    return false;
}

/* What is in the file beyond the encoder and the head of its class. A head of which only a part is there is shown, but
 * no defect: nobody asks for it. */
static void find_other_heads(cli_folder *f, ob_error *err)
{
    static const char *const parts[CLI_HEAD_COUNT] = {[OB_HEAD_LM] = "lm_head.",
                                                      [OB_HEAD_SEQUENCE_CLASSIFICATION] = "classifier.out_proj.",
                                                      [OB_HEAD_QUESTION_ANSWERING] = "qa_outputs."};
    for (size_t head = OB_HEAD_NONE + 1; head < CLI_HEAD_COUNT; head++) {
        if (f->heads[head] == CLI_HEAD_FOUND)
            continue;
        if (ob_roberta_find_tensors(&f->config, f->checkpoint, (ob_head)head, false, f->used, err) == OB_OK) {
            f->heads[head] = CLI_HEAD_FOUND;
        } else if (parts[head] != NULL && has_tensor_of(f, parts[head])) {
            f->heads[head] = CLI_HEAD_INCOMPLETE;
            ob_strbuf_append(&f->why[head], err->text, strcspn(err->text, "\n"));
        }
        ob_error_clear(err);
    }
    f->pooler = ob_roberta_find_tensors(&f->config, f->checkpoint, OB_HEAD_NONE, true, f->used, err) == OB_OK;
    ob_error_clear(err);
}

static void check_weights(cli_folder *f, defects *all, ob_error *err)
{
    f->used = ob_calloc(ob_checkpoint_count(f->checkpoint) + 1, sizeof *f->used);
    if (f->used == NULL)
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the names of its tensors");
    else if (ob_roberta_find_tensors(&f->config, f->checkpoint, f->config.head, false, f->used, err) == OB_OK) {
        f->heads[f->config.head] = CLI_HEAD_FOUND;
        find_other_heads(f, err);
    }
    note(all, err);
}

/* Every part is opened, whatever is wrong with the others. */
static void open_folder(cli_folder *f, defects *all)
{
    ob_error err;
    ob_error_clear(&err);
    if (!ob_folder_exists(f->path)) {
        ob_error_set(&err, OB_ERR_MODEL, "no such folder");
        note(all, &err);
        return;
    }
    bool config = ob_roberta_config_load(f->path, &f->config, &err) == OB_OK;
    note(all, &err);
    bool checkpoint = ob_checkpoint_open(f->path, &f->checkpoint, &err) == OB_OK;
    note(all, &err);
    if (config && checkpoint)
        check_weights(f, all, &err);
    bool tokenizer = ob_tokenizer_open(f->path, &f->tokenizer, &err) == OB_OK;
    note(all, &err);
    if (config && tokenizer && ob_tokenizer_max_id(f->tokenizer) >= (int32_t)f->config.vocab_size)
        ob_error_add(&err, OB_ERR_MODEL, "the tokenizer has ids up to %d, but config.json's vocab_size is %zu",
                     (int)ob_tokenizer_max_id(f->tokenizer), f->config.vocab_size);
    note(all, &err);
}

static void close_folder(cli_folder *f)
{
    for (size_t head = 0; head < CLI_HEAD_COUNT; head++)
        ob_strbuf_release(&f->why[head]);
    ob_free(f->used);
    ob_tokenizer_close(f->tokenizer);
    ob_checkpoint_close(f->checkpoint);
    ob_roberta_config_release(&f->config);
}

/* Messages to standard error; for machines also the list of them. */
static int report_defects(const cli_context *ctx, const defects *all)
{
    ob_strbuf json = OB_STRBUF_INIT;
    bool red = ctx->err_is_terminal && ctx->colour;
    ob_strbuf_puts(&json, "{\"folder\":");
    ob_json_append_string(&json, all->folder, strlen(all->folder));
    ob_strbuf_puts(&json, ",\"usable\":false,\"errors\":[");
    const char *before = "";
    for (const char *line = ob_strbuf_text(&all->text); *line != '\0'; before = ",") {
        size_t length = strcspn(line, "\n");
        ob_strbuf_puts(&json, before);
        ob_json_append_string(&json, line, length);
        line += length + (line[length] == '\n');
    }
    ob_strbuf_puts(&json, "]}\n");
    if (ctx->json)
        fputs(ob_strbuf_text(&json), stdout);
    ob_strbuf_release(&json);
    fflush(stdout);
    fputs(red ? "\033[31m" : "", stderr);
    cli_print_lines(stderr, ob_strbuf_text(&all->text));
    fputs(red ? "\033[0m" : "", stderr);
    return ob_status_exit_code(all->first);
}

static int report_folder(const cli_context *ctx, const cli_folder *f)
{
    ob_strbuf out = OB_STRBUF_INIT;
    if (ctx->json)
        cli_inspect_append_json(f, &out);
    else
        cli_inspect_append_text(ctx, f, &out);
    int status = 0;
    if (out.failed) {
        ob_error err;
        ob_error_clear(&err);
        ob_error_set(&err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for the report", f->path);
        status = cli_fail(ctx, &err);
    } else if (ctx->json) {
        fputs(ob_strbuf_text(&out), stdout);
    } else {
        cli_print_lines(stdout, ob_strbuf_text(&out));
    }
    ob_strbuf_release(&out);
    return status;
}

int cli_inspect(cli_context *ctx, int argc, char **argv)
{
    const char *tokens = "2048";
    const cli_option options[] = {
        {"tokens", 0, "N", "memory for a batch of N tokens (default: 2048)", &tokens, NULL, NULL, NULL},
    };
    size_t count;
    int status =
        cli_parse(ctx, cli_find_command("inspect"), options, sizeof options / sizeof *options, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count > 1)
        return cli_usage(ctx, "'%s': one folder is inspected at a time", argv[1]);
    char *end;
    unsigned long batch = strtoul(tokens, &end, 10);
    if (*end != '\0' || tokens[0] < '0' || tokens[0] > '9' || batch == 0 || batch > INT32_MAX)
        return cli_usage(ctx, "--tokens: '%s' is not a number between 1 and %d", tokens, INT32_MAX);
    ob_error err;
    ob_error_clear(&err);
    cli_folder f = {.path = count == 1 ? argv[0] : cli_model_folder(ctx, &err), .tokens = batch};
    if (f.path == NULL)
        return cli_fail(ctx, &err);
    defects all = {f.path, OB_STRBUF_INIT, OB_OK};
    open_folder(&f, &all);
    status = all.first != OB_OK ? report_defects(ctx, &all) : report_folder(ctx, &f);
    close_folder(&f);
    ob_strbuf_release(&all.text);
    return status;
}
