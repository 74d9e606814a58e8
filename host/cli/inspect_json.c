/* A model folder as JSON. */
#include "inspect_report.h"

#include <oberta/roberta.h>
#include <string.h>

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
            ob_strbuf_printf(out, "%s\"%s\"", before, cli_head_name(&f->config, head));
            before = ",";
        }
    ob_strbuf_printf(out, "],\"pooler\":%s,\"incomplete_heads\":{", f->pooler ? "true" : "false");
    before = "";
    for (size_t head = OB_HEAD_NONE + 1; head < CLI_HEAD_COUNT; head++)
        if (f->heads[head] == CLI_HEAD_INCOMPLETE) {
            ob_strbuf_printf(out, "%s\"%s\":", before, cli_head_name(&f->config, head));
            append_string(out, "", ob_strbuf_text(&f->why[head]));
            before = ",";
        }
    ob_strbuf_putc(out, '}');
}

static void append_json_tokenizer(const cli_folder *f, ob_strbuf *out)
{
    const char *files[CLI_TOKENIZER_FILES];
    size_t count = cli_list_tokenizer_files(f, files), length = ob_tokenizer_model_max_length(f->tokenizer);
    ob_strbuf_puts(out, ",\"tokenizer\":{\"files\":[");
    for (size_t i = 0; i < count; i++)
        append_string(out, i > 0 ? "," : "", files[i]);
    ob_strbuf_printf(out, "],\"tokens\":%zu,\"added_tokens\":%zu,\"max_id\":%d,\"special_tokens\":{",
                     ob_tokenizer_vocab_size(f->tokenizer), ob_tokenizer_added_count(f->tokenizer),
                     (int)ob_tokenizer_max_id(f->tokenizer));
    for (int i = 0; i < OB_SPECIAL_TOKEN_COUNT; i++) {
        int32_t id = ob_tokenizer_special_id(f->tokenizer, (ob_special_token)i);
        const char *token = ob_tokenizer_token(f->tokenizer, id);
        ob_strbuf_printf(out, "%s\"%s\":", i > 0 ? "," : "", cli_special_names[i]);
        if (id < 0) {
            ob_strbuf_puts(out, "null");
            continue;
        }
        ob_strbuf_printf(out, "{\"id\":%d,", (int)id);
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

static void append_json_sentence(const cli_folder *f, ob_strbuf *out)
{
    const ob_sentence *s = &f->sentence;
    ob_strbuf_puts(out, ",\"sentence\":");
    if (!s->found) {
        ob_strbuf_puts(out, "null");
        return;
    }
    if (f->sentence_why.length > 0) {
        append_string(out, "{\"error\":", ob_strbuf_text(&f->sentence_why));
        ob_strbuf_putc(out, '}');
        return;
    }
    const char *before = "{\"pooling\":[";
    for (unsigned one = 1; one != 0 && one <= s->poolings; one <<= 1)
        if ((s->poolings & one) != 0) {
            append_string(out, before, ob_sentence_pooling_name(one));
            before = ",";
        }
    ob_strbuf_printf(out, "],\"normalize\":%s,\"max_seq_length\":", s->normalize ? "true" : "false");
    if (s->max_seq_length > 0)
        ob_strbuf_printf(out, "%zu", s->max_seq_length);
    else
        ob_strbuf_puts(out, "null");
    append_string(out, ",\"transformer\":", s->transformer);
    ob_strbuf_putc(out, '}');
}

static void append_json_tasks(const cli_folder *f, ob_strbuf *out)
{
    const char *before = ",\"tasks\":[";
    for (size_t task = 0; task < CLI_TASK_COUNT; task++)
        if (cli_runs_task(f, (ob_task)task)) {
            append_string(out, before, ob_task_name((ob_task)task));
            before = ",";
        }
    ob_strbuf_putc(out, ']');
}

static void append_json_tensors(const cli_folder *f, ob_strbuf *out)
{
    const char *before = "";
    ob_strbuf_printf(out, ",\"tensor_count\":%zu,\"dtypes\":{", ob_checkpoint_count(f->checkpoint));
    for (int dtype = 0; dtype < OB_DTYPE_COUNT; dtype++)
        if (cli_count_dtype(f, dtype) > 0) {
            ob_strbuf_printf(out, "%s\"%s\":%zu", before, ob_dtype_name((ob_dtype)dtype), cli_count_dtype(f, dtype));
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
        (unsigned long long)(cli_count_parameters(f) * sizeof(float)), f->tokens, (unsigned long long)encoder.gpu_bytes,
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
    uint64_t parameters = cli_count_parameters(f);
    append_string(out, "{\"folder\":", f->path);
    ob_strbuf_puts(out, ",\"usable\":true");
    append_json_config(&f->config, out);
    append_string(out, ",\"container\":", ob_checkpoint_container(f->checkpoint));
    ob_strbuf_printf(out, ",\"bytes\":%llu,\"parameters\":%llu", (unsigned long long)ob_checkpoint_bytes(f->checkpoint),
                     (unsigned long long)parameters);
    append_json_heads(f, out);
    append_json_tokenizer(f, out);
    append_json_sentence(f, out);
    append_json_tasks(f, out);
    append_json_memory(f, out);
    append_json_tensors(f, out);
    ob_strbuf_puts(out, "}\n");
}
