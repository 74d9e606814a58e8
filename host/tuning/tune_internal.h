/* What measures one shape. Internal to host/tuning. */
#ifndef OBERTA_HOST_TUNE_INTERNAL_H
#define OBERTA_HOST_TUNE_INTERNAL_H

#include <oberta/op_gemm.h>
#include <oberta/tune.h>

/* A provider, with one variant or (0) its own rule, for one shape. The default is the first of an array. */
typedef struct ob__tune_candidate {
    ob_gemm_provider provider;
    int variant; /* as in ob_gemm_desc */
    ob_gemm *gemm;
    bool dropped;                   /* for the rest of the shape */
    double gain[OB_TUNE_M_CLASSES]; /* over the default; 0: not measured, or wrong */
    double seconds[OB_TUNE_M_CLASSES];
} ob__tune_candidate;

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

/* Fills `result` but for its shape. OB_ERR_INTERRUPTED where the caller or the clock (run->late) ends it before. */
ob_status ob__tune_measure(ob__tune_run *run, ob_tune_result *result, ob_error *err);

/* tune_choice.c. One provider for all m, since a row's bits must not depend on the batch: the one with the largest mean
 * gain, as factors, over the classes that were measured; the default unless another gains more than the margin on it.
 */
ob_gemm_provider ob__tune_choose_provider(const ob__tune_candidate *candidates, size_t count,
                                          const bool measured[OB_TUNE_M_CLASSES]);
/* The candidate of a provider for a class: its own rule, unless a variant gains more than the margin on that. NULL
 * where none was measured. */
const ob__tune_candidate *ob__tune_best_of(const ob__tune_candidate *candidates, size_t count,
                                           ob_gemm_provider provider, size_t m_class);

#endif
