/* A growing array of tensors, sorted once, then searched by bisection. */
#include "tensor_list.h"
#include "printable.h"

#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

bool ob__tensor_list_add(ob__tensor_list *list, const ob_tensor *tensor)
{
    void *items = list->items;
    if (!ob_array_reserve(&items, &list->capacity, list->count + 1, sizeof *list->items))
        return false;
    list->items = items;
    char *name = ob_strdup(tensor->name);
    if (name == NULL)
        return false;
    ob_tensor *added = &list->items[list->count++];
    *added = *tensor;
    added->name = name;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const ob_tensor *)a)->name, ((const ob_tensor *)b)->name);
}

ob_status ob__tensor_list_sort(ob__tensor_list *list, ob_error *err)
{
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_names);
    for (size_t i = 1; i < list->count; i++) {
        const ob_tensor *a = &list->items[i - 1], *b = &list->items[i];
        if (strcmp(a->name, b->name) == 0)
            return ob_error_set(err, OB_ERR_MODEL, "tensor '%s' is in two files, '%s' and '%s'",
                                ob__printable_make(a->name).text, a->file, b->file);
    }
    return OB_OK;
}

const ob_tensor *ob__tensor_list_find(const ob__tensor_list *list, const char *name)
{
    if (list->count == 0)
        return NULL;
    ob_tensor key = {.name = name};
    return bsearch(&key, list->items, list->count, sizeof *list->items, compare_names);
}

void ob__tensor_list_release(ob__tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ob_free((char *)(uintptr_t)list->items[i].name);
    ob_free(list->items);
    *list = (ob__tensor_list){NULL, 0, 0};
}
