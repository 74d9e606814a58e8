/* Lists platforms and devices, and asks each device what it says of itself. */
#include "cl_internal.h"

#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLATFORMS 64
#define MAX_DEVICES   64 /* of one platform */

struct ob_device_list {
    ob_device **devices;
    size_t count, capacity;
    char *empty[MAX_PLATFORMS];
    size_t empty_count;
    char *cache_folder;
};

/* A string property without white space around it; "" where the driver has none. NULL: no memory. */
static char *query_string(cl_int (*query)(const void *, cl_uint, size_t, void *, size_t *), const void *object,
                          cl_uint name)
{
    size_t bytes = 0;
    if (query(object, name, 0, NULL, &bytes) != CL_SUCCESS || bytes == 0 || bytes > (1u << 20))
        return ob_strdup("");
    char *text = ob_calloc(bytes + 1, 1);
    if (text == NULL)
        return NULL;
    if (query(object, name, bytes, text, NULL) != CL_SUCCESS)
        text[0] = '\0';
    size_t begin = strspn(text, " \t\n"), end = strlen(text);
    while (end > begin && strchr(" \t\n", text[end - 1]) != NULL)
        end--;
    memmove(text, text + begin, end - begin);
    text[end - begin] = '\0';
    return text;
}

static cl_int query_device(const void *object, cl_uint name, size_t bytes, void *value, size_t *needed)
{
    return clGetDeviceInfo((cl_device_id)(uintptr_t)object, name, bytes, value, needed);
}

static cl_int query_platform(const void *object, cl_uint name, size_t bytes, void *value, size_t *needed)
{
    return clGetPlatformInfo((cl_platform_id)(uintptr_t)object, name, bytes, value, needed);
}

