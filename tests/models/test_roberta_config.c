/* config.json: the defaults of the reference, and every key at its border. */
#include "model_files.h"

#include <oberta/roberta_config.h>
#include <oberta/strbuf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Parses from memory of exactly the text's size, so that a sanitizer sees a read beyond it. */
static ob_status parse_bytes(const char *text, size_t bytes, ob_roberta_config *config, ob_error *err)
{
    char *exact = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(exact);
    memcpy(exact, text, bytes);
    ob_error_clear(err);
    ob_status status = ob_roberta_config_parse(exact, bytes, "config.json", config, err);
    free(exact);
    assert_int_equal(status, err->status);
    return status;
}

/* Labels and pruned heads are the caller's to release. */
static ob_roberta_config parse_right(const char *text)
{
    ob_roberta_config config;
    ob_error err;
    if (parse_bytes(text, strlen(text), &config, &err) != OB_OK)
        fail_msg("%s: %s", text, err.text);
    return config;
}

static void expect_refusal(const char *text, ob_status status, const char *reason)
{
    ob_roberta_config config = {.vocab_size = 12345};
    ob_error err;
    ob_status got = parse_bytes(text, strlen(text), &config, &err);
    if (got != status || strstr(err.text, reason) == NULL)
        fail_msg("%s: expected %s '%s', got %s '%s'", text, ob_status_name(status), reason, ob_status_name(got),
                 err.text);
    assert_int_equal(config.vocab_size, 12345); /* written on success only */
}

static void test_roberta_config_has_the_reference_defaults(void **state)
{
    (void)state;
    ob_roberta_config c = parse_right("{}");
    assert_int_equal(c.vocab_size, 50265);
    assert_int_equal(c.hidden_size, 768);
    assert_int_equal(c.num_hidden_layers, 12);
    assert_int_equal(c.num_attention_heads, 12);
    assert_int_equal(c.intermediate_size, 3072);
    assert_int_equal(c.max_position_embeddings, 512);
    assert_int_equal(c.type_vocab_size, 2);
    assert_true(c.layer_norm_eps == 1e-12f);
    assert_string_equal(c.hidden_act, "gelu");
    assert_int_equal(c.pad_token_id, 1);
    assert_true(c.tie_word_embeddings);
    assert_string_equal(c.architecture, "RobertaModel");
    assert_int_equal(c.head, OB_HEAD_NONE);
    assert_false(c.is_decoder);
    assert_false(c.add_cross_attention);
    assert_null(c.pruned_heads);
    assert_int_equal(c.label_count, 2);
    assert_string_equal(c.labels[0], "LABEL_0");
    assert_string_equal(c.labels[1], "LABEL_1");
    assert_int_equal(c.problem_type, OB_PROBLEM_UNSET);
    assert_int_equal(ob_roberta_config_max_length(&c), 510);
    ob_roberta_config_release(&c);
    assert_null(c.labels);
    ob_roberta_config_release(&c);
}

static void test_roberta_config_reads_every_key(void **state)
{
    (void)state;
    ob_roberta_config c = parse_right(
        "{\"model_type\":\"roberta\",\"architectures\":[\"RobertaForMaskedLM\",\"X\"],\"vocab_size\":523,"
        "\"hidden_size\":60,\"num_hidden_layers\":3,\"num_attention_heads\":5,\"intermediate_size\":100,"
        "\"hidden_act\":\"gelu_new\",\"max_position_embeddings\":34,\"type_vocab_size\":1,\"layer_norm_eps\":1e-05,"
        "\"pad_token_id\":7,\"tie_word_embeddings\":false,\"position_embedding_type\":\"absolute\","
        "\"is_decoder\":false,\"add_cross_attention\":false,\"pruned_heads\":{},\"chunk_size_feed_forward\":4,"
        "\"classifier_dropout\":null,\"id2label\":{\"0\":\"a\"},\"quantization_config\":null}");
    assert_string_equal(c.architecture, "RobertaForMaskedLM");
    assert_int_equal(c.vocab_size, 523);
    assert_int_equal(c.hidden_size, 60);
    assert_int_equal(c.num_hidden_layers, 3);
    assert_int_equal(c.num_attention_heads, 5);
    assert_int_equal(c.intermediate_size, 100);
    assert_string_equal(c.hidden_act, "gelu_new");
    assert_int_equal(c.max_position_embeddings, 34);
    assert_int_equal(c.type_vocab_size, 1);
    assert_true(c.layer_norm_eps == 1e-5f);
    assert_int_equal(c.pad_token_id, 7);
    assert_false(c.tie_word_embeddings);
    assert_int_equal(c.head, OB_HEAD_LM);
    assert_int_equal(c.label_count, 1);
    assert_string_equal(c.labels[0], "a");
    assert_int_equal(ob_roberta_config_max_length(&c), 26);
    ob_roberta_config_release(&c);
}

