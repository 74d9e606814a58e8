/* Selectors: what a user asks for, and why each device fits or does not. */
#include <oberta/device.h>

#include <errno.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const pattern_keys[] = {"index",  "platform", "name",       "vendor",
                                           "driver", "type",     "min_memory", "requires"};
#define KEY_COUNT (sizeof pattern_keys / sizeof *pattern_keys)

static const struct {
    const char *name;
    unsigned type;
} type_names[] = {{"cpu", OB_DEVICE_CPU}, {"gpu", OB_DEVICE_GPU}, {"accelerator", OB_DEVICE_ACCELERATOR}};

static const struct {
    const char *name;
    unsigned capability;
} capability_names[] = {
#define CAPABILITY_NAME(code, bit, label) {label, code},
    OB_CAPABILITY_MAP(CAPABILITY_NAME)
#undef CAPABILITY_NAME
};
#define CAPABILITY_COUNT (sizeof capability_names / sizeof *capability_names)

const char *ob_device_pattern_key(size_t index)
{
    return index < KEY_COUNT ? pattern_keys[index] : NULL;
}

void ob_device_selector_default(ob_device_selector *selector)
{
    *selector = (ob_device_selector){.match = {.index = -1}, .exclude = {.index = -1}};
}

static void release_pattern(ob_device_pattern *pattern)
{
    ob_free(pattern->platform);
    ob_free(pattern->name);
    ob_free(pattern->vendor);
    ob_free(pattern->driver);
}

void ob_device_selector_release(ob_device_selector *selector)
{
    release_pattern(&selector->match);
    release_pattern(&selector->exclude);
    ob_device_selector_default(selector);
}

static bool find_type(const char *name, unsigned *type)
{
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (strcmp(type_names[i].name, name) == 0) {
            *type = type_names[i].type;
            return true;
        }
    return false;
}

static ob_status set_text(char **field, const char *value, ob_error *err)
{
    char *copy = ob_strdup(value);
    if (copy == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a device selector");
    ob_free(*field);
    *field = copy;
    return OB_OK;
}

static ob_status set_index(ob_device_pattern *pattern, const char *value, ob_error *err)
{
    char *end;
    errno = 0;
    long index = strtol(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || index < 0 || index > 4095)
        return ob_error_set(err, OB_ERR_USAGE, "index: '%s' is not the number of a device", value);
    pattern->index = (int)index;
    return OB_OK;
}

/* "8GiB", "512 MB", "1073741824" */
static ob_status set_memory(ob_device_pattern *pattern, const char *value, ob_error *err)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1},       {"B", 1},      {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},     {"K", 0x1p10},
                 {"M", 0x1p20}, {"G", 0x1p30}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    char *end;
    double number = strtod(value, &end);
    const char *unit = end + strspn(end, " ");
    for (size_t i = 0; end != value && i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].unit) == 0 && number >= 0 && number * units[i].bytes < 0x1p63) {
            pattern->min_memory = (uint64_t)(number * units[i].bytes);
            return OB_OK;
        }
    return ob_error_set(err, OB_ERR_USAGE, "min_memory: '%s' is not an amount such as 8GiB or 512MB", value);
}

static ob_status add_requirement(ob_device_pattern *pattern, const char *name, ob_error *err)
{
    const char *known[CAPABILITY_COUNT];
    for (size_t i = 0; i < CAPABILITY_COUNT; i++) {
        known[i] = capability_names[i].name;
        if (strcmp(known[i], name) == 0) {
            pattern->requires |= capability_names[i].capability;
            return OB_OK;
        }
    }
    const char *nearest = ob_text_nearest(name, known, CAPABILITY_COUNT);
    if (nearest != NULL)
        return ob_error_set(err, OB_ERR_USAGE, "requires: '%s' is no capability; did you mean '%s'?", name, nearest);
    return ob_error_set(err, OB_ERR_USAGE, "requires: '%s' is none of fp16, fp64, subgroups, local_memory, ...", name);
}

