/* Which provider, and which variants, the measurements speak for. */
#include "tune_internal.h"

#include <math.h>

const ob__tune_candidate *ob__tune_best_of(const ob__tune_candidate *candidates, size_t count,
                                           ob_gemm_provider provider, size_t m_class)
{
    const ob__tune_candidate *own = NULL, *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const ob__tune_candidate *c = &candidates[i];
        if (c->provider != provider || c->gain[m_class] <= 0)
            continue;
        if (c->variant == 0)
            own = c;
        if (best == NULL || c->gain[m_class] > best->gain[m_class])
            best = c;
    }
    return own != NULL && best->gain[m_class] <= own->gain[m_class] * (1 + OB_TUNE_MARGIN) ? own : best;
}

/* 0 where the provider lacks a class that was measured. */
static double mean_gain(const ob__tune_candidate *candidates, size_t count, ob_gemm_provider provider,
                        const bool measured[OB_TUNE_M_CLASSES])
{
    double sum = 0;
    size_t classes = 0;
    for (size_t i = 0; i < OB_TUNE_M_CLASSES; i++) {
        const ob__tune_candidate *best = ob__tune_best_of(candidates, count, provider, i);
        if (!measured[i])
            continue;
        if (best == NULL)
            return 0;
        sum += log(best->gain[i]);
        classes++;
    }
    return classes == 0 ? 0 : exp(sum / (double)classes);
}

ob_gemm_provider ob__tune_choose_provider(const ob__tune_candidate *candidates, size_t count,
                                          const bool measured[OB_TUNE_M_CLASSES])
{
    ob_gemm_provider usual = candidates[0].provider, best = usual;
    double bar = mean_gain(candidates, count, usual, measured) * (1 + OB_TUNE_MARGIN);
    for (size_t i = 1; i < count; i++) {
        double gain = mean_gain(candidates, count, candidates[i].provider, measured);
        if (candidates[i].provider != usual && candidates[i].provider != best && gain > bar) {
            best = candidates[i].provider;
            bar = gain;
        }
    }
    return best;
}
