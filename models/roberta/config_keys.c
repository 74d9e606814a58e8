/* One key of config.json after the other, and the file as a JSON object. */
#include "config_keys.h"

#include <oberta/utf8.h>
#include <stdlib.h>
#include <string.h>

void ob__config_defect(ob__config_keys *c, ob_status status, const char *key, const json_t *value, const char *format,
                       ...)
{
    char rule[320];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    /* As JSON in ASCII the value cannot smuggle control characters into a message. */
    char *shown = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    if (!c->defect)
        ob_error_clear(c->err);
    c->defect = true;
    if (shown == NULL)
        ob_error_add(c->err, status, "%s: %s: %s", c->name, key, rule);
    else
        ob_error_add(c->err, status, "%s: %s: %.80s%s: %s", c->name, key, shown, strlen(shown) > 80 ? "..." : "", rule);
    free(shown);
}

const json_t *ob__config_get(const ob__config_keys *c, const char *key)
{
    return json_object_get(c->root, key);
}

bool ob__config_integer(ob__config_keys *c, const char *key, json_int_t low, json_int_t high, json_int_t *out)
{
    const json_t *value = ob__config_get(c, key);
    if (value == NULL)
        return true;
    if (!json_is_integer(value)) {
        ob__config_defect(c, OB_ERR_MODEL, key, value, "not an integer");
        return false;
    }
    json_int_t number = json_integer_value(value);
    if (number < low || number > high) {
        ob__config_defect(c, OB_ERR_MODEL, key, value, "not within %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
                          low, high);
        return false;
    }
    *out = number;
    return true;
}

bool ob__config_bool(ob__config_keys *c, const char *key, bool *out)
{
    const json_t *value = ob__config_get(c, key);
    if (value == NULL)
        return true;
    if (!json_is_boolean(value)) {
        ob__config_defect(c, OB_ERR_MODEL, key, value, "not true or false");
        return false;
    }
    *out = json_is_true(value);
    return true;
}

const char *ob__config_text(ob__config_keys *c, const char *key)
{
    const json_t *value = ob__config_get(c, key);
    if (value != NULL && !json_is_string(value))
        ob__config_defect(c, OB_ERR_MODEL, key, value, "not a string");
    return json_string_value(value);
}

const char *ob__config_text_or_null(ob__config_keys *c, const char *key)
{
    return json_is_null(ob__config_get(c, key)) ? NULL : ob__config_text(c, key);
}

bool ob__config_index(const char *text, size_t limit, size_t *out)
{
    size_t value = 0;
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        value = value * 10 + (size_t)(*p - '0');
        if (value >= limit) /* limits are far below what ten more could wrap */
            return false;
    }
    *out = value;
    return true;
}

/* Python's JSON writer knows NaN and Infinity; JSON does not, and jansson's message would not say why. The line of the
 * first one, 0 for none. */
static size_t find_non_finite(const char *text, size_t bytes)
{
    size_t line = 1;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            line++;
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && ((bytes - i >= 3 && memcmp(text + i, "NaN", 3) == 0) ||
                                (bytes - i >= 8 && memcmp(text + i, "Infinity", 8) == 0)))
            return line;
    }
    return 0;
}

ob_status ob__config_object(const char *text, size_t bytes, const char *name, json_t **out, ob_error *err)
{
    size_t invalid_at = ob_utf8_invalid_at(text, bytes);
    if (invalid_at != bytes)
        return ob_error_set(err, OB_ERR_MODEL, "%s: byte %zu: not UTF-8", name, invalid_at);
    size_t line = find_non_finite(text, bytes);
    if (line != 0)
        return ob_error_set(err, OB_ERR_MODEL,
                            "%s: line %zu: NaN and Infinity are not JSON and no value that a key "
                            "of a model can have",
                            name, line);
    json_error_t defect;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &defect);
    if (root == NULL) {
        if (json_error_code(&defect) == json_error_out_of_memory)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", name);
        for (char *p = defect.text; *p != '\0'; p++) /* it quotes the file, which may hold terminal escapes */
            *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
        return ob_error_set(err, OB_ERR_MODEL, "%s: line %d, column %d: %s", name, defect.line, defect.column,
                            defect.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return ob_error_set(err, OB_ERR_MODEL, "%s: not a JSON object", name);
    }
    *out = root;
    return OB_OK;
}
