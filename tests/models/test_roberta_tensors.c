/* Which tensors a folder must have for what is asked of it, under which names, and what is said of those that it lacks.
 */
#include "model_files.h"
#include "test_support.h"

#include <oberta/roberta.h>
#include <oberta/strbuf.h>

#define VOCAB     7
#define HIDDEN    4
#define INNER     6
#define POSITIONS 5
#define HEAD_SIZE 2

/* A container of zeros with the tensors of a model of one layer and two heads. */
typedef struct container {
    ob_strbuf header;
    size_t bytes;
    const char *wrapper, *prefix; /* before every name; before the encoder's */
} container;

static void begin(container *c, const char *wrapper, const char *prefix)
{
    *c = (container){.header = OB_STRBUF_INIT, .wrapper = wrapper, .prefix = prefix};
    ob_strbuf_putc(&c->header, '{');
}

static void add(container *c, const char *prefix, const char *name, size_t rows, size_t columns)
{
    size_t end = c->bytes + rows * (columns > 0 ? columns : 1) * sizeof(float);
    ob_strbuf_printf(&c->header, "%s\"%s%s%s\":{\"dtype\":\"F32\",\"shape\":[%zu", c->bytes > 0 ? "," : "", c->wrapper,
                     prefix, name, rows);
    if (columns > 0)
        ob_strbuf_printf(&c->header, ",%zu", columns);
    ob_strbuf_printf(&c->header, "],\"data_offsets\":[%zu,%zu]}", c->bytes, end);
    c->bytes = end;
}

static void add_pair(container *c, const char *prefix, const char *stem, size_t rows, size_t columns)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", stem);
    add(c, prefix, name, rows, columns);
    snprintf(name, sizeof name, "%s.bias", stem);
    add(c, prefix, name, rows, 0);
}

static void add_attention(container *c, const char *kind, size_t heads)
{
    static const char *const parts[] = {"query", "key", "value"};
    char stem[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(stem, sizeof stem, "encoder.layer.0.%s.self.%s", kind, parts[i]);
        add_pair(c, c->prefix, stem, heads * HEAD_SIZE, HIDDEN);
    }
    snprintf(stem, sizeof stem, "encoder.layer.0.%s.output.dense", kind);
    add_pair(c, c->prefix, stem, HIDDEN, heads * HEAD_SIZE);
    snprintf(stem, sizeof stem, "encoder.layer.0.%s.output.LayerNorm", kind);
    add_pair(c, c->prefix, stem, HIDDEN, 0);
}

static void add_encoder(container *c, bool word, size_t heads)
{
    if (word)
        add(c, c->prefix, "embeddings.word_embeddings.weight", VOCAB, HIDDEN);
    add(c, c->prefix, "embeddings.position_embeddings.weight", POSITIONS, HIDDEN);
    add(c, c->prefix, "embeddings.token_type_embeddings.weight", 1, HIDDEN);
    add_pair(c, c->prefix, "embeddings.LayerNorm", HIDDEN, 0);
    add_attention(c, "attention", heads);
    add_pair(c, c->prefix, "encoder.layer.0.intermediate.dense", INNER, HIDDEN);
    add_pair(c, c->prefix, "encoder.layer.0.output.dense", HIDDEN, INNER);
    add_pair(c, c->prefix, "encoder.layer.0.output.LayerNorm", HIDDEN, 0);
}

static void add_lm_head(container *c, const char *decoder)
{
    add_pair(c, "", "lm_head.dense", HIDDEN, HIDDEN);
    add_pair(c, "", "lm_head.layer_norm", HIDDEN, 0);
    add(c, "", "lm_head.bias", VOCAB, 0);
    if (decoder != NULL)
        add(c, "", decoder, VOCAB, HIDDEN);
}