static void test_roberta_config_takes_sizes_up_to_their_limits(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"vocab_size\":2}",
        "{\"vocab_size\":16777216,\"num_attention_heads\":1,\"hidden_size\":1}",
        "{\"hidden_size\":12}",
        "{\"num_hidden_layers\":1}",
        "{\"num_hidden_layers\":1024}",
        "{\"num_attention_heads\":1}",
        "{\"num_attention_heads\":768}",
        "{\"intermediate_size\":1}",
        "{\"intermediate_size\":16777216}",
        "{\"max_position_embeddings\":4}",
        "{\"max_position_embeddings\":16777216}",
        "{\"type_vocab_size\":1}",
        "{\"pad_token_id\":0,\"max_position_embeddings\":3}",
        "{\"pad_token_id\":509}",
        "{\"layer_norm_eps\":1}",
        "{\"layer_norm_eps\":1.0}",
        "{\"layer_norm_eps\":1e-45}",
        "{\"architectures\":null}",
        "{\"architectures\":[]}",
        "{\"architectures\":[\"RobertaForSequenceClassification\"]}",
        "{\"hidden_act\":\"swish\"}",
        "{\"hidden_act\":\"gelu_pytorch_tanh\"}",
        "{\"pruned_heads\":null}",
        "{\"pruned_heads\":{\"11\":[11,11],\"0\":[]}}",
        "{\"is_decoder\":true,\"add_cross_attention\":true}",
        "{\"chunk_size_feed_forward\":7}",
        "{\"problem_type\":null,\"id2label\":null,\"label2id\":null,\"tokenizer_class\":null}",
        "{\"num_labels\":1048576}",
        "{\"tokenizer_class\":\"RobertaTokenizer\"}",
        " \n{}\n ",
        "{\"unknown\":\"NaN and Infinity, \\\" NaN\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ob_roberta_config c = parse_right(texts[i]);
        ob_roberta_config_release(&c);
    }
}

