/* What the formats behind a writer share. Internal to host/output. */
#ifndef OBERTA_OUTPUT_WRITER_INTERNAL_H
#define OBERTA_OUTPUT_WRITER_INTERNAL_H

#include <oberta/file.h>
#include <oberta/writer.h>

/* Bits of every ob_record_kind; OB_RECORD_SCORE is the last. */
#define OB__EVERY_RECORD ((2u << OB_RECORD_SCORE) - 1)

typedef struct ob__format {
    ob_output_format format;
    const char *name, *ending;
    unsigned kinds; /* bit (1 << ob_record_kind) for each record that it takes */
    bool binary;    /* needs a file, and another for its numbers until the header is known */
    /* Appends the record to `out`, which the writer then writes. */
    ob_status (*append)(ob_writer *writer, const ob_record *record, ob_strbuf *out, ob_error *err);
    /* Before the commit; writes what only the end knows. NULL: nothing. */
    ob_status (*finish)(ob_writer *writer, ob_error *err);
} ob__format;

struct ob_writer {
    const ob__format *format;
    char *path;
    bool standard_output;
    ob_atomic_file *file;
    ob_strbuf buffer;    /* of the record being written */
    int data;            /* binary formats: the numbers until the header is known; -1 */
    uint64_t data_bytes; /* safetensors: numbers written so far */
    ob_strbuf header;    /* safetensors: its JSON so far */
    uint64_t rows;       /* npy */
    size_t width;        /* npy: columns; CSV: columns between id and error */
    bool has_header;     /* CSV */
    bool lists;          /* CSV: the columns of lists that a job may ask for are there */
    ob_strbuf waiting;   /* CSV: error rows from before the header */
    ob_strbuf scratch;   /* CSV */
};

extern const ob__format ob__format_jsonl, ob__format_csv, ob__format_safetensors, ob__format_npy;

/* Writes to the target: standard output, or the temporary file. */
ob_status ob__writer_put(ob_writer *writer, const void *bytes, size_t count, ob_error *err);
/* safetensors, npy: appends to the numbers. */
ob_status ob__writer_put_data(ob_writer *writer, const void *bytes, size_t count, ob_error *err);

/* json_lists.c: lists of a record, as JSONL and the cells of CSV have them. */
void ob__json_append_labels(ob_strbuf *out, const ob_record *record);
void ob__json_append_entities(ob_strbuf *out, const ob_record *record);
void ob__json_append_answers(ob_strbuf *out, const ob_record *record);
void ob__json_append_tokens(ob_strbuf *out, const ob_record *record);
void ob__json_append_token_scores(ob_strbuf *out, const ob_record *record);
void ob__json_append_choice_scores(ob_strbuf *out, const ob_record *record);
void ob__json_append_choice_logits(ob_strbuf *out, const ob_record *record);
/* CHOICE: the first of the choices with the highest score; there is at least one. */
size_t ob__best_choice(const ob_record *record);

#endif
