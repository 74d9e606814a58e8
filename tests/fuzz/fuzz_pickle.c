/* A pickle of any bytes gives values, and tensors inside their storages or in memory of their own, or a message. */
#include "state_dict.h"

#include <string.h>

#define STORAGE_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensor(const ob_tensor *t, const uint8_t *storage)
{
    static volatile uint8_t sum;
    const uint8_t *begin = t->data;
    size_t bytes = t->count * ob_dtype_bytes(t->dtype);
    if (t->mapped && bytes > 0 && (begin < storage || bytes > STORAGE_BYTES || begin + bytes > storage + STORAGE_BYTES))
        __builtin_trap();
    if (bytes > 0)
        sum = (uint8_t)(begin[0] + begin[bytes - 1]);
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    static const uint8_t storage[STORAGE_BYTES];
    const ob__state_dict_file file = {.name = "pytorch_model.bin", .bytes = size, .big_endian = size % 2 == 1};
    ob__pickle pickle;
    ob__tensor_list tensors;
    memset(&tensors, 0, sizeof tensors);
    ob_error_clear(&err);
    if (ob__pickle_read(data, size, &pickle, &err) != OB_OK) {
        if (err.text[0] == '\0')
            __builtin_trap();
        return 0;
    }
    bool found = pickle.bytes <= size;
    if (!found)
        __builtin_trap();
    for (size_t i = 0; i < pickle.storage_count; i++) {
        found &= pickle.storages[i]->count <= STORAGE_BYTES / ob_dtype_bytes(pickle.storages[i]->dtype);
        pickle.storages[i]->data = storage;
    }
    if (found && ob__state_dict_collect(&pickle, &file, &tensors, &err) == OB_OK)
        for (size_t i = 0; i < tensors.count; i++)
            check_tensor(&tensors.items[i], storage);
    else if (found && err.text[0] == '\0')
        __builtin_trap();
    ob__tensor_list_release(&tensors);
    ob__pickle_release(&pickle);
    return 0;
}
