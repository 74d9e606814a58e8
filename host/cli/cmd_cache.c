/* oberta cache: compiled kernels kept on disk. */
#include "cli.h"

#include <oberta/cache.h>
#include <oberta/memory.h>
#include <string.h>
#include <time.h>

static void print_entries_json(const ob_cache_entry *entries, size_t count)
{
    ob_strbuf out = OB_STRBUF_INIT;
    ob_strbuf_putc(&out, '[');
    for (size_t i = 0; i < count; i++) {
        ob_strbuf_printf(&out, "%s{\"name\":\"%s\",\"bytes\":%llu,\"used_at\":%lld,\"valid\":%s,\"program\":",
                         i > 0 ? "," : "", entries[i].name, (unsigned long long)entries[i].bytes,
                         (long long)entries[i].used_at, entries[i].valid ? "true" : "false");
        ob_json_append_string(&out, entries[i].label, strlen(entries[i].label));
        ob_strbuf_puts(&out, ",\"device\":");
        ob_json_append_string(&out, entries[i].device, strlen(entries[i].device));
        ob_strbuf_putc(&out, '}');
    }
    ob_strbuf_puts(&out, "]\n");
    fputs(ob_strbuf_text(&out), stdout);
    ob_strbuf_release(&out);
}

static void print_entries(const ob_cache_entry *entries, size_t count)
{
    printf("%-24s  %9s  %-16s  %s\n", "program", "size", "last used", "device");
    for (size_t i = 0; i < count; i++) {
        char size[16], used[32];
        time_t at = (time_t)entries[i].used_at;
        struct tm local;
        cli_format_bytes(size, entries[i].bytes);
        if (localtime_r(&at, &local) == NULL || strftime(used, sizeof used, "%Y-%m-%d %H:%M", &local) == 0)
            used[0] = '\0';
        printf("%-24s  %9s  %-16s  ", entries[i].valid ? entries[i].label : "(damaged)", size, used);
        cli_print_text(stdout, entries[i].device, strlen(entries[i].device));
        putchar('\n');
    }
}

static int list(cli_context *ctx, ob_error *err)
{
    ob_cache_entry *entries;
    size_t count;
    if (ob_cache_list(ctx->cache_folder, &entries, &count, err) != OB_OK)
        return cli_fail(ctx, err);
    if (ctx->json)
        print_entries_json(entries, count);
    else if (count > 0)
        print_entries(entries, count);
    else
        printf("no compiled kernels in %s\n", ctx->cache_folder);
    ob_free(entries);
    return 0;
}

static int clear(cli_context *ctx, ob_error *err)
{
    uint64_t bytes;
    size_t count;
    if (ob_cache_clear(ctx->cache_folder, &bytes, &count, err) != OB_OK)
        return cli_fail(ctx, err);
    char size[16];
    cli_format_bytes(size, bytes);
    if (ctx->json)
        printf("{\"removed\":%zu,\"bytes\":%llu}\n", count, (unsigned long long)bytes);
    else
        printf("removed %zu programs, %s, from %s\n", count, size, ctx->cache_folder);
    return 0;
}

int cli_cache(cli_context *ctx, int argc, char **argv)
{
    size_t count;
    int status = cli_parse(ctx, cli_find_command("cache"), NULL, 0, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count != 1)
        return cli_usage(ctx, "one of list, clear, path is needed");
    ob_error err;
    ob_error_clear(&err);
    if (ctx->cache_folder == NULL) {
        const char *why = "the folder belongs to somebody else, or others may write to it";
        ob_free(ob_cache_default_folder(&why));
        ob_error_set(&err, OB_ERR_IO, "there is no cache: %s (OBERTA_CACHE_DIR names a folder)", why);
        return cli_fail(ctx, &err);
    }
    if (strcmp(argv[0], "path") == 0) {
        puts(ctx->cache_folder);
        return 0;
    }
    if (strcmp(argv[0], "list") == 0)
        return list(ctx, &err);
    if (strcmp(argv[0], "clear") == 0)
        return clear(ctx, &err);
    return cli_usage(ctx, "'%s' is not one of list, clear, path", argv[0]);
}
