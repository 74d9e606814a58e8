/* What the device can do at most, measured: the rate of fp32 fma (of multiplies and adds, where fma() is
 * emulated), and of reading memory that no cache holds.
 *
 * Both kernels have answers that are known, so a compiler which removes the work is found out. Everything else is shown
 * as a share of these. */
#ifndef OBERTA_OP_ROOF_H
#define OBERTA_OP_ROOF_H

#include <oberta/context.h>

typedef struct ob_roof {
    double gflops;       /* 10^9 a second, an fma is 2; best over vector widths */
    double gbytes_per_s; /* 10^9 a second */
    size_t vector_width; /* the width that was best */
    size_t bytes_read;   /* size of the buffer that was read */
    bool answers_right;  /* of every measurement so far */
} ob_roof;

/* Takes about a second. Wrong answers are no error: answers_right tells. Errors: OB_ERR_DEVICE, OB_ERR_BUILD,
 * OB_ERR_OUT_OF_MEMORY. */
ob_status ob_roof_measure(ob_context *ctx, ob_roof *out, ob_error *err);

/* Measures the fma again at the width that was best, about 0.1 s, and keeps the greater rate: machines are noisy, and a
 * roof below what stands under it is none. Errors as above. */
ob_status ob_roof_measure_again(ob_context *ctx, ob_roof *roof, ob_error *err);

/* The same, a launch of some 15 ms at a time, to be run between other work: where others use the machine, its speed is
 * another every few seconds, and only what was measured in turns can be compared. */
typedef struct ob_roof_probe ob_roof_probe;

/* For the width of `roof`. Errors as above; the probe must not outlive ctx. */
ob_status ob_roof_probe_create(ob_context *ctx, const ob_roof *roof, ob_roof_probe **out, ob_error *err);
void ob_roof_probe_destroy(ob_roof_probe *probe); /* NULL does nothing */

/* *gflops: the rate of this launch; `roof` keeps the greatest, and whether all answers were right. */
ob_status ob_roof_probe_run(ob_roof_probe *probe, ob_roof *roof, double *gflops, ob_error *err);

#endif
