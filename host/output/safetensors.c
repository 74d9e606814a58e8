/* safetensors: tensors "<output>.<row>". The header stands before the numbers but knows them only at the end, so the
 * numbers wait in a nameless file. */
#include "writer_internal.h"

#include <oberta/memory.h>
#include <string.h>

/* The format's own limit: what is longer, no reader takes. */
#define MAX_HEADER_BYTES ((size_t)100000000)

static ob_status append_array(ob_writer *w, const ob_named_array *array, uint64_t row, ob_error *err)
{
    size_t bytes = sizeof(float);
    for (size_t d = 0; d < array->rank; d++)
        if (!ob_size_mul(bytes, array->shape[d], &bytes))
            return ob_error_set(err, OB_ERR_INTERNAL, "%s: the shape of %s wraps", w->path, array->name);
    ob_strbuf *header = &w->header;
    ob_strbuf_puts(header, header->length == 0 ? "{\"__metadata__\":{\"format\":\"pt\"}" : "");
    ob_strbuf_printf(header, ",\"%s.%llu\":{\"dtype\":\"F32\",\"shape\":[", array->name, (unsigned long long)row);
    for (size_t d = 0; d < array->rank; d++)
        ob_strbuf_printf(header, d > 0 ? ",%zu" : "%zu", array->shape[d]);
    ob_strbuf_printf(header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)w->data_bytes,
                     (unsigned long long)(w->data_bytes + bytes));
    if (header->failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for its header", w->path);
    if (header->length + 8 > MAX_HEADER_BYTES)
        return ob_error_set(err, OB_ERR_IO,
                            "%s: row %llu makes the header longer than the 100 MB that safetensors allows; fewer rows "
                            "a file, or npy or jsonl",
                            w->path, (unsigned long long)row);
    w->data_bytes += bytes;
    return ob__writer_put_data(w, array->data, bytes, err);
}

static ob_status append(ob_writer *w, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    (void)out;
    for (size_t i = 0; i < record->array_count; i++)
        if (append_array(w, &record->arrays[i], record->row, err) != OB_OK)
            return ob_error_status(err);
    return OB_OK;
}

static ob_status finish(ob_writer *w, ob_error *err)
{
    ob_strbuf *header = &w->header;
    ob_strbuf_puts(header, header->length == 0 ? "{\"__metadata__\":{\"format\":\"pt\"}}" : "}");
    while (header->length % 8 != 0 && !header->failed)
        ob_strbuf_putc(header, ' ');
    if (header->failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for its header", w->path);
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header->length >> 8 * i);
    if (ob__writer_put(w, length, sizeof length, err) != OB_OK ||
        ob__writer_put(w, header->data, header->length, err) != OB_OK)
        return ob_error_status(err);
    return ob_atomic_file_copy(w->file, w->data, w->path, err);
}

const ob__format ob__format_safetensors = {OB_OUTPUT_SAFETENSORS,
                                           "safetensors",
                                           ".safetensors",
                                           1u << OB_RECORD_EMBEDDING | 1u << OB_RECORD_ARRAYS,
                                           true,
                                           append,
                                           finish};
