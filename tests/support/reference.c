/* See reference.h. */
#include "reference.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

void fill_random(float *out, size_t count, float scale, uint64_t seed)
{
    uint64_t state = seed * 2654435761u + 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = ((float)(state >> 40) * 0x1p-23f - 1.0f) * scale;
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

size_t reference_row_at(size_t row, size_t column, size_t columns, size_t row_tile)
{
    if (row_tile <= 1)
        return row * columns + column;
    size_t tile_elements = row_tile * ((columns + 3) / 4 * 4);
    return row / row_tile * tile_elements + column / 4 * (4 * row_tile) + row % row_tile * 4 + column % 4;
}

void to_row_tiles(float *tiled, const float *plain, size_t rows, size_t columns, size_t row_tile)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            tiled[reference_row_at(r, c, columns, row_tile)] = plain[r * columns + c];
}

void from_row_tiles(float *plain, const float *tiled, size_t rows, size_t columns, size_t row_tile)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            plain[r * columns + c] = tiled[reference_row_at(r, c, columns, row_tile)];
}

double reference_activation(ob_activation activation, double x)
{
    switch (activation) {
    case OB_ACT_GELU:
        return gelu(x);
    case OB_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case OB_ACT_GELU_10:
        return fmin(fmax(gelu(x), -10), 10);
    case OB_ACT_QUICK_GELU:
        return x * sigmoid(1.702 * x);
    case OB_ACT_RELU:
        return fmax(x, 0);
    case OB_ACT_RELU2:
        return fmax(x, 0) * fmax(x, 0);
    case OB_ACT_RELU6:
        return fmin(fmax(x, 0), 6);
    case OB_ACT_LEAKY_RELU:
        return x > 0 ? x : 0.01 * x;
    case OB_ACT_SILU:
        return x * sigmoid(x);
    case OB_ACT_MISH:
        return x * tanh(log1p(exp(x)));
    case OB_ACT_TANH:
        return tanh(x);
    case OB_ACT_SIGMOID:
        return sigmoid(x);
    case OB_ACT_LAPLACE:
        return 0.5 * (1 + erf((x - 0.707107) / (0.282095 * sqrt(2))));
    default:
        return x;
    }
}

double reference_dot(const float *a, const float *b, size_t k, double *magnitude)
{
    double sum = 0, absolute = 0;
    for (size_t i = 0; i < k; i++) {
        sum += (double)a[i] * (double)b[i];
        absolute += fabs((double)a[i] * (double)b[i]);
    }
    *magnitude = absolute;
    return sum;
}

void reference_layer_norm(const float *x, const float *weight, const float *bias, size_t hidden, double eps,
                          double *out)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < hidden; i++)
        mean += (double)x[i] / (double)hidden;
    for (size_t i = 0; i < hidden; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)hidden;
    for (size_t i = 0; i < hidden; i++)
        out[i] = ((double)x[i] - mean) / sqrt(variance + eps) * (double)weight[i] + (double)bias[i];
}

void reference_attention(const float *query, const float *keys, const float *values, size_t step, size_t head_size,
                         const int32_t *mask, size_t key_count, size_t seen, double *weights, double *out)
{
    double maximum = -INFINITY, sum = 0;
    for (size_t j = 0; j < key_count; j++) {
        double magnitude;
        bool kept = j < seen && (mask == NULL || mask[j] != 0);
        /* as in float32, where adding -FLT_MAX leaves nothing of the score */
        weights[j] = kept ? reference_dot(query, keys + j * step, head_size, &magnitude) / sqrt((double)head_size)
                          : -(double)FLT_MAX;
        maximum = fmax(maximum, weights[j]);
    }
    for (size_t j = 0; j < key_count; j++) {
        weights[j] = exp(weights[j] - maximum);
        sum += weights[j];
    }
    for (size_t c = 0; c < head_size; c++)
        out[c] = 0;
    for (size_t j = 0; j < key_count; j++) {
        weights[j] /= sum;
        for (size_t c = 0; c < head_size; c++)
            out[c] += weights[j] * (double)values[j * step + c];
    }
}
