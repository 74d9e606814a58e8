/* How `oberta bench` shows what it measured. */
#ifndef OBERTA_CLI_BENCH_REPORT_H
#define OBERTA_CLI_BENCH_REPORT_H

#include "cli.h"

#include <oberta/bench.h>

typedef struct cli_bench {
    const ob_bench_model *model;
    const ob_bench_report *reports; /* (count), one a device */
    size_t count;
    const char *head;
    bool once;
} cli_bench;

/* One device: an object; several: {"devices":[...]}. */
void cli_bench_print_json(const cli_bench *bench);
/* Tables; several devices end in one that compares them. */
void cli_bench_print_text(const cli_context *ctx, const cli_bench *bench);

#endif
