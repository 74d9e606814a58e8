/* Every rule of the format is enforced before a tensor is handed out: a damaged file is refused, never half read.
 *
 * No byte of the data is touched here, so that opening costs the same for a megabyte and for a terabyte. */
#include "safetensors.h"
#include "json_object.h"
#include "printable.h"

#include <inttypes.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8

typedef struct entry {
    ob_tensor tensor;
    size_t begin, end; /* relative to the first byte after the header */
} entry;

static ob_status measure_header(const unsigned char *data, size_t bytes, size_t *header_bytes, ob_error *err)
{
    if (bytes < LENGTH_BYTES)
        return ob_error_set(err, OB_ERR_MODEL,
                            "file is %zu bytes, but a safetensors header begins with %d: incomplete download?", bytes,
                            LENGTH_BYTES);
    uint64_t promised = 0;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        promised |= (uint64_t)data[i] << (8 * i);
    if (promised > OB_SAFETENSORS_MAX_HEADER)
        return ob_error_set(err, OB_ERR_MODEL, "header of %" PRIu64 " bytes: at most %d are allowed", promised,
                            OB_SAFETENSORS_MAX_HEADER);
    if (promised > bytes - LENGTH_BYTES)
        return ob_error_set(err, OB_ERR_MODEL,
                            "file is %zu bytes, but its header alone promises %" PRIu64 ": incomplete download?", bytes,
                            promised + LENGTH_BYTES);
    *header_bytes = (size_t)promised;
    return OB_OK;
}

static ob_status check_metadata(const json_t *metadata, ob_error *err)
{
    if (!json_is_object(metadata))
        return ob_error_set(err, OB_ERR_MODEL, "__metadata__: not an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value))
            return ob_error_set(err, OB_ERR_MODEL, "__metadata__: '%s': not a string", ob__printable_make(key).text);
    }
    return OB_OK;
}

static ob_status read_dtype(const json_t *value, ob_dtype *out, ob_error *err)
{
    static const char *const elsewhere[] = {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
                                            "F4",      "F6_E2M3", "F6_E3M2", "C64"};
    const char *name = json_string_value(value);
    if (name == NULL)
        return ob_error_set(err, OB_ERR_MODEL, "dtype: missing, or not a string");
    for (int dtype = 0; dtype < OB_DTYPE_COUNT; dtype++) {
        if (strcmp(name, ob_dtype_name((ob_dtype)dtype)) == 0) {
            *out = (ob_dtype)dtype;
            return OB_OK;
        }
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(name, elsewhere[i]) == 0)
            return ob_error_set(err, OB_ERR_UNSUPPORTED, "dtype: %s is an element type that oberta does not have",
                                name);
    return ob_error_set(err, OB_ERR_MODEL, "dtype: '%s': not an element type of safetensors",
                        ob__printable_make(name).text);
}

/* JSON integers reach 2^63 - 1; jansson refuses greater ones, and sizes are not negative. */
static bool read_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uintmax_t)json_integer_value(value) > (uintmax_t)SIZE_MAX)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static ob_status read_shape(const json_t *value, ob_tensor *tensor, ob_error *err)
{
    if (!json_is_array(value))
        return ob_error_set(err, OB_ERR_MODEL, "shape: missing, or not an array");
    tensor->rank = json_array_size(value);
    if (tensor->rank > OB_TENSOR_MAX_RANK)
        return ob_error_set(err, OB_ERR_MODEL, "shape: %zu dimensions: at most %d are allowed", tensor->rank,
                            OB_TENSOR_MAX_RANK);
    tensor->count = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!read_size(json_array_get(value, i), &tensor->shape[i]))
            return ob_error_set(err, OB_ERR_MODEL, "shape: dimension %zu: not a size", i);
        if (!ob_size_mul(tensor->count, tensor->shape[i], &tensor->count))
            return ob_error_set(err, OB_ERR_MODEL, "shape: the product of the dimensions overflows");
    }
    return OB_OK;
}

