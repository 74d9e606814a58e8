/* The OpenCL devices of this machine, what each can do, and choosing among them.
 *
 * A list owns everything reachable from it; devices are read-only and may be read from any thread. */
#ifndef OBERTA_DEVICE_H
#define OBERTA_DEVICE_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <oberta/strbuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ob_device_type {
    OB_DEVICE_CPU = 1,
    OB_DEVICE_GPU = 2,
    OB_DEVICE_ACCELERATOR = 4,
    OB_DEVICE_OTHER = 8
} ob_device_type;

/* Capabilities which a selector may require. Each was probed on the device (compiled, run, answer checked), not taken
 * from the extension string. X(code, name) */
#define OB_CAPABILITY_MAP(X)                                                                           \
    X(OB_CAP_FP16, 0, "fp16")                                                                          \
    X(OB_CAP_FP64, 1, "fp64")                                                                          \
    X(OB_CAP_SUBGROUPS, 2, "subgroups")                                                                \
    X(OB_CAP_LOCAL_MEMORY, 3, "local_memory") /* dedicated, not emulated in global memory */           \
    X(OB_CAP_UNIFIED_MEMORY, 4, "unified_memory")                                                      \
    X(OB_CAP_LONG_LOOPS, 5, "long_loops") /* a work-item may loop more than 65,535 times */            \
    X(OB_CAP_FMA, 6, "fma")               /* fma() is at least as fast as a multiply and an add */     \
    X(OB_CAP_PREFETCH, 7, "prefetch")     /* __builtin_prefetch; tried where the driver survives it */ \
    X(OB_CAP_AMX, 8, "amx")               /* x86's matrix tiles by inline assembly; tried likewise */  \
    X(OB_CAP_SPREAD, 9, "spread")         /* as many work-groups as units run at once, a unit each */

typedef enum ob_capability {
#define OB_CAPABILITY_ENUM(code, bit, name) code = 1u << bit,
    OB_CAPABILITY_MAP(OB_CAPABILITY_ENUM)
#undef OB_CAPABILITY_ENUM
} ob_capability;

/* Everything is known without running anything, but for `capabilities`, `usable` and `why_not` (ob_device_probe). */
typedef struct ob_device_info {
    int index; /* its number in `oberta devices`, stable while the drivers stay the same */
    const char *platform, *platform_version;
    const char *name, *vendor, *driver_version, *device_version; /* device_version: "OpenCL 1.2 ..." */
    ob_device_type type;
    uint32_t compute_units;
    uint32_t clock_mhz;
    uint32_t vector_width; /* native, in floats */
    uint64_t global_bytes, local_bytes, max_alloc_bytes;
    size_t max_work_group;
    size_t max_work_items[3];
    uint32_t base_align_bytes; /* alignment that sub-buffers need */
    int version;               /* 102 for OpenCL 1.2, 300 for 3.0 */

    bool probed;
    bool usable;
    const char *why_not;   /* "" where usable; else one clause for people */
    unsigned capabilities; /* of ob_capability, probed */
    const char *quirks;    /* names of the driver exceptions in force, "" for none */
} ob_device_info;

typedef struct ob_device ob_device;
typedef struct ob_device_list ob_device_list;

/* Every device of every platform that the ICD loader knows, usable or not. A loader without any platform is
 * OB_ERR_NO_DEVICE with the Debian package that would give one; platforms without devices are listed by
 * ob_device_list_empty_platform. */
OB_API ob_status ob_device_list_create(ob_device_list **out, ob_error *err);
OB_API void ob_device_list_destroy(ob_device_list *list);
/* From now on the programs that devices are tried with come from the cache on disk in this folder, as those of contexts
 * do; NULL, and before the first call: they are built each time. */
OB_API ob_status ob_device_list_use_cache(ob_device_list *list, const char *folder, ob_error *err);
OB_API size_t ob_device_list_count(const ob_device_list *list);
OB_API ob_device *ob_device_list_get(const ob_device_list *list, size_t index);
/* Names of platforms that have no device; NULL past the last. */
OB_API const char *ob_device_list_empty_platform(const ob_device_list *list, size_t index);

OB_API const ob_device_info *ob_device_get_info(const ob_device *device);

/* Compiles and runs small kernels with known answers and fills capabilities, usable, why_not. A second call does
 * nothing. A device that fails is not an error: it is not usable, and why_not says what it did. Not thread-safe. */
OB_API void ob_device_probe(ob_device *device);

OB_API const char *ob_device_type_name(ob_device_type type); /* "cpu", "gpu", "accelerator", "other" */

/* A rough rate in GFLOPS of fp32 from units, clock and vector width; it orders devices, it promises nothing. */
OB_API double ob_device_estimated_gflops(const ob_device_info *info);

/* What a user asks for. Text fields are substrings, compared without case; NULL means any. */
typedef struct ob_device_pattern {
    int index; /* -1: any */
    char *platform, *name, *vendor, *driver;
    unsigned types;      /* of ob_device_type; 0: any */
    uint64_t min_memory; /* bytes of global memory */
    unsigned requires;   /* of ob_capability */
} ob_device_pattern;

typedef struct ob_device_selector {
    ob_device_pattern match;
    bool has_exclude;
    ob_device_pattern exclude;
} ob_device_selector;

/* The selector for `auto`. */
OB_API void ob_device_selector_default(ob_device_selector *selector);
OB_API void ob_device_selector_release(ob_device_selector *selector);

/* Sets one key from its text ("type", "gpu"), in `pattern`. OB_ERR_USAGE for an unknown key (with the nearest known
 * one) or a bad value; the message has no position, the caller prefixes its own. */
OB_API ob_status ob_device_pattern_set(ob_device_pattern *pattern, const char *key, const char *value, ob_error *err);
/* The keys of a pattern in the order of the documentation; NULL past the last. "requires" takes names joined by '+'. */
OB_API const char *ob_device_pattern_key(size_t index);

/* The short form of the command line: auto, cpu, gpu, accelerator, an index, or key=value pairs joined by commas. */
OB_API ob_status ob_device_selector_parse(const char *text, ob_device_selector *out, ob_error *err);

/* The best usable device that fits: GPUs before CPUs (other types last), then the higher estimated rate, then the lower
 * index. Probes only the devices that fit otherwise, best first. `why` (may be NULL) gets one clause: how it was
 * chosen. No match is OB_ERR_NO_DEVICE, listing every device with the key that ruled it out. */
OB_API ob_status ob_device_select(ob_device_list *list, const ob_device_selector *selector, ob_device **out,
                                  ob_strbuf *why, ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
