/* Tokens by id and ids by token, and the merges between them. Internal to models/tokenizer. */
#ifndef OBERTA_TOKENIZER_VOCAB_H
#define OBERTA_TOKENIZER_VOCAB_H

#include "json_file.h"

#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OB__MAX_TOKEN_ID    ((int32_t)1 << 24)
#define OB__MAX_TOKEN_BYTES 65535

/* The 256 bytes as printable characters: GPT-2's bijection. */
uint32_t ob__byte_to_char(unsigned char byte);
/* The byte of a mapped character; -1 for one that maps none. */
int ob__char_to_byte(uint32_t code_point);

typedef struct ob__token {
    char *text; /* mapped characters, NUL-terminated; NULL: no token has this id */
    size_t bytes;
    uint32_t added; /* 1 + its index among the added tokens; 0: none of them */
    bool foreign;   /* the vocabulary's own file lacks it: BPE never makes it */
} ob__token;

typedef struct ob__vocab {
    ob__token *tokens; /* (id_count) by id */
    size_t id_count, token_count;
    uint32_t *slots; /* open addressing: id + 1, 0 for none */
    size_t slot_count;
    int32_t byte_ids[256]; /* of each byte's symbol; -1 where the vocabulary lacks it */
} ob__vocab;

/* vocab.json from memory; every defect is listed. `name` stands in messages. */
ob_status ob__vocab_parse(const char *text, size_t bytes, const char *name, ob__vocab *out, ob_error *err);
/* The same of an object that was read already: tokenizer.json's model.vocab. Defects are noted. */
ob_status ob__vocab_read(const json_t *object, ob__vocab *out, ob__notes *notes);
void ob__vocab_release(ob__vocab *vocab);
/* -1 where there is none. */
int32_t ob__vocab_find(const ob__vocab *vocab, const char *text, size_t bytes);
/* Adds one more token, for special tokens that the file lacks. */
ob_status ob__vocab_add(ob__vocab *vocab, const char *text, size_t bytes, int32_t id, ob_error *err);

/* Which pairs of tokens merge, in which order, into what. */
typedef struct ob__merge {
    int32_t left, right; /* left -1: empty slot */
    uint32_t rank;
    int32_t product;
} ob__merge;

typedef struct ob__merges {
    ob__merge *slots; /* open addressing */
    size_t slot_count, count;
} ob__merges;

/* merges.txt from memory, against its vocabulary. */
ob_status ob__merges_parse(const char *text, size_t bytes, const char *name, const ob__vocab *vocab, ob__merges *out,
                           ob_error *err);
/* tokenizer.json's model.merges, of strings or of pairs. Defects are noted. */
ob_status ob__merges_read(const json_t *list, const ob__vocab *vocab, ob__merges *out, ob__notes *notes);
void ob__merges_release(ob__merges *merges);
/* NULL where the pair does not merge. */
const ob__merge *ob__merges_find(const ob__merges *merges, int32_t left, int32_t right);

#endif
