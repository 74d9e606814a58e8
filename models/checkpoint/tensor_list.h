/* The tensors of one checkpoint while its files are parsed, and afterwards in order of name. */
#ifndef OBERTA_CHECKPOINT_TENSOR_LIST_H
#define OBERTA_CHECKPOINT_TENSOR_LIST_H

#include <oberta/checkpoint.h>

typedef struct ob__tensor_list {
    ob_tensor *items; /* each owns its name; data and file belong to others */
    size_t count, capacity;
    void **owned; /* data of tensors that do not lie in a file as they should */
    size_t owned_count, owned_capacity;
} ob__tensor_list;

/* Appends a copy of `tensor` with a copy of its name. False: no memory, the list is untouched. */
bool ob__tensor_list_add(ob__tensor_list *list, const ob_tensor *tensor);

/* Memory that lives as long as the list. NULL: no memory. */
void *ob__tensor_list_own(ob__tensor_list *list, size_t bytes);

/* Afterwards the list is in order of name (bytes compared as unsigned) and can be searched. Errors: OB_ERR_MODEL for a
 * name that occurs twice. */
ob_status ob__tensor_list_sort(ob__tensor_list *list, ob_error *err);

/* Takes `prefix` from every name if all have it and something after it; the order stays. */
void ob__tensor_list_strip(ob__tensor_list *list, const char *prefix);
const ob_tensor *ob__tensor_list_find(const ob__tensor_list *list, const char *name); /* NULL: absent */

void ob__tensor_list_release(ob__tensor_list *list);

#endif
