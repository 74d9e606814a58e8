/* Finds tensors by name, in the names' variants, and checks them; every defect is a line. Internal to models/roberta.
 */
#ifndef OBERTA_ROBERTA_TENSOR_FINDER_H
#define OBERTA_ROBERTA_TENSOR_FINDER_H

#include "tensors.h"

typedef struct ob__finder {
    const ob_roberta_config *config;
    const ob_checkpoint *checkpoint;
    const char *wrapper; /* "module." where a training wrapper was saved, else "": before every name */
    const char *prefix;  /* "roberta." in task models, "" in a bare encoder: then before the encoder's names */
    uint64_t parameter_count;
    ob_error *err;
    bool defect;
} ob__finder;

ob__finder ob__finder_make(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_error *err);

/* The tensor if the file has it in the right form, NULL (and maybe a defect) otherwise. `name` is a format, without
 * what stands before it. columns 0: a vector. */
const ob_tensor *ob__find_optional(ob__finder *f, size_t rows, size_t columns, const char *name);
/* The same, where NULL is a defect. */
const ob_tensor *ob__find(ob__finder *f, size_t rows, size_t columns, const char *name);
/* `stem`.weight and `stem`.bias. columns 0: a layer norm. */
ob__weight_bias ob__find_pair(ob__finder *f, size_t rows, size_t columns, const char *stem);
/* As above; the stem is a format, and the encoder's prefix comes before it. */
ob__weight_bias ob__find_encoder_pair(ob__finder *f, size_t rows, size_t columns, const char *format, ...)
    OB_PRINTF(4, 5);

/* The file's tensor of this name, unchecked; NULL where it has none. */
const ob_tensor *ob__peek(const ob__finder *f, const char *name);

/* Tensors of the pooler and of the head (tensors_heads.c). `out->word` is found already. */
void ob__find_heads(ob__finder *f, ob_head head, bool pooler, ob__roberta_tensors *out);
/* Says which whole parts the file lacks, after the defects of their tensors. */
void ob__explain_missing_heads(const ob__finder *f, ob_head head, bool pooler);
/* The decoder's weight under its names; NULL where the file has none. */
const ob_tensor *ob__peek_decoder(const ob__finder *f);

bool ob__same_bytes(const ob_tensor *a, const ob_tensor *b);

#endif
