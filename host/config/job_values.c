/* Readers of simple values. A value is typed by its key alone: "no", "1e3" or "010" mean what the key takes, or
 * nothing. */
#include "job_keys.h"

#include <errno.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ob__job_defect(ob__job_reader *r, const ob__yaml_node *node, const char *key, const char *format, ...)
{
    char rule[512];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    if (r->has_position)
        ob_error_add(r->err, OB_ERR_CONFIG, "%s:%zu:%zu: %s: %s", r->name, node->line, node->column, key, rule);
    else
        ob_error_add(r->err, OB_ERR_CONFIG, "%s %s: %s", r->name, key, rule);
    r->defect = true;
}

const char *ob__job_scalar(ob__job_reader *r, const ob__yaml_node *node, const char *key)
{
    if (node->kind == OB__YAML_SCALAR)
        return node->text;
    ob__job_defect(r, node, key, "a single value is expected, not a %s",
                   node->kind == OB__YAML_MAPPING ? "mapping" : "list");
    return NULL;
}

char *ob__job_resolve_path(const ob__job_reader *r, const char *path)
{
    return strcmp(path, "-") == 0 ? ob_strdup(path) : ob_path_join(r->folder, path);
}

void *ob__job_field(const ob__job_reader *r, const ob__job_key *key)
{
    return (char *)r->job + key->offset;
}

/* A decimal number without sign, point or exponent. */
bool ob__job_parse_size(const char *text, size_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0' || (digits > 1 && text[0] == '0'))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    *out = (size_t)value;
    return errno == 0 && value <= SIZE_MAX;
}

void ob__job_read_size(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    size_t value;
    if (text == NULL)
        return;
    /* "auto" and null are 0 where the default is one of them. */
    if (ob__yaml_is_null(node) || strcmp(text, "auto") == 0) {
        if (strcmp(key->value, "auto") == 0 || strcmp(key->value, "null") == 0)
            *(size_t *)ob__job_field(r, key) = 0;
        else
            ob__job_defect(r, node, key->path, "a number is missing");
        return;
    }
    if (ob__job_parse_size(text, &value) && value >= key->low && value <= key->high)
        *(size_t *)ob__job_field(r, key) = value;
    else if (strcmp(key->path, "fill_mask.top_k") == 0)
        ob__job_defect(r, node, key->path, "%.40s is not between 1 and the vocabulary's size", text);
    else
        ob__job_defect(r, node, key->path, "%.40s is not a whole number between %zu and %zu", text, key->low,
                       key->high);
}

void ob__job_read_bool(ob__job_reader *r, const ob__job_key *key, const ob__yaml_node *node)
{
    const char *text = ob__job_scalar(r, node, key->path);
    if (text == NULL)
        return;
    if (strcmp(text, "true") == 0)
        *(bool *)ob__job_field(r, key) = true;
    else if (strcmp(text, "false") == 0)
        *(bool *)ob__job_field(r, key) = false;
    else
        ob__job_defect(r, node, key->path, "'%.40s' is neither true nor false", text);
}

int ob__job_read_word(ob__job_reader *r, const char *key, const ob__yaml_node *node, const ob__job_word *words,
                      size_t count)
{
    const char *names[16], *text = ob__job_scalar(r, node, key);
    if (text == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        names[i] = words[i].text;
        if (strcmp(words[i].text, text) != 0)
            continue;
        if (words[i].value < 0)
            ob__job_defect(r, node, key, "'%s' is not available in this version", text);
        return words[i].value;
    }
    const char *nearest = ob_text_nearest(text, names, count);
    if (nearest != NULL) {
        ob__job_defect(r, node, key, "'%.40s' is unknown; did you mean '%s'?", text, nearest);
        return -1;
    }
    char list[256] = "";
    for (size_t i = 0; i < count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i > 0 ? ", " : "", names[i]);
    ob__job_defect(r, node, key, "'%.40s' is none of %s", text, list);
    return -1;
}
