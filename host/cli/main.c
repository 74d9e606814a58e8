/* oberta: finds the command and runs it. */
#include "cli.h"

#include <oberta/utf8.h>
#include <string.h>
#include <time.h>

static const cli_command commands[] = {
    {"run", "run [options] JOB.yaml", "run a batch job from a YAML file", cli_run},
    {"fill-mask", "fill-mask [options] TEXT... | -", "predict <mask>, or every token of a text without one",
     cli_fill_mask},
    {"tokenize", "tokenize [options] TEXT... | -", "ids, tokens and offsets of texts", cli_tokenize},
    {"devices", "devices [options]", "every OpenCL device, usable or why not", cli_devices},
    {"inspect", "inspect [options] [FOLDER]", "what a model folder holds, or what is wrong with it", cli_inspect},
    {"bench", "bench [options]", "speed of devices on a model, as a share of what they could do", cli_bench_main},
    {"cache", "cache [options] list | clear | path", "compiled kernels kept on disk", cli_cache},
    {"tune", "tune [options]", "measure which matrix product is fastest on a device", cli_tune},
    {"init", "init [options] [JOB.yaml]", "write a commented job file", cli_init},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

const cli_command *cli_find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int print_help(void)
{
    printf("oberta " OB_VERSION ": RoBERTa on any OpenCL device\n\nusage: oberta COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-10s  %s\n", commands[i].name, commands[i].summary);
    printf("\n'oberta COMMAND --help' tells more. Exit status: 0 done, 1 a defect in oberta, 2 the job or the command\n"
           "line, 3 the model, 4 some rows failed, 5 the device, 6 input, output or memory, 75 interrupted.\n");
    return 0;
}

static int unknown_command(const cli_context *ctx, const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *nearest = ob_text_nearest(name, names, COMMAND_COUNT);
    if (nearest != NULL)
        return cli_usage(ctx, "unknown command '%s'; did you mean '%s'?", name, nearest);
    return cli_usage(ctx, "unknown command '%s'; 'oberta --help' lists them", name);
}

/* Loading and linking ran before main(), and took about as long as the processor time used so far. */
static double process_start(void)
{
    struct timespec now, used;
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)(now.tv_sec - used.tv_sec) + (double)(now.tv_nsec - used.tv_nsec) * 1e-9;
}

int main(int argc, char **argv)
{
    cli_context ctx = {.started = process_start()};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return cli_finish_output(&ctx, argc < 2 ? 2 : 0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("oberta " OB_VERSION);
        return cli_finish_output(&ctx, 0);
    }
    const cli_command *command = cli_find_command(argv[1]);
    if (command == NULL)
        return unknown_command(&ctx, argv[1]);
    ctx.command = command->name;
    cli_environment_init(&ctx);
    int status = cli_finish_output(&ctx, command->main(&ctx, argc - 1, argv + 1));
    cli_environment_release(&ctx);
    return status;
}
