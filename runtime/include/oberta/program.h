/* Programs built from embedded .cl files, with typed defines and a cache on disk. */
#ifndef OBERTA_PROGRAM_H
#define OBERTA_PROGRAM_H

#include <oberta/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One embedded file. tools/cmake/embed.cmake makes these; `text` begins with a #line directive that names the file. */
typedef struct ob_source {
    const char *name;
    const unsigned char *text;
    size_t bytes;
} ob_source;

/* Defines for the kernel compiler. Only integers and plain identifiers can be given, so nothing from a file can reach
 * the compiler's command line; the rendered string is sorted, so the same set gives the same cache key. */
#define OB_DEFINES_MAX 24
typedef struct ob_defines {
    struct {
        const char *name;       /* a literal */
        const char *identifier; /* a literal, or NULL for an integer */
        long value;
    } items[OB_DEFINES_MAX];
    size_t count;
} ob_defines;

#define OB_DEFINES_INIT      \
    {                        \
        {{NULL, NULL, 0}}, 0 \
    }

void ob_defines_int(ob_defines *defines, const char *name, long value);
void ob_defines_identifier(ob_defines *defines, const char *name, const char *identifier);

typedef struct ob_program ob_program;

/* Builds the sources, joined in the order given, or takes them from the cache. `label` names the program in messages.
 * `defines` may be NULL. Errors: OB_ERR_BUILD with the compiler's log, which names real files and lines. */
ob_status ob_program_create(ob_context *ctx, const char *label, const ob_source *const *sources, size_t source_count,
                            const ob_defines *defines, ob_program **out, ob_error *err);
void ob_program_destroy(ob_program *program);

#ifdef __cplusplus
}
#endif
#endif