static ob_status add_requirements(ob_device_pattern *pattern, const char *value, ob_error *err)
{
    while (*value != '\0') {
        char name[32];
        size_t length = strcspn(value, "+");
        snprintf(name, sizeof name, "%.*s", (int)(length < 31 ? length : 31), value);
        if (add_requirement(pattern, name, err) != OB_OK)
            return ob_error_status(err);
        value += length + (value[length] == '+');
    }
    return OB_OK;
}

ob_status ob_device_pattern_set(ob_device_pattern *pattern, const char *key, const char *value, ob_error *err)
{
    if (strcmp(key, "index") == 0)
        return set_index(pattern, value, err);
    if (strcmp(key, "platform") == 0)
        return set_text(&pattern->platform, value, err);
    if (strcmp(key, "name") == 0)
        return set_text(&pattern->name, value, err);
    if (strcmp(key, "vendor") == 0)
        return set_text(&pattern->vendor, value, err);
    if (strcmp(key, "driver") == 0)
        return set_text(&pattern->driver, value, err);
    if (strcmp(key, "min_memory") == 0)
        return set_memory(pattern, value, err);
    if (strcmp(key, "requires") == 0)
        return add_requirements(pattern, value, err);
    if (strcmp(key, "type") == 0) {
        unsigned type;
        if (!find_type(value, &type))
            return ob_error_set(err, OB_ERR_USAGE, "type: '%s' is none of cpu, gpu, accelerator", value);
        pattern->types |= type;
        return OB_OK;
    }
    const char *nearest = ob_text_nearest(key, pattern_keys, KEY_COUNT);
    if (nearest != NULL)
        return ob_error_set(err, OB_ERR_USAGE, "%s: unknown key; did you mean '%s'?", key, nearest);
    return ob_error_set(err, OB_ERR_USAGE,
                        "%s: unknown key; a device has index, platform, name, vendor, driver, type, "
                        "min_memory, requires",
                        key);
}

static ob_status parse_pairs(const char *text, ob_device_selector *selector, ob_error *err)
{
    while (*text != '\0') {
        size_t length = strcspn(text, ","), equals = strcspn(text, "=");
        if (equals >= length)
            return ob_error_set(err, OB_ERR_USAGE,
                                "'%.*s' is not a device: auto, cpu, gpu, accelerator, an index, or key=value,...",
                                (int)length, text);
        char *key = ob_strndup(text, equals), *value = ob_strndup(text + equals + 1, length - equals - 1);
        ob_status status = OB_ERR_OUT_OF_MEMORY;
        if (key != NULL && value != NULL)
            status = ob_device_pattern_set(&selector->match, key, value, err);
        else
            ob_error_set(err, status, "no memory for a device selector");
        ob_free(key);
        ob_free(value);
        if (status != OB_OK)
            return status;
        text += length + (text[length] == ',');
    }
    return OB_OK;
}

ob_status ob_device_selector_parse(const char *text, ob_device_selector *out, ob_error *err)
{
    ob_device_selector selector;
    ob_device_selector_default(&selector);
    ob_status status = OB_OK;
    unsigned type;
    if (find_type(text, &type))
        selector.match.types = type;
    else if (text[0] >= '0' && text[0] <= '9')
        status = set_index(&selector.match, text, err);
    else if (text[0] == '\0')
        status = ob_error_set(err, OB_ERR_USAGE, "a device is missing: auto, cpu, gpu, an index, or key=value,...");
    else if (strcmp(text, "auto") != 0)
        status = parse_pairs(text, &selector, err);
    if (status == OB_OK)
        *out = selector;
    else
        ob_device_selector_release(&selector);
    return status;
}

