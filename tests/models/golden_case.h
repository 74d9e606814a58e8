/* A folder of tests/data/goldens: its rows as batches, and the outputs that transformers gives for them. */
#ifndef OBERTA_GOLDEN_CASE_H
#define OBERTA_GOLDEN_CASE_H

#include "test_support.h"

#include <jansson.h>
#include <oberta/checkpoint.h>
#include <oberta/roberta.h>

/* One sequence that goes through the model. */
typedef struct golden_sequence {
    size_t count;
    int32_t *ids, *types, *positions, *mask; /* (count); mask NULL: all kept */
    float *head_mask;                        /* (layers, heads); NULL: ones */
    size_t encoder_count;                    /* 0: none */
    float *encoder_states;                   /* (encoder_count, hidden) */
    int32_t *encoder_mask;                   /* NULL: all kept */
} golden_sequence;

/* A row of inputs.jsonl: one sequence, or one for each choice. */
typedef struct golden_row {
    size_t first, count;
} golden_row;

typedef struct golden_case {
    char name[64], folder[512];
    json_t *info;                       /* case.json */
    ob_checkpoint *expected, *encoders; /* encoders NULL: no encoder.safetensors */
    golden_sequence *sequences;
    golden_row *rows;
    size_t row_count;
} golden_case;

/* `name` is a folder of goldens/. */
void golden_open(const char *name, golden_case *out);
void golden_close(golden_case *g);

/* The rows, tokenised by the model folder's own tokenizer where they are text. */
void golden_read_rows(golden_case *g, const char *model, const ob_roberta_config *config);
void golden_release_rows(golden_case *g);

bool golden_has_output(const golden_case *g, const char *output);
/* All of ob_want that the case's outputs need. */
unsigned golden_want(const golden_case *g);

/* The sequences of rows [begin, end) in one batch, every token a position of the LM head, its id the target. */
void golden_make_batch(const golden_case *g, size_t begin, size_t end, const ob_roberta_config *config, unsigned want,
                       ob_batch *out);
void golden_release_batch(ob_batch *batch);

/* A part of a result that belongs to the batch's sequences [begin, end), which is one row. */
typedef struct golden_slice {
    const float *data;
    size_t count;
} golden_slice;

/* `output` is a name of case.json, or "pooled", "top_ids", "top_scores", "target_scores". */
golden_slice golden_find_slice(const ob_roberta_config *config, ob_head head, const ob_batch *batch,
                               const ob_result *result, const char *output, size_t begin, size_t end);

/* The greatest error of a row's output as a share of its tolerance; fails above 1. */
double golden_compare(const golden_case *g, const char *output, size_t row, const float *got, size_t count);

#endif
