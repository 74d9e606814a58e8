/* Byte-pair encoding of one piece. Internal to models/tokenizer. */
#ifndef OBERTA_TOKENIZER_BYTE_BPE_H
#define OBERTA_TOKENIZER_BYTE_BPE_H

#include "vocab.h"

#include <oberta/tokenizer.h>

/* A byte-pair encoding: its tables and its rules for what they lack. */
typedef struct ob__bpe {
    ob__vocab vocab;
    ob__merges merges;
    int32_t unk_id;     /* of bytes whose symbol the vocabulary lacks; -1: they are left out */
    bool fuse_unk;      /* one for a run of them */
    bool ignore_merges; /* a piece that is a token stays whole */
    bool complete;      /* all 256 symbols are there */
} ob__bpe;

/* A token of a piece and its length: in bytes of the text with a complete vocabulary, else in bytes of mapped
 * characters, in which the reference counts when symbols are missing. */
typedef struct ob__bpe_token {
    int32_t id;
    uint32_t bytes;
} ob__bpe_token;

/* How many blanks at the ends of a token's string trimming takes from its range. */
typedef struct ob__trim {
    uint32_t lead, trail;
} ob__trim;

/* Scratch and memory of a thread. */
struct ob_tokenizer_cache {
    ob__bpe_token *symbols; /* the piece being merged */
    size_t symbol_capacity;
    int32_t *links; /* (2, symbols) for long pieces: previous and next */
    size_t link_capacity;
    struct ob__heap_entry *heap;
    size_t heap_capacity;
    struct ob__cached_piece *pieces; /* direct-mapped; NULL until first used */
    ob__trim *trims;                 /* of the tokens being encoded, with details */
    size_t trim_capacity;
    ob_encoding whole; /* what windows are cut from */
    ob_strbuf mapped;  /* a piece in mapped characters, for ignore_merges */
};

/* Appends nothing: sets *tokens and *count to the piece's tokens, which stay valid until the next call. False: no
 * memory. */
bool ob__bpe_encode(const ob__bpe *bpe, ob_tokenizer_cache *cache, const char *piece, size_t bytes,
                    const ob__bpe_token **tokens, size_t *count);

#endif
