/* The tensors of one checkpoint while its files are parsed, and afterwards in order of name. */
#ifndef OBERTA_CHECKPOINT_TENSOR_LIST_H
#define OBERTA_CHECKPOINT_TENSOR_LIST_H

#include <oberta/checkpoint.h>

typedef struct ob__tensor_list {
    ob_tensor *items; /* each owns its name; data and file belong to others */
    size_t count, capacity;
} ob__tensor_list;

/* Appends a copy of `tensor` with a copy of its name. False: no memory, the list is untouched. */
bool ob__tensor_list_add(ob__tensor_list *list, const ob_tensor *tensor);

/* Afterwards the list is in order of name (bytes compared as unsigned) and can be searched. Errors: OB_ERR_MODEL for a
 * name that occurs in two files. */
ob_status ob__tensor_list_sort(ob__tensor_list *list, ob_error *err);
const ob_tensor *ob__tensor_list_find(const ob__tensor_list *list, const char *name); /* NULL: absent */

void ob__tensor_list_release(ob__tensor_list *list);

#endif
