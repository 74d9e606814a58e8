/* Attention maps as an HTML page: attention_page.html with the texts' data where its marker stands.
 *
 * Data are JSON in script elements that the browser does not run. Within them "<", ">" and "&" are escaped, so that no
 * token can end the element or begin a comment. */
#include "embedded_sources.h"

#include <oberta/attention_page.h>
#include <oberta/dtype.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/writer.h>
#include <stdio.h>
#include <string.h>

/* The page's second line tells a page from other files. */
#define SIGNATURE "<!doctype html>\n<!-- oberta attention page -->\n"
#define MARKER    "<!-- texts -->\n"
/* Values that are converted together: a multiple of three halves, which base64 needs to go on without padding. */
#define CHUNK ((size_t)3072)

struct ob_attention_page {
    char *path;
    ob_atomic_file *file;
    ob_strbuf model; /* as JSON */
    ob_strbuf buffer;
    uint64_t bytes;
};

static ob_status put(ob_attention_page *page, const char *bytes, size_t count, ob_error *err)
{
    page->bytes += count;
    return ob_atomic_file_write(page->file, bytes, count, err);
}

static ob_status write_buffer(ob_attention_page *page, ob_error *err)
{
    if (page->buffer.failed)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for a text's maps", page->path);
    ob_status status = put(page, ob_strbuf_text(&page->buffer), page->buffer.length, err);
    ob_strbuf_clear(&page->buffer);
    return status;
}

/* A JSON string that may stand in a script element. */
static void append_script_string(ob_strbuf *out, const char *text, size_t bytes)
{
    ob_strbuf json = OB_STRBUF_INIT;
    ob_json_append_string(&json, text, bytes);
    for (size_t i = 0; i < json.length; i++) {
        char c = json.data[i];
        if (c == '<' || c == '>' || c == '&')
            ob_strbuf_printf(out, "\\u%04x", (unsigned char)c);
        else
            ob_strbuf_putc(out, c);
    }
    out->failed |= json.failed;
    ob_strbuf_release(&json);
}

/* Only a page of ours is replaced: a slip of the hand must not cost anybody a model. */
static ob_status check_target(const char *path, bool *exists, ob_error *err)
{
    char start[sizeof SIGNATURE] = "";
    *exists = ob_file_exists(path);
    if (!*exists)
        return OB_OK;
    FILE *file = ob_folder_exists(path) ? NULL : fopen(path, "rb");
    size_t got = file != NULL ? fread(start, 1, sizeof start - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    if (got == sizeof SIGNATURE - 1 && memcmp(start, SIGNATURE, got) == 0)
        return OB_OK;
    return ob_error_set(err, OB_ERR_IO, "%s: exists already and is not an attention page, so it is not replaced", path);
}

ob_status ob_attention_page_create(const char *path, const char *model, ob_attention_page **out, ob_error *err)
{
    bool exists;
    if (check_target(path, &exists, err) != OB_OK)
        return ob_error_status(err);
    ob_attention_page *page = ob_calloc(1, sizeof *page);
    if (page == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", path);
    page->path = ob_strdup(path);
    append_script_string(&page->model, model, strlen(model));
    const char *marker = strstr(ob_text_attention_page, MARKER);
    if (page->path == NULL || page->model.failed)
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory", path);
    else if (marker == NULL || strncmp(ob_text_attention_page, SIGNATURE, sizeof SIGNATURE - 1) != 0)
        ob_error_set(err, OB_ERR_INTERNAL, "attention_page.html has lost its signature or marker");
    else if (ob_atomic_file_create(path, exists, &page->file, err) == OB_OK &&
             put(page, ob_text_attention_page, (size_t)(marker - ob_text_attention_page), err) == OB_OK) {
        *out = page;
        return OB_OK;
    }
    ob_attention_page_destroy(page);
    return ob_error_status(err);
}

static void append_base64(ob_strbuf *out, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < count; at += 3) {
        size_t left = count - at;
        uint32_t group =
            (uint32_t)bytes[at] << 16 | (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '='};
        ob_strbuf_append(out, text, sizeof text);
    }
}

/* One layer: little-endian halves in base64. */
static ob_status put_maps(ob_attention_page *page, const float *values, size_t count, ob_error *err)
{
    for (size_t at = 0; at < count; at += CHUNK) {
        uint16_t halves[CHUNK];
        unsigned char bytes[2 * CHUNK];
        size_t part = count - at < CHUNK ? count - at : CHUNK;
        ob_convert_to_f16(halves, values + at, part);
        for (size_t i = 0; i < part; i++) {
            bytes[2 * i] = (unsigned char)(halves[i] & 255);
            bytes[2 * i + 1] = (unsigned char)(halves[i] >> 8);
        }
        append_base64(&page->buffer, bytes, 2 * part);
        if (write_buffer(page, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}

ob_status ob_attention_page_add(ob_attention_page *page, const ob_attention_text *text, ob_error *err)
{
    ob_strbuf *out = &page->buffer;
    size_t values;
    if (!ob_size_mul(text->token_count, text->token_count, &values) || !ob_size_mul(values, text->heads, &values))
        return ob_error_set(err, OB_ERR_INTERNAL, "%s: %zu tokens are too many", page->path, text->token_count);
    ob_strbuf_puts(out, "<script type=\"application/json\" class=\"title\">");
    append_script_string(out, text->text, text->text_bytes);
    ob_strbuf_puts(out, "</script>\n<script type=\"application/json\" class=\"text\">{\"model\":");
    ob_strbuf_puts(out, ob_strbuf_text(&page->model));
    ob_strbuf_puts(out, ",\"text\":");
    append_script_string(out, text->text, text->text_bytes);
    ob_strbuf_printf(out, ",\"layers\":%zu,\"heads\":%zu,\"tokens\":[", text->layers, text->heads);
    for (size_t i = 0; i < text->token_count; i++) {
        ob_strbuf_puts(out, i > 0 ? "," : "");
        append_script_string(out, text->tokens[i], strlen(text->tokens[i]));
    }
    ob_strbuf_puts(out, "],\"maps\":[");
    for (size_t layer = 0; layer < text->layers; layer++) {
        ob_strbuf_puts(out, layer > 0 ? ",\"" : "\"");
        if (put_maps(page, text->attentions + layer * values, values, err) != OB_OK)
            return ob_error_status(err);
        ob_strbuf_putc(out, '"');
    }
    ob_strbuf_puts(out, "]}</script>\n");
    return write_buffer(page, err);
}

ob_status ob_attention_page_commit(ob_attention_page *page, uint64_t *bytes, ob_error *err)
{
    const char *rest = strstr(ob_text_attention_page, MARKER) + sizeof MARKER - 1;
    if (put(page, rest, strlen(rest), err) != OB_OK)
        return ob_error_status(err);
    if (bytes != NULL)
        *bytes = page->bytes;
    return ob_atomic_file_commit(page->file, err);
}

void ob_attention_page_destroy(ob_attention_page *page)
{
    if (page == NULL)
        return;
    ob_atomic_file_destroy(page->file);
    ob_strbuf_release(&page->model);
    ob_strbuf_release(&page->buffer);
    ob_free(page->path);
    ob_free(page);
}
