/* model.safetensors.index.json, pytorch_model.bin.index.json: which tensor lies in which file of the same folder. */
#ifndef OBERTA_CHECKPOINT_SHARD_INDEX_H
#define OBERTA_CHECKPOINT_SHARD_INDEX_H

#include "tensor_list.h"

#define OB_MAX_SHARDS 1024

typedef struct ob__shard_index ob__shard_index;

/* Errors: OB_ERR_MODEL, each unfit file name a line. A file name is fit when it cannot lead out of the folder. */
ob_status ob__shard_index_parse(const char *text, size_t bytes, ob__shard_index **out, ob_error *err);
void ob__shard_index_destroy(ob__shard_index *index);

/* The distinct file names, in order. They live as long as the index. */
size_t ob__shard_index_file_count(const ob__shard_index *index);
const char *ob__shard_index_file(const ob__shard_index *index, size_t i);

/* Every tensor of the index must be in its own file; `list` is sorted. Errors: OB_ERR_MODEL, each defect a line. */
ob_status ob__shard_index_check(const ob__shard_index *index, const ob__tensor_list *list, ob_error *err);

#endif
