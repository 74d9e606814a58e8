/* Files of encoder states: every name, type, shape and mask is checked before the first row. */
#include "encoder_states.h"

#include <inttypes.h>
#include <math.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN_PREFIX "encoder_hidden_states."
#define MASK_PREFIX   "encoder_attention_mask."
#define MAX_LENGTH    ((size_t)1 << 20)

struct ob__encoder_states {
    size_t count;
    ob_checkpoint *files[]; /* (count) */
};

int32_t ob__encoder_mask_value(const ob_tensor *mask, size_t index)
{
    size_t bytes = ob_dtype_bytes(mask->dtype);
    const unsigned char *value = (const unsigned char *)mask->data + index * bytes;
    if (ob_dtype_is_float(mask->dtype)) {
        float number;
        ob_convert_to_f32(&number, value, mask->dtype, 1);
        return number == 0 ? 0 : number == 1 ? 1 : -1;
    }
    bool rest = false;
    for (size_t i = 1; i < bytes; i++)
        rest |= value[i] != 0;
    return rest || value[0] > 1 ? -1 : value[0];
}

size_t ob__encoder_states_finite(const ob_tensor *hidden)
{
    enum { CHUNK = 256 };
    float values[CHUNK];
    const unsigned char *data = hidden->data;
    size_t bytes = ob_dtype_bytes(hidden->dtype);
    for (size_t done = 0; done < hidden->count; done += CHUNK) {
        size_t count = hidden->count - done < CHUNK ? hidden->count - done : CHUNK;
        ob_convert_to_f32(values, data + done * bytes, hidden->dtype, count);
        for (size_t i = 0; i < count; i++)
            if (!isfinite(values[i]))
                return done + i;
    }
    return hidden->count;
}

/* The row in "<prefix><row>"; false for any other name, such as one with leading zeros. */
static bool parse_row(const char *name, const char *prefix, uint64_t *row)
{
    char again[32];
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || name[length] == '\0')
        return false;
    *row = strtoull(name + length, NULL, 10);
    snprintf(again, sizeof again, "%" PRIu64, *row);
    return strcmp(again, name + length) == 0;
}

static const ob_tensor *find(const ob_checkpoint *file, const char *prefix, uint64_t row)
{
    char name[64];
    snprintf(name, sizeof name, "%s%" PRIu64, prefix, row);
    return ob_checkpoint_find(file, name);
}

static void check_hidden(const ob_tensor *t, size_t hidden_size, size_t *longest, ob_error *err)
{
    if (t->rank != 2 || t->shape[0] < 1 || t->shape[0] > MAX_LENGTH || t->shape[1] != hidden_size)
        ob_error_add(err, OB_ERR_INPUT, "%s: not of shape (1 to %zu, %zu)", t->name, MAX_LENGTH, hidden_size);
    else if (!ob_dtype_is_float(t->dtype))
        ob_error_add(err, OB_ERR_INPUT, "%s: %s, but floats are expected", t->name, ob_dtype_name(t->dtype));
    else if (t->shape[0] > *longest)
        *longest = t->shape[0];
}

static void check_mask(const ob_checkpoint *file, const ob_tensor *t, uint64_t row, ob_error *err)
{
    const ob_tensor *hidden = find(file, HIDDEN_PREFIX, row);
    if (hidden == NULL || hidden->rank != 2 || t->rank != 1 || t->shape[0] != hidden->shape[0]) {
        ob_error_add(err, OB_ERR_INPUT, "%s: not as long as " HIDDEN_PREFIX "%" PRIu64, t->name, row);
        return;
    }
    for (size_t i = 0; i < t->count; i++)
        if (ob__encoder_mask_value(t, i) < 0) {
            ob_error_add(err, OB_ERR_INPUT, "%s[%zu]: neither 0 nor 1", t->name, i);
            return;
        }
}

static ob_status check_file(const ob__encoder_states *states, const ob_checkpoint *file, size_t hidden_size,
                            size_t *longest, ob_error *err)
{
    for (size_t i = 0; i < ob_checkpoint_count(file); i++) {
        const ob_tensor *t = ob_checkpoint_get(file, i);
        uint64_t row;
        if (parse_row(t->name, HIDDEN_PREFIX, &row)) {
            check_hidden(t, hidden_size, longest, err);
            for (size_t k = 0; k < states->count; k++)
                if (states->files[k] != file && find(states->files[k], HIDDEN_PREFIX, row) != NULL)
                    ob_error_add(err, OB_ERR_INPUT, "%s: the file of another input has it, too", t->name);
        } else if (parse_row(t->name, MASK_PREFIX, &row)) {
            check_mask(file, t, row, err);
        } else {
            ob_error_add(err, OB_ERR_INPUT, "%.80s: neither " HIDDEN_PREFIX "<row> nor " MASK_PREFIX "<row>", t->name);
        }
    }
    return err->status;
}

ob_status ob__encoder_states_open(const ob_input_spec *inputs, size_t count, size_t hidden_size,
                                  ob__encoder_states **out, size_t *longest, ob_error *err)
{
    *out = NULL;
    *longest = 0;
    size_t bytes, named = 0;
    for (size_t i = 0; i < count; i++)
        named += inputs[i].tensors_path != NULL;
    if (named == 0)
        return OB_OK;
    ob__encoder_states *states =
        ob_size_mul(named, sizeof(ob_checkpoint *), &bytes) && ob_size_add(bytes, sizeof *states, &bytes)
            ? ob_malloc(bytes)
            : NULL;
    if (states == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for encoder states");
    states->count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *path = inputs[i].tensors_path;
        ob_checkpoint *file;
        if (path == NULL)
            continue;
        ob_error own;
        ob_error_clear(&own);
        ob_status status = ob_checkpoint_open_file(path, &file, &own);
        if (status == OB_OK) {
            states->files[states->count++] = file;
            status = check_file(states, file, hidden_size, longest, &own);
            if (status != OB_OK)
                ob_error_prefix(&own, "%s", path);
        }
        if (status != OB_OK) {
            ob__encoder_states_close(states);
            if (status == OB_ERR_MODEL || status == OB_ERR_UNSUPPORTED) /* a damaged file, but not the model's */
                status = OB_ERR_INPUT;
            return ob_error_set(err, status, "inputs.tensors: %s", own.text);
        }
    }
    *out = states;
    return OB_OK;
}

void ob__encoder_states_close(ob__encoder_states *states)
{
    for (size_t i = 0; states != NULL && i < states->count; i++)
        ob_checkpoint_close(states->files[i]);
    ob_free(states);
}

bool ob__encoder_states_find(const ob__encoder_states *states, uint64_t row, const ob_tensor **hidden,
                             const ob_tensor **mask)
{
    for (size_t i = 0; i < states->count; i++) {
        *hidden = find(states->files[i], HIDDEN_PREFIX, row);
        *mask = find(states->files[i], MASK_PREFIX, row);
        if (*hidden != NULL)
            return true;
    }
    return false;
}
