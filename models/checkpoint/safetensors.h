/* The safetensors container: u64 length of the header, a JSON header, and the tensors' bytes back to back. */
#ifndef OBERTA_CHECKPOINT_SAFETENSORS_H
#define OBERTA_CHECKPOINT_SAFETENSORS_H

#include "tensor_list.h"

#define OB_SAFETENSORS_MAX_HEADER 100000000 /* the format's own limit */

/* Checks the container in memory from its first to its last byte's place, reads its header only, and appends its
 * tensors to `list`; their data point into `data` and `file` becomes their file. On failure the list is as before or
 * has some of the tensors. Errors: OB_ERR_MODEL with the rule that is broken; OB_ERR_UNSUPPORTED for an element type
 * that the format has and oberta has not. */
ob_status ob__safetensors_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                                ob_error *err);

#endif
