/* The OpenCL objects behind runtime's types, for libraries that speak OpenCL themselves. The only header outside
 * runtime/cl that shows them; the CLBlast provider is its only user. */
#ifndef OBERTA_CL_INTEROP_H
#define OBERTA_CL_INTEROP_H

#include <CL/cl.h>
#include <oberta/buffer.h>

cl_command_queue ob_context_cl_queue(const ob_context *ctx);
cl_device_id ob_context_cl_device(const ob_context *ctx);
cl_mem ob_buffer_cl_mem(const ob_buffer *buffer);

/* Records the event of work that a library enqueued on the queue under `label`, for the profile; takes the event over.
 */
void ob_context_adopt_event(ob_context *ctx, const char *label, cl_event event);

#endif
