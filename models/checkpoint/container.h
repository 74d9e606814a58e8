/* A weight file of any kind, told by its first bytes whatever its name is. */
#ifndef OBERTA_CHECKPOINT_CONTAINER_H
#define OBERTA_CHECKPOINT_CONTAINER_H

#include "tensor_list.h"

/* Appends the file's tensors to `list`; *kind becomes "safetensors", "PyTorch zip" or "PyTorch legacy". Errors: those
 * of the kind's parser; OB_ERR_MODEL for other kinds of file, by their name where we know them. */
ob_status ob__container_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                              const char **kind, ob_error *err);

#endif
