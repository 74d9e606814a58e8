/* A device that is open: its OpenCL context, one in-order queue, the program cache and the profiler.
 *
 * A context and everything created from it belong to one thread at a time (the device's worker). */
#ifndef OBERTA_CONTEXT_H
#define OBERTA_CONTEXT_H

#include <oberta/device.h>
#include <oberta/error.h>
#include <oberta/parallel.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_context ob_context;
typedef struct ob_tuning ob_tuning; /* what kernels measured on devices; carried here, never read */

typedef struct ob_context_options {
    const char *cache_folder; /* compiled programs; NULL: no cache on disk */
    uint64_t cache_max_bytes; /* least recently used entries go when it is exceeded */
    bool profile;             /* record the time of every kernel (profile.h) */
    bool debug;               /* wait and check after each kernel, to find the one that fails */
    const ob_tuning *tuning;  /* for operators that choose by it; NULL: none; must outlive the context */
} ob_context_options;

void ob_context_options_default(ob_context_options *options);

/* `device` must outlive the context. Errors: OB_ERR_DEVICE, OB_ERR_OUT_OF_MEMORY. */
ob_status ob_context_create(ob_device *device, const ob_context_options *options, ob_context **out, ob_error *err);
void ob_context_destroy(ob_context *ctx);

const ob_device_info *ob_context_device(const ob_context *ctx);
const ob_tuning *ob_context_tuning(const ob_context *ctx);

/* Host threads for work on the way to the device, started when they are first asked for; NULL where there is one
 * processor or no memory for more. They are the context's. */
ob_parallel *ob_context_parallel(ob_context *ctx);

/* Hands everything enqueued so far to the device without waiting. */
ob_status ob_context_flush(ob_context *ctx, ob_error *err);
/* Waits until everything enqueued is done; reports what failed on the device since the last wait. */
ob_status ob_context_finish(ob_context *ctx, ob_error *err);

typedef struct ob_context_stats {
    unsigned programs_built, programs_cached; /* from source; from the cache on disk */
    double build_seconds;
    uint64_t buffer_bytes, buffer_peak_bytes; /* device memory held through buffer.h */
    uint64_t kernels_enqueued;
} ob_context_stats;
void ob_context_get_stats(const ob_context *ctx, ob_context_stats *out);

#ifdef __cplusplus
}
#endif
#endif
