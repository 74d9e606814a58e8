/* Model folders and safetensors containers made up by the tests. Failures end the test. */
#ifndef OBERTA_TESTS_MODEL_FILES_H
#define OBERTA_TESTS_MODEL_FILES_H

#include <stddef.h>
#include <stdint.h>

/* `length`, then `header_bytes` of header, then `data_bytes` bytes 0, 1, 2, ... 250, 0, ...; in memory of exactly
 * *bytes bytes, so that a sanitizer sees a read beyond it. free() it. */
unsigned char *build_container(uint64_t length, const char *header, size_t header_bytes, size_t data_bytes,
                               size_t *bytes);

/* A new empty folder; remove_folder takes everything in it away and frees the name. */
char *make_folder(void);
void remove_folder(char *folder);

/* "<folder>/<name>" in a buffer that the next call overwrites. */
const char *path_in(const char *folder, const char *name);

void write_file(const char *folder, const char *name, const void *bytes, size_t count);
void write_text(const char *folder, const char *name, const char *text);
/* A right container with this header and as many bytes of data. */
void write_container(const char *folder, const char *name, const char *header, size_t data_bytes);

/* Files of OB_TEST_DATA/goldens: the path of "<case>/<model>", in a buffer that the next call overwrites. */
const char *golden_folder(const char *name);

/* The bytes of such a file, with a NUL behind them. free() it. */
unsigned char *read_golden(const char *name, size_t *bytes);

#endif