static ob_status read_entry(const json_t *value, entry *out, ob_error *err)
{
    if (!json_is_object(value))
        return ob_error_set(err, OB_ERR_MODEL, "not an object");
    ob_status status = read_dtype(json_object_get(value, "dtype"), &out->tensor.dtype, err);
    if (status == OB_OK)
        status = read_shape(json_object_get(value, "shape"), &out->tensor, err);
    if (status != OB_OK)
        return status;
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !read_size(json_array_get(offsets, 0), &out->begin) || !read_size(json_array_get(offsets, 1), &out->end))
        return ob_error_set(err, OB_ERR_MODEL, "data_offsets: missing, or not two sizes");
    if (out->end < out->begin)
        return ob_error_set(err, OB_ERR_MODEL, "data_offsets: [%zu, %zu]: the end is before the begin", out->begin,
                            out->end);
    size_t needed;
    if (!ob_size_mul(out->tensor.count, ob_dtype_bytes(out->tensor.dtype), &needed))
        return ob_error_set(err, OB_ERR_MODEL, "shape: its size in bytes overflows");
    if (out->end - out->begin != needed)
        return ob_error_set(err, OB_ERR_MODEL, "data_offsets: [%zu, %zu]: %zu bytes, but dtype and shape need %zu",
                            out->begin, out->end, out->end - out->begin, needed);
    return OB_OK;
}

static ob_status read_entries(const json_t *header, entry *entries, size_t *count, ob_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (check_metadata(value, err) != OB_OK)
                return ob_error_status(err);
            continue;
        }
        entry *next = &entries[*count];
        *next = (entry){.tensor = {.name = name}};
        if (read_entry(value, next, err) != OB_OK) {
            ob_error_prefix(err, "tensor '%s'", ob__printable_make(name).text);
            return ob_error_status(err);
        }
        *count += 1;
    }
    return OB_OK;
}

static int compare_places(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* empty tensors go before their neighbour */
}

/* The tensors lie back to back from the first byte to the last: no hole to hide in, no byte of two tensors. */
static ob_status check_places(entry *entries, size_t count, size_t header_end, size_t bytes, ob_error *err)
{
    size_t place = 0;
    if (count > 0)
        qsort(entries, count, sizeof *entries, compare_places);
    for (size_t i = 0; i < count; i++) {
        const entry *e = &entries[i];
        if (e->begin != place)
            return ob_error_set(
                err, OB_ERR_MODEL, "tensor '%s': data_offsets: begins at %zu, but the tensor before it ends at %zu: %s",
                ob__printable_make(e->tensor.name).text, e->begin, place, e->begin > place ? "a hole" : "they overlap");
        place = e->end;
    }
    size_t available = bytes - header_end;
    if (place > available)
        return ob_error_set(err, OB_ERR_MODEL,
                            "file is %zu bytes, but its header promises %" PRIu64 ": incomplete download?", bytes,
                            (uint64_t)header_end + place);
    if (place < available)
        return ob_error_set(err, OB_ERR_MODEL, "file is %zu bytes, but its header promises %zu: %zu too many", bytes,
                            header_end + place, available - place);
    return OB_OK;
}

static ob_status append_tensors(const entry *entries, size_t count, const unsigned char *data, const char *file,
                                ob__tensor_list *list, ob_error *err)
{
    for (size_t i = 0; i < count; i++) {
        ob_tensor tensor = entries[i].tensor;
        tensor.data = data + entries[i].begin;
        tensor.mapped = true;
        tensor.file = file;
        if (!ob__tensor_list_add(list, &tensor))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the names of %zu tensors", count);
    }
    return OB_OK;
}

ob_status ob__safetensors_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                                ob_error *err)
{
    json_t *header = NULL;
    entry *entries = NULL;
    size_t header_bytes = 0, count = 0;
    ob_status status = measure_header(data, bytes, &header_bytes, err);
    if (status != OB_OK)
        return status;
    size_t header_end = LENGTH_BYTES + header_bytes;
    status = ob__json_object_parse((const char *)data + LENGTH_BYTES, header_bytes, &header, err);
    if (status != OB_OK) {
        ob_error_prefix(err, "header");
        return status;
    }
    entries = ob_calloc(json_object_size(header), sizeof *entries);
    if (entries == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tensors", json_object_size(header));
        goto done;
    }
    status = read_entries(header, entries, &count, err);
    if (status == OB_OK)
        status = check_places(entries, count, header_end, bytes, err);
    if (status == OB_OK)
        status = append_tensors(entries, count, data + header_end, file, list, err);
done:
    ob_free(entries);
    json_decref(header);
    return status;
}
