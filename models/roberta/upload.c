/* Converts and uploads tensors; pages of the file are given back as soon as they are on the device. */
#include "upload.h"

#include <oberta/memory.h>
#include <string.h>

#define MAX_PARTS 3
#define RUN       ((size_t)1 << 16) /* elements that a thread converts at a time */

typedef struct conversion {
    const ob_tensor *tensor;
    float *to;
} conversion;

static void convert_run(void *user, size_t thread, size_t index)
{
    (void)thread;
    const conversion *c = user;
    size_t begin = index * RUN, left = c->tensor->count - begin;
    ob_convert_to_f32(c->to + begin, (const char *)c->tensor->data + begin * ob_dtype_bytes(c->tensor->dtype),
                      c->tensor->dtype, left < RUN ? left : RUN);
}

/* The word embeddings are a third of a model, so threads share them; a small tensor is not worth waking one. */
static void convert(ob_context *ctx, const ob_tensor *tensor, float *to)
{
    conversion c = {tensor, to};
    size_t runs = (tensor->count + RUN - 1) / RUN;
    ob_parallel_for(runs > 1 ? ob_context_parallel(ctx) : NULL, runs, convert_run, &c);
}

ob_status ob__upload_tensor(ob_context *ctx, const ob_tensor *tensor, ob_buffer **out, ob_error *err)
{
    ob_buffer *buffer = NULL;
    void *mapped;
    if (ob_buffer_create(ctx, tensor->count * sizeof(float), tensor->name, &buffer, err) != OB_OK)
        return ob_error_status(err);
    if (ob_buffer_map_write(buffer, &mapped, err) != OB_OK)
        goto fail;
    convert(ctx, tensor, mapped);
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

/* Rows of heads that lie side by side in the file are one part. Returns the count of parts. */
static size_t list_parts(const ob__weight_bias *dense, const ob__heads *heads, size_t head_size, ob_gemm_part *out)
{
    const ob_tensor *weight = dense->weight, *bias = dense->bias;
    size_t row_bytes = weight->shape[1] * ob_dtype_bytes(weight->dtype), count = 0;
    for (size_t i = 0; i < heads->count; i++) {
        size_t row = heads->positions[i] * head_size;
        if (i > 0 && heads->positions[i] == heads->positions[i - 1] + 1) {
            out[count - 1].rows += head_size;
            continue;
        }
        out[count++] = (ob_gemm_part){.weight = (const char *)weight->data + row * row_bytes,
                                      .bias = (const char *)bias->data + row * ob_dtype_bytes(bias->dtype),
                                      .weight_dtype = weight->dtype,
                                      .bias_dtype = bias->dtype,
                                      .rows = head_size};
    }
    return count;
}

ob_status ob__upload_qkv(const ob_gemm *gemm, const ob__attention_tensors *tensors, const ob__heads *heads,
                         size_t head_size, ob_gemm_weights **out, ob_error *err)
{
    const ob__weight_bias *dense[3] = {&tensors->query, &tensors->key, &tensors->value};
    ob_gemm_part *parts = ob_realloc_array(NULL, 3 * heads->count, sizeof *parts);
    if (parts == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the parts of %zu heads", heads->count);
    size_t count = 0;
    for (size_t i = 0; i < 3; i++)
        count += list_parts(dense[i], heads, head_size, parts + count);
    ob_status status = ob_gemm_weights_create(gemm, parts, count, out, err);
    ob_free(parts);
    if (status != OB_OK) {
        ob_error_prefix(err, "uploading '%s'", tensors->query.weight->name);
        return status;
    }
    for (size_t i = 0; i < 3; i++)
        ob_checkpoint_forget(dense[i]->weight);
    return OB_OK;
}

ob_status ob__upload_attention_output(const ob_gemm *gemm, const ob__weight_bias *dense, const ob__heads *heads,
                                      size_t head_size, ob_gemm_weights **out, ob_error *err)
{
    if (heads->count == heads->in_file)
        return ob__upload_dense(gemm, dense, 1, out, err);
    const ob_tensor *weight = dense->weight;
    size_t head_bytes = head_size * ob_dtype_bytes(weight->dtype), rows = weight->shape[0];
    char *kept = ob_realloc_array(NULL, rows * heads->count, head_bytes); /* less than the tensor, so no wrap */
    if (kept == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the columns of %zu heads", heads->count);
    char *to = kept;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < heads->count; i++, to += head_bytes)
            memcpy(to, (const char *)weight->data + (row * heads->in_file + heads->positions[i]) * head_bytes,
                   head_bytes);
    const ob_gemm_part part = {kept, dense->bias->data, weight->dtype, dense->bias->dtype, rows};
    ob_status status = ob_gemm_weights_create(gemm, &part, 1, out, err);
    ob_free(kept);
    if (status != OB_OK)
        ob_error_prefix(err, "uploading '%s'", weight->name);
    else
        ob_checkpoint_forget(weight);
    return status;
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
