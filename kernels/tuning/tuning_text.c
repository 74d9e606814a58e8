/* Tables as text: a strict reader, line by line, and the writer. */
#include "tuning_internal.h"

#include <math.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS      9
#define MAX_SIZE    ((size_t)INT32_MAX / 2) /* kernels count in int */
#define MAX_DEFECTS 20

typedef struct reader {
    ob_tuning *tuning;
    const char *name; /* of the file, as the entries keep it */
    unsigned file;
    size_t line, defects;
    size_t ignored; /* entries of other operators */
    ob_error *err;
} reader;

static void OB_PRINTF(2, 3) defect(reader *r, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r->defects++ < MAX_DEFECTS)
        ob_error_add(r->err, OB_ERR_CONFIG, "%s:%zu: %s", r->name, r->line, text);
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
        text[--length] = '\0';
    return text + strspn(text, " \t");
}

static size_t split(char *line, char *fields[FIELDS + 1])
{
    size_t count = 0;
    for (char *next; line != NULL && count <= FIELDS; line = next) {
        next = strchr(line, '|');
        if (next != NULL)
            *next++ = '\0';
        fields[count++] = trim(line);
    }
    return count;
}

/* Cuts a field into exactly `count` words. */
static bool words(reader *r, char *field, const char *what, size_t count, const char **out)
{
    size_t found = 0;
    char *rest = NULL;
    for (char *word = strtok_r(field, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
        if (found < count)
            out[found] = word;
        found++;
    }
    if (found != count)
        defect(r, "%s: %zu values, but %zu are expected", what, found, count);
    return found == count;
}

static bool read_size(reader *r, const char *text, const char *what, size_t *out)
{
    size_t value = 0, at = 0;
    for (; text[at] >= '0' && text[at] <= '9' && value <= MAX_SIZE; at++)
        value = value * 10 + (size_t)(text[at] - '0');
    if (at == 0 || text[at] != '\0' || value == 0 || value > MAX_SIZE) {
        defect(r, "%s: '%.40s' is not a number between 1 and %zu", what, text, MAX_SIZE);
        return false;
    }
    *out = value;
    return true;
}

static bool read_measure(reader *r, const char *text, const char *what, double *out)
{
    *out = OB_TUNING_UNMEASURED;
    if (strcmp(text, "-") == 0)
        return true;
    char *end = NULL;
    bool plain = strspn(text, "0123456789.e+-") == strlen(text);
    double value = plain ? strtod(text, &end) : -1;
    if (!plain || *end != '\0' || end == text || !isfinite(value) || value < 0) {
        defect(r, "%s: '%.40s' is neither a number from 0 on nor '-'", what, text);
        return false;
    }
    *out = value;
    return true;
}

static bool read_measures(reader *r, char *field, const char *what, double out[OB_TUNING_M_CLASSES])
{
    const char *texts[OB_TUNING_M_CLASSES];
    if (!words(r, field, what, OB_TUNING_M_CLASSES, texts))
        return false;
    for (size_t i = 0; i < OB_TUNING_M_CLASSES; i++)
        if (!read_measure(r, texts[i], what, &out[i]))
            return false;
    return true;
}

static bool read_entry(reader *r, char *fields[FIELDS], ob_tuning_entry *e)
{
    static const char *const names[FIELDS] = {"platform", "device",   "driver", "operator", "n k",
                                              "provider", "variants", "GFLOPS", "gain"};
    const char *sizes[2];
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i][0] == '\0') {
            defect(r, "%s: empty", names[i]);
            return false;
        }
    *e = (ob_tuning_entry){.platform = fields[0],
                           .device = fields[1],
                           .driver = fields[2],
                           .op = fields[3],
                           .provider = fields[5],
                           .file = r->name,
                           .line = r->line};
    return words(r, fields[4], "n k", 2, sizes) && read_size(r, sizes[0], "n", &e->n) &&
           read_size(r, sizes[1], "k", &e->k) && words(r, fields[6], "variants", OB_TUNING_M_CLASSES, e->variants) &&
           read_measures(r, fields[7], "GFLOPS", e->gflops) && read_measures(r, fields[8], "gain", e->gain);
}

/* The line of this file that has the same key already; 0: none. */
static size_t line_of(const reader *r, const ob_tuning_entry *e)
{
    for (size_t i = r->tuning->count; i > 0 && r->tuning->rows[i - 1].file == r->file; i--) {
        const ob_tuning_entry *o = &r->tuning->rows[i - 1].entry;
        if (o->n == e->n && o->k == e->k && strcmp(o->op, e->op) == 0 && strcmp(o->platform, e->platform) == 0 &&
            strcmp(o->device, e->device) == 0 && strcmp(o->driver, e->driver) == 0)
            return o->line;
    }
    return 0;
}

