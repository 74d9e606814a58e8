/* How the program speaks: errors, escaped text, numbers for people. */
#include "cli.h"

#include <errno.h>
#include <oberta/utf8.h>
#include <stdarg.h>
#include <string.h>

int cli_fail(const cli_context *ctx, const ob_error *err)
{
    fflush(stdout);
    bool red = ctx->err_is_terminal && ctx->colour;
    if (red)
        fputs("\033[31m", stderr);
    /* Messages quote files and rows, which must not speak to the terminal; build logs have tabs. */
    for (const char *at = err->text; *at != '\0';) {
        size_t length = strcspn(at, "\n\t");
        cli_print_text(stderr, at, length);
        at += length;
        if (*at != '\0')
            fputc(*at++, stderr);
    }
    fputs(red ? "\033[0m\n" : "\n", stderr);
    return ob_status_exit_code(ob_error_status(err));
}

int cli_usage(const cli_context *ctx, const char *format, ...)
{
    fflush(stdout);
    fprintf(stderr, "oberta%s%s: ", ctx->command != NULL ? " " : "", ctx->command != NULL ? ctx->command : "");
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return ob_status_exit_code(OB_ERR_USAGE);
}

void cli_print_text(FILE *file, const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        if (ob_utf8_invalid_at(text + at, bytes - at < 4 ? bytes - at : 4) == 0) {
            fprintf(file, "\\x%02x", (unsigned char)text[at++]);
            continue;
        }
        size_t length;
        uint32_t c = ob_utf8_decode(text + at, &length);
        if (c == '\n')
            fputs("\\n", file);
        else if (c == '\r')
            fputs("\\r", file);
        else if (c == '\t')
            fputs("\\t", file);
        else if (c < 0x20 || (c >= 0x7F && c < 0xA0))
            fprintf(file, "\\x%02x", (unsigned)c);
        else
            fwrite(text + at, 1, length, file);
        at += length;
    }
}

void cli_print_lines(FILE *file, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        cli_print_text(file, text, length);
        fputc('\n', file);
        text += length + (text[length] == '\n');
    }
}

size_t cli_text_width(const char *text, size_t bytes)
{
    size_t width = 0;
    for (size_t at = 0; at < bytes;) {
        if (ob_utf8_invalid_at(text + at, bytes - at < 4 ? bytes - at : 4) == 0) {
            width += 4;
            at++;
            continue;
        }
        size_t length;
        uint32_t c = ob_utf8_decode(text + at, &length);
        if (c == '\n' || c == '\r' || c == '\t')
            width += 2;
        else if (c < 0x20 || (c >= 0x7F && c < 0xA0))
            width += 4;
        else /* East Asian letters and emoji are two columns wide on nearly every terminal */
            width += (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                             (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFF00 && c <= 0xFF60) ||
                             (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD)
                         ? 2
                         : 1;
        at += length;
    }
    return width;
}

void cli_format_bytes(char out[16], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 16, unit > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void cli_format_count(char out[32], uint64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void cli_format_scaled(char out[16], uint64_t value)
{
    if (value >= 999500) /* what would round to 1000 K */
        snprintf(out, 16, "%.1f M", (double)value * 1e-6);
    else if (value >= 1000)
        snprintf(out, 16, "%.0f K", (double)value * 1e-3);
    else
        snprintf(out, 16, "%u", (unsigned)value);
}

int cli_finish_output(const cli_context *ctx, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "oberta%s%s: standard output: cannot write: %s\n", ctx->command != NULL ? " " : "",
            ctx->command != NULL ? ctx->command : "", strerror(errno));
    return status != 0 ? status : ob_status_exit_code(OB_ERR_IO);
}
