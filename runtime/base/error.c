/* Error texts are composed in place; nothing here allocates. */
#include <oberta/error.h>
#include <stdbool.h>
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

/* Puts `task` before what begins at `at`; where the task's length ends, 0 where nothing more fits. */
static size_t insert_task(ob_error *err, size_t at, const char *task)
{
    size_t task_length = strlen(task), length = strlen(err->text + at);
    if (at + task_length + 1 >= OB_ERROR_TEXT_BYTES)
        return 0;
    bool cut = at + task_length + length >= OB_ERROR_TEXT_BYTES;
    if (cut)
        length = OB_ERROR_TEXT_BYTES - at - task_length - 1;
    memmove(err->text + at + task_length, err->text + at, length);
    err->text[at + task_length + length] = '\0';
    memcpy(err->text + at, task, task_length);
    if (cut)
        mark_cut(err);
    return at + task_length;
}

/* "<task>: "; false where the format is wrong. */
static bool format_task(char *task, size_t bytes, const char *format, va_list args)
{
    if (vsnprintf(task, bytes - 2, format, args) < 0)
        return false;
    memcpy(task + strlen(task), ": ", 3);
    return true;
}

void ob_error_prefix(ob_error *err, const char *format, ...)
{
    char task[512];
    va_list args;
    va_start(args, format);
    if (err != NULL && format_task(task, sizeof task, format, args))
        (void)insert_task(err, 0, task);
    va_end(args);
}

void ob_error_prefix_each(ob_error *err, const char *format, ...)
{
    char task[512];
    va_list args;
    va_start(args, format);
    if (err != NULL && format_task(task, sizeof task, format, args))
        for (size_t at = insert_task(err, 0, task); at > 0;) {
            const char *end = strchr(err->text + at, '\n');
            at = end != NULL ? insert_task(err, (size_t)(end - err->text) + 1, task) : 0;
        }
    va_end(args);
}

ob_status ob_error_status(const ob_error *err)
{
    return err != NULL && err->status != OB_OK ? err->status : OB_ERR_INTERNAL;
}