static void test_roberta_config_refuses_wrong_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"{\"vocab_size\":0}", "config.json: vocab_size: 0: not within 1 to 16777216"},
        {"{\"vocab_size\":-1}", "vocab_size: -1: not within"},
        {"{\"vocab_size\":16777217}", "vocab_size: 16777217: not within"},
        {"{\"vocab_size\":9223372036854775807}", "vocab_size: 9223372036854775807: not within"},
        {"{\"vocab_size\":9223372036854775808}", "config.json: line 1"},
        {"{\"vocab_size\":50265.0}", "vocab_size: 50265.0: not an integer"},
        {"{\"vocab_size\":\"50265\"}", "vocab_size: \"50265\": not an integer"},
        {"{\"vocab_size\":null}", "vocab_size: null: not an integer"},
        {"{\"vocab_size\":true}", "vocab_size: true: not an integer"},
        {"{\"hidden_size\":0}", "hidden_size: 0: not within"},
        {"{\"hidden_size\":16777217}", "hidden_size: 16777217: not within"},
        {"{\"hidden_size\":60,\"num_attention_heads\":7}",
         "config.json: hidden_size: 60: not a multiple of num_attention_heads (7)"},
        {"{\"num_attention_heads\":769}", "hidden_size: 768: not a multiple of num_attention_heads (769)"},
        {"{\"num_attention_heads\":0}", "num_attention_heads: 0: not within"},
        {"{\"num_hidden_layers\":0}", "num_hidden_layers: 0: not within"},
        {"{\"num_hidden_layers\":1025}", "num_hidden_layers: 1025: not within 1 to 1024"},
        {"{\"num_hidden_layers\":1000000000}", "num_hidden_layers: 1000000000: not within"},
        {"{\"intermediate_size\":0}", "intermediate_size: 0: not within"},
        {"{\"intermediate_size\":16777217}", "intermediate_size: 16777217: not within"},
        {"{\"max_position_embeddings\":0}", "max_position_embeddings: 0: not within"},
        {"{\"max_position_embeddings\":3}", "max_position_embeddings: 3: no room for two tokens"},
        {"{\"max_position_embeddings\":16777217}", "max_position_embeddings: 16777217: not within"},
        {"{\"type_vocab_size\":0}", "type_vocab_size: 0: not within"},
        {"{\"type_vocab_size\":16777217}", "type_vocab_size: 16777217: not within"},
        {"{\"pad_token_id\":-1}", "pad_token_id: -1: not within"},
        {"{\"pad_token_id\":null}", "pad_token_id: null: not an integer"},
        {"{\"pad_token_id\":510}", "max_position_embeddings: 512: no room"},
        {"{\"pad_token_id\":5,\"vocab_size\":5}", "pad_token_id: 5: not below vocab_size (5)"},
        {"{\"pad_token_id\":16777216}", "pad_token_id: 16777216: not within"},
        {"{\"hidden_size\":16777216,\"num_attention_heads\":1}", "parameters, more than"},
        {"{\"hidden_size\":16777216,\"num_attention_heads\":1,\"intermediate_size\":16777216,"
         "\"vocab_size\":16777216,\"num_hidden_layers\":1024}",
         "parameters, more than"},
        {"{\"layer_norm_eps\":0}", "layer_norm_eps: 0: not above 0"},
        {"{\"layer_norm_eps\":0.0}", "layer_norm_eps: 0.0: not above 0"},
        {"{\"layer_norm_eps\":-1e-5}", "not above 0"},
        {"{\"layer_norm_eps\":1e-50}", "not above 0 (in float32)"},
        {"{\"layer_norm_eps\":1.5}", "up to 1"},
        {"{\"layer_norm_eps\":1e999}", "config.json: line 1"},
        {"{\"layer_norm_eps\":\"1e-5\"}", "layer_norm_eps: \"1e-5\": not a number"},
        {"{\"layer_norm_eps\":null}", "layer_norm_eps: null: not a number"},
        {"{\n\"layer_norm_eps\":NaN}", "config.json: line 2: NaN and Infinity are not JSON"},
        {"{\"layer_norm_eps\":Infinity}", "line 1: NaN and Infinity are not JSON"},
        {"{\"x\":-Infinity}", "line 1: NaN and Infinity are not JSON"},
        {"{\"hidden_act\":1}", "hidden_act: 1: not a string"},
        {"{\"tie_word_embeddings\":1}", "tie_word_embeddings: 1: not true or false"},
        {"{\"tie_word_embeddings\":\"true\"}", "tie_word_embeddings: \"true\": not true or false"},
        {"{\"is_decoder\":0}", "is_decoder: 0: not true or false"},
        {"{\"architectures\":\"RobertaModel\"}", "architectures: \"RobertaModel\": not an array"},
        {"{\"architectures\":[1]}", "architectures: 1: not a name"},
        {"{\"pruned_heads\":[]}", "pruned_heads: []: not an object"},
        {"{\"pruned_heads\":{\"12\":[1]}}", "pruned_heads: \"12\": not a layer from 0 to 11"},
        {"{\"pruned_heads\":{\"01\":[1]}}", "pruned_heads: \"01\": not a layer"},
        {"{\"pruned_heads\":{\"\":[1]}}", "pruned_heads: \"\": not a layer"},
        {"{\"pruned_heads\":{\"1\":1}}", "pruned_heads: 1: layer 1: not an array"},
        {"{\"pruned_heads\":{\"1\":[12]}}", "pruned_heads: 12: layer 1: not a head from 0 to 11"},
        {"{\"pruned_heads\":{\"1\":[-1]}}", "pruned_heads: -1: layer 1: not a head"},
        {"{\"pruned_heads\":{\"1\":[\"1\"]}}", "layer 1: not a head"},
        {"{\"num_attention_heads\":2,\"pruned_heads\":{\"1\":[1,0]}}", "layer 1: a layer keeps one head"},
        {"{\"add_cross_attention\":true}", "add_cross_attention: true: only a decoder has it"},
        {"{\"chunk_size_feed_forward\":-1}", "chunk_size_feed_forward: -1: not within"},
        {"{\"id2label\":[]}", "id2label: []: not an object"},
        {"{\"id2label\":{}}", "id2label: 0 labels: not within"},
        {"{\"id2label\":{\"1\":\"a\"}}", "id2label: \"1\": its 1 keys are not the numbers from 0 to 0"},
        {"{\"id2label\":{\"0\":\"a\",\"00\":\"b\"}}", "id2label: \"00\": its 2 keys"},
        {"{\"id2label\":{\"0\":\"a\",\"x\":\"b\"}}", "id2label: \"x\": its 2 keys"},
        {"{\"id2label\":{\"0\":null}}", "id2label: null: label 0 is neither a string nor an integer"},
        {"{\"num_labels\":0}", "num_labels: 0: not within 1 to 1048576"},
        {"{\"num_labels\":1048577}", "num_labels: 1048577: not within"},
        {"{\"label2id\":3}", "label2id: 3: not an object"},
        {"{\"problem_type\":\"ranking\"}", "problem_type: \"ranking\": not one of regression, single"},
        {"{\"problem_type\":1}", "problem_type: 1: not a string"},
        {"{\"architectures\":[\"RobertaForQuestionAnswering\"],\"num_labels\":3}",
         "id2label: 3 labels, but question answering has two"},
        {"{\"model_type\":1}", "model_type: 1: not a string"},
        {"{\"position_embedding_type\":null}", "position_embedding_type: null: not a string"},
        {"", "config.json: line 1"},
        {"[]", "config.json: not a JSON object"},
        {"{", "config.json: line 1"},
        {"{}x", "config.json: line 1"},
        {"{\"a\":1,\"a\":1}", "duplicate"},
        {"{\"a\":\"\xff\"}", "config.json: byte 6: not UTF-8"},
        {"\xef\xbb\xbf{}", "config.json: line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_refusal(rows[i].text, OB_ERR_MODEL, rows[i].reason);
}

