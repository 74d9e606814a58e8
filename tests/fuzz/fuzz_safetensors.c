/* A weight file of any bytes gives tensors inside it, or a message. */
#include "safetensors.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    ob__tensor_list tensors;
    memset(&tensors, 0, sizeof tensors);
    ob_error_clear(&err);
    if (ob__safetensors_parse(data, size, "model.safetensors", &tensors, &err) == OB_OK)
        for (size_t i = 0; i < tensors.count; i++) {
            const ob_tensor *t = &tensors.items[i];
            const uint8_t *begin = t->data;
            size_t bytes = t->count * ob_dtype_bytes(t->dtype);
            if (bytes > 0 && (begin < data || bytes > size || begin + bytes > data + size))
                __builtin_trap();
        }
    else if (err.text[0] == '\0')
        __builtin_trap();
    ob__tensor_list_release(&tensors);
    return 0;
}
