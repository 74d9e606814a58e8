/* The clock that all durations are taken from. Any thread may read it. */
#ifndef OBERTA_CLOCK_H
#define OBERTA_CLOCK_H

#include <oberta/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds of a monotonic clock, from an arbitrary start. */
OB_API double ob_clock_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
