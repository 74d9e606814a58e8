/* Converts and uploads tensors; pages of the file are given back as soon as they are on the device. */
#include "upload.h"

#define MAX_PARTS 3

ob_status ob__upload_tensor(ob_context *ctx, const ob_tensor *tensor, ob_buffer **out, ob_error *err)
{
    ob_buffer *buffer = NULL;
    void *mapped;
    if (ob_buffer_create(ctx, tensor->count * sizeof(float), tensor->name, &buffer, err) != OB_OK)
        return ob_error_status(err);
    if (ob_buffer_map_write(buffer, &mapped, err) != OB_OK)
        goto fail;
    ob_convert_to_f32(mapped, tensor->data, tensor->dtype, tensor->count);
    if (ob_buffer_unmap(buffer, mapped, err) != OB_OK)
        goto fail;
    ob_checkpoint_forget(tensor);
    *out = buffer;
    return OB_OK;
fail:
    ob_buffer_destroy(buffer);
    return ob_error_status(err);
}

ob_status ob__upload_dense(const ob_gemm *gemm, const ob__weight_bias *parts, size_t count, ob_gemm_weights **out,
                           ob_error *err)
{
    ob_gemm_part rows[MAX_PARTS] = {{0}};
    if (count > MAX_PARTS)
        return ob_error_set(err, OB_ERR_INTERNAL, "%zu layers stacked, at most %d can be", count, MAX_PARTS);
    for (size_t i = 0; i < count; i++)
        rows[i] = (ob_gemm_part){.weight = parts[i].weight->data,
                                 .bias = parts[i].bias->data,
                                 .weight_dtype = parts[i].weight->dtype,
                                 .bias_dtype = parts[i].bias->dtype,
                                 .rows = parts[i].weight->shape[0]};
    if (ob_gemm_weights_create(gemm, rows, count, out, err) != OB_OK) {
        ob_error_prefix(err, "uploading '%s'", parts[0].weight->name);
        return ob_error_status(err);
    }
    for (size_t i = 0; i < count; i++)
        ob_checkpoint_forget(parts[i].weight);
    return OB_OK;
}

ob_status ob__upload_norm(ob_context *ctx, const ob__weight_bias *norm, ob__norm_weights *out, ob_error *err)
{
    ob__norm_weights weights = {NULL, NULL};
    if (ob__upload_tensor(ctx, norm->weight, &weights.weight, err) != OB_OK ||
        ob__upload_tensor(ctx, norm->bias, &weights.bias, err) != OB_OK) {
        ob__norm_weights_release(&weights);
        return ob_error_status(err);
    }
    *out = weights;
    return OB_OK;
}

void ob__norm_weights_release(ob__norm_weights *norm)
{
    ob_buffer_destroy(norm->weight);
    ob_buffer_destroy(norm->bias);
    *norm = (ob__norm_weights){NULL, NULL};
}
