/* What a batch takes, from the config alone: the peaks of the table in activations.h. */
#include "activations.h"

#include <oberta/roberta.h>

/* CPU devices pack keys and values in tiles, which the last one of a sequence does not fill: for sequences of 16 tokens
 * and tiles of 32 that is three times the tokens. */
#define PACKED_KEYS 3

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

ob_roberta_memory ob_roberta_estimate(const ob_roberta_config *config, ob_head head, size_t tokens)
{
    uint64_t hidden = config->hidden_size, inner = hidden + (uint64_t)config->intermediate_size;
    uint64_t attention = 4 * hidden; /* query, key, value, and what they give */
    uint64_t logits = 0;
    if (head == OB_HEAD_LM) {
        uint64_t row = (uint64_t)config->vocab_size * sizeof(float), rows = larger(OB__LOGITS_CHUNK_BYTES / row, 1);
        rows = rows < tokens ? rows : tokens;
        logits =
            rows * (row + 2 * hidden * sizeof(float)); /* with the rows themselves, before and after the dense layer */
    }
    uint64_t gpu = tokens * larger(attention, inner) * sizeof(float);
    uint64_t cpu = tokens * larger(attention + 2 * PACKED_KEYS * hidden, inner) * sizeof(float);
    uint64_t stream = tokens * hidden * sizeof(float);
    return (ob_roberta_memory){.cpu_bytes = stream + larger(cpu, logits), .gpu_bytes = stream + larger(gpu, logits)};
}
