/* A model folder in words. */
#include "inspect_report.h"

#include <oberta/roberta.h>

#define SHOWN_LABELS 8
#define SHOWN_UNUSED 6

static size_t count_pruned(const ob_roberta_config *c)
{
    size_t count = 0;
    for (size_t i = 0; c->pruned_heads != NULL && i < c->num_hidden_layers * c->num_attention_heads; i++)
        count += c->pruned_heads[i] != 0;
    return count;
}

static void append_architecture(const cli_folder *f, ob_strbuf *out)
{
    const ob_roberta_config *c = &f->config;
    ob_strbuf_printf(out,
                     "architecture  %s: %zu layer%s x %zu, %zu heads of %zu, intermediate %zu, %s, layer norm eps %g",
                     c->architecture, c->num_hidden_layers, c->num_hidden_layers == 1 ? "" : "s", c->hidden_size,
                     c->num_attention_heads, c->hidden_size / c->num_attention_heads, c->intermediate_size,
                     c->hidden_act, (double)c->layer_norm_eps);
    ob_strbuf_puts(out, c->is_decoder ? ", decoder" : "");
    ob_strbuf_puts(out, c->add_cross_attention ? ", cross-attention" : "");
    if (count_pruned(c) > 0)
        ob_strbuf_printf(out, ", %zu heads pruned", count_pruned(c));
    ob_strbuf_printf(out, "\nvocabulary    %zu tokens, rows of up to %zu tokens, %zu token type%s\n", c->vocab_size,
                     ob_roberta_config_max_length(c), c->type_vocab_size, c->type_vocab_size == 1 ? "" : "s");
}

static void append_weights(const cli_folder *f, ob_strbuf *out)
{
    char file[16], parameters[32];
    cli_format_bytes(file, ob_checkpoint_bytes(f->checkpoint));
    cli_format_count(parameters, cli_count_parameters(f));
    ob_strbuf_printf(out, "weights       %s, %s, %zu tensors", ob_checkpoint_container(f->checkpoint), file,
                     ob_checkpoint_count(f->checkpoint));
    const char *before = " (";
    for (int dtype = 0; dtype < OB_DTYPE_COUNT; dtype++)
        if (cli_count_dtype(f, dtype) > 0) {
            ob_strbuf_printf(out, "%s%zu %s", before, cli_count_dtype(f, dtype), ob_dtype_name((ob_dtype)dtype));
            before = ", ";
        }
    ob_strbuf_printf(out, "%s, %s parameters\n", before[0] == ',' ? ")" : "", parameters);
}

static void append_labels(const ob_roberta_config *c, ob_strbuf *out)
{
    ob_strbuf_printf(out, ", %zu label%s (", c->label_count, c->label_count == 1 ? "" : "s");
    for (size_t i = 0; i < c->label_count && i < SHOWN_LABELS; i++)
        ob_strbuf_printf(out, "%s%s", i > 0 ? ", " : "", c->labels[i]);
    ob_strbuf_puts(out, c->label_count > SHOWN_LABELS ? ", ...)" : ")");
}

static void append_heads(const cli_folder *f, ob_strbuf *out)
{
    const ob_roberta_config *c = &f->config;
    const char *before = "heads         ";
    for (size_t head = 0; head < CLI_HEAD_COUNT; head++) {
        if (f->heads[head] != CLI_HEAD_FOUND || head == OB_HEAD_NONE)
            continue;
        ob_strbuf_printf(out, "%s%s", before, cli_head_name(c, head));
        if (head == OB_HEAD_LM)
            ob_strbuf_puts(out,
                           c->tie_word_embeddings ? ", decoder tied to the word embeddings" : ", decoder of its own");
        if (head == OB_HEAD_SEQUENCE_CLASSIFICATION || head == OB_HEAD_TOKEN_CLASSIFICATION)
            append_labels(c, out);
        before = "\n              ";
    }
    if (f->pooler)
        ob_strbuf_printf(out, "%spooler", before);
    else if (before[0] != '\n')
        ob_strbuf_printf(out, "%snone: the encoder alone, without a pooler", before);
    ob_strbuf_putc(out, '\n');
    for (size_t head = 0; head < CLI_HEAD_COUNT; head++)
        if (f->heads[head] == CLI_HEAD_INCOMPLETE)
            ob_strbuf_printf(out, "incomplete    %s: %s\n", cli_head_name(c, head), ob_strbuf_text(&f->why[head]));
}

static void append_unused(const cli_folder *f, ob_strbuf *out)
{
    size_t count = 0;
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++) {
        if (f->used[i])
            continue;
        if (count < SHOWN_UNUSED)
            ob_strbuf_printf(out, "%s%s", count == 0 ? "not used      " : ", ",
                             ob_checkpoint_get(f->checkpoint, i)->name);
        count++;
    }
    if (count > SHOWN_UNUSED)
        ob_strbuf_printf(out, " and %zu more (-v lists them)", count - SHOWN_UNUSED);
    ob_strbuf_puts(out, count > 0 ? "\n" : "");
}

