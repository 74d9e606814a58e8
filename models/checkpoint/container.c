/* The first bytes decide, and one parser reads: no second try with another one after a failure. */
#include "container.h"
#include "safetensors.h"
#include "torch_legacy.h"
#include "torch_zip.h"

#include <oberta/log.h>
#include <string.h>

#define HEADER_AT 8 /* where the header of safetensors begins, with '{' */

/* What else is found under the name of a weight file; NULL for nothing that we know. */
static const char *foreign_format(const unsigned char *data, size_t bytes)
{
    static const struct {
        size_t at;
        const char *magic;
        size_t bytes;
        const char *what;
    } formats[] = {
        {0, "version https://git-lfs", 23, "a Git LFS pointer in place of the weights: fetch them with 'git lfs pull'"},
        {0, "<!DOCTYPE", 9, "a web page in place of the weights"},
        {0, "<!doctype", 9, "a web page in place of the weights"},
        {0, "<html", 5, "a web page in place of the weights"},
        {257, "ustar", 5, "a tar file, as PyTorch wrote them before 0.1.10: load and save it with a newer PyTorch"},
        {0, "PK\x05\x06", 4, "an empty zip file"},
        {0, "7z\xbc\xaf\x27\x1c", 6, "a 7z archive: unpack it"},
        {0, "\x1f\x8b", 2, "a gzip file: unpack it"},
        {0, "\x89HDF", 4, "an HDF5 file, as TensorFlow writes them"},
        {0, "GGUF", 4, "a GGUF file"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (bytes >= formats[i].at + formats[i].bytes &&
            memcmp(data + formats[i].at, formats[i].magic, formats[i].bytes) == 0)
            return formats[i].what;
    if (bytes >= 2 && data[0] == 0x80 && data[1] <= 5)
        return "a Python pickle, but none that torch.save writes weights with";
    return NULL;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcmp(text + length - end, ending) == 0;
}

static ob_status refuse(const unsigned char *data, size_t bytes, ob_error *err)
{
    if (bytes < HEADER_AT)
        return ob_error_set(err, OB_ERR_MODEL, "file is %zu bytes, too few for any weights: incomplete download?",
                            bytes);
    return ob_error_set(err, OB_ERR_MODEL,
                        "begins with %02x %02x %02x %02x: neither a PyTorch file (zip or legacy) nor safetensors",
                        data[0], data[1], data[2], data[3]);
}

ob_status ob__container_parse(const unsigned char *data, size_t bytes, const char *file, ob__tensor_list *list,
                              const char **kind, ob_error *err)
{
    bool named_safetensors = ends_with(file, ".safetensors"),
         is_safetensors = bytes > HEADER_AT && data[HEADER_AT] == '{';
    bool is_zip = !is_safetensors && bytes >= 4 && memcmp(data, "PK\x03\x04", 4) == 0;
    bool is_legacy = !is_safetensors && !is_zip && ob__torch_legacy_is(data, bytes);
    if (!is_safetensors && !is_zip && !is_legacy) {
        const char *what = foreign_format(data, bytes);
        if (what != NULL)
            return ob_error_set(err, OB_ERR_MODEL, "%s", what);
        if (!named_safetensors)
            return refuse(data, bytes, err);
    }
    *kind = is_zip ? "PyTorch zip" : is_legacy ? "PyTorch legacy" : "safetensors";
    if ((is_safetensors && ends_with(file, ".bin")) || ((is_zip || is_legacy) && named_safetensors))
        ob_log(OB_LOG_WARN, "checkpoint", "%s: holds %s in spite of its name", file, *kind);
    if (is_zip)
        return ob__torch_zip_parse(data, bytes, file, list, err);
    if (is_legacy)
        return ob__torch_legacy_parse(data, bytes, file, list, err);
    return ob__safetensors_parse(data, bytes, file, list, err); /* its messages say what is wrong with the header */
}
