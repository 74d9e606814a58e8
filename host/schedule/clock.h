/* Seconds of the monotonic clock. Internal to host/schedule. */
#ifndef OBERTA_SCHEDULE_CLOCK_H
#define OBERTA_SCHEDULE_CLOCK_H

#include <time.h>

static inline double ob__seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#endif