static void append_tokenizer(const cli_folder *f, ob_strbuf *out)
{
    const char *files[CLI_TOKENIZER_FILES];
    size_t count = cli_list_tokenizer_files(f, files), length = ob_tokenizer_model_max_length(f->tokenizer);
    ob_strbuf_puts(out, "tokenizer     byte-level BPE, ");
    for (size_t i = 0; i < count; i++)
        ob_strbuf_printf(out, "%s%s", i > 0 ? ", " : "", files[i]);
    ob_strbuf_printf(out, "\n              %zu tokens, %zu of them added;", ob_tokenizer_vocab_size(f->tokenizer),
                     ob_tokenizer_added_count(f->tokenizer));
    for (int i = 0; i < OB_SPECIAL_TOKEN_COUNT; i++) {
        int32_t id = ob_tokenizer_special_id(f->tokenizer, (ob_special_token)i);
        const char *token = ob_tokenizer_token(f->tokenizer, id);
        ob_strbuf_printf(out, "%s %s ", i > 0 ? "," : "", cli_special_names[i]);
        if (id < 0)
            ob_strbuf_puts(out, "none");
        else
            ob_strbuf_printf(out, "%s %d", token != NULL ? token : "-", (int)id);
    }
    ob_strbuf_puts(out, "\n              model_max_length ");
    if (length > 0)
        ob_strbuf_printf(out, "%zu", length);
    else
        ob_strbuf_puts(out, "not set");
    ob_strbuf_printf(out, ", add_prefix_space %s, trim_offsets %s\n",
                     ob_tokenizer_adds_prefix_space(f->tokenizer) ? "true" : "false",
                     ob_tokenizer_trims_offsets(f->tokenizer) ? "true" : "false");
}

static void append_sentence(const cli_folder *f, ob_strbuf *out)
{
    const ob_sentence *s = &f->sentence;
    if (!s->found)
        return;
    ob_strbuf_puts(out, "sentence      modules.json: ");
    if (f->sentence_why.length > 0) {
        ob_strbuf_printf(out, "%s; feature-extraction needs feature_extraction.pooling\n",
                         ob_strbuf_text(&f->sentence_why));
        return;
    }
    const char *before = "";
    for (unsigned one = 1; one != 0 && one <= s->poolings; one <<= 1)
        if ((s->poolings & one) != 0) {
            ob_strbuf_printf(out, "%s%s", before, ob_sentence_pooling_name(one));
            before = " + ";
        }
    ob_strbuf_puts(out, s->normalize ? " pooling, normalized" : " pooling");
    if (s->max_seq_length > 0)
        ob_strbuf_printf(out, ", max_seq_length %zu", s->max_seq_length);
    ob_strbuf_puts(out, s->transformer[0] != '\0' ? ", encoder in " : "");
    ob_strbuf_printf(out, "%s\n", s->transformer);
}

static void append_tasks(const cli_folder *f, ob_strbuf *out)
{
    const char *before = "tasks         ";
    for (size_t task = 0; task < CLI_TASK_COUNT; task++)
        if (cli_runs_task(f, (ob_task)task)) {
            ob_strbuf_printf(out, "%s%s", before, ob_task_name((ob_task)task));
            before = ", ";
        }
    ob_strbuf_putc(out, '\n');
}

static void append_tensors(const cli_folder *f, ob_strbuf *out)
{
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++) {
        const ob_tensor *t = ob_checkpoint_get(f->checkpoint, i);
        ob_strbuf_printf(out, "  %-5s %s  (", ob_dtype_name(t->dtype), t->name);
        for (size_t d = 0; d < t->rank; d++)
            ob_strbuf_printf(out, d > 0 ? ", %zu" : "%zu", t->shape[d]);
        ob_strbuf_puts(out, f->used[i] ? ")\n" : ")  not used\n");
    }
}

static void append_memory(const cli_folder *f, ob_strbuf *out)
{
    char text[16], tokens[32];
    ob_roberta_memory memory = ob_roberta_estimate(&f->config, OB_HEAD_NONE, f->tokens);
    cli_format_bytes(text, cli_count_parameters(f) * sizeof(float));
    ob_strbuf_printf(out, "memory        %s of weights in float32; a batch of ", text);
    cli_format_count(tokens, f->tokens);
    cli_format_bytes(text, memory.gpu_bytes);
    ob_strbuf_printf(out, "%s tokens takes about %s on a GPU, ", tokens, text);
    cli_format_bytes(text, memory.cpu_bytes);
    ob_strbuf_printf(out, "%s on a CPU", text);
    if (f->heads[OB_HEAD_LM] == CLI_HEAD_FOUND) {
        cli_format_bytes(text, ob_roberta_estimate(&f->config, OB_HEAD_LM, f->tokens).gpu_bytes);
        ob_strbuf_printf(out, ", %s with its logits", text);
    }
    ob_strbuf_putc(out, '\n');
}

void cli_inspect_append_text(const cli_context *ctx, const cli_folder *f, ob_strbuf *out)
{
    ob_strbuf_printf(out, "folder        %s\n", f->path);
    append_architecture(f, out);
    append_weights(f, out);
    append_heads(f, out);
    append_unused(f, out);
    append_tokenizer(f, out);
    append_sentence(f, out);
    append_tasks(f, out);
    append_memory(f, out);
    if (ctx->verbose > 0)
        append_tensors(f, out);
}
