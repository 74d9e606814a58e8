/* Reads JSON files with a place for every mistake. */
#include "json_file.h"

#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdio.h>

#define MAX_NOTES 20 /* that are listed */

void ob__note(ob__notes *notes, ob_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    if (++notes->count > MAX_NOTES)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ob_error_add(notes->err, status, "%s: %s", notes->file, text);
}

ob_status ob__notes_end(ob__notes *notes)
{
    if (notes->count == 0)
        return OB_OK;
    if (notes->count > MAX_NOTES)
        ob_error_add(notes->err, OB_ERR_MODEL, "%s: and %zu more", notes->file, notes->count - MAX_NOTES);
    return ob_error_status(notes->err);
}

ob_status ob__json_load(const char *folder, const char *name, size_t max_bytes, bool real, json_t **out, ob_error *err)
{
    *out = NULL;
    char *path = ob_path_join(folder, name);
    if (path == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the tokenizer");
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status = OB_OK;
    if (ob_file_exists(path)) {
        json_error_t json_err;
        size_t flags = JSON_REJECT_DUPLICATES | (real ? JSON_DECODE_INT_AS_REAL : 0);
        status = ob_file_check_downloaded(path, err);
        if (status == OB_OK)
            status = ob_file_read(path, max_bytes, &text, err);
        if (status == OB_OK && (*out = json_loadb(ob_strbuf_text(&text), text.length, flags, &json_err)) == NULL)
            status =
                ob_error_set(err, OB_ERR_MODEL, "%s:%d:%d: %s", name, json_err.line, json_err.column, json_err.text);
        else if (status == OB_OK && !json_is_object(*out))
            status = ob_error_set(err, OB_ERR_MODEL, "%s: not an object", name);
    }
    if (status != OB_OK) {
        json_decref(*out);
        *out = NULL;
    }
    ob_strbuf_release(&text);
    ob_free(path);
    return status;
}

bool ob__json_flag(const json_t *object, const char *key, bool fallback, ob__notes *notes)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_null(value) && !json_is_boolean(value))
        ob__note(notes, OB_ERR_MODEL, "%s: true or false is expected", key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const char *ob__json_text(const json_t *object, const char *key, ob__notes *notes)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_null(value) && !json_is_string(value))
        ob__note(notes, OB_ERR_MODEL, "%s: a string is expected", key);
    return json_string_value(value);
}
