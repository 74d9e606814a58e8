/* From a pickle and its storages to named tensors. */
#ifndef OBERTA_CHECKPOINT_STATE_DICT_H
#define OBERTA_CHECKPOINT_STATE_DICT_H

#include "pickle.h"
#include "tensor_list.h"

#define OB_MAX_GATHERED ((size_t)64 << 20)

/* Where the storages of a pickle lie. All that the pickle names must have been found. */
typedef struct ob__state_dict_file {
    const char *name; /* becomes the tensors' file */
    size_t bytes;     /* of the file, or of the part that holds storages */
    bool big_endian;  /* the storages' numbers */
} ob__state_dict_file;

/* Appends the tensors of the dict at the pickle's root, or of the dict under its key "state_dict" or "model"; what else
 * is in it is passed over. A row-major tensor points into its storage; another, or one of big-endian numbers, is copied
 * into memory of the list's, at most OB_MAX_GATHERED and four times the file in all. Errors: OB_ERR_MODEL, each tensor
 * that does not fit its storage a line. */
ob_status ob__state_dict_collect(const ob__pickle *pickle, const ob__state_dict_file *file, ob__tensor_list *list,
                                 ob_error *err);

#endif