static void test_roberta_config_refuses_by_name_what_it_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"{\"model_type\":\"bert\"}", "model_type: \"bert\": only roberta"},
        {"{\"model_type\":\"camembert\"}", "model_type: \"camembert\": RoBERTa's encoder, but a SentencePiece"},
        {"{\"model_type\":\"xlm-roberta\"}", "but a SentencePiece tokenizer"},
        {"{\"model_type\":\"xlm-roberta-xl\"}", "layer norms before the sublayers"},
        {"{\"model_type\":\"longformer\"}", "attention in a sliding window"},
        {"{\"model_type\":\"roberta-prelayernorm\"}", "layer norms before the sublayers"},
        {"{\"model_type\":\"Roberta\"}", "only roberta"},
        {"{\"architectures\":[\"BertForMaskedLM\"]}", "architectures: \"BertForMaskedLM\": only RobertaModel"},
        {"{\"architectures\":[\"RobertaPreLayerNormModel\"]}", "only RobertaModel"},
        {"{\"architectures\":[\"XLMRobertaModel\"]}", "only RobertaModel"},
        {"{\"position_embedding_type\":\"relative_key\"}", "only absolute positions"},
        {"{\"position_embedding_type\":\"relative_key_query\"}", "only absolute positions"},
        {"{\"architectures\":[\"RobertaForX\"]}", "architectures: \"RobertaForX\": only RobertaModel and RobertaFor"},
        {"{\"architectures\":[\"CamembertForMaskedLM\"]}", "only RobertaModel"},
        {"{\"is_encoder_decoder\":true}", "is_encoder_decoder: true: RoBERTa is an encoder or a decoder"},
        {"{\"tokenizer_class\":\"BertweetTokenizer\"}", "tokenizer_class: \"BertweetTokenizer\": not byte-level BPE"},
        {"{\"tokenizer_class\":\"BertTokenizer\"}", "not byte-level BPE"},
        {"{\"quantization_config\":{\"bits\":4}}", "quantised weights"},
        {"{\"hidden_act\":\"prelu\"}", "activations with parameters"},
        {"{\"hidden_act\":\"xielu\"}", "activations with parameters"},
        {"{\"hidden_act\":\"GELU\"}", "hidden_act: \"GELU\": not one of linear, gelu, gelu_new"},
        {"{\"hidden_act\":\"\"}", "hidden_act: \"\": not one of"},
        {"{\"hidden_act\":\"gelugelugelugelugelugelugelugelu\"}", "not one of"},
        {"{\"hidden_act\":\"\\u001b[2J\"}", "hidden_act: \"\\u001B[2J\": not one of"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_refusal(rows[i].text, OB_ERR_UNSUPPORTED, rows[i].reason);
}

