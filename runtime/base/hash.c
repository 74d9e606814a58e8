/* XXH3 through the system's libxxhash. */
#include <oberta/hash.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

struct ob_hasher {
    XXH3_state_t *state;
};

static ob_hash128 from_xxh(XXH128_hash_t hash)
{
    return (ob_hash128){hash.low64, hash.high64};
}

ob_hash128 ob_hash_bytes(const void *bytes, size_t count)
{
    return from_xxh(XXH3_128bits(bytes, count));
}

bool ob_hash_equal(ob_hash128 a, ob_hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

void ob_hash_hex(ob_hash128 hash, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}

ob_hasher *ob_hasher_create(void)
{
    ob_hasher *hasher = ob_calloc(1, sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    hasher->state = XXH3_createState();
    if (hasher->state == NULL || XXH3_128bits_reset(hasher->state) == XXH_ERROR) {
        ob_hasher_destroy(hasher);
        return NULL;
    }
    return hasher;
}

void ob_hasher_add(ob_hasher *hasher, const void *bytes, size_t count)
{
    uint64_t length = count;
    XXH3_128bits_update(hasher->state, &length, sizeof length);
    XXH3_128bits_update(hasher->state, bytes, count);
}

void ob_hasher_add_text(ob_hasher *hasher, const char *text)
{
    ob_hasher_add(hasher, text, strlen(text));
}

ob_hash128 ob_hasher_finish(const ob_hasher *hasher)
{
    return from_xxh(XXH3_128bits_digest(hasher->state));
}

void ob_hasher_destroy(ob_hasher *hasher)
{
    if (hasher == NULL)
        return;
    XXH3_freeState(hasher->state);
    ob_free(hasher);
}
