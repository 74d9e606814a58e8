/* Added tokens in a text: leftmost, longest, byte for byte. */
#include "tokenizer_internal.h"
#include "unicode.h"

#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ADDED_TOKENS 65536

const ob__added_token *ob__added_token_named(const ob_tokenizer *t, const char *content)
{
    int32_t id = ob__vocab_find(&t->bpe.vocab, content, strlen(content));
    return id < 0 || t->bpe.vocab.tokens[id].added == 0 ? NULL : &t->added[t->bpe.vocab.tokens[id].added - 1];
}

/* The id of a token that the vocabulary lacks: after all of both. */
static int32_t next_id(const ob_tokenizer *t)
{
    size_t next = t->vocab_count;
    if (t->added_count > 0 && (size_t)t->max_added_id + 1 > next)
        next = (size_t)t->max_added_id + 1;
    while (ob_tokenizer_token(t, (int32_t)next) != NULL) /* a vocabulary with gaps */
        next++;
    return (int32_t)next;
}

static ob_status put_into_vocab(ob_tokenizer *t, const char *content, size_t bytes, json_int_t id, int32_t *out,
                                ob_error *err)
{
    int32_t next = next_id(t);
    if (next >= OB__MAX_TOKEN_ID)
        return ob_error_set(err, OB_ERR_MODEL, "added token '%.60s': no id below 16,777,216 is left", content);
    if (id >= 0 && id != next)
        ob_log(OB_LOG_WARN, "tokenizer", "added token '%.60s': its id %lld is not the next free one; it gets %d",
               content, (long long)id, (int)next);
    *out = next;
    if (ob__vocab_add(&t->bpe.vocab, content, bytes, next, err) != OB_OK)
        return ob_error_status(err);
    t->bpe.vocab.tokens[next].foreign = true;
    return OB_OK;
}

static void set_flags(ob__added_token *token, ob__added_flags flags)
{
    if (!token->special)
        token->in_pass[flags.normalized] = true;
    token->special = token->special || flags.special;
    token->flags = flags;
}

ob_status ob__added_token_add(ob_tokenizer *t, const char *content, json_int_t id, ob__added_flags flags, ob_error *err)
{
    size_t bytes = strlen(content);
    if (bytes == 0)
        return OB_OK; /* the reference passes over it, too */
    if (bytes > OB__MAX_TOKEN_BYTES)
        return ob_error_set(err, OB_ERR_MODEL, "added token '%.60s...': longer than 65,535 bytes", content);
    int32_t known = ob__vocab_find(&t->bpe.vocab, content, bytes);
    if (known < 0 && put_into_vocab(t, content, bytes, id, &known, err) != OB_OK)
        return ob_error_status(err);
    ob__token *token = &t->bpe.vocab.tokens[known];
    if (token->added == 0) {
        size_t at = t->added_count;
        if (at >= MAX_ADDED_TOKENS)
            return ob_error_set(err, OB_ERR_MODEL, "more than %d added tokens", MAX_ADDED_TOKENS);
        if (!ob_array_reserve((void **)&t->added, &t->added_capacity, at + 1, sizeof *t->added))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for added tokens");
        t->added[at] = (ob__added_token){.content = token->text, .bytes = bytes, .id = known};
        token->added = (uint32_t)++t->added_count;
        t->max_added_id = t->max_added_id > known ? t->max_added_id : known;
    }
    set_flags(&t->added[token->added - 1], flags);
    return OB_OK;
}

static int compare_tokens(const void *a, const void *b)
{
    return strcmp(((const ob__added_token *)a)->content, ((const ob__added_token *)b)->content);
}

ob_status ob__added_tokens_index(ob_tokenizer *t, ob_error *err)
{
    size_t count = 0;
    t->sorted = ob_calloc(2 * t->added_count, sizeof *t->sorted);
    if (t->sorted == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu added tokens", t->added_count);
    for (int pass = 0; pass < 2; pass++) {
        size_t at = count;
        for (size_t i = 0; i < t->added_count; i++)
            if (t->added[i].in_pass[pass])
                t->sorted[count++] = t->added[i];
        if (count > at)
            qsort(t->sorted + at, count - at, sizeof *t->sorted, compare_tokens);
        for (int byte = 0; byte < 256; byte++) {
            size_t begin = at;
            while (at < count && (unsigned char)t->sorted[at].content[0] == byte)
                at++;
            t->first_bytes[pass][byte] = (ob__range){begin, at};
        }
    }
    return OB_OK;
}

/* The first of the sorted tokens of `range`, alike up to `depth`, whose next byte is `byte` or a greater one. */
static size_t lower_bound(const ob_tokenizer *t, ob__range range, size_t depth, int byte)
{
    while (range.begin < range.end) {
        size_t middle = range.begin + (range.end - range.begin) / 2;
        if ((unsigned char)t->sorted[middle].content[depth] < byte)
            range.begin = middle + 1;
        else
            range.end = middle;
    }
    return range.begin;
}

/* Byte for byte the tokens become fewer that the text can still be; the last one that ends is the longest. */
static const ob__added_token *longest_at(const ob_tokenizer *t, ob__range range, const char *text, size_t bytes)
{
    const ob__added_token *best = NULL;
    for (size_t depth = 1; range.begin < range.end; depth++) {
        if (t->sorted[range.begin].bytes == depth)
            best = &t->sorted[range.begin];
        if (depth == bytes || text[depth] == '\0')
            break;
        int byte = (unsigned char)text[depth];
        range.begin = lower_bound(t, range, depth, byte);
        range.end = lower_bound(t, range, depth, byte + 1);
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

static bool inside_word(const ob__added_search *s, size_t begin, size_t end)
{
    return (begin > s->begin && word_char_at(s->text, previous_char(s->text, begin))) ||
           (end < s->end && word_char_at(s->text, end));
}

static void strip(const ob__added_search *s, size_t from, ob__added_match *match)
{
    size_t bytes;
    while (match->token->flags.lstrip && match->begin > from) {
        size_t before = previous_char(s->text, match->begin);
        if (!ob_utf8_is_space(ob_utf8_decode(s->text + before, &bytes)))
            break;
        match->begin = before;
    }
    while (match->token->flags.rstrip && match->end < s->end &&
           ob_utf8_is_space(ob_utf8_decode(s->text + match->end, &bytes)))
        match->end += bytes;
}

bool ob__added_token_find(const ob_tokenizer *t, const ob__added_search *s, size_t from, ob__added_match *out)
{
    const ob__range *first_bytes = t->first_bytes[s->normalized];
    for (size_t at = from; at < s->end;) {
        ob__range range = first_bytes[(unsigned char)s->text[at]];
        const ob__added_token *token = NULL;
        if (range.begin < range.end)
            token = longest_at(t, range, s->text + at, s->end - at);
        if (token == NULL) {
            at++;
        } else if ((s->split_special && token->special) ||
                   (token->flags.single_word && inside_word(s, at, at + token->bytes))) {
            at += token->bytes; /* its text stays text, and no other token begins in it */
        } else {
            *out = (ob__added_match){at, at + token->bytes, token};
            strip(s, from, out);
            return true;
        }
    }
    return false;
}
