/* Bytes of one input, read in chunks. Internal to host/input. */
#ifndef OBERTA_INPUT_STREAM_H
#define OBERTA_INPUT_STREAM_H

#include <oberta/error.h>
#include <oberta/strbuf.h>
#include <stdint.h>

#define OB__ROW_MAX_BYTES ((size_t)64 << 20)

typedef struct ob__stream {
    int fd; /* -1: the text given to ob__stream_from_memory */
    char *buffer;
    size_t begin, end; /* what is buffered and not yet taken */
    bool ended;        /* the source has no more */
    bool at_start;     /* nothing was taken yet: a byte order mark may stand here */
    uint64_t offset;   /* bytes taken */
    uint64_t total;    /* of a regular file, else 0 */
    uint64_t line;     /* 1-based line of the next byte */
    const char *name;  /* for messages */
} ob__stream;

/* "-" is standard input. A folder is refused; a pipe is fine. */
ob_status ob__stream_open(const char *path, ob__stream *out, ob_error *err);
/* For tests and fuzzers; copies. */
ob_status ob__stream_from_memory(const char *text, size_t bytes, ob__stream *out, ob_error *err);
void ob__stream_close(ob__stream *stream);

/* The next byte, or -1 at the end. */
ob_status ob__stream_byte(ob__stream *stream, int *byte, ob_error *err);

/* Appends a line to `line`, without its end (one 0x0A, and one 0x0D before it). *more false: nothing was left. A line
 * above the limit is OB_ERR_INPUT with its place. */
ob_status ob__stream_line(ob__stream *stream, ob_strbuf *line, bool *more, ob_error *err);

/* True where a byte is buffered, or can be read without waiting. */
bool ob__stream_ready(const ob__stream *stream);

#endif
