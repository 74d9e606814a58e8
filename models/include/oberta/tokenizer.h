/* The byte-level BPE tokenizer of RoBERTa, identical to Hugging Face's fast tokenizer on any UTF-8 text.
 *
 * A tokenizer is read-only after open and may be shared by threads; each thread brings its own ob_tokenizer_cache.
 * Texts are (pointer, bytes): a NUL is an ordinary character. */
#ifndef OBERTA_TOKENIZER_H
#define OBERTA_TOKENIZER_H

#include <oberta/error.h>
#include <oberta/strbuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ob_tokenizer ob_tokenizer;
typedef struct ob_tokenizer_cache ob_tokenizer_cache;

/* Reads tokenizer.json, or, where there is none, vocab.json and merges.txt; and what tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json say, with the precedence of transformers 4. Errors: OB_ERR_MODEL, and
 * OB_ERR_UNSUPPORTED for tokenizers that are not a byte-level BPE with RoBERTa's special tokens, with file, place and
 * rule; defects of a file are listed together. */
ob_status ob_tokenizer_open(const char *folder, ob_tokenizer **out, ob_error *err);
void ob_tokenizer_close(ob_tokenizer *tokenizer);

/* Words met before, bounded; NULL: no memory. */
ob_tokenizer_cache *ob_tokenizer_cache_create(void);
void ob_tokenizer_cache_destroy(ob_tokenizer_cache *cache);

typedef enum ob_truncation {
    OB_TRUNCATION_NONE, /* never cut */
    OB_TRUNCATION_LONGEST_FIRST,
    OB_TRUNCATION_ONLY_FIRST,
    OB_TRUNCATION_ONLY_SECOND
} ob_truncation;

typedef struct ob_encode_options {
    bool add_special_tokens;   /* <s> A </s>, <s> A </s></s> B </s> */
    bool split_special_tokens; /* special tokens written in the text are plain text */
    ob_truncation truncation;
    bool truncate_left;
    size_t max_length; /* special tokens included; only read where truncation is not NONE */
    size_t stride;     /* windows: tokens that a window shares with the one before it, below the room for text */
    bool details;      /* offsets, special_tokens_mask, word_ids, sequence_ids */
} ob_encode_options;

void ob_encode_options_default(ob_encode_options *options); /* special tokens, no truncation, no details */
/* The same with the folder's own truncation_side and split_special_tokens. */
void ob_tokenizer_options(const ob_tokenizer *tokenizer, ob_encode_options *options);

/* One encoded text or pair. Arrays are reused by the next encode into the same struct; free with ob_encoding_release.
 */
typedef struct ob_encoding {
    size_t count, capacity;
    int32_t *ids;
    /* with details, else not filled: */
    size_t (*offsets)[2];         /* start and end in code points of the text that the token belongs to */
    uint8_t *special_tokens_mask; /* 1 for tokens that were added around the text */
    int32_t *word_ids;            /* piece of the pre-tokenizer, -1 for added special tokens */
    int8_t *sequence_ids;         /* 0 text, 1 pair, -1 added special tokens */
} ob_encoding;

#define OB_ENCODING_INIT                   \
    {                                      \
        0, 0, NULL, NULL, NULL, NULL, NULL \
    }
void ob_encoding_release(ob_encoding *encoding);

/* `pair` NULL: a single text; an empty pair is a pair. `cache` may be NULL. Linear time but for a logarithm. Errors:
 * OB_ERR_INPUT with the byte offset of invalid UTF-8, or of a text that cannot be cut as asked; OB_ERR_OUT_OF_MEMORY.
 */
ob_status ob_tokenizer_encode(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                              const char *pair, size_t pair_bytes, const ob_encode_options *options, ob_encoding *out,
                              ob_error *err);

/* A text or pair that is too long as several windows (transformers: return_overflowing_tokens): all hold max_length
 * tokens or less, the first what ob_tokenizer_encode gives, the others the rest, each with the special tokens and with
 * the sequence that is not cut. Where both are cut, every window of the first text meets every one of the second. A
 * text of which nothing stays has one more window, uncut, as the reference has it. */
typedef struct ob_encoding_list {
    size_t count, capacity;
    ob_encoding *windows; /* (capacity), of which `count` are filled */
} ob_encoding_list;

void ob_encoding_list_release(ob_encoding_list *list);

/* As ob_tokenizer_encode; windows are reused by the next call. OB_ERR_INPUT: a stride that leaves no room, or windows
 * of more than 2^25 tokens in all. */
ob_status ob_tokenizer_encode_windows(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text,
                                      size_t bytes, const char *pair, size_t pair_bytes,
                                      const ob_encode_options *options, ob_encoding_list *out, ob_error *err);

/* Appends the text of the ids; ids that the vocabulary lacks are left out, bytes that are no UTF-8 become U+FFFD. */
ob_status ob_tokenizer_decode(const ob_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special_tokens,
                              bool clean_up_spaces, ob_strbuf *out, ob_error *err);

/* The vocabulary's string of an id (mapped characters, "Ġthe"), NULL for an id that it lacks. */
const char *ob_tokenizer_token(const ob_tokenizer *tokenizer, int32_t id);
/* The id of a vocabulary string, -1 where it is absent. */
int32_t ob_tokenizer_id(const ob_tokenizer *tokenizer, const char *token);
bool ob_tokenizer_is_special(const ob_tokenizer *tokenizer, int32_t id);

typedef enum ob_special_token {
    OB_TOKEN_BOS, /* <s>, also cls */
    OB_TOKEN_PAD,
    OB_TOKEN_EOS, /* </s>, also sep */
    OB_TOKEN_UNK,
    OB_TOKEN_MASK,
    OB_SPECIAL_TOKEN_COUNT
} ob_special_token;
/* -1 where the folder names none and the vocabulary lacks the usual one. */
int32_t ob_tokenizer_special_id(const ob_tokenizer *tokenizer, ob_special_token which);

size_t ob_tokenizer_vocab_size(const ob_tokenizer *tokenizer); /* tokens, added ones included */
/* The greatest id that any text can give. */
int32_t ob_tokenizer_max_id(const ob_tokenizer *tokenizer);
/* tokenizer_config.json's padding_side is left; its clean_up_tokenization_spaces (false where it says nothing). */
bool ob_tokenizer_pads_left(const ob_tokenizer *tokenizer);
bool ob_tokenizer_cleans_up_spaces(const ob_tokenizer *tokenizer);
/* tokenizer_config.json's model_max_length; 0 where it sets no limit. */
size_t ob_tokenizer_model_max_length(const ob_tokenizer *tokenizer);

#endif
