/* Compiled programs on disk.
 *
 * One file a program, named by its key. A file is believed only when magic, format, key, sizes and checksum all agree,
 * because drivers crash on damaged binaries. It is written under a temporary name and renamed, so that readers see
 * whole files; the folder belongs to the user alone, because a binary is code. Whatever goes wrong, the answer is "not
 * cached". */
#define _DEFAULT_SOURCE /* futimens, dirfd */
#include "cl_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <oberta/cache.h>
#include <oberta/file.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_MAGIC     "oberta\0k"
#define CACHE_FORMAT    1u
#define CACHE_SUFFIX    ".program"
#define CACHE_FOLDER    "programs"
#define MAX_ENTRY_BYTES ((size_t)64 << 20)

/* Fixed-width fields in this order leave no padding. */
typedef struct cache_header {
    char magic[8];
    uint32_t format, reserved;
    ob_hash128 key, payload_hash;
    uint64_t payload_bytes;
    char label[64], device[128];
} cache_header;

struct ob__program_cache {
    char *folder;
    uint64_t max_bytes;
};

char *ob_cache_default_folder(const char **why)
{
    const char *own = getenv("OBERTA_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own != NULL && own[0] != '\0')
        return ob_strdup(own);
    if (xdg != NULL && xdg[0] == '/')
        return ob_path_join(xdg, "oberta");
    if (home != NULL && home[0] == '/')
        return ob_path_join(home, ".cache/oberta");
    if (why != NULL)
        *why = "neither OBERTA_CACHE_DIR, XDG_CACHE_HOME nor HOME is set";
    return NULL;
}

/* Creates the folder and those above it, for us alone. */
static bool make_folders(const char *path)
{
    char *copy = ob_strdup(path);
    bool ok = copy != NULL;
    for (char *at = copy; ok && (at = strchr(at + 1, '/')) != NULL; *at = '/') {
        *at = '\0';
        ok = mkdir(copy, 0700) == 0 || errno == EEXIST;
    }
    ok = ok && (mkdir(path, 0700) == 0 || errno == EEXIST);
    ob_free(copy);
    return ok;
}

/* Somebody else who can write here can run code as us. */
static ob_status check_folder(const char *path, ob_error *err)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return ob_error_set_errno(err, OB_ERR_IO, errno, "%s", path);
    if (!S_ISDIR(info.st_mode))
        return ob_error_set(err, OB_ERR_IO, "%s: not a folder", path);
    if (info.st_uid != geteuid())
        return ob_error_set(err, OB_ERR_IO, "%s: belongs to another user", path);
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return ob_error_set(err, OB_ERR_IO, "%s: others may write to it", path);
    return OB_OK;
}

ob_status ob__program_cache_open(const char *folder, uint64_t max_bytes, ob__program_cache **out, ob_error *err)
{
    ob__program_cache *cache = ob_calloc(1, sizeof *cache);
    char *path = ob_path_join(folder, CACHE_FOLDER);
    if (cache == NULL || path == NULL) {
        ob_free(cache);
        ob_free(path);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the cache");
    }
    cache->folder = path;
    cache->max_bytes = max_bytes;
    if (!make_folders(path))
        ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot create", path);
    else if (check_folder(folder, err) == OB_OK && check_folder(path, err) == OB_OK) {
        *out = cache;
        return OB_OK;
    }
    ob__program_cache_close(cache);
    return ob_error_status(err);
}

void ob__program_cache_close(ob__program_cache *cache)
{
    if (cache == NULL)
        return;
    ob_free(cache->folder);
    ob_free(cache);
}

static char *entry_path(const ob__program_cache *cache, ob_hash128 key)
{
    char hex[33], name[64];
    ob_hash_hex(key, hex);
    snprintf(name, sizeof name, "%s" CACHE_SUFFIX, hex);
    return ob_path_join(cache->folder, name);
}

