/* Kernels and their launches. */
#ifndef OBERTA_LAUNCH_H
#define OBERTA_LAUNCH_H

#include <oberta/buffer.h>
#include <oberta/program.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_kernel ob_kernel;

/* `name` must exist in the program. The kernel keeps the program alive. */
ob_status ob_kernel_create(ob_program *program, const char *name, ob_kernel **out, ob_error *err);
void ob_kernel_destroy(ob_kernel *kernel);
/* The largest work-group this kernel can run with on its device. */
size_t ob_kernel_max_work_group(const ob_kernel *kernel);

typedef enum ob_arg_kind { OB_ARG_BUFFER, OB_ARG_I32, OB_ARG_F32, OB_ARG_LOCAL } ob_arg_kind;

typedef struct ob_arg {
    ob_arg_kind kind;
    union {
        const ob_buffer *buffer; /* NULL is passed as a null pointer */
        int32_t i32;
        float f32;
        size_t local_bytes;
    } value;
} ob_arg;

static inline ob_arg ob_arg_buffer(const ob_buffer *buffer)
{
    ob_arg arg = {OB_ARG_BUFFER, {.buffer = buffer}};
    return arg;
}
static inline ob_arg ob_arg_i32(int32_t value)
{
    ob_arg arg = {OB_ARG_I32, {.i32 = value}};
    return arg;
}
static inline ob_arg ob_arg_f32(float value)
{
    ob_arg arg = {OB_ARG_F32, {.f32 = value}};
    return arg;
}
static inline ob_arg ob_arg_local(size_t bytes)
{
    ob_arg arg = {OB_ARG_LOCAL, {.local_bytes = bytes}};
    return arg;
}

typedef struct ob_ndrange {
    unsigned dimensions; /* 1..3 */
    size_t global[3];    /* each a multiple of local where local is given */
    size_t local[3];     /* local[0] == 0: the driver chooses */
} ob_ndrange;

/* Sets all arguments, in order, and enqueues; returns without waiting. A range with a 0 does nothing. Work-group and
 * local memory limits are checked here, since drivers crash on them. */
ob_status ob_kernel_enqueue(ob_kernel *kernel, const ob_ndrange *range, const ob_arg *args, size_t arg_count,
                            ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
