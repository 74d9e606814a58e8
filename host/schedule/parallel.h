/* A few threads that share a loop. Internal to host/schedule. */
#ifndef OBERTA_SCHEDULE_PARALLEL_H
#define OBERTA_SCHEDULE_PARALLEL_H

#include <oberta/error.h>

typedef struct ob__parallel ob__parallel;

/* body(user, thread, index) with thread < thread_count. */
typedef void (*ob__parallel_body)(void *user, size_t thread, size_t index);

/* `thread_count` >= 1 counts the caller of ob__parallel_for, which works too. */
ob_status ob__parallel_create(size_t thread_count, ob__parallel **out, ob_error *err);
void ob__parallel_destroy(ob__parallel *parallel);
size_t ob__parallel_threads(const ob__parallel *parallel);

/* for (index = 0; index < count; index++) body(...), in any order, on all threads; returns when all are done. */
void ob__parallel_for(ob__parallel *parallel, size_t count, ob__parallel_body body, void *user);

#endif
