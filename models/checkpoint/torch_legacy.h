/* What torch.save wrote before PyTorch 1.6: five pickles and the storages, one after the other. */
#ifndef OBERTA_CHECKPOINT_TORCH_LEGACY_H
#define OBERTA_CHECKPOINT_TORCH_LEGACY_H

#include "tensor_list.h"

/* True for a file that begins with the pickle of the format's magic number, in any protocol that we read. */
bool ob__torch_legacy_is(const unsigned char *data, size_t bytes);

/* Appends the tensors to `list`; those that are row-major point into `data`, at any alignment. `file` becomes their
 * file. Errors: OB_ERR_MODEL with the part and the rule that is broken, OB_ERR_UNSUPPORTED for an element type. */
ob_status ob__torch_legacy_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                                 ob_error *err);

#endif
