/* Strings and numbers as JSON writes them. */
#include <oberta/utf8.h>
#include <oberta/writer.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* U+2028 and U+2029 end lines in JavaScript and in some readers of JSONL. */
static bool is_line_separator(const char *text, size_t left)
{
    return left >= 3 && memcmp(text, "\xE2\x80", 2) == 0 && ((unsigned char)text[2] & 0xFE) == 0xA8;
}

void ob_json_append_string(ob_strbuf *out, const char *text, size_t bytes)
{
    size_t begin = 0;
    ob_strbuf_putc(out, '"');
    for (size_t at = 0; at < bytes; at++) {
        unsigned char c = (unsigned char)text[at];
        bool separator = c == 0xE2 && is_line_separator(text + at, bytes - at);
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F && !separator)
            continue;
        ob_strbuf_append(out, text + begin, at - begin);
        if (c == '"' || c == '\\')
            ob_strbuf_printf(out, "\\%c", c);
        else if (c == '\n')
            ob_strbuf_puts(out, "\\n");
        else if (c == '\t')
            ob_strbuf_puts(out, "\\t");
        else if (c == '\r')
            ob_strbuf_puts(out, "\\r");
        else if (separator)
            ob_strbuf_puts(out, text[at + 2] == '\xA8' ? "\\u2028" : "\\u2029");
        else
            ob_strbuf_printf(out, "\\u%04x", c);
        at += separator ? 2 : 0;
        begin = at + 1;
    }
    if (begin < bytes)
        ob_strbuf_append(out, text + begin, bytes - begin);
    ob_strbuf_putc(out, '"');
}

/* A decimal: its digits without trailing zeros, the first one worth 10^exponent. */
typedef struct decimal {
    char digits[24];
    int count, exponent;
} decimal;

static void strip_zeros(decimal *d)
{
    while (d->count > 1 && d->digits[d->count - 1] == '0')
        d->count--;
}

/* value * 10^power in at most three roundings; a double holds powers of ten exactly up to 10^22. */
static double scale(double value, int power)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    for (; power > 22; power -= 22)
        value *= powers[22];
    for (; power < -22; power += 22)
        value /= powers[22];
    return power < 0 ? value / powers[-power] : value * powers[power];
}

/* The middle between `value` and the float whose bits differ by `step`; exact in a double. */
static double middle_to(float value, uint32_t step)
{
    uint32_t bits;
    float other;
    memcpy(&bits, &value, sizeof bits);
    bits += step;
    memcpy(&other, &bits, sizeof other);
    return ((double)value + (double)other) / 2;
}

static void write_digits(uint32_t number, decimal *out)
{
    char reversed[16];
    out->count = 0;
    for (; number > 0; number /= 10)
        reversed[out->count++] = (char)('0' + number % 10);
    for (int i = 0; i < out->count; i++)
        out->digits[i] = reversed[out->count - 1 - i];
}

/* Every decimal between the middles to the two neighbours reads back as `value`. All three are scaled to nine digits,
 * where the middles are at least 2.9 from the value and the roundings of `scale` below 1e-6: the shortest candidate
 * between them is found without parsing. False where a candidate is too close to a middle to tell. `value` is normal,
 * positive and not the largest float. */
static bool shorten_fast(float value, decimal *out)
{
    static const double units[] = {1e3, 1e2, 1e1, 1e0};
    const double margin = 1e-5;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    /* The binary exponent gives the decimal one or one less: 30103 / 100000 is log10(2). */
    int binary = (int)(bits >> 23) - 127;
    int exponent = (binary * 30103 - (binary < 0 ? 99999 : 0)) / 100000;
    if (scale((double)value, 8 - exponent) >= 1e9)
        exponent++;
    double scaled = scale((double)value, 8 - exponent);
    double low = scale(middle_to(value, UINT32_MAX), 8 - exponent); /* minus one */
    double high = scale(middle_to(value, 1), 8 - exponent);
    for (int digits = 6; digits <= 9; digits++) {
        double unit = units[digits - 6], whole = floor(scaled / unit + 0.5), candidate = whole * unit;
        if (candidate > low + margin && candidate < high - margin) {
            write_digits((uint32_t)whole, out);
            out->exponent = exponent + out->count - digits; /* 9.99999... may have become 10.0000 */
            strip_zeros(out);
            return true;
        }
        if (candidate >= low - margin && candidate <= high + margin)
            return false;
    }
    return false;
}

/* What "d.ddde-XX" says, whatever the locale's point. */
static void read_scientific(const char *text, decimal *out)
{
    const char *e = strchr(text, 'e');
    out->count = 0;
    for (const char *at = text; at < e; at++)
        if (*at >= '0' && *at <= '9')
            out->digits[out->count++] = *at;
    out->exponent = (int)strtol(e + 1, NULL, 10);
    strip_zeros(out);
}

/* The same by trial: subnormal numbers have few digits, and a candidate at a middle needs an exact answer. */
static void shorten_slowly(float value, decimal *out)
{
    char text[48];
    for (int digits = 1; digits <= 9; digits++) { /* nine always read back as the same float */
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (digits == 9 || strtof(text, NULL) == value)
            break;
    }
    read_scientific(text, out);
}

static void shorten_double(double value, decimal *out)
{
    char text[48];
    for (int digits = 1; digits <= 17; digits++) { /* seventeen always read back as the same double */
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (digits == 17 || strtod(text, NULL) == value)
            break;
    }
    read_scientific(text, out);
}

/* As Python's json.dumps: always a point or an exponent, so that a column of numbers keeps one type. */
static size_t format_decimal(const decimal *d, char *out)
{
    size_t at = 0;
    bool scientific = d->exponent < -4 || d->exponent >= 16;
    int point = scientific ? 1 : d->exponent + 1; /* digits before the point */
    if (point <= 0) {
        out[at++] = '0';
        out[at++] = '.';
        for (int i = point; i < 0; i++)
            out[at++] = '0';
    }
    for (int i = 0; i < d->count || i < point; i++) {
        if (i == point && i > 0)
            out[at++] = '.';
        out[at++] = i < d->count ? d->digits[i] : '0';
    }
    if (scientific) {
        at += (size_t)snprintf(out + at, 8, "e%d", d->exponent);
    } else if (d->count <= point) {
        out[at++] = '.';
        out[at++] = '0';
    }
    return at;
}

void ob_json_append_float(ob_strbuf *out, float value)
{
    if (!isfinite(value)) {
        ob_strbuf_puts(out, "null");
        return;
    }
    char text[48] = "-";
    size_t sign = signbit(value) ? 1 : 0;
    float magnitude = fabsf(value);
    decimal d = {.digits = "0", .count = 1, .exponent = 0};
    if (magnitude > 0 && (magnitude < FLT_MIN || magnitude == FLT_MAX || !shorten_fast(magnitude, &d)))
        shorten_slowly(magnitude, &d);
    ob_strbuf_append(out, text, sign + format_decimal(&d, text + sign));
}

void ob_json_append_double(ob_strbuf *out, double value)
{
    if (!isfinite(value)) {
        ob_strbuf_puts(out, "null");
        return;
    }
    char text[48] = "-";
    size_t sign = signbit(value) ? 1 : 0;
    decimal d;
    shorten_double(fabs(value), &d);
    ob_strbuf_append(out, text, sign + format_decimal(&d, text + sign));
}