/* True where `file` is whole and is what it says. */
static bool verify(const unsigned char *file, size_t bytes, cache_header *header)
{
    if (bytes < sizeof *header)
        return false;
    memcpy(header, file, sizeof *header);
    if (memcmp(header->magic, CACHE_MAGIC, sizeof header->magic) != 0 || header->format != CACHE_FORMAT ||
        header->payload_bytes != bytes - sizeof *header)
        return false;
    header->label[sizeof header->label - 1] = '\0';
    header->device[sizeof header->device - 1] = '\0';
    /* The checksum covers the header too, with the place of the checksum itself left out. */
    cache_header plain = *header;
    memcpy(plain.label, file + offsetof(cache_header, label), sizeof plain.label);
    memcpy(plain.device, file + offsetof(cache_header, device), sizeof plain.device);
    plain.payload_hash = (ob_hash128){0, 0};
    ob_hasher *hasher = ob_hasher_create();
    if (hasher == NULL)
        return false;
    ob_hasher_add(hasher, &plain, sizeof plain);
    ob_hasher_add(hasher, file + sizeof *header, bytes - sizeof *header);
    ob_hash128 hash = ob_hasher_finish(hasher);
    ob_hasher_destroy(hasher);
    return ob_hash_equal(hash, header->payload_hash);
}

unsigned char *ob__program_cache_load(ob__program_cache *cache, ob_hash128 key, size_t *bytes)
{
    *bytes = 0;
    char *path = entry_path(cache, key);
    ob_strbuf file = OB_STRBUF_INIT;
    unsigned char *payload = NULL;
    cache_header header;
    if (path == NULL || !ob_file_exists(path) || ob_file_read(path, MAX_ENTRY_BYTES, &file, NULL) != OB_OK)
        goto done;
    if (!verify((const unsigned char *)file.data, file.length, &header) || !ob_hash_equal(header.key, key)) {
        ob_log(OB_LOG_INFO, "cache", "%s is damaged or of another version; it is built again", path);
        unlink(path);
        goto done;
    }
    payload = ob_malloc(file.length - sizeof header);
    if (payload != NULL) {
        *bytes = file.length - sizeof header;
        memcpy(payload, file.data + sizeof header, *bytes);
        utimensat(AT_FDCWD, path, NULL, 0); /* used now: the last to be evicted */
    }
done:
    ob_strbuf_release(&file);
    ob_free(path);
    return payload;
}

void ob__program_cache_drop(ob__program_cache *cache, ob_hash128 key)
{
    char *path = entry_path(cache, key);
    if (path != NULL)
        unlink(path);
    ob_free(path);
}

