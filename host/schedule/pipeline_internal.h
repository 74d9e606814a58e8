/* The parts of an open pipeline; pipeline.c opens and closes them, pipeline_run.c runs them. */
#ifndef OBERTA_SCHEDULE_PIPELINE_INTERNAL_H
#define OBERTA_SCHEDULE_PIPELINE_INTERNAL_H

#include "window.h"
#include "worker.h"

#include <oberta/pipeline.h>

struct ob_pipeline {
    const ob_job *job; /* the caller's; outlives the pipeline */
    char *model_path;
    ob_tokenizer *tokenizer;
    const ob__task *task;
    ob__task_context task_context;
    ob__item_limits item_limits;
    ob__worker *worker;
    ob_parallel *parallel;
    ob__item_encoder *encoders; /* one a thread of `parallel` */
    ob__window_limits window_limits;
    ob_pipeline_info info;
};

#endif
