/* 128-bit hashes (XXH3) for cache keys and integrity checks; not for secrets. */
#ifndef OBERTA_HASH_H
#define OBERTA_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_hash128 {
    uint64_t low, high;
} ob_hash128;

typedef struct ob_hasher ob_hasher;

ob_hash128 ob_hash_bytes(const void *bytes, size_t count);
bool ob_hash_equal(ob_hash128 a, ob_hash128 b);
/* 32 lower-case hexadecimal digits and a NUL. */
void ob_hash_hex(ob_hash128 hash, char out[33]);

/* Hash of several fields. Each field is framed by its length, so ("ab","c") and ("a","bc") differ. NULL: no memory. */
ob_hasher *ob_hasher_create(void);
void ob_hasher_add(ob_hasher *hasher, const void *bytes, size_t count);
void ob_hasher_add_text(ob_hasher *hasher, const char *text);
ob_hash128 ob_hasher_finish(const ob_hasher *hasher);
void ob_hasher_destroy(ob_hasher *hasher);

#ifdef __cplusplus
}
#endif
#endif
