/* oberta_bench_encoder [--folder DIR] [--gemm PROVIDER] [WORKLOAD...]: the encoder as a share of the device's measured
 * roof.
 *
 * Random weights of roberta-base's shape unless DIR holds a model. A workload is ROWSxTOKENS. In one run it measures
 * the roof (fp32 fma), the load against reading and copying the file, the forward passes, and peak memory. Flops are
 * those of the matrix products and of attention: per layer and token 2 (4 h^2 + 2 h i) + 4 L h. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "bench.h"

#include <fcntl.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/profile.h>
#include <oberta/roberta.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const ob_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return ob_status_exit_code(ob_error_status(err));
}

/* What loading could cost at least: the file through read() into memory, and a copy of it. */
static double read_and_copy_seconds(const char *folder)
{
    char *path = ob_path_join(folder, "model.safetensors");
    int fd = open(path, O_RDONLY);
    ob_free(path);
    if (fd < 0)
        return 0;
    double begin = bench_now();
    size_t bytes = (size_t)lseek(fd, 0, SEEK_END), at = 0;
    char *file = malloc(bytes), *copy = malloc(bytes);
    lseek(fd, 0, SEEK_SET);
    for (ssize_t got; file != NULL && at < bytes && (got = read(fd, file + at, bytes - at)) > 0;)
        at += (size_t)got;
    if (copy != NULL && file != NULL)
        memcpy(copy, file, bytes);
    volatile char keep = copy != NULL ? copy[bytes / 2] : 0;
    (void)keep;
    double seconds = bench_now() - begin;
    free(file);
    free(copy);
    close(fd);
    return seconds;
}

static double flops(const ob_roberta_config *c, double rows, double length)
{
    double h = (double)c->hidden_size, i = (double)c->intermediate_size;
    return rows * length * (double)c->num_hidden_layers * (2 * (4 * h * h + 2 * h * i) + 4 * length * h);
}

static ob_status run_workload(ob_roberta *model, const ob_roberta_config *c, size_t rows, size_t length, double roof,
                              ob_error *err)
{
    size_t tokens = rows * length;
    int32_t *arrays = ob_calloc(3 * tokens + rows + 1, sizeof *arrays);
    if (arrays == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tokens", tokens);
    ob_batch b = {.want = OB_WANT_CLS,
                  .sequence_count = rows,
                  .token_count = tokens,
                  .input_ids = arrays,
                  .position_ids = arrays + tokens,
                  .token_type_ids = arrays + 2 * tokens,
                  .cu_seqlens = arrays + 3 * tokens};
    for (size_t r = 0; r < rows; r++) {
        b.cu_seqlens[r + 1] = (int32_t)((r + 1) * length);
        for (size_t t = 0; t < length; t++)
            b.input_ids[r * length + t] = (int32_t)((r * 7919 + t * 104729) % (c->vocab_size - 4) + 4);
        ob_position_ids(b.input_ids + r * length, length, c->pad_token_id, b.position_ids + r * length);
    }
    ob_result result = {0};
    double first = bench_now(), best = 1e30;
    ob_status status = ob_roberta_run(model, &b, &result, err);
    first = bench_now() - first;
    double until = bench_now() + 6;
    int runs = 0;
    for (; status == OB_OK && (runs < 3 || bench_now() < until) && runs < 200; runs++) {
        double begin = bench_now();
        status = ob_roberta_run(model, &b, &result, err);
        double seconds = bench_now() - begin;
        best = seconds < best ? seconds : best;
    }
    double gflops = flops(c, (double)rows, (double)length) / best * 1e-9;
    if (status == OB_OK)
        printf(
            "%3zux%-4zu  %9.2f ms best of %d   first %9.2f ms   %8.0f tokens/s   %7.1f GFLOPS   %5.1f %% of the roof\n",
            rows, length, best * 1e3, runs, first * 1e3, (double)tokens / best, gflops, 100 * gflops / roof);
    ob_result_release(&result);
    ob_free(arrays);
    return status;
}

typedef struct arguments {
    const char *folder, *gemm;
    size_t rows[16], lengths[16], count, max_tokens;
    bool profile;
} arguments;

static bool parse(int argc, char **argv, arguments *a)
{
    *a = (arguments){.gemm = "auto", .max_tokens = 512};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc)
            a->folder = argv[++i];
        else if (strcmp(argv[i], "--gemm") == 0 && i + 1 < argc)
            a->gemm = argv[++i];
        else if (strcmp(argv[i], "--profile") == 0)
            a->profile = true;
        else if (a->count < 16 && sscanf(argv[i], "%zux%zu", &a->rows[a->count], &a->lengths[a->count]) == 2)
            a->count++;
        else
            return false;
    }
    if (a->count == 0) {
        a->rows[0] = 32;
        a->lengths[0] = 128;
        a->count = 1;
    }
    for (size_t i = 0; i < a->count; i++)
        if (a->rows[i] * a->lengths[i] > a->max_tokens)
            a->max_tokens = a->rows[i] * a->lengths[i];
    return true;
}

