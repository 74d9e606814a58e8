/* Model folders and safetensors containers made up by the tests. */
#include "model_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_BYTES 4096

unsigned char *build_container(uint64_t length, const char *header, size_t header_bytes, size_t data_bytes,
                               size_t *bytes)
{
    *bytes = 8 + header_bytes + data_bytes;
    unsigned char *file = malloc(*bytes);
    assert_non_null(file);
    for (size_t i = 0; i < 8; i++)
        file[i] = (unsigned char)(length >> (8 * i));
    memcpy(file + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++)
        file[8 + header_bytes + i] = (unsigned char)(i % 251);
    return file;
}

char *make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    char name[PATH_BYTES];
    snprintf(name, sizeof name, "%s/oberta-test-XXXXXX", parent != NULL ? parent : "/tmp");
    assert_non_null(mkdtemp(name));
    char *folder = strdup(name);
    assert_non_null(folder);
    return folder;
}

void remove_folder(char *folder)
{
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        const char *path = path_in(folder, entry->d_name);
        if (unlink(path) != 0)
            assert_int_equal(rmdir(path), 0);
    }
    closedir(entries);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

const char *path_in(const char *folder, const char *name)
{
    static char path[PATH_BYTES];
    assert_true(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path);
    return path;
}

void write_file(const char *folder, const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(path_in(folder, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

void write_text(const char *folder, const char *name, const char *text)
{
    write_file(folder, name, text, strlen(text));
}

void write_container(const char *folder, const char *name, const char *header, size_t data_bytes)
{
    size_t bytes;
    unsigned char *file = build_container(strlen(header), header, strlen(header), data_bytes, &bytes);
    write_file(folder, name, file, bytes);
    free(file);
}

const char *golden_folder(const char *name)
{
    static char path[PATH_BYTES];
    const char *data = getenv("OB_TEST_DATA");
    assert_non_null(data);
    assert_true(snprintf(path, sizeof path, "%s/goldens/%s", data, name) < (int)sizeof path);
    return path;
}

unsigned char *read_golden(const char *name, size_t *bytes)
{
    FILE *file = fopen(golden_folder(name), "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    data[*bytes] = 0;
    return data;
}
