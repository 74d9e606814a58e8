/* One device, one model, one thread. */
#include "worker.h"

#include <oberta/clock.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/profile.h>
#include <oberta/schedule.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct ob__worker {
    ob_device_list *devices;
    ob_checkpoint *checkpoint; /* closed once the weights are on the device */
    ob_context *ctx;
    ob_roberta *model;
    ob__worker_info info;
    pthread_t thread;
    bool running;
    ob__batch_queue queue;
};

static ob_status read_model(ob__worker *w, const ob__worker_spec *spec, ob_error *err)
{
    if (ob_roberta_config_load(spec->model_path, &w->info.config, err) != OB_OK)
        return ob_error_status(err);
    for (size_t i = 0; i < spec->prune_head_count; i++)
        if (ob_roberta_config_prune(&w->info.config, spec->prune_heads[i].layer, spec->prune_heads[i].head, err) !=
            OB_OK)
            return ob_error_status(err);
    if (ob_checkpoint_open(spec->model_path, &w->checkpoint, err) != OB_OK ||
        ob_roberta_check(&w->info.config, w->checkpoint, spec->head, spec->pooler, err) != OB_OK)
        return ob_error_status(err);
    snprintf(w->info.container, sizeof w->info.container, "%s", ob_checkpoint_container(w->checkpoint));
    return OB_OK;
}

static ob_status open_device(ob__worker *w, const ob__worker_spec *spec, ob_error *err)
{
    ob_device *device;
    ob_context_options options;
    ob_context_options_default(&options);
    options.cache_folder = spec->cache_folder;
    options.profile = spec->profile;
    options.tuning = spec->tuning;
    if (ob_device_list_create(&w->devices, err) != OB_OK ||
        ob_device_list_use_cache(w->devices, spec->cache_folder, err) != OB_OK ||
        ob_device_select(w->devices, spec->device, &device, &w->info.device_why, err) != OB_OK ||
        ob_context_create(device, &options, &w->ctx, err) != OB_OK)
        return ob_error_status(err);
    w->info.device = ob_device_get_info(device);
    return OB_OK;
}

static void plan_batches(ob__worker_info *info, const ob__worker_spec *spec)
{
    size_t limit = ob_roberta_config_max_length(&info->config);
    info->max_length = spec->max_length == 0 || spec->max_length > limit ? limit : spec->max_length;
    info->max_tokens = spec->max_tokens;
    if (info->max_tokens == 0)
        info->max_tokens = ob_schedule_auto_tokens(info->device);
    if (info->max_tokens < info->max_length)
        info->max_tokens = info->max_length;
    info->max_sequences = ob_schedule_max_sequences(info->max_tokens);
}

static ob_status load_model(ob__worker *w, const ob__worker_spec *spec, ob_error *err)
{
    plan_batches(&w->info, spec);
    ob_roberta_options options;
    ob_roberta_options_default(&options);
    options.max_tokens = w->info.max_tokens;
    options.max_sequences = w->info.max_sequences;
    options.max_length = w->info.max_length;
    options.head = spec->head;
    options.pooler = spec->pooler;
    options.want = spec->want;
    if (spec->max_encoder_tokens > 0) /* batches are filled by the longer of a sequence and its encoder's */
        w->info.max_encoder_tokens =
            spec->max_encoder_tokens > w->info.max_tokens ? spec->max_encoder_tokens : w->info.max_tokens;
    options.max_encoder_tokens = w->info.max_encoder_tokens;
    options.max_encoder_length = w->info.max_encoder_length = spec->max_encoder_tokens;
    options.top_k = spec->top_k;
    options.gemm = spec->gemm;
    if (ob_roberta_create(w->ctx, &w->info.config, w->checkpoint, &options, &w->model, err) != OB_OK ||
        ob_context_finish(w->ctx, err) != OB_OK)
        return ob_error_status(err);
    w->info.parameters = ob_roberta_parameter_count(w->model);
    w->info.weight_bytes = ob_roberta_weight_bytes(w->model);
    w->info.activation_bytes = ob_roberta_activation_bytes(w->model);
    ob_checkpoint_close(w->checkpoint);
    w->checkpoint = NULL;
    return OB_OK;
}