/* Asks for a head and maybe the pooler; `keys` are more keys of config.json, "," in front. Releases the container. */
static ob_status check(container *c, const char *keys, ob_head head, bool pooler, ob_error *err)
{
    char text[1024];
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_error_clear(err);
    snprintf(text, sizeof text,
             "{\"vocab_size\":%d,\"hidden_size\":%d,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
             "\"intermediate_size\":%d,\"max_position_embeddings\":%d,\"type_vocab_size\":1%s}",
             VOCAB, HIDDEN, INNER, POSITIONS, keys);
    test_ok(ob_roberta_config_parse(text, strlen(text), "config.json", &config, err), err);
    ob_strbuf_putc(&c->header, '}');
    char *folder = make_folder();
    write_container(folder, "model.safetensors", ob_strbuf_text(&c->header), c->bytes);
    test_ok(ob_checkpoint_open(folder, &checkpoint, err), err);
    ob_status status = ob_roberta_check(&config, checkpoint, head, pooler, err);
    ob_checkpoint_close(checkpoint);
    ob_roberta_config_release(&config);
    ob_strbuf_release(&c->header);
    remove_folder(folder);
    return status;
}

static size_t count_lines(const char *text)
{
    size_t lines = 1;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static ob_error err;

static void test_encoder_is_found_with_and_without_prefixes(void **state)
{
    (void)state;
    static const char *const wrappers[] = {"", "module."}, *const prefixes[] = {"", "roberta."};
    for (size_t w = 0; w < 2; w++)
        for (size_t p = 0; p < 2; p++) {
            container c;
            begin(&c, wrappers[w], prefixes[p]);
            add_encoder(&c, true, 2);
            add_lm_head(&c, NULL);
            add(&c, "", "something.unknown", 3, 0);
            test_ok(check(&c, "", OB_HEAD_LM, false, &err), &err);
        }
}

static void test_decoder_has_two_names(void **state)
{
    (void)state;
    static const char *const names[] = {"lm_head.decoder.weight", "lm_head.weight"};
    for (size_t i = 0; i < 2; i++) {
        container c;
        begin(&c, "", "roberta.");
        add_encoder(&c, true, 2);
        add_lm_head(&c, names[i]);
        test_ok(check(&c, ",\"tie_word_embeddings\":false", OB_HEAD_LM, false, &err), &err);
        /* Tied, and the decoder alone: it is the word embedding as well. */
        begin(&c, "", "roberta.");
        add_encoder(&c, false, 2);
        add_lm_head(&c, names[i]);
        test_ok(check(&c, "", OB_HEAD_LM, false, &err), &err);
        begin(&c, "", "roberta.");
        add_encoder(&c, false, 2);
        add_lm_head(&c, names[i]);
        test_refused(check(&c, ",\"tie_word_embeddings\":false", OB_HEAD_LM, false, &err), OB_ERR_MODEL, &err,
                     "tensor 'roberta.embeddings.word_embeddings.weight' is missing");
    }
    container c;
    begin(&c, "", "roberta.");
    add_encoder(&c, true, 2);
    add_lm_head(&c, NULL);
    test_refused(check(&c, ",\"tie_word_embeddings\":false", OB_HEAD_LM, false, &err), OB_ERR_MODEL, &err,
                 "tensor 'lm_head.decoder.weight' is missing");
}

static void test_missing_parts_are_named(void **state)
{
    (void)state;
    static const struct {
        ob_head head;
        bool pooler;
        size_t lines;
        const char *reason;
    } rows[] = {
        {OB_HEAD_NONE, true, 3, "the file has no pooler, which pooler_output needs"},
        {OB_HEAD_LM, false, 6, "the file has no masked-LM head, which this task needs"},
        {OB_HEAD_SEQUENCE_CLASSIFICATION, false, 5, "the file has no sequence-classification head"},
        {OB_HEAD_TOKEN_CLASSIFICATION, false, 3, "the file has no token-classification head"},
        {OB_HEAD_QUESTION_ANSWERING, false, 3, "the file has no question-answering head"},
        {OB_HEAD_MULTIPLE_CHOICE, false, 6, "the file has no pooler, which multiple choice needs"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        container c;
        begin(&c, "", "roberta.");
        add_encoder(&c, true, 2);
        test_refused(check(&c, "", rows[i].head, rows[i].pooler, &err), OB_ERR_MODEL, &err, rows[i].reason);
        assert_int_equal(count_lines(err.text), rows[i].lines);
    }
}

static void test_classifier_means_three_things(void **state)
{
    (void)state;
    const char *three = ",\"num_labels\":3";
    container c;
    begin(&c, "", "roberta.");
    add_encoder(&c, true, 2);
    add_pair(&c, "", "classifier.dense", HIDDEN, HIDDEN);
    add_pair(&c, "", "classifier.out_proj", 3, HIDDEN);
    test_ok(check(&c, three, OB_HEAD_SEQUENCE_CLASSIFICATION, false, &err), &err);

    begin(&c, "", "roberta.");
    add_encoder(&c, true, 2);
    add_pair(&c, "", "classifier", 3, HIDDEN);
    test_ok(check(&c, three, OB_HEAD_TOKEN_CLASSIFICATION, false, &err), &err);

    begin(&c, "", "roberta.");
    add_encoder(&c, true, 2);
    add_pair(&c, "", "classifier", 3, HIDDEN);
    test_refused(check(&c, "", OB_HEAD_TOKEN_CLASSIFICATION, false, &err), OB_ERR_MODEL, &err,
                 "tensor 'classifier.weight': shape (3, 4), but config.json asks for (2, 4)");

    const char *choice = ",\"num_labels\":1,\"architectures\":[\"RobertaForMultipleChoice\"]";
    for (int token = 0; token < 2; token++) {
        begin(&c, "", "roberta.");
        add_encoder(&c, true, 2);
        add_pair(&c, c.prefix, "pooler.dense", HIDDEN, HIDDEN);
        add_pair(&c, "", "classifier", 1, HIDDEN);
        if (token)
            test_refused(check(&c, choice, OB_HEAD_TOKEN_CLASSIFICATION, false, &err), OB_ERR_MODEL, &err,
                         "its 'classifier' is not that of token classification");
        else
            test_ok(check(&c, choice, OB_HEAD_MULTIPLE_CHOICE, false, &err), &err);
    }
}

static void test_cross_attention_is_needed_where_config_says_so(void **state)
{
    (void)state;
    const char *decoder = ",\"is_decoder\":true,\"add_cross_attention\":true";
    for (int complete = 0; complete < 2; complete++) {
        container c;
        begin(&c, "", "roberta.");
        add_encoder(&c, true, 2);
        if (complete)
            add_attention(&c, "crossattention", 2);
        ob_status status = check(&c, decoder, OB_HEAD_NONE, false, &err);
        if (complete)
            test_ok(status, &err);
        else
            test_refused(status, OB_ERR_MODEL, &err,
                         "tensor 'roberta.encoder.layer.0.crossattention.self.query.weight' is missing");
    }
}

static void test_pruned_layers_come_whole_or_pruned(void **state)
{
    (void)state;
    const char *pruned = ",\"pruned_heads\":{\"0\":[1]}";
    for (size_t heads = 1; heads <= 2; heads++) {
        container c;
        begin(&c, "", "");
        add_encoder(&c, true, heads);
        test_ok(check(&c, pruned, OB_HEAD_NONE, false, &err), &err);
    }
    container c;
    begin(&c, "", "");
    add_encoder(&c, true, 1);
    test_refused(check(&c, "", OB_HEAD_NONE, false, &err), OB_ERR_MODEL, &err,
                 "'encoder.layer.0.attention.self.query.weight': shape (2, 4), but config.json asks for (4, 4)");
    begin(&c, "", "");
    add_encoder(&c, true, 3);
    test_refused(check(&c, pruned, OB_HEAD_NONE, false, &err), OB_ERR_MODEL, &err,
                 "shape (6, 4), but config.json asks for (2, 4)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoder_is_found_with_and_without_prefixes),
        cmocka_unit_test(test_decoder_has_two_names),
        cmocka_unit_test(test_missing_parts_are_named),
        cmocka_unit_test(test_classifier_means_three_things),
        cmocka_unit_test(test_cross_attention_is_needed_where_config_says_so),
        cmocka_unit_test(test_pruned_layers_come_whole_or_pruned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
