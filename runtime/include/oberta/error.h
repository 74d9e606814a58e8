/* The one error idiom: a status to return, and a text that reads from the task down to the cause.
 *
 * The callee sets the cause, each caller may prefix its task, the program prints the whole. The text lives inside the
 * struct, so reporting "out of memory" needs none. An ob_error belongs to one thread. Every function here takes NULL
 * for `err` and then only returns the status. */
#ifndef OBERTA_ERROR_H
#define OBERTA_ERROR_H

#include <oberta/api.h>
#include <oberta/status.h>
#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OB_ERROR_TEXT_BYTES 16384

typedef struct ob_error {
    ob_status status;
    char text[OB_ERROR_TEXT_BYTES]; /* NUL-terminated; several defects are lines of their own */
} ob_error;

#if defined(__GNUC__)
#define OB_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define OB_PRINTF(format_index, first_argument)
#endif

/* Makes `err` say success. Every ob_error must pass through here before its first use. */
OB_API void ob_error_clear(ob_error *err);

/* Replaces status and text. Returns `status`. A text that is too long ends in "...". */
OB_API ob_status ob_error_set(ob_error *err, ob_status status, const char *format, ...) OB_PRINTF(3, 4);
OB_API ob_status ob_error_set_va(ob_error *err, ob_status status, const char *format, va_list args);

/* As ob_error_set, with ": <text of errno_value>" at the end. */
OB_API ob_status ob_error_set_errno(ob_error *err, ob_status status, int errno_value, const char *format, ...)
    OB_PRINTF(4, 5);

/* Appends one more defect as a line of its own; the first one decides the status. Returns the status of `err`. */
OB_API ob_status ob_error_add(ob_error *err, ob_status status, const char *format, ...) OB_PRINTF(3, 4);

/* Puts "<task>: " before the text. */
OB_API void ob_error_prefix(ob_error *err, const char *format, ...) OB_PRINTF(2, 3);

/* The same before each line, where lines are defects of one thing. */
OB_API void ob_error_prefix_each(ob_error *err, const char *format, ...) OB_PRINTF(2, 3);

/* The status; OB_ERR_INTERNAL for NULL, so that a failing path never returns success. */
OB_API ob_status ob_error_status(const ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
