/* A job from rows to results: reading, tokenising, batching, the device and writing, all at the same time. */
#ifndef OBERTA_PIPELINE_H
#define OBERTA_PIPELINE_H

#include <oberta/api.h>
#include <oberta/batch.h>
#include <oberta/context.h>
#include <oberta/reader.h>
#include <oberta/roberta_config.h>
#include <oberta/strbuf.h>
#include <oberta/writer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_pipeline ob_pipeline;

typedef struct ob_pipeline_options {
    const char *cache_folder; /* compiled programs; NULL: none */
    bool profile;
    const char *gemm;         /* "auto", or a pinned provider */
    const ob_tuning *tuning;  /* measured choices (tune.h); NULL: none; must outlive the pipeline */
    size_t tokenizer_threads; /* 0: one less than there are processors, at least 1 */
    /* What ob_pipeline_forward will bring and ask for beyond the task's own needs: */
    unsigned want;             /* of ob_want */
    size_t top_k;              /* for OB_WANT_TOP_K, where the task has the masked-LM head */
    size_t max_encoder_tokens; /* of one encoder sequence, for cross-attention; 0: none come */
} ob_pipeline_options;

OB_API void ob_pipeline_options_default(ob_pipeline_options *options);

typedef struct ob_pipeline_info {
    const ob_device_info *device;
    const char *device_why; /* how it was chosen */
    const char *model_path, *container;
    const ob_roberta_config *config;
    uint64_t parameters, weight_bytes, activation_bytes;
    size_t max_tokens, max_length; /* of a batch; of a row */
    size_t max_sequences;          /* of a batch */
    ob_context_stats context;
    double load_seconds, build_seconds; /* weights and tokenizer; kernels */
} ob_pipeline_info;

/* Opens device and model and checks everything that can be checked before the first row: the job's task against the
 * model's heads, targets and top_k against the vocabulary. `model_path` overrides the job's NULL. */
OB_API ob_status ob_pipeline_create(const ob_job *job, const char *default_model, const ob_pipeline_options *options,
                                    ob_pipeline **out, ob_error *err);
OB_API void ob_pipeline_destroy(ob_pipeline *pipeline);
OB_API const ob_pipeline_info *ob_pipeline_get_info(const ob_pipeline *pipeline);

typedef struct ob_progress {
    uint64_t rows, tokens, failed_rows;
    uint64_t bytes_done, bytes_total; /* of the inputs; total 0: not known */
    double seconds;                   /* since the run began */
    double device_seconds;            /* of which the device worked */
} ob_progress;

/* Called from the thread that called ob_pipeline_run, a few times a second. Returning false interrupts the job. */
typedef bool (*ob_progress_fn)(void *user, const ob_progress *progress);

/* The tokenizer of the model's folder; it lives as long as the pipeline. */
OB_API const ob_tokenizer *ob_pipeline_tokenizer(const ob_pipeline *pipeline);

/* Runs the job to its end, from its inputs to its output. OB_OK; OB_ERR_ROWS_FAILED when rows failed and the job skips
 * them (the output is complete); else nothing is left under the output's name. */
OB_API ob_status ob_pipeline_run(ob_pipeline *pipeline, ob_progress_fn progress, void *user, ob_progress *summary,
                                 ob_error *err);

/* The same between a source and a sink of the caller's; the job's inputs and output are not touched. */
OB_API ob_status ob_pipeline_run_with(ob_pipeline *pipeline, const ob_row_source *source, const ob_record_sink *sink,
                                      ob_progress_fn progress, void *user, ob_progress *summary, ob_error *err);

/* One batch of the caller's own, with the head that the task loaded, as ob_roberta_run does it; not while a run is
 * under way. `result` is zeroed by the caller before its first use, may be used again, and is freed with
 * ob_result_release. Fields of `batch` that may be NULL besides those that batch.h names: cu_seqlens (one sequence),
 * position_ids (RoBERTa's own), token_type_ids (zeros). Errors: OB_ERR_INPUT for a batch that is wrong, larger than
 * max_tokens, max_sequences and max_length of ob_pipeline_info, or wants what neither the task nor the options planned.
 */
OB_API ob_status ob_pipeline_forward(ob_pipeline *pipeline, const ob_batch *batch, ob_result *result, ob_error *err);

/* Times of kernels, when options.profile was set: appends a table. */
OB_API ob_status ob_pipeline_profile(ob_pipeline *pipeline, ob_strbuf *out, ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
