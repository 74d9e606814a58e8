/* The choice by a tuning table, and what a tuner has to know of the providers. */
#include "gemm_internal.h"

#include <oberta/log.h>
#include <string.h>

static const ob__gemm_ops *find_name(const char *name)
{
    const ob__gemm_ops *ops;
    for (size_t i = 0; (ops = ob__gemm_ops_at(i)) != NULL; i++)
        if (strcmp(ops->name, name) == 0)
            return ops;
    return NULL;
}

size_t ob__gemm_variant_find(const char *name)
{
    size_t i = 0;
    while (i < OB__GEMM_VARIANT_COUNT && strcmp(ob__gemm_variants[i].name, name) != 0)
        i++;
    return i;
}

/* Says which names of an entry this build does not know; they are left to the provider's own rule. */
static void note_variants(const ob_tuning_entry *entry, const ob__gemm_ops *ops)
{
    for (size_t i = 0; i < OB_TUNING_M_CLASSES; i++) {
        const char *name = entry->variants[i];
        bool known = ops->provider == OB_GEMM_BLOCK && ob__gemm_variant_find(name) < OB__GEMM_VARIANT_COUNT;
        if (!known && strcmp(name, OB_TUNING_AUTO) != 0)
            ob_log(OB_LOG_INFO, "tuning", "%s:%zu: '%s' has no variant '%s'", entry->file, entry->line, ops->name,
                   name);
    }
}

const ob__gemm_ops *ob__gemm_choose_tuned(ob_gemm *gemm)
{
    const ob_gemm_desc *desc = &gemm->desc;
    const ob_device_info *device = ob_context_device(gemm->ctx);
    if (desc->provider != OB_GEMM_AUTO || desc->variant != 0 || desc->half_weights)
        return NULL;
    const ob_tuning_entry *entry = ob_tuning_find(ob_context_tuning(gemm->ctx), device, "gemm", desc->n, desc->k);
    if (entry == NULL)
        return NULL;
    const ob__gemm_ops *ops = find_name(entry->provider);
    /* What was measured counts more than what is usual on a type of device: only a pinned one's refusals hold. */
    ob_gemm_desc pinned = *desc;
    pinned.provider = ops != NULL ? ops->provider : OB_GEMM_AUTO;
    const char *reason = ops == NULL ? "this build does not know it" : ops->refuse(device, &pinned);
    if (reason != NULL) {
        ob_log(OB_LOG_INFO, "tuning", "%s:%zu: not '%s': %s", entry->file, entry->line, entry->provider, reason);
        return NULL;
    }
    note_variants(entry, ops);
    ob_log(OB_LOG_DEBUG, "gemm", "%zu x %zu: %s, by %s:%zu", desc->n, desc->k, ops->name, entry->file, entry->line);
    gemm->tuned = entry;
    return ops;
}

const char *ob_gemm_refusal(const ob_device_info *device, const ob_gemm_desc *desc, ob_gemm_provider provider)
{
    ob_gemm_desc by_itself = *desc;
    by_itself.provider = OB_GEMM_AUTO;
    const ob__gemm_ops *ops = find_name(ob_gemm_provider_name(provider));
    return ops == NULL ? "this build does not have it" : ops->refuse(device, &by_itself);
}

const char *ob_gemm_variant_name(ob_gemm_provider provider, size_t index)
{
    return provider == OB_GEMM_BLOCK && index < OB__GEMM_VARIANT_COUNT ? ob__gemm_variants[index].name : NULL;
}