static int bench(const arguments *a, ob_context *ctx, const char *folder)
{
    static ob_error err;
    ob_error_clear(&err);
    double roof = bench_roof(ctx, &err);
    if (roof <= 0)
        return fail(&err);
    printf("device  %s, %s: measured roof %.1f GFLOPS of fp32 fma, answers checked\n", ob_context_device(ctx)->platform,
           ob_context_device(ctx)->name, roof);
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_roberta *model;
    ob_roberta_options options;
    ob_roberta_options_default(&options);
    options.max_tokens = a->max_tokens;
    options.gemm = a->gemm;
    double copy = read_and_copy_seconds(folder);
    copy = read_and_copy_seconds(folder); /* the file is in the page cache now */
    ob_context_stats before, after;
    ob_context_get_stats(ctx, &before);
    double begin = bench_now();
    if (ob_roberta_config_load(folder, &config, &err) != OB_OK ||
        ob_checkpoint_open(folder, &checkpoint, &err) != OB_OK ||
        ob_roberta_create(ctx, &config, checkpoint, &options, &model, &err) != OB_OK ||
        ob_context_finish(ctx, &err) != OB_OK)
        return fail(&err);
    double load = bench_now() - begin;
    ob_context_get_stats(ctx, &after);
    load -= after.build_seconds - before.build_seconds;
    double megabytes = (double)ob_roberta_weight_bytes(model) * 1e-6;
    printf("load    %.0f MB in %.3f s; reading and copying the file %.3f s: ratio %.2f   (kernels %.3f s)\n", megabytes,
           load, copy, load / copy, after.build_seconds - before.build_seconds);
    ob_checkpoint_close(checkpoint);
    for (size_t i = 0; i < a->count; i++)
        if (run_workload(model, &config, a->rows[i], a->lengths[i], roof, &err) != OB_OK)
            return fail(&err);
    ob_profile_entry *entries;
    size_t count;
    if (a->profile && ob_profile_collect(ctx, &entries, &count, &err) == OB_OK) {
        for (size_t i = 0; i < count; i++)
            printf("  %-28s %8llu launches %10.1f ms\n", entries[i].kernel, (unsigned long long)entries[i].launches,
                   (double)entries[i].total_ns * 1e-6);
        ob_free(entries);
    }
    printf("memory  peak %.0f MB of the process, %.0f MB of device buffers\n", (double)ob_memory_peak_bytes() * 1e-6,
           (double)after.buffer_peak_bytes * 1e-6);
    ob_roberta_destroy(model);
    return 0;
}

int main(int argc, char **argv)
{
    static ob_error err;
    ob_error_clear(&err);
    arguments a;
    if (!parse(argc, argv, &a)) {
        fprintf(stderr, "usage: oberta_bench_encoder [--folder DIR] [--gemm PROVIDER] [--profile] [ROWSxTOKENS...]\n");
        return 2;
    }
    const ob_roberta_config base = {.vocab_size = 50265,
                                    .hidden_size = 768,
                                    .num_hidden_layers = 12,
                                    .num_attention_heads = 12,
                                    .intermediate_size = 3072,
                                    .max_position_embeddings = 514,
                                    .type_vocab_size = 1,
                                    .pad_token_id = 1};
    char temporary[] = "/tmp/oberta-bench-XXXXXX";
    if (a.folder == NULL && (mkdtemp(temporary) == NULL || bench_write_model(&base, temporary, &err) != OB_OK))
        return fail(&err);
    ob_device_list *devices;
    ob_device_selector selector;
    ob_device *device;
    ob_context *ctx;
    ob_context_options options;
    ob_context_options_default(&options);
    options.profile = a.profile;
    ob_device_selector_default(&selector);
    if (ob_device_list_create(&devices, &err) != OB_OK ||
        ob_device_select(devices, &selector, &device, NULL, &err) != OB_OK ||
        ob_context_create(device, &options, &ctx, &err) != OB_OK)
        return fail(&err);
    int status = bench(&a, ctx, a.folder != NULL ? a.folder : temporary);
    ob_context_destroy(ctx);
    ob_device_list_destroy(devices);
    if (a.folder == NULL) {
        static const char *const files[] = {"config.json", "model.safetensors"};
        for (size_t i = 0; i < 2; i++) {
            char *path = ob_path_join(temporary, files[i]);
            unlink(path);
            ob_free(path);
        }
        rmdir(temporary);
    }
    return status;
}
