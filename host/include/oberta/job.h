/* A batch job as the user wrote it: YAML in, one checked struct out.
 *
 * YAML stops here: nothing below the host sees a node or a key. */
#ifndef OBERTA_JOB_H
#define OBERTA_JOB_H

#include <oberta/api.h>
#include <oberta/device.h>
#include <oberta/dtype.h>
#include <oberta/error.h>
#include <oberta/strbuf.h>
#include <oberta/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(code, name) */
#define OB_TASK_MAP(X)                                      \
    X(OB_TASK_FILL_MASK, "fill-mask")                       \
    X(OB_TASK_FEATURE_EXTRACTION, "feature-extraction")     \
    X(OB_TASK_FORWARD, "forward")                           \
    X(OB_TASK_TEXT_CLASSIFICATION, "text-classification")   \
    X(OB_TASK_TOKEN_CLASSIFICATION, "token-classification") \
    X(OB_TASK_QUESTION_ANSWERING, "question-answering")     \
    X(OB_TASK_MULTIPLE_CHOICE, "multiple-choice")           \
    X(OB_TASK_PSEUDO_LOG_LIKELIHOOD, "pseudo-log-likelihood")

typedef enum ob_task {
#define OB_TASK_ENUM(code, name) code,
    OB_TASK_MAP(OB_TASK_ENUM)
#undef OB_TASK_ENUM
} ob_task;

OB_API const char *ob_task_name(ob_task task);

typedef enum ob_input_format {
    OB_INPUT_AUTO, /* from the name's ending: .jsonl .ndjson .csv .tsv, else text; standard input: text */
    OB_INPUT_TEXT,
    OB_INPUT_JSONL,
    OB_INPUT_CSV,
    OB_INPUT_TSV
} ob_input_format;

typedef enum ob_output_format {
    OB_OUTPUT_AUTO, /* .jsonl .csv .safetensors .npy; standard output: jsonl */
    OB_OUTPUT_JSONL,
    OB_OUTPUT_CSV,
    OB_OUTPUT_SAFETENSORS,
    OB_OUTPUT_NPY
} ob_output_format;

typedef enum ob_pooling { OB_POOLING_NONE, OB_POOLING_CLS, OB_POOLING_MEAN, OB_POOLING_POOLER } ob_pooling;

/* What text-classification makes of logits; AUTO: by the config's problem_type and number of labels. */
typedef enum ob_score_function { OB_SCORE_AUTO, OB_SCORE_SOFTMAX, OB_SCORE_SIGMOID, OB_SCORE_NONE } ob_score_function;

typedef enum ob_aggregation {
    OB_AGGREGATION_NONE,
    OB_AGGREGATION_SIMPLE,
    OB_AGGREGATION_FIRST,
    OB_AGGREGATION_AVERAGE,
    OB_AGGREGATION_MAX
} ob_aggregation;

typedef struct ob_pruned_head {
    size_t layer, head;
} ob_pruned_head;

/* What a row holds, by the job's task. */
typedef enum ob_row_form {
    OB_ROWS_OF_TEXTS, /* a text or a pair; in JSONL also choices, where there is no text */
    OB_ROWS_OF_QUESTIONS,
    OB_ROWS_OF_CHOICES
} ob_row_form;

typedef struct ob_input_spec {
    char *path; /* absolute or relative to the working directory; "-" is standard input */
    ob_input_format format;
    char *text_field, *pair_field, *id_field; /* "text", "text_pair", "id" */
    bool pair_required;                       /* text_pair was given in the job: a row without it is wrong */
    char *ids_field;                          /* JSONL: rows that come tokenised; NULL: "input_ids" */
    char *question_field, *context_field;     /* question-answering; NULL: "question", "context" */
    char *choices_field;                      /* multiple-choice, JSONL; NULL: "choices" */
    char *tensors_path;                       /* safetensors with encoder_hidden_states.<row>; NULL: none */
    ob_row_form form;                         /* follows from the task */
} ob_input_spec;

