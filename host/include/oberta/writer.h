/* Writers put results into a file, in the order in which they are given. A file appears under its name complete, or not
 * at all; standard output is written as it comes. */
#ifndef OBERTA_WRITER_H
#define OBERTA_WRITER_H

#include <oberta/api.h>
#include <oberta/job.h>
#include <oberta/strbuf.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_prediction {
    float score;
    int32_t token;
    const char *token_str; /* decoded, UTF-8 */
    size_t token_str_bytes;
    const char *sequence;
    size_t sequence_bytes;
} ob_prediction;

/* A float tensor of a row, "last_hidden_state" (seq_len, hidden_size). */
typedef struct ob_named_array {
    const char *name;
    size_t rank;
    size_t shape[4];
    const float *data;
} ob_named_array;

/* text-classification */
typedef struct ob_label_score {
    const char *label;
    float score;
} ob_label_score;

/* token-classification; start and end in code points of the text */
typedef struct ob_entity {
    const char *entity; /* the label; its type alone where grouped */
    float score;
    size_t index; /* of the token in the sequence, <s> is 0; not where grouped */
    const char *word;
    size_t word_bytes;
    size_t start, end;
} ob_entity;

/* question-answering; start and end in code points of the context */
typedef struct ob_answer {
    float score;
    size_t start, end;
    const char *answer;
    size_t answer_bytes;
} ob_answer;

typedef enum ob_record_kind {
    OB_RECORD_ERROR,
    OB_RECORD_MASKS,      /* fill-mask of a text with masks */
    OB_RECORD_PREDICTION, /* fill-mask of a text without */
    OB_RECORD_EMBEDDING,  /* one pooled vector */
    OB_RECORD_ARRAYS,     /* forward, unpooled features */
    OB_RECORD_LABELS,
    OB_RECORD_ENTITIES,
    OB_RECORD_ANSWERS,
    OB_RECORD_CHOICE, /* multiple-choice */
    OB_RECORD_SCORE   /* pseudo-log-likelihood */
} ob_record_kind;

/* The result of one row. Everything is borrowed for the call. */
typedef struct ob_record {
    uint64_t row;
    const char *id;    /* JSON, "" without one */
    const char *input; /* the row's text, for programs that show it; NULL where the row came as ids */
    size_t input_bytes;
    ob_record_kind kind;
    /* ERROR */
    const char *error_code, *error_message; /* code: ob_status_name */
    /* MASKS: mask_count lists of top_k each, flat */
    size_t mask_count, top_k;
    const ob_prediction *predictions;
    /* PREDICTION */
    size_t token_count;
    const int32_t *token_ids;
    const char *const *tokens;
    const char *text;
    size_t text_bytes;
    /* MASKS, PREDICTION, where job.fill_mask.attentions: the row's own tokens and what they attend to; else NULL */
    size_t input_token_count;
    const char *const *input_tokens;
    const ob_named_array *attentions; /* (layers, heads, input_token_count, input_token_count) */
    /* LABELS: best first. JSON "label" and "score" of the best; "labels": [{"label","score"}] too unless the job asks
     * for one. */
    size_t label_count;
    const ob_label_score *labels;
    /* ENTITIES: JSON "entities": [{"entity","score","index","word","start","end"}], grouped: [{"entity_group","score",
     * "word","start","end"}] */
    size_t entity_count;
    const ob_entity *entities;
    bool grouped;
    /* ANSWERS: JSON "score","start","end","answer" of the best; "answers" too unless the job asks for one. */
    size_t answer_count;
    const ob_answer *answers;
    bool as_list; /* LABELS, ANSWERS: the job asks for several */
    /* CHOICE, at least one: JSON "choice": index of the best, "score", "scores": [softmax], "logits": [...] */
    size_t choice_count;
    const float *choice_scores, *choice_logits;
    /* SCORE: JSON "score": sum of log-probabilities, "token_count" of those summed, "token_scores": [...] where wanted,
     * with "tokens" */
    double score;
    const float *token_scores; /* (token_count); NULL: not wanted; tokens and token_ids are set with it */
    /* EMBEDDING and ARRAYS; an embedding is arrays[0] of rank 1 */
    size_t array_count;
    const ob_named_array *arrays;
} ob_record;

/* Takes finished records, in order of their rows: a writer, or a program that shows them itself. */
typedef struct ob_record_sink {
    ob_status (*write)(void *user, const ob_record *record, ob_error *err);
    void *user;
} ob_record_sink;

typedef struct ob_writer ob_writer;

/* `format` is not AUTO (ob_output_format_resolve). `path` "-": standard output. Refuses an existing file unless
 * `overwrite`. Which records a format can take: JSONL all (ARRAYS as nested lists), CSV all but ARRAYS, safetensors
 * EMBEDDING and ARRAYS, npy EMBEDDING. Error rows are rows of NaN in npy, whose index is the row, and left out of
 * safetensors, whose tensors have the row's number (a warning is logged for both). */
OB_API ob_status ob_writer_create(const char *path, ob_output_format format, bool overwrite, ob_writer **out,
                                  ob_error *err);
OB_API ob_status ob_writer_write(ob_writer *writer, const ob_record *record, ob_error *err);
/* Completes the file (fsync, rename). */
OB_API ob_status ob_writer_commit(ob_writer *writer, ob_error *err);
/* Removes what is not committed. */
OB_API void ob_writer_destroy(ob_writer *writer);

/* The format that a name's ending asks for; false where it says nothing. */
OB_API bool ob_output_format_from_path(const char *path, ob_output_format *out);
OB_API const char *ob_output_format_name(ob_output_format format);
/* True where `format` can take `kind`. */
OB_API bool ob_output_format_takes(ob_output_format format, ob_record_kind kind);

/* Appends `text` as a JSON string, quotes included, ASCII control characters, U+2028 and U+2029 escaped. */
OB_API void ob_json_append_string(ob_strbuf *out, const char *text, size_t bytes);
/* The shortest decimal that reads back as the same float, "1.0" rather than "1"; NaN and infinities as null. */
OB_API void ob_json_append_float(ob_strbuf *out, float value);
/* The same for a double. */
OB_API void ob_json_append_double(ob_strbuf *out, double value);

#ifdef __cplusplus
}
#endif
#endif
