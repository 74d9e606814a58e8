/* The table of keys, and the words that keys take. */
#include "job_keys.h"

#include <oberta/memory.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void read_version(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text != NULL && strcmp(text, "1") != 0)
        ob__job_defect(r, node, key->path, "'%.40s' is not a version that this oberta reads; 1 is", text);
}

static void read_path(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text == NULL)
        return;
    if (text[0] == '\0' || ob__yaml_is_null(node)) {
        ob__job_defect(r, node, key->path, "a path is missing");
        return;
    }
    char **path = ob__job_field(r, key), *resolved = ob__job_resolve_path(r, text);
    if (resolved == NULL) {
        ob__job_defect(r, node, key->path, "no memory");
        return;
    }
    ob_free(*path);
    *path = resolved;
}

static void read_dtype(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"float32", OB_DTYPE_F32}, {"float16", -1}, {"bfloat16", -1}, {"int8", -1}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->dtype = (ob_dtype)value;
}

static void read_task(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {
#define TASK_WORD(code, name) {name, (int)code},
        OB_TASK_MAP(TASK_WORD)
#undef TASK_WORD
    };
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->task = (ob_task)value;
}

static void read_output_format(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"auto", OB_OUTPUT_AUTO},
                                         {"jsonl", OB_OUTPUT_JSONL},
                                         {"csv", OB_OUTPUT_CSV},
                                         {"npy", OB_OUTPUT_NPY},
                                         {"safetensors", OB_OUTPUT_SAFETENSORS}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->output_format = (ob_output_format)value;
}

static void read_truncation(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"longest_first", OB_TRUNCATION_LONGEST_FIRST},
                                         {"only_first", OB_TRUNCATION_ONLY_FIRST},
                                         {"only_second", OB_TRUNCATION_ONLY_SECOND},
                                         {"error", OB_TRUNCATION_NONE}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->truncation = (ob_truncation)value;
}

static void read_on_error(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"stop", 0}, {"skip", 1}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->skip_errors = value == 1;
}

static void read_without_mask(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"predict", 0}, {"error", 1}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->fill_mask.without_mask_error = value == 1;
}

static void read_pooling(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {
        {"none", OB_POOLING_NONE}, {"cls", OB_POOLING_CLS}, {"mean", OB_POOLING_MEAN}, {"pooler", OB_POOLING_POOLER}};
    bool given = !ob__yaml_is_null(node);
    int value = given ? ob__job_read_word(r, key->path, node, words, COUNT(words)) : OB_POOLING_NONE;
    if (value < 0)
        return;
    r->job->feature_extraction.pooling = (ob_pooling)value;
    r->job->feature_extraction.pooling_given = given;
}

static void read_score_function(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {
        {"auto", OB_SCORE_AUTO}, {"softmax", OB_SCORE_SOFTMAX}, {"sigmoid", OB_SCORE_SIGMOID}, {"none", OB_SCORE_NONE}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->text_classification.function_to_apply = (ob_score_function)value;
}

static void read_aggregation(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    static const ob__job_word words[] = {{"none", OB_AGGREGATION_NONE},
                                         {"simple", OB_AGGREGATION_SIMPLE},
                                         {"first", OB_AGGREGATION_FIRST},
                                         {"average", OB_AGGREGATION_AVERAGE},
                                         {"max", OB_AGGREGATION_MAX}};
    int value = ob__job_read_word(r, key->path, node, words, COUNT(words));
    if (value >= 0)
        r->job->token_classification.aggregation_strategy = (ob_aggregation)value;
}

/* A number, or null for all. */
static void read_size_or_all(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    if (ob__yaml_is_null(node))
        *(size_t *)ob__job_field(r, key) = 0;
    else
        ob__job_read_size(r, key, node);
}

/* A number, 0 among them, or auto. */
static void read_stride(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text == NULL)
        return;
    if (ob__yaml_is_null(node) || strcmp(text, "auto") == 0)
        *(size_t *)ob__job_field(r, key) = OB_DOC_STRIDE_AUTO;
    else
        ob__job_read_size(r, key, node);
}

#define MAX_TOP_K  ((size_t)1 << 24)
#define MAX_TOKENS ((size_t)1 << 20)

