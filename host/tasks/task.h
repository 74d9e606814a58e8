/* What a task wants of the model for a row, and the record it makes of it: one table of functions a task.
 *
 * Internal to host. prepare runs on tokenising threads, collect on the device worker's, emit on the writer's. */
#ifndef OBERTA_TASKS_TASK_H
#define OBERTA_TASKS_TASK_H

#include "item.h"

#include <oberta/job.h>
#include <oberta/roberta_config.h>
#include <oberta/writer.h>

/* Everything a task may look at; read-only while rows are under way. */
typedef struct ob__task_context {
    const ob_job *job;
    const ob_tokenizer *tokenizer;
    const ob_roberta_config *config;
    int32_t mask_id;
    /* fill_mask.targets as ids, without repetitions */
    int32_t *targets;
    size_t target_count;
} ob__task_context;

typedef struct ob__task {
    bool (*needs_lm_head)(const ob_job *job);
    unsigned (*want)(const ob__task_context *ctx); /* of ob_want, the same for every batch */
    size_t (*top_k)(const ob__task_context *ctx);  /* for OB_WANT_TOP_K */
    /* The job against tokenizer and model, before any row. May fill the context's own fields. */
    ob_status (*open)(ob__task_context *ctx, ob_error *err);
    /* Chooses the wanted positions of a tokenised row; may reject it. */
    ob_status (*prepare)(const ob__task_context *ctx, ob__item *item, ob_error *err);
    /* Host bytes that the row's results will take. */
    size_t (*result_bytes)(const ob__task_context *ctx, const ob__item *item);
    /* Reduces the item's copied results in place; NULL: nothing to do. */
    ob_status (*collect)(const ob__task_context *ctx, ob__item *item, ob_error *err);
    ob_status (*emit)(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err);
} ob__task;

extern const ob__task ob__task_fill_mask;
extern const ob__task ob__task_feature_extraction;
extern const ob__task ob__task_forward;

/* The table of a task; NULL for one that this version does not have. */
const ob__task *ob__task_find(ob_task task);

#endif
