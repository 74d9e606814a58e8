/* PyTorch's weight files made up by the tests, right or wrong as they like. Failures end the test. */
#ifndef OBERTA_TESTS_TORCH_FILES_H
#define OBERTA_TESTS_TORCH_FILES_H

#include <oberta/strbuf.h>
#include <stdint.h>

/* A view of a storage as a pickle tells it; every number may lie. */
typedef struct torch_tensor {
    const char *name;
    const char *class; /* "FloatStorage" */
    const char *key;
    int64_t storage_count, offset;
    size_t rank, stride_rank;
    int64_t shape[10], stride[10];
} torch_tensor;

/* Opcodes, appended to `out`. */
void pickle_text(ob_strbuf *out, const char *text);
void pickle_integer(ob_strbuf *out, int64_t number);
void pickle_tensor(ob_strbuf *out, const torch_tensor *tensor, bool legacy);
/* A whole pickle, from PROTO to STOP: an OrderedDict of tensors. */
void pickle_state_dict(ob_strbuf *out, const torch_tensor *tensors, size_t count, bool legacy);

/* A zip archive and where its records begin. */
#define MAX_MEMBERS 8
typedef struct zip_file {
    ob_strbuf bytes;
    size_t count, local[MAX_MEMBERS], central[MAX_MEMBERS], end64, locator, end;
} zip_file;
typedef struct zip_part {
    const char *name;
    const void *data;
    size_t bytes;
} zip_part;
/* As torch.save lays it out: stored, sizes in the directory alone, data at multiples of 64, zip64 records. */
void build_zip(const zip_part *parts, size_t count, zip_file *out);
/* "archive/data.pkl", "archive/byteorder" unless NULL, and "archive/data/0" with `storage`. */
void build_torch_zip(const ob_strbuf *pickle, const char *byte_order, const void *storage, size_t bytes, zip_file *out);

/* The five pickles and one storage of `count` elements under `key`. */
void build_legacy(const ob_strbuf *object, const char *key, uint64_t count, const void *storage, size_t bytes,
                  ob_strbuf *out);

/* `width` bytes, the least first. */
void append_number(ob_strbuf *out, uint64_t number, size_t width);
void patch_number(ob_strbuf *bytes, size_t at, uint64_t number, size_t width);

/* A copy of exactly `bytes` bytes, so that a sanitizer sees a read beyond it. free() it. */
unsigned char *exact_copy(const void *data, size_t bytes);

#endif
