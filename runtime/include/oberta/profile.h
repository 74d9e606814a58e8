/* Time of kernels on the device, from OpenCL events. Only with ob_context_options.profile. */
#ifndef OBERTA_PROFILE_H
#define OBERTA_PROFILE_H

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

/* Waits for the device, then gives one entry a kernel, greatest total first. *entries is freed with ob_free. */
ob_status ob_profile_collect(ob_context *ctx, ob_profile_entry **entries, size_t *count, ob_error *err);
void ob_profile_reset(ob_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
