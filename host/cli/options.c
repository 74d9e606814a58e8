/* A small parser of command lines: --name value, --name=value, -x value, -xy, and -- before texts that begin with '-'.
 */
#include "cli.h"

#include <oberta/log.h>
#include <oberta/utf8.h>
#include <string.h>

#define MAX_OPTIONS 32

typedef struct parser {
    cli_context *ctx;
    const cli_command *command;
    cli_option options[MAX_OPTIONS];
    size_t count;
    bool help, verbose;
} parser;

static const cli_option *find_name(const parser *p, const char *name, size_t length)
{
    for (size_t i = 0; i < p->count; i++)
        if (strlen(p->options[i].name) == length && strncmp(p->options[i].name, name, length) == 0)
            return &p->options[i];
    return NULL;
}

static void add_options(parser *p, const cli_option *options, size_t count)
{
    for (size_t i = 0; i < count && p->count < MAX_OPTIONS; i++)
        if (find_name(p, options[i].name, strlen(options[i].name)) == NULL)
            p->options[p->count++] = options[i];
}

static void print_help(const parser *p)
{
    printf("usage: oberta %s\n\n%s\n\n", p->command->synopsis, p->command->summary);
    for (size_t i = 0; i < p->count; i++) {
        const cli_option *o = &p->options[i];
        char left[64], letter[8] = "    ";
        if (o->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value_name != NULL ? " " : "",
                 o->value_name != NULL ? o->value_name : "");
        printf("  %-28s  %s\n", left, o->help);
    }
}

static const cli_option *find_letter(const parser *p, char letter)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->options[i].letter == letter)
            return &p->options[i];
    return NULL;
}

static int unknown_option(const parser *p, const char *name, size_t length)
{
    const char *names[MAX_OPTIONS];
    char word[64];
    for (size_t i = 0; i < p->count; i++)
        names[i] = p->options[i].name;
    snprintf(word, sizeof word, "%.*s", (int)(length < 60 ? length : 60), name);
    const char *nearest = ob_text_nearest(word, names, p->count);
    if (nearest != NULL)
        return cli_usage(p->ctx, "unknown option '--%s'; did you mean '--%s'?", word, nearest);
    return cli_usage(p->ctx, "unknown option '--%s'; 'oberta %s --help' lists them", word, p->command->name);
}

static int store(const parser *p, const cli_option *o, const char *value)
{
    if (o->values != NULL) {
        if (*o->value_count == CLI_MAX_VALUES)
            return cli_usage(p->ctx, "--%s: given more than %d times", o->name, CLI_MAX_VALUES);
        o->values[(*o->value_count)++] = value;
    } else {
        *o->value = value;
    }
    return -1;
}

static void set_switch(parser *p, const cli_option *o)
{
    *o->flag = true;
    if (o->flag == &p->verbose)
        p->ctx->verbose++;
}

static int parse_long(parser *p, const char *text, int argc, char **argv, int *at)
{
    size_t length = strcspn(text, "=");
    const cli_option *o = find_name(p, text, length);
    if (o == NULL)
        return unknown_option(p, text, length);
    if (o->value_name == NULL) {
        if (text[length] == '=')
            return cli_usage(p->ctx, "--%s takes no value", o->name);
        set_switch(p, o);
        return -1;
    }
    if (text[length] == '=')
        return store(p, o, text + length + 1);
    if (*at + 1 >= argc)
        return cli_usage(p->ctx, "--%s: a value is missing (%s)", o->name, o->value_name);
    return store(p, o, argv[++*at]);
}

static int parse_letters(parser *p, const char *letters, int argc, char **argv, int *at)
{
    for (; *letters != '\0'; letters++) {
        const cli_option *o = find_letter(p, *letters);
        if (o == NULL)
            return cli_usage(p->ctx, "unknown option '-%c'; 'oberta %s --help' lists them", *letters, p->command->name);
        if (o->value_name == NULL) {
            set_switch(p, o);
            continue;
        }
        if (letters[1] != '\0')
            return store(p, o, letters + 1);
        if (*at + 1 >= argc)
            return cli_usage(p->ctx, "-%c: a value is missing (%s)", o->letter, o->value_name);
        return store(p, o, argv[++*at]);
    }
    return -1;
}

static void print_log(void *user, ob_log_level level, const char *topic, const char *text)
{
    (void)user;
    static const char *const names[] = {"warning", "info", "debug"};
    fprintf(stderr, "%s: %s: %s\n", names[level], topic, text);
}

int cli_parse(cli_context *ctx, const cli_command *command, const cli_option *options, size_t option_count, int argc,
              char **argv, size_t *word_count)
{
    parser p = {.ctx = ctx, .command = command};
    const cli_option shared[] = {
        {"model", 'm', "DIR", "model folder (default: the demo model)", &ctx->model, NULL, NULL, NULL},
        {"device", 'd', "SELECTOR", "auto, cpu, gpu, an index, or key=value,... (default: auto)", &ctx->device, NULL,
         NULL, NULL},
        {"dtype", 0, "TYPE", "arithmetic: float32", &ctx->dtype, NULL, NULL, NULL},
        {"json", 0, NULL, "machine-readable output", NULL, &ctx->json, NULL, NULL},
        {"no-cache", 0, NULL, "neither read nor keep compiled kernels", NULL, &ctx->no_cache, NULL, NULL},
        {"quiet", 'q', NULL, "only results and errors", NULL, &ctx->quiet, NULL, NULL},
        {"verbose", 'v', NULL, "say more; twice: everything", NULL, &p.verbose, NULL, NULL},
        {"help", 'h', NULL, "this text", NULL, &p.help, NULL, NULL},
    };
    add_options(&p, options, option_count);
    add_options(&p, shared, sizeof shared / sizeof *shared);
    size_t words = 0;
    bool only_texts = false;
    for (int at = 1; at < argc; at++) {
        char *text = argv[at];
        int status = -1;
        if (only_texts || text[0] != '-' || text[1] == '\0')
            argv[words++] = text; /* never ahead of what is read */
        else if (strcmp(text, "--") == 0)
            only_texts = true;
        else if (text[1] == '-')
            status = parse_long(&p, text + 2, argc, argv, &at);
        else
            status = parse_letters(&p, text + 1, argc, argv, &at);
        if (status >= 0)
            return status;
    }
    *word_count = words;
    if (p.help) {
        print_help(&p);
        return 0;
    }
    if (ctx->dtype != NULL && strcmp(ctx->dtype, "float32") != 0)
        return cli_usage(ctx, "--dtype: '%s' is not available in this version; float32 is", ctx->dtype);
    if (!ctx->quiet)
        ob_log_set_sink(print_log, NULL,
                        ctx->verbose > 1   ? OB_LOG_DEBUG
                        : ctx->verbose > 0 ? OB_LOG_INFO
                                           : OB_LOG_WARN);
    return -1;
}
