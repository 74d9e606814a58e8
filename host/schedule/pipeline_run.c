/* Three threads and a ring of windows:
 *
 *     feeder   reads and tokenises a window      filled++
 *     worker   runs the window's batches         computed++
 *     caller   writes the window's rows          written++
 *
 * Each counter is moved by one thread alone, in order, so rows leave in input order; written <= computed <= filled, and
 * filled - written never exceeds the ring. The first error of any thread stops all of them. */
#include "pipeline_internal.h"

#include <oberta/clock.h>
#include <oberta/memory.h>
#include <pthread.h>
#include <time.h>

#define RING 3
/* Computed windows wait to be written; above this the worker waits with them. */
#define WAITING_RESULT_BYTES ((size_t)64 << 20)
#define PROGRESS_SECONDS     0.1

typedef struct run {
    ob_pipeline *pipeline;
    const ob_row_source *source;
    ob__window_tools tools;
    ob__window ring[RING];

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Guarded by mutex: */
    size_t filled, computed, written;
    bool ended; /* the window before `filled` was the last */
    bool stop;
    ob_status status;
    ob_error *err; /* the caller's; written by whoever stops first */
    size_t waiting_bytes;
    ob_progress progress;
    double begin;
} run;

static ob__window *window_at(run *r, size_t number)
{
    return &r->ring[number % RING];
}

