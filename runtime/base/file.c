/* Files through POSIX; the one place that knows about temporary names, fsync and rename. */
#define _DEFAULT_SOURCE /* madvise: glibc's posix_madvise ignores DONTNEED */
#include <errno.h>
#include <fcntl.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

char *ob_path_join(const char *folder, const char *name)
{
    if (name[0] == '/' || folder[0] == '\0')
        return ob_strdup(name);
    ob_strbuf path = OB_STRBUF_INIT;
    ob_strbuf_puts(&path, folder);
    if (path.length > 0 && path.data[path.length - 1] != '/')
        ob_strbuf_putc(&path, '/');
    ob_strbuf_puts(&path, name);
    if (path.failed)
        ob_strbuf_release(&path);
    return path.data;
}

bool ob_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool ob_folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Opens a regular file for reading. O_NONBLOCK keeps a FIFO from blocking until it is refused. */
static ob_status open_regular(const char *path, int *out, size_t *bytes, ob_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot open", path);
    struct stat info;
    if (fstat(fd, &info) != 0) {
        ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot examine", path);
        goto fail;
    }
    if (!S_ISREG(info.st_mode)) {
        ob_error_set(err, OB_ERR_IO, "%s: %s, not a regular file", path,
                     S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
        goto fail;
    }
    if (info.st_size < 0 || (uintmax_t)info.st_size > SIZE_MAX) {
        ob_error_set(err, OB_ERR_IO, "%s: too large for this machine's address space", path);
        goto fail;
    }
    *out = fd;
    *bytes = (size_t)info.st_size;
    return OB_OK;
fail:
    close(fd);
    return ob_error_status(err);
}

ob_status ob_file_check_downloaded(const char *path, ob_error *err)
{
    static const char pointer[] = "version https://git-lfs";
    char start[sizeof pointer - 1];
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? ob_error_set(err, OB_ERR_MODEL, "%s: no such file", path) : OB_OK;
    if (!S_ISREG(info.st_mode))
        return ob_error_set(err, OB_ERR_MODEL, "%s: %s, not a regular file", path,
                            S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return OB_OK; /* who reads it says why */
    bool is_pointer =
        pread(fd, start, sizeof start, 0) == (ssize_t)sizeof start && memcmp(start, pointer, sizeof start) == 0;
    close(fd);
    if (is_pointer)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: a Git LFS pointer in place of the file: fetch it with 'git lfs pull'", path);
    return OB_OK;
}

ob_status ob_file_read(const char *path, size_t max_bytes, ob_strbuf *out, ob_error *err)
{
    int fd;
    size_t bytes;
    ob_status status = open_regular(path, &fd, &bytes, err);
    if (status != OB_OK)
        return status;
    /* Reading goes on to the end of the file, which may have grown or, in /proc, never had a size. */
    char chunk[65536];
    size_t total = 0;
    if (bytes > max_bytes) {
        status = ob_error_set(err, OB_ERR_IO, "%s: %zu bytes, but at most %zu are allowed", path, bytes, max_bytes);
        goto done;
    }
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot read", path);
            goto done;
        }
        if (got == 0)
            break;
        if ((size_t)got > max_bytes - total) {
            status = ob_error_set(err, OB_ERR_IO, "%s: more than the %zu bytes that are allowed", path, max_bytes);
            goto done;
        }
        total += (size_t)got;
        ob_strbuf_append(out, chunk, (size_t)got);
    }
    if (out->failed)
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for %zu bytes", path, total);
done:
    close(fd);
    return status;
}

ob_status ob_mapping_open(const char *path, ob_mapping *out, ob_error *err)
{
    int fd;
    size_t bytes;
    ob_status status = open_regular(path, &fd, &bytes, err);
    if (status != OB_OK)
        return status;
    ob_mapping mapping = {NULL, bytes};
    if (bytes > 0) {
        void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot map %zu bytes", path, bytes);
            close(fd);
            return status;
        }
        mapping.data = data;
    }
    close(fd);
    *out = mapping;
    return OB_OK;
}

void ob_mapping_close(ob_mapping *mapping)
{
    if (mapping->data != NULL)
        munmap((void *)(uintptr_t)mapping->data, mapping->bytes);
    *mapping = (ob_mapping){NULL, 0};
}

