/* Batches for attention's tests: made, run by one variant, and compared with double precision. */
#ifndef OBERTA_TEST_ATTENTION_CASES_H
#define OBERTA_TEST_ATTENTION_CASES_H

#include <oberta/context.h>
#include <oberta/op_attention.h>

#define CASE_SEQUENCES 16

typedef enum case_kind { CASE_PLAIN, CASE_CAUSAL, CASE_CROSS } case_kind;

typedef struct attention_case {
    case_kind kind;
    size_t heads, head_size, sequences, tokens, key_tokens;
    int32_t cu_seqlens[CASE_SEQUENCES], key_seqlens[CASE_SEQUENCES];
    float *q;       /* (tokens, 3 * heads * head_size); CASE_CROSS (tokens, heads * head_size) */
    float *kv;      /* CASE_CROSS (key_tokens, 2 * heads * head_size), else NULL */
    int32_t *mask;  /* (key_tokens); NULL: none */
    float *factors; /* (sequences, heads); NULL: none */
    float *dst;     /* (tokens, heads * head_size), by run_case */
    float *maps;    /* NULL: not wanted */
} attention_case;

typedef struct way {
    ob_attention_variant variant;
    size_t queries; /* of online */
    const char *name;
} way;

#define WAYS 6
extern const way ways[WAYS];

/* key_lengths: of CASE_CROSS, else NULL. Every number is random. */
attention_case make_case(case_kind kind, size_t heads, size_t head_size, const int32_t *lengths,
                         const int32_t *key_lengths, size_t count);
void free_case(attention_case *c);

/* The columns of a row of q and of kv, and the elements of all maps. */
size_t q_width(const attention_case *c);
size_t kv_width(const attention_case *c);
size_t map_elements(const attention_case *c);

/* Masks: every third token dropped, and all of sequence 3; or the first tokens of each sequence, s more than of the one
 * before, which leaves causal queries without a key. */
void mask_with_holes(attention_case *c);
void mask_on_the_left(attention_case *c);

/* llvmpipe compiles online for a quarter of a minute, so there it has few programs. */
bool slow_here(const attention_case *c, const way *how);
/* False where the variant refuses device or shape. Asserts that nothing behind dst and maps is written. */
bool run_case(ob_context *ctx, const attention_case *c, const way *how);
/* dst and maps, where they are wanted. Returns the worst error as a part of the bound. */
double check_case(const attention_case *c, const char *what);

#endif
