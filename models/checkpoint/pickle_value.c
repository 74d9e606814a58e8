/* Values of a pickle: they stay where they are and go all at once, so that a cycle among them does no harm. */
#include "pickle_machine.h"

#include <oberta/memory.h>
#include <string.h>

#define CHUNK_VALUES 256

typedef struct ob__pickle_chunk {
    struct ob__pickle_chunk *next;
    size_t count;
    ob__pickle_value values[CHUNK_VALUES];
} ob__pickle_chunk;

ob_status ob__pickle_value_create(ob__pickle_machine *m, ob__pickle_kind kind, ob__pickle_value **out)
{
    ob__pickle *p = m->pickle;
    if (p->value_count == OB_PICKLE_MAX_VALUES)
        return ob__pickle_refuse(m, "more than %zu values", OB_PICKLE_MAX_VALUES);
    if (p->chunks == NULL || p->chunks->count == CHUNK_VALUES) {
        ob__pickle_chunk *chunk = ob_calloc(1, sizeof *chunk);
        if (chunk == NULL)
            return ob__pickle_no_memory(m);
        chunk->next = p->chunks;
        p->chunks = chunk;
    }
    ob__pickle_value *value = &p->chunks->values[p->chunks->count++];
    value->kind = kind;
    p->value_count += 1;
    *out = value;
    return OB_OK;
}

ob_status ob__pickle_items_append(ob__pickle_machine *m, ob__pickle_items *items, ob__pickle_value *const *values,
                                  size_t count)
{
    size_t needed;
    void *grown = items->values;
    if (!ob_size_add(items->count, count, &needed) ||
        !ob_array_reserve(&grown, &items->capacity, needed, sizeof *items->values))
        return ob__pickle_no_memory(m);
    items->values = grown;
    if (count > 0)
        memcpy(items->values + items->count, values, count * sizeof *values);
    items->count = needed;
    return OB_OK;
}

static bool has_items(ob__pickle_kind kind)
{
    return kind == OB_PICKLE_TUPLE || kind == OB_PICKLE_LIST || kind == OB_PICKLE_DICT;
}

void ob__pickle_release(ob__pickle *pickle)
{
    while (pickle->chunks != NULL) {
        ob__pickle_chunk *chunk = pickle->chunks;
        pickle->chunks = chunk->next;
        for (size_t i = 0; i < chunk->count; i++)
            if (has_items(chunk->values[i].kind))
                ob_free(chunk->values[i].as.items.values);
        ob_free(chunk);
    }
    for (size_t i = 0; i < pickle->storage_count; i++)
        ob_free(pickle->storages[i]);
    ob_free(pickle->storages);
    *pickle = (ob__pickle){0};
}

bool ob__pickle_text_is(ob__pickle_text text, const char *expected)
{
    return strlen(expected) == text.count && memcmp(text.bytes, expected, text.count) == 0;
}

ob__printable ob__pickle_printable(ob__pickle_text text)
{
    char start[2 * OB_PRINTABLE_BYTES]; /* longer than what is shown, so that the cut shows */
    size_t count = text.count < sizeof start ? text.count : sizeof start - 1;
    memcpy(start, text.bytes, count);
    start[count] = '\0';
    return ob__printable_make(start);
}

const ob__pickle_value *ob__pickle_dict_find(const ob__pickle_value *dict, const char *key)
{
    if (dict->kind != OB_PICKLE_DICT)
        return NULL;
    const ob__pickle_items *items = &dict->as.items;
    for (size_t i = 0; i + 1 < items->count; i += 2)
        if (items->values[i]->kind == OB_PICKLE_STRING && ob__pickle_text_is(items->values[i]->as.text, key))
            return items->values[i + 1];
    return NULL;
}

bool ob__pickle_as_size(const ob__pickle_value *value, size_t *out)
{
    if (value->kind != OB_PICKLE_INTEGER || value->as.integer < 0 || (uintmax_t)value->as.integer > (uintmax_t)SIZE_MAX)
        return false;
    *out = (size_t)value->as.integer;
    return true;
}
