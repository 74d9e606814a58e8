/* The end of the archive leads to the central directory, the directory to the members. */
#include "zip.h"
#include "little_endian.h"
#include "printable.h"

#include <inttypes.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_SIGNATURE   0x04034b50u
#define CENTRAL_SIGNATURE 0x02014b50u
#define END_SIGNATURE     0x06054b50u
#define LOCATOR_SIGNATURE 0x07064b50u
#define END64_SIGNATURE   0x06064b50u
#define LOCAL_BYTES       30
#define CENTRAL_BYTES     46
#define END_BYTES         22
#define LOCATOR_BYTES     20
#define END64_BYTES       56
#define MAX_COMMENT       65535
#define ZIP64_EXTRA       0x0001u
#define FLAG_ENCRYPTED    0x0001u
#define FLAG_DESCRIPTOR   0x0008u
#define FLAG_STRONG       0x0040u
#define FLAG_MASKED       0x2000u
#define SATURATED_16      0xffffu
#define SATURATED_32      0xffffffffu

typedef struct directory {
    size_t begin, end; /* offsets */
    uint64_t count;
} directory;

static ob_status refuse_directory(ob_error *err, const char *what)
{
    return ob_error_set(err, OB_ERR_MODEL, "zip: central directory: %s", what);
}

/* The end record's offset. A comment may hold what looks like another one; then the archive has two readings. */
static ob_status find_end(const unsigned char *data, size_t bytes, size_t *out, ob_error *err)
{
    size_t found = 0, stop = bytes > END_BYTES + MAX_COMMENT ? bytes - END_BYTES - MAX_COMMENT : 0;
    for (size_t at = bytes; at >= END_BYTES && at - END_BYTES >= stop; at--) {
        const unsigned char *end = data + at - END_BYTES;
        if (ob__le32(end) == END_SIGNATURE && at + ob__le16(end + 20) == bytes) {
            *out = at - END_BYTES;
            found += 1;
        }
        if (at == END_BYTES)
            break;
    }
    if (found == 1)
        return OB_OK;
    if (found > 1)
        return refuse_directory(err, "it has two ends, one in the other's comment");
    return ob_error_set(err, OB_ERR_MODEL,
                        "zip: file is %zu bytes and no central directory ends with it: incomplete download?", bytes);
}

/* The zip64 end record, whose locator stands right before the end record. */
static ob_status read_end64(const unsigned char *data, size_t end_at, size_t *end64_at, ob_error *err)
{
    const unsigned char *locator = data + end_at - LOCATOR_BYTES;
    uint64_t at = ob__le64(locator + 8);
    size_t room = end_at - LOCATOR_BYTES;
    if (ob__le32(locator + 4) != 0 || ob__le32(locator + 16) > 1)
        return refuse_directory(err, "the archive is in several parts");
    if (room < END64_BYTES || at > room - END64_BYTES || ob__le32(data + at) != END64_SIGNATURE ||
        ob__le64(data + at + 4) != room - at - 12)
        return refuse_directory(err, "the zip64 end is not where its locator says");
    *end64_at = (size_t)at;
    return OB_OK;
}

/* A field of the end record, which zip64 may replace but must not contradict. */
static bool agree(uint64_t narrow, uint64_t saturated, uint64_t wide)
{
    return narrow == saturated || narrow == wide;
}

static ob_status find_directory(const unsigned char *data, size_t bytes, directory *out, ob_error *err)
{
    size_t end_at = 0;
    ob_status status = find_end(data, bytes, &end_at, err);
    if (status != OB_OK)
        return status;
    const unsigned char *end = data + end_at;
    uint64_t count = ob__le16(end + 10), size = ob__le32(end + 12), offset = ob__le32(end + 16);
    size_t directory_end = end_at;
    if (ob__le16(end + 4) != ob__le16(end + 6) || ob__le16(end + 8) != count ||
        (ob__le16(end + 4) != 0 && ob__le16(end + 4) != SATURATED_16))
        return refuse_directory(err, "the archive is in several parts");
    if (end_at >= LOCATOR_BYTES && ob__le32(end - LOCATOR_BYTES) == LOCATOR_SIGNATURE) {
        status = read_end64(data, end_at, &directory_end, err);
        if (status != OB_OK)
            return status;
        const unsigned char *wide = data + directory_end;
        if (ob__le32(wide + 16) != 0 || ob__le32(wide + 20) != 0 || ob__le64(wide + 24) != ob__le64(wide + 32))
            return refuse_directory(err, "the archive is in several parts");
        if (!agree(count, SATURATED_16, ob__le64(wide + 32)) || !agree(size, SATURATED_32, ob__le64(wide + 40)) ||
            !agree(offset, SATURATED_32, ob__le64(wide + 48)))
            return refuse_directory(err, "its end and its zip64 end disagree");
        count = ob__le64(wide + 32);
        size = ob__le64(wide + 40);
        offset = ob__le64(wide + 48);
    }
    if (offset > directory_end || size != directory_end - offset)
        return ob_error_set(err, OB_ERR_MODEL,
                            "zip: central directory: %" PRIu64 " bytes at %" PRIu64 ", but its end stands at %zu: "
                            "incomplete download?",
                            size, offset, directory_end);
    if (count > size / CENTRAL_BYTES || count > OB_ZIP_MAX_MEMBERS)
        return ob_error_set(err, OB_ERR_MODEL, "zip: central directory: %" PRIu64 " members in %" PRIu64 " bytes: %s",
                            count, size, count > OB_ZIP_MAX_MEMBERS ? "too many" : "they have no room");
    *out = (directory){(size_t)offset, directory_end, count};
    return OB_OK;
}

