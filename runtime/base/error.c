/* Error texts are composed in place; nothing here allocates. */
#include <oberta/error.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(ob_error *err)
{
    memcpy(err->text + OB_ERROR_TEXT_BYTES - 4, "...", 4);
}

static void append_va(ob_error *err, size_t at, const char *format, va_list args)
{
    size_t room = OB_ERROR_TEXT_BYTES - at;
    int written = vsnprintf(err->text + at, room, format, args);
    if (written < 0)
        err->text[at] = '\0';
    else if ((size_t)written >= room)
        mark_cut(err);
}

void ob_error_clear(ob_error *err)
{
    if (err == NULL)
        return;
    err->status = OB_OK;
    err->text[0] = '\0';
}

ob_status ob_error_set_va(ob_error *err, ob_status status, const char *format, va_list args)
{
    if (err == NULL)
        return status;
    err->status = status;
    append_va(err, 0, format, args);
    return status;
}

ob_status ob_error_set(ob_error *err, ob_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ob_error_set_va(err, status, format, args);
    va_end(args);
    return status;
}

ob_status ob_error_set_errno(ob_error *err, ob_status status, int errno_value, const char *format, ...)
{
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    ob_error_set_va(err, status, format, args);
    va_end(args);
    char reason[128];
    if (strerror_r(errno_value, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", errno_value);
    size_t length = strlen(err->text);
    if (snprintf(err->text + length, OB_ERROR_TEXT_BYTES - length, ": %s", reason) >=
        (int)(OB_ERROR_TEXT_BYTES - length))
        mark_cut(err);
    return status;
}

ob_status ob_error_add(ob_error *err, ob_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    size_t length = 0;
    if (err->status == OB_OK) {
        err->status = status;
    } else {
        length = strlen(err->text);
        if (length + 2 >= OB_ERROR_TEXT_BYTES) {
            mark_cut(err);
            return err->status;
        }
        err->text[length++] = '\n';
    }
    va_list args;
    va_start(args, format);
    append_va(err, length, format, args);
    va_end(args);
    return err->status;
}

void ob_error_prefix(ob_error *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char task[512];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(task, sizeof task - 2, format, args);
    va_end(args);
    if (written < 0)
        return;
    size_t task_length = strlen(task);
    memcpy(task + task_length, ": ", 3);
    task_length += 2;
    size_t length = strlen(err->text);
    if (task_length + length >= OB_ERROR_TEXT_BYTES) {
        length = OB_ERROR_TEXT_BYTES - task_length - 1;
        memmove(err->text + task_length, err->text, length);
        mark_cut(err);
    } else {
        memmove(err->text + task_length, err->text, length + 1);
    }
    memcpy(err->text, task, task_length);
}

ob_status ob_error_status(const ob_error *err)
{
    return err != NULL && err->status != OB_OK ? err->status : OB_ERR_INTERNAL;
}
