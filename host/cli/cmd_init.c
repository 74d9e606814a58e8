/* oberta init: a commented job file to start from. */
#include "cli.h"

#include <oberta/file.h>
#include <string.h>

/* A comment line for each device, so that the choice is before the reader's eyes. */
static void list_devices(ob_strbuf *out)
{
    ob_device_list *devices;
    ob_error err;
    ob_error_clear(&err);
    if (ob_device_list_create(&devices, &err) != OB_OK) {
        ob_strbuf_puts(out, "# No OpenCL device was found when this file was written.\n");
        return;
    }
    ob_strbuf_puts(out, "# Devices found when this file was written:\n");
    for (size_t i = 0; i < ob_device_list_count(devices); i++) {
        const ob_device_info *info = ob_device_get_info(ob_device_list_get(devices, i));
        ob_strbuf_printf(out, "#   %d  %s, %s (%s)\n", info->index, info->platform, info->name,
                         ob_device_type_name(info->type));
    }
    ob_device_list_destroy(devices);
}

static ob_status write_file(const char *path, const ob_strbuf *text, ob_error *err)
{
    ob_atomic_file *file = NULL;
    ob_status status = ob_atomic_file_create(path, false, &file, err);
    if (status == OB_OK)
        status = ob_atomic_file_write(file, ob_strbuf_text(text), text->length, err);
    if (status == OB_OK)
        status = ob_atomic_file_commit(file, err);
    ob_atomic_file_destroy(file);
    return status;
}

int cli_init(cli_context *ctx, int argc, char **argv)
{
    size_t count;
    int status = cli_parse(ctx, cli_find_command("init"), NULL, 0, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count > 1)
        return cli_usage(ctx, "'%s': one job file is written at a time", argv[1]);
    ob_error err;
    ob_error_clear(&err);
    ob_strbuf devices = OB_STRBUF_INIT, text = OB_STRBUF_INIT;
    list_devices(&devices);
    ob_job_write_template(&text, ob_strbuf_text(&devices), ctx->model != NULL ? ctx->model : ctx->default_model);
    if (count == 0 || strcmp(argv[0], "-") == 0)
        fputs(ob_strbuf_text(&text), stdout);
    else if (write_file(argv[0], &text, &err) != OB_OK)
        status = cli_fail(ctx, &err);
    else if (!ctx->quiet)
        fprintf(stderr, "wrote %s; edit its 'inputs', then: oberta run %s\n", argv[0], argv[0]);
    ob_strbuf_release(&devices);
    ob_strbuf_release(&text);
    return status < 0 ? 0 : status;
}
