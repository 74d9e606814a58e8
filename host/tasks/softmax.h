/* Scores from logits. Internal to host/tasks. */
#ifndef OBERTA_TASKS_SOFTMAX_H
#define OBERTA_TASKS_SOFTMAX_H

#include <stddef.h>

/* In place, in double precision; NaNs and infinities come out as NaN. */
void ob__softmax(float *values, size_t count);

#endif
