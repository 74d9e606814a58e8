/* Opens everything a job needs, in the order in which mistakes are cheapest to find. */
#include "pipeline_internal.h"

#include <oberta/clock.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/processor.h>
#include <oberta/sentence.h>
#include <string.h>
#include <sys/stat.h>

/* Batches in a window: enough that sorting by length wastes little, few enough that results come soon. */
#define WINDOW_BATCHES 16
/* Host memory for the results of one window; a single row may need more. */
#define WINDOW_RESULT_BYTES ((size_t)32 << 20)
#define BATCH_RESULT_BYTES  ((size_t)32 << 20)
#define WINDOW_MAX_ROWS     16384

void ob_pipeline_options_default(ob_pipeline_options *options)
{
    *options = (ob_pipeline_options){.cache_folder = NULL, .profile = false, .gemm = "auto", .tokenizer_threads = 0};
}

/* The same file, whatever the names: `./a`, links. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_in_folder(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL ? ob_strdup(".") : ob_strndup(path, (size_t)(slash - path) + 1);
    bool result = parent == NULL || same_file(parent, folder);
    ob_free(parent);
    return result;
}

/* By its ending one of the files that a model folder is made of; predictions may lie beside them. */
static bool is_model_file(const char *path)
{
    static const char *const endings[] = {".json", ".safetensors", ".bin", ".txt"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i]);
        if (length >= ending && strcmp(path + length - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

/* An output that exists is replaced only when asked, and never when the job itself reads it. */
static ob_status check_output(const ob_pipeline *p, ob_error *err)
{
    const ob_job *job = p->job;
    const char *path = job->output_path;
    if (strcmp(path, "-") == 0 || !ob_file_exists(path))
        return OB_OK;
    if (!job->overwrite)
        return ob_error_set(err, OB_ERR_IO, "%s: exists already (output.overwrite: true replaces it)", path);
    for (size_t i = 0; i < job->input_count; i++)
        if (strcmp(job->inputs[i].path, "-") != 0 && same_file(path, job->inputs[i].path))
            return ob_error_set(err, OB_ERR_CONFIG, "output.path: '%s' is the input '%s'", path, job->inputs[i].path);
    if (is_model_file(path) && (is_in_folder(path, p->root_path) || is_in_folder(path, p->model_path)))
        return ob_error_set(err, OB_ERR_CONFIG, "output.path: '%s' would replace a file in the model's folder", path);
    return OB_OK;
}

static ob_status find_model(ob_pipeline *p, const char *path, ob_error *err)
{
    p->root_path = ob_strdup(path);
    if (p->root_path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    return ob_model_folder_find(path, &p->model_path, err);
}

static ob_status open_tokenizer(ob_pipeline *p, ob_error *err)
{
    if (!ob_folder_exists(p->model_path))
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: no such folder; a model is a folder with config.json, "
                            "model.safetensors or pytorch_model.bin, vocab.json and merges.txt",
                            p->model_path);
    if (ob_tokenizer_open(p->model_path, &p->tokenizer, err) != OB_OK) {
        ob_error_prefix_each(err, "%s", p->model_path);
        return ob_error_status(err);
    }
    return OB_OK;
}

/* The model as config.json and the job describe it. */
static ob_status open_config(ob_pipeline *p, ob_error *err)
{
    const ob_job *job = p->job;
    if (ob_roberta_config_load(p->model_path, &p->config, err) != OB_OK) {
        ob_error_prefix_each(err, "%s", p->model_path);
        return ob_error_status(err);
    }
    for (size_t i = 0; i < job->prune_head_count; i++)
        if (ob_roberta_config_prune(&p->config, job->prune_heads[i].layer, job->prune_heads[i].head, err) != OB_OK) {
            ob_error_prefix(err, "model.prune_heads");
            return ob_error_status(err);
        }
    return OB_OK;
}

/* The states that a decoder attends to beside its text. */
static ob_status open_encoder_states(ob_pipeline *p, ob_error *err)
{
    const ob_job *job = p->job;
    if (ob__encoder_states_open(job->inputs, job->input_count, p->config.hidden_size, &p->encoder_states,
                                &p->longest_encoder, err) != OB_OK)
        return ob_error_status(err);
    if (p->encoder_states != NULL && !p->config.add_cross_attention)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: config.json: add_cross_attention: false, so the model takes no inputs.tensors",
                            p->model_path);
    return OB_OK;
}

/* What tokenizer and model have to agree on, and the task's own demands. */
static ob_status open_task(ob_pipeline *p, ob_error *err)
{
    const ob_roberta_config *config = &p->config;
    const ob_job *job = p->job;
    int32_t max_id = ob_tokenizer_max_id(p->tokenizer);
    if (max_id >= 0 && (size_t)max_id >= config->vocab_size)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: the tokenizer has ids up to %d, but config.json's vocab_size is %zu", p->model_path,
                            max_id, config->vocab_size);
    size_t max_length = ob_roberta_config_max_length(config), own = ob_tokenizer_model_max_length(p->tokenizer);
    if (job->max_length > max_length)
        return ob_error_set(err, OB_ERR_CONFIG, "tokenizer.max_length: %zu is more than the %zu that the model takes",
                            job->max_length, max_length);
    if (own > 0 && own < max_length)
        max_length = own;
    if (job->max_length > 0 && job->max_length < max_length)
        max_length = job->max_length;
    p->task_context = (ob__task_context){.job = job,
                                         .root_path = p->root_path,
                                         .model_path = p->model_path,
                                         .tokenizer = p->tokenizer,
                                         .config = config,
                                         .mask_id = ob_tokenizer_special_id(p->tokenizer, OB_TOKEN_MASK),
                                         .limits = {.tokenizer = p->tokenizer,
                                                    .truncation = job->truncation,
                                                    .max_length = max_length,
                                                    .vocab_size = config->vocab_size,
                                                    .type_vocab_size = config->type_vocab_size,
                                                    .max_position_embeddings = config->max_position_embeddings,
                                                    .num_hidden_layers = config->num_hidden_layers,
                                                    .num_attention_heads = config->num_attention_heads,
                                                    .pad_token_id = config->pad_token_id}};
    return p->task->open(&p->task_context, err);
}

