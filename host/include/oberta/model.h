/* One handle for a program that has texts and wants results: a device, a model folder on it, its tokenizer, and a task.
 *
 *     ob_error err;
 *     ob_error_clear(&err);
 *     ob_model_options options;
 *     ob_model_options_default(&options);
 *     options.device = "auto";
 *     ob_model *model = NULL;
 *     ob_results *results = NULL;
 *     const char *text = "for i in <mask>(10):";
 *     if (ob_model_open("models/demo", &options, &model, &err) == OB_OK &&
 *         ob_model_run(model, &text, NULL, 1, &results, &err) == OB_OK)
 *         show(ob_results_get(results, 0));
 *     else
 *         complain(err.text);
 *     ob_results_destroy(results);
 *     ob_model_close(model);
 *
 * The task decides which head is loaded and what the records hold; one copy of the weights serves tasks, raw batches
 * (ob_model_forward) and streams (ob_model_pipeline). A model belongs to one thread at a time; several models may run
 * on several threads, on one device or many. Its tokenizer may be used from any thread while the model is open, with a
 * cache of their own each (tokenizer.h). */
#ifndef OBERTA_MODEL_H
#define OBERTA_MODEL_H

#include <oberta/api.h>
#include <oberta/batch.h>
#include <oberta/pipeline.h>
#include <oberta/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_model ob_model;

typedef struct ob_model_options {
    const char *device; /* as --device takes it: "auto", "cpu", "gpu", "1", "platform=rusticl,type=gpu"; NULL: what the
                           settings say, else "auto" */
    const char *task;   /* "fill-mask", "feature-extraction", "forward", ...; NULL: what the settings say, else
                           "fill-mask" */
    /* (setting_count) Keys of job files as --set takes them: "fill_mask.top_k=3", "feature_extraction.pooling=mean",
     * "model.dtype=float32", "tokenizer.max_length=128", "batch.max_tokens=2048". `oberta init` lists all of them.
     * `inputs` names the fields of JSONL rows, and tensors beside them; its path and `output` are not used. */
    const char *const *settings;
    size_t setting_count;
    /* Compiled kernels on disk, measured choices, what ob_model_forward may want. OB_WANT_ATTENTIONS here also gives
     * the records of fill-mask their attention maps. */
    ob_pipeline_options pipeline;
} ob_model_options;

OB_API void ob_model_options_default(ob_model_options *options); /* fill-mask on `auto`, no cache on disk */

/* Opens the folder's tokenizer, config and weights, then the device, and loads the model: seconds, where kernels have
 * to be compiled. Nothing of `options` is kept but pipeline.tuning, which must outlive the model. Errors: OB_ERR_CONFIG
 * and OB_ERR_USAGE (settings, task, selector), OB_ERR_MODEL and OB_ERR_UNSUPPORTED (with everything that is wrong in
 * the folder), OB_ERR_NO_DEVICE (with every device and why not), OB_ERR_DEVICE, OB_ERR_BUILD, OB_ERR_IO,
 * OB_ERR_OUT_OF_MEMORY. */
OB_API ob_status ob_model_open(const char *folder, const ob_model_options *options, ob_model **out, ob_error *err);
OB_API void ob_model_close(ob_model *model); /* NULL is fine */

/* What was opened; all of these live as long as the model. */
OB_API const ob_pipeline_info *ob_model_get_info(const ob_model *model);
OB_API const ob_tokenizer *ob_model_tokenizer(const ob_model *model);
/* For streams of rows that do not fit into memory (ob_pipeline_run_with), and for the times of kernels. */
OB_API ob_pipeline *ob_model_pipeline(ob_model *model);

/* Records in the order of their texts, with everything in them, owned by the list. */
typedef struct ob_results ob_results;

OB_API size_t ob_results_count(const ob_results *results);
OB_API const ob_record *ob_results_get(const ob_results *results, size_t index); /* NULL past the last */
OB_API void ob_results_destroy(ob_results *results);                             /* NULL is fine */

/* Runs the task on `count` texts, NUL-terminated UTF-8; `pairs` NULL, or (count) second texts, where NULL is none. One
 * record a text, the numbers and strings that `oberta run` writes, the same bits whatever else stands in `texts`. A
 * text that cannot be taken (no UTF-8, too long where truncation is `error`) is OB_ERR_INPUT and ends the call, or,
 * with the setting "on_error=skip", an OB_RECORD_ERROR in its place. *out is only set on OB_OK. */
OB_API ob_status ob_model_run(ob_model *model, const char *const *texts, const char *const *pairs, size_t count,
                              ob_results **out, ob_error *err);

/* The same for rows as JSONL inputs have them, a JSON object a line: {"text": ..., "text_pair": ...}, {"input_ids":
 * [...]}, and what other tasks take. The only way for tasks whose rows are more than a text or two. */
OB_API ob_status ob_model_run_jsonl(ob_model *model, const char *lines, size_t bytes, ob_results **out, ob_error *err);

/* One batch of ids through the model, see ob_pipeline_forward. What it asks for beyond the task's needs (attention maps
 * of a fill-mask model, poolings, more than the task's top_k) stands in options.pipeline. */
OB_API ob_status ob_model_forward(ob_model *model, const ob_batch *batch, ob_result *result, ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
