/* "<top>/data.pkl" names storages by keys, "<top>/data/<key>" are their bytes, "<top>/byteorder" says which way round.
 */
#include "torch_zip.h"
#include "pickle_machine.h"
#include "state_dict.h"
#include "zip.h"

#include <oberta/memory.h>
#include <string.h>

#define MAX_DEFECTS 20

typedef struct archive {
    ob__zip zip;
    const char *top; /* the folder in which all of it lies, the name of the file that was saved */
    size_t top_bytes;
} archive;

/* The member "<top>/<folder><name>". */
static const ob__zip_member *find(const archive *a, const char *folder, const char *name, size_t name_bytes)
{
    char path[2 * OB_ZIP_MAX_NAME];
    size_t at = a->top_bytes, folder_bytes = strlen(folder);
    if (name_bytes > OB_ZIP_MAX_NAME || at + 1 + folder_bytes + name_bytes > sizeof path)
        return NULL;
    memcpy(path, a->top, at);
    path[at++] = '/';
    memcpy(path + at, folder, folder_bytes);
    at += folder_bytes;
    memcpy(path + at, name, name_bytes);
    return ob__zip_find(&a->zip, path, at + name_bytes);
}

static const ob__zip_member *find_part(const archive *a, const char *name)
{
    return find(a, "", name, strlen(name));
}

static bool has_code(const archive *a)
{
    char prefix[OB_ZIP_MAX_NAME + 8];
    memcpy(prefix, a->top, a->top_bytes);
    memcpy(prefix + a->top_bytes, "/code/", 6);
    for (size_t i = 0; i < a->zip.count; i++)
        if (a->zip.members[i].name_bytes >= a->top_bytes + 6 &&
            memcmp(a->zip.members[i].name, prefix, a->top_bytes + 6) == 0)
            return true;
    return find_part(a, "constants.pkl") != NULL;
}

/* Members are read where they lie. torch.save compresses none, but a tool that packs the archive anew may. */
static ob_status check_stored(const archive *a, ob_error *err)
{
    for (size_t i = 0; i < a->zip.count; i++) {
        const ob__zip_member *member = &a->zip.members[i];
        ob__pickle_text name = {member->name, member->name_bytes};
        if (member->method != 0)
            return ob_error_set(
                err, OB_ERR_MODEL,
                "zip: member '%s' is compressed (method %u%s), but PyTorch stores its members: pack them "
                "anew without compression ('zip -0')",
                ob__pickle_printable(name).text, member->method, member->method == 8 ? ", deflate" : "");
    }
    return OB_OK;
}

static ob_status read_byte_order(const archive *a, bool *big_endian, ob_error *err)
{
    const ob__zip_member *member = find_part(a, "byteorder");
    *big_endian = false;
    if (member == NULL || (member->bytes == 6 && memcmp(member->data, "little", 6) == 0))
        return OB_OK;
    *big_endian = member->bytes == 3 && memcmp(member->data, "big", 3) == 0;
    return *big_endian ? OB_OK : ob_error_set(err, OB_ERR_MODEL, "byteorder: neither 'little' nor 'big'");
}

/* Every storage that the pickle names must be there with at least as many bytes as it says. */
static ob_status find_storages(const archive *a, ob__pickle *pickle, ob_error *err)
{
    size_t defects = 0;
    for (size_t i = 0; i < pickle->storage_count && defects < MAX_DEFECTS; i++) {
        ob__pickle_storage *storage = pickle->storages[i];
        const ob__zip_member *member = find(a, "data/", storage->key.bytes, storage->key.count);
        size_t needed;
        bool sane = ob_size_mul(storage->count, ob_dtype_bytes(storage->dtype), &needed);
        if (member != NULL && sane && member->bytes >= needed) {
            storage->data = member->data;
            continue;
        }
        if (defects++ == 0)
            ob_error_clear(err);
        if (member == NULL)
            ob_error_add(err, OB_ERR_MODEL, "storage 'data/%s' is missing", ob__pickle_printable(storage->key).text);
        else
            ob_error_add(err, OB_ERR_MODEL, "storage 'data/%s': %zu bytes, but data.pkl promises %zu elements of %s",
                         ob__pickle_printable(storage->key).text, member->bytes, storage->count,
                         ob_dtype_name(storage->dtype));
    }
    return defects == 0 ? OB_OK : OB_ERR_MODEL;
}

static ob_status read_archive(const archive *a, size_t bytes, const char *file, ob__tensor_list *list, ob_error *err)
{
    const ob__zip_member *member = find_part(a, "data.pkl");
    if (member == NULL)
        return ob_error_set(err, OB_ERR_MODEL, "a zip file, but none of PyTorch's weights: it has no 'data.pkl'");
    if (has_code(a))
        return ob_error_set(err, OB_ERR_MODEL,
                            "a TorchScript archive, which is a program: save the model's state_dict() instead");
    ob__state_dict_file source = {.name = file, .bytes = bytes};
    ob_status status = check_stored(a, err);
    if (status == OB_OK)
        status = read_byte_order(a, &source.big_endian, err);
    if (status != OB_OK)
        return status;
    ob__pickle pickle;
    status = ob__pickle_read(member->data, member->bytes, &pickle, err);
    if (status != OB_OK) {
        ob_error_prefix(err, "data.pkl");
        return status;
    }
    if (pickle.bytes != member->bytes)
        status = ob_error_set(err, OB_ERR_MODEL, "data.pkl: %zu bytes after its end", member->bytes - pickle.bytes);
    if (status == OB_OK)
        status = find_storages(a, &pickle, err);
    if (status == OB_OK)
        status = ob__state_dict_collect(&pickle, &source, list, err);
    ob__pickle_release(&pickle);
    return status;
}

ob_status ob__torch_zip_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                              ob_error *err)
{
    archive a = {.top = NULL};
    ob_status status = ob__zip_open(data, bytes, &a.zip, err);
    if (status != OB_OK)
        return status;
    const char *slash = memchr(a.zip.first_name, '/', a.zip.first_name_bytes);
    a.top = a.zip.first_name;
    a.top_bytes = slash != NULL ? (size_t)(slash - a.top) : 0;
    if (slash == NULL)
        status = ob_error_set(err, OB_ERR_MODEL,
                              "a zip file, but none of PyTorch's weights: its members are not in a folder");
    else
        status = read_archive(&a, bytes, file, list, err);
    ob__zip_close(&a.zip);
    return status;
}