typedef enum ob_forward_output {
    OB_FORWARD_LAST_HIDDEN_STATE = 1,
    OB_FORWARD_LOGITS = 2, /* question answering: start_logits and end_logits */
    OB_FORWARD_POOLER_OUTPUT = 4,
    OB_FORWARD_HIDDEN_STATES = 8,
    OB_FORWARD_ATTENTIONS = 16,
    OB_FORWARD_CROSS_ATTENTIONS = 32
} ob_forward_output;

#define OB_DOC_STRIDE_AUTO SIZE_MAX

typedef struct ob_job {
    char *model_path; /* NULL: the demo model */
    ob_dtype dtype;
    ob_pruned_head *prune_heads; /* model.prune_heads: {layer: [head, ...]}, beyond those of config.json */
    size_t prune_head_count;
    ob_device_selector *devices; /* at least one */
    size_t device_count;
    ob_task task;
    ob_input_spec *inputs;
    size_t input_count;
    char *output_path;
    ob_output_format output_format;
    bool overwrite;
    size_t max_length;        /* 0: the model's limit */
    ob_truncation truncation; /* NONE is truncation: error */
    size_t max_tokens;        /* of a batch; 0: auto */
    bool sort_by_length;
    bool skip_errors; /* on_error: skip */
    struct {
        size_t top_k;
        char **targets; /* NULL: none */
        size_t target_count;
        bool without_mask_error;
        bool attentions; /* records bring their attention maps; no key of job files */
    } fill_mask;
    struct {
        ob_pooling pooling;
        bool pooling_given; /* else a folder with modules.json gives the embedding that it describes */
        bool normalize;
    } feature_extraction;
    struct {
        unsigned outputs; /* of ob_forward_output */
    } forward;
    struct {
        size_t top_k; /* 1; 0 is all (null) */
        ob_score_function function_to_apply;
    } text_classification;
    struct {
        ob_aggregation aggregation_strategy;
        char **ignore_labels; /* ["O"] */
        size_t ignore_label_count;
        size_t stride; /* tokens that windows of a long text share; 0: no windows, texts are truncated */
    } token_classification;
    struct {
        size_t top_k, max_answer_len; /* 1, 15 */
        size_t max_seq_len;           /* 0: 384, or less where model or tokenizer take less */
        size_t doc_stride;            /* OB_DOC_STRIDE_AUTO: 128, or half of max_seq_len where that is less */
        size_t max_question_len;      /* 0: not cut */
        bool handle_impossible_answer, align_to_words; /* false, true */
    } question_answering;
    struct {
        bool token_scores; /* false */
    } pseudo_log_likelihood;
} ob_job;

OB_API void ob_job_default(ob_job *job); /* every default of the documentation, no inputs, output "-" */
OB_API void ob_job_release(ob_job *job);

/* Reads a job file and applies `overrides` ("batch.max_tokens=4096"). `path` "-" is standard input. All defects are
 * reported, one line each: "job.yaml:7:3: batch.max_token: unknown key; did you mean 'max_tokens'?". Paths inside come
 * out relative to the working directory. `out` is a job from ob_job_default, replaced on success. Errors:
 * OB_ERR_CONFIG, OB_ERR_IO. Nothing named by the job is opened. */
OB_API ob_status ob_job_load(const char *path, const char *const *overrides, size_t override_count, ob_job *out,
                             ob_error *err);

/* The same from memory; `name` stands in messages, `folder` is what relative paths are relative to. */
OB_API ob_status ob_job_parse(const char *text, size_t bytes, const char *name, const char *folder,
                              const char *const *overrides, size_t override_count, ob_job *out, ob_error *err);

/* Appends a job file with every key, its default and a comment. `devices` is comment lines about the devices found
 * ("#   0  PoCL ...\n"), `model_path` NULL for the default's. */
OB_API void ob_job_write_template(ob_strbuf *out, const char *devices, const char *model_path);

#ifdef __cplusplus
}
#endif
#endif
