/* The index of a sharded checkpoint. Its file names come from strangers: only plain names within the folder pass. */
#include "shard_index.h"
#include "json_object.h"
#include "printable.h"

#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

struct ob__shard_index {
    json_t *root, *weight_map; /* weight_map belongs to root */
    const char **files;        /* distinct, sorted; the strings belong to root */
    size_t file_count;
};

/* NULL for a name that stays in the folder. jansson has refused NUL already. */
static const char *name_defect(const char *name)
{
    if (name[0] == '\0')
        return "is empty";
    if (name[0] == '.')
        return "begins with a dot";
    if (strpbrk(name, "/\\") != NULL)
        return "is not a plain file name: only files of the same folder are allowed";
    if (strlen(name) > 255)
        return "is longer than 255 bytes";
    return NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_and_unite(ob__shard_index *index)
{
    if (index->file_count == 0)
        return;
    qsort(index->files, index->file_count, sizeof *index->files, compare_texts);
    size_t kept = 1;
    for (size_t i = 1; i < index->file_count; i++)
        if (strcmp(index->files[i], index->files[kept - 1]) != 0)
            index->files[kept++] = index->files[i];
    index->file_count = kept;
}

static ob_status collect_files(ob__shard_index *index, ob_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(index->weight_map, name, value)
    {
        if (!json_is_string(value))
            return ob_error_set(err, OB_ERR_MODEL, "weight_map: '%s': not a file name", ob__printable_make(name).text);
        index->files[index->file_count++] = json_string_value(value);
    }
    sort_and_unite(index);
    if (index->file_count == 0)
        return ob_error_set(err, OB_ERR_MODEL, "weight_map: names no file");
    if (index->file_count > OB_MAX_SHARDS)
        return ob_error_set(err, OB_ERR_MODEL, "weight_map: names %zu files: at most %d are allowed", index->file_count,
                            OB_MAX_SHARDS);
    bool fit = true;
    for (size_t i = 0; i < index->file_count; i++) {
        const char *defect = name_defect(index->files[i]);
        if (defect == NULL)
            continue;
        if (fit) /* the first defect replaces whatever `err` held before */
            ob_error_clear(err);
        ob_error_add(err, OB_ERR_MODEL, "weight_map: file name '%s' %s", ob__printable_make(index->files[i]).text,
                     defect);
        fit = false;
    }
    return fit ? OB_OK : OB_ERR_MODEL;
}

ob_status ob__shard_index_parse(const char *text, size_t bytes, ob__shard_index **out, ob_error *err)
{
    ob__shard_index *index = ob_calloc(1, sizeof *index);
    if (index == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a shard index");
    ob_status status = ob__json_object_parse(text, bytes, &index->root, err);
    if (status != OB_OK)
        goto fail;
    index->weight_map = json_object_get(index->root, "weight_map");
    if (!json_is_object(index->weight_map)) {
        status = ob_error_set(err, OB_ERR_MODEL, "weight_map: missing, or not an object");
        goto fail;
    }
    index->files = ob_calloc(json_object_size(index->weight_map), sizeof *index->files);
    if (index->files == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a shard index");
        goto fail;
    }
    status = collect_files(index, err);
    if (status != OB_OK)
        goto fail;
    *out = index;
    return OB_OK;
fail:
    ob__shard_index_destroy(index);
    return status;
}

void ob__shard_index_destroy(ob__shard_index *index)
{
    if (index == NULL)
        return;
    ob_free(index->files);
    json_decref(index->root);
    ob_free(index);
}

size_t ob__shard_index_file_count(const ob__shard_index *index)
{
    return index->file_count;
}

const char *ob__shard_index_file(const ob__shard_index *index, size_t i)
{
    return index->files[i];
}

ob_status ob__shard_index_check(const ob__shard_index *index, const ob__tensor_list *list, ob_error *err)
{
    const char *name;
    json_t *value;
    bool fit = true;
    json_object_foreach(index->weight_map, name, value)
    {
        const ob_tensor *tensor = ob__tensor_list_find(list, name);
        const char *file = json_string_value(value);
        if (tensor != NULL && strcmp(tensor->file, file) == 0)
            continue;
        if (fit)
            ob_error_clear(err);
        fit = false;
        ob_error_add(err, OB_ERR_MODEL, "weight_map: tensor '%s' is not in its file '%s'",
                     ob__printable_make(name).text, ob__printable_make(file).text);
    }
    return fit ? OB_OK : OB_ERR_MODEL;
}