/* Takes `text`, one line that is neither empty nor comment. */
static ob_status read_line(reader *r, char *text)
{
    char *fields[FIELDS + 1];
    ob_tuning_entry entry;
    size_t count = split(text, fields), before;
    bool other = count > 3 && fields[3][0] != '\0' && strcmp(fields[3], "gemm") != 0;
    if (other) {
        r->ignored++;
    } else if (count != FIELDS) {
        defect(r, "%zu fields between '|', but %d are expected", count, FIELDS);
    } else if (read_entry(r, fields, &entry)) {
        if ((before = line_of(r, &entry)) != 0) {
            defect(r, "the same device and shape as in line %zu", before);
        } else {
            ob_tuning *t = r->tuning;
            void *rows = t->rows;
            if (!ob_array_reserve(&rows, &t->capacity, t->count + 1, sizeof *t->rows)) {
                ob_free(text);
                return ob_error_set(r->err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a tuning table", r->name);
            }
            t->rows = rows;
            t->rows[t->count++] = (ob__tuning_row){entry, text, r->file};
            return OB_OK;
        }
    }
    ob_free(text);
    return OB_OK;
}

/* The version; 0 with a defect where the line is not one. */
static unsigned read_version(reader *r, const char *text)
{
    static const char magic[] = "oberta-tuning ";
    const char *number = text + sizeof magic - 1;
    bool ours = strncmp(text, magic, sizeof magic - 1) == 0;
    size_t digits = ours ? strspn(number, "0123456789") : 0;
    if (digits == 0 || digits > 8 || number[digits] != '\0' || number[0] == '0') {
        defect(r, "not a tuning table: 'oberta-tuning %d' is expected", OB_TUNING_VERSION);
        return 0;
    }
    return (unsigned)strtoul(number, NULL, 10);
}

static ob_status read_lines(reader *r, const char *text, size_t bytes, unsigned *version)
{
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        size_t length = newline == NULL ? bytes - at : (size_t)(newline - text) - at;
        char *copy = ob_strndup(text + at, length);
        if (copy == NULL)
            return ob_error_set(r->err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a tuning table", r->name);
        r->line++;
        at += length + 1;
        bool is_text = memchr(copy, '\0', length) == NULL;
        copy[strcspn(copy, "#")] = '\0';
        char *begin = trim(copy);
        memmove(copy, begin, strlen(begin) + 1);
        bool empty = copy[0] == '\0';
        if (!is_text || ob_utf8_invalid_at(copy, strlen(copy)) != strlen(copy)) {
            defect(r, "not text in UTF-8");
        } else if (!empty && *version != 0) {
            if (read_line(r, copy) != OB_OK)
                return OB_ERR_OUT_OF_MEMORY;
            continue;
        } else if (!empty) {
            *version = read_version(r, copy);
        }
        ob_free(copy);
        if (r->defects >= MAX_DEFECTS || (!empty && *version != OB_TUNING_VERSION))
            return OB_OK;
    }
    return OB_OK;
}

static const char *keep_name(ob_tuning *tuning, const char *name)
{
    void *names = tuning->names;
    if (!ob_array_reserve(&names, &tuning->name_capacity, tuning->name_count + 1, sizeof *tuning->names))
        return NULL;
    tuning->names = names;
    char *copy = ob_strdup(name);
    if (copy != NULL)
        tuning->names[tuning->name_count++] = copy;
    return copy;
}

ob_status ob_tuning_parse(ob_tuning *tuning, const char *text, size_t bytes, const char *name, bool *known,
                          ob_error *err)
{
    size_t before = tuning->count;
    unsigned version = 0;
    reader r = {.tuning = tuning, .name = keep_name(tuning, name), .file = (unsigned)tuning->name_count, .err = err};
    if (r.name == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a tuning table", name);
    ob_status status = read_lines(&r, text, bytes, &version);
    if (status == OB_OK && version == 0 && r.defects == 0) {
        r.line = 1;
        defect(&r, "not a tuning table: 'oberta-tuning %d' is expected", OB_TUNING_VERSION);
    }
    if (status == OB_OK && r.defects > 0)
        status = OB_ERR_CONFIG;
    if (status != OB_OK) {
        ob__tuning_cut(tuning, before);
        return status;
    }
    if (version != OB_TUNING_VERSION)
        ob_log(OB_LOG_WARN, "tuning", "%s: ignored: it is of version %u, this build knows %d", name, version,
               OB_TUNING_VERSION);
    else if (r.ignored > 0)
        ob_log(OB_LOG_INFO, "tuning", "%s: %zu entries of operators that this build does not tune are ignored", name,
               r.ignored);
    if (known != NULL)
        *known = version == OB_TUNING_VERSION;
    return OB_OK;
}

static void print_measures(const double values[OB_TUNING_M_CLASSES], int decimals, ob_strbuf *out)
{
    for (size_t i = 0; i < OB_TUNING_M_CLASSES; i++) {
        if (values[i] >= 0)
            ob_strbuf_printf(out, " %.*f", decimals, values[i]);
        else
            ob_strbuf_puts(out, " -");
    }
}

void ob_tuning_print(const ob_tuning_entry *e, ob_strbuf *out)
{
    const char *const texts[] = {e->platform, e->device, e->driver};
    for (size_t i = 0; i < 3; i++) {
        ob__tuning_clean(texts[i], out);
        ob_strbuf_puts(out, " | ");
    }
    ob_strbuf_printf(out, "%s | %zu %zu | %s |", e->op, e->n, e->k, e->provider);
    for (size_t i = 0; i < OB_TUNING_M_CLASSES; i++)
        ob_strbuf_printf(out, " %s", e->variants[i]);
    ob_strbuf_puts(out, " |");
    print_measures(e->gflops, 1, out);
    ob_strbuf_puts(out, " |");
    print_measures(e->gain, 2, out);
    ob_strbuf_putc(out, '\n');
}

void ob_tuning_print_head(ob_strbuf *out)
{
    ob_strbuf_printf(
        out,
        "oberta-tuning %d\n"
        "# Measured by `oberta tune`. A line is a shape on a device; m <= 16, <= 64, <= 256, <= 1024, above:\n"
        "# platform | device | driver | operator | n k | provider | variants | GFLOPS | gain over the default\n",
        OB_TUNING_VERSION);
}
