/* read() in chunks; lines end at 0x0A alone, since U+2028 and its like are ordinary characters of a row. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <oberta/memory.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)256 << 10)

ob_status ob__stream_open(const char *path, ob__stream *out, ob_error *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    ob__stream s = {.fd = -1, .at_start = true, .line = 1, .name = standard_input ? "standard input" : path};
    s.fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0)
        return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot open", path);
    struct stat info;
    ob_status status = OB_OK;
    if (fstat(s.fd, &info) != 0)
        status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot examine", s.name);
    else if (S_ISDIR(info.st_mode))
        status = ob_error_set(err, OB_ERR_IO, "%s: a folder, not a file of rows", s.name);
    else if (S_ISREG(info.st_mode))
        s.total = (uint64_t)info.st_size;
    if (status == OB_OK && (s.buffer = ob_malloc(CHUNK_BYTES)) == NULL)
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory to read it", s.name);
    if (status == OB_OK)
        *out = s;
    else if (!standard_input)
        close(s.fd);
    return status;
}

ob_status ob__stream_from_memory(const char *text, size_t bytes, ob__stream *out, ob_error *err)
{
    ob__stream s = {.fd = -1, .at_start = true, .line = 1, .name = "memory", .ended = true, .end = bytes};
    s.total = bytes;
    s.buffer = ob_strndup(text, bytes);
    if (s.buffer == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu bytes", bytes);
    *out = s;
    return OB_OK;
}

void ob__stream_close(ob__stream *s)
{
    if (s->fd > STDIN_FILENO)
        close(s->fd);
    ob_free(s->buffer);
    *s = (ob__stream){.fd = -1};
}

#define MARK       "\xEF\xBB\xBF" /* the byte order mark */
#define MARK_BYTES 3

static void skip_byte_order_mark(ob__stream *s)
{
    if (s->at_start && s->end - s->begin >= MARK_BYTES && memcmp(s->buffer + s->begin, MARK, MARK_BYTES) == 0) {
        s->begin += MARK_BYTES;
        s->offset += MARK_BYTES;
    }
    s->at_start = false;
}

/* A pipe may give a byte order mark in pieces; anything else is not waited for, as a person may be typing it. */
static bool needs_more(const ob__stream *s)
{
    return s->end == 0 || (s->at_start && s->end < MARK_BYTES && memcmp(s->buffer, MARK, s->end) == 0);
}

/* Reads until something is buffered or the source ends. */
static ob_status fill(ob__stream *s, ob_error *err)
{
    while (s->begin == s->end && !s->ended) {
        s->begin = s->end = 0;
        while (needs_more(s) && !s->ended) {
            ssize_t got = read(s->fd, s->buffer + s->end, CHUNK_BYTES - s->end);
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return ob_error_set_errno(err, OB_ERR_IO, errno, "%s:%llu: cannot read", s->name,
                                          (unsigned long long)s->line);
            s->ended = got == 0;
            s->end += (size_t)got;
        }
    }
    skip_byte_order_mark(s);
    return OB_OK;
}

ob_status ob__stream_byte(ob__stream *s, int *byte, ob_error *err)
{
    if (s->begin == s->end || s->at_start) {
        ob_status status = fill(s, err);
        if (status != OB_OK)
            return status;
    }
    if (s->begin == s->end) {
        *byte = -1;
        return OB_OK;
    }
    *byte = (unsigned char)s->buffer[s->begin++];
    s->offset++;
    s->line += *byte == '\n';
    return OB_OK;
}

ob_status ob__stream_line(ob__stream *s, ob_strbuf *line, bool *more, ob_error *err)
{
    uint64_t start = s->offset;
    *more = false;
    for (;;) {
        if (s->begin == s->end || s->at_start) {
            ob_status status = fill(s, err);
            if (status != OB_OK)
                return status;
            if (s->begin == s->end)
                break;
        }
        *more = true;
        const char *at = s->buffer + s->begin, *newline = memchr(at, '\n', s->end - s->begin);
        size_t count = newline != NULL ? (size_t)(newline - at) : s->end - s->begin;
        if (count > OB__ROW_MAX_BYTES - line->length)
            return ob_error_set(err, OB_ERR_INPUT, "%s:%llu: the row that begins at byte %llu is longer than 64 MiB",
                                s->name, (unsigned long long)s->line, (unsigned long long)start);
        ob_strbuf_append(line, at, count);
        s->begin += count + (newline != NULL);
        s->offset += count + (newline != NULL);
        s->line += newline != NULL;
        if (newline != NULL)
            break;
    }
    if (line->failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s:%llu: no memory for a row", s->name,
                            (unsigned long long)s->line);
    if (line->length > 0 && line->data[line->length - 1] == '\r')
        line->data[--line->length] = '\0';
    return OB_OK;
}

bool ob__stream_ready(const ob__stream *s)
{
    if (s->begin < s->end || s->ended || s->total > 0)
        return true;
    struct pollfd wait = {.fd = s->fd, .events = POLLIN};
    return poll(&wait, 1, 0) != 0;
}
