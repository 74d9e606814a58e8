/* Added tokens in a text: leftmost, longest, byte for byte. */
#include "tokenizer_internal.h"
#include "unicode.h"

#include <oberta/utf8.h>
#include <string.h>

static const ob__added_token *longest_at(const ob_tokenizer *t, const char *text, size_t at, size_t end,
                                         bool normalized, bool split_special)
{
    const ob__added_token *best = NULL;
    for (size_t i = 0; i < t->added_count; i++) {
        const ob__added_token *token = &t->added[i];
        if (token->normalized == normalized && !(split_special && token->special) && token->bytes <= end - at &&
            (best == NULL || token->bytes > best->bytes) && memcmp(text + at, token->content, token->bytes) == 0)
            best = token;
    }
    return best;
}

/* The start of the code point that ends before `at` > 0. */
static size_t previous_char(const char *text, size_t at)
{
    do
        at--;
    while (((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

static bool word_char_at(const char *text, size_t at)
{
    size_t bytes;
    return ob__char_is_word(ob_utf8_decode(text + at, &bytes));
}

static bool inside_word(const char *text, size_t begin, size_t end, size_t text_end)
{
    return (begin > 0 && word_char_at(text, previous_char(text, begin))) || (end < text_end && word_char_at(text, end));
}

static void strip(const ob__added_token *token, const char *text, size_t from, size_t end, ob__added_match *match)
{
    size_t bytes;
    while (token->lstrip && match->begin > from) {
        size_t before = previous_char(text, match->begin);
        if (!ob__char_is_space(ob_utf8_decode(text + before, &bytes)))
            break;
        match->begin = before;
    }
    while (token->rstrip && match->end < end && ob__char_is_space(ob_utf8_decode(text + match->end, &bytes)))
        match->end += bytes;
}

bool ob__added_token_find(const ob_tokenizer *t, const char *text, size_t from, size_t end, size_t text_end,
                          bool normalized, bool split_special, ob__added_match *out)
{
    for (size_t at = from; at < end; at++) {
        if (!t->first_bytes[(unsigned char)text[at]])
            continue;
        const ob__added_token *token = longest_at(t, text, at, end, normalized, split_special);
        if (token == NULL || (token->single_word && inside_word(text, at, at + token->bytes, text_end)))
            continue;
        *out = (ob__added_match){at, at + token->bytes, token};
        strip(token, text, from, end, out);
        return true;
    }
    return false;
}