void ob_mapping_forget(const void *data, size_t bytes)
{
    /* Only whole pages inside the range: its neighbours may still be wanted. */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

struct ob_atomic_file {
    char *path, *temporary, *folder;
    int fd;
    bool overwrite, committed;
};

/* Beside the target, so that the rename stays within one file system. */
static bool make_names(ob_atomic_file *file, const char *path)
{
    const char *slash = strrchr(path, '/');
    file->path = ob_strdup(path);
    file->folder = slash == NULL ? ob_strdup(".") : ob_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    ob_strbuf name = OB_STRBUF_INIT;
    ob_strbuf_printf(&name, "%s.%ld.tmp", path, (long)getpid());
    file->temporary = name.failed ? NULL : name.data;
    if (name.failed)
        ob_strbuf_release(&name);
    return file->path != NULL && file->folder != NULL && file->temporary != NULL;
}

ob_status ob_atomic_file_create(const char *path, bool overwrite, ob_atomic_file **out, ob_error *err)
{
    ob_atomic_file *file = ob_calloc(1, sizeof *file);
    if (file == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", path);
    file->fd = -1;
    file->overwrite = overwrite;
    struct stat info;
    if (!make_names(file, path)) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", path);
        goto fail;
    }
    if (lstat(path, &info) == 0) {
        if (!overwrite) {
            ob_error_set(err, OB_ERR_IO, "%s: exists already (output.overwrite: true replaces it)", path);
            goto fail;
        }
        if (!S_ISREG(info.st_mode)) {
            ob_error_set(err, OB_ERR_IO, "%s: not a regular file, so it cannot be replaced", path);
            goto fail;
        }
    }
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    file->fd = open(file->temporary, flags, 0666);
    if (file->fd < 0 && errno == EEXIST) {
        /* Left by a process of our number that died: nobody else writes this name. */
        unlink(file->temporary);
        file->fd = open(file->temporary, flags, 0666);
    }
    if (file->fd < 0) {
        ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot create", file->temporary);
        ob_free(file->temporary);
        file->temporary = NULL;
        goto fail;
    }
    *out = file;
    return OB_OK;
fail:
    ob_atomic_file_destroy(file);
    return ob_error_status(err);
}

ob_status ob_atomic_file_write(ob_atomic_file *file, const void *bytes, size_t count, ob_error *err)
{
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = write(file->fd, next, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot write", file->path);
        next += written;
        count -= (size_t)written;
    }
    return OB_OK;
}

ob_status ob_atomic_file_copy(ob_atomic_file *file, int source, const char *source_name, ob_error *err)
{
    char chunk[65536];
    off_t at = 0;
    for (;;) {
        ssize_t got = pread(source, chunk, sizeof chunk, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot read back", source_name);
        if (got == 0)
            return OB_OK;
        ob_status status = ob_atomic_file_write(file, chunk, (size_t)got, err);
        if (status != OB_OK)
            return status;
        at += got;
    }
}

/* Without this a rename may not survive a power cut. Some file systems cannot sync a folder, which is no failure. */
static ob_status sync_folder(const char *folder, ob_error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return OB_OK;
    ob_status status = OB_OK;
    if (fsync(fd) != 0 && errno == EIO)
        status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot sync the folder", folder);
    close(fd);
    return status;
}

/* Gives the temporary file its name. Where nothing may be replaced, a link also refuses a file that came up meanwhile;
 * file systems without links get a rename. */
static bool publish(const ob_atomic_file *file)
{
    if (!file->overwrite) {
        if (link(file->temporary, file->path) == 0)
            return unlink(file->temporary) == 0;
        if (errno == EEXIST)
            return false;
    }
    return rename(file->temporary, file->path) == 0;
}

ob_status ob_atomic_file_commit(ob_atomic_file *file, ob_error *err)
{
    if (fsync(file->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot write to the disk", file->path);
    int closed = close(file->fd);
    file->fd = -1;
    if (closed != 0)
        return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot close", file->path);
    if (!publish(file))
        return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot rename '%s' to it", file->path, file->temporary);
    file->committed = true;
    return sync_folder(file->folder, err);
}

void ob_atomic_file_destroy(ob_atomic_file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    if (!file->committed && file->temporary != NULL)
        unlink(file->temporary);
    ob_free(file->path);
    ob_free(file->temporary);
    ob_free(file->folder);
    ob_free(file);
}
