/* An open tokenizer's parts. Internal to models/tokenizer. */
#ifndef OBERTA_TOKENIZER_INTERNAL_H
#define OBERTA_TOKENIZER_INTERNAL_H

#include "byte_bpe.h"
#include "json_file.h"

/* Elements [begin, end) of an array. */
typedef struct ob__range {
    size_t begin, end;
} ob__range;

/* A token that is looked for in the text itself, before the pattern. */
typedef struct ob__added_flags {
    bool single_word, lstrip, rstrip, normalized, special;
} ob__added_flags;

typedef struct ob__added_token {
    const char *content; /* the vocabulary's */
    size_t bytes;
    int32_t id;
    ob__added_flags flags; /* the last ones that it was given */
    bool special;          /* once special, always so */
    bool in_pass[2];       /* searched for as `normalized` false, true: as it was when it first became special, and
                              whenever it was added before that */
} ob__added_token;

/* What stands around texts, and how offsets are trimmed: tokenizer.json's post_processor. */
typedef struct ob__layout {
    bool special_tokens;       /* <s> A </s>, <s> A </s></s> B </s>; else the texts alone */
    int32_t cls, sep;          /* with special_tokens */
    bool trim_offsets;         /* offsets leave out blanks at a token's ends */
    bool keeps_inserted_space; /* a single leading blank at a sequence's start stays in them */
} ob__layout;

struct ob_tokenizer {
    ob__bpe bpe;
    ob__added_token *added;
    size_t added_count, added_capacity;
    int32_t max_added_id;
    size_t vocab_count;            /* tokens of the file itself */
    ob__added_token *sorted;       /* by pass, then by bytes */
    ob__range first_bytes[2][256]; /* in `sorted`, by pass: the tokens that begin with a byte; most bytes begin none */
    int32_t special_ids[OB_SPECIAL_TOKEN_COUNT];
    bool add_prefix_space; /* before each stretch of text that does not begin with U+0020 */
    bool use_regex;        /* false: a stretch is one piece */
    ob__layout layout;
    bool truncate_left, pad_left, split_special_tokens, clean_up_spaces; /* defaults of tokenizer_config.json */
    size_t model_max_length;                                             /* 0: none */
};

/* The JSON files of a folder, NULL where one is absent. */
typedef struct ob__token_files {
    const json_t *root;   /* tokenizer.json */
    const json_t *config; /* tokenizer_config.json */
    const json_t *map;    /* special_tokens_map.json */
    const json_t *added;  /* added_tokens.json */
    bool roberta;         /* with the defaults of RobertaTokenizerFast, and its flags instead of tokenizer.json's */
} ob__token_files;

/* tokenizer.c: a tokenizer from files that were read; vocab.json and merges.txt still come from `folder` where root is
 * NULL. */
ob_status ob__tokenizer_build(const char *folder, ob__token_files *files, ob_tokenizer **out, ob_error *err);

/* tokenizer_config.c: refuses tokenizers of another kind; fills what tokenizer_config.json says by itself, and
 * files->roberta. */
ob_status ob__tokenizer_read_config(ob_tokenizer *tokenizer, ob__token_files *files, ob_error *err);
/* Which flags count where both files have them: after the pipeline was read. */
ob_status ob__tokenizer_apply_config(ob_tokenizer *tokenizer, const ob__token_files *files, ob_error *err);

/* tokenizer_json.c: vocabulary, merges and pipeline of tokenizer.json. OB_ERR_UNSUPPORTED for other kinds. */
ob_status ob__tokenizer_read_json(ob_tokenizer *tokenizer, const json_t *root, ob_error *err);
/* pipeline.c: its normalizer, pre_tokenizer, post_processor and decoder. Defects are noted. */
void ob__tokenizer_read_pipeline(ob_tokenizer *tokenizer, const json_t *root, ob__notes *notes);

/* special_tokens.c: added tokens and special tokens in transformers' order of precedence. */
ob_status ob__tokenizer_read_tokens(ob_tokenizer *tokenizer, const ob__token_files *files, ob_error *err);

/* added_tokens.c: adds a token, or gives the one of this content new flags. Its id is the vocabulary's, else the next
 * free one; `id` is what a file says, -1 for nothing. */
ob_status ob__added_token_add(ob_tokenizer *tokenizer, const char *content, json_int_t id, ob__added_flags flags,
                              ob_error *err);
/* Sorts them for the search; none is added later. */
ob_status ob__added_tokens_index(ob_tokenizer *tokenizer, ob_error *err);
/* NULL where no added token has this content. */
const ob__added_token *ob__added_token_named(const ob_tokenizer *tokenizer, const char *content);

/* Where the next added token stands at `from` or after it in the segment text[begin, end), its white space included.
 * The two passes are of the tokens that are not normalized, and of those that are. */
typedef struct ob__added_match {
    size_t begin, end;
    const ob__added_token *token;
} ob__added_match;
typedef struct ob__added_search {
    const char *text;
    size_t begin, end; /* the segment */
    bool normalized, split_special;
} ob__added_search;
bool ob__added_token_find(const ob_tokenizer *tokenizer, const ob__added_search *search, size_t from,
                          ob__added_match *out);

/* encode.c: the tokens of a text and its pair, one after the other, uncut and without special tokens around them.
 * With details, offsets are in code points and untrimmed, and cache->trims says what trimming takes. */
ob_status ob__encode_texts(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                           const char *pair, size_t pair_bytes, const ob_encode_options *options, ob_encoding *out,
                           size_t *first_count, ob_error *err);
/* Room for `needed` tokens; the arrays of details only where they are asked for. */
bool ob__encoding_reserve(ob_encoding *out, size_t needed, bool details);

/* truncate.c: how many tokens of each sequence stay in a window, beside `added` special ones. The reference measures
 * the stride at the room of a single text with its special tokens, `around`, whether they are added or not.
 * OB_ERR_INPUT where the strategy or the stride cannot do it. */
ob_status ob__truncate_lengths(size_t first, size_t second, bool has_pair, const ob_encode_options *options,
                               size_t added, size_t around, size_t *keep_first, size_t *keep_second, ob_error *err);
/* The windows of `keep` tokens that cover a sequence of `length`, neighbours sharing `stride` < keep, from the end that
 * stays when it is cut. A sequence that is cut to nothing has a second window, which is all of it. */
size_t ob__window_count(size_t length, size_t keep, size_t stride);
ob__range ob__window_range(size_t length, size_t keep, size_t stride, bool left, size_t index);

#endif
