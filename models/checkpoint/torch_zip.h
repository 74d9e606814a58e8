/* What torch.save writes since PyTorch 1.6: a zip archive of a pickle and of storages, all members stored. */
#ifndef OBERTA_CHECKPOINT_TORCH_ZIP_H
#define OBERTA_CHECKPOINT_TORCH_ZIP_H

#include "tensor_list.h"

/* Appends the tensors of the archive to `list`; those that are row-major point into `data`. `file` becomes their file.
 * Errors: OB_ERR_MODEL with the part and the rule that is broken, OB_ERR_UNSUPPORTED for an element type. */
ob_status ob__torch_zip_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                              ob_error *err);

#endif
