/* What a weight file may name, and what calling it stands for. Nothing is imported or run: a symbol is a word. */
#include "pickle_machine.h"

#include <oberta/memory.h>
#include <string.h>

#define STORAGE(module, name, dtype)                   \
    {                                                  \
        module, name "Storage", OB_ROLE_STORAGE, dtype \
    }
/* torch.cuda's are those of files from before 1.5. */
#define STORAGES(module)                                                                                   \
    STORAGE(module, "Float", OB_DTYPE_F32), STORAGE(module, "Half", OB_DTYPE_F16),                         \
        STORAGE(module, "BFloat16", OB_DTYPE_BF16), STORAGE(module, "Double", OB_DTYPE_F64),               \
        STORAGE(module, "Long", OB_DTYPE_I64), STORAGE(module, "Int", OB_DTYPE_I32),                       \
        STORAGE(module, "Short", OB_DTYPE_I16), STORAGE(module, "Char", OB_DTYPE_I8),                      \
        STORAGE(module, "Byte", OB_DTYPE_U8), STORAGE(module, "Bool", OB_DTYPE_BOOL),                      \
        STORAGE(module, "ComplexFloat", OB_DTYPE_COUNT), STORAGE(module, "ComplexDouble", OB_DTYPE_COUNT), \
        STORAGE(module, "QInt8", OB_DTYPE_COUNT), STORAGE(module, "QUInt8", OB_DTYPE_COUNT),               \
        STORAGE(module, "QInt32", OB_DTYPE_COUNT), STORAGE(module, "QUInt4x2", OB_DTYPE_COUNT),            \
        STORAGE(module, "QUInt2x4", OB_DTYPE_COUNT)

static const ob__pickle_symbol symbols[] = {
    {"collections", "OrderedDict", OB_ROLE_ORDERED_DICT, OB_DTYPE_COUNT},
    {"torch._utils", "_rebuild_tensor_v2", OB_ROLE_TENSOR_V2, OB_DTYPE_COUNT},
    {"torch._utils", "_rebuild_tensor", OB_ROLE_TENSOR, OB_DTYPE_COUNT},
    {"torch._utils", "_rebuild_parameter", OB_ROLE_PARAMETER, OB_DTYPE_COUNT},
    {"torch.nn.parameter", "Parameter", OB_ROLE_PARAMETER, OB_DTYPE_COUNT},
    {"torch", "Size", OB_ROLE_SIZE, OB_DTYPE_COUNT},
    STORAGES("torch"),
    STORAGES("torch.cuda"),
    STORAGE("torch", "Untyped", OB_DTYPE_U8),
    STORAGE("torch", "Typed", OB_DTYPE_U8),
    STORAGE("torch.storage", "Untyped", OB_DTYPE_U8),
    STORAGE("torch.storage", "Typed", OB_DTYPE_U8),
};

static bool is_model_code(ob__pickle_text module)
{
    static const char *const packages[] = {"torch.nn.", "transformers.", "__main__"};
    for (size_t i = 0; i < sizeof packages / sizeof packages[0]; i++)
        if (module.count >= strlen(packages[i]) && memcmp(module.bytes, packages[i], strlen(packages[i])) == 0)
            return true;
    return false;
}

ob_status ob__pickle_find_symbol(ob__pickle_machine *m, ob__pickle_text module, ob__pickle_text name,
                                 const ob__pickle_symbol **out)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++)
        if (ob__pickle_text_is(name, symbols[i].name) && ob__pickle_text_is(module, symbols[i].module)) {
            *out = &symbols[i];
            return OB_OK;
        }
    return ob__pickle_refuse(m, "global '%s.%s' is not among those that weights need%s; nothing of it was run",
                             ob__pickle_printable(module).text, ob__pickle_printable(name).text,
                             is_model_code(module) ? " (a whole model? save its state_dict() instead)" : "");
}

/* A pair is a list or a tuple of two. */
static ob_status append_pair(ob__pickle_machine *m, const ob__pickle_value *pair, ob__pickle_items *items)
{
    if ((pair->kind != OB_PICKLE_TUPLE && pair->kind != OB_PICKLE_LIST) || pair->as.items.count != 2)
        return ob__pickle_refuse(m, "OrderedDict: the list holds something that is no pair");
    return ob__pickle_items_append(m, items, pair->as.items.values, 2);
}