static void test_roberta_config_lists_every_defect(void **state)
{
    (void)state;
    const char *text = "{\"vocab_size\":0,\"hidden_size\":1.5,\"layer_norm_eps\":-1,\"hidden_act\":\"no\","
                       "\"is_decoder\":3,\"tie_word_embeddings\":3}";
    static const char *const keys[] = {"vocab_size", "hidden_size", "layer_norm_eps",
                                       "hidden_act", "is_decoder",  "tie_word_embeddings"};
    ob_roberta_config config;
    ob_error err;
    assert_int_not_equal(parse_bytes(text, strlen(text), &config, &err), OB_OK);
    size_t lines = 1;
    for (const char *c = err.text; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 6);
    for (size_t i = 0; i < 6; i++) {
        char begin[64];
        snprintf(begin, sizeof begin, "config.json: %s: ", keys[i]);
        assert_non_null(strstr(err.text, begin));
    }
}

static void test_roberta_config_architecture_name_may_be_long(void **state)
{
    (void)state;
    for (size_t length = 62; length <= 64; length++) {
        char name[65] = "Roberta", text[128];
        memset(name + 7, 'x', length - 7);
        name[length] = '\0';
        snprintf(text, sizeof text, "{\"architectures\":[\"%s\"]}", name);
        expect_refusal(text, OB_ERR_UNSUPPORTED, "only RobertaModel");
    }
}

static void test_roberta_config_reads_heads(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ob_head head;
    } rows[] = {{"RobertaModel", OB_HEAD_NONE},
                {"RobertaForMaskedLM", OB_HEAD_LM},
                {"RobertaForCausalLM", OB_HEAD_LM},
                {"RobertaForSequenceClassification", OB_HEAD_SEQUENCE_CLASSIFICATION},
                {"RobertaForTokenClassification", OB_HEAD_TOKEN_CLASSIFICATION},
                {"RobertaForQuestionAnswering", OB_HEAD_QUESTION_ANSWERING},
                {"RobertaForMultipleChoice", OB_HEAD_MULTIPLE_CHOICE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"architectures\":[\"%s\"],\"is_decoder\":true}", rows[i].name);
        ob_roberta_config c = parse_right(text);
        assert_string_equal(c.architecture, rows[i].name);
        assert_int_equal(c.head, rows[i].head);
        assert_true(c.is_decoder);
        ob_roberta_config_release(&c);
    }
}

static void test_roberta_config_reads_labels(void **state)
{
    (void)state;
    /* The order in the file is not that of the ids; a number is a name too; id2label holds against its rivals. */
    ob_roberta_config c = parse_right("{\"id2label\":{\"2\":\"c\",\"0\":\"é\\n\",\"1\":-7},\"num_labels\":5,"
                                      "\"label2id\":{\"c\":0,\"x\":9},\"problem_type\":\"regression\"}");
    assert_int_equal(c.label_count, 3);
    assert_string_equal(c.labels[0], "é\n");
    assert_string_equal(c.labels[1], "-7");
    assert_string_equal(c.labels[2], "c");
    assert_int_equal(c.problem_type, OB_PROBLEM_REGRESSION);
    ob_roberta_config_release(&c);
    c = parse_right("{\"num_labels\":11,\"problem_type\":\"multi_label_classification\"}");
    assert_int_equal(c.label_count, 11);
    assert_string_equal(c.labels[10], "LABEL_10");
    assert_int_equal(c.problem_type, OB_PROBLEM_MULTI_LABEL);
    ob_roberta_config_release(&c);
    c = parse_right("{\"problem_type\":\"single_label_classification\"}");
    assert_int_equal(c.problem_type, OB_PROBLEM_SINGLE_LABEL);
    ob_roberta_config_release(&c);
}

