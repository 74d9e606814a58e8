/* Element types of tensors in files and on devices. */
#ifndef OBERTA_DTYPE_H
#define OBERTA_DTYPE_H

#include <oberta/api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(code, safetensors name, name in job files or NULL, bytes) */
#define OB_DTYPE_MAP(X)                     \
    X(OB_DTYPE_F32, "F32", "float32", 4)    \
    X(OB_DTYPE_F16, "F16", "float16", 2)    \
    X(OB_DTYPE_BF16, "BF16", "bfloat16", 2) \
    X(OB_DTYPE_F64, "F64", NULL, 8)         \
    X(OB_DTYPE_I64, "I64", NULL, 8)         \
    X(OB_DTYPE_I32, "I32", NULL, 4)         \
    X(OB_DTYPE_I16, "I16", NULL, 2)         \
    X(OB_DTYPE_I8, "I8", NULL, 1)           \
    X(OB_DTYPE_U64, "U64", NULL, 8)         \
    X(OB_DTYPE_U32, "U32", NULL, 4)         \
    X(OB_DTYPE_U16, "U16", NULL, 2)         \
    X(OB_DTYPE_U8, "U8", NULL, 1)           \
    X(OB_DTYPE_BOOL, "BOOL", NULL, 1)

typedef enum ob_dtype {
#define OB_DTYPE_ENUM(code, file_name, job_name, bytes) code,
    OB_DTYPE_MAP(OB_DTYPE_ENUM)
#undef OB_DTYPE_ENUM
        OB_DTYPE_COUNT
} ob_dtype;

OB_API size_t ob_dtype_bytes(ob_dtype dtype);
OB_API const char *ob_dtype_name(ob_dtype dtype); /* as safetensors writes it, "BF16" */

/* Writes "(2, 3)" to `out`, cut to `bytes` with its NUL. */
OB_API void ob_shape_format(char *out, size_t bytes, size_t rank, const size_t *shape);

/* True for the types that ob_convert_to_f32 takes: F32 F16 BF16 F64. */
OB_API bool ob_dtype_is_float(ob_dtype dtype);

/* dst[i] = float(src[i]). Exact for F32, F16 and BF16, subnormals, infinities and NaN included; F64 is rounded to
 * nearest even. `src` needs no alignment. */
OB_API void ob_convert_to_f32(float *dst, const void *src, ob_dtype dtype, size_t count);

/* dst[i] = the bits of float16(src[i]), rounded to nearest even; above 65,519 is infinity, NaN stays NaN. */
OB_API void ob_convert_to_f16(uint16_t *dst, const float *src, size_t count);

#ifdef __cplusplus
}
#endif
#endif
