/* An open tokenizer's parts. Internal to models/tokenizer. */
#ifndef OBERTA_TOKENIZER_INTERNAL_H
#define OBERTA_TOKENIZER_INTERNAL_H

#include "byte_bpe.h"

/* A token that is looked for in the text itself, before the pattern. */
typedef struct ob__added_token {
    char *content;
    size_t bytes;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} ob__added_token;

struct ob_tokenizer {
    ob__vocab vocab;
    ob__merges merges;
    ob__added_token *added;
    size_t added_count, added_capacity;
    bool first_bytes[256]; /* of added tokens: most bytes of a text begin none */
    int32_t special_ids[OB_SPECIAL_TOKEN_COUNT];
    bool add_prefix_space, trim_offsets;
    size_t model_max_length; /* 0: none */
};

/* tokenizer_config.c: what the JSON files beside vocab.json say; fills added, special_ids and the flags. */
ob_status ob__tokenizer_read_config(ob_tokenizer *tokenizer, const char *folder, ob_error *err);

/* added_tokens.c: where the next added token stands in text[from, end), its white space included. The two passes are of
 * the tokens that are not normalized, and of those that are. */
typedef struct ob__added_match {
    size_t begin, end;
    const ob__added_token *token;
} ob__added_match;
bool ob__added_token_find(const ob_tokenizer *tokenizer, const char *text, size_t from, size_t end, size_t text_end,
                          bool normalized, bool split_special, ob__added_match *out);

/* encode.c: the tokens of a text and its pair, one after the other, uncut and without special tokens around them.
 * With details, offsets are in code points and untrimmed, and cache->trims says what trimming takes. */
ob_status ob__encode_texts(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                           const char *pair, size_t pair_bytes, const ob_encode_options *options, ob_encoding *out,
                           size_t *first_count, ob_error *err);
/* Room for `needed` tokens; the arrays of details only where they are asked for. */
bool ob__encoding_reserve(ob_encoding *out, size_t needed, bool details);

/* Tokens [begin, end) of a sequence. */
typedef struct ob__range {
    size_t begin, end;
} ob__range;

/* truncate.c: how many tokens of each sequence stay in a window. OB_ERR_INPUT where the strategy or the stride cannot
 * do it. */
ob_status ob__truncate_lengths(size_t first, size_t second, bool has_pair, const ob_encode_options *options,
                               size_t added, size_t *keep_first, size_t *keep_second, ob_error *err);
/* The windows of `keep` tokens that cover a sequence of `length`, neighbours sharing `stride` < keep, from the end that
 * stays when it is cut. A sequence that is cut to nothing has a second window, which is all of it. */
size_t ob__window_count(size_t length, size_t keep, size_t stride);
ob__range ob__window_range(size_t length, size_t keep, size_t stride, bool left, size_t index);

#endif