ob_status ob__worker_create(const ob__worker_spec *spec, ob__worker **out, ob_error *err)
{
    ob__worker *w = ob_calloc(1, sizeof *w);
    if (w == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a device's worker");
    double begin = ob_clock_seconds();
    if (read_model(w, spec, err) != OB_OK) {
        ob_error_prefix_each(err, "%s", spec->model_path);
        goto fail;
    }
    if (open_device(w, spec, err) != OB_OK)
        goto fail;
    if (load_model(w, spec, err) != OB_OK) {
        ob_error_prefix(err, "loading '%s' on '%s'", spec->model_path, w->info.device->name);
        goto fail;
    }
    ob_context_stats stats;
    ob_context_get_stats(w->ctx, &stats);
    w->info.build_seconds = stats.build_seconds;
    w->info.load_seconds = ob_clock_seconds() - begin - stats.build_seconds;
    *out = w;
    return OB_OK;
fail:
    ob__worker_destroy(w);
    return ob_error_status(err);
}

void ob__worker_destroy(ob__worker *w)
{
    if (w == NULL)
        return;
    ob__worker_join(w);
    ob_roberta_destroy(w->model);
    ob_context_destroy(w->ctx);
    ob_checkpoint_close(w->checkpoint);
    ob_device_list_destroy(w->devices);
    ob_strbuf_release(&w->info.device_why);
    ob_roberta_config_release(&w->info.config);
    ob_free(w);
}

const ob__worker_info *ob__worker_get_info(const ob__worker *w)
{
    return &w->info;
}

ob_status ob__worker_run(ob__worker *w, const ob_batch *batch, ob_result *result, ob_error *err)
{
    ob_status status = ob_roberta_run(w->model, batch, result, err);
    if (status != OB_OK)
        ob_error_prefix(err, "running a batch of %zu tokens on '%s'", batch->token_count, w->info.device->name);
    return status;
}

static void *worker_main(void *argument)
{
    ob__worker *w = argument;
    for (;;) {
        const ob_batch *batch;
        ob_result *result;
        w->queue.next(w->queue.user, &batch, &result);
        if (batch == NULL)
            return NULL;
        ob_error err;
        ob_error_clear(&err);
        ob_status status = ob__worker_run(w, batch, result, &err);
        w->queue.done(w->queue.user, batch, result, status, &err);
    }
}

ob_status ob__worker_start(ob__worker *w, const ob__batch_queue *queue, ob_error *err)
{
    w->queue = *queue;
    int code = pthread_create(&w->thread, NULL, worker_main, w);
    if (code != 0)
        return ob_error_set_errno(err, OB_ERR_OUT_OF_MEMORY, code, "cannot start the device's thread");
    w->running = true;
    return OB_OK;
}

void ob__worker_join(ob__worker *w)
{
    if (w->running)
        pthread_join(w->thread, NULL);
    w->running = false;
}

void ob__worker_get_stats(const ob__worker *w, ob_context_stats *out)
{
    ob_context_get_stats(w->ctx, out);
}

ob_status ob__worker_profile(ob__worker *w, ob_strbuf *out, ob_error *err)
{
    ob_profile_entry *entries;
    size_t count;
    if (ob_profile_collect(w->ctx, &entries, &count, err) != OB_OK)
        return ob_error_status(err);
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += (double)entries[i].total_ns;
    ob_strbuf_printf(out, "%-32s %9s %11s %7s %11s\n", "kernel", "launches", "total ms", "share", "mean us");
    for (size_t i = 0; i < count; i++) {
        double ns = (double)entries[i].total_ns;
        ob_strbuf_printf(out, "%-32s %9llu %11.2f %6.1f%% %11.2f\n", entries[i].kernel,
                         (unsigned long long)entries[i].launches, ns * 1e-6, total > 0 ? 100 * ns / total : 0.0,
                         ns * 1e-3 / (double)entries[i].launches);
    }
    ob_free(entries);
    return out->failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the profile") : OB_OK;
}
