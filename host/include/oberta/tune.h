/* Measured choices: finding the tables that hold for this machine, and making them.
 *
 * A tuner measures, for each shape of matrix product, every provider and variant that suits the device and the layout
 * that a model has on it (rows.h: on CPU devices only tile and ref do), interleaved with the default, and keeps what is
 * right and faster. Its table is optional: without one every operator has its own
 * order of preference. */
#ifndef OBERTA_TUNE_H
#define OBERTA_TUNE_H

#include <oberta/api.h>
#include <oberta/context.h>
#include <oberta/roberta_config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where tables lie. Each may be NULL. In folders every *.txt is read, in the order of their names; later files win. */
typedef struct ob_tuning_places {
    const char *shipped; /* a folder, read first */
    const char *user;    /* a folder */
    const char *file;    /* a file in place of the user's folder */
} ob_tuning_places;

/* Reads them. A mistake in `file` is an error with file and line, also when there is no such file; one in a folder's
 * file costs that file, with a warning. *out may be an empty table. */
OB_API ob_status ob_tuning_open(const ob_tuning_places *places, ob_tuning **out, ob_error *err);
OB_API void ob_tuning_close(ob_tuning *tuning); /* NULL is fine */

#define OB_TUNE_MARGIN     0.03 /* what a winner must gain over the default */
#define OB_TUNE_M_CLASSES  5    /* of m, see README */
#define OB_TUNE_MAX_SHAPES 8

/* A product of (m, k) by (k, n), for any m. */
typedef struct ob_tune_shape {
    const char *role; /* "query, key, value" */
    size_t n, k;
} ob_tune_shape;

/* The products of a model, each once; `out` has room for OB_TUNE_MAX_SHAPES. Returns their number. */
OB_API size_t ob_tune_shapes(const ob_roberta_config *config, ob_tune_shape *out);

typedef enum ob_tune_state {
    OB_TUNE_OPEN,    /* time ran out before it */
    OB_TUNE_KEPT,    /* measured by an earlier run */
    OB_TUNE_MEASURED /* by this one */
} ob_tune_state;

typedef struct ob_tune_result {
    ob_tune_shape shape;
    ob_tune_state state;
    char default_provider[16]; /* "" where an earlier run measured */
    char provider[16];
    struct {
        size_t m; /* rows that were measured; 0: none, since no model multiplies so many */
        char variant[16];
        double default_gflops, gflops, gain; /* below 0: not measured */
    } classes[OB_TUNE_M_CLASSES];
} ob_tune_result;

typedef struct ob_tune_progress {
    const ob_tune_result *result; /* of the shape at work */
    bool finished;                /* the shape is done; else a candidate begins: */
    size_t m;
    const char *provider, *variant;
    double part;    /* of the work done, 0..1, by its number of steps */
    double seconds; /* since the start */
} ob_tune_progress;

/* Called before each candidate and after each shape; false interrupts. */
typedef bool (*ob_tune_progress_fn)(void *user, const ob_tune_progress *progress);

typedef struct ob_tune_options {
    const char *output;           /* the table to go on with or to begin */
    const char *cache_folder;     /* compiled programs; NULL: none */
    double seconds;               /* in which it ends, but for the launch or build at work */
    bool force;                   /* measures again what the output has for this device and driver */
    const char *const *providers; /* measures these whatever suits the device; count 0: what suits */
    size_t provider_count;
} ob_tune_options;

/* Measures `shapes` on `device`; results[i] belongs to shapes[i]. The output is replaced as a whole after each shape;
 * its comments and other devices' entries stay. OB_OK also where time ran out (results say so); OB_ERR_INTERRUPTED with
 * the finished shapes written; OB_ERR_CONFIG for an output that is not a table of this version. */
OB_API ob_status ob_tune_run(ob_device *device, const ob_tune_shape *shapes, size_t count,
                             const ob_tune_options *options, ob_tune_progress_fn progress, void *user,
                             ob_tune_result *results, ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
