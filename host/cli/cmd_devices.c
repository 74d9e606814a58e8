/* oberta devices: every OpenCL device, usable or why not. */
#include "cli.h"

#include <string.h>

static void append_field(ob_strbuf *out, const char *name, const char *value)
{
    ob_strbuf_printf(out, ",\"%s\":", name);
    ob_json_append_string(out, value, strlen(value));
}

void cli_append_device_json(ob_strbuf *out, const ob_device_info *d)
{
    ob_strbuf_printf(out, "{\"index\":%d", d->index);
    append_field(out, "platform", d->platform);
    append_field(out, "name", d->name);
    append_field(out, "vendor", d->vendor);
    append_field(out, "driver", d->driver_version);
    append_field(out, "version", d->device_version);
    append_field(out, "type", ob_device_type_name(d->type));
    ob_strbuf_printf(out, ",\"units\":%u,\"clock_mhz\":%u,\"vector_width\":%u,\"memory\":%llu,\"local_memory\":%llu",
                     d->compute_units, d->clock_mhz, d->vector_width, (unsigned long long)d->global_bytes,
                     (unsigned long long)d->local_bytes);
    ob_strbuf_printf(out, ",\"max_alloc\":%llu,\"max_work_group\":%zu,\"estimated_gflops\":%.1f,\"capabilities\":[",
                     (unsigned long long)d->max_alloc_bytes, d->max_work_group, ob_device_estimated_gflops(d));
    const char *comma = "";
#define APPEND_CAPABILITY(code, bit, label)              \
    if ((d->capabilities & code) != 0) {                 \
        ob_strbuf_printf(out, "%s\"%s\"", comma, label); \
        comma = ",";                                     \
    }
    OB_CAPABILITY_MAP(APPEND_CAPABILITY)
#undef APPEND_CAPABILITY
    ob_strbuf_putc(out, ']');
    append_field(out, "quirks", d->quirks);
    ob_strbuf_printf(out, ",\"usable\":%s", d->usable ? "true" : "false");
    append_field(out, "why_not", d->why_not);
    ob_strbuf_putc(out, '}');
}

static void print_json(const ob_device_list *devices)
{
    ob_strbuf out = OB_STRBUF_INIT;
    ob_strbuf_putc(&out, '[');
    for (size_t i = 0; i < ob_device_list_count(devices); i++) {
        if (i > 0)
            ob_strbuf_puts(&out, ",\n ");
        cli_append_device_json(&out, ob_device_get_info(ob_device_list_get(devices, i)));
    }
    ob_strbuf_puts(&out, "]\n");
    fputs(ob_strbuf_text(&out), stdout);
    ob_strbuf_release(&out);
}

static void pad(const char *text, size_t width)
{
    size_t used = cli_text_width(text, strlen(text));
    cli_print_text(stdout, text, strlen(text));
    for (; used < width; used++)
        putchar(' ');
}

/* "fp64, long_loops": what was probed, for the verdict's column. */
static void format_capabilities(const ob_device_info *d, char *out, size_t bytes)
{
    size_t at = 0;
    out[0] = '\0';
#define FORMAT_CAPABILITY(code, bit, label)          \
    if ((d->capabilities & code) != 0 && at < bytes) \
        at += (size_t)snprintf(out + at, bytes - at, "%s%s", at > 0 ? ", " : "", label);
    OB_CAPABILITY_MAP(FORMAT_CAPABILITY)
#undef FORMAT_CAPABILITY
}

typedef struct widths {
    size_t platform, name, driver;
} widths;

static size_t wider(size_t width, const char *text)
{
    size_t own = cli_text_width(text, strlen(text));
    return own > width ? own : width;
}

static widths measure(const ob_device_list *devices)
{
    widths w = {8, 6, 6};
    for (size_t i = 0; i < ob_device_list_count(devices); i++) {
        const ob_device_info *d = ob_device_get_info(ob_device_list_get(devices, i));
        w.platform = wider(w.platform, d->platform);
        w.name = wider(w.name, d->name);
        w.driver = wider(w.driver, d->driver_version);
    }
    const char *empty;
    for (size_t i = 0; (empty = ob_device_list_empty_platform(devices, i)) != NULL; i++)
        w.platform = wider(w.platform, empty);
    return w;
}

static void print_device(const ob_device_info *d, const widths *w)
{
    char memory[16], capabilities[160];
    cli_format_bytes(memory, d->global_bytes);
    format_capabilities(d, capabilities, sizeof capabilities);
    printf("%3d  ", d->index);
    pad(d->platform, w->platform + 2);
    pad(d->name, w->name + 2);
    printf("%-11s  ", ob_device_type_name(d->type));
    pad(d->driver_version, w->driver + 2);
    printf("%5u  %9s  ", d->compute_units, memory);
    if (d->usable)
        printf("usable: %s\n", capabilities);
    else
        printf("not usable: %s\n", d->why_not);
}

static void print_table(const ob_device_list *devices)
{
    widths w = measure(devices);
    printf("  #  %-*s%-*s%-11s  %-*sunits     memory  verdict\n", (int)w.platform + 2, "platform", (int)w.name + 2,
           "device", "type", (int)w.driver + 2, "driver");
    for (size_t i = 0; i < ob_device_list_count(devices); i++)
        print_device(ob_device_get_info(ob_device_list_get(devices, i)), &w);
    const char *empty;
    for (size_t i = 0; (empty = ob_device_list_empty_platform(devices, i)) != NULL; i++) {
        printf("  -  ");
        pad(empty, w.platform + 2);
        printf("no devices%s\n",
               strcmp(empty, "rusticl") == 0 ? " (RUSTICL_ENABLE=llvmpipe enables its CPU device)" : "");
    }
}

int cli_devices(cli_context *ctx, int argc, char **argv)
{
    size_t count;
    int status = cli_parse(ctx, cli_find_command("devices"), NULL, 0, argc, argv, &count);
    if (status >= 0)
        return status;
    if (count > 0)
        return cli_usage(ctx, "'%s': no argument is taken", argv[0]);
    ob_error err;
    ob_error_clear(&err);
    ob_device_list *devices;
    if (cli_list_devices(ctx, &devices, &err) != OB_OK)
        return cli_fail(ctx, &err);
    for (size_t i = 0; i < ob_device_list_count(devices); i++)
        ob_device_probe(ob_device_list_get(devices, i));
    if (ctx->json)
        print_json(devices);
    else
        print_table(devices);
    ob_device_list_destroy(devices);
    return 0;
}
