/* The parts of an open pipeline; pipeline.c opens and closes them, pipeline_run.c runs them. */
#ifndef OBERTA_SCHEDULE_PIPELINE_INTERNAL_H
#define OBERTA_SCHEDULE_PIPELINE_INTERNAL_H

#include "window.h"
#include "worker.h"

#include <oberta/pipeline.h>

struct ob_pipeline {
    const ob_job *job; /* the caller's; outlives the pipeline */
    char *root_path;   /* the folder as the job names it */
    char *model_path;  /* where the encoder lies in it: the same, but for old folders of sentence-transformers */
    ob_tokenizer *tokenizer;
    ob_roberta_config config;           /* pruned as the job says */
    ob__encoder_states *encoder_states; /* NULL: rows come without */
    size_t longest_encoder;             /* tokens */
    const ob__task *task;
    ob__task_context task_context;
    ob__task_needs planned; /* the task's, and what forward may ask for */
    int32_t *scratch;       /* of forward: cu_seqlens, token_type_ids, position_ids that a batch leaves out */
    size_t scratch_capacity;
    ob__worker *worker;
    ob_parallel *parallel;
    ob__item_encoder *encoders; /* one a thread of `parallel` */
    ob__window_limits window_limits;
    ob_pipeline_info info;
};

#endif
