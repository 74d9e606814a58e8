/* Folders that hold a tokenizer of another kind, or a damaged one: refused, with file, place and reason. */
#include "model_files.h"
#include "test_support.h"

#include <oberta/tokenizer.h>

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}"
#define ROBERTA                                                                                       \
    "{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",2],\"cls\":[\"<s>\",0],\"trim_offsets\":true," \
    "\"add_prefix_space\":false}"
#define VOCAB "\"vocab\":{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"a\":4,\"b\":5,\"ab\":6,\"<mask>\":7}"
#define MODEL "{\"type\":\"BPE\"," VOCAB ",\"merges\":[[\"a\",\"b\"]]}"

/* Members of tokenizer.json that differ from a right one; NULL: as it should be. */
typedef struct variant {
    const char *model, *normalizer, *pre_tokenizer, *post_processor, *decoder, *added_tokens, *config;
    const char *message; /* NULL: it opens */
} variant;

static const char *or_else(const char *text, const char *fallback)
{
    return text != NULL ? text : fallback;
}

static void write_variant(const char *folder, const variant *v)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"version\":\"1.0\",\"added_tokens\":%s,\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,"
             "\"decoder\":%s,\"model\":%s}",
             or_else(v->added_tokens, "[]"), or_else(v->normalizer, "null"), or_else(v->pre_tokenizer, BYTE_LEVEL),
             or_else(v->post_processor, ROBERTA), or_else(v->decoder, BYTE_LEVEL), or_else(v->model, MODEL));
    write_text(folder, "tokenizer.json", text);
    if (v->config != NULL)
        write_text(folder, "tokenizer_config.json", v->config);
}

static const variant variants[] = {
    {.message = NULL},
    {.config = "{\"model_max_length\":1000000000000000019884624838656}", .message = NULL},
    {.config = "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}", .message = NULL},
    {.model = "{" VOCAB ",\"merges\":[\"a b\"],\"dropout\":0,\"end_of_word_suffix\":\"\"}", .message = NULL},
    {.model = "{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}",
     .message = "tokenizer.json: model: type: 'WordPiece' is not a byte-level BPE"},
    {.model = "{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.5]]}", .message = "type: 'Unigram'"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"continuing_subword_prefix\":\"##\"}",
     .message = "continuing_subword_prefix: '##'"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"end_of_word_suffix\":\"</w>\"}",
     .message = "end_of_word_suffix: '</w>'"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"byte_fallback\":true}", .message = "byte_fallback"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"dropout\":0.1}", .message = "dropout"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"unk_token\":\"<nil>\"}", .message = "unk_token: '<nil>'"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b\",[\"a\",\"b\"]]}",
     .message = "model.merges[1]: not a string as the first one is"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[[\"a\",\"b\"],\"a b\"]}",
     .message = "model.merges[1]: not a pair of strings"},
    {.model = "{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"b a\",\"a q\"]}",
     .message = "model.merges[0]: what it makes is not in the vocabulary\n"
                "tokenizer.json: model.merges[1]: one of its parts is not in the vocabulary"},
    {.model = "{\"type\":\"BPE\",\"vocab\":{\"a\":-1,\"b\":3,\"c\":3},\"merges\":[]}",
     .message = "model.vocab: token 'a': its id is not between"},
    {.model = "{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}",
     .message = "model.vocab: not an object of tokens and ids"},
    {.model = "7", .message = "tokenizer.json: model: an object is expected"},
    {.normalizer = "{\"type\":\"BertNormalizer\"}", .message = "tokenizer.json: normalizer: 'BertNormalizer'"},
    {.pre_tokenizer = "{\"type\":\"Metaspace\"}", .message = "tokenizer.json: pre_tokenizer: 'Metaspace'"},
    {.pre_tokenizer = "null", .message = "pre_tokenizer: 'null'"},
    {.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"}," BYTE_LEVEL "]}",
     .message = "pre_tokenizer: 'Sequence'"},
    {.post_processor = "{\"type\":\"BertProcessing\",\"sep\":[\"</s>\",2],\"cls\":[\"<s>\",0]}",
     .message = "tokenizer.json: post_processor: 'BertProcessing'"},
    {.post_processor = "{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",-2],\"cls\":\"<s>\",\"trim_offsets\":true}",
     .message = "post_processor.cls: a token and its id are expected\n"
                "tokenizer.json: post_processor.sep: its id is not between"},
    {.post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}}],\"pair\":[]}",
     .message = "its template is not RoBERTa's"},
    {.decoder = "{\"type\":\"WordPiece\"}", .message = "tokenizer.json: decoder: 'WordPiece'"},
    {.added_tokens = "[{\"content\":\"x\"}]", .message = "tokenizer.json: added_tokens: [0]: an object with an id"},
    {.config = "{\"tokenizer_class\":\"XLMRobertaTokenizerFast\"}",
     .message = "tokenizer_config.json: tokenizer_class: 'XLMRobertaTokenizerFast'"},
    {.config = "{\"tokenizer_class\":\"BertweetTokenizer\"}", .message = "'BertweetTokenizer'"},
    {.config = "{\"tokenizer_class\":\"BertTokenizer\"}", .message = "'BertTokenizer'"},
    {.config = "{\"tokenizer_class\":\"GPT2Tokenizer\"}", .message = "'GPT2Tokenizer'"},
    {.config = "{\"do_lower_case\":true}", .message = "tokenizer_config.json: do_lower_case: true"},
    {.config = "{\"truncation_side\":\"up\",\"add_prefix_space\":1,\"model_max_length\":\"x\"}",
     .message = "model_max_length: a positive number is expected\ntokenizer_config.json: truncation_side: 'up'"},
    {.config = "{\"add_prefix_space\":1}", .message = "tokenizer_config.json: add_prefix_space: true or false"},
    {.config = "{\"added_tokens_decoder\":{\"x\":{\"content\":\"x\"},\"9\":\"y\"}}",
     .message = "added_tokens_decoder: 'x': not an id"},
    {.config = "{\"mask_token\":7}", .message = "mask_token: a string, or an object with a content"},
};

