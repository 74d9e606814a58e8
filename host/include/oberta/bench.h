/* How fast a device runs a model: workloads, measurements, and the device's measured roof beside them. */
#ifndef OBERTA_BENCH_H
#define OBERTA_BENCH_H

#include <oberta/api.h>
#include <oberta/checkpoint.h>
#include <oberta/profile.h>
#include <oberta/roberta_config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of known lengths. Token ids follow from row and position alone: (row * 7919 + position * 104729) %
 * (vocab_size - 4) + 4. Nothing is padded. */
typedef struct ob_workload {
    char name[32];
    size_t row_count;
    size_t *lengths; /* (row_count) */
    size_t token_count, longest;
} ob_workload;

/* "32x128": 32 rows of 128 tokens. "mixed": 256 rows of exp(N(3.6, 0.8)) tokens, cut to 6..512, the same everywhere.
 * OB_ERR_USAGE for anything else. */
OB_API ob_status ob_workload_parse(const char *text, ob_workload *out, ob_error *err);
OB_API void ob_workload_release(ob_workload *workload);

typedef enum ob_bench_head {
    OB_BENCH_ENCODER,   /* the first token's hidden state of every row comes back */
    OB_BENCH_FILL_MASK, /* the five best tokens at the middle of every row */
    OB_BENCH_LOGITS     /* logits of every token, downloaded; a batch has at most 256 MiB of them */
} ob_bench_head;

/* NULL past the last. */
OB_API const char *ob_bench_head_name(size_t head);

/* Floating-point operations of a workload, an fma is 2: the matrix products and attention of real tokens, 2 (4 h a +
 * 2 h i) + 4 L a a layer and token, a: width of the heads that are not pruned; where the head runs 2 (h^2 + h v). */
OB_API double ob_workload_flops(const ob_workload *workload, const ob_roberta_config *config, ob_bench_head head);

/* Tells what is being done (NULL: nothing new); false stops with OB_ERR_INTERRUPTED. */
typedef struct ob_bench_watch {
    bool (*go_on)(void *user, const char *what);
    void *user;
} ob_bench_watch;

/* A model on disk, or random weights of a shape, which leave nothing on disk. */
typedef struct ob_bench_model {
    char *name;
    bool random_weights;
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    double make_seconds; /* to make random weights */
    double open_seconds;
} ob_bench_model;

OB_API ob_status ob_bench_model_open(const char *folder, ob_bench_model *out, ob_error *err);
/* `shape` is a name that ob_roberta_config_known knows, or that of a config.json. OB_ERR_USAGE for one that is neither.
 * The weights go through a folder in $TMPDIR that is gone on return. */
OB_API ob_status ob_bench_model_random(const char *shape, const ob_bench_watch *watch, ob_bench_model *out,
                                       ob_error *err);
OB_API void ob_bench_model_release(ob_bench_model *model);

typedef struct ob_bench_spec {
    ob_device *device;
    const ob_bench_model *model;
    const ob_workload *workloads; /* (workload_count), must outlive the report */
    size_t workload_count;
    ob_bench_head head;
    double seconds;           /* of runs of each workload; at least three runs */
    size_t max_tokens;        /* of a batch; 0: what `batch.max_tokens: auto` means for the device */
    const char *cache_folder; /* NULL: none */
    const char *gemm;         /* as in ob_roberta_options */
    bool once;                /* no roof, one run of each workload */
    bool profile;             /* a second pass for times of kernels */
    bool operators;           /* operators alone */
    size_t trace_launches;    /* in that second pass, kept one by one; 0: none */
    const char *dump_hidden;  /* safetensors file for the first workload's hidden states, replaced; NULL: none */
    double started;           /* monotonic clock, seconds: what total_ms counts from */
    ob_bench_watch watch;
} ob_bench_spec;

/* Of one pass. A rate of 0: not counted. */
typedef struct ob_bench_kernel {
    char name[64];
    double launches, ms, share; /* share of the kernels' time */
    double gflops, gbytes_per_s;
} ob_bench_kernel;

typedef struct ob_bench_result {
    const ob_workload *workload;
    size_t batch_count, run_count;                /* runs after the first */
    double tokens_per_s, sequences_per_s, gflops; /* by the median run */
    double roof_gflops, of_roof;                  /* the roof's median between the runs, and the share of it, 0..1 */
    double best_tokens_per_s;
    double p50_ms, p95_ms, p99_ms; /* of the whole workload */
    double first_run_ms;
    double total_ms;          /* since `started`, without making random weights, until the first run was done */
    uint64_t peak_host_bytes; /* resident, since the model began to load */
    bool verified;            /* the roof's answers were right, and every run gave the bits of the first */
    ob_bench_kernel *kernels;
    size_t kernel_count;
} ob_bench_result;

/* One operator on one shape. A rate of 0: not counted. */
typedef struct ob_bench_operator {
    char name[64];
    double us, gflops, of_roof, gbytes_per_s;
} ob_bench_operator;

typedef struct ob_bench_report {
    const ob_device_info *device;
    double roof_gflops, roof_gbytes_per_s; /* the best seen; 0 where they were not measured */
    bool roof_right;
    double load_ms, build_ms;
    uint64_t parameters, weight_bytes, activation_bytes, device_bytes;
    size_t max_tokens; /* of a batch */
    ob_bench_result *results;
    size_t result_count;
    ob_bench_operator *operators;
    size_t operator_count;
    double operators_roof_gflops; /* measured beside them */
    ob_profile_span *spans;
    size_t span_count;
    uint64_t spans_left_out;
} ob_bench_report;

/* A context of its own on the device. OB_ERR_USAGE for a workload with rows that are too long for the model. */
OB_API ob_status ob_bench_run(const ob_bench_spec *spec, ob_bench_report *out, ob_error *err);
OB_API void ob_bench_report_release(ob_bench_report *report);

/* Appends the launches as events of the trace format that Perfetto and Chrome read, one a line, comma between;
 * `process` tells devices apart. */
OB_API void ob_bench_append_trace(const ob_bench_report *report, size_t process, ob_strbuf *out);

#ifdef __cplusplus
}
#endif
#endif