static ob__printable printable_name(const char *name, size_t bytes)
{
    char text[OB_ZIP_MAX_NAME + 1];
    memcpy(text, name, bytes); /* at most OB_ZIP_MAX_NAME */
    text[bytes] = '\0';
    return ob__printable_make(text);
}

static ob_status refuse_member(const ob__zip_member *member, const char *what, ob_error *err)
{
    return ob_error_set(err, OB_ERR_MODEL, "zip: member '%s': %s",
                        printable_name(member->name, member->name_bytes).text, what);
}

/* Replaces those of the three that are saturated, in this order, by what the zip64 field holds. */
static bool read_extra64(const unsigned char *extra, size_t bytes, uint64_t *sizes[3])
{
    size_t saturated = 0, seen = 0;
    for (size_t i = 0; i < 3; i++)
        saturated += *sizes[i] == SATURATED_32;
    while (bytes >= 4) {
        size_t field = ob__le16(extra + 2);
        if (field > bytes - 4)
            return false;
        if (ob__le16(extra) == ZIP64_EXTRA) {
            const unsigned char *number = extra + 4;
            if (++seen > 1 || field < 8 * saturated)
                return false;
            for (size_t i = 0; i < 3; i++)
                if (*sizes[i] == SATURATED_32) {
                    *sizes[i] = ob__le64(number);
                    number += 8;
                }
        }
        extra += 4 + field;
        bytes -= 4 + field;
    }
    return bytes == 0 && (saturated == 0 || seen == 1);
}

/* Members are looked up in memory and never written anywhere; but a name that climbs is no honest archive's. */
static const char *name_defect(const char *name, size_t bytes)
{
    if (bytes == 0)
        return "its name is empty";
    if (memchr(name, '\0', bytes) != NULL || memchr(name, '\\', bytes) != NULL)
        return "its name holds a NUL or a backslash";
    if (name[0] == '/')
        return "its name is an absolute path";
    for (size_t begin = 0, i = 0; i <= bytes; i++)
        if (i == bytes || name[i] == '/') {
            if (i - begin == 2 && memcmp(name + begin, "..", 2) == 0)
                return "its name leads out of the archive";
            begin = i + 1;
        }
    return NULL;
}

/* What the local header says; its sizes may be left to the directory (0 with a descriptor, or saturated). */
static ob_status read_local(const unsigned char *data, size_t limit, uint32_t method, uint64_t full_size,
                            ob__zip_member *member, ob_error *err)
{
    if (member->begin > limit || limit - member->begin < LOCAL_BYTES ||
        ob__le32(data + member->begin) != LOCAL_SIGNATURE)
        return refuse_member(member, "no local header where the central directory says", err);
    const unsigned char *local = data + member->begin;
    uint32_t flags = ob__le16(local + 6), compressed = ob__le32(local + 18), size = ob__le32(local + 22);
    size_t name_bytes = ob__le16(local + 26), head = LOCAL_BYTES + name_bytes + ob__le16(local + 28);
    size_t room = limit - member->begin;
    if (head > room || member->bytes > room - head)
        return refuse_member(member, "its data reach into the central directory", err);
    if (name_bytes != member->name_bytes || memcmp(local + LOCAL_BYTES, member->name, name_bytes) != 0)
        return refuse_member(member, "its local header has another name", err);
    bool left_open = (flags & FLAG_DESCRIPTOR) != 0 && size == 0 && compressed == 0;
    if (ob__le16(local + 8) != method || (flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED)) != 0 ||
        (!left_open && (!agree(size, SATURATED_32, full_size) || !agree(compressed, SATURATED_32, member->bytes))))
        return refuse_member(member, "its local header and the central directory disagree", err);
    member->data = local + head;
    member->end = member->begin + head + member->bytes;
    return OB_OK;
}