const ob__job_key ob__job_keys[] = {
    {"version", "1", "of this file's form", read_version, 0, 0, 0},
    {"model.path", "models/demo", "a folder as published on the Hugging Face hub", read_path,
     offsetof(ob_job, model_path), 0, 0},
    {"model.dtype", "float32", "arithmetic on the device", read_dtype, 0, 0, 0},
    {"model.prune_heads", "{}", "{layer: [heads]} to take out, beyond those of config.json", ob__job_read_prune_heads,
     0, 0, 0},
    {"device", "auto",
     "auto | cpu | gpu | accelerator | an index | a mapping of platform, name, vendor, driver, type, min_memory, "
     "requires, "
     "exclude",
     ob__job_read_device, 0, 0, 0},
    {"task", "fill-mask",
     "fill-mask | feature-extraction | text-classification | token-classification | question-answering | "
     "multiple-choice | pseudo-log-likelihood | forward",
     read_task, 0, 0, 0},
    {"inputs", NULL, "one mapping or a list of them; path '-' is standard input", ob__job_read_inputs, 0, 0, 0},
    {"output.path", "-", "'-' is standard output", read_path, offsetof(ob_job, output_path), 0, 0},
    {"output.format", "auto", "jsonl | csv | npy | safetensors, from the name's ending", read_output_format, 0, 0, 0},
    {"output.overwrite", "false", "replace a file that exists", ob__job_read_bool, offsetof(ob_job, overwrite), 0, 0},
    {"tokenizer.max_length", "null", "tokens of a row, special ones included; null: what the model takes",
     ob__job_read_size, offsetof(ob_job, max_length), 3, MAX_TOKENS},
    {"tokenizer.truncation", "longest_first", "longest_first | only_first | only_second | error", read_truncation, 0, 0,
     0},
    {"batch.max_tokens", "auto", "tokens that run together", ob__job_read_size, offsetof(ob_job, max_tokens), 1,
     MAX_TOKENS},
    {"batch.sort_by_length", "true", "rows of similar length together; the output keeps the input's order",
     ob__job_read_bool, offsetof(ob_job, sort_by_length), 0, 0},
    {"on_error", "stop", "stop | skip: a row that is wrong becomes an error row", read_on_error, 0, 0, 0},
    {"fill_mask.top_k", "5", "predictions for each mask", ob__job_read_size, offsetof(ob_job, fill_mask.top_k), 1,
     MAX_TOP_K},
    {"fill_mask.targets", "null", "a list: only these tokens", ob__job_read_targets, 0, 0, 0},
    {"fill_mask.without_mask", "predict", "predict | error: a row without a mask", read_without_mask, 0, 0, 0},
    {"feature_extraction.pooling", "null",
     "none | cls | mean | pooler; null: as the folder's modules.json says, else none", read_pooling, 0, 0, 0},
    {"feature_extraction.normalize", "false", "vectors of length 1", ob__job_read_bool,
     offsetof(ob_job, feature_extraction.normalize), 0, 0},
    {"forward.outputs", "[last_hidden_state]",
     "last_hidden_state, logits, pooler_output, hidden_states, attentions, cross_attentions", ob__job_read_outputs, 0,
     0, 0},
    {"text_classification.top_k", "1", "labels of a row, best first; null: all", read_size_or_all,
     offsetof(ob_job, text_classification.top_k), 1, MAX_TOP_K},
    {"text_classification.function_to_apply", "auto", "auto (by the model's problem_type) | softmax | sigmoid | none",
     read_score_function, 0, 0, 0},
    {"token_classification.aggregation_strategy", "none", "none | simple | first | average | max", read_aggregation, 0,
     0, 0},
    {"token_classification.ignore_labels", "[O]", "labels that are left out", ob__job_read_ignore_labels, 0, 0, 0},
    {"token_classification.stride", "0", "tokens that the windows of a long text share; 0: the text is truncated",
     ob__job_read_size, offsetof(ob_job, token_classification.stride), 0, MAX_TOKENS},
    {"question_answering.top_k", "1", "answers of a row", ob__job_read_size, offsetof(ob_job, question_answering.top_k),
     1, MAX_TOP_K},
    {"question_answering.doc_stride", "auto",
     "tokens that the windows of a long context share; auto: 128, or half of max_seq_len", read_stride,
     offsetof(ob_job, question_answering.doc_stride), 0, MAX_TOKENS},
    {"question_answering.max_answer_len", "15", "tokens of an answer", ob__job_read_size,
     offsetof(ob_job, question_answering.max_answer_len), 1, MAX_TOKENS},
    {"question_answering.max_seq_len", "auto",
     "tokens of question and window together; auto: 384, or what the model takes", ob__job_read_size,
     offsetof(ob_job, question_answering.max_seq_len), 5, MAX_TOKENS},
    {"question_answering.max_question_len", "null", "tokens of the question, the rest is cut off; null: all of it",
     ob__job_read_size, offsetof(ob_job, question_answering.max_question_len), 1, MAX_TOKENS},
    {"question_answering.handle_impossible_answer", "false", "an empty answer takes part", ob__job_read_bool,
     offsetof(ob_job, question_answering.handle_impossible_answer), 0, 0},
    {"question_answering.align_to_words", "true", "answers begin and end with whole words", ob__job_read_bool,
     offsetof(ob_job, question_answering.align_to_words), 0, 0},
    {"pseudo_log_likelihood.token_scores", "false", "the log-probability of each token, too", ob__job_read_bool,
     offsetof(ob_job, pseudo_log_likelihood.token_scores), 0, 0},
};
const size_t ob__job_key_count = COUNT(ob__job_keys);
