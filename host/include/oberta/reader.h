/* Readers turn input files into rows, one at a time; a file may be larger than memory. */
#ifndef OBERTA_READER_H
#define OBERTA_READER_H

#include <oberta/api.h>
#include <oberta/job.h>
#include <oberta/strbuf.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A choice of multiple-choice: what precedes it, and the choice itself. */
typedef struct ob_choice {
    ob_strbuf prompt, text;
} ob_choice;

/* One row. Strings belong to the row and are well-formed UTF-8; a NUL inside is an ordinary character. */
typedef struct ob_row {
    uint64_t number;      /* 0-based over all inputs of the job */
    const char *file;     /* name for messages; belongs to the reader */
    uint64_t line;        /* 1-based line at which the row begins */
    ob_strbuf text, pair; /* question and context, for question-answering */
    bool has_pair;
    size_t choice_count, choice_capacity;
    ob_choice *choices; /* in place of a text; those beyond the count keep memory for the next row */
    ob_strbuf id;       /* the id as JSON ("7", "\"a\""), empty without one */
    /* Rows that come tokenised: */
    bool tokenised;
    size_t token_count;
    int32_t *input_ids; /* (token_count); the others too, or NULL where the row lacks them */
    int32_t *token_type_ids, *position_ids, *attention_mask;
    size_t head_mask_layers, head_mask_heads;
    float *head_mask; /* (head_mask_layers, head_mask_heads) or NULL */
    /* A row that is wrong, but whose end is known, so that the next can follow: */
    ob_status defect;      /* OB_OK, or OB_ERR_INPUT */
    ob_strbuf defect_text; /* without place: "column 3: invalid UTF-8 at byte 17" */
} ob_row;

OB_API void ob_row_init(ob_row *row);
OB_API void ob_row_clear(ob_row *row); /* empties, keeps memory for the next row */
OB_API void ob_row_release(ob_row *row);

/* Where rows come from: a reader, or texts that a program has in memory. Called from one thread. */
typedef struct ob_row_source {
    ob_status (*next)(void *user, ob_row *row, bool *more, ob_error *err);
    bool (*ready)(void *user);                                     /* NULL: always */
    void (*progress)(void *user, uint64_t *done, uint64_t *total); /* NULL: not known */
    void *user;
} ob_row_source;

/* Fills a cleared `row` from one JSON object, as a line of a JSONL input; `spec` names its fields. A wrong row is not
 * an error here: see row->defect. Number, file and line are the caller's. Errors: OB_ERR_OUT_OF_MEMORY. */
OB_API ob_status ob_row_parse_json(const ob_input_spec *spec, const char *text, size_t bytes, ob_row *row,
                                   ob_error *err);

typedef struct ob_reader ob_reader;

/* Opens the first input; each following one when the one before is at its end. Errors: OB_ERR_IO, and OB_ERR_INPUT
 * for what makes all rows of a file wrong (a CSV without the column). */
OB_API ob_status ob_reader_create(const ob_input_spec *inputs, size_t count, ob_reader **out, ob_error *err);
OB_API void ob_reader_destroy(ob_reader *reader);

/* Fills `row` and sets *more; at the end *more is false. A wrong row is not an error here: see row->defect. Errors:
 * OB_ERR_IO, OB_ERR_INPUT (a row above the limit of 64 MiB, an unclosed quote at the end of the file), with the place.
 */
OB_API ob_status ob_reader_next(ob_reader *reader, ob_row *row, bool *more, ob_error *err);

/* False where the next row would have to wait for a slow standard input: a good moment to work with what is there. */
OB_API bool ob_reader_ready(const ob_reader *reader);

/* Bytes read and bytes in all inputs, for a progress bar; *total is 0 where it is not known (a pipe). */
OB_API void ob_reader_progress(const ob_reader *reader, uint64_t *done, uint64_t *total);

#ifdef __cplusplus
}
#endif
#endif
