/* oberta inspect: what a model folder holds, what it will need, or everything that is wrong with it. */
#include "cli.h"

#include <oberta/checkpoint.h>
#include <oberta/roberta.h>
#include <string.h>

typedef struct folder {
    const char *path;
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_tokenizer *tokenizer;
    bool encoder, lm_head;
} folder;

/* Adds the defects of one part, a line each. */
static void note(ob_error *all, ob_status status, const ob_error *part)
{
    if (status != OB_OK)
        ob_error_add(all, status, "%s", part->text);
}

static void open_folder(folder *f, ob_error *all)
{
    ob_error err;
    ob_error_clear(&err);
    ob_status config = ob_roberta_config_load(f->path, &f->config, &err);
    note(all, config, &err);
    ob_error_clear(&err);
    ob_status checkpoint = ob_checkpoint_open(f->path, &f->checkpoint, &err);
    note(all, checkpoint, &err);
    ob_error_clear(&err);
    note(all, ob_tokenizer_open(f->path, &f->tokenizer, &err), &err);
    if (config == OB_OK && checkpoint == OB_OK) {
        ob_error_clear(&err);
        ob_status encoder = ob_roberta_check(&f->config, f->checkpoint, OB_HEAD_NONE, false, &err);
        note(all, encoder, &err);
        f->encoder = encoder == OB_OK;
        ob_error_clear(&err);
        f->lm_head = ob_roberta_check(&f->config, f->checkpoint, OB_HEAD_LM, false, &err) == OB_OK;
        if (!f->lm_head && strstr(f->config.architecture, "MaskedLM") != NULL && f->encoder)
            note(all, OB_ERR_MODEL, &err);
    }
    if (config == OB_OK && f->tokenizer != NULL && ob_tokenizer_max_id(f->tokenizer) >= (int32_t)f->config.vocab_size)
        ob_error_add(all, OB_ERR_MODEL, "vocab.json has ids up to %d, but config.json's vocab_size is %zu",
                     (int)ob_tokenizer_max_id(f->tokenizer), f->config.vocab_size);
}

static uint64_t count_parameters(const ob_checkpoint *checkpoint)
{
    uint64_t total = 0;
    for (size_t i = 0; i < ob_checkpoint_count(checkpoint); i++)
        if (ob_dtype_is_float(ob_checkpoint_get(checkpoint, i)->dtype))
            total += ob_checkpoint_get(checkpoint, i)->count;
    return total;
}

/* Float32 on the device for a batch of this many tokens: the activations that live at the same time. */
static uint64_t activation_bytes(const ob_roberta_config *c, uint64_t tokens)
{
    uint64_t wide = c->intermediate_size > 4 * c->hidden_size ? c->intermediate_size : 4 * c->hidden_size;
    return tokens * (2 * c->hidden_size + wide) * sizeof(float);
}

static void print_tensors(const folder *f)
{
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++) {
        const ob_tensor *t = ob_checkpoint_get(f->checkpoint, i);
        printf("  %-5s ", ob_dtype_name(t->dtype));
        cli_print_text(stdout, t->name, strlen(t->name));
        printf("  (");
        for (size_t d = 0; d < t->rank; d++)
            printf(d > 0 ? ", %zu" : "%zu", t->shape[d]);
        printf(")\n");
    }
}

static void print_text(const cli_context *ctx, const folder *f)
{
    const ob_roberta_config *c = &f->config;
    char file[16], weights[16], batch[16], parameters[32];
    uint64_t total = count_parameters(f->checkpoint);
    cli_format_bytes(file, ob_checkpoint_bytes(f->checkpoint));
    cli_format_bytes(weights, total * sizeof(float));
    cli_format_bytes(batch, activation_bytes(c, 2048));
    cli_format_count(parameters, total);
    printf("folder        %s\n", f->path);
    printf("architecture  %s: %zu layers x %zu, %zu heads of %zu, intermediate %zu, %s, layer norm eps %g\n",
           c->architecture, c->num_hidden_layers, c->hidden_size, c->num_attention_heads,
           c->hidden_size / c->num_attention_heads, c->intermediate_size, c->hidden_act, (double)c->layer_norm_eps);
    printf("vocabulary    %zu tokens (tokenizer: %zu), rows of up to %zu tokens, %zu token types\n", c->vocab_size,
           ob_tokenizer_vocab_size(f->tokenizer), ob_roberta_config_max_length(c), c->type_vocab_size);
    printf("weights       %s, %s, %zu tensors, %s parameters\n", ob_checkpoint_container(f->checkpoint), file,
           ob_checkpoint_count(f->checkpoint), parameters);
    printf("heads         %s\n", f->lm_head ? (c->tie_word_embeddings ? "masked LM, decoder tied to the word embeddings"
                                                                      : "masked LM, decoder of its own")
                                            : "none that this version runs; feature-extraction and forward work");
    printf("memory        %s of weights in float32, about %s for a batch of 2,048 tokens\n", weights, batch);
    if (ctx->verbose > 0)
        print_tensors(f);
}

