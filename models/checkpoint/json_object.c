/* A scan of the raw text keeps small files from asking for huge memory or deep recursion; then jansson parses. */
#include "json_object.h"
#include "printable.h"

#include <oberta/utf8.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Counts what jansson would build. The two agree on where strings end up to the first syntax error, and there jansson
 * stops: the count is never too low. */
static ob_status check_size(const char *text, size_t bytes, ob_error *err)
{
    size_t depth = 0, values = 1;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if (c == '{' || c == '[')
            depth++, values++;
        else if (c == ',' || c == ':')
            values++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth > OB_JSON_MAX_DEPTH)
            return ob_error_set(err, OB_ERR_MODEL, "JSON: byte %zu: nested more than %d deep", i, OB_JSON_MAX_DEPTH);
        if (values > OB_JSON_MAX_VALUES)
            return ob_error_set(err, OB_ERR_MODEL, "JSON: more than %d values", OB_JSON_MAX_VALUES);
    }
    return OB_OK;
}

ob_status ob__json_object_parse(const char *text, size_t bytes, json_t **out, ob_error *err)
{
    if (bytes == 0 || text[0] != '{')
        return ob_error_set(err, OB_ERR_MODEL, "JSON: does not begin with '{'");
    size_t invalid_at = ob_utf8_invalid_at(text, bytes);
    if (invalid_at != bytes)
        return ob_error_set(err, OB_ERR_MODEL, "JSON: byte %zu: not UTF-8", invalid_at);
    while (is_space(text[bytes - 1])) /* writers pad with blanks, by the megabyte if they like */
        bytes--;
    ob_status status = check_size(text, bytes, err);
    if (status != OB_OK)
        return status;
    json_error_t defect;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &defect);
    if (root == NULL) {
        bool memory = json_error_code(&defect) == json_error_out_of_memory;
        return ob_error_set(err, memory ? OB_ERR_OUT_OF_MEMORY : OB_ERR_MODEL, "JSON: line %d, column %d: %s",
                            defect.line, defect.column, ob__printable_make(defect.text).text);
    }
    *out = root;
    return OB_OK;
}
