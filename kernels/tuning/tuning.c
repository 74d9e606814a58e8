/* The table in memory, and looking things up in it. */
#include "tuning_internal.h"

#include <oberta/memory.h>
#include <string.h>

static const size_t m_limits[OB_TUNING_M_CLASSES] = {16, 64, 256, 1024, SIZE_MAX};

size_t ob_tuning_m_limit(size_t m_class)
{
    return m_limits[m_class];
}

size_t ob_tuning_m_class(size_t m)
{
    size_t m_class = 0;
    while (m > m_limits[m_class])
        m_class++;
    return m_class;
}

ob_tuning *ob_tuning_create(void)
{
    return ob_calloc(1, sizeof(ob_tuning));
}

void ob__tuning_cut(ob_tuning *tuning, size_t count)
{
    while (tuning->count > count)
        ob_free(tuning->rows[--tuning->count].text);
}

void ob_tuning_destroy(ob_tuning *tuning)
{
    if (tuning == NULL)
        return;
    ob__tuning_cut(tuning, 0);
    for (size_t i = 0; i < tuning->name_count; i++)
        ob_free(tuning->names[i]);
    ob_free(tuning->names);
    ob_free(tuning->rows);
    ob_free(tuning);
}

size_t ob_tuning_count(const ob_tuning *tuning)
{
    return tuning == NULL ? 0 : tuning->count;
}

void ob__tuning_clean(const char *text, ob_strbuf *out)
{
    size_t begin = out->length;
    bool blank = false;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool separates = c <= ' ' || c == 0x7F || c == '|' || c == '#';
        if (!separates && blank && out->length > begin)
            ob_strbuf_putc(out, ' ');
        if (!separates)
            ob_strbuf_putc(out, (char)c);
        blank = separates;
    }
    if (out->length == begin)
        ob_strbuf_putc(out, '-'); /* fields are never empty */
}

/* Whether a device's text is the one of an entry. */
static bool same(const char *in_table, const char *of_device)
{
    ob_strbuf clean = OB_STRBUF_INIT;
    ob__tuning_clean(of_device, &clean);
    bool result = !clean.failed && strcmp(in_table, ob_strbuf_text(&clean)) == 0;
    ob_strbuf_release(&clean);
    return result;
}

static const ob_tuning_entry *find(const ob_tuning *tuning, const ob_device_info *device, const char *op, size_t n,
                                   size_t k, bool any_driver)
{
    const ob__tuning_row *best = NULL;
    for (size_t i = 0; tuning != NULL && i < tuning->count; i++) {
        const ob__tuning_row *row = &tuning->rows[i];
        const ob_tuning_entry *e = &row->entry;
        if (e->n == n && e->k == k && strcmp(e->op, op) == 0 && (best == NULL || row->file >= best->file) &&
            same(e->platform, device->platform) && same(e->device, device->name) &&
            (any_driver || same(e->driver, device->driver_version)))
            best = row;
    }
    return best == NULL ? NULL : &best->entry;
}

const ob_tuning_entry *ob_tuning_find_exact(const ob_tuning *tuning, const ob_device_info *device, const char *op,
                                            size_t n, size_t k)
{
    return find(tuning, device, op, n, k, false);
}

const ob_tuning_entry *ob_tuning_find(const ob_tuning *tuning, const ob_device_info *device, const char *op, size_t n,
                                      size_t k)
{
    const ob_tuning_entry *exact = find(tuning, device, op, n, k, false);
    return exact != NULL ? exact : find(tuning, device, op, n, k, true);
}