static uint32_t query_uint(cl_device_id id, cl_uint name)
{
    cl_uint value = 0;
    return clGetDeviceInfo(id, name, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static uint64_t query_ulong(cl_device_id id, cl_uint name)
{
    cl_ulong value = 0;
    return clGetDeviceInfo(id, name, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static ob_device_type query_type(cl_device_id id)
{
    cl_device_type type = 0;
    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    if ((type & CL_DEVICE_TYPE_GPU) != 0)
        return OB_DEVICE_GPU;
    if ((type & CL_DEVICE_TYPE_CPU) != 0)
        return OB_DEVICE_CPU;
    return (type & CL_DEVICE_TYPE_ACCELERATOR) != 0 ? OB_DEVICE_ACCELERATOR : OB_DEVICE_OTHER;
}

/* "OpenCL 1.2 ..." -> 102 */
static int parse_version(const char *text)
{
    if (strncmp(text, "OpenCL ", 7) != 0)
        return 0;
    char *end;
    long major = strtol(text + 7, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return major < 1 || major > 99 || minor < 0 || minor > 99 ? 0 : (int)(major * 100 + minor);
}

static void query_numbers(ob_device *d)
{
    ob_device_info *info = &d->info;
    info->type = query_type(d->id);
    info->compute_units = query_uint(d->id, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->clock_mhz = query_uint(d->id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    info->vector_width = query_uint(d->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    info->global_bytes = query_ulong(d->id, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->local_bytes = query_ulong(d->id, CL_DEVICE_LOCAL_MEM_SIZE);
    info->max_alloc_bytes = query_ulong(d->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->base_align_bytes = query_uint(d->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    if (info->base_align_bytes == 0)
        info->base_align_bytes = 128;
    clGetDeviceInfo(d->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof info->max_work_group, &info->max_work_group, NULL);
    size_t items[8] = {0};
    if (query_uint(d->id, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS) <= 8 &&
        clGetDeviceInfo(d->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL) == CL_SUCCESS)
        memcpy(info->max_work_items, items, sizeof info->max_work_items);
    info->version = parse_version(info->device_version);
}

static void destroy_device(ob_device *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < sizeof d->strings / sizeof *d->strings; i++)
        ob_free(d->strings[i]);
    ob_strbuf_release(&d->why_not);
    ob_strbuf_release(&d->quirk_names);
    ob_free(d);
}

static ob_device *create_device(cl_platform_id platform, cl_device_id id, int index)
{
    ob_device *d = ob_calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->id = id;
    d->platform = platform;
    d->info.index = index;
    const struct {
        const char **field;
        bool of_platform;
        cl_uint name;
    } strings[] = {{&d->info.platform, true, CL_PLATFORM_NAME},
                   {&d->info.platform_version, true, CL_PLATFORM_VERSION},
                   {&d->info.name, false, CL_DEVICE_NAME},
                   {&d->info.vendor, false, CL_DEVICE_VENDOR},
                   {&d->info.driver_version, false, CL_DRIVER_VERSION},
                   {&d->info.device_version, false, CL_DEVICE_VERSION}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        d->strings[i] = strings[i].of_platform ? query_string(query_platform, platform, strings[i].name)
                                               : query_string(query_device, id, strings[i].name);
        if (d->strings[i] == NULL) {
            destroy_device(d);
            return NULL;
        }
        *strings[i].field = d->strings[i];
    }
    query_numbers(d);
    d->quirks = ob__device_quirks(&d->info);
    ob__device_quirks_describe(d->quirks, &d->quirk_names);
    d->info.quirks = ob_strbuf_text(&d->quirk_names);
    d->info.why_not = "";
    return d;
}

static ob_status add_platform(ob_device_list *list, cl_platform_id platform, ob_error *err)
{
    cl_device_id ids[MAX_DEVICES];
    cl_uint count = 0;
    cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &count);
    if (code != CL_SUCCESS || count == 0) {
        char *name = query_string(query_platform, platform, CL_PLATFORM_NAME);
        if (name == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the list of devices");
        if (code != CL_SUCCESS && code != CL_DEVICE_NOT_FOUND)
            ob_log(OB_LOG_WARN, "device", "platform '%s': %s", name, ob__cl_error_name(code));
        list->empty[list->empty_count++] = name;
        return OB_OK;
    }
    for (cl_uint i = 0; i < count && i < MAX_DEVICES; i++) {
        ob_device *device = NULL;
        if (ob_array_reserve((void **)&list->devices, &list->capacity, list->count + 1, sizeof *list->devices))
            device = create_device(platform, ids[i], (int)list->count);
        if (device == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the list of devices");
        list->devices[list->count++] = device;
    }
    return OB_OK;
}

ob_status ob_device_list_create(ob_device_list **out, ob_error *err)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint count = 0;
    cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &count);
    if (code != CL_SUCCESS || count == 0)
        return ob_error_set(
            err, OB_ERR_NO_DEVICE,
            "no OpenCL platform is installed: Debian's package pocl-opencl-icd makes any CPU a device, a "
            "GPU needs its vendor's (mesa-opencl-icd, intel-opencl-icd, nvidia-opencl-icd)");
    ob_device_list *list = ob_calloc(1, sizeof *list);
    if (list == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the list of devices");
    for (cl_uint i = 0; i < count && i < MAX_PLATFORMS; i++)
        if (add_platform(list, platforms[i], err) != OB_OK) {
            ob_device_list_destroy(list);
            return ob_error_status(err);
        }
    *out = list;
    return OB_OK;
}

ob_status ob_device_list_use_cache(ob_device_list *list, const char *folder, ob_error *err)
{
    char *copy = folder != NULL ? ob_strdup(folder) : NULL;
    if (folder != NULL && copy == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the cache's name");
    ob_free(list->cache_folder);
    list->cache_folder = copy;
    for (size_t i = 0; i < list->count; i++)
        list->devices[i]->cache_folder = copy;
    return OB_OK;
}

void ob_device_list_destroy(ob_device_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        destroy_device(list->devices[i]);
    for (size_t i = 0; i < list->empty_count; i++)
        ob_free(list->empty[i]);
    ob_free(list->cache_folder);
    ob_free(list->devices);
    ob_free(list);
}

size_t ob_device_list_count(const ob_device_list *list)
{
    return list->count;
}

ob_device *ob_device_list_get(const ob_device_list *list, size_t index)
{
    return list->devices[index];
}

const char *ob_device_list_empty_platform(const ob_device_list *list, size_t index)
{
    return index < list->empty_count ? list->empty[index] : NULL;
}

const ob_device_info *ob_device_get_info(const ob_device *device)
{
    return &device->info;
}

const char *ob_device_type_name(ob_device_type type)
{
    switch (type) {
    case OB_DEVICE_CPU:
        return "cpu";
    case OB_DEVICE_GPU:
        return "gpu";
    case OB_DEVICE_ACCELERATOR:
        return "accelerator";
    default:
        return "other";
    }
}

double ob_device_estimated_gflops(const ob_device_info *info)
{
    /* A multiply and an add in each lane; a GPU's unit has far more lanes than its "vector width" says. */
    double lanes = info->vector_width > 0 ? (double)info->vector_width : 1;
    if (info->type == OB_DEVICE_GPU)
        lanes = 64;
    return 2e-3 * info->compute_units * (info->clock_mhz > 0 ? info->clock_mhz : 1000) * lanes;
}

bool ob__device_has_extension(const ob_device *device, const char *name)
{
    char *extensions = query_string(query_device, device->id, CL_DEVICE_EXTENSIONS);
    size_t length = strlen(name);
    bool found = false;
    for (const char *at = extensions; at != NULL && (at = strstr(at, name)) != NULL && !found; at += length)
        found = (at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0');
    ob_free(extensions);
    return found;
}
