/* A few threads that share a loop. A pool serves one loop at a time. */
#ifndef OBERTA_PARALLEL_H
#define OBERTA_PARALLEL_H

#include <oberta/error.h>

typedef struct ob_parallel ob_parallel;

/* body(user, thread, index) with thread < thread_count. */
typedef void (*ob_parallel_body)(void *user, size_t thread, size_t index);

/* `thread_count` >= 1 counts the caller of ob_parallel_for, which works too. */
ob_status ob_parallel_create(size_t thread_count, ob_parallel **out, ob_error *err);
void ob_parallel_destroy(ob_parallel *parallel);
/* NULL is one thread: the caller. */
size_t ob_parallel_threads(const ob_parallel *parallel);

/* for (index = 0; index < count; index++) body(...), in any order, on all threads (`parallel` NULL: on the caller's
 * alone); returns when all are done. */
void ob_parallel_for(ob_parallel *parallel, size_t count, ob_parallel_body body, void *user);

#endif
