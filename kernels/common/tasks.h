/* The host's side of common/tasks.clh. Internal to kernels. */
#ifndef OBERTA_KERNELS_TASKS_H
#define OBERTA_KERNELS_TASKS_H

#include <oberta/launch.h>

/* Counters for a kernel whose work-items take tasks, all zero, and `more` behind them for those that have stages. */
ob_status ob__tasks_create(ob_context *ctx, const char *name, size_t more, ob_buffer **out, ob_error *err);
/* How many work-items serve so many tasks, of the most there ever are. */
size_t ob__tasks_items(const ob_context *ctx, size_t tasks);
size_t ob__tasks_max_items(const ob_context *ctx);

#endif
