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

void *ob__tensor_list_own(ob__tensor_list *list, size_t bytes)
{
    void *owned = list->owned;
    if (!ob_array_reserve(&owned, &list->owned_capacity, list->owned_count + 1, sizeof *list->owned))
        return NULL;
    list->owned = owned;
    void *memory = ob_malloc(bytes);
    if (memory != NULL)
        list->owned[list->owned_count++] = memory;
    return memory;
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
        if (strcmp(a->name, b->name) == 0 && strcmp(a->file, b->file) == 0)
            return ob_error_set(err, OB_ERR_MODEL, "%s: tensor '%s' is there twice", a->file,
                                ob__printable_make(a->name).text);
        if (strcmp(a->name, b->name) == 0)
            return ob_error_set(err, OB_ERR_MODEL, "tensor '%s' is in two files, '%s' and '%s'",
                                ob__printable_make(a->name).text, a->file, b->file);
    }
    return OB_OK;
}

void ob__tensor_list_strip(ob__tensor_list *list, const char *prefix)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->items[i].name, prefix, length) != 0 || list->items[i].name[length] == '\0')
            return;
    for (size_t i = 0; i < list->count; i++) {
        char *name = (char *)(uintptr_t)list->items[i].name;
        memmove(name, name + length, strlen(name + length) + 1);
    }
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
    for (size_t i = 0; i < list->owned_count; i++)
        ob_free(list->owned[i]);
    ob_free(list->owned);
    *list = (ob__tensor_list){0};
}
