/* npy, version 1.0: embeddings as one (rows, hidden) array, whose index is the row: a row that failed is NaN. The
 * number of rows is known at the end, and the width with the first embedding. */
#include "writer_internal.h"

#include <math.h>
#include <oberta/log.h>
#include <stdio.h>
#include <string.h>

static ob_status put_missing(ob_writer *w, uint64_t count, ob_error *err)
{
    float missing[256];
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        missing[i] = NAN;
    for (uint64_t left = count * w->width; left > 0;) {
        size_t part = left < sizeof missing / sizeof *missing ? (size_t)left : sizeof missing / sizeof *missing;
        if (ob__writer_put_data(w, missing, part * sizeof *missing, err) != OB_OK)
            return ob_error_status(err);
        left -= part;
    }
    return OB_OK;
}

static ob_status append(ob_writer *w, const ob_record *record, ob_strbuf *out, ob_error *err)
{
    (void)out;
    uint64_t before = w->rows++;
    if (record->kind == OB_RECORD_ERROR) {
        ob_log(OB_LOG_WARN, "output", "row %llu is NaN in %s: %s", (unsigned long long)record->row, w->path,
               record->error_message);
        return w->width == 0 ? OB_OK : put_missing(w, 1, err);
    }
    const ob_named_array *array = &record->arrays[0];
    if (w->width == 0) {
        w->width = array->shape[0];
        if (put_missing(w, before, err) != OB_OK)
            return ob_error_status(err);
    }
    return ob__writer_put_data(w, array->data, w->width * sizeof(float), err);
}

static ob_status finish(ob_writer *w, ob_error *err)
{
    /* The header with its ten bytes before it is a multiple of 64 long and ends in a newline. */
    unsigned char header[128];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = sizeof header - 10;
    header[9] = 0;
    int length = snprintf((char *)header + 10, sizeof header - 11,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %zu), }",
                          (unsigned long long)w->rows, w->width);
    header[10 + length] = ' '; /* snprintf's NUL */
    header[sizeof header - 1] = '\n';
    if (ob__writer_put(w, header, sizeof header, err) != OB_OK)
        return ob_error_status(err);
    return ob_atomic_file_copy(w->file, w->data, w->path, err);
}

const ob__format ob__format_npy = {OB_OUTPUT_NPY, "npy",  ".npy", 1u << OB_RECORD_ERROR | 1u << OB_RECORD_EMBEDDING,
                                   true,          append, finish};
