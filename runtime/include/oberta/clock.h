/* The clock that all durations are taken from. Any thread may read it. */
#ifndef OBERTA_CLOCK_H
#define OBERTA_CLOCK_H

/* Seconds of a monotonic clock, from an arbitrary start. */
double ob_clock_seconds(void);

#endif