/* The entry at `at` of the directory; *used gets its length. */
static ob_status read_member(const unsigned char *data, const directory *where, size_t at, ob__zip_member *member,
                             size_t *used, ob_error *err)
{
    const unsigned char *entry = data + at;
    if (where->end - at < CENTRAL_BYTES || ob__le32(entry) != CENTRAL_SIGNATURE)
        return refuse_directory(err, "an entry is missing");
    size_t name_bytes = ob__le16(entry + 28), extra_bytes = ob__le16(entry + 30);
    *used = CENTRAL_BYTES + name_bytes + extra_bytes + ob__le16(entry + 32);
    if (*used > where->end - at)
        return refuse_directory(err, "an entry is longer than the directory");
    if (name_bytes > OB_ZIP_MAX_NAME)
        return refuse_directory(err, "a name is longer than 512 bytes");
    *member = (ob__zip_member){.name = (const char *)entry + CENTRAL_BYTES, .name_bytes = name_bytes};
    const char *defect = name_defect(member->name, name_bytes);
    if (defect != NULL)
        return refuse_member(member, defect, err);
    uint32_t flags = ob__le16(entry + 8), method = ob__le16(entry + 10);
    uint64_t compressed = ob__le32(entry + 20), size = ob__le32(entry + 24), begin = ob__le32(entry + 42);
    if ((flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED)) != 0)
        return refuse_member(member, "it is encrypted", err);
    if (!read_extra64(entry + CENTRAL_BYTES + name_bytes, extra_bytes, (uint64_t *[3]){&size, &compressed, &begin}))
        return refuse_member(member, "its extra fields are damaged", err);
    if (method == 0 && size != compressed)
        return refuse_member(member, "it is stored, but its two sizes differ", err);
    if (compressed > where->begin || begin > where->begin)
        return refuse_member(member, "it reaches beyond the file's members: incomplete download?", err);
    member->bytes = (size_t)compressed;
    member->method = method;
    member->begin = (size_t)begin;
    return read_local(data, where->begin, method, size, member, err);
}

static int compare_places(const void *a, const void *b)
{
    const ob__zip_member *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int compare_names(const void *a, const void *b)
{
    const ob__zip_member *x = a, *y = b;
    size_t shorter = x->name_bytes < y->name_bytes ? x->name_bytes : y->name_bytes;
    int order = memcmp(x->name, y->name, shorter);
    return order != 0 ? order : (x->name_bytes > y->name_bytes) - (x->name_bytes < y->name_bytes);
}

/* No byte belongs to two members, no name to two either; afterwards they are in order of name. */
static ob_status check_members(ob__zip *zip, ob_error *err)
{
    if (zip->count == 0)
        return refuse_directory(err, "it has no members");
    qsort(zip->members, zip->count, sizeof *zip->members, compare_places);
    for (size_t i = 1; i < zip->count; i++)
        if (zip->members[i].begin < zip->members[i - 1].end)
            return refuse_member(&zip->members[i], "it overlaps another member", err);
    qsort(zip->members, zip->count, sizeof *zip->members, compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_names(&zip->members[i - 1], &zip->members[i]) == 0)
            return refuse_member(&zip->members[i], "it is there twice", err);
    return OB_OK;
}

ob_status ob__zip_open(const unsigned char *data, size_t bytes, ob__zip *out, ob_error *err)
{
    directory where;
    ob_status status = find_directory(data, bytes, &where, err);
    if (status != OB_OK)
        return status;
    ob__zip zip = {.members = ob_calloc((size_t)where.count, sizeof *zip.members), .count = (size_t)where.count};
    if (zip.members == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu members of a zip file", zip.count);
    size_t at = where.begin, used = 0;
    for (size_t i = 0; i < zip.count && status == OB_OK; i++, at += used)
        status = read_member(data, &where, at, &zip.members[i], &used, err);
    if (status == OB_OK && at != where.end)
        status = refuse_directory(err, "it is longer than its entries");
    if (status == OB_OK && zip.count > 0) {
        zip.first_name = zip.members[0].name;
        zip.first_name_bytes = zip.members[0].name_bytes;
    }
    if (status == OB_OK)
        status = check_members(&zip, err);
    if (status == OB_OK)
        *out = zip;
    else
        ob__zip_close(&zip);
    return status;
}

void ob__zip_close(ob__zip *zip)
{
    ob_free(zip->members);
    *zip = (ob__zip){0};
}

const ob__zip_member *ob__zip_find(const ob__zip *zip, const char *name, size_t name_bytes)
{
    ob__zip_member key = {.name = name, .name_bytes = name_bytes};
    return zip->count > 0 ? bsearch(&key, zip->members, zip->count, sizeof *zip->members, compare_names) : NULL;
}
