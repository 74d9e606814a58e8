/* PyTorch's tensors are views: a shape and strides laid over a storage, which several of them may share. */
#ifndef OBERTA_CHECKPOINT_TORCH_VIEW_H
#define OBERTA_CHECKPOINT_TORCH_VIEW_H

#include <oberta/checkpoint.h>

typedef struct ob__torch_view {
    ob_dtype dtype;
    const unsigned char *data; /* of the storage */
    size_t storage_count;      /* its elements */
    size_t offset;             /* in elements */
    size_t rank;
    size_t shape[OB_TENSOR_MAX_RANK], stride[OB_TENSOR_MAX_RANK]; /* strides in elements */
    size_t count, bytes;                                          /* set by the check */
} ob__torch_view;

/* Every element must lie in the storage; sets count and bytes. Errors: OB_ERR_MODEL. */
ob_status ob__torch_view_check(ob__torch_view *view, ob_error *err);

/* True where the elements lie one after the other, as row-major order wants them. */
bool ob__torch_view_is_row_major(const ob__torch_view *view);
const void *ob__torch_view_begin(const ob__torch_view *view); /* of the first element */

/* Writes the elements in row-major order, view->bytes bytes; `swap` turns the bytes of each around. */
void ob__torch_view_gather(const ob__torch_view *view, bool swap, unsigned char *out);

#endif
