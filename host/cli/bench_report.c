/* Tables and JSON of `oberta bench`. */
#include "bench_report.h"

#include <string.h>

static void append_model(const cli_bench *b, const ob_bench_report *r, ob_strbuf *out)
{
    const ob_roberta_config *c = &b->model->config;
    ob_strbuf_puts(out, "{\"name\":");
    ob_json_append_string(out, b->model->name, strlen(b->model->name));
    ob_strbuf_printf(out,
                     ",\"random_weights\":%s,\"dtype\":\"float32\",\"num_hidden_layers\":%zu,\"hidden_size\":%zu,"
                     "\"num_attention_heads\":%zu,\"intermediate_size\":%zu,\"vocab_size\":%zu,\"parameters\":%llu,"
                     "\"weight_bytes\":%llu,\"activation_bytes\":%llu}",
                     b->model->random_weights ? "true" : "false", c->num_hidden_layers, c->hidden_size,
                     c->num_attention_heads, c->intermediate_size, c->vocab_size, (unsigned long long)r->parameters,
                     (unsigned long long)r->weight_bytes, (unsigned long long)r->activation_bytes);
}

static void append_kernels(const ob_bench_result *r, ob_strbuf *out)
{
    ob_strbuf_puts(out, ",\"kernels\":[");
    for (size_t i = 0; i < r->kernel_count; i++) {
        const ob_bench_kernel *k = &r->kernels[i];
        ob_strbuf_puts(out, i > 0 ? ",{\"kernel\":" : "{\"kernel\":");
        ob_json_append_string(out, k->name, strlen(k->name));
        ob_strbuf_printf(out, ",\"launches\":%.0f,\"ms\":%.4f,\"share\":%.4f,\"gflops\":%.3f,\"gbytes_per_s\":%.3f}",
                         k->launches, k->ms, k->share, k->gflops, k->gbytes_per_s);
    }
    ob_strbuf_putc(out, ']');
}

static void append_result(const cli_bench *b, const ob_bench_report *report, const ob_bench_result *r, ob_strbuf *out)
{
    char roof[64] = "\"roof_gflops\":null,\"of_roof\":null";
    if (!b->once)
        snprintf(roof, sizeof roof, "\"roof_gflops\":%.3f,\"of_roof\":%.4f", r->roof_gflops, r->of_roof);
    ob_strbuf_puts(out, "{\"workload\":");
    ob_json_append_string(out, r->workload->name, strlen(r->workload->name));
    ob_strbuf_printf(out,
                     ",\"head\":\"%s\",\"tokens\":%zu,\"sequences\":%zu,\"batches\":%zu,\"runs\":%zu,"
                     "\"tokens_per_s\":%.3f,\"best_tokens_per_s\":%.3f,\"sequences_per_s\":%.4f,"
                     "\"latency_ms\":{\"p50\":%.4f,\"p95\":%.4f,\"p99\":%.4f},\"gflops\":%.3f,%s,",
                     b->head, r->workload->token_count, r->workload->row_count, r->batch_count, r->run_count,
                     r->tokens_per_s, r->best_tokens_per_s, r->sequences_per_s, r->p50_ms, r->p95_ms, r->p99_ms,
                     r->gflops, roof);
    ob_strbuf_printf(out,
                     "\"first_run_ms\":%.4f,\"load_ms\":%.3f,\"build_ms\":%.3f,\"total_ms\":%.3f,"
                     "\"peak_host_bytes\":%llu,\"device_bytes\":%llu,\"verified\":%s",
                     r->first_run_ms, report->load_ms, report->build_ms, r->total_ms,
                     (unsigned long long)r->peak_host_bytes, (unsigned long long)report->device_bytes,
                     b->once       ? "null"
                     : r->verified ? "true"
                                   : "false");
    if (r->kernels != NULL)
        append_kernels(r, out);
    ob_strbuf_putc(out, '}');
}

