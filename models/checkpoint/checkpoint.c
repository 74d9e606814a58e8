/* Finds the weight files of a folder, maps them, and answers for their tensors by name.
 *
 * Names in the folder may be links, as in the hub's cache where every file is one; what they lead to must be a regular
 * file. */
#include <oberta/checkpoint.h>

#include "container.h"
#include "printable.h"
#include "shard_index.h"

#include <oberta/file.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INDEX_MAX_BYTES ((size_t)64 << 20)

typedef struct weight_file {
    char *name;
    const char *kind; /* of container */
    ob_mapping mapping;
} weight_file;

struct ob_checkpoint {
    ob__tensor_list tensors;
    weight_file *files;
    size_t file_count;
    uint64_t bytes;
    char container[40];
};

static ob_status no_memory(ob_error *err)
{
    return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a checkpoint");
}

/* Maps and parses one more file; checkpoint->files has room for it. */
static ob_status add_file(ob_checkpoint *checkpoint, const char *folder, const char *name, ob_error *err)
{
    weight_file *file = &checkpoint->files[checkpoint->file_count];
    char *path = ob_path_join(folder, name);
    file->name = ob_strdup(name);
    checkpoint->file_count += 1; /* from here on close() cleans up */
    if (path == NULL || file->name == NULL) {
        ob_free(path);
        return no_memory(err);
    }
    ob_status status = ob_file_check_downloaded(path, err);
    if (status == OB_OK)
        status = ob_mapping_open(path, &file->mapping, err); /* the messages of both begin with the path */
    if (status == OB_OK) {
        checkpoint->bytes += file->mapping.bytes;
        status = ob__container_parse(file->mapping.data, file->mapping.bytes, file->name, &checkpoint->tensors,
                                     &file->kind, err);
        if (status != OB_OK)
            ob_error_prefix_each(err, "%s", path);
    }
    ob_free(path);
    return status;
}

static bool make_room(ob_checkpoint *checkpoint, size_t files)
{
    checkpoint->files = ob_calloc(files, sizeof *checkpoint->files);
    return checkpoint->files != NULL;
}

static ob_status open_single(ob_checkpoint *checkpoint, const char *folder, const char *name, ob_error *err)
{
    if (!make_room(checkpoint, 1))
        return no_memory(err);
    ob_status status = add_file(checkpoint, folder, name, err);
    if (status == OB_OK && ob__tensor_list_sort(&checkpoint->tensors, err) != OB_OK) {
        ob_error_prefix(err, "%s", folder);
        return ob_error_status(err);
    }
    if (status == OB_OK)
        snprintf(checkpoint->container, sizeof checkpoint->container, "%s", checkpoint->files[0].kind);
    return status;
}

/* All that are missing at once: who resumes a download wants the whole list. */
static ob_status check_shards_exist(const ob__shard_index *index, const char *folder, ob_error *err)
{
    bool complete = true;
    for (size_t i = 0; i < ob__shard_index_file_count(index); i++) {
        const char *name = ob__shard_index_file(index, i);
        char *path = ob_path_join(folder, name);
        if (path == NULL)
            return no_memory(err);
        if (!ob_file_exists(path)) {
            if (complete)
                ob_error_clear(err);
            complete = false;
            ob_error_add(err, OB_ERR_MODEL, "weight_map: file '%s' is missing: incomplete download?",
                         ob__printable_make(name).text);
        }
        ob_free(path);
    }
    return complete ? OB_OK : OB_ERR_MODEL;
}

static void name_shards(ob_checkpoint *checkpoint)
{
    const char *kind = checkpoint->files[0].kind;
    for (size_t i = 1; i < checkpoint->file_count; i++)
        if (strcmp(checkpoint->files[i].kind, kind) != 0)
            kind = "mixed";
    snprintf(checkpoint->container, sizeof checkpoint->container, "%s, %zu shard%s", kind, checkpoint->file_count,
             checkpoint->file_count == 1 ? "" : "s");
}

static ob_status open_shards(ob_checkpoint *checkpoint, const ob__shard_index *index, const char *folder,
                             const char *index_path, ob_error *err)
{
    size_t count = ob__shard_index_file_count(index);
    ob_status status = check_shards_exist(index, folder, err);
    if (status != OB_OK)
        goto fail_of_index;
    if (!make_room(checkpoint, count))
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        status = add_file(checkpoint, folder, ob__shard_index_file(index, i), err);
        if (status != OB_OK)
            return status;
    }
    status = ob__tensor_list_sort(&checkpoint->tensors, err);
    if (status == OB_OK)
        status = ob__shard_index_check(index, &checkpoint->tensors, err);
    if (status != OB_OK)
        goto fail_of_index;
    name_shards(checkpoint);
    return OB_OK;
fail_of_index:
    ob_error_prefix(err, "%s", index_path);
    return status;
}

static ob_status open_sharded(ob_checkpoint *checkpoint, const char *folder, const char *name, ob_error *err)
{
    ob__shard_index *index = NULL;
    ob_strbuf text = OB_STRBUF_INIT;
    char *path = ob_path_join(folder, name);
    if (path == NULL)
        return no_memory(err);
    ob_status status = ob_file_check_downloaded(path, err);
    if (status == OB_OK)
        status = ob_file_read(path, INDEX_MAX_BYTES, &text, err);
    if (status != OB_OK)
        goto done;
    status = ob__shard_index_parse(ob_strbuf_text(&text), text.length, &index, err);
    if (status != OB_OK) {
        ob_error_prefix(err, "%s", path);
        goto done;
    }
    status = open_shards(checkpoint, index, folder, path, err);
done:
    ob__shard_index_destroy(index);
    ob_strbuf_release(&text);
    ob_free(path);
    return status;
}