/* Python 3 creates it empty and sets its items; Python 2 gives a list of pairs. */
static ob_status make_ordered_dict(ob__pickle_machine *m, const ob__pickle_items *arguments, ob__pickle_value **out)
{
    ob_status status = ob__pickle_value_create(m, OB_PICKLE_DICT, out);
    if (status != OB_OK || arguments->count == 0)
        return status;
    const ob__pickle_value *pairs = arguments->values[0];
    if (pairs->kind != OB_PICKLE_LIST && pairs->kind != OB_PICKLE_TUPLE)
        return ob__pickle_refuse(m, "OrderedDict: its argument is no list of pairs");
    for (size_t i = 0; i < pairs->as.items.count && status == OB_OK; i++)
        status = append_pair(m, pairs->as.items.values[i], &(*out)->as.items);
    return status;
}

static ob_status make_tensor(ob__pickle_machine *m, const char *name, const ob__pickle_items *arguments,
                             ob__pickle_value **out)
{
    ob__pickle_value *const *a = arguments->values;
    if (a[0]->kind != OB_PICKLE_STORAGE)
        return ob__pickle_refuse(m, "%s: its first argument is no storage", name);
    if (a[2]->kind != OB_PICKLE_TUPLE || a[3]->kind != OB_PICKLE_TUPLE)
        return ob__pickle_refuse(m, "%s: shape and strides are no tuples", name);
    /* The seventh argument says that the numbers in the storage are negated or conjugated. */
    if (arguments->count == 7 && a[6]->kind != OB_PICKLE_NONE &&
        (a[6]->kind != OB_PICKLE_DICT || a[6]->as.items.count > 0))
        return ob__pickle_refuse(m, "%s: a tensor with metadata (a negated or conjugated view)", name);
    ob_status status = ob__pickle_value_create(m, OB_PICKLE_TENSOR, out);
    if (status == OB_OK)
        (*out)->as.tensor = (ob__pickle_tensor){a[0], a[1], a[2], a[3]};
    return status;
}

ob_status ob__pickle_call(ob__pickle_machine *m, const ob__pickle_value *callable, ob__pickle_value *arguments,
                          ob__pickle_value **out)
{
    static const struct {
        size_t least, most;
    } arities[] = {
        [OB_ROLE_ORDERED_DICT] = {0, 1}, [OB_ROLE_TENSOR] = {4, 4}, [OB_ROLE_TENSOR_V2] = {6, 7},
        [OB_ROLE_PARAMETER] = {1, 3},    [OB_ROLE_SIZE] = {1, 1},
    };
    if (callable->kind != OB_PICKLE_SYMBOL || callable->as.symbol->role == OB_ROLE_STORAGE)
        return ob__pickle_refuse(m, "what is called is no function that weights need");
    const ob__pickle_symbol *symbol = callable->as.symbol;
    if (arguments->kind != OB_PICKLE_TUPLE)
        return ob__pickle_refuse(m, "%s: its arguments are no tuple", symbol->name);
    const ob__pickle_items *items = &arguments->as.items;
    if (items->count < arities[symbol->role].least || items->count > arities[symbol->role].most)
        return ob__pickle_refuse(m, "%s: %zu arguments, but it takes %zu to %zu", symbol->name, items->count,
                                 arities[symbol->role].least, arities[symbol->role].most);
    switch (symbol->role) {
    case OB_ROLE_ORDERED_DICT:
        return make_ordered_dict(m, items, out);
    case OB_ROLE_TENSOR:
    case OB_ROLE_TENSOR_V2:
        return make_tensor(m, symbol->name, items, out);
    case OB_ROLE_PARAMETER:
        if (items->values[0]->kind != OB_PICKLE_TENSOR)
            return ob__pickle_refuse(m, "%s: its first argument is no tensor", symbol->name);
        *out = items->values[0];
        return OB_OK;
    default: /* OB_ROLE_SIZE */
        if (items->values[0]->kind != OB_PICKLE_TUPLE)
            return ob__pickle_refuse(m, "Size: its argument is no tuple");
        *out = items->values[0];
        return OB_OK;
    }
}

