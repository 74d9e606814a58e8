/* A weight file of any bytes and any kind gives tensors inside it or in memory of their own, or a message. Seeds are
 * zip and legacy files of PyTorch. */
#include "container.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    static volatile uint8_t sum;
    const char *kind = NULL;
    ob__tensor_list tensors;
    memset(&tensors, 0, sizeof tensors);
    ob_error_clear(&err);
    if (ob__container_parse(data, size, "pytorch_model.bin", &tensors, &kind, &err) == OB_OK)
        for (size_t i = 0; i < tensors.count; i++) {
            const ob_tensor *t = &tensors.items[i];
            const uint8_t *begin = t->data;
            size_t bytes = t->count * ob_dtype_bytes(t->dtype);
            if (t->mapped && bytes > 0 && (begin < data || bytes > size || begin + bytes > data + size))
                __builtin_trap();
            if (bytes > 0)
                sum = (uint8_t)(begin[0] + begin[bytes - 1]);
        }
    else if (err.text[0] == '\0')
        __builtin_trap();
    (void)sum;
    ob__tensor_list_release(&tensors);
    return 0;
}
