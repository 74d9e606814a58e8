/* Compiled programs kept on disk, as a folder of files. Any trouble with it means a normal build, never an error. */
#ifndef OBERTA_CACHE_H
#define OBERTA_CACHE_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_cache_entry {
    char name[48]; /* of its file */
    uint64_t bytes;
    int64_t used_at;  /* seconds since 1970 */
    char label[64];   /* the program's label */
    char device[128]; /* the device's name */
    bool valid;       /* header and checksum agree */
} ob_cache_entry;

/* The folder that is used by default: $OBERTA_CACHE_DIR, else $XDG_CACHE_HOME/oberta, else $HOME/.cache/oberta. NULL
 * (with *why a literal, where `why` is not NULL) where there is no place that is ours alone to write. Free with
 * ob_free. */
OB_API char *ob_cache_default_folder(const char **why);
/* Entries, most recently used first. *entries is freed with ob_free. A missing folder is an empty cache. */
OB_API ob_status ob_cache_list(const char *folder, ob_cache_entry **entries, size_t *count, ob_error *err);
/* Removes every entry (and nothing else); *bytes and *count say what went. */
OB_API ob_status ob_cache_clear(const char *folder, uint64_t *bytes, size_t *count, ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
