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

/* truncate.c: how many tokens of each sequence stay. OB_ERR_INPUT where the strategy cannot do it. */
ob_status ob__truncate_lengths(size_t first, size_t second, bool has_pair, const ob_encode_options *options,
                               size_t added, size_t *keep_first, size_t *keep_second, ob_error *err);

#endif