static void append_operators(const ob_bench_report *r, ob_strbuf *out)
{
    ob_strbuf_printf(out, ",\n \"operators_roof\":{\"gflops\":%.3f},\n \"operators\":[", r->operators_roof_gflops);
    for (size_t i = 0; i < r->operator_count; i++) {
        const ob_bench_operator *op = &r->operators[i];
        ob_strbuf_puts(out, i > 0 ? ",\n  {\"operator\":" : "\n  {\"operator\":");
        ob_json_append_string(out, op->name, strlen(op->name));
        ob_strbuf_printf(out, ",\"us\":%.3f,\"gflops\":%.3f,\"of_roof\":%.4f,\"gbytes_per_s\":%.3f}", op->us,
                         op->gflops, op->of_roof, op->gbytes_per_s);
    }
    ob_strbuf_putc(out, ']');
}

static void append_report(const cli_bench *b, const ob_bench_report *r, ob_strbuf *out)
{
    ob_strbuf_puts(out, "{\"device\":");
    cli_append_device_json(out, r->device);
    ob_strbuf_puts(out, ",\n \"model\":");
    append_model(b, r, out);
    if (b->once)
        ob_strbuf_puts(out, ",\n \"roof\":null");
    else
        ob_strbuf_printf(out, ",\n \"roof\":{\"gflops\":%.3f,\"gbytes_per_s\":%.3f,\"verified\":%s}", r->roof_gflops,
                         r->roof_gbytes_per_s, r->roof_right ? "true" : "false");
    ob_strbuf_printf(out, ",\n \"max_tokens\":%zu,\n \"results\":[", r->max_tokens);
    for (size_t i = 0; i < r->result_count; i++) {
        ob_strbuf_puts(out, i > 0 ? ",\n  " : "\n  ");
        append_result(b, r, &r->results[i], out);
    }
    ob_strbuf_putc(out, ']');
    if (r->operators != NULL)
        append_operators(r, out);
    ob_strbuf_putc(out, '}');
}

void cli_bench_print_json(const cli_bench *bench)
{
    ob_strbuf out = OB_STRBUF_INIT;
    if (bench->count > 1)
        ob_strbuf_puts(&out, "{\"devices\":[\n");
    for (size_t i = 0; i < bench->count; i++) {
        if (i > 0)
            ob_strbuf_puts(&out, ",\n");
        append_report(bench, &bench->reports[i], &out);
    }
    ob_strbuf_puts(&out, bench->count > 1 ? "]}\n" : "\n");
    fputs(ob_strbuf_text(&out), stdout);
    ob_strbuf_release(&out);
}

static void print_heading(const cli_context *ctx, const char *text)
{
    bool bold = ctx->out_is_terminal && ctx->colour;
    printf("%s%s%s\n", bold ? "\033[1m" : "", text, bold ? "\033[0m" : "");
}

static void print_device(const cli_bench *b, const ob_bench_report *r)
{
    const ob_roberta_config *c = &b->model->config;
    const ob_device_info *d = r->device;
    char weights[16], device[16], peak[16], parameters[16];
    cli_format_bytes(weights, r->weight_bytes);
    cli_format_bytes(device, r->device_bytes);
    cli_format_bytes(peak, r->result_count > 0 ? r->results[r->result_count - 1].peak_host_bytes : 0);
    printf("device   %d  ", d->index);
    cli_print_text(stdout, d->platform, strlen(d->platform));
    printf(", ");
    cli_print_text(stdout, d->name, strlen(d->name));
    printf(" (%s)\n", ob_device_type_name(d->type));
    cli_format_scaled(parameters, r->parameters);
    if (!b->once)
        printf("roof     %.1f GFLOPS of fp32 fma, %.1f GB/s read from memory; %s\n", r->roof_gflops,
               r->roof_gbytes_per_s, r->roof_right ? "answers right" : "ANSWERS WRONG");
    printf("model    ");
    cli_print_text(stdout, b->model->name, strlen(b->model->name));
    printf("%s, %zu layers x %zu, %s parameters, float32, head %s\n",
           b->model->random_weights ? ", random weights" : "", c->num_hidden_layers, c->hidden_size, parameters,
           b->head);
    printf("load     %.0f ms, kernels %.0f ms\n", r->load_ms, r->build_ms);
    printf("memory   %s at most in this process, %s of device buffers (%s of weights); batches of up to %zu tokens\n\n",
           peak, device, weights, r->max_tokens);
}

