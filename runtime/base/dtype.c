/* Element types and their conversions. */
#include <oberta/dtype.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
#define DTYPE_ENTRY(code, file_name, job_name, bytes) {file_name, bytes},
    OB_DTYPE_MAP(DTYPE_ENTRY)
#undef DTYPE_ENTRY
};

size_t ob_dtype_bytes(ob_dtype dtype)
{
    return dtypes[dtype].bytes;
}

const char *ob_dtype_name(ob_dtype dtype)
{
    return dtypes[dtype].name;
}

bool ob_dtype_is_float(ob_dtype dtype)
{
    return dtype == OB_DTYPE_F32 || dtype == OB_DTYPE_F16 || dtype == OB_DTYPE_BF16 || dtype == OB_DTYPE_F64;
}

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Half to float without branches on most values: shifting puts exponent and fraction in place, and a multiplication by
 * 2^112 rebiases the exponent; it also normalises subnormals, exactly. Infinities and NaN keep a full exponent. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = (uint32_t)(half & 0x7FFFu) << 13;
    if (magnitude >= 0x0F800000u)
        return float_from_bits(sign | 0x70000000u | magnitude);
    float scaled = float_from_bits(magnitude) * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &scaled, sizeof bits);
    return float_from_bits(sign | bits);
}

void ob_convert_to_f32(float *dst, const void *src, ob_dtype dtype, size_t count)
{
    const unsigned char *bytes = src;
    if (dtype == OB_DTYPE_F32) {
        memcpy(dst, src, count * sizeof *dst);
    } else if (dtype == OB_DTYPE_F16) {
        for (size_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, bytes + 2 * i, sizeof half);
            dst[i] = half_to_float(half);
        }
    } else if (dtype == OB_DTYPE_BF16) {
        for (size_t i = 0; i < count; i++) {
            uint16_t high;
            memcpy(&high, bytes + 2 * i, sizeof high);
            dst[i] = float_from_bits((uint32_t)high << 16);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            double value;
            memcpy(&value, bytes + 8 * i, sizeof value);
            dst[i] = (float)value;
        }
    }
}

static uint32_t bits_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The last place of a subnormal half is 2^-24, which is that of the float 0.5: adding that lets the addition round. For
 * the others, half of the last place that is kept is added in the integers, less one where the tie goes down to even.
 */
static uint16_t half_from_float(float value)
{
    uint32_t bits = bits_from_float(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (magnitude < 0x38800000u) /* 2^-14 */
        return (uint16_t)(sign | (bits_from_float(float_from_bits(magnitude) + 0.5f) - 0x3F000000u));
    if (magnitude >= 0x477FF000u) /* 65,520 */
        return (uint16_t)(sign | 0x7C00u);
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
}

void ob_convert_to_f16(uint16_t *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = half_from_float(src[i]);
}

void ob_shape_format(char *out, size_t bytes, size_t rank, const size_t *shape)
{
    size_t at = (size_t)snprintf(out, bytes, "(");
    for (size_t i = 0; i < rank && at < bytes; i++)
        at += (size_t)snprintf(out + at, bytes - at, i == 0 ? "%zu" : ", %zu", shape[i]);
    if (at < bytes)
        snprintf(out + at, bytes - at, ")");
}
