/* PyTorch's zip files of numbers that count up. */
#include "torch_zip_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

ob_error zip_error;
unsigned char *zip_bytes;
size_t zip_byte_count;
ob__tensor_list zip_tensors;
const torch_tensor plain_view = TORCH_VIEW("a", 0, 2, {4, 6}, {6, 1});

void zip_release(void)
{
    ob__tensor_list_release(&zip_tensors);
    free(zip_bytes);
    zip_bytes = NULL;
}

ob_status zip_parse(const void *data, size_t bytes)
{
    zip_bytes = exact_copy(data, bytes);
    zip_byte_count = bytes;
    ob_error_clear(&zip_error);
    ob_status status = ob__torch_zip_parse(zip_bytes, bytes, "pytorch_model.bin", &zip_tensors, &zip_error);
    assert_int_equal(status, zip_error.status);
    assert_int_equal(status == OB_OK, zip_error.text[0] == '\0');
    if (status != OB_OK)
        zip_release();
    return status;
}

void zip_expect_refusal(const void *data, size_t bytes, const char *reason)
{
    ob_status status = zip_parse(data, bytes);
    if (status != OB_ERR_MODEL || strstr(zip_error.text, reason) == NULL)
        fail_msg("expected '%s', got %s '%s'", reason, ob_status_name(status), zip_error.text);
}

/* The storage 0, 1, 2, ... of `count` floats. */
static float *count_up(size_t count)
{
    float *numbers = malloc((count + 1) * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)i;
    return numbers;
}

void build_counted(const torch_tensor *tensors, size_t count, size_t elements, zip_file *out)
{
    ob_strbuf pickle = OB_STRBUF_INIT;
    float *numbers = count_up(elements);
    pickle_state_dict(&pickle, tensors, count, false);
    build_torch_zip(&pickle, "little", numbers, elements * sizeof *numbers, out);
    ob_strbuf_release(&pickle);
    free(numbers);
}