static void print_results(const cli_context *ctx, const ob_bench_report *r)
{
    print_heading(
        ctx, "workload       tokens/s      best        p50 ms    p95 ms    p99 ms  GFLOPS    roof  of roof  first run "
             "ms  runs");
    for (size_t i = 0; i < r->result_count; i++) {
        const ob_bench_result *x = &r->results[i];
        printf("%-12s %10.1f %10.1f  %10.2f %9.2f %9.2f  %6.1f  ", x->workload->name, x->tokens_per_s,
               x->best_tokens_per_s, x->p50_ms, x->p95_ms, x->p99_ms, x->gflops);
        printf("%6.1f  %5.1f %%  %12.2f  %4zu%s\n", x->roof_gflops, 100 * x->of_roof, x->first_run_ms, x->run_count,
               x->verified ? "" : "  NOT VERIFIED: not every run gave the same");
    }
}

static void print_once(const cli_context *ctx, const ob_bench_report *r)
{
    print_heading(ctx, "workload     first run ms   load ms  build ms  total ms");
    for (size_t i = 0; i < r->result_count; i++)
        printf("%-12s %12.2f %9.1f %9.1f %9.1f\n", r->results[i].workload->name, r->results[i].first_run_ms, r->load_ms,
               r->build_ms, r->results[i].total_ms);
}

/* A rate, or a dash where it is not counted. */
static void print_rate(double rate)
{
    if (rate > 0)
        printf("  %9.1f", rate);
    else
        printf("  %9s", "-");
}

static void print_kernels(const cli_context *ctx, const ob_bench_result *r)
{
    char heading[128];
    snprintf(heading, sizeof heading, "\n%-28s  launches          ms   share     GFLOPS       GB/s", r->workload->name);
    print_heading(ctx, heading);
    for (size_t i = 0; i < r->kernel_count; i++) {
        const ob_bench_kernel *k = &r->kernels[i];
        printf("%-28s  %8.0f  %10.3f  %4.1f %%", k->name, k->launches, k->ms, 100 * k->share);
        print_rate(k->gflops);
        print_rate(k->gbytes_per_s);
        putchar('\n');
    }
}

static void print_operators(const cli_context *ctx, const ob_bench_report *r)
{
    print_heading(ctx, "\noperator alone                           us     GFLOPS       GB/s  of roof");
    for (size_t i = 0; i < r->operator_count; i++) {
        const ob_bench_operator *op = &r->operators[i];
        printf("%-32s %10.1f", op->name, op->us);
        print_rate(op->gflops);
        print_rate(op->gbytes_per_s);
        if (op->gflops > 0)
            printf("  %5.1f %%", 100 * op->of_roof);
        putchar('\n');
    }
    printf("roof of the operators: %.1f GFLOPS\n", r->operators_roof_gflops);
}

/* A column a device, each with the share of the first. */
static void print_comparison(const cli_context *ctx, const cli_bench *b)
{
    print_heading(ctx, b->once ? "first run in ms, by device" : "tokens/s, by device (against the first)");
    printf("%-12s", "workload");
    for (size_t d = 0; d < b->count; d++)
        printf("  %10d %8s", b->reports[d].device->index, "");
    putchar('\n');
    for (size_t i = 0; i < b->reports[0].result_count; i++) {
        const ob_bench_result *first = &b->reports[0].results[i];
        double base = b->once ? first->first_run_ms : first->tokens_per_s;
        printf("%-12s", first->workload->name);
        for (size_t d = 0; d < b->count; d++) {
            const ob_bench_result *r = &b->reports[d].results[i];
            double value = b->once ? r->first_run_ms : r->tokens_per_s;
            printf("  %10.1f %6.2f x", value, base > 0 ? value / base : 0);
        }
        putchar('\n');
    }
}

void cli_bench_print_text(const cli_context *ctx, const cli_bench *bench)
{
    for (size_t d = 0; d < bench->count; d++) {
        const ob_bench_report *r = &bench->reports[d];
        print_device(bench, r);
        if (bench->once)
            print_once(ctx, r);
        else
            print_results(ctx, r);
        for (size_t i = 0; i < r->result_count; i++)
            if (r->results[i].kernels != NULL)
                print_kernels(ctx, &r->results[i]);
        if (r->operators != NULL)
            print_operators(ctx, r);
        if (bench->count > 1)
            putchar('\n');
    }
    if (bench->count > 1)
        print_comparison(ctx, bench);
}
