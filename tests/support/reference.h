/* Operators in double precision, as plainly as they can be written, and seeded random data. */
#ifndef OBERTA_TEST_REFERENCE_H
#define OBERTA_TEST_REFERENCE_H

#include <oberta/activation.h>
#include <stddef.h>
#include <stdint.h>

/* Uniform in (-scale, scale); the same on every machine. */
void fill_random(float *out, size_t count, float scale, uint64_t seed);

/* Element (row, column) in row tiles (oberta/rows.h), written down once more. */
size_t reference_row_at(size_t row, size_t column, size_t columns, size_t row_tile);
/* Copies rows x columns into row tiles or back; what lies beyond is left alone. */
void to_row_tiles(float *tiled, const float *plain, size_t rows, size_t columns, size_t row_tile);
void from_row_tiles(float *plain, const float *tiled, size_t rows, size_t columns, size_t row_tile);

double reference_activation(ob_activation activation, double x);

/* One element of a matrix product before its epilogue, and the sum of |a b| that bounds its error. */
double reference_dot(const float *a, const float *b, size_t k, double *magnitude);

/* One row of a layer norm. */
void reference_layer_norm(const float *x, const float *weight, const float *bias, size_t hidden, double eps,
                          double *out);

/* One query of a head over the keys of its sequence: vectors of head_size floats, keys and values `step` floats apart.
 * mask (key_count) or NULL; keys from `seen` on are dropped as well. weights (key_count): after softmax; out
 * (head_size).
 */
void reference_attention(const float *query, const float *keys, const float *values, size_t step, size_t head_size,
                         const int32_t *mask, size_t key_count, size_t seen, double *weights, double *out);

#endif
