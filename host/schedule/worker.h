/* The device's side of the narrow door: opens a device and a model from plain values, then runs batches one by one.
 *
 * What crosses the door are ob_worker_spec, ob_batch and ob_result: nothing but numbers and strings, so a worker can
 * become a process of its own without a change on either side. Internal to host/schedule. */
#ifndef OBERTA_SCHEDULE_WORKER_H
#define OBERTA_SCHEDULE_WORKER_H

#include <oberta/batch.h>
#include <oberta/context.h>
#include <oberta/job.h>
#include <oberta/roberta.h>

typedef struct ob__worker_spec {
    const ob_device_selector *device;
    const char *model_path;
    const char *cache_folder; /* NULL: none */
    bool profile;
    ob_head head;
    bool pooler;
    unsigned want; /* of ob_want: all that batches may want */
    size_t top_k;
    const ob_pruned_head *prune_heads; /* (prune_head_count), beyond those of config.json */
    size_t prune_head_count;
    size_t max_encoder_tokens; /* of the longest encoder sequence that will come; 0: none come */
    size_t max_length;         /* 0: the model's */
    size_t max_tokens;         /* 0: auto */
    const char *gemm;
    const ob_tuning *tuning; /* NULL: none */
} ob__worker_spec;

typedef struct ob__worker_info {
    const ob_device_info *device;
    ob_strbuf device_why;
    char container[64];
    ob_roberta_config config;
    size_t max_tokens, max_sequences, max_length, max_encoder_tokens, max_encoder_length;
    uint64_t parameters, weight_bytes, activation_bytes;
    double load_seconds, build_seconds;
} ob__worker_info;

typedef struct ob__worker ob__worker;

/* Chooses and opens the device, loads the model. Checks config.json and all tensors before it touches the device. */
ob_status ob__worker_create(const ob__worker_spec *spec, ob__worker **out, ob_error *err);
void ob__worker_destroy(ob__worker *worker);
const ob__worker_info *ob__worker_get_info(const ob__worker *worker);

/* Where a worker gets its batches. next blocks until there is one; *batch NULL ends the worker. done is called once for
 * each batch, with the status of running it. Both on the worker's thread. */
typedef struct ob__batch_queue {
    void (*next)(void *user, const ob_batch **batch, ob_result **result);
    void (*done)(void *user, const ob_batch *batch, ob_result *result, ob_status status, const ob_error *err);
    void *user;
} ob__batch_queue;

/* Runs on a thread of its own until the queue ends. The queue must outlive the thread. */
ob_status ob__worker_start(ob__worker *worker, const ob__batch_queue *queue, ob_error *err);
/* One batch on the calling thread, while no other runs. */
ob_status ob__worker_run(ob__worker *worker, const ob_batch *batch, ob_result *result, ob_error *err);
/* Waits for the thread's end. */
void ob__worker_join(ob__worker *worker);

void ob__worker_get_stats(const ob__worker *worker, ob_context_stats *out);
/* Only while no thread runs: a table of the kernels' times. */
ob_status ob__worker_profile(ob__worker *worker, ob_strbuf *out, ob_error *err);

#endif
