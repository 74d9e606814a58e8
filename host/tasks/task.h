/* What a task wants of the model for a row, and the record it makes of it: one table of functions a task.
 *
 * Internal to host. tokenise and prepare run on tokenising threads, collect on the device worker's, emit on the
 * writer's. */
#ifndef OBERTA_TASKS_TASK_H
#define OBERTA_TASKS_TASK_H

#include "item.h"

#include <oberta/job.h>
#include <oberta/roberta_config.h>
#include <oberta/writer.h>

/* What a task needs of the model, the same for every batch. */
typedef struct ob__task_needs {
    ob_head head;
    bool pooler;
    unsigned want; /* of ob_want */
    size_t top_k;  /* for OB_WANT_TOP_K */
} ob__task_needs;

/* Everything a task may look at; read-only while rows are under way. */
typedef struct ob__task_context {
    const ob_job *job;
    const char *root_path;  /* the folder as the user named it */
    const char *model_path; /* where config.json lies: the same, but for old folders of sentence-transformers */
    const ob_tokenizer *tokenizer;
    const ob_roberta_config *config; /* pruned as the job says */
    int32_t mask_id;
    /* Filled by the task's open: */
    ob__item_limits limits; /* comes with what job, tokenizer and model allow; a task may lower max_length */
    ob__task_needs needs;
    void *state; /* the task's own, one block of ob_malloc; freed with the pipeline */
} ob__task_context;

typedef struct ob__task {
    /* The job against tokenizer and config, before the weights are looked at. Says what the task needs. */
    ob_status (*open)(ob__task_context *ctx, ob_error *err);
    /* Guess of the tokens that a row will run, which bounds how many rows are read at a time; NULL: by its text. */
    size_t (*row_tokens)(const ob__task_context *ctx, const ob_row *row);
    /* Turns a row into its sequences; may reject it. NULL: one sequence, ob__item_encode. */
    ob_status (*tokenise)(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err);
    /* Chooses the wanted positions of a tokenised row; may reject it. NULL: nothing to choose. */
    ob_status (*prepare)(const ob__task_context *ctx, ob__item *item, ob_error *err);
    /* Reduces a sequence's own results in place, once it has run; NULL: nothing to do. */
    ob_status (*collect)(const ob__task_context *ctx, ob__item *item, ob__sequence *sequence, ob_error *err);
    /* Makes the row's record when all of its sequences have run. */
    ob_status (*emit)(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err);
} ob__task;

extern const ob__task ob__task_fill_mask;
extern const ob__task ob__task_feature_extraction;
extern const ob__task ob__task_forward;
extern const ob__task ob__task_token_classification;
extern const ob__task ob__task_question_answering;
extern const ob__task ob__task_text_classification;
extern const ob__task ob__task_multiple_choice;
extern const ob__task ob__task_pseudo_log_likelihood;

/* The table of a task; NULL for a number that is none. */
const ob__task *ob__task_find(ob_task task);

/* OB_ERR_CONFIG unless the job's output format takes such records. `what` stands in the message ("predictions"). */
ob_status ob__task_check_format(const ob_job *job, ob_record_kind kind, const char *what, ob_error *err);

/* choice.c: a sequence for each choice of the row. */
ob_status ob__tokenise_choices(const ob__task_context *ctx, ob__item *item, ob__item_encoder *encoder, ob_error *err);
/* The logits of the row's sequences, one each; NULL: no memory. Free with ob_free. */
float *ob__choice_logits(const ob__item *item);

#endif
