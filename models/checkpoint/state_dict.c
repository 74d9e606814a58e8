/* A state dict is a dict of names and tensors; training loops wrap it into a dict with other things. */
#include "state_dict.h"
#include "pickle_machine.h"
#include "torch_view.h"

#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <string.h>

#define MAX_DEFECTS 20

static const ob__pickle_value *unwrap(const ob__pickle_value *root)
{
    static const char *const wrappers[] = {"state_dict", "model"};
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        const ob__pickle_value *inner = ob__pickle_dict_find(root, wrappers[i]);
        if (inner != NULL && inner->kind == OB_PICKLE_DICT)
            return inner;
    }
    return root;
}

static ob_status read_sizes(const ob__pickle_items *items, const char *what, size_t *out, ob_error *err)
{
    for (size_t i = 0; i < items->count; i++)
        if (!ob__pickle_as_size(items->values[i], &out[i]))
            return ob_error_set(err, OB_ERR_MODEL, "%s: number %zu is no size (negative, too large, or no integer)",
                                what, i);
    return OB_OK;
}

static ob_status read_view(const ob__pickle_tensor *tensor, ob__torch_view *out, ob_error *err)
{
    const ob__pickle_items *shape = &tensor->shape->as.items, *stride = &tensor->stride->as.items;
    const ob__pickle_storage *storage = tensor->storage->as.storage;
    *out = (ob__torch_view){.dtype = storage->dtype, .rank = shape->count, .storage_count = storage->view_count};
    if (shape->count > OB_TENSOR_MAX_RANK)
        return ob_error_set(err, OB_ERR_MODEL, "shape: %zu dimensions: at most %d are allowed", shape->count,
                            OB_TENSOR_MAX_RANK);
    if (stride->count != shape->count)
        return ob_error_set(err, OB_ERR_MODEL, "%zu dimensions, but %zu strides", shape->count, stride->count);
    if (!ob__pickle_as_size(tensor->offset, &out->offset))
        return ob_error_set(err, OB_ERR_MODEL, "offset: no size (negative, or no integer)");
    ob_status status = read_sizes(shape, "shape", out->shape, err);
    if (status == OB_OK)
        status = read_sizes(stride, "strides", out->stride, err);
    if (status != OB_OK)
        return status;
    out->data = storage->data + storage->view_offset * ob_dtype_bytes(storage->dtype);
    return ob__torch_view_check(out, err);
}

/* A few bytes of file can claim any number of elements by a stride of 0: the copies of a file are bounded. */
static ob_status gather(const ob__torch_view *view, const ob__state_dict_file *file, size_t *gathered,
                        ob__tensor_list *list, const void **out, ob_error *err)
{
    size_t limit = SIZE_MAX, total;
    if (ob_size_mul(file->bytes, 4, &limit) && !ob_size_add(limit, OB_MAX_GATHERED, &limit))
        limit = SIZE_MAX;
    if (!ob_size_add(*gathered, view->bytes, &total) || total > limit)
        return ob_error_set(err, OB_ERR_MODEL,
                            "a view of %zu elements (%zu bytes) that is not row-major: a file of %zu bytes may have "
                            "%zu bytes of those in all",
                            view->count, view->bytes, file->bytes, limit);
    unsigned char *copy = ob__tensor_list_own(list, view->bytes);
    if (copy == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a copy of %zu bytes", view->bytes);
    ob__torch_view_gather(view, file->big_endian, copy);
    *gathered = total;
    *out = copy;
    return OB_OK;
}

static ob_status add_tensor(ob__pickle_text name, const ob__torch_view *view, const void *data, bool mapped,
                            const char *file, ob__tensor_list *list, ob_error *err)
{
    char *copy = ob_strndup(name.bytes, name.count);
    ob_tensor tensor = {.name = copy,
                        .dtype = view->dtype,
                        .rank = view->rank,
                        .count = view->count,
                        .data = data,
                        .mapped = mapped,
                        .file = file};
    memcpy(tensor.shape, view->shape, sizeof tensor.shape);
    bool added = copy != NULL && ob__tensor_list_add(list, &tensor);
    ob_free(copy);
    return added ? OB_OK : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the names of tensors");
}

static ob_status collect_tensor(const ob__pickle_value *key, const ob__pickle_value *value,
                                const ob__state_dict_file *file, size_t *gathered, ob__tensor_list *list, ob_error *err)
{
    ob__pickle_text name = key->as.text;
    if (memchr(name.bytes, '\0', name.count) != NULL || ob_utf8_invalid_at(name.bytes, name.count) != name.count)
        return ob_error_set(err, OB_ERR_MODEL, "its name is not UTF-8, or holds a NUL");
    ob__torch_view view;
    ob_status status = read_view(&value->as.tensor, &view, err);
    if (status != OB_OK)
        return status;
    bool mapped = ob__torch_view_is_row_major(&view) && !file->big_endian;
    const void *data = ob__torch_view_begin(&view);
    if (!mapped)
        status = gather(&view, file, gathered, list, &data, err);
    return status == OB_OK ? add_tensor(name, &view, data, mapped, file->name, list, err) : status;
}

ob_status ob__state_dict_collect(const ob__pickle *pickle, const ob__state_dict_file *file, ob__tensor_list *list,
                                 ob_error *err)
{
    const ob__pickle_value *dict = unwrap(pickle->root);
    if (dict->kind != OB_PICKLE_DICT)
        return ob_error_set(err, OB_ERR_MODEL, "holds no dict of tensors (a state_dict)");
    const ob__pickle_items *items = &dict->as.items;
    size_t gathered = 0, before = list->count, defects = 0;
    for (size_t i = 0; i + 1 < items->count && defects < MAX_DEFECTS; i += 2) {
        const ob__pickle_value *key = items->values[i], *value = items->values[i + 1];
        if (key->kind != OB_PICKLE_STRING || value->kind != OB_PICKLE_TENSOR)
            continue;
        ob_error defect;
        ob_error_clear(&defect);
        ob_status status = collect_tensor(key, value, file, &gathered, list, &defect);
        if (status == OB_OK)
            continue;
        if (defects == 0)
            ob_error_clear(err);
        defects += 1;
        ob_error_add(err, status, "tensor '%s': %s", ob__pickle_printable(key->as.text).text, defect.text);
    }
    if (defects > 0)
        return ob_error_status(err);
    if (list->count == before)
        return ob_error_set(err, OB_ERR_MODEL, "holds a dict without tensors, and none under 'state_dict' or 'model'");
    return OB_OK;
}