static int compare_used(const void *a, const void *b)
{
    const ob_cache_entry *x = a, *y = b;
    if (x->used_at != y->used_at)
        return x->used_at > y->used_at ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Removes the entries longest unused until the rest, with `room` more bytes, fits. */
static void evict(ob__program_cache *cache, uint64_t room, const char *parent)
{
    ob_cache_entry *entries;
    size_t count;
    if (ob_cache_list(parent, &entries, &count, NULL) != OB_OK)
        return;
    uint64_t total = room;
    for (size_t i = 0; i < count; i++) {
        total += entries[i].bytes;
        if (total <= cache->max_bytes)
            continue;
        char *path = ob_path_join(cache->folder, entries[i].name);
        if (path != NULL)
            unlink(path);
        ob_free(path);
    }
    ob_free(entries);
}

static void fill_header(cache_header *header, ob_hash128 key, const char *label, const char *device, size_t bytes)
{
    memset(header, 0, sizeof *header);
    memcpy(header->magic, CACHE_MAGIC, sizeof header->magic);
    header->format = CACHE_FORMAT;
    header->key = key;
    header->payload_bytes = bytes;
    snprintf(header->label, sizeof header->label, "%s", label);
    snprintf(header->device, sizeof header->device, "%s", device);
}

void ob__program_cache_store(ob__program_cache *cache, ob_hash128 key, const char *label, const char *device,
                             const unsigned char *binary, size_t bytes)
{
    if (bytes > MAX_ENTRY_BYTES - sizeof(cache_header) || bytes + sizeof(cache_header) > cache->max_bytes)
        return;
    cache_header header;
    fill_header(&header, key, label, device, bytes);
    ob_hasher *hasher = ob_hasher_create();
    char *path = entry_path(cache, key);
    char *parent = ob_strndup(cache->folder, strlen(cache->folder) - strlen(CACHE_FOLDER) - 1);
    ob_atomic_file *file = NULL;
    ob_error err;
    ob_error_clear(&err);
    if (hasher == NULL || path == NULL || parent == NULL)
        goto done;
    ob_hasher_add(hasher, &header, sizeof header);
    ob_hasher_add(hasher, binary, bytes);
    header.payload_hash = ob_hasher_finish(hasher);
    evict(cache, bytes + sizeof header, parent);
    if (ob_atomic_file_create(path, true, &file, &err) != OB_OK ||
        ob_atomic_file_write(file, &header, sizeof header, &err) != OB_OK ||
        ob_atomic_file_write(file, binary, bytes, &err) != OB_OK || ob_atomic_file_commit(file, &err) != OB_OK)
        ob_log(OB_LOG_INFO, "cache", "'%s' is not kept: %s", label, err.text);
done:
    ob_atomic_file_destroy(file);
    ob_hasher_destroy(hasher);
    ob_free(path);
    ob_free(parent);
}

static bool is_entry_name(const char *name)
{
    size_t length = strlen(name), suffix = strlen(CACHE_SUFFIX);
    return length == 32 + suffix && strspn(name, "0123456789abcdef") == 32 && strcmp(name + 32, CACHE_SUFFIX) == 0;
}

static void describe(const char *path, const char *name, const struct stat *info, ob_cache_entry *entry)
{
    *entry = (ob_cache_entry){.bytes = (uint64_t)info->st_size, .used_at = (int64_t)info->st_mtime};
    snprintf(entry->name, sizeof entry->name, "%.*s", (int)sizeof entry->name - 1, name);
    ob_strbuf file = OB_STRBUF_INIT;
    cache_header header;
    if (ob_file_read(path, MAX_ENTRY_BYTES, &file, NULL) == OB_OK &&
        verify((const unsigned char *)file.data, file.length, &header)) {
        entry->valid = true;
        snprintf(entry->label, sizeof entry->label, "%s", header.label);
        snprintf(entry->device, sizeof entry->device, "%s", header.device);
    }
    ob_strbuf_release(&file);
}

ob_status ob_cache_list(const char *folder, ob_cache_entry **entries, size_t *count, ob_error *err)
{
    ob_cache_entry *found = NULL;
    size_t n = 0, capacity = 0;
    char *path = ob_path_join(folder, CACHE_FOLDER);
    DIR *directory = path != NULL ? opendir(path) : NULL;
    ob_status status = OB_OK;
    if (path == NULL)
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the cache's entries");
    else if (directory == NULL && errno != ENOENT)
        status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot list", path);
    for (struct dirent *item; directory != NULL && (item = readdir(directory)) != NULL;) {
        struct stat info;
        char *file = is_entry_name(item->d_name) ? ob_path_join(path, item->d_name) : NULL;
        if (file != NULL && lstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
            ob_array_reserve((void **)&found, &capacity, n + 1, sizeof *found))
            describe(file, item->d_name, &info, &found[n++]);
        ob_free(file);
    }
    if (directory != NULL)
        closedir(directory);
    ob_free(path);
    if (status != OB_OK)
        return status;
    if (n > 0)
        qsort(found, n, sizeof *found, compare_used);
    *entries = found;
    *count = n;
    return OB_OK;
}

ob_status ob_cache_clear(const char *folder, uint64_t *bytes, size_t *count, ob_error *err)
{
    ob_cache_entry *entries;
    size_t found;
    if (ob_cache_list(folder, &entries, &found, err) != OB_OK)
        return ob_error_status(err);
    *bytes = 0;
    *count = 0;
    char *path = ob_path_join(folder, CACHE_FOLDER);
    for (size_t i = 0; path != NULL && i < found; i++) {
        char *file = ob_path_join(path, entries[i].name);
        if (file != NULL && unlink(file) == 0) {
            *bytes += entries[i].bytes;
            ++*count;
        }
        ob_free(file);
    }
    ob_free(path);
    ob_free(entries);
    return OB_OK;
}
