/* Pickles: the magic number, the protocol, the writer's machine, the object, the keys of its storages. Then for each
 * key, in the order of the keys, an i64 count and as many elements. Numbers are little-endian whatever the machine was.
 */
#include "torch_legacy.h"
#include "little_endian.h"
#include "pickle_machine.h"
#include "state_dict.h"

#include <inttypes.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL    1001
#define COUNT_BYTES 8

static const unsigned char magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

bool ob__torch_legacy_is(const unsigned char *data, size_t bytes)
{
    size_t at = bytes > 2 && data[2] == 0x95 ? 11 : 2; /* protocols 4 and 5 have a frame of 9 bytes */
    return bytes >= at + sizeof magic && data[0] == 0x80 && memcmp(data + at, magic, sizeof magic) == 0;
}

typedef struct stream {
    const unsigned char *data;
    size_t bytes, at;
} stream;

/* The next pickle; `part` is what messages call it. */
static ob_status next_pickle(stream *s, const char *part, ob__pickle *out, ob_error *err)
{
    ob_status status = ob__pickle_read(s->data + s->at, s->bytes - s->at, out, err);
    if (status != OB_OK)
        ob_error_prefix(err, "%s, at byte %zu", part, s->at);
    else
        s->at += out->bytes;
    return status;
}

/* Magic, protocol and machine. */
static ob_status read_head(stream *s, ob_error *err)
{
    ob__pickle pickle;
    ob_status status = next_pickle(s, "the magic number's pickle", &pickle, err);
    if (status != OB_OK)
        return status;
    ob__pickle_release(&pickle);
    status = next_pickle(s, "the protocol's pickle", &pickle, err);
    if (status != OB_OK)
        return status;
    size_t protocol = 0;
    bool known = ob__pickle_as_size(pickle.root, &protocol) && protocol == PROTOCOL;
    ob__pickle_release(&pickle);
    if (!known)
        return ob_error_set(err, OB_ERR_MODEL, "the protocol is not %d", PROTOCOL);
    status = next_pickle(s, "the writer's pickle", &pickle, err);
    if (status != OB_OK)
        return status;
    const ob__pickle_value *order = ob__pickle_dict_find(pickle.root, "little_endian");
    bool little = order == NULL || (order->kind == OB_PICKLE_BOOL && order->as.boolean);
    ob__pickle_release(&pickle);
    return little ? OB_OK
                  : ob_error_set(err, OB_ERR_MODEL,
                                 "written on a big-endian machine, whose files of this format are not read: load and "
                                 "save it with a newer PyTorch");
}

static int compare_texts(ob__pickle_text a, ob__pickle_text b)
{
    int order = memcmp(a.bytes, b.bytes, a.count < b.count ? a.count : b.count);
    return order != 0 ? order : (a.count > b.count) - (a.count < b.count);
}

static int compare_storages(const void *a, const void *b)
{
    return compare_texts((*(ob__pickle_storage *const *)a)->key, (*(ob__pickle_storage *const *)b)->key);
}

/* Tensors that share a storage repeat its id: equal keys are neighbours, and must mean the same. */
static ob_status sort_storages(ob__pickle *object, ob_error *err)
{
    if (object->storage_count > 0)
        qsort(object->storages, object->storage_count, sizeof *object->storages, compare_storages);
    for (size_t i = 1; i < object->storage_count; i++) {
        const ob__pickle_storage *a = object->storages[i - 1], *b = object->storages[i];
        if (compare_texts(a->key, b->key) == 0 && (a->dtype != b->dtype || a->count != b->count))
            return ob_error_set(err, OB_ERR_MODEL, "storage '%s': named with two types or sizes",
                                ob__pickle_printable(a->key).text);
    }
    return OB_OK;
}

