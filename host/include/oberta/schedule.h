/* Which rows run together: a pure function of lengths and budget. */
#ifndef OBERTA_SCHEDULE_H
#define OBERTA_SCHEDULE_H

#include <oberta/device.h>
#include <oberta/error.h>
#include <stdbool.h>

typedef struct ob_schedule_limits {
    size_t max_tokens; /* sum of lengths in a batch; a longer row runs alone */
    size_t max_sequences;
    size_t max_cost;     /* sum of costs in a batch; a row that costs more runs alone */
    bool sort_by_length; /* rows of similar length together, longest first; else in order */
} ob_schedule_limits;

typedef struct ob_schedule {
    size_t batch_count;
    size_t *begin; /* (batch_count + 1) into order */
    size_t *order; /* (row_count) each row once */
} ob_schedule;

/* lengths (row_count), in tokens; costs (row_count), such as bytes of results, or NULL for none. Equal lengths keep
 * their order. Errors: OB_ERR_OUT_OF_MEMORY. */
ob_status ob_schedule_create(const size_t *lengths, const size_t *costs, size_t row_count,
                             const ob_schedule_limits *limits, ob_schedule *out, ob_error *err);
void ob_schedule_release(ob_schedule *schedule);

/* What `batch.max_tokens: auto` means on a device, and how many sequences a batch of max_tokens may hold. */
size_t ob_schedule_auto_tokens(const ob_device_info *device);
size_t ob_schedule_max_sequences(size_t max_tokens);

#endif
