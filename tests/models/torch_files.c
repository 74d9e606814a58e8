/* PyTorch's weight files made up by the tests. */
#include "torch_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void append_number(ob_strbuf *out, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++)
        ob_strbuf_putc(out, (char)(unsigned char)(i < 8 ? number >> (8 * i) : 0));
}

void patch_number(ob_strbuf *bytes, size_t at, uint64_t number, size_t width)
{
    assert_true(at + width <= bytes->length);
    for (size_t i = 0; i < width; i++)
        bytes->data[at + i] = (char)(unsigned char)(number >> (8 * i));
}

unsigned char *exact_copy(const void *data, size_t bytes)
{
    unsigned char *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

void pickle_text(ob_strbuf *out, const char *text)
{
    ob_strbuf_putc(out, 'X');
    append_number(out, strlen(text), 4);
    ob_strbuf_puts(out, text);
}

void pickle_integer(ob_strbuf *out, int64_t number)
{
    if (number >= INT32_MIN && number <= INT32_MAX) {
        ob_strbuf_putc(out, 'J');
        append_number(out, (uint64_t)number, 4);
    } else {
        ob_strbuf_puts(out, "\x8a\x08");
        append_number(out, (uint64_t)number, 8);
    }
}

static void pickle_sizes(ob_strbuf *out, const int64_t *sizes, size_t count)
{
    ob_strbuf_putc(out, '(');
    for (size_t i = 0; i < count; i++)
        pickle_integer(out, sizes[i]);
    ob_strbuf_putc(out, 't');
}

void pickle_tensor(ob_strbuf *out, const torch_tensor *t, bool legacy)
{
    ob_strbuf_puts(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(out, "storage");
    ob_strbuf_printf(out, "ctorch\n%s\n", t->class);
    pickle_text(out, t->key);
    pickle_text(out, "cpu");
    pickle_integer(out, t->storage_count);
    ob_strbuf_puts(out, legacy ? "NtQ" : "tQ");
    pickle_integer(out, t->offset);
    pickle_sizes(out, t->shape, t->rank);
    pickle_sizes(out, t->stride, t->stride_rank);
    ob_strbuf_puts(out, "\x89"
                        "ccollections\nOrderedDict\n)RtR");
}

void pickle_state_dict(ob_strbuf *out, const torch_tensor *tensors, size_t count, bool legacy)
{
    ob_strbuf_puts(out, "\x80\x02"
                        "ccollections\nOrderedDict\n)R(");
    for (size_t i = 0; i < count; i++) {
        pickle_text(out, tensors[i].name);
        pickle_tensor(out, &tensors[i], legacy);
    }
    ob_strbuf_puts(out, "u}");
    pickle_text(out, "_metadata"); /* an attribute of the dict, not an entry */
    ob_strbuf_puts(out, "}sb.");
}

static void append_central(ob_strbuf *out, const zip_part *part, size_t local)
{
    append_number(out, 0x02014b50, 4);
    append_number(out, 0, 4);     /* versions */
    append_number(out, 0x808, 2); /* UTF-8, sizes in a descriptor */
    append_number(out, 0, 6);     /* method, time, date */
    append_number(out, 0, 4);     /* CRC */
    append_number(out, part->bytes, 4);
    append_number(out, part->bytes, 4);
    append_number(out, strlen(part->name), 2);
    append_number(out, 0, 12); /* extra, comment, disk, attributes */
    append_number(out, local, 4);
    ob_strbuf_puts(out, part->name);
}

static void append_local(ob_strbuf *out, const zip_part *part)
{
    size_t name = strlen(part->name), begin = out->length + 30 + name + 4, padding = (64 - begin % 64) % 64;
    append_number(out, 0x04034b50, 4);
    append_number(out, 0, 2);
    append_number(out, 0x808, 2);
    append_number(out, 0, 18); /* method, time, date, CRC, sizes */
    append_number(out, name, 2);
    append_number(out, 4 + padding, 2);
    ob_strbuf_puts(out, part->name);
    ob_strbuf_puts(out, "FB");
    append_number(out, padding, 2);
    for (size_t i = 0; i < padding; i++)
        ob_strbuf_putc(out, 'Z');
    ob_strbuf_append(out, part->data, part->bytes);
    append_number(out, 0x08074b50, 4); /* the descriptor */
    append_number(out, 0, 4);
    append_number(out, part->bytes, 4);
    append_number(out, part->bytes, 4);
}

void build_zip(const zip_part *parts, size_t count, zip_file *out)
{
    assert_true(count <= MAX_MEMBERS);
    *out = (zip_file){.bytes = OB_STRBUF_INIT, .count = count};
    ob_strbuf *b = &out->bytes;
    for (size_t i = 0; i < count; i++) {
        out->local[i] = b->length;
        append_local(b, &parts[i]);
    }
    size_t begin = b->length;
    for (size_t i = 0; i < count; i++) {
        out->central[i] = b->length;
        append_central(b, &parts[i], out->local[i]);
    }
    size_t size = b->length - begin;
    out->end64 = b->length;
    append_number(b, 0x06064b50, 4);
    append_number(b, 44, 8);
    append_number(b, 0, 12); /* versions, disks */
    append_number(b, count, 8);
    append_number(b, count, 8);
    append_number(b, size, 8);
    append_number(b, begin, 8);
    out->locator = b->length;
    append_number(b, 0x07064b50, 4);
    append_number(b, 0, 4);
    append_number(b, out->end64, 8);
    append_number(b, 1, 4);
    out->end = b->length;
    append_number(b, 0x06054b50, 4);
    append_number(b, 0, 4);
    append_number(b, count, 2);
    append_number(b, count, 2);
    append_number(b, size, 4);
    append_number(b, begin, 4);
    append_number(b, 0, 2);
    assert_false(b->failed);
}

void build_torch_zip(const ob_strbuf *pickle, const char *byte_order, const void *storage, size_t bytes, zip_file *out)
{
    zip_part parts[] = {{"archive/data.pkl", ob_strbuf_text(pickle), pickle->length},
                        {"archive/data/0", storage, bytes},
                        {"archive/byteorder", byte_order, byte_order != NULL ? strlen(byte_order) : 0}};
    build_zip(parts, byte_order != NULL ? 3 : 2, out);
}

void build_legacy(const ob_strbuf *object, const char *key, uint64_t count, const void *storage, size_t bytes,
                  ob_strbuf *out)
{
    ob_strbuf_append(out, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    ob_strbuf_append(out, "\x80\x02M\xe9\x03.", 6);
    ob_strbuf_puts(out, "\x80\x02}(");
    pickle_text(out, "protocol_version");
    pickle_integer(out, 1001);
    pickle_text(out, "little_endian");
    ob_strbuf_puts(out, "\x88u.");
    ob_strbuf_append(out, object->data, object->length);
    ob_strbuf_puts(out, "\x80\x02](");
    pickle_text(out, key);
    ob_strbuf_puts(out, "e.");
    append_number(out, count, 8);
    ob_strbuf_append(out, storage, bytes);
    assert_false(out->failed);
}