static void test_roberta_config_prunes_heads(void **state)
{
    (void)state;
    ob_roberta_config c = parse_right("{\"num_hidden_layers\":3,\"num_attention_heads\":4,\"hidden_size\":32,"
                                      "\"pruned_heads\":{\"0\":[1],\"1\":[0,2]}}");
    static const uint8_t want[12] = {0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0};
    assert_memory_equal(c.pruned_heads, want, sizeof want);
    ob_error err;
    ob_error_clear(&err);
    assert_int_equal(ob_roberta_config_prune(&c, 1, 3, &err), OB_OK);
    assert_int_equal(c.pruned_heads[7], 2);
    assert_int_equal(ob_roberta_config_prune(&c, 0, 1, &err), OB_OK); /* pruned already */
    assert_int_equal(c.pruned_heads[1], 1);
    assert_int_equal(ob_roberta_config_prune(&c, 1, 1, &err), OB_ERR_CONFIG);
    assert_non_null(strstr(err.text, "head 1 of layer 1 cannot be pruned: it is the last"));
    assert_int_equal(ob_roberta_config_prune(&c, 3, 0, &err), OB_ERR_CONFIG);
    assert_non_null(strstr(err.text, "3 layers of 4 heads"));
    assert_int_equal(ob_roberta_config_prune(&c, 0, 4, &err), OB_ERR_CONFIG);
    assert_int_equal(c.pruned_heads[5], 0);
    ob_roberta_config_release(&c);
    c = parse_right("{}");
    assert_int_equal(ob_roberta_config_prune(&c, 11, 11, &err), OB_OK);
    assert_int_equal(c.pruned_heads[143], 2);
    ob_roberta_config_release(&c);
}

static void test_roberta_config_survives_depth_and_cuts(void **state)
{
    (void)state;
    ob_strbuf deep = OB_STRBUF_INIT;
    ob_strbuf_puts(&deep, "{\"x\":");
    for (size_t i = 0; i < 1000000; i++)
        ob_strbuf_putc(&deep, '[');
    ob_roberta_config config;
    ob_error err;
    assert_int_equal(parse_bytes(deep.data, deep.length, &config, &err), OB_ERR_MODEL);
    ob_strbuf_release(&deep);

    const char *text = "{\"vocab_size\": 300, \"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-05}";
    for (size_t cut = 0; cut < strlen(text); cut++)
        assert_int_equal(parse_bytes(text, cut, &config, &err), OB_ERR_MODEL);
    assert_int_equal(parse_bytes(text, strlen(text), &config, &err), OB_OK);
    ob_roberta_config_release(&config);
}

static void test_roberta_config_works_without_an_error(void **state)
{
    (void)state;
    ob_roberta_config config;
    assert_int_equal(ob_roberta_config_parse("{}", 2, "c", &config, NULL), OB_OK);
    assert_int_equal(ob_roberta_config_prune(&config, 12, 0, NULL), OB_ERR_CONFIG);
    ob_roberta_config_release(&config);
    assert_int_equal(ob_roberta_config_parse("{\"model_type\":\"bert\"}", 21, "c", &config, NULL), OB_ERR_UNSUPPORTED);
}

static void test_roberta_config_loads_golden_folders(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        size_t vocab, hidden, layers, heads;
        const char *activation;
    } rows[] = {
        {"odd/model", 523, 60, 2, 5, "gelu"},
        {"act_quick_gelu/model", 300, 32, 1, 4, "quick_gelu"},
        {"act_relu/model", 300, 32, 2, 4, "relu"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ob_roberta_config config;
        ob_error err;
        ob_error_clear(&err);
        if (ob_roberta_config_load(golden_folder(rows[i].folder), &config, &err) != OB_OK)
            fail_msg("%s: %s", rows[i].folder, err.text);
        assert_int_equal(config.vocab_size, rows[i].vocab);
        assert_int_equal(config.hidden_size, rows[i].hidden);
        assert_int_equal(config.num_hidden_layers, rows[i].layers);
        assert_int_equal(config.num_attention_heads, rows[i].heads);
        assert_string_equal(config.hidden_act, rows[i].activation);
        ob_roberta_config_release(&config);
    }
}

