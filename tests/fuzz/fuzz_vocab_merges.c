/* vocab.json and merges.txt of any bytes, parted by a NUL, give tables or a message. */
#include "vocab.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = nul != NULL ? (size_t)(nul - data) : size;
    ob__vocab vocab;
    ob__merges merges;
    ob_error_clear(&err);
    if (ob__vocab_parse((const char *)data, first, "vocab.json", &vocab, &err) != OB_OK)
        return 0;
    size_t rest = first < size ? size - first - 1 : 0;
    if (ob__merges_parse(rest > 0 ? (const char *)nul + 1 : "", rest, "merges.txt", &vocab, &merges, &err) == OB_OK)
        ob__merges_release(&merges);
    ob__vocab_release(&vocab);
    return 0;
}
