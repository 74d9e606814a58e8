/* What tests of PyTorch's zip files share: files of numbers that count up, parsed one at a time. */
#ifndef OBERTA_TESTS_TORCH_ZIP_CASE_H
#define OBERTA_TESTS_TORCH_ZIP_CASE_H

#include "torch_files.h"
#include "torch_zip.h"

extern ob_error zip_error;
extern unsigned char *zip_bytes; /* of the last parse that succeeded */
extern size_t zip_byte_count;
extern ob__tensor_list zip_tensors;

void zip_release(void);
ob_status zip_parse(const void *data, size_t bytes);
void zip_expect_refusal(const void *data, size_t bytes, const char *reason);

/* An archive of these tensors over a storage of `elements` floats 0, 1, 2, ... */
void build_counted(const torch_tensor *tensors, size_t count, size_t elements, zip_file *out);

#define TORCH_VIEW(name, offset, rank, ...)                            \
    {                                                                  \
        name, "FloatStorage", "0", 24, offset, rank, rank, __VA_ARGS__ \
    }

extern const torch_tensor plain_view; /* (4, 6) of 24 elements */

#endif
