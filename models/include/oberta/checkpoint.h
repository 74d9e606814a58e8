/* Weight files of a model folder: named tensors, every size checked before it is used.
 *
 * A checkpoint owns its mappings; tensors and their data live as long as it does. Read-only after open, so any thread
 * may read. Containers: safetensors, PyTorch's zip format (torch.save since 1.6) and its legacy format, each single or
 * sharded, told by their first bytes and not by their names. Of a pickle nothing is ever executed. */
#ifndef OBERTA_CHECKPOINT_H
#define OBERTA_CHECKPOINT_H

#include <oberta/api.h>
#include <oberta/dtype.h>
#include <oberta/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OB_TENSOR_MAX_RANK 8

typedef struct ob_tensor {
    const char *name; /* as in the file, without the "module." that all names of a checkpoint may begin with */
    ob_dtype dtype;
    size_t rank;
    size_t shape[OB_TENSOR_MAX_RANK];
    size_t count;     /* elements: the product of shape */
    const void *data; /* row-major, little-endian, of any alignment */
    bool mapped;      /* data lie in the mapped file; a strided or big-endian tensor is a copy in memory */
    const char *file; /* base name of the file that holds it */
} ob_tensor;

typedef struct ob_checkpoint ob_checkpoint;

/* Looks for model.safetensors, model.safetensors.index.json, pytorch_model.bin and pytorch_model.bin.index.json, in
 * this order, and reads the first that is there. Opens no file outside the folder unless a link in it leads there.
 * Errors: OB_ERR_MODEL with file and rule (what stands in place of the weights, as a Git LFS pointer, is told so; what
 * a pickle names beyond tensors too); OB_ERR_UNSUPPORTED for a folder with weights of other frameworks alone and for
 * element types that oberta does not have; OB_ERR_IO for a file that cannot be read or is not a regular one. */
OB_API ob_status ob_checkpoint_open(const char *folder, ob_checkpoint **out, ob_error *err);
/* One file by itself, wherever it lies, safetensors or pickled: tensors that are not a model's weights. Errors as
 * above. */
OB_API ob_status ob_checkpoint_open_file(const char *path, ob_checkpoint **out, ob_error *err);
OB_API void ob_checkpoint_close(ob_checkpoint *checkpoint);

OB_API size_t ob_checkpoint_count(const ob_checkpoint *checkpoint);
OB_API const ob_tensor *ob_checkpoint_get(const ob_checkpoint *checkpoint, size_t index);      /* in order of name */
OB_API const ob_tensor *ob_checkpoint_find(const ob_checkpoint *checkpoint, const char *name); /* NULL: absent */
OB_API const char *ob_checkpoint_container(
    const ob_checkpoint *checkpoint);                                 /* "safetensors", "PyTorch zip, 4 shards" */
OB_API uint64_t ob_checkpoint_bytes(const ob_checkpoint *checkpoint); /* of all files */

/* The tensor's pages will not be needed again soon; keeps the resident set small while loading. Its data stay readable.
 */
OB_API void ob_checkpoint_forget(const ob_tensor *tensor);
/* The same of all files. Where the system keeps them in large pieces, a look at one tensor brings its neighbours back.
 */
OB_API void ob_checkpoint_forget_all(const ob_checkpoint *checkpoint);

#ifdef __cplusplus
}
#endif
#endif
