/* Zip archives, read in place.
 *
 * The central directory alone says what an archive holds, as PyTorch's own reader does; a local header only tells where
 * its data begin, and must not contradict. Nothing is ever unpacked, so that no archive is greater than its file; a
 * compressed member is only known to be there. */
#ifndef OBERTA_CHECKPOINT_ZIP_H
#define OBERTA_CHECKPOINT_ZIP_H

#include <oberta/error.h>
#include <stdbool.h>
#include <stdint.h>

#define OB_ZIP_MAX_MEMBERS ((size_t)1 << 20)
#define OB_ZIP_MAX_NAME    ((size_t)512)

typedef struct ob__zip_member {
    const char *name; /* not NUL-terminated; points into the archive, as data does */
    size_t name_bytes;
    const unsigned char *data;
    size_t bytes;      /* as they lie in the file */
    unsigned method;   /* 0: stored; otherwise data are not the member's own */
    size_t begin, end; /* offsets: the local header, the first byte after the data */
} ob__zip_member;

typedef struct ob__zip {
    ob__zip_member *members; /* in order of name */
    size_t count;
    const char *first_name; /* of the directory's first member; not NUL-terminated */
    size_t first_name_bytes;
} ob__zip;

/* Checks every member. Errors: OB_ERR_MODEL with the member and the rule: what is cut short, compressed, encrypted,
 * there twice, outside the file, over another member or the directory, or told differently by local header and
 * directory. */
ob_status ob__zip_open(const unsigned char *data, size_t bytes, ob__zip *out, ob_error *err);
void ob__zip_close(ob__zip *zip);

const ob__zip_member *ob__zip_find(const ob__zip *zip, const char *name, size_t name_bytes); /* NULL: absent */

#endif
