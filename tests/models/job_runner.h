/* A whole job, from the text of a job file to the rows of its output. Failures end the test. */
#ifndef OBERTA_TESTS_JOB_RUNNER_H
#define OBERTA_TESTS_JOB_RUNNER_H

#include "test_support.h"

#include <jansson.h>
#include <oberta/pipeline.h>

/* Runs `job`, YAML with %s for the input's path and then %s for the output's, on `lines` of JSONL in a folder of its
 * own. `model` is a folder. *rows gets a list of the rows that were written (JSONL), NULL after a failure that leaves
 * nothing; *summary may be NULL. The error is in job_error. */
ob_status job_run(const char *job, const char *model, const char *lines, json_t **rows, ob_progress *summary);
extern ob_error job_error;

/* The same for an output that is no JSONL: `output` is its path, whose ending says the format. */
ob_status job_run_to(const char *job, const char *model, const char *input, const char *output);

/* One line of JSONL; steals nothing. */
void job_add_line(ob_strbuf *lines, const json_t *row);

#endif
