/* What measures one shape. Internal to host/tuning. */
#ifndef OBERTA_HOST_TUNE_INTERNAL_H
#define OBERTA_HOST_TUNE_INTERNAL_H

#include <oberta/op_gemm.h>
#include <oberta/tune.h>

typedef struct ob__tune_run {
    ob_context *ctx;
    const ob_tune_options *options;
    ob_tune_progress_fn progress;
    void *user;
    double begin, deadline; /* of the whole run */
    size_t shapes_left;     /* this one included */
    size_t shape_count;
    bool late; /* with OB_ERR_INTERRUPTED: it was the clock */
} ob__tune_run;

/* Seconds of the monotonic clock. */
double ob__tune_now(void);

/* Fills `result` but for its shape. OB_ERR_INTERRUPTED where the caller or the clock (run->late) ends it before. */
ob_status ob__tune_measure(ob__tune_run *run, ob_tune_result *result, ob_error *err);

#endif
