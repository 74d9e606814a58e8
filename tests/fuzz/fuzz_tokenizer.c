/* Any bytes are encoded or refused; what is encoded without special tokens decodes to itself. */
#include <oberta/tokenizer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ob_tokenizer *open_tokenizer(void)
{
    static ob_error err;
    char path[1024];
    const char *folder = getenv("OB_TEST_DATA");
    ob_tokenizer *tokenizer = NULL;
    snprintf(path, sizeof path, "%s/tokenizer/vocab_merges", folder != NULL ? folder : "tests/data");
    if (ob_tokenizer_open(path, &tokenizer, &err) != OB_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return tokenizer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_tokenizer *tokenizer;
    static ob_error err;
    if (tokenizer == NULL)
        tokenizer = open_tokenizer();
    ob_encode_options options;
    ob_encode_options_default(&options);
    options.add_special_tokens = false;
    options.split_special_tokens = true;
    options.details = true;
    ob_encoding encoding = OB_ENCODING_INIT;
    ob_strbuf text = OB_STRBUF_INIT;
    if (ob_tokenizer_encode(tokenizer, NULL, (const char *)data, size, NULL, 0, &options, &encoding, &err) == OB_OK &&
        (ob_tokenizer_decode(tokenizer, encoding.ids, encoding.count, false, false, &text, &err) != OB_OK ||
         text.length != size || memcmp(ob_strbuf_text(&text), data, size) != 0))
        __builtin_trap();
    options.split_special_tokens = false;
    options.truncation = OB_TRUNCATION_LONGEST_FIRST;
    options.max_length = size % 17;
    (void)ob_tokenizer_encode(tokenizer, NULL, (const char *)data, size, (const char *)data, size / 2, &options,
                              &encoding, &err);
    ob_strbuf_release(&text);
    ob_encoding_release(&encoding);
    return 0;
}
