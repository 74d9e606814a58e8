/* Task models put "roberta." before the encoder's names, a bare encoder does not; old files call a layer norm's weight
 * and bias "gamma" and "beta"; torch's DataParallel puts "module." before all. */
#include "tensor_finder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 192

static bool any_name_begins(const ob_checkpoint *checkpoint, const char *begin)
{
    for (size_t i = 0; i < ob_checkpoint_count(checkpoint); i++)
        if (strncmp(ob_checkpoint_get(checkpoint, i)->name, begin, strlen(begin)) == 0)
            return true;
    return false;
}

ob__finder ob__finder_make(const ob_roberta_config *config, const ob_checkpoint *checkpoint, ob_error *err)
{
    bool wrapped = any_name_begins(checkpoint, "module.");
    bool prefixed = any_name_begins(checkpoint, wrapped ? "module.roberta." : "roberta.");
    return (ob__finder){.config = config,
                        .checkpoint = checkpoint,
                        .wrapper = wrapped ? "module." : "",
                        .prefix = prefixed ? "roberta." : "",
                        .err = err};
}

/* Old layer norms: "...LayerNorm.weight" may be called "...LayerNorm.gamma", and bias beta. */
static const ob_tensor *find_old_name(const ob_checkpoint *checkpoint, const char *name)
{
    static const char *const renamed[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                             {"LayerNorm.bias", "LayerNorm.beta"}};
    size_t length = strlen(name);
    for (size_t i = 0; i < 2; i++) {
        size_t suffix = strlen(renamed[i][0]);
        if (length < suffix || strcmp(name + length - suffix, renamed[i][0]) != 0)
            continue;
        char old[NAME_BYTES];
        snprintf(old, sizeof old, "%.*s%s", (int)(length - suffix), name, renamed[i][1]);
        return ob_checkpoint_find(checkpoint, old);
    }
    return NULL;
}

static bool check_tensor(ob__finder *f, const ob_tensor *tensor, size_t rank, const size_t *shape)
{
    if (!ob_dtype_is_float(tensor->dtype)) {
        ob_error_add(f->err, OB_ERR_MODEL, "%s: tensor '%s': type %s, but weights are F32, F16, BF16 or F64",
                     tensor->file, tensor->name, ob_dtype_name(tensor->dtype));
        f->defect = true;
        return false;
    }
    if (tensor->rank == rank && memcmp(tensor->shape, shape, rank * sizeof *shape) == 0)
        return true;
    char have[160], want[64];
    ob_shape_format(have, sizeof have, tensor->rank, tensor->shape);
    ob_shape_format(want, sizeof want, rank, shape);
    ob_error_add(f->err, OB_ERR_MODEL, "%s: tensor '%s': shape %s, but config.json asks for %s", tensor->file,
                 tensor->name, have, want);
    f->defect = true;
    return false;
}

const ob_tensor *ob__peek(const ob__finder *f, const char *name)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s%s", f->wrapper, name);
    const ob_tensor *tensor = ob_checkpoint_find(f->checkpoint, full);
    return tensor != NULL ? tensor : find_old_name(f->checkpoint, full);
}

const ob_tensor *ob__find_optional(ob__finder *f, size_t rows, size_t columns, const char *name)
{
    const ob_tensor *tensor = ob__peek(f, name);
    size_t shape[2] = {rows, columns};
    if (tensor == NULL || !check_tensor(f, tensor, columns == 0 ? 1 : 2, shape))
        return NULL;
    f->parameter_count += tensor->count;
    return tensor;
}

const ob_tensor *ob__find(ob__finder *f, size_t rows, size_t columns, const char *name)
{
    const ob_tensor *tensor = ob__find_optional(f, rows, columns, name);
    if (tensor == NULL && ob__peek(f, name) == NULL) {
        ob_error_add(f->err, OB_ERR_MODEL, "tensor '%s%s' is missing", f->wrapper, name);
        f->defect = true;
    }
    return tensor;
}

ob__weight_bias ob__find_pair(ob__finder *f, size_t rows, size_t columns, const char *stem)
{
    char name[NAME_BYTES];
    ob__weight_bias pair;
    snprintf(name, sizeof name, "%s.weight", stem);
    pair.weight = ob__find(f, rows, columns, name);
    snprintf(name, sizeof name, "%s.bias", stem);
    pair.bias = ob__find(f, rows, 0, name);
    return pair;
}

ob__weight_bias ob__find_encoder_pair(ob__finder *f, size_t rows, size_t columns, const char *format, ...)
{
    char stem[NAME_BYTES - 32], name[NAME_BYTES - 16];
    va_list args;
    va_start(args, format);
    vsnprintf(stem, sizeof stem, format, args);
    va_end(args);
    snprintf(name, sizeof name, "%s%s", f->prefix, stem);
    return ob__find_pair(f, rows, columns, name);
}

bool ob__same_bytes(const ob_tensor *a, const ob_tensor *b)
{
    return a->dtype == b->dtype && a->count == b->count &&
           memcmp(a->data, b->data, a->count * ob_dtype_bytes(a->dtype)) == 0;
}
