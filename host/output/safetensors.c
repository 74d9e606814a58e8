/* safetensors: tensors "<output>.<row>". The header stands before the numbers but knows them only at the end, so the
 * numbers wait in a nameless file. */
#include "writer_internal.h"

#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>

static ob_status append(ob_writer *w, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    (void)out;
    for (size_t i = 0; i < record->array_count; i++) {
        const ob_named_array *array = &record->arrays[i];
        if (!ob_array_reserve((void **)&w->arrays, &w->array_capacity, w->array_count + 1, sizeof *w->arrays))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for %zu tensors", w->path, w->array_count);
        ob__written_array *written = &w->arrays[w->array_count++];
        size_t count = 1;
        *written = (ob__written_array){.rank = array->rank};
        snprintf(written->name, sizeof written->name, "%s.%llu", array->name, (unsigned long long)record->row);
        for (size_t d = 0; d < array->rank; d++) {
            written->shape[d] = array->shape[d];
            count *= array->shape[d];
        }
        written->bytes = count * sizeof(float);
        if (ob__writer_put_data(w, array->data, count * sizeof(float), err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

static ob_status finish(ob_writer *w, ob_error *err)
{
    ob_strbuf header = OB_STRBUF_INIT;
    uint64_t offset = 0;
    ob_strbuf_puts(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < w->array_count; i++) {
        const ob__written_array *a = &w->arrays[i];
        ob_strbuf_printf(&header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", a->name);
        for (size_t d = 0; d < a->rank; d++)
            ob_strbuf_printf(&header, d > 0 ? ",%zu" : "%zu", a->shape[d]);
        ob_strbuf_printf(&header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                         (unsigned long long)(offset + a->bytes));
        offset += a->bytes;
    }
    ob_strbuf_putc(&header, '}');
    while (header.length % 8 != 0 && !header.failed)
        ob_strbuf_putc(&header, ' ');
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    ob_status status = header.failed ? ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for its header", w->path)
                                     : ob__writer_put(w, length, sizeof length, err);
    if (status == OB_OK)
        status = ob__writer_put(w, header.data, header.length, err);
    if (status == OB_OK)
        status = ob_atomic_file_copy(w->file, w->data, w->path, err);
    ob_strbuf_release(&header);
    return status;
}

const ob__format ob__format_safetensors = {OB_OUTPUT_SAFETENSORS,
                                           "safetensors",
                                           ".safetensors",
                                           1u << OB_RECORD_EMBEDDING | 1u << OB_RECORD_ARRAYS,
                                           append,
                                           finish};
