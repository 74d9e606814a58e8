/* A model folder in words, and as JSON. */
#include "inspect_report.h"

#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/roberta.h>
#include <string.h>

#define SHOWN_LABELS    8
#define SHOWN_UNUSED    6
#define TOKENIZER_FILES 5

static const char *const special_names[OB_SPECIAL_TOKEN_COUNT] = {[OB_TOKEN_BOS] = "bos",
                                                                  [OB_TOKEN_PAD] = "pad",
                                                                  [OB_TOKEN_EOS] = "eos",
                                                                  [OB_TOKEN_UNK] = "unk",
                                                                  [OB_TOKEN_MASK] = "mask"};

static const char *head_name(const ob_roberta_config *config, size_t head)
{
    static const char *const names[CLI_HEAD_COUNT] = {[OB_HEAD_SEQUENCE_CLASSIFICATION] = "sequence-classification",
                                                      [OB_HEAD_TOKEN_CLASSIFICATION] = "token-classification",
                                                      [OB_HEAD_QUESTION_ANSWERING] = "question-answering",
                                                      [OB_HEAD_MULTIPLE_CHOICE] = "multiple-choice"};
    if (head == OB_HEAD_LM)
        return config->is_decoder ? "causal-lm" : "masked-lm";
    return names[head];
}

static uint64_t count_parameters(const cli_folder *f)
{
    uint64_t total = 0;
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++)
        if (f->used[i])
            total += ob_checkpoint_get(f->checkpoint, i)->count;
    return total;
}

static size_t count_pruned(const ob_roberta_config *c)
{
    size_t count = 0;
    for (size_t i = 0; c->pruned_heads != NULL && i < c->num_hidden_layers * c->num_attention_heads; i++)
        count += c->pruned_heads[i] != 0;
    return count;
}

static bool has_file(const cli_folder *f, const char *name)
{
    char *path = ob_path_join(f->path, name);
    bool exists = path != NULL && ob_file_exists(path);
    ob_free(path);
    return exists;
}