static size_t greater(size_t a, size_t b)
{
    return a > b ? a : b;
}

static ob_status open_worker(ob_pipeline *p, const ob_pipeline_options *options, ob_error *err)
{
    const ob_job *job = p->job;
    ob__task_needs *planned = &p->planned;
    *planned = p->task_context.needs;
    planned->want |= options->want;
    planned->pooler |= (options->want & OB_WANT_POOLER) != 0;
    planned->top_k = greater(planned->top_k, options->top_k);
    ob__worker_spec spec = {.device = &job->devices[0],
                            .model_path = p->model_path,
                            .cache_folder = options->cache_folder,
                            .profile = options->profile,
                            .head = planned->head,
                            .pooler = planned->pooler,
                            .want = planned->want,
                            .top_k = planned->top_k,
                            .prune_heads = job->prune_heads,
                            .prune_head_count = job->prune_head_count,
                            .max_encoder_tokens = greater(p->longest_encoder, options->max_encoder_tokens),
                            .max_length = p->task_context.limits.max_length,
                            .max_tokens = job->max_tokens,
                            .gemm = options->gemm,
                            .tuning = options->tuning};
    return ob__worker_create(&spec, &p->worker, err);
}

/* Rows that carry large results come in smaller windows, so that the host's memory stays bounded. */
static void plan_windows(ob_pipeline *p)
{
    const ob__worker_info *worker = ob__worker_get_info(p->worker);
    const ob_roberta_config *config = &p->config;
    const ob__task_needs *needs = &p->task_context.needs;
    size_t per_token = 0, heads = config->num_hidden_layers * config->num_attention_heads;
    if ((needs->want & OB_WANT_HIDDEN) != 0)
        per_token += config->hidden_size;
    if ((needs->want & OB_WANT_HIDDEN_STATES) != 0)
        per_token += config->hidden_size * (config->num_hidden_layers + 1);
    if ((needs->want & OB_WANT_LOGITS) != 0 && p->job->task == OB_TASK_FORWARD && needs->head == OB_HEAD_LM)
        per_token += config->vocab_size;
    bool maps = (needs->want & (OB_WANT_ATTENTIONS | OB_WANT_CROSS_ATTENTIONS)) != 0;
    p->window_limits = (ob__window_limits){.max_rows = WINDOW_MAX_ROWS,
                                           .max_tokens = worker->max_tokens * WINDOW_BATCHES,
                                           .max_result_bytes = WINDOW_RESULT_BYTES,
                                           .bytes_per_token = per_token * sizeof(float),
                                           .bytes_per_token_pair = maps ? heads * sizeof(float) : 0,
                                           .schedule = {.max_tokens = worker->max_tokens,
                                                        .max_sequences = worker->max_sequences,
                                                        .max_cost = BATCH_RESULT_BYTES,
                                                        .sort_by_length = p->job->sort_by_length}};
}