static void print_json(const folder *f)
{
    const ob_roberta_config *c = &f->config;
    ob_strbuf out = OB_STRBUF_INIT;
    ob_strbuf_puts(&out, "{\"folder\":");
    ob_json_append_string(&out, f->path, strlen(f->path));
    ob_strbuf_puts(&out, ",\"architecture\":");
    ob_json_append_string(&out, c->architecture, strlen(c->architecture));
    ob_strbuf_printf(&out,
                     ",\"vocab_size\":%zu,\"hidden_size\":%zu,\"num_hidden_layers\":%zu,\"num_attention_heads\":%zu,"
                     "\"intermediate_size\":%zu,\"max_position_embeddings\":%zu,\"type_vocab_size\":%zu,"
                     "\"layer_norm_eps\":%.9g,\"hidden_act\":\"%s\",\"max_length\":%zu,\"tokenizer_tokens\":%zu,",
                     c->vocab_size, c->hidden_size, c->num_hidden_layers, c->num_attention_heads, c->intermediate_size,
                     c->max_position_embeddings, c->type_vocab_size, (double)c->layer_norm_eps, c->hidden_act,
                     ob_roberta_config_max_length(c), ob_tokenizer_vocab_size(f->tokenizer));
    ob_strbuf_printf(&out, "\"container\":\"%s\",\"bytes\":%llu,\"parameters\":%llu,\"heads\":[%s],\"tensors\":[",
                     ob_checkpoint_container(f->checkpoint), (unsigned long long)ob_checkpoint_bytes(f->checkpoint),
                     (unsigned long long)count_parameters(f->checkpoint), f->lm_head ? "\"masked-lm\"" : "");
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++) {
        const ob_tensor *t = ob_checkpoint_get(f->checkpoint, i);
        ob_strbuf_puts(&out, i > 0 ? ",{\"name\":" : "{\"name\":");
        ob_json_append_string(&out, t->name, strlen(t->name));
        ob_strbuf_printf(&out, ",\"dtype\":\"%s\",\"shape\":[", ob_dtype_name(t->dtype));
        for (size_t d = 0; d < t->rank; d++)
            ob_strbuf_printf(&out, d > 0 ? ",%zu" : "%zu", t->shape[d]);
        ob_strbuf_puts(&out, "]}");
    }
    ob_strbuf_puts(&out, "]}\n");
    fputs(ob_strbuf_text(&out), stdout);
    ob_strbuf_release(&out);
}

int cli_inspect(cli_context *ctx, int argc, char **argv)
{
    size_t count;
    int status = cli_parse(ctx, cli_find_command("inspect"), NULL, 0, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count > 1)
        return cli_usage(ctx, "'%s': one folder is inspected at a time", argv[1]);
    ob_error all;
    ob_error_clear(&all);
    folder f = {.path = count == 1 ? argv[0] : cli_model_folder(ctx, &all)};
    if (f.path == NULL)
        return cli_fail(ctx, &all);
    open_folder(&f, &all);
    if (all.status != OB_OK) {
        ob_error_prefix(&all, "%s", f.path);
        status = cli_fail(ctx, &all);
    } else {
        status = 0;
        if (ctx->json)
            print_json(&f);
        else
            print_text(ctx, &f);
    }
    ob_tokenizer_close(f.tokenizer);
    ob_checkpoint_close(f.checkpoint);
    ob_roberta_config_release(&f.config);
    return status;
}