typedef enum presence { ABSENT, PRESENT, DANGLING } presence;

static ob_status look_for(const char *folder, const char *name, presence *out, ob_error *err)
{
    char *path = ob_path_join(folder, name);
    if (path == NULL)
        return no_memory(err);
    struct stat info;
    *out = ob_file_exists(path) ? PRESENT : lstat(path, &info) == 0 ? DANGLING : ABSENT;
    ob_free(path);
    return OB_OK;
}

/* Says what the folder has instead of weights that we read. */
static ob_status refuse_folder(const char *folder, ob_error *err)
{
    static const char *const others[] = {"tf_model.h5", "flax_model.msgpack"};
    if (!ob_folder_exists(folder))
        return ob_error_set(err, OB_ERR_MODEL, "%s: no such folder", folder);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        presence other;
        if (look_for(folder, others[i], &other, err) != OB_OK)
            return ob_error_status(err);
        if (other == PRESENT)
            return ob_error_set(err, OB_ERR_UNSUPPORTED,
                                "%s: has '%s' but neither 'model.safetensors' nor 'pytorch_model.bin': convert it "
                                "(save_pretrained writes safetensors)",
                                folder, others[i]);
    }
    return ob_error_set(err, OB_ERR_MODEL,
                        "%s: has neither 'model.safetensors' nor 'pytorch_model.bin', nor the index of either", folder);
}

static ob_status open_folder(ob_checkpoint *checkpoint, const char *folder, ob_error *err)
{
    static const struct {
        const char *name;
        ob_status (*open)(ob_checkpoint *, const char *, const char *, ob_error *);
    } layouts[] = {{"model.safetensors", open_single},
                   {"model.safetensors.index.json", open_sharded},
                   {"pytorch_model.bin", open_single},
                   {"pytorch_model.bin.index.json", open_sharded}}; /* the order of transformers */
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        presence found;
        if (look_for(folder, layouts[i].name, &found, err) != OB_OK)
            return ob_error_status(err);
        if (found == DANGLING)
            return ob_error_set(err, OB_ERR_MODEL, "%s: '%s' is a link to a file that does not exist", folder,
                                layouts[i].name);
        if (found == PRESENT)
            return layouts[i].open(checkpoint, folder, layouts[i].name, err);
    }
    return refuse_folder(folder, err);
}

ob_status ob_checkpoint_open(const char *folder, ob_checkpoint **out, ob_error *err)
{
    ob_checkpoint *checkpoint = ob_calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL)
        return no_memory(err);
    ob_status status = open_folder(checkpoint, folder, err);
    if (status != OB_OK) {
        ob_checkpoint_close(checkpoint);
        return status;
    }
    ob__tensor_list_strip(&checkpoint->tensors, "module."); /* from models trained on several devices */
    ob_log(OB_LOG_DEBUG, "checkpoint", "%s: %s, %zu tensors", folder, checkpoint->container, checkpoint->tensors.count);
    *out = checkpoint;
    return OB_OK;
}

ob_status ob_checkpoint_open_file(const char *path, ob_checkpoint **out, ob_error *err)
{
    ob_checkpoint *checkpoint = ob_calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL)
        return no_memory(err);
    ob_status status = open_single(checkpoint, "", path, err);
    if (status != OB_OK)
        ob_checkpoint_close(checkpoint);
    else
        *out = checkpoint;
    return status;
}

void ob_checkpoint_close(ob_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    ob__tensor_list_release(&checkpoint->tensors);
    for (size_t i = 0; i < checkpoint->file_count; i++) {
        ob_mapping_close(&checkpoint->files[i].mapping);
        ob_free(checkpoint->files[i].name);
    }
    ob_free(checkpoint->files);
    ob_free(checkpoint);
}

size_t ob_checkpoint_count(const ob_checkpoint *checkpoint)
{
    return checkpoint->tensors.count;
}

const ob_tensor *ob_checkpoint_get(const ob_checkpoint *checkpoint, size_t index)
{
    return &checkpoint->tensors.items[index];
}

const ob_tensor *ob_checkpoint_find(const ob_checkpoint *checkpoint, const char *name)
{
    return ob__tensor_list_find(&checkpoint->tensors, name);
}

const char *ob_checkpoint_container(const ob_checkpoint *checkpoint)
{
    return checkpoint->container;
}

uint64_t ob_checkpoint_bytes(const ob_checkpoint *checkpoint)
{
    return checkpoint->bytes;
}

void ob_checkpoint_forget(const ob_tensor *tensor)
{
    if (tensor->mapped)
        ob_mapping_forget(tensor->data, tensor->count * ob_dtype_bytes(tensor->dtype));
}

void ob_checkpoint_forget_all(const ob_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->file_count; i++)
        ob_mapping_forget(checkpoint->files[i].mapping.data, checkpoint->files[i].mapping.bytes);
}
