/* Time of kernels on the device, from OpenCL events. Only with ob_context_options.profile. */
#ifndef OBERTA_PROFILE_H
#define OBERTA_PROFILE_H

#include <oberta/api.h>
#include <oberta/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_profile_entry {
    char kernel[64];
    uint64_t launches;
    uint64_t total_ns; /* start to end on the device, summed */
    uint64_t max_ns;
} ob_profile_entry;

/* Whether the context was made to. Operators that could share a launch keep to their own, then. */
OB_API bool ob_context_profiles(const ob_context *ctx);
/* Waits for the device, then gives one entry a kernel, greatest total first. *entries is freed with ob_free. */
OB_API ob_status ob_profile_collect(ob_context *ctx, ob_profile_entry **entries, size_t *count, ob_error *err);
OB_API void ob_profile_reset(ob_context *ctx);

/* One launch, by the device's own clock. */
typedef struct ob_profile_span {
    char kernel[64];
    uint64_t start_ns, end_ns;
} ob_profile_span;

/* From now on the first `limit` launches are kept one by one too; 0, as at first: none. Forgets those kept before. */
OB_API void ob_profile_keep_spans(ob_context *ctx, size_t limit);
/* Waits for the device, then gives what was kept, in order of launch. *spans is freed with ob_free. *left_out (may be
 * NULL): launches that the limit left no room for. */
OB_API ob_status ob_profile_spans(ob_context *ctx, ob_profile_span **spans, size_t *count, uint64_t *left_out,
                                  ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
