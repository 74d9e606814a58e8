/* Files: whole reads, read-only mappings, and writes that appear complete or not at all. */
#ifndef OBERTA_FILE_H
#define OBERTA_FILE_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <oberta/strbuf.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "<folder>/<name>", or `name` where it is absolute or folder is "". NULL: no memory. Free with ob_free. */
OB_API char *ob_path_join(const char *folder, const char *name);

/* True for something that exists under this name, whatever it is. */
OB_API bool ob_file_exists(const char *path);
OB_API bool ob_folder_exists(const char *path);

/* Refuses, with OB_ERR_MODEL, what a folder that was downloaded may have in a file's place: nothing, a folder, a pipe
 * or device, or the pointer that Git LFS leaves. OB_OK for everything else, readable or not. */
OB_API ob_status ob_file_check_downloaded(const char *path, ob_error *err);

/* Appends a regular file of at most `max_bytes` to `out`. A FIFO, device or folder is refused without blocking.
 * Errors: OB_ERR_IO (with the reason), OB_ERR_OUT_OF_MEMORY. */
OB_API ob_status ob_file_read(const char *path, size_t max_bytes, ob_strbuf *out, ob_error *err);

/* A regular file mapped read-only. The mapping must not outlive the file's size: shrinking it while mapped is SIGBUS.
 */
typedef struct ob_mapping {
    const unsigned char *data; /* NULL for an empty file */
    size_t bytes;
} ob_mapping;
OB_API ob_status ob_mapping_open(const char *path, ob_mapping *out, ob_error *err);
OB_API void ob_mapping_close(ob_mapping *mapping); /* a zeroed mapping is fine */
/* Tells the system that these pages will not be needed soon, so that they leave this process's resident set. */
OB_API void ob_mapping_forget(const void *data, size_t bytes);

/* A file that is written under a temporary name beside its target and renamed when complete.
 * Nothing is left behind when it is destroyed before its commit. */
typedef struct ob_atomic_file ob_atomic_file;
OB_API ob_status ob_atomic_file_create(const char *path, bool overwrite, ob_atomic_file **out, ob_error *err);
OB_API ob_status ob_atomic_file_write(ob_atomic_file *file, const void *bytes, size_t count, ob_error *err);
/* Appends all of `source`, a file descriptor, from its first byte. */
OB_API ob_status ob_atomic_file_copy(ob_atomic_file *file, int source, const char *source_name, ob_error *err);
/* fsync, rename, fsync of the folder. Afterwards only destroy is allowed. */
OB_API ob_status ob_atomic_file_commit(ob_atomic_file *file, ob_error *err);
OB_API void ob_atomic_file_destroy(ob_atomic_file *file);

#ifdef __cplusplus
}
#endif
#endif