/* The first key that does not fit, "" when all do. Capabilities only count once the device was probed. */
static const char *misfit(const ob_device_pattern *p, const ob_device_info *d)
{
    if (p->index >= 0 && p->index != d->index)
        return "index";
    if (p->platform != NULL && !ob_text_contains_folded(d->platform, p->platform))
        return "platform";
    if (p->name != NULL && !ob_text_contains_folded(d->name, p->name))
        return "name";
    if (p->vendor != NULL && !ob_text_contains_folded(d->vendor, p->vendor))
        return "vendor";
    if (p->driver != NULL && !ob_text_contains_folded(d->driver_version, p->driver))
        return "driver";
    if (p->types != 0 && (p->types & d->type) == 0)
        return "type";
    if (d->global_bytes < p->min_memory)
        return "min_memory";
    if (d->probed && (p->requires & ~d->capabilities) != 0)
        return "requires";
    return "";
}

static const char *ruled_out(const ob_device_selector *s, const ob_device_info *d)
{
    const char *key = misfit(&s->match, d);
    if (key[0] == '\0' && s->has_exclude && misfit(&s->exclude, d)[0] == '\0')
        return "exclude";
    return key;
}

static int rank(ob_device_type type)
{
    return type == OB_DEVICE_GPU ? 0 : type == OB_DEVICE_CPU ? 1 : 2;
}

static bool better(const ob_device_info *a, const ob_device_info *b)
{
    if (rank(a->type) != rank(b->type))
        return rank(a->type) < rank(b->type);
    double x = ob_device_estimated_gflops(a), y = ob_device_estimated_gflops(b);
    return x != y ? x > y : a->index < b->index;
}

/* The best device that fits and was not found unusable; NULL when none is left. */
static ob_device *best_fit(const ob_device_list *list, const ob_device_selector *selector, size_t *fitting)
{
    ob_device *best = NULL;
    *fitting = 0;
    for (size_t i = 0; i < ob_device_list_count(list); i++) {
        ob_device *device = ob_device_list_get(list, i);
        const ob_device_info *info = ob_device_get_info(device);
        if (ruled_out(selector, info)[0] != '\0' || (info->probed && !info->usable))
            continue;
        ++*fitting;
        if (best == NULL || better(info, ob_device_get_info(best)))
            best = device;
    }
    return best;
}

static void explain(const ob_device_selector *s, const ob_device_info *chosen, size_t fitting, size_t count,
                    ob_strbuf *why)
{
    if (s->match.index >= 0)
        ob_strbuf_puts(why, "chosen by its index");
    else if (count == 1)
        ob_strbuf_puts(why, "the only device");
    else if (fitting == 1)
        ob_strbuf_printf(why, "the only one of %zu devices that fits", count);
    else
        ob_strbuf_printf(why, "best of %zu that fit: estimated %.0f GFLOPS", fitting,
                         ob_device_estimated_gflops(chosen));
}

ob_status ob_device_select(ob_device_list *list, const ob_device_selector *selector, ob_device **out, ob_strbuf *why,
                           ob_error *err)
{
    for (;;) {
        size_t fitting;
        ob_device *device = best_fit(list, selector, &fitting);
        if (device == NULL)
            break;
        ob_device_probe(device);
        const ob_device_info *info = ob_device_get_info(device);
        if (!info->usable || ruled_out(selector, info)[0] != '\0')
            continue; /* now ruled out for good; the next best is looked at */
        if (why != NULL)
            explain(selector, info, fitting, ob_device_list_count(list), why);
        *out = device;
        return OB_OK;
    }
    ob_error_set(err, OB_ERR_NO_DEVICE, "no device fits what was asked for:");
    for (size_t i = 0; i < ob_device_list_count(list); i++) {
        const ob_device_info *info = ob_device_get_info(ob_device_list_get(list, i));
        const char *key = ruled_out(selector, info);
        ob_error_add(err, OB_ERR_NO_DEVICE, "  %d  %s, %s (%s): %s%s", info->index, info->platform, info->name,
                     ob_device_type_name(info->type),
                     key[0] != '\0' ? "ruled out by " : "not usable: ", key[0] != '\0' ? key : info->why_not);
    }
    const char *empty;
    for (size_t i = 0; (empty = ob_device_list_empty_platform(list, i)) != NULL; i++)
        ob_error_add(err, OB_ERR_NO_DEVICE, "  -  %s: this platform has no devices", empty);
    return OB_ERR_NO_DEVICE;
}
