/* A stretch of rows that is read, tokenised, computed and written together. Internal to host/schedule.
 *
 * Rows of one window share batches, sorted by length; windows follow each other in order, so that results leave in
 * input order with bounded memory. */
#ifndef OBERTA_SCHEDULE_WINDOW_H
#define OBERTA_SCHEDULE_WINDOW_H

#include "tasks/item.h"
#include "tasks/task.h"

#include <oberta/parallel.h>
#include <oberta/reader.h>
#include <oberta/schedule.h>

typedef struct ob__window_limits {
    size_t max_rows;
    size_t max_text_bytes; /* a window closes when its rows' texts exceed this */
    ob_schedule_limits schedule;
} ob__window_limits;

typedef struct ob__window {
    ob__item *items;
    size_t count, capacity;
    ob_schedule schedule;
    size_t next_batch;   /* of schedule, for the worker */
    size_t result_bytes; /* host memory for the results of all rows */
    bool last;           /* the source ended here */
    /* The batch under way, and scratch for building it: */
    ob_batch batch;
    ob_result result;
    int32_t *arrays;
    size_t arrays_capacity;
} ob__window;

void ob__window_release(ob__window *window);

/* Reads rows until the window is full, the source ends, or the next row would have to wait for a slow input. */
ob_status ob__window_read(ob__window *window, const ob_row_source *source, const ob__window_limits *limits,
                          ob_error *err);

/* What turning text into batches needs; encoders: one a thread of `parallel`. */
typedef struct ob__window_tools {
    const ob__task *task;
    const ob__task_context *task_context;
    const ob__item_limits *item_limits;
    ob__item_encoder *encoders;
    ob_parallel *parallel;
} ob__window_tools;

/* Tokenises all rows on all threads, then makes the schedule. */
ob_status ob__window_tokenise(ob__window *window, const ob__window_tools *tools, const ob__window_limits *limits,
                              ob_error *err);

/* Builds window->batch from the next batch of the schedule; false when there is none left. */
bool ob__window_next_batch(ob__window *window, unsigned want, size_t top_k, ob_status *status, ob_error *err);

/* Gives each row of the batch just run its part of window->result. */
ob_status ob__window_collect(ob__window *window, const ob__window_tools *tools, const ob_roberta_config *config,
                             ob_error *err);

#endif
