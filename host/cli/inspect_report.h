/* What `inspect` found in a folder, and how it shows that. */
#ifndef OBERTA_CLI_INSPECT_REPORT_H
#define OBERTA_CLI_INSPECT_REPORT_H

#include "cli.h"

#include <oberta/checkpoint.h>
#include <oberta/roberta_config.h>

#define CLI_HEAD_COUNT (OB_HEAD_MULTIPLE_CHOICE + 1)

typedef enum cli_head_state {
    CLI_HEAD_ABSENT,
    CLI_HEAD_INCOMPLETE, /* some of its tensors are there; `why` says what is wrong */
    CLI_HEAD_FOUND
} cli_head_state;

typedef struct cli_folder {
    const char *path;
    ob_roberta_config config;
    ob_checkpoint *checkpoint;
    ob_tokenizer *tokenizer;
    cli_head_state heads[CLI_HEAD_COUNT]; /* by ob_head */
    ob_strbuf why[CLI_HEAD_COUNT];
    bool pooler;
    bool *used;    /* of each tensor: encoder, pooler or a head is made of it */
    size_t tokens; /* of the batch whose memory is shown */
} cli_folder;

/* Appends to `out`. Everything of the folder is open. */
void cli_inspect_append_text(const cli_context *ctx, const cli_folder *folder, ob_strbuf *out);
void cli_inspect_append_json(const cli_folder *folder, ob_strbuf *out);

#endif
