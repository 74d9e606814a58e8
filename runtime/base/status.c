/* Names, sentences and exit statuses of the codes in status.h. */
#include <oberta/status.h>

typedef struct status_entry {
    ob_status code;
    int exit_code;
    const char *name, *text;
} status_entry;

static const status_entry entries[] = {
#define STATUS_ENTRY(code, exit_status, sentence) {code, exit_status, #code, sentence},
    OB_STATUS_MAP(STATUS_ENTRY)
#undef STATUS_ENTRY
};

static const status_entry *find(ob_status status)
{
    static const status_entry unknown = {OB_ERR_INTERNAL, 1, "OB_ERR_UNKNOWN", "unknown status"};
    for (unsigned i = 0; i < sizeof entries / sizeof *entries; i++)
        if (entries[i].code == status)
            return &entries[i];
    return &unknown;
}

const char *ob_status_name(ob_status status)
{
    return find(status)->name;
}

const char *ob_status_text(ob_status status)
{
    return find(status)->text;
}

int ob_status_exit_code(ob_status status)
{
    return find(status)->exit_code;
}