/* The class defaults and the same values written out are one model. */
static void test_roberta_config_golden_defaults_agree(void **state)
{
    (void)state;
    ob_roberta_config written, left_out;
    ob_error err;
    ob_error_clear(&err);
    assert_int_equal(ob_roberta_config_load(golden_folder("type2/model"), &written, &err), OB_OK);
    assert_int_equal(ob_roberta_config_load(golden_folder("type2/model_defaults"), &left_out, &err), OB_OK);
    assert_int_equal(written.type_vocab_size, left_out.type_vocab_size);
    assert_true(written.layer_norm_eps == left_out.layer_norm_eps);
    assert_int_equal(written.max_position_embeddings, left_out.max_position_embeddings);
    assert_string_equal(written.hidden_act, left_out.hidden_act);
    ob_roberta_config_release(&written);
    ob_roberta_config_release(&left_out);
}

static void test_roberta_config_load_refuses_what_is_no_file(void **state)
{
    (void)state;
    char *folder = make_folder();
    ob_roberta_config config;
    ob_error err;
    ob_error_clear(&err);
    assert_int_equal(ob_roberta_config_load(folder, &config, &err), OB_ERR_MODEL);
    assert_non_null(strstr(err.text, "config.json: no such file"));
    assert_int_equal(ob_roberta_config_load(path_in(folder, "absent"), &config, &err), OB_ERR_MODEL);
    assert_non_null(strstr(err.text, "no such folder"));
    assert_int_equal(mkfifo(path_in(folder, "config.json"), 0600), 0);
    alarm(20); /* a FIFO that blocks would wait for ever */
    assert_int_equal(ob_roberta_config_load(folder, &config, &err), OB_ERR_MODEL);
    alarm(0);
    assert_int_equal(unlink(path_in(folder, "config.json")), 0);
    write_text(folder, "config.json", "{}");
    assert_int_equal(truncate(path_in(folder, "config.json"), (off_t)1 << 32), 0);
    assert_int_equal(ob_roberta_config_load(folder, &config, &err), OB_ERR_IO);
    assert_non_null(strstr(err.text, "at most 4194304 are allowed"));
    remove_folder(folder);
}

static void test_roberta_config_knows_published_sizes(void **state)
{
    (void)state;
    ob_roberta_config config;
    ob_error err;
    ob_error_clear(&err);
    assert_int_equal(ob_roberta_config_known("roberta-large", &config, &err), OB_OK);
    assert_true(config.hidden_size == 1024 && config.num_hidden_layers == 24 && config.num_attention_heads == 16);
    ob_roberta_config_release(&config);
    assert_int_equal(ob_roberta_config_known("roberta-bas", &config, &err), OB_ERR_USAGE);
    assert_non_null(strstr(err.text, "did you mean 'roberta-base'?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roberta_config_has_the_reference_defaults),
        cmocka_unit_test(test_roberta_config_reads_every_key),
        cmocka_unit_test(test_roberta_config_takes_sizes_up_to_their_limits),
        cmocka_unit_test(test_roberta_config_refuses_wrong_values),
        cmocka_unit_test(test_roberta_config_refuses_by_name_what_it_lacks),
        cmocka_unit_test(test_roberta_config_lists_every_defect),
        cmocka_unit_test(test_roberta_config_architecture_name_may_be_long),
        cmocka_unit_test(test_roberta_config_reads_heads),
        cmocka_unit_test(test_roberta_config_reads_labels),
        cmocka_unit_test(test_roberta_config_prunes_heads),
        cmocka_unit_test(test_roberta_config_survives_depth_and_cuts),
        cmocka_unit_test(test_roberta_config_works_without_an_error),
        cmocka_unit_test(test_roberta_config_loads_golden_folders),
        cmocka_unit_test(test_roberta_config_golden_defaults_agree),
        cmocka_unit_test(test_roberta_config_load_refuses_what_is_no_file),
        cmocka_unit_test(test_roberta_config_knows_published_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