/* The first storage of this key, NULL: none; `count` gets how many there are. */
static ob__pickle_storage **find_storages(const ob__pickle *object, ob__pickle_text key, size_t *count)
{
    size_t low = 0, high = object->storage_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_texts(object->storages[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < object->storage_count && compare_texts(object->storages[end]->key, key) == 0)
        end++;
    *count = end - low;
    return *count > 0 ? object->storages + low : NULL;
}

/* The bytes of the storage that the stream has reached. */
static ob_status place_storage(stream *s, const ob__pickle *object, const ob__pickle_value *key, ob_error *err)
{
    if (key->kind != OB_PICKLE_STRING)
        return ob_error_set(err, OB_ERR_MODEL, "the list of storages holds something that is no key");
    ob__printable name = ob__pickle_printable(key->as.text);
    size_t same, needed;
    ob__pickle_storage **storages = find_storages(object, key->as.text, &same);
    if (same == 0 || storages[0]->data != NULL)
        return ob_error_set(err, OB_ERR_MODEL, "storage '%s': %s", name.text,
                            same == 0 ? "no tensor uses it, so that its type is unknown" : "it is there twice");
    size_t left = s->bytes - s->at;
    if (left < COUNT_BYTES)
        return ob_error_set(err, OB_ERR_MODEL,
                            "storage '%s': file is %zu bytes and ends before it: incomplete download?", name.text,
                            s->bytes);
    uint64_t count = ob__le64(s->data + s->at);
    if (count != storages[0]->count)
        return ob_error_set(err, OB_ERR_MODEL, "storage '%s': %" PRIu64 " elements, but its tensors say %zu", name.text,
                            count, storages[0]->count);
    if (!ob_size_mul(storages[0]->count, ob_dtype_bytes(storages[0]->dtype), &needed) || needed > left - COUNT_BYTES)
        return ob_error_set(
            err, OB_ERR_MODEL,
            "storage '%s': file is %zu bytes, but at byte %zu it promises %zu elements of %s: incomplete "
            "download?",
            name.text, s->bytes, s->at, storages[0]->count, ob_dtype_name(storages[0]->dtype));
    for (size_t i = 0; i < same; i++)
        storages[i]->data = s->data + s->at + COUNT_BYTES;
    s->at += COUNT_BYTES + needed;
    return OB_OK;
}

static ob_status place_storages(stream *s, ob__pickle *object, const ob__pickle_value *keys, ob_error *err)
{
    if (keys->kind != OB_PICKLE_LIST)
        return ob_error_set(err, OB_ERR_MODEL, "the keys of the storages are no list");
    ob_status status = sort_storages(object, err);
    for (size_t i = 0; i < keys->as.items.count && status == OB_OK; i++)
        status = place_storage(s, object, keys->as.items.values[i], err);
    if (status != OB_OK)
        return status;
    for (size_t i = 0; i < object->storage_count; i++)
        if (object->storages[i]->data == NULL)
            return ob_error_set(err, OB_ERR_MODEL, "storage '%s' is missing from the list of keys",
                                ob__pickle_printable(object->storages[i]->key).text);
    if (s->at != s->bytes)
        return ob_error_set(err, OB_ERR_MODEL, "file is %zu bytes, but its storages end at %zu: %zu too many", s->bytes,
                            s->at, s->bytes - s->at);
    return OB_OK;
}

ob_status ob__torch_legacy_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                                 ob_error *err)
{
    stream s = {data, bytes, 0};
    ob__pickle object = {0}, keys = {0};
    ob_status status = read_head(&s, err);
    if (status == OB_OK)
        status = next_pickle(&s, "the object's pickle", &object, err);
    if (status == OB_OK)
        status = next_pickle(&s, "the pickle of storage keys", &keys, err);
    if (status == OB_OK)
        status = place_storages(&s, &object, keys.root, err);
    ob__state_dict_file source = {.name = file, .bytes = bytes};
    if (status == OB_OK)
        status = ob__state_dict_collect(&object, &source, list, err);
    ob__pickle_release(&object);
    ob__pickle_release(&keys);
    return status;
}
