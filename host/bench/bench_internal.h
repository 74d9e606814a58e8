/* What the files of host/bench share. */
#ifndef OBERTA_BENCH_INTERNAL_H
#define OBERTA_BENCH_INTERNAL_H

#include <oberta/bench.h>
#include <oberta/clock.h>
#include <oberta/hash.h>
#include <oberta/op_roof.h>
#include <oberta/roberta.h>

#define OB__BENCH_TOP_K 5

/* OB_ERR_INTERRUPTED where the watch says so. */
ob_status ob__bench_watch(const ob_bench_watch *watch, const char *what, ob_error *err);

/* A workload as batches of whole rows in their order. */
typedef struct ob__bench_plan {
    ob_batch *batches;
    size_t batch_count;
    int32_t *arrays; /* what the batches point into */
} ob__bench_plan;

typedef struct ob__bench_limits {
    size_t max_tokens, max_sequences; /* of a batch; a longer row is a batch of its own */
} ob__bench_limits;

ob_status ob__bench_plan_create(const ob_workload *workload, const ob_roberta_config *config, ob_bench_head head,
                                const ob__bench_limits *limits, ob__bench_plan *out, ob_error *err);
void ob__bench_plan_release(ob__bench_plan *plan);

/* The mean over layers of the width of query, key and value: heads that are not pruned times their size. */
double ob__bench_attended_width(const ob_roberta_config *config);

/* An open device with the model on it. */
typedef struct ob__bench_session {
    const ob_bench_spec *spec;
    ob_context *ctx;
    ob_roberta *model;
    ob__bench_limits limits;
    ob_roof roof;
    ob_result result; /* of the last batch; its memory serves the next */
} ob__bench_session;

/* measure.c: fills `result` but for `verified`'s share of the roof. */
ob_status ob__bench_measure(ob__bench_session *session, const ob_workload *workload, ob_bench_result *result,
                            ob_error *err);
/* Writes last_hidden_state.<row> of all rows. */
ob_status ob__bench_dump_hidden(ob__bench_session *session, const ob_workload *workload, const char *path,
                                ob_error *err);
/* One run of a plan; *seconds is the time inside ob_roberta_run. `hash` (may be NULL) gets the hash of all outputs. */
ob_status ob__bench_pass(ob__bench_session *session, const ob__bench_plan *plan, double *seconds, ob_hash128 *hash,
                         ob_error *err);

/* profile.c: runs the workloads in a session whose context profiles. */
ob_status ob__bench_profile(ob__bench_session *session, ob_bench_report *report, ob_error *err);

/* operators.c */
ob_status ob__bench_operators(ob__bench_session *session, ob_bench_report *report, ob_error *err);

#endif
