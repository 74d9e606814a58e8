/* Builds programs, from the cache where it has them. */
#include "cl_internal.h"

#include <oberta/clock.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdio.h>

#define MAX_SOURCES 16
#define FORMAT_KEY  "oberta program 1"

/* Everything that shapes the binary. False: no memory, so no cache this time. */
static bool cache_key(const ob_context *ctx, const ob_source *const *sources, size_t count, const char *options,
                      ob_hash128 *key)
{
    ob_hasher *hasher = ob_hasher_create();
    if (hasher == NULL)
        return false;
    const ob_device_info *info = &ctx->device->info;
    const char *const texts[] = {FORMAT_KEY,
                                 OB_VERSION,
                                 options,
                                 info->platform,
                                 info->platform_version,
                                 info->name,
                                 info->vendor,
                                 info->driver_version,
                                 info->device_version};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ob_hasher_add_text(hasher, texts[i]);
    for (size_t i = 0; i < count; i++) {
        ob_hasher_add_text(hasher, sources[i]->name);
        ob_hasher_add(hasher, sources[i]->text, sources[i]->bytes);
    }
    *key = ob_hasher_finish(hasher);
    ob_hasher_destroy(hasher);
    return true;
}

static cl_program load_cached(ob_context *ctx, ob_hash128 key, const char *options)
{
    size_t bytes;
    unsigned char *binary = ob__program_cache_load(ctx->cache, key, &bytes);
    if (binary == NULL)
        return NULL;
    const unsigned char *pointer = binary;
    cl_int status = CL_SUCCESS, code;
    cl_program program = clCreateProgramWithBinary(ctx->context, 1, &ctx->device->id, &bytes, &pointer, &status, &code);
    ob_free(binary);
    if (code == CL_SUCCESS && status == CL_SUCCESS &&
        clBuildProgram(program, 1, &ctx->device->id, options, NULL, NULL) == CL_SUCCESS)
        return program;
    ob_log(OB_LOG_INFO, "cache", "the driver refuses a kept program; it is built again");
    if (program != NULL)
        clReleaseProgram(program);
    ob__program_cache_drop(ctx->cache, key);
    return NULL;
}

static void store_cached(ob_context *ctx, ob_hash128 key, const char *label, cl_program program)
{
    size_t bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) != CL_SUCCESS || bytes == 0)
        return;
    unsigned char *binary = ob_malloc(bytes);
    if (binary == NULL)
        return;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
        ob__program_cache_store(ctx->cache, key, label, ctx->device->info.name, binary, bytes);
    ob_free(binary);
}

static void append_build_log(cl_program program, cl_device_id device, ob_error *err)
{
    size_t bytes = 0;
    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) != CL_SUCCESS || bytes < 2)
        return;
    char *log = ob_calloc(bytes + 1, 1);
    if (log != NULL && clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, bytes, log, NULL) == CL_SUCCESS)
        ob_error_add(err, OB_ERR_BUILD, "%s", log);
    ob_free(log);
}

static cl_int try_build(ob_context *ctx, const ob_source *const *sources, size_t count, const char *options,
                        cl_program *out)
{
    const char *texts[MAX_SOURCES];
    size_t lengths[MAX_SOURCES];
    for (size_t i = 0; i < count; i++) {
        texts[i] = (const char *)sources[i]->text;
        lengths[i] = sources[i]->bytes;
    }
    cl_int code;
    *out = clCreateProgramWithSource(ctx->context, (cl_uint)count, texts, lengths, &code);
    if (code != CL_SUCCESS) {
        *out = NULL;
        return code;
    }
    return clBuildProgram(*out, 1, &ctx->device->id, options, NULL, NULL);
}

static ob_status build_from_source(ob_context *ctx, const char *label, const ob_source *const *sources, size_t count,
                                   const char *options, cl_program *out, ob_error *err)
{
    cl_program program = NULL;
    cl_int code = try_build(ctx, sources, count, options, &program);
    if (code == CL_BUILD_PROGRAM_FAILURE && (ctx->device->quirks & OB__QUIRK_RETRY_BUILD) != 0) {
        ob_log(OB_LOG_INFO, "program", "'%s' did not build; trying once more", label);
        clReleaseProgram(program);
        code = try_build(ctx, sources, count, options, &program);
    }
    if (code == CL_SUCCESS) {
        *out = program;
        return OB_OK;
    }
    ob__cl_error_set(err, code, "building '%s' on '%s'", label, ctx->device->info.name);
    if (program != NULL) {
        append_build_log(program, ctx->device->id, err);
        clReleaseProgram(program);
    }
    return ob_error_status(err);
}

ob_status ob_program_create(ob_context *ctx, const char *label, const ob_source *const *sources, size_t source_count,
                            const ob_defines *defines, ob_program **out, ob_error *err)
{
    double begin = ob_clock_seconds();
    ob_hash128 key = {0, 0};
    ob_strbuf options = OB_STRBUF_INIT;
    ob_program *program = ob_calloc(1, sizeof *program);
    ob__build_options_render(defines, &options);
    if (source_count > MAX_SOURCES) {
        ob_error_set(err, OB_ERR_INTERNAL, "program '%s' has %zu source files; at most %d are allowed", label,
                     source_count, MAX_SOURCES);
        goto fail;
    }
    if (program == NULL || options.failed) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for program '%s'", label);
        goto fail;
    }
    program->ctx = ctx;
    program->references = 1;
    snprintf(program->label, sizeof program->label, "%s", label);
    bool cached = ctx->cache != NULL && cache_key(ctx, sources, source_count, options.data, &key);
    if (cached)
        program->program = load_cached(ctx, key, options.data);
    if (program->program != NULL) {
        ctx->stats.programs_cached++;
    } else {
        if (build_from_source(ctx, label, sources, source_count, options.data, &program->program, err) != OB_OK)
            goto fail;
        ctx->stats.programs_built++;
        if (cached)
            store_cached(ctx, key, label, program->program);
    }
    ob_strbuf_release(&options);
    ctx->stats.build_seconds += ob_clock_seconds() - begin;
    *out = program;
    return OB_OK;
fail:
    ob_strbuf_release(&options);
    ob_free(program);
    return ob_error_status(err);
}

void ob__program_retain(ob_program *program)
{
    program->references++;
}

void ob_program_destroy(ob_program *program)
{
    if (program == NULL || --program->references > 0)
        return;
    clReleaseProgram(program->program);
    ob_free(program);
}