static ob_status open_threads(ob_pipeline *p, size_t threads, ob_error *err)
{
    if (threads == 0) {
        size_t processors = ob_processor_count();
        threads = processors > 2 ? processors - 1 : 1;
    }
    p->encoders = ob_calloc(threads, sizeof *p->encoders);
    if (p->encoders == NULL || ob_parallel_create(threads, &p->parallel, err) != OB_OK)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "cannot start %zu tokenizer threads", threads);
    for (size_t i = 0; i < threads; i++)
        if (!ob__item_encoder_init(&p->encoders[i]))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tokenizer threads", threads);
    return OB_OK;
}

static void fill_info(ob_pipeline *p, double tokenizer_seconds)
{
    const ob__worker_info *worker = ob__worker_get_info(p->worker);
    p->info = (ob_pipeline_info){.device = worker->device,
                                 .device_why = ob_strbuf_text(&worker->device_why),
                                 .model_path = p->model_path,
                                 .container = worker->container,
                                 .config = &p->config,
                                 .parameters = worker->parameters,
                                 .weight_bytes = worker->weight_bytes,
                                 .activation_bytes = worker->activation_bytes,
                                 .max_tokens = worker->max_tokens,
                                 .max_length = worker->max_length,
                                 .max_sequences = worker->max_sequences,
                                 .load_seconds = worker->load_seconds + tokenizer_seconds,
                                 .build_seconds = worker->build_seconds};
    ob__worker_get_stats(p->worker, &p->info.context);
}

ob_status ob_pipeline_create(const ob_job *job, const char *default_model, const ob_pipeline_options *options,
                             ob_pipeline **out, ob_error *err)
{
    ob_pipeline *p = ob_calloc(1, sizeof *p);
    if (p == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the job");
    p->job = job;
    p->task = ob__task_find(job->task);
    if (find_model(p, job->model_path != NULL ? job->model_path : default_model, err) != OB_OK)
        goto fail;
    if (p->task == NULL) {
        ob_error_set(err, OB_ERR_CONFIG, "task: %d is no task", (int)job->task);
        goto fail;
    }
    double begin = ob_clock_seconds();
    if (check_output(p, err) != OB_OK || open_tokenizer(p, err) != OB_OK)
        goto fail;
    double tokenizer_seconds = ob_clock_seconds() - begin;
    if (open_config(p, err) != OB_OK || open_task(p, err) != OB_OK || open_encoder_states(p, err) != OB_OK ||
        open_worker(p, options, err) != OB_OK || open_threads(p, options->tokenizer_threads, err) != OB_OK)
        goto fail;
    plan_windows(p);
    fill_info(p, tokenizer_seconds);
    *out = p;
    return OB_OK;
fail:
    ob_pipeline_destroy(p);
    return ob_error_status(err);
}

void ob_pipeline_destroy(ob_pipeline *p)
{
    if (p == NULL)
        return;
    if (p->parallel != NULL)
        for (size_t i = 0; i < ob_parallel_threads(p->parallel); i++)
            ob__item_encoder_release(&p->encoders[i]);
    ob_parallel_destroy(p->parallel);
    ob_free(p->encoders);
    ob__worker_destroy(p->worker);
    ob__encoder_states_close(p->encoder_states);
    ob_free(p->task_context.state);
    ob_free(p->scratch);
    ob_roberta_config_release(&p->config);
    ob_tokenizer_close(p->tokenizer);
    ob_free(p->model_path);
    ob_free(p->root_path);
    ob_free(p);
}

const ob_pipeline_info *ob_pipeline_get_info(const ob_pipeline *p)
{
    return &p->info;
}

const ob_tokenizer *ob_pipeline_tokenizer(const ob_pipeline *p)
{
    return p->tokenizer;
}

ob_status ob_pipeline_profile(ob_pipeline *p, ob_strbuf *out, ob_error *err)
{
    return ob__worker_profile(p->worker, out, err);
}
