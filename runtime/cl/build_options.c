/* Typed defines to one sorted string. */
#include "cl_internal.h"

#include <string.h>

void ob_defines_int(ob_defines *defines, const char *name, long value)
{
    if (defines->count < OB_DEFINES_MAX) {
        defines->items[defines->count].name = name;
        defines->items[defines->count].identifier = NULL;
        defines->items[defines->count++].value = value;
    }
}

void ob_defines_identifier(ob_defines *defines, const char *name, const char *identifier)
{
    if (defines->count < OB_DEFINES_MAX) {
        defines->items[defines->count].name = name;
        defines->items[defines->count].identifier = identifier;
        defines->items[defines->count++].value = 0;
    }
}

void ob__build_options_render(const ob_defines *defines, ob_strbuf *out)
{
    size_t order[OB_DEFINES_MAX], count = defines == NULL ? 0 : defines->count;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && strcmp(defines->items[order[at - 1]].name, defines->items[i].name) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    ob_strbuf_puts(out, "-cl-std=CL1.2");
    for (size_t i = 0; i < count; i++) {
        const char *identifier = defines->items[order[i]].identifier;
        if (identifier != NULL)
            ob_strbuf_printf(out, " -D%s=%s", defines->items[order[i]].name, identifier);
        else
            ob_strbuf_printf(out, " -D%s=%ld", defines->items[order[i]].name, defines->items[order[i]].value);
    }
}