/* The files that the tokenizer was read from: vocab.json and merges.txt count where there is no tokenizer.json. */
static size_t list_tokenizer_files(const cli_folder *f, const char *files[TOKENIZER_FILES])
{
    static const char *const others[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
    size_t count = 0;
    if (has_file(f, "tokenizer.json")) {
        files[count++] = "tokenizer.json";
    } else {
        files[count++] = "vocab.json";
        files[count++] = "merges.txt";
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (has_file(f, others[i]))
            files[count++] = others[i];
    return count;
}

static size_t count_dtype(const cli_folder *f, int dtype)
{
    size_t count = 0;
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++)
        count += ob_checkpoint_get(f->checkpoint, i)->dtype == (ob_dtype)dtype;
    return count;
}

/* Words ------------------------------------------------------------------------------------------------------------ */

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
    cli_format_count(parameters, count_parameters(f));
    ob_strbuf_printf(out, "weights       %s, %s, %zu tensors", ob_checkpoint_container(f->checkpoint), file,
                     ob_checkpoint_count(f->checkpoint));
    const char *before = " (";
    for (int dtype = 0; dtype < OB_DTYPE_COUNT; dtype++)
        if (count_dtype(f, dtype) > 0) {
            ob_strbuf_printf(out, "%s%zu %s", before, count_dtype(f, dtype), ob_dtype_name((ob_dtype)dtype));
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
        ob_strbuf_printf(out, "%s%s", before, head_name(c, head));
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
            ob_strbuf_printf(out, "incomplete    %s: %s\n", head_name(c, head), ob_strbuf_text(&f->why[head]));
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
    const char *files[TOKENIZER_FILES];
    size_t count = list_tokenizer_files(f, files), length = ob_tokenizer_model_max_length(f->tokenizer);
    ob_strbuf_puts(out, "tokenizer     byte-level BPE, ");
    for (size_t i = 0; i < count; i++)
        ob_strbuf_printf(out, "%s%s", i > 0 ? ", " : "", files[i]);
    ob_strbuf_printf(out, "\n              %zu tokens, %zu of them added;", ob_tokenizer_vocab_size(f->tokenizer),
                     ob_tokenizer_added_count(f->tokenizer));
    for (int i = 0; i < OB_SPECIAL_TOKEN_COUNT; i++) {
        int32_t id = ob_tokenizer_special_id(f->tokenizer, (ob_special_token)i);
        const char *token = ob_tokenizer_token(f->tokenizer, id);
        ob_strbuf_printf(out, "%s %s %s %d", i > 0 ? "," : "", special_names[i], token != NULL ? token : "-", (int)id);
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
    cli_format_bytes(text, count_parameters(f) * sizeof(float));
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
    append_memory(f, out);
    if (ctx->verbose > 0)
        append_tensors(f, out);
}

/* JSON ------------------------------------------------------------------------------------------------------------- */

static void append_string(ob_strbuf *out, const char *before, const char *text)
{
    ob_strbuf_puts(out, before);
    ob_json_append_string(out, text, strlen(text));
}

static void append_json_config(const ob_roberta_config *c, ob_strbuf *out)
{
    static const char *const problems[] = {[OB_PROBLEM_UNSET] = "null",
                                           [OB_PROBLEM_REGRESSION] = "\"regression\"",
                                           [OB_PROBLEM_SINGLE_LABEL] = "\"single_label_classification\"",
                                           [OB_PROBLEM_MULTI_LABEL] = "\"multi_label_classification\""};
    append_string(out, ",\"architecture\":", c->architecture);
    ob_strbuf_printf(out,
                     ",\"vocab_size\":%zu,\"hidden_size\":%zu,\"num_hidden_layers\":%zu,\"num_attention_heads\":%zu,"
                     "\"intermediate_size\":%zu,\"max_position_embeddings\":%zu,\"type_vocab_size\":%zu,"
                     "\"layer_norm_eps\":",
                     c->vocab_size, c->hidden_size, c->num_hidden_layers, c->num_attention_heads, c->intermediate_size,
                     c->max_position_embeddings, c->type_vocab_size);
    ob_json_append_float(out, c->layer_norm_eps);
    append_string(out, ",\"hidden_act\":", c->hidden_act);
    ob_strbuf_printf(out,
                     ",\"max_length\":%zu,\"tie_word_embeddings\":%s,\"is_decoder\":%s,\"add_cross_attention\":%s,"
                     "\"problem_type\":%s,\"pruned_heads\":[",
                     ob_roberta_config_max_length(c), c->tie_word_embeddings ? "true" : "false",
                     c->is_decoder ? "true" : "false", c->add_cross_attention ? "true" : "false",
                     problems[c->problem_type]);
    const char *before = "";
    for (size_t i = 0; c->pruned_heads != NULL && i < c->num_hidden_layers * c->num_attention_heads; i++)
        if (c->pruned_heads[i] != 0) {
            ob_strbuf_printf(out, "%s[%zu,%zu]", before, i / c->num_attention_heads, i % c->num_attention_heads);
            before = ",";
        }
    ob_strbuf_puts(out, "],\"labels\":[");
    for (size_t i = 0; i < c->label_count; i++)
        append_string(out, i > 0 ? "," : "", c->labels[i]);
    ob_strbuf_putc(out, ']');
}

static void append_json_heads(const cli_folder *f, ob_strbuf *out)
{
    const char *before = "";
    ob_strbuf_puts(out, ",\"heads\":[");
    for (size_t head = OB_HEAD_NONE + 1; head < CLI_HEAD_COUNT; head++)
        if (f->heads[head] == CLI_HEAD_FOUND) {
            ob_strbuf_printf(out, "%s\"%s\"", before, head_name(&f->config, head));
            before = ",";
        }
    ob_strbuf_printf(out, "],\"pooler\":%s,\"incomplete_heads\":{", f->pooler ? "true" : "false");
    before = "";
    for (size_t head = OB_HEAD_NONE + 1; head < CLI_HEAD_COUNT; head++)
        if (f->heads[head] == CLI_HEAD_INCOMPLETE) {
            ob_strbuf_printf(out, "%s\"%s\":", before, head_name(&f->config, head));
            append_string(out, "", ob_strbuf_text(&f->why[head]));
            before = ",";
        }
    ob_strbuf_putc(out, '}');
}

static void append_json_tokenizer(const cli_folder *f, ob_strbuf *out)
{
    const char *files[TOKENIZER_FILES];
    size_t count = list_tokenizer_files(f, files), length = ob_tokenizer_model_max_length(f->tokenizer);
    ob_strbuf_puts(out, ",\"tokenizer\":{\"files\":[");
    for (size_t i = 0; i < count; i++)
        append_string(out, i > 0 ? "," : "", files[i]);
    ob_strbuf_printf(out, "],\"tokens\":%zu,\"added_tokens\":%zu,\"max_id\":%d,\"special_tokens\":{",
                     ob_tokenizer_vocab_size(f->tokenizer), ob_tokenizer_added_count(f->tokenizer),
                     (int)ob_tokenizer_max_id(f->tokenizer));
    for (int i = 0; i < OB_SPECIAL_TOKEN_COUNT; i++) {
        int32_t id = ob_tokenizer_special_id(f->tokenizer, (ob_special_token)i);
        const char *token = ob_tokenizer_token(f->tokenizer, id);
        ob_strbuf_printf(out, "%s\"%s\":{\"id\":%d,", i > 0 ? "," : "", special_names[i], (int)id);
        append_string(out, "\"token\":", token != NULL ? token : "");
        ob_strbuf_putc(out, '}');
    }
    ob_strbuf_puts(out, "},\"model_max_length\":");
    if (length > 0)
        ob_strbuf_printf(out, "%zu", length);
    else
        ob_strbuf_puts(out, "null");
    ob_strbuf_printf(out, ",\"add_prefix_space\":%s,\"trim_offsets\":%s}",
                     ob_tokenizer_adds_prefix_space(f->tokenizer) ? "true" : "false",
                     ob_tokenizer_trims_offsets(f->tokenizer) ? "true" : "false");
}

static void append_json_tensors(const cli_folder *f, ob_strbuf *out)
{
    const char *before = "";
    ob_strbuf_printf(out, ",\"tensor_count\":%zu,\"dtypes\":{", ob_checkpoint_count(f->checkpoint));
    for (int dtype = 0; dtype < OB_DTYPE_COUNT; dtype++)
        if (count_dtype(f, dtype) > 0) {
            ob_strbuf_printf(out, "%s\"%s\":%zu", before, ob_dtype_name((ob_dtype)dtype), count_dtype(f, dtype));
            before = ",";
        }
    ob_strbuf_puts(out, "},\"tensors\":[");
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++) {
        const ob_tensor *t = ob_checkpoint_get(f->checkpoint, i);
        append_string(out, i > 0 ? ",{\"name\":" : "{\"name\":", t->name);
        append_string(out, ",\"file\":", t->file);
        ob_strbuf_printf(out, ",\"dtype\":\"%s\",\"shape\":[", ob_dtype_name(t->dtype));
        for (size_t d = 0; d < t->rank; d++)
            ob_strbuf_printf(out, d > 0 ? ",%zu" : "%zu", t->shape[d]);
        ob_strbuf_printf(out, "],\"used\":%s}", f->used[i] ? "true" : "false");
    }
    ob_strbuf_putc(out, ']');
}

static void append_json_memory(const cli_folder *f, ob_strbuf *out)
{
    ob_roberta_memory encoder = ob_roberta_estimate(&f->config, OB_HEAD_NONE, f->tokens);
    ob_strbuf_printf(
        out, ",\"memory\":{\"weight_bytes\":%llu,\"batch_tokens\":%zu,\"batch_bytes\":{\"gpu\":%llu,\"cpu\":%llu}",
        (unsigned long long)(count_parameters(f) * sizeof(float)), f->tokens, (unsigned long long)encoder.gpu_bytes,
        (unsigned long long)encoder.cpu_bytes);
    if (f->heads[OB_HEAD_LM] == CLI_HEAD_FOUND) {
        ob_roberta_memory head = ob_roberta_estimate(&f->config, OB_HEAD_LM, f->tokens);
        ob_strbuf_printf(out, ",\"batch_bytes_with_logits\":{\"gpu\":%llu,\"cpu\":%llu}",
                         (unsigned long long)head.gpu_bytes, (unsigned long long)head.cpu_bytes);
    }
    ob_strbuf_putc(out, '}');
}

void cli_inspect_append_json(const cli_folder *f, ob_strbuf *out)
{
    uint64_t parameters = count_parameters(f);
    append_string(out, "{\"folder\":", f->path);
    ob_strbuf_puts(out, ",\"usable\":true");
    append_json_config(&f->config, out);
    append_string(out, ",\"container\":", ob_checkpoint_container(f->checkpoint));
    ob_strbuf_printf(out, ",\"bytes\":%llu,\"parameters\":%llu", (unsigned long long)ob_checkpoint_bytes(f->checkpoint),
                     (unsigned long long)parameters);
    append_json_heads(f, out);
    append_json_tokenizer(f, out);
    append_json_memory(f, out);
    append_json_tensors(f, out);
    ob_strbuf_puts(out, "}\n");
}
