/* oberta_kernel_variants FOLDER: every program that a GPU may run, for tools/isa.
 *
 * Writes the joined sources of each to FOLDER and prints one line a kernel, fields parted by tabs:
 *     name, file in FOLDER, kernel, work-items of a group, kind (large: a gemm that has to be dense in fma; or small),
 * defines */
#include "attention_online.h"
#include "embedded_sources.h"
#include "gemm_block.h"
#include "gemm_internal.h"

#include <oberta/op_top_k.h>
#include <stdio.h>
#include <string.h>

static const char *folder;

static bool write_sources(const char *file, const ob_source *const *sources, size_t count)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "wb");
    bool good = out != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = fwrite(sources[i]->text, 1, sources[i]->bytes, out) == sources[i]->bytes;
    if (out != NULL && fclose(out) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "oberta_kernel_variants: cannot write '%s'\n", path);
    return good;
}

static void print_kernel(const char *name, const char *file, const char *kernel, size_t items, const char *kind,
                         const ob_defines *defines)
{
    printf("%s\t%s\t%s\t%zu\t%s\t", name, file, kernel, items, kind);
    for (size_t i = 0; i < defines->count; i++)
        printf("%s-D%s=%ld", i > 0 ? " " : "", defines->items[i].name, defines->items[i].value);
    printf("\n");
}

/* The blocks as the feed-forward layer uses them, with half weights, and as the head does whose vocabulary is odd. */
static bool gemm_block(void)
{
    static const struct {
        const char *label;
        ob_gemm_desc desc;
    } uses[] = {{"", {3072, 768, OB_ACT_GELU, false, OB_GEMM_BLOCK, false, 0}},
                {", half", {768, 3072, OB_ACT_NONE, true, OB_GEMM_BLOCK, true, 0}},
                {", odd n", {50265, 768, OB_ACT_NONE, false, OB_GEMM_BLOCK, false, 0}}};
    const ob_source *sources[OB__GEMM_COMMON + 1];
    for (size_t use = 0; use < sizeof uses / sizeof *uses; use++)
        for (size_t v = 0; v < OB__GEMM_VARIANT_COUNT; v++) {
            const ob__gemm_variant *variant = &ob__gemm_variants[v];
            ob_defines defines = OB_DEFINES_INIT;
            char name[64];
            snprintf(name, sizeof name, "gemm block %s%s", variant->name, uses[use].label);
            ob__gemm_variant_define(variant, &uses[use].desc, &defines);
            ob__gemm_program(&uses[use].desc, sources, &defines);
            print_kernel(name, "gemm_block.cl", "gemm__block", variant->items_m * variant->items_n,
                         variant->block_m * variant->block_n >= 4096 ? "large" : "small", &defines);
        }
    sources[OB__GEMM_COMMON] = &ob_source_gemm_block;
    return write_sources("gemm_block.cl", sources, OB__GEMM_COMMON + 1);
}

static bool attention_online(void)
{
    static const struct {
        const char *label;
        ob_attention_desc desc;
    } uses[] = {{"", {.head_size = 64}},
                {"", {.head_size = 128}},
                {", causal", {.head_size = 64, .causal = true}},
                {", causal", {.head_size = 128, .causal = true}},
                {", cross", {.head_size = 64, .max_cross_tokens = 512}}};
    const ob_source *const sources[] = {&ob_source_attention_online};
    for (size_t u = 0; u < sizeof uses / sizeof *uses; u++)
        for (size_t v = 0; v < OB__ONLINE_VARIANT_COUNT; v++) {
            size_t queries = ob__online_queries[v], head_size = uses[u].desc.head_size;
            ob_defines defines = OB_DEFINES_INIT;
            char name[64];
            snprintf(name, sizeof name, "attention online %zu, heads of %zu%s", queries, head_size, uses[u].label);
            ob__online_define(&uses[u].desc, queries, &defines);
            print_kernel(name, "attention_online.cl", "attention__online",
                         ob__online_items_n(head_size) * ob__online_items_m(queries), "small", &defines);
        }
    return write_sources("attention_online.cl", sources, 1);
}

static bool attention_maps(void)
{
    const ob_source *const sources[] = {&ob_source_rows, &ob_source_attention_maps};
    ob_defines none = OB_DEFINES_INIT;
    print_kernel("attention scores", "attention_maps.cl", "attention_scores__ref", 64, "small", &none);
    print_kernel("attention softmax", "attention_maps.cl", "attention_softmax__ref", 64, "small", &none);
    print_kernel("attention factors", "attention_maps.cl", "attention_factors__ref", 64, "small", &none);
    return write_sources("attention_maps.cl", sources, 2);
}

/* The operators with one variant for GPUs; the driver chooses their work-groups, 64 stands for it. */
static bool others(void)
{
    const ob_source *const embedding[] = {&ob_source_storage, &ob_source_embedding_ref};
    const ob_source *const norm[] = {&ob_source_layer_norm_ref}, *const pool[] = {&ob_source_rows, &ob_source_pool_ref};
    const ob_source *const gather[] = {&ob_source_rows, &ob_source_gather_rows_ref};
    const ob_source *const top_k[] = {&ob_source_top_k_ref}, *const targets[] = {&ob_source_target_scores_ref};
    ob_defines none = OB_DEFINES_INIT, words = OB_DEFINES_INIT, five = OB_DEFINES_INIT;
    ob_defines_int(&words, "WORD_BLOCK", OB__GEMM_PANEL);
    ob_defines_int(&five, "K", 5);
    print_kernel("embedding", "embedding.cl", "embedding__ref", 64, "small", &words);
    print_kernel("layer_norm", "layer_norm.cl", "layer_norm__ref", 64, "small", &none);
    print_kernel("pool", "pool.cl", "pool__ref", 64, "small", &none);
    print_kernel("gather_rows", "gather_rows.cl", "gather_rows__ref", 64, "small", &none);
    print_kernel("top_k segments", "top_k.cl", "top_k_segments__ref", 64, "small", &five);
    print_kernel("top_k merge", "top_k.cl", "top_k_merge__ref", 64, "small", &five);
    print_kernel("target_scores segments", "targets.cl", "target_scores_segments__ref", 64, "small", &none);
    print_kernel("target_scores", "targets.cl", "target_scores__ref", 64, "small", &none);
    return write_sources("embedding.cl", embedding, 2) && write_sources("layer_norm.cl", norm, 1) &&
           write_sources("pool.cl", pool, 2) && write_sources("gather_rows.cl", gather, 2) &&
           write_sources("top_k.cl", top_k, 1) && write_sources("targets.cl", targets, 1);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: oberta_kernel_variants FOLDER\n");
        return 2;
    }
    folder = argv[1];
    return gemm_block() && attention_online() && attention_maps() && others() ? 0 : 1;
}