static void stop_run(run *r, ob_status status, const ob_error *err)
{
    pthread_mutex_lock(&r->mutex);
    if (!r->stop) {
        r->stop = true;
        r->status = status;
        if (err != NULL)
            ob_error_set(r->err, status, "%s", err->text);
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

/* Feeder ---------------------------------------------------------------------------------------------------------- */

static bool wait_for_room(run *r)
{
    pthread_mutex_lock(&r->mutex);
    while (!r->stop && r->filled - r->written == RING)
        pthread_cond_wait(&r->changed, &r->mutex);
    bool go = !r->stop;
    pthread_mutex_unlock(&r->mutex);
    return go;
}

static void publish_window(run *r, const ob__window *window)
{
    uint64_t done = 0, total = 0;
    if (r->source->progress != NULL)
        r->source->progress(r->source->user, &done, &total);
    pthread_mutex_lock(&r->mutex);
    r->filled++;
    r->ended = window->last;
    r->progress.bytes_done = done;
    r->progress.bytes_total = total;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void *feeder_main(void *argument)
{
    run *r = argument;
    const ob__window_limits *limits = &r->pipeline->window_limits;
    ob_error err;
    ob_error_clear(&err);
    while (wait_for_room(r)) {
        ob__window *window = window_at(r, r->filled);
        ob_status status = ob__window_read(window, r->source, &r->tools, limits, &err);
        if (status == OB_OK)
            status = ob__window_tokenise(window, &r->tools, limits, &err);
        if (status != OB_OK) {
            stop_run(r, status, &err);
            break;
        }
        publish_window(r, window);
        if (window->last)
            break;
    }
    return NULL;
}

/* Worker: the two sides of the door ------------------------------------------------------------------------------- */

/* The window to compute, or NULL when there is none left. */
static ob__window *wait_for_window(run *r)
{
    pthread_mutex_lock(&r->mutex);
    for (;;) {
        bool available = r->computed < r->filled;
        if (r->stop || (!available && r->ended))
            break;
        /* A window under way keeps its place; a new one waits until the writer has made room for its results. */
        ob__window *window = window_at(r, r->computed);
        if (available && (window->next_batch > 0 || r->waiting_bytes == 0 ||
                          r->waiting_bytes + window->result_bytes <= WAITING_RESULT_BYTES))
            break;
        pthread_cond_wait(&r->changed, &r->mutex);
    }
    ob__window *window = r->stop || r->computed == r->filled ? NULL : window_at(r, r->computed);
    pthread_mutex_unlock(&r->mutex);
    return window;
}

static void finish_window(run *r, const ob__window *window)
{
    pthread_mutex_lock(&r->mutex);
    r->computed++;
    r->waiting_bytes += window->result_bytes;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void next_batch(void *user, const ob_batch **batch, ob_result **result)
{
    run *r = user;
    ob_error err;
    ob_error_clear(&err);
    *batch = NULL;
    for (;;) {
        ob__window *window = wait_for_window(r);
        if (window == NULL)
            return;
        ob_status status;
        if (ob__window_next_batch(window, &r->tools, &status, &err)) {
            *batch = &window->batch;
            *result = &window->result;
            return;
        }
        if (status != OB_OK) {
            stop_run(r, status, &err);
            return;
        }
        finish_window(r, window);
    }
}

static void batch_done(void *user, const ob_batch *batch, ob_result *result, ob_status status, const ob_error *err)
{
    run *r = user;
    ob_error own;
    ob_error_clear(&own);
    if (status == OB_OK) {
        /* `computed` is moved by this thread alone, so it may be read here without the lock. */
        uint64_t device_ns = result->device_ns;
        size_t rows = 0;
        status = ob__window_collect(window_at(r, r->computed), &r->tools, &rows, &own);
        err = &own;
        pthread_mutex_lock(&r->mutex);
        r->progress.rows += rows;
        r->progress.tokens += batch->token_count;
        r->progress.device_seconds += (double)device_ns * 1e-9;
        pthread_mutex_unlock(&r->mutex);
    }
    if (status != OB_OK)
        stop_run(r, status, err);
}

/* Writer ---------------------------------------------------------------------------------------------------------- */

/* A row that no batch counts. */
static void count_row(run *r, bool failed)
{
    pthread_mutex_lock(&r->mutex);
    r->progress.rows++;
    r->progress.failed_rows += failed;
    pthread_mutex_unlock(&r->mutex);
}

static ob_status emit_defect(run *r, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    const ob_row *row = &item->row;
    if (!r->pipeline->job->skip_errors)
        return ob_error_set(err, row->defect, "%s:%llu: row %llu: %s", row->file != NULL ? row->file : "input",
                            (unsigned long long)row->line, (unsigned long long)row->number,
                            ob_strbuf_text(&row->defect_text));
    count_row(r, true);
    ob_record record = ob__item_record(item, OB_RECORD_ERROR);
    record.error_code = ob_status_name(row->defect);
    record.error_message = ob_strbuf_text(&row->defect_text);
    return sink->write(sink->user, &record, err);
}

static ob_status emit_window(run *r, ob__window *window, const ob_record_sink *sink, ob_error *err)
{
    const ob_pipeline *p = r->pipeline;
    for (size_t i = 0; i < window->count; i++) {
        ob__item *item = &window->items[i];
        ob_status status = item->row.defect != OB_OK ? emit_defect(r, item, sink, err)
                                                     : p->task->emit(&p->task_context, item, sink, err);
        if (status != OB_OK)
            return status;
        if (item->sequence_count == 0 && item->row.defect == OB_OK)
            count_row(r, false);                          /* there was nothing to run */
        for (size_t k = 0; k < item->sequence_count; k++) /* results may be large; the window itself is used again */
            ob_result_release(&item->sequences[k].result);
    }
    return OB_OK;
}

static ob_progress snapshot(run *r)
{
    pthread_mutex_lock(&r->mutex);
    ob_progress progress = r->progress;
    pthread_mutex_unlock(&r->mutex);
    progress.seconds = ob_clock_seconds() - r->begin;
    return progress;
}

/* Waits for a computed window, or until it is time to show progress. True while there is more to do. */
static bool wait_for_results(run *r, ob__window **window)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(PROGRESS_SECONDS * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->mutex);
    bool finished;
    for (;;) {
        finished = r->stop || (r->ended && r->written == r->filled);
        if (finished || r->written < r->computed || pthread_cond_timedwait(&r->changed, &r->mutex, &until) != 0)
            break;
    }
    *window = !finished && r->written < r->computed ? window_at(r, r->written) : NULL;
    pthread_mutex_unlock(&r->mutex);
    return !finished;
}

static void release_window(run *r, const ob__window *window)
{
    pthread_mutex_lock(&r->mutex);
    r->written++;
    r->waiting_bytes -= window->result_bytes;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void write_results(run *r, const ob_record_sink *sink, ob_progress_fn progress, void *user)
{
    ob_error err;
    ob_error_clear(&err);
    double shown = 0;
    ob__window *window;
    while (wait_for_results(r, &window)) {
        if (window != NULL) {
            ob_status status = emit_window(r, window, sink, &err);
            if (status != OB_OK) {
                stop_run(r, status, &err);
                return;
            }
            release_window(r, window);
        }
        if (progress == NULL || ob_clock_seconds() - shown < PROGRESS_SECONDS)
            continue;
        shown = ob_clock_seconds();
        ob_progress now = snapshot(r);
        if (!progress(user, &now)) {
            ob_error_set(&err, OB_ERR_INTERRUPTED, "interrupted after %llu rows", (unsigned long long)now.rows);
            stop_run(r, OB_ERR_INTERRUPTED, &err);
        }
    }
}

/* ----------------------------------------------------------------------------------------------------------------- */

static ob_status run_threads(run *r, const ob_record_sink *sink, ob_progress_fn progress, void *user, ob_error *err)
{
    pthread_t feeder;
    ob__batch_queue queue = {next_batch, batch_done, r};
    int code = pthread_create(&feeder, NULL, feeder_main, r);
    if (code != 0)
        return ob_error_set_errno(err, OB_ERR_OUT_OF_MEMORY, code, "cannot start the reading thread");
    ob_error start_error;
    ob_error_clear(&start_error);
    if (ob__worker_start(r->pipeline->worker, &queue, &start_error) != OB_OK)
        stop_run(r, start_error.status, &start_error);
    write_results(r, sink, progress, user);
    pthread_join(feeder, NULL);
    ob__worker_join(r->pipeline->worker);
    return r->status;
}

ob_status ob_pipeline_run_with(ob_pipeline *p, const ob_row_source *source, const ob_record_sink *sink,
                               ob_progress_fn progress, void *user, ob_progress *summary, ob_error *err)
{
    run *r = ob_calloc(1, sizeof *r);
    if (r == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the run");
    r->pipeline = p;
    r->source = source;
    r->tools = (ob__window_tools){.task = p->task,
                                  .task_context = &p->task_context,
                                  .encoders = p->encoders,
                                  .parallel = p->parallel,
                                  .encoder_states = p->encoder_states,
                                  .widths = ob__result_widths_of(&p->task_context.needs, &p->config)};
    r->err = err;
    r->begin = ob_clock_seconds();
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->changed, NULL);
    ob_status status = run_threads(r, sink, progress, user, err);
    ob_progress end = snapshot(r);
    if (status == OB_OK && progress != NULL)
        progress(user, &end);
    if (summary != NULL)
        *summary = end;
    for (size_t i = 0; i < RING; i++)
        ob__window_release(&r->ring[i]);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    ob_free(r);
    if (status == OB_OK && end.failed_rows > 0)
        return ob_error_set(err, OB_ERR_ROWS_FAILED, "%llu of %llu rows failed", (unsigned long long)end.failed_rows,
                            (unsigned long long)end.rows);
    return status;
}

static ob_status reader_next(void *user, ob_row *row, bool *more, ob_error *err)
{
    return ob_reader_next(user, row, more, err);
}

static bool reader_ready(void *user)
{
    return ob_reader_ready(user);
}

static void reader_progress(void *user, uint64_t *done, uint64_t *total)
{
    ob_reader_progress(user, done, total);
}

static ob_status writer_write(void *user, const ob_record *record, ob_error *err)
{
    return ob_writer_write(user, record, err);
}

ob_status ob_pipeline_run(ob_pipeline *p, ob_progress_fn progress, void *user, ob_progress *summary, ob_error *err)
{
    const ob_job *job = p->job;
    ob_reader *reader = NULL;
    ob_writer *writer = NULL;
    ob_status status;
    if ((status = ob_reader_create(job->inputs, job->input_count, &reader, err)) != OB_OK ||
        (status = ob_writer_create(job->output_path, job->output_format, job->overwrite, &writer, err)) != OB_OK)
        goto done;
    ob_row_source source = {reader_next, reader_ready, reader_progress, reader};
    ob_record_sink sink = {writer_write, writer};
    status = ob_pipeline_run_with(p, &source, &sink, progress, user, summary, err);
    if (status == OB_OK || status == OB_ERR_ROWS_FAILED) {
        ob_error commit_error;
        ob_error_clear(&commit_error);
        if (ob_writer_commit(writer, &commit_error) != OB_OK)
            status = ob_error_set(err, commit_error.status, "%s", commit_error.text);
    }
done:
    ob_writer_destroy(writer);
    ob_reader_destroy(reader);
    return status;
}