static void test_other_kinds_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char *folder = make_folder();
        ob_tokenizer *tokenizer = NULL;
        ob_error err;
        ob_error_clear(&err);
        write_variant(folder, &variants[i]);
        ob_status status = ob_tokenizer_open(folder, &tokenizer, &err);
        if ((variants[i].message == NULL) != (status == OB_OK) ||
            (status != OB_OK && strstr(err.text, variants[i].message) == NULL)) {
            printf("variant %zu: '%s', expected '%s'\n", i, err.text, or_else(variants[i].message, ""));
            fail();
        }
        if (status != OB_OK)
            assert_true(status == OB_ERR_MODEL || status == OB_ERR_UNSUPPORTED);
        ob_tokenizer_close(tokenizer);
        remove_folder(folder);
    }
}

static void test_defects_are_listed_together(void **state)
{
    (void)state;
    char *folder = make_folder();
    ob_tokenizer *tokenizer = NULL;
    ob_error err;
    ob_error_clear(&err);
    const variant bert = {.model = "{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}",
                          .normalizer = "{\"type\":\"BertNormalizer\"}",
                          .pre_tokenizer = "{\"type\":\"BertPreTokenizer\"}",
                          .post_processor = "{\"type\":\"TemplateProcessing\"}",
                          .decoder = "{\"type\":\"WordPiece\"}"};
    write_variant(folder, &bert);
    assert_int_equal(ob_tokenizer_open(folder, &tokenizer, &err), OB_ERR_UNSUPPORTED);
    const char *const parts[] = {"model: type", "normalizer:", "pre_tokenizer:", "post_processor:", "decoder:"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_non_null(strstr(err.text, parts[i]));
    remove_folder(folder);
}

static void test_missing_files_say_what_is_there(void **state)
{
    (void)state;
    static const char *const files[][2] = {{"vocab.txt", "BertTokenizer"},
                                           {"bpe.codes", "BertweetTokenizer"},
                                           {"sentencepiece.bpe.model", "SentencePiece"},
                                           {"readme", "vocab.json is missing, and there is no tokenizer.json"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *folder = make_folder();
        ob_tokenizer *tokenizer = NULL;
        ob_error err;
        ob_error_clear(&err);
        write_text(folder, files[i][0], "a\n");
        assert_int_equal(ob_tokenizer_open(folder, &tokenizer, &err), OB_ERR_MODEL);
        assert_non_null(strstr(err.text, files[i][1]));
        remove_folder(folder);
    }
}

/* tokenizer.json counts where vocab.json and merges.txt stand beside it, even if these are wrong. */
static void test_tokenizer_json_comes_first(void **state)
{
    (void)state;
    char *folder = make_folder();
    ob_tokenizer *tokenizer = NULL;
    ob_encoding encoding = OB_ENCODING_INIT;
    ob_encode_options options;
    ob_error err;
    ob_error_clear(&err);
    const variant right = {.added_tokens = NULL};
    write_variant(folder, &right);
    write_text(folder, "vocab.json", "[]");
    test_ok(ob_tokenizer_open(folder, &tokenizer, &err), &err);
    ob_tokenizer_options(tokenizer, &options);
    test_ok(ob_tokenizer_encode(tokenizer, NULL, "abba<mask>", 10, NULL, 0, &options, &encoding, &err), &err);
    const int32_t want[] = {0, 6, 5, 4, 7, 2};
    assert_int_equal(encoding.count, 6);
    assert_memory_equal(encoding.ids, want, sizeof want);
    ob_encoding_release(&encoding);
    ob_tokenizer_close(tokenizer);
    remove_folder(folder);
}

/* The ids around a text count as they stand in post_processor, in the vocabulary or not: a model must be asked for
 * them. */
static void test_greatest_id_counts_special_tokens(void **state)
{
    (void)state;
    char *folder = make_folder();
    ob_tokenizer *tokenizer = NULL;
    ob_error err;
    ob_error_clear(&err);
    const variant far = {.post_processor = "{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",900],\"cls\":[\"<s>\",0],"
                                           "\"trim_offsets\":true,\"add_prefix_space\":false}"};
    write_variant(folder, &far);
    test_ok(ob_tokenizer_open(folder, &tokenizer, &err), &err);
    assert_int_equal(ob_tokenizer_max_id(tokenizer), 900);
    ob_tokenizer_close(tokenizer);
    remove_folder(folder);
}

/* Windows that would take gigabytes are refused, not allocated. */
static void test_too_many_windows_are_refused(void **state)
{
    (void)state;
    char *folder = make_folder();
    ob_tokenizer *tokenizer = NULL;
    ob_encoding_list list = {0};
    ob_encode_options options;
    ob_error err;
    size_t bytes = 100000;
    char *text = malloc(bytes);
    ob_error_clear(&err);
    assert_non_null(text);
    memset(text, 'a', bytes);
    const variant right = {.added_tokens = NULL};
    write_variant(folder, &right);
    test_ok(ob_tokenizer_open(folder, &tokenizer, &err), &err);
    ob_tokenizer_options(tokenizer, &options);
    options.truncation = OB_TRUNCATION_LONGEST_FIRST;
    options.max_length = 1002;
    options.stride = 999;
    assert_int_equal(ob_tokenizer_encode_windows(tokenizer, NULL, text, bytes, NULL, 0, &options, &list, &err),
                     OB_ERR_INPUT);
    assert_non_null(strstr(err.text, "windows"));
    options.stride = 1000;
    assert_int_equal(ob_tokenizer_encode_windows(tokenizer, NULL, text, bytes, NULL, 0, &options, &list, &err),
                     OB_ERR_INPUT);
    options.stride = 0;
    test_ok(ob_tokenizer_encode_windows(tokenizer, NULL, text, bytes, NULL, 0, &options, &list, &err), &err);
    assert_int_equal(list.count, 100);
    free(text);
    ob_encoding_list_release(&list);
    ob_tokenizer_close(tokenizer);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_kinds_are_refused),           cmocka_unit_test(test_defects_are_listed_together),
        cmocka_unit_test(test_missing_files_say_what_is_there),   cmocka_unit_test(test_tokenizer_json_comes_first),
        cmocka_unit_test(test_greatest_id_counts_special_tokens), cmocka_unit_test(test_too_many_windows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
