/* A stretch of rows that is read, tokenised, computed and written together. Internal to host/schedule.
 *
 * The sequences of a window's rows share batches, sorted by length; windows follow each other in order, so that results
 * leave in input order with bounded memory. */
#ifndef OBERTA_SCHEDULE_WINDOW_H
#define OBERTA_SCHEDULE_WINDOW_H

#include "encoder_states.h"
#include "results.h"
#include "tasks/item.h"
#include "tasks/task.h"

#include <oberta/parallel.h>
#include <oberta/reader.h>
#include <oberta/schedule.h>

typedef struct ob__window_limits {
    size_t max_rows;
    /* A window closes when its rows' guessed tokens, or their results, exceed these. */
    size_t max_tokens, max_result_bytes;
    size_t bytes_per_token, bytes_per_token_pair; /* of results: n of them, n * n of them for a row of n tokens */
    ob_schedule_limits schedule;
} ob__window_limits;

/* A sequence of the window by row and place in it. */
typedef struct ob__sequence_place {
    size_t item, sequence;
} ob__sequence_place;

typedef struct ob__window {
    ob__item *items;
    size_t count, capacity;
    ob__sequence_place *places; /* every sequence, in order of rows */
    size_t place_count, place_capacity;
    ob_schedule schedule; /* of places */
    size_t next_batch;    /* of schedule, for the worker */
    size_t result_bytes;  /* host memory for the results of all rows */
    bool last;            /* the source ended here */
    /* The batch under way, and scratch for building it: */
    ob_batch batch;
    ob_result result;
    int32_t *integers;
    size_t integer_capacity;
    float *floats;
    size_t float_capacity;
} ob__window;

void ob__window_release(ob__window *window);

/* What turning text into batches and results into rows needs; encoders: one a thread of `parallel`. */
typedef struct ob__window_tools {
    const ob__task *task;
    const ob__task_context *task_context;
    ob__item_encoder *encoders;
    ob_parallel *parallel;
    const ob__encoder_states *encoder_states; /* NULL: rows come without */
    ob__result_widths widths;
} ob__window_tools;

/* Reads rows until the window is full, the source ends, or the next row would have to wait for a slow input. */
ob_status ob__window_read(ob__window *window, const ob_row_source *source, const ob__window_tools *tools,
                          const ob__window_limits *limits, ob_error *err);

/* Tokenises all rows on all threads, then makes the schedule. */
ob_status ob__window_tokenise(ob__window *window, const ob__window_tools *tools, const ob__window_limits *limits,
                              ob_error *err);

/* window_batch.c: builds window->batch from the next batch of the schedule; false when there is none left. */
bool ob__window_next_batch(ob__window *window, const ob__window_tools *tools, ob_status *status, ob_error *err);

/* Gives each sequence of the batch just run its part of window->result; *rows: how many rows are done with it. */
ob_status ob__window_collect(ob__window *window, const ob__window_tools *tools, size_t *rows, ob_error *err);

#endif
