/* Opens, writes and commits whatever the format. */
#define _DEFAULT_SOURCE /* mkstemp */
#include "writer_internal.h"

#include <errno.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const ob__format *const formats[] = {&ob__format_jsonl, &ob__format_csv, &ob__format_safetensors,
                                            &ob__format_npy};
#define FORMAT_COUNT (sizeof formats / sizeof *formats)

static const ob__format *find_format(ob_output_format format)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (formats[i]->format == format)
            return formats[i];
    return NULL;
}

bool ob_output_format_from_path(const char *path, ob_output_format *out)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        size_t ending = strlen(formats[i]->ending);
        if (length > ending && strcmp(path + length - ending, formats[i]->ending) == 0) {
            *out = formats[i]->format;
            return true;
        }
    }
    return false;
}

const char *ob_output_format_name(ob_output_format format)
{
    const ob__format *found = find_format(format);
    return found != NULL ? found->name : "auto";
}

bool ob_output_format_takes(ob_output_format format, ob_record_kind kind)
{
    const ob__format *found = find_format(format);
    return found != NULL && (found->kinds & 1u << kind) != 0;
}

/* A file without a name, beside the output, for numbers whose header comes last. */
static ob_status open_data(ob_writer *w, ob_error *err)
{
    const char *slash = strrchr(w->path, '/');
    ob_strbuf name = OB_STRBUF_INIT;
    ob_strbuf_printf(&name, "%.*s.oberta-XXXXXX", slash != NULL ? (int)(slash - w->path + 1) : 0, w->path);
    if (name.failed) {
        ob_strbuf_release(&name);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", w->path);
    }
    w->data = mkstemp(name.data);
    ob_status status = OB_OK;
    if (w->data < 0)
        status = ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot create a temporary file beside it", w->path);
    else
        unlink(name.data);
    ob_strbuf_release(&name);
    return status;
}

ob_status ob_writer_create(const char *path, ob_output_format format, bool overwrite, ob_writer **out, ob_error *err)
{
    ob_writer *w = ob_calloc(1, sizeof *w);
    if (w == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a writer");
    w->data = -1;
    w->format = find_format(format);
    w->standard_output = strcmp(path, "-") == 0;
    w->path = ob_strdup(w->standard_output ? "standard output" : path);
    if (w->format == NULL || w->path == NULL) {
        ob_error_set(err, OB_ERR_INTERNAL, "%s: no format", path);
        goto fail;
    }
    bool binary = w->format->binary;
    if (binary && w->standard_output) {
        ob_error_set(err, OB_ERR_CONFIG, "output.path: %s needs a file, not standard output", w->format->name);
        goto fail;
    }
    if (!w->standard_output && ob_atomic_file_create(path, overwrite, &w->file, err) != OB_OK)
        goto fail;
    if (binary && open_data(w, err) != OB_OK)
        goto fail;
    *out = w;
    return OB_OK;
fail:
    ob_writer_destroy(w);
    return ob_error_status(err);
}

static ob_status put_all(int fd, const char *path, const void *bytes, size_t count, ob_error *err)
{
    for (const char *next = bytes; count > 0;) {
        ssize_t written = write(fd, next, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return ob_error_set_errno(err, OB_ERR_IO, errno, "%s: cannot write", path);
        next += written;
        count -= (size_t)written;
    }
    return OB_OK;
}

ob_status ob__writer_put(ob_writer *w, const void *bytes, size_t count, ob_error *err)
{
    if (!w->standard_output)
        return ob_atomic_file_write(w->file, bytes, count, err);
    return put_all(STDOUT_FILENO, w->path, bytes, count, err);
}

ob_status ob__writer_put_data(ob_writer *w, const void *bytes, size_t count, ob_error *err)
{
    return put_all(w->data, w->path, bytes, count, err);
}

ob_status ob_writer_write(ob_writer *w, const ob_record *record, ob_error *err)
{
    if ((w->format->kinds & 1u << record->kind) == 0) {
        if (record->kind != OB_RECORD_ERROR)
            return ob_error_set(err, OB_ERR_INTERNAL, "%s: %s cannot hold this record", w->path, w->format->name);
        ob_log(OB_LOG_WARN, "output", "row %llu is not in %s: %s", (unsigned long long)record->row, w->path,
               record->error_message);
        return OB_OK;
    }
    ob_strbuf_clear(&w->buffer);
    ob_status status = w->format->append(w, record, &w->buffer, err);
    if (status != OB_OK)
        return status;
    if (w->buffer.failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for row %llu", w->path,
                            (unsigned long long)record->row);
    return ob__writer_put(w, ob_strbuf_text(&w->buffer), w->buffer.length, err);
}

ob_status ob_writer_commit(ob_writer *w, ob_error *err)
{
    if (w->format->finish != NULL && w->format->finish(w, err) != OB_OK)
        return ob_error_status(err);
    return w->standard_output ? OB_OK : ob_atomic_file_commit(w->file, err);
}

void ob_writer_destroy(ob_writer *w)
{
    if (w == NULL)
        return;
    ob_atomic_file_destroy(w->file);
    if (w->data >= 0)
        close(w->data);
    ob_strbuf_release(&w->buffer);
    ob_strbuf_release(&w->header);
    ob_strbuf_release(&w->waiting);
    ob_strbuf_release(&w->scratch);
    ob_free(w->path);
    ob_free(w);
}
