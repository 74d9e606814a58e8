/* What `inspect` found in a folder, and how it shows that. */
#ifndef OBERTA_CLI_INSPECT_REPORT_H
#define OBERTA_CLI_INSPECT_REPORT_H

#include "cli.h"

#include <oberta/checkpoint.h>
#include <oberta/roberta_config.h>
#include <oberta/sentence.h>

#define CLI_HEAD_COUNT      (OB_HEAD_MULTIPLE_CHOICE + 1)
#define CLI_ONE(code, name) +1
#define CLI_TASK_COUNT      (0 OB_TASK_MAP(CLI_ONE))
#define CLI_TOKENIZER_FILES 5

typedef enum cli_head_state {
    CLI_HEAD_ABSENT,
    CLI_HEAD_INCOMPLETE, /* some of its tensors are there; `why` says what is wrong */
    CLI_HEAD_FOUND
} cli_head_state;

typedef struct cli_folder {
    const char *path;
    char *model_path;       /* the same, or the folder inside in which old folders of sentence-transformers keep it */
    ob_sentence sentence;   /* of modules.json */
    ob_strbuf sentence_why; /* what is wrong with it; the other tasks do without */
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_tokenizer *tokenizer;
    cli_head_state heads[CLI_HEAD_COUNT]; /* by ob_head */
    ob_strbuf why[CLI_HEAD_COUNT];
    bool pooler;
    bool *used;    /* of each tensor: encoder, pooler or a head is made of it */
    size_t tokens; /* of the batch whose memory is shown */
} cli_folder;

extern const char *const cli_special_names[OB_SPECIAL_TOKEN_COUNT];
const char *cli_head_name(const ob_roberta_config *config, size_t head);
uint64_t cli_count_parameters(const cli_folder *folder); /* of the tensors that are used */
size_t cli_count_dtype(const cli_folder *folder, int dtype);
/* The files that the tokenizer was read from; returns how many. */
size_t cli_list_tokenizer_files(const cli_folder *folder, const char *files[CLI_TOKENIZER_FILES]);
/* Whether `run` takes the folder for a task, on rows that are right. */
bool cli_runs_task(const cli_folder *folder, ob_task task);

/* Appends to `out`. Everything of the folder is open. */
void cli_inspect_append_text(const cli_context *ctx, const cli_folder *folder, ob_strbuf *out);
void cli_inspect_append_json(const cli_folder *folder, ob_strbuf *out);

#endif
