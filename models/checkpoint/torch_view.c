/* Bounds of a view, in arithmetic that cannot wrap, and the copy of one that is not row-major. */
#include "torch_view.h"

#include <oberta/dtype.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>

/* The place of the last element, the greatest of all since no stride is negative. */
static bool last_element(const ob__torch_view *view, size_t *out)
{
    size_t last = view->offset, step;
    for (size_t i = 0; i < view->rank; i++)
        if (!ob_size_mul(view->shape[i] - 1, view->stride[i], &step) || !ob_size_add(last, step, &last))
            return false;
    *out = last;
    return true;
}

ob_status ob__torch_view_check(ob__torch_view *view, ob_error *err)
{
    size_t count = 1, bytes, last = 0;
    char shape[192], stride[192];
    ob_shape_format(shape, sizeof shape, view->rank, view->shape);
    ob_shape_format(stride, sizeof stride, view->rank, view->stride);
    for (size_t i = 0; i < view->rank; i++)
        if (!ob_size_mul(count, view->shape[i], &count))
            return ob_error_set(err, OB_ERR_MODEL, "shape %s: the product of the dimensions overflows", shape);
    if (!ob_size_mul(count, ob_dtype_bytes(view->dtype), &bytes))
        return ob_error_set(err, OB_ERR_MODEL, "shape %s: its size in bytes overflows", shape);
    if (count == 0 && view->offset > view->storage_count)
        return ob_error_set(err, OB_ERR_MODEL, "offset %zu: its storage has %zu elements", view->offset,
                            view->storage_count);
    if (count > 0 && !last_element(view, &last))
        return ob_error_set(err, OB_ERR_MODEL, "offset %zu, shape %s, strides %s: the last element's place overflows",
                            view->offset, shape, stride);
    if (count > 0 && last >= view->storage_count)
        return ob_error_set(err, OB_ERR_MODEL,
                            "offset %zu, shape %s, strides %s: reaches element %zu, but its storage has %zu elements",
                            view->offset, shape, stride, last, view->storage_count);
    view->count = count;
    view->bytes = bytes;
    return OB_OK;
}

bool ob__torch_view_is_row_major(const ob__torch_view *view)
{
    size_t expected = 1;
    for (size_t i = view->rank; view->count > 0 && i > 0; i--) {
        if (view->shape[i - 1] != 1 && view->stride[i - 1] != expected)
            return false;
        expected *= view->shape[i - 1]; /* at most count */
    }
    return true;
}

const void *ob__torch_view_begin(const ob__torch_view *view)
{
    return view->data + view->offset * ob_dtype_bytes(view->dtype);
}

/* A row of the last dimension; `step` in bytes. The widths are constants so that each copy is one instruction. */
static void gather_row(unsigned char *out, const unsigned char *in, size_t step, size_t width, size_t count)
{
    switch (width) {
    case 1:
        for (size_t i = 0; i < count; i++)
            out[i] = in[i * step];
        break;
    case 2:
        for (size_t i = 0; i < count; i++)
            memcpy(out + 2 * i, in + i * step, 2);
        break;
    case 4:
        for (size_t i = 0; i < count; i++)
            memcpy(out + 4 * i, in + i * step, 4);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            memcpy(out + 8 * i, in + i * step, 8);
    }
}

static void swap_bytes(unsigned char *data, size_t width, size_t count)
{
    for (size_t i = 0; i < count; i++, data += width)
        for (size_t a = 0, b = width - 1; a < b; a++, b--) {
            unsigned char byte = data[a];
            data[a] = data[b];
            data[b] = byte;
        }
}

void ob__torch_view_gather(const ob__torch_view *view, bool swap, unsigned char *out)
{
    size_t width = ob_dtype_bytes(view->dtype), index[OB_TENSOR_MAX_RANK] = {0};
    size_t row = view->rank > 0 ? view->shape[view->rank - 1] : 1;
    size_t step = view->rank > 0 ? view->stride[view->rank - 1] * width : 0;
    size_t place = view->offset; /* of the row's first element */
    for (size_t done = 0; done < view->count; done += row) {
        gather_row(out + done * width, view->data + place * width, step, width, row);
        for (size_t d = view->rank; d-- > 1;) { /* the next row: count up from the last but one dimension */
            place += view->stride[d - 1];
            if (++index[d - 1] < view->shape[d - 1])
                break;
            place -= view->stride[d - 1] * view->shape[d - 1];
            index[d - 1] = 0;
        }
    }
    if (swap)
        swap_bytes(out, width, view->count);
}
