/* The pickles inside PyTorch's weight files, read without ever calling anything.
 *
 * A pickle is a program for a stack machine. This machine knows the opcodes that state dicts need, and of what a pickle
 * may import (a "global") it knows a short list by name (pickle_symbols.c): those become opaque symbols, and calling
 * one only matches its arguments and notes them as a value. Everything else is refused with its name. What comes out is
 * a tree of values that point into the pickle's own bytes. */
#ifndef OBERTA_CHECKPOINT_PICKLE_H
#define OBERTA_CHECKPOINT_PICKLE_H

#include <oberta/dtype.h>
#include <oberta/error.h>

#define OB_PICKLE_MAX_BYTES  ((size_t)32 << 20) /* of one pickle; 150 bytes a tensor are usual */
#define OB_PICKLE_MAX_VALUES ((size_t)1 << 20)  /* 40 bytes of memory each, and their items */
#define OB_PICKLE_MAX_MEMO   ((size_t)1 << 20)
#define OB_PICKLE_MAX_STACK  ((size_t)1 << 16)
#define OB_PICKLE_MAX_MARKS  ((size_t)64) /* how deep tuples, lists and dicts may be nested while they are filled */
#define OB_PICKLE_MAX_STRING ((size_t)1 << 20)
#define OB_PICKLE_MAX_GLOBAL ((size_t)256) /* bytes of a module or of a name */

typedef enum ob__pickle_kind {
    OB_PICKLE_NONE,
    OB_PICKLE_BOOL,
    OB_PICKLE_INTEGER,
    OB_PICKLE_LONG, /* an integer of more than 8 bytes: `text`, little-endian two's complement */
    OB_PICKLE_REAL,
    OB_PICKLE_STRING, /* `text`; of Python 2 or 3, bytes too */
    OB_PICKLE_TUPLE,
    OB_PICKLE_LIST, /* sets too */
    OB_PICKLE_DICT, /* items: key, value, key, value, ... */
    OB_PICKLE_SYMBOL,
    OB_PICKLE_STORAGE,
    OB_PICKLE_TENSOR
} ob__pickle_kind;

typedef struct ob__pickle_symbol ob__pickle_symbol;
typedef struct ob__pickle_value ob__pickle_value;

typedef struct ob__pickle_text { /* not NUL-terminated; points into the pickle */
    const char *bytes;
    size_t count;
} ob__pickle_text;

typedef struct ob__pickle_items {
    ob__pickle_value **values;
    size_t count, capacity;
} ob__pickle_items;

/* A persistent id ('storage', class, key, location, count[, view]). */
typedef struct ob__pickle_storage {
    ob__pickle_text key;
    ob_dtype dtype;
    size_t count;                   /* elements of the whole storage */
    size_t view_offset, view_count; /* elements: the part that this id means, within `count` */
    const unsigned char *data;      /* of the whole storage; NULL until its container has found and measured it */
} ob__pickle_storage;

/* A call of torch._utils._rebuild_tensor or the like; nothing of it has been compared with the storage yet. */
typedef struct ob__pickle_tensor {
    const ob__pickle_value *storage;        /* OB_PICKLE_STORAGE */
    const ob__pickle_value *offset;         /* in elements; of any kind */
    const ob__pickle_value *shape, *stride; /* OB_PICKLE_TUPLE, items of any kind */
} ob__pickle_tensor;

struct ob__pickle_value {
    ob__pickle_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        ob__pickle_text text;
        ob__pickle_items items;
        const ob__pickle_symbol *symbol;
        ob__pickle_storage *storage; /* belongs to the pickle */
        ob__pickle_tensor tensor;
    } as;
};

typedef struct ob__pickle {
    const ob__pickle_value *root;
    size_t bytes; /* from the first opcode to STOP inclusive */
    ob__pickle_storage **storages;
    size_t storage_count, storage_capacity;
    struct ob__pickle_chunk *chunks; /* all values */
    size_t value_count;
} ob__pickle;

/* Reads the pickle at the beginning of `data`; what follows its STOP is left alone. The values point into `data`. On
 * success release it. Errors: OB_ERR_MODEL with the byte and what stands there: an opcode or a global (module and name)
 * that weights do not need, a stack, memo or argument list that is wrong, a limit; OB_ERR_UNSUPPORTED for an element
 * type that PyTorch has and oberta has not. */
ob_status ob__pickle_read(const unsigned char *data, size_t bytes, ob__pickle *out, ob_error *err);
void ob__pickle_release(ob__pickle *pickle);

/* The value of a dict under a key, NULL: absent, or `dict` is none. */
const ob__pickle_value *ob__pickle_dict_find(const ob__pickle_value *dict, const char *key);
bool ob__pickle_text_is(ob__pickle_text text, const char *expected);
/* False: not an integer, or negative. */
bool ob__pickle_as_size(const ob__pickle_value *value, size_t *out);

#endif
