/* What the files of runtime/cl share. OpenCL's own header is included here and in cl_interop.h, nowhere else. */
#ifndef OBERTA_CL_INTERNAL_H
#define OBERTA_CL_INTERNAL_H

#include <CL/cl.h>
#include <oberta/buffer.h>
#include <oberta/hash.h>
#include <oberta/launch.h>
#include <oberta/profile.h>
#include <oberta/program.h>

/* cl_error.c: the one place where OpenCL's codes get names and a status. */
const char *ob__cl_error_name(cl_int code);
ob_status ob__status_from_cl(cl_int code);
/* "<what>: CL_OUT_OF_RESOURCES" with the fitting status. */
ob_status ob__cl_error_set(ob_error *err, cl_int code, const char *format, ...) OB_PRINTF(3, 4);

/* device_quirks.c: exceptions for drivers, each with its reason. */
typedef enum ob__quirk {
    OB__QUIRK_RETRY_BUILD = 1,  /* a failed build may succeed the second time */
    OB__QUIRK_TRY_PREFETCH = 2, /* __builtin_prefetch may be tried; elsewhere it can end the process */
    OB__QUIRK_KERNEL_LIMIT = 4, /* what it says of a kernel's largest work-group is wrong; the device's holds */
    OB__QUIRK_TRY_AMX = 8, /* x86's matrix tiles may be tried: kernels run on the host, and inline assembly compiles */
    OB__QUIRK_SPREAD = 16  /* as many groups as units go to a unit each */
} ob__quirk;
unsigned ob__device_quirks(const ob_device_info *info);
/* Names of the quirks in force, joined by ", ". */
void ob__device_quirks_describe(unsigned quirks, ob_strbuf *out);

struct ob_device {
    ob_device_info info;
    cl_device_id id;
    cl_platform_id platform;
    unsigned quirks;
    char *strings[7];         /* what info points to */
    const char *cache_folder; /* the list's; NULL: none */
    ob_strbuf why_not, quirk_names;
};

/* device_probe.c */
bool ob__device_has_extension(const ob_device *device, const char *name);

typedef struct ob__profiler ob__profiler;
typedef struct ob__program_cache ob__program_cache;

struct ob_context {
    ob_device *device;
    ob_context_options options;
    cl_context context;
    cl_command_queue queue;
    ob__program_cache *cache; /* NULL: none */
    ob__profiler *profiler;   /* NULL: not wanted */
    ob_parallel *parallel;    /* NULL: not started */
    ob_buffer *scratch;       /* NULL: not wanted yet */
    ob_context_stats stats;
};

struct ob_buffer {
    ob_context *ctx;
    cl_mem mem;
    size_t bytes;
    bool is_view;
    char label[48];
};

struct ob_program {
    ob_context *ctx;
    cl_program program;
    unsigned references; /* of its creator and its kernels; all on one thread */
    char label[64];
};

struct ob_kernel {
    ob_program *program;
    cl_kernel kernel;
    size_t max_work_group;
    cl_ulong static_local_bytes;
    char name[64];
};

void ob__program_retain(ob_program *program);

/* profile.c */
ob_status ob__profiler_create(ob__profiler **out, ob_error *err);
void ob__profiler_destroy(ob__profiler *profiler);
/* Takes the event over. `label` is copied when the times are read, so it must be a kernel's own name or a literal. */
void ob__profiler_add(ob__profiler *profiler, const char *label, cl_event event);

/* build_options.c: " -DA=1 -DB=2", sorted by name. */
void ob__build_options_render(const ob_defines *defines, ob_strbuf *out);

/* program_cache.c */
ob_status ob__program_cache_open(const char *folder, uint64_t max_bytes, ob__program_cache **out, ob_error *err);
void ob__program_cache_close(ob__program_cache *cache);
/* The verified binary for `key`, NULL (with *bytes 0) where there is none that can be trusted. Free with ob_free. */
unsigned char *ob__program_cache_load(ob__program_cache *cache, ob_hash128 key, size_t *bytes);
/* Never an error: a cache that cannot be written is one that does not help. */
void ob__program_cache_store(ob__program_cache *cache, ob_hash128 key, const char *label, const char *device,
                             const unsigned char *binary, size_t bytes);
void ob__program_cache_drop(ob__program_cache *cache, ob_hash128 key);

#endif
