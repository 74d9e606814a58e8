/* Device memory.
 *
 * All transfers go through the context's in-order queue: a download sees every kernel enqueued before it. */
#ifndef OBERTA_BUFFER_H
#define OBERTA_BUFFER_H

#include <oberta/context.h>
#include <oberta/parallel.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_buffer ob_buffer;

/* `bytes` > 0. `label` names the buffer in messages and is copied. Checked against the device's limit for one
 * allocation before the driver is asked. Errors: OB_ERR_DEVICE (limit, or the driver's refusal, with the sizes). */
ob_status ob_buffer_create(ob_context *ctx, size_t bytes, const char *label, ob_buffer **out, ob_error *err);

/* A part of `parent` as a buffer of its own (an OpenCL sub-buffer); `offset` must be a multiple of the device's
 * base_align_bytes. The parent must outlive it. */
ob_status ob_buffer_create_view(ob_buffer *parent, size_t offset, size_t bytes, const char *label, ob_buffer **out,
                                ob_error *err);
void ob_buffer_destroy(ob_buffer *buffer); /* NULL is fine */
size_t ob_buffer_bytes(const ob_buffer *buffer);

/* Copies host memory to the device. `src` may be reused on return. */
ob_status ob_buffer_upload(ob_buffer *buffer, size_t offset, const void *src, size_t bytes, ob_error *err);
/* Waits for everything before it, then copies to `dst`. */
ob_status ob_buffer_download(ob_buffer *buffer, size_t offset, void *dst, size_t bytes, ob_error *err);
/* As above without waiting; `dst` is filled once ob_context_finish has returned. */
ob_status ob_buffer_download_later(ob_buffer *buffer, size_t offset, void *dst, size_t bytes, ob_error *err);

/* Host access to the whole buffer for writing (its old content is lost): on devices that share the host's memory
 * without a copy. Every map is ended by one unmap before a kernel uses the buffer. */
ob_status ob_buffer_map_write(ob_buffer *buffer, void **out, ob_error *err);
ob_status ob_buffer_unmap(ob_buffer *buffer, void *pointer, ob_error *err);

/* Memory for kernels to use within a launch, one for all of a context: what it holds is lost with the next launch. A
 * reservation makes it at least so large; NULL before the first. */
ob_status ob_context_reserve_scratch(ob_context *ctx, size_t bytes, ob_error *err);
ob_buffer *ob_context_scratch(const ob_context *ctx);

/* Host threads for work on the way to the device, started when they are first asked for; NULL where there is one
 * processor or no memory for more. They are the context's. */
ob_parallel *ob_context_parallel(ob_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
