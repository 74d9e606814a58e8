/* tokenizer.json, tokenizer_config.json, special_tokens_map.json and added_tokens.json of any bytes, parted by NULs,
 * give a tokenizer that encodes and decodes, or a message. */
#include "tokenizer_internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const ob_tokenizer *tokenizer, const char *text, size_t bytes, ob_error *err)
{
    ob_encoding_list list = {0};
    ob_strbuf out = OB_STRBUF_INIT;
    ob_encode_options options;
    ob_tokenizer_options(tokenizer, &options);
    options.details = true;
    options.truncation = OB_TRUNCATION_LONGEST_FIRST;
    options.max_length = 5 + bytes % 11;
    options.stride = bytes % 3;
    options.truncate_left = bytes % 2 == 1;
    if (ob_tokenizer_encode_windows(tokenizer, NULL, text, bytes, text, bytes / 2, &options, &list, err) == OB_OK)
        for (size_t i = 0; i < list.count && i < 50; i++)
            (void)ob_tokenizer_decode(tokenizer, list.windows[i].ids, list.windows[i].count, i % 2 == 0, true, &out,
                                      err);
    ob_strbuf_release(&out);
    ob_encoding_list_release(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    static const char sample[] = " ab  <s>a<mask>\xC3\xA9 'tb \xE2\x80\x8D<mask> aab";
    json_t *parts[4] = {NULL, NULL, NULL, NULL};
    ob_tokenizer *tokenizer = NULL;
    const char *text = (const char *)data, *end = text + size;
    for (size_t i = 0; i < 4 && text < end; i++) {
        const char *nul = memchr(text, 0, (size_t)(end - text));
        size_t length = (size_t)((nul != NULL ? nul : end) - text);
        size_t flags = JSON_REJECT_DUPLICATES | (i > 0 ? JSON_DECODE_INT_AS_REAL : 0);
        parts[i] = json_loadb(text, length, flags, NULL);
        text = nul != NULL ? nul + 1 : end;
    }
    ob__token_files files = {.root = parts[0], .config = parts[1], .map = parts[2], .added = parts[3]};
    ob_error_clear(&err);
    if (json_is_object(parts[0]) && ob__tokenizer_build("", &files, &tokenizer, &err) == OB_OK) {
        use(tokenizer, sample, sizeof sample - 1, &err);
        use(tokenizer, (const char *)data, size < 300 ? size : 300, &err);
    }
    ob_tokenizer_close(tokenizer);
    for (size_t i = 0; i < 4; i++)
        json_decref(parts[i]);
    return 0;
}
