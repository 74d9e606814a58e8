/* Chooses a provider, packs weights, and hands calls on. */
#include "gemm_internal.h"

#include "embedded_sources.h"
#include "tile.h"

#include <oberta/log.h>
#include <oberta/memory.h>
#include <string.h>

/* The first that accepts is taken. */
static const ob__gemm_ops *const providers[] = {&ob__gemm_amx, &ob__gemm_tile, &ob__gemm_block, &ob__gemm_clblast,
                                                &ob__gemm_ref};
#define PROVIDER_COUNT (sizeof providers / sizeof *providers)

const char *ob_gemm_provider_name(ob_gemm_provider provider)
{
    for (size_t i = 0; i < PROVIDER_COUNT; i++)
        if (providers[i]->provider == provider)
            return providers[i]->name;
    return "auto";
}

bool ob_gemm_provider_from_name(const char *name, ob_gemm_provider *out)
{
    for (int i = 0; i < OB_GEMM_PROVIDER_COUNT; i++)
        if (strcmp(name, ob_gemm_provider_name((ob_gemm_provider)i)) == 0) {
            *out = (ob_gemm_provider)i;
            return true;
        }
    return false;
}

const ob__gemm_ops *ob__gemm_ops_at(size_t index)
{
    return index < PROVIDER_COUNT ? providers[index] : NULL;
}

static ob_status choose(ob_gemm *gemm, ob_error *err)
{
    const ob_device_info *device = ob_context_device(gemm->ctx);
    gemm->ops = ob__gemm_choose_tuned(gemm);
    if (gemm->ops != NULL)
        return OB_OK;
    for (size_t i = 0; i < PROVIDER_COUNT; i++) {
        const ob__gemm_ops *ops = providers[i];
        bool pinned = gemm->desc.provider == ops->provider;
        if (gemm->desc.provider != OB_GEMM_AUTO && !pinned)
            continue;
        const char *reason = ops->refuse(device, &gemm->desc);
        if (reason == NULL) {
            gemm->ops = ops;
            return OB_OK;
        }
        if (pinned)
            return ob_error_set(err, OB_ERR_DEVICE, "matrix products by '%s' on '%s': %s", ops->name, device->name,
                                reason);
        ob_log(OB_LOG_DEBUG, "gemm", "%zu x %zu: not %s: %s", gemm->desc.n, gemm->desc.k, ops->name, reason);
    }
    return ob_error_set(err, OB_ERR_INTERNAL, "no provider for a matrix product of %zu x %zu", gemm->desc.n,
                        gemm->desc.k);
}

void ob__gemm_program(const ob_gemm_desc *desc, const ob_source *common[OB__GEMM_COMMON], ob_defines *defines)
{
    const ob_source *const all[OB__GEMM_COMMON] = {&ob_source_erf, &ob_source_tile, &ob_source_rows, &ob_source_storage,
                                                   &ob_source_activation};
    memcpy(common, all, sizeof all);
    ob_defines_int(defines, "ACTIVATION", (long)desc->activation);
    if (desc->residual)
        ob_defines_int(defines, "RESIDUAL", 1);
    if (desc->half_weights)
        ob_defines_int(defines, "STORAGE_HALF", 1);
    if (desc->row_tile > 1)
        ob_defines_int(defines, "ROW_TILE", (long)desc->row_tile);
    if (desc->row_tile > 1 && desc->tiled_dst)
        ob_defines_int(defines, "TILED_DST", 1);
}

ob_status ob__gemm_build(ob_gemm *gemm, const ob_source *const *own, size_t own_count, const char *kernel,
                         ob_defines *defines, ob_kernel **out, ob_error *err)
{
    const ob_source *sources[OB__GEMM_COMMON + OB__GEMM_OWN];
    ob_program *program;
    ob__gemm_program(&gemm->desc, sources, defines);
    memcpy(sources + OB__GEMM_COMMON, own, own_count * sizeof *own);
    if (ob_program_create(gemm->ctx, kernel, sources, OB__GEMM_COMMON + own_count, defines, &program, err) != OB_OK)
        return ob_error_status(err);
    ob_status status = ob_kernel_create(program, kernel, out, err);
    ob_program_destroy(program);
    return status;
}

ob_status ob_gemm_create(ob_context *ctx, const ob_gemm_desc *desc, ob_gemm **out, ob_error *err)
{
    /* Kernels count in int. */
    if (desc->n == 0 || desc->k == 0 || desc->n > INT32_MAX / 2 || desc->k > INT32_MAX / 2 || desc->variant < 0 ||
        desc->variant > OB__GEMM_VARIANT_COUNT)
        return ob_error_set(err, OB_ERR_INTERNAL, "a matrix product of %zu x %zu, variant %d", desc->n, desc->k,
                            desc->variant);
    ob_gemm *gemm = ob_calloc(1, sizeof *gemm);
    if (gemm == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a matrix product");
    gemm->ctx = ctx;
    gemm->desc = *desc;
    gemm->block = 1;
    if (choose(gemm, err) != OB_OK || gemm->ops->create(gemm, err) != OB_OK) {
        ob_gemm_destroy(gemm);
        return ob_error_status(err);
    }
    *out = gemm;
    return OB_OK;
}

void ob_gemm_destroy(ob_gemm *gemm)
{
    if (gemm == NULL)
        return;
    ob_kernel_destroy(gemm->kernel);
    ob_buffer_destroy(gemm->tasks);
    for (size_t i = 0; i < OB__GEMM_VARIANT_COUNT; i++)
        ob_kernel_destroy(gemm->block_kernels[i]);
    ob_free(gemm);
}

size_t ob_gemm_row_tile(const ob_context *ctx, ob_gemm_provider provider)
{
    const ob_device_info *device = ob_context_device(ctx);
    bool tiled = provider == OB_GEMM_TILE || (provider == OB_GEMM_AUTO && ob__tile_suits(device) &&
                                              (device->capabilities & OB_CAP_AMX) == 0); /* amx reads plain rows */
    return tiled ? ob__tile_for(device).rows : 1;
}

ob_gemm_provider ob_gemm_get_provider(const ob_gemm *gemm)
{
    return gemm->ops->provider;
}

ob_status ob_gemm_enqueue(const ob_gemm *gemm, const ob_gemm_weights *weights, const ob_buffer *src, size_t m,
                          const ob_buffer *residual, ob_buffer *dst, ob_error *err)
{
    if (m == 0)
        return OB_OK;
    if (weights->n != gemm->desc.n || weights->k != gemm->desc.k || weights->block != gemm->block ||
        weights->half != gemm->desc.half_weights || m > INT32_MAX / 2 || gemm->desc.residual != (residual != NULL))
        return ob_error_set(err, OB_ERR_INTERNAL, "weights of %zu x %zu for a matrix product of %zu x %zu, m %zu",
                            weights->n, weights->k, gemm->desc.n, gemm->desc.k, m);
    return gemm->ops->enqueue(gemm, weights, src, m, residual, dst, err);
}
