/* The command line: one file a command, and what commands share. The only room that prints and exits. */
#ifndef OBERTA_CLI_H
#define OBERTA_CLI_H

#include <oberta/device.h>
#include <oberta/job.h>
#include <oberta/pipeline.h>
#include <oberta/tune.h>
#include <oberta/writer.h>
#include <stdio.h>

/* Options every command takes, and the program's own surroundings. */
typedef struct cli_context {
    const char *command;
    double started;     /* when the process began: monotonic clock, seconds */
    const char *model;  /* --model; NULL: none given */
    const char *device; /* --device; NULL: none given */
    const char *dtype;
    bool json, quiet, no_cache;
    int verbose;
    bool out_is_terminal, err_is_terminal, colour;
    char *cache_folder;     /* NULL: nothing is kept */
    char *temporary_folder; /* stands in for it, for drivers that cannot do without; NULL: not needed */
    char *default_model;    /* where the demo model lies; NULL: nowhere */
    char *shipped_tuning;   /* the folder of the tables that come with the program; NULL: none */
    char *user_tuning;      /* the folder of the user's own, which may not exist; NULL: no home */
} cli_context;

/* One option of a command. */
typedef struct cli_option {
    const char *name;       /* without "--" */
    char letter;            /* 0: none */
    const char *value_name; /* NULL: a switch */
    const char *help;
    const char **value;  /* the last value given */
    bool *flag;          /* of a switch */
    const char **values; /* of an option that may come several times, or NULL; room for CLI_MAX_VALUES */
    size_t *value_count;
} cli_option;

#define CLI_MAX_VALUES 64

typedef struct cli_command {
    const char *name, *synopsis, *summary;
    int (*main)(cli_context *ctx, int argc, char **argv); /* argv[0] is the command; returns the exit status */
} cli_command;

/* options.c: parses shared options and `options`, which stand in for shared ones of the same name; the other arguments
 * are moved to argv[0..*word_count). Prints help or the mistake itself; returns -1 to go on, else the exit status. */
int cli_parse(cli_context *ctx, const cli_command *command, const cli_option *options, size_t option_count, int argc,
              char **argv, size_t *word_count);

/* print.c */
int cli_fail(const cli_context *ctx, const ob_error *err); /* prints the error; returns its exit status */
int cli_usage(const cli_context *ctx, const char *format, ...) OB_PRINTF(2, 3); /* the same for a wrong command line */
/* Writes text to a person's terminal or pipe: control characters are shown, never sent. */
void cli_print_text(FILE *file, const char *text, size_t bytes);
/* The same of several lines, whose ends stay. */
void cli_print_lines(FILE *file, const char *text);
void cli_format_bytes(char out[16], uint64_t bytes);  /* "23 GiB" */
void cli_format_count(char out[32], uint64_t value);  /* "10,000" */
void cli_format_scaled(char out[16], uint64_t value); /* "124.6 M", "34 K", "812" */
/* Columns that `text` takes on a terminal. */
size_t cli_text_width(const char *text, size_t bytes);
/* Flushes standard output; a failure there is the program's. Returns `status` or 6. */
int cli_finish_output(const cli_context *ctx, int status);

/* environment.c */
void cli_environment_init(cli_context *ctx);
void cli_environment_release(cli_context *ctx);
bool cli_interrupted(void);
void cli_catch_signals(void);

/* The tables of this machine: the shipped ones and the user's, or OBERTA_TUNING's; NULL where that is "off". */
ob_status cli_open_tuning(const cli_context *ctx, ob_tuning **out, ob_error *err);

/* Devices, tried with programs from the cache unless --no-cache. */
ob_status cli_list_devices(const cli_context *ctx, ob_device_list **out, ob_error *err);

/* progress.c */
void cli_print_bar(double part); /* to standard error */
typedef struct cli_progress {
    const cli_context *ctx;
    const char *task;
    bool shown;
} cli_progress;
bool cli_progress_show(void *user, const ob_progress *progress); /* an ob_progress_fn */
void cli_progress_clear(cli_progress *progress);

/* Prints device, model and kernels as `run` does, to standard error. */
void cli_print_opened(const cli_context *ctx, const ob_pipeline_info *info);

/* plan.c: what the job would do; returns the exit status. */
int cli_print_plan(const cli_context *ctx, const ob_job *job, const ob_pipeline_info *info);

/* Sets the job's model and device from --model and --device. OB_ERR_USAGE for a bad selector. */
ob_status cli_apply_shared(const cli_context *ctx, ob_job *job, ob_error *err);
/* The folder that --model or the demo model names; NULL with the error set where there is none. */
const char *cli_model_folder(const cli_context *ctx, ob_error *err);

/* The object that `devices --json` has for a device. */
void cli_append_device_json(ob_strbuf *out, const ob_device_info *device);

int cli_bench_main(cli_context *ctx, int argc, char **argv);
int cli_cache(cli_context *ctx, int argc, char **argv);
int cli_devices(cli_context *ctx, int argc, char **argv);
int cli_fill_mask(cli_context *ctx, int argc, char **argv);
int cli_init(cli_context *ctx, int argc, char **argv);
int cli_inspect(cli_context *ctx, int argc, char **argv);
int cli_run(cli_context *ctx, int argc, char **argv);
int cli_tokenize(cli_context *ctx, int argc, char **argv);
int cli_tune(cli_context *ctx, int argc, char **argv);

/* The table of commands; NULL for a name it lacks. */
const cli_command *cli_find_command(const char *name);

#endif
