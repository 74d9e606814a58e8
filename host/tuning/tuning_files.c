/* Finds the tables of this machine. */
#include <dirent.h>
#include <oberta/file.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <oberta/tune.h>
#include <oberta/tuning.h>
#include <stdlib.h>
#include <string.h>

static ob_status read_table(ob_tuning *tuning, const char *path, ob_error *err)
{
    ob_strbuf text = OB_STRBUF_INIT;
    size_t before = ob_tuning_count(tuning);
    ob_status status = ob_file_read(path, OB_TUNING_MAX_BYTES, &text, err);
    if (status == OB_OK)
        status = ob_tuning_parse(tuning, ob_strbuf_text(&text), text.length, path, NULL, err);
    if (status == OB_OK)
        ob_log(OB_LOG_INFO, "tuning", "%s: %zu entries", path, ob_tuning_count(tuning) - before);
    ob_strbuf_release(&text);
    return status;
}

static int is_table(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && strcmp(entry->d_name + length - 4, ".txt") == 0;
}

/* Nobody asked for these files by name, so a mistake in one does not end a job. */
static void read_folder(ob_tuning *tuning, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_table, alphasort);
    for (int i = 0; i < count; i++) {
        ob_error err;
        ob_error_clear(&err);
        char *path = ob_path_join(folder, entries[i]->d_name);
        if (path != NULL && read_table(tuning, path, &err) != OB_OK)
            ob_log(OB_LOG_WARN, "tuning", "ignored: %s", err.text);
        ob_free(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

ob_status ob_tuning_open(const ob_tuning_places *places, ob_tuning **out, ob_error *err)
{
    ob_tuning *tuning = ob_tuning_create();
    if (tuning == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a tuning table");
    if (places->shipped != NULL)
        read_folder(tuning, places->shipped);
    if (places->file == NULL && places->user != NULL)
        read_folder(tuning, places->user);
    if (places->file != NULL && read_table(tuning, places->file, err) != OB_OK) {
        ob_tuning_destroy(tuning);
        return ob_error_status(err);
    }
    *out = tuning;
    return OB_OK;
}

void ob_tuning_close(ob_tuning *tuning)
{
    ob_tuning_destroy(tuning);
}
