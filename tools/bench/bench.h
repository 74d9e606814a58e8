/* What the benchmarks share: a clock, the device's roof, a model of random weights. */
#ifndef OBERTA_TOOLS_BENCH_H
#define OBERTA_TOOLS_BENCH_H

#include <oberta/context.h>
#include <oberta/roberta_config.h>

double bench_now(void); /* seconds */

/* Best rate of fp32 fma in GFLOPS over vector widths; 0 where an answer was wrong. */
double bench_roof(ob_context *ctx, ob_error *err);

/* Writes config.json and model.safetensors with random float32 weights of this shape into an existing folder. */
ob_status bench_write_model(const ob_roberta_config *config, const char *folder, ob_error *err);

#endif