/* None, or (key of the part, offset, count): a part of the storage that the key names. */
static ob_status read_view(ob__pickle_machine *m, const ob__pickle_value *view, ob__pickle_storage *storage)
{
    storage->view_offset = 0;
    storage->view_count = storage->count;
    if (view->kind == OB_PICKLE_NONE)
        return OB_OK;
    if (view->kind != OB_PICKLE_TUPLE || view->as.items.count != 3 ||
        !ob__pickle_as_size(view->as.items.values[1], &storage->view_offset) ||
        !ob__pickle_as_size(view->as.items.values[2], &storage->view_count))
        return ob__pickle_refuse(m, "storage '%s': its view is not (key, offset, count)",
                                 ob__pickle_printable(storage->key).text);
    if (storage->view_offset > storage->count || storage->view_count > storage->count - storage->view_offset)
        return ob__pickle_refuse(m, "storage '%s': a view of %zu elements at %zu, but it has %zu",
                                 ob__pickle_printable(storage->key).text, storage->view_count, storage->view_offset,
                                 storage->count);
    return OB_OK;
}

static ob_status read_storage(ob__pickle_machine *m, const ob__pickle_items *id, ob__pickle_storage *storage)
{
    const ob__pickle_value *class = id->values[1], *key = id->values[2];
    if (class->kind != OB_PICKLE_SYMBOL || class->as.symbol->role != OB_ROLE_STORAGE)
        return ob__pickle_refuse(m, "storage: its class is no storage class");
    if (key->kind != OB_PICKLE_STRING || key->as.text.count == 0)
        return ob__pickle_refuse(m, "storage: its key is no text");
    storage->key = key->as.text;
    storage->dtype = class->as.symbol->dtype;
    if (storage->dtype == OB_DTYPE_COUNT) {
        ob__pickle_refuse(m, "%s.%s holds an element type that oberta does not have", class->as.symbol->module,
                          class->as.symbol->name);
        if (m->err != NULL)
            m->err->status = OB_ERR_UNSUPPORTED;
        return OB_ERR_UNSUPPORTED;
    }
    if (!ob__pickle_as_size(id->values[4], &storage->count))
        return ob__pickle_refuse(m, "storage '%s': its count of elements is no size",
                                 ob__pickle_printable(storage->key).text);
    static const ob__pickle_value none = {OB_PICKLE_NONE, {false}};
    return read_view(m, id->count == 6 ? id->values[5] : &none, storage);
}

ob_status ob__pickle_resolve_id(ob__pickle_machine *m, const ob__pickle_value *id, ob__pickle_value **out)
{
    const ob__pickle_items *items = &id->as.items;
    if (id->kind != OB_PICKLE_TUPLE || items->count == 0 || items->values[0]->kind != OB_PICKLE_STRING)
        return ob__pickle_refuse(m, "the persistent id is no tuple that begins with a word");
    if (ob__pickle_text_is(items->values[0]->as.text, "module"))
        return ob__pickle_refuse(m, "holds a pickled module with its code; save the model's state_dict() instead");
    if (!ob__pickle_text_is(items->values[0]->as.text, "storage"))
        return ob__pickle_refuse(m, "persistent id '%s': only 'storage' is known",
                                 ob__pickle_printable(items->values[0]->as.text).text);
    if (items->count != 5 && items->count != 6)
        return ob__pickle_refuse(m, "storage: %zu parts, but it has 5 or 6", items->count);
    ob__pickle *p = m->pickle;
    void *storages = p->storages;
    if (!ob_array_reserve(&storages, &p->storage_capacity, p->storage_count + 1, sizeof *p->storages))
        return ob__pickle_no_memory(m);
    p->storages = storages;
    ob__pickle_storage *storage = ob_calloc(1, sizeof *storage);
    if (storage == NULL)
        return ob__pickle_no_memory(m);
    p->storages[p->storage_count++] = storage;
    ob_status status = read_storage(m, items, storage);
    if (status == OB_OK)
        status = ob__pickle_value_create(m, OB_PICKLE_STORAGE, out);
    if (status == OB_OK)
        (*out)->as.storage = storage;
    return status;
}
