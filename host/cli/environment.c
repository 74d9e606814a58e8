/* What the program finds around it, and what OpenCL drivers need to find.
 *
 * PoCL runs the system's linker and keeps compiled kernels as shared libraries: without PATH, or without a folder where
 * libraries may be loaded from, it aborts the process. So both are settled before the first OpenCL call. */
#define _GNU_SOURCE /* nftw, realpath, ST_NOEXEC */
#include "cli.h"

#include <errno.h>
#include <ftw.h>
#include <oberta/cache.h>
#include <oberta/file.h>
#include <oberta/memory.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts;

static void on_signal(int number)
{
    (void)number;
    /* A second signal does not wait: the temporary file stays, under its temporary name. */
    if (++interrupts > 1)
        _exit(75);
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupts > 0;
}

/* The folder of the running program; NULL where the system does not tell. */
static char *program_folder(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    return slash == NULL ? NULL : ob_strndup(path, (size_t)(slash - path));
}

/* The first of these folders, seen from the program's, that has `file` in it; NULL: none. */
static char *find_beside(const char *const *places, size_t count, const char *file)
{
    char *folder = program_folder(), *found = NULL;
    for (size_t i = 0; folder != NULL && found == NULL && i < count; i++) {
        char *candidate = ob_path_join(folder, places[i]);
        char *wanted = candidate != NULL ? ob_path_join(candidate, file) : NULL;
        if (wanted != NULL && ob_file_exists(wanted))
            found = realpath(candidate, NULL);
        ob_free(wanted);
        ob_free(candidate);
    }
    ob_free(folder);
    return found;
}

/* $OBERTA_MODEL, or the demo model: installed beside the program, or in the source tree that it was built in. */
static char *find_default_model(void)
{
    const char *chosen = getenv("OBERTA_MODEL");
    if (chosen != NULL && chosen[0] != '\0')
        return ob_strdup(chosen);
    static const char *const places[] = {"../share/oberta/models/demo", "../models/demo", "../../models/demo"};
    return find_beside(places, sizeof places / sizeof *places, "config.json");
}

static char *find_shipped_tuning(void)
{
    static const char *const places[] = {"../share/oberta/tuning", "../kernels/tuning/tables",
                                         "../../kernels/tuning/tables"};
    return find_beside(places, sizeof places / sizeof *places, "README.md");
}

static char *find_user_tuning(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg != NULL && xdg[0] == '/')
        return ob_path_join(xdg, "oberta/tuning");
    return home != NULL && home[0] == '/' ? ob_path_join(home, ".config/oberta/tuning") : NULL;
}

ob_status cli_open_tuning(const cli_context *ctx, ob_tuning **out, ob_error *err)
{
    const char *file = getenv("OBERTA_TUNING");
    bool given = file != NULL && file[0] != '\0';
    *out = NULL;
    if (given && strcmp(file, "off") == 0)
        return OB_OK;
    const ob_tuning_places places = {ctx->shipped_tuning, ctx->user_tuning, given ? file : NULL};
    if (ob_tuning_open(&places, out, err) == OB_OK)
        return OB_OK;
    ob_error_prefix(err, "OBERTA_TUNING");
    return ob_error_status(err);
}

ob_status cli_list_devices(const cli_context *ctx, ob_device_list **out, ob_error *err)
{
    ob_device_list *list;
    if (ob_device_list_create(&list, err) != OB_OK)
        return ob_error_status(err);
    if (ob_device_list_use_cache(list, ctx->no_cache ? NULL : ctx->cache_folder, err) != OB_OK) {
        ob_device_list_destroy(list);
        return ob_error_status(err);
    }
    *out = list;
    return OB_OK;
}

/* A folder of ours from which shared libraries can be loaded. */
static bool usable_folder(const char *path)
{
    struct stat info;
    struct statvfs system;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return false;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
           (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 && access(path, W_OK | X_OK) == 0 && statvfs(path, &system) == 0 &&
           (system.f_flag & ST_NOEXEC) == 0;
}

/* Compiled kernels of this run only: for a machine without a home. Removed at the end. */
static char *temporary_folder(void)
{
    const char *root = getenv("TMPDIR");
    ob_strbuf path = OB_STRBUF_INIT;
    ob_strbuf_printf(&path, "%s/oberta-XXXXXX", root != NULL && root[0] == '/' ? root : "/tmp");
    if (path.failed || mkdtemp(path.data) == NULL)
        ob_strbuf_release(&path);
    return path.data;
}

static void settle_pocl_cache(cli_context *ctx)
{
    const char *chosen = getenv("POCL_CACHE_DIR");
    if (chosen != NULL && chosen[0] != '\0')
        return;
    char *folder = ctx->cache_folder != NULL ? ob_path_join(ctx->cache_folder, "pocl") : NULL;
    if (folder != NULL && !usable_folder(folder)) {
        ob_free(folder);
        folder = NULL;
    }
    if (folder == NULL)
        folder = ctx->temporary_folder = temporary_folder();
    if (folder != NULL)
        setenv("POCL_CACHE_DIR", folder, 1);
    if (folder != ctx->temporary_folder)
        ob_free(folder);
}

void cli_environment_init(cli_context *ctx)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    ctx->out_is_terminal = isatty(STDOUT_FILENO) == 1;
    ctx->err_is_terminal = isatty(STDERR_FILENO) == 1;
    ctx->colour = (no_colour == NULL || no_colour[0] == '\0') && (terminal == NULL || strcmp(terminal, "dumb") != 0);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, with a message */
    const char *path = getenv("PATH");
    if (path == NULL || path[0] == '\0')
        setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    const char *why;
    ctx->cache_folder = ob_cache_default_folder(&why);
    if (ctx->cache_folder != NULL && !usable_folder(ctx->cache_folder)) {
        ob_free(ctx->cache_folder);
        ctx->cache_folder = NULL;
    }
    /* oberta's cache keeps program binaries, in which PoCL has one build of each kernel for work-groups of any size; it
     * would compile all of them a second time for the sizes of their launches. The kernels that matter on CPUs fix
     * theirs in the source, so they lose nothing. */
    setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
    settle_pocl_cache(ctx);
    ctx->default_model = find_default_model();
    ctx->shipped_tuning = find_shipped_tuning();
    ctx->user_tuning = find_user_tuning();
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void cli_environment_release(cli_context *ctx)
{
    if (ctx->temporary_folder != NULL)
        nftw(ctx->temporary_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    ob_free(ctx->temporary_folder);
    ob_free(ctx->cache_folder);
    ob_free(ctx->default_model);
    ob_free(ctx->shipped_tuning);
    ob_free(ctx->user_tuning);
}
