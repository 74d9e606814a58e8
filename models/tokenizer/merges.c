/* merges.txt: a line a merge, two tokens and a space between them; the line's number is its rank. tokenizer.json has
 * the same lines as strings, or, since tokenizers 0.20, as pairs, whose parts may hold spaces.
 *
 * '#' begins a merge like any other character: only a first line "#version ..." is a header. */
#include "vocab.h"

#include <oberta/memory.h>
#include <string.h>

#define MAX_DEFECTS    20
#define MAX_PART_BYTES 1024 /* longer tokens than any tokenizer learns */

static size_t first_slot(const ob__merges *merges, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u; /* Fibonacci hashing: the high bits of the product are well mixed */
    return (size_t)(key >> 32) & (merges->slot_count - 1);
}

const ob__merge *ob__merges_find(const ob__merges *merges, int32_t left, int32_t right)
{
    if (merges->slot_count == 0)
        return NULL;
    for (size_t at = first_slot(merges, left, right);; at = (at + 1) & (merges->slot_count - 1)) {
        const ob__merge *merge = &merges->slots[at];
        if (merge->left < 0)
            return NULL;
        if (merge->left == left && merge->right == right)
            return merge;
    }
}

static void insert(ob__merges *merges, const ob__merge *merge)
{
    size_t at = first_slot(merges, merge->left, merge->right);
    while (merges->slots[at].left >= 0 &&
           (merges->slots[at].left != merge->left || merges->slots[at].right != merge->right))
        at = (at + 1) & (merges->slot_count - 1);
    merges->count += merges->slots[at].left < 0;
    merges->slots[at] = *merge; /* a pair that comes twice has its last rank */
}

static size_t count_lines(const char *text, size_t bytes)
{
    size_t lines = 1;
    for (const char *at = text; (at = memchr(at, '\n', bytes - (size_t)(at - text))) != NULL; at++)
        lines++;
    return lines;
}

static bool allocate(ob__merges *merges, size_t lines)
{
    merges->slot_count = 1024;
    while (merges->slot_count < 2 * lines)
        merges->slot_count *= 2;
    merges->slots = ob_realloc_array(NULL, merges->slot_count, sizeof *merges->slots);
    for (size_t i = 0; merges->slots != NULL && i < merges->slot_count; i++)
        merges->slots[i].left = -1;
    return merges->slots != NULL;
}

/* The merge of two tokens; else the rule that it breaks. */
static const char *find_parts(const char *left, size_t left_bytes, const char *right, size_t right_bytes,
                              const ob__vocab *vocab, ob__merge *out)
{
    char product[MAX_PART_BYTES];
    if (left_bytes > MAX_PART_BYTES || right_bytes > MAX_PART_BYTES - left_bytes)
        return "longer than 1,024 bytes";
    memcpy(product, left, left_bytes);
    memcpy(product + left_bytes, right, right_bytes);
    out->left = ob__vocab_find(vocab, left, left_bytes);
    out->right = ob__vocab_find(vocab, right, right_bytes);
    out->product = ob__vocab_find(vocab, product, left_bytes + right_bytes);
    if (out->left < 0 || out->right < 0)
        return "one of its parts is not in the vocabulary";
    return out->product < 0 ? "what it makes is not in the vocabulary" : NULL;
}

/* The line's merge; else the rule that it breaks. */
static const char *parse_line(const char *line, size_t length, const ob__vocab *vocab, ob__merge *out)
{
    const char *space = memchr(line, ' ', length);
    if (space == NULL || space == line || space == line + length - 1 ||
        memchr(space + 1, ' ', length - (size_t)(space + 1 - line)) != NULL)
        return "not two tokens with one space between them";
    size_t left = (size_t)(space - line);
    return find_parts(line, left, space + 1, length - left - 1, vocab, out);
}

static bool is_header(const char *line, size_t length)
{
    return length >= 8 && memcmp(line, "#version", 8) == 0;
}

ob_status ob__merges_parse(const char *text, size_t bytes, const char *name, const ob__vocab *vocab, ob__merges *out,
                           ob_error *err)
{
    ob__merges merges = {0};
    if (!allocate(&merges, count_lines(text, bytes)))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for its merges", name);
    size_t line_number = 0, defects = 0;
    uint32_t rank = 0;
    ob_error_clear(err);
    for (const char *line = text, *end = text + bytes; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline == NULL ? end : newline + 1;
        size_t length = (size_t)((newline == NULL ? end : newline) - line);
        length -= length > 0 && line[length - 1] == '\r';
        line_number++;
        if (length > 0 && !(line_number == 1 && is_header(line, length))) {
            ob__merge merge = {.rank = rank++};
            const char *rule = parse_line(line, length, vocab, &merge);
            if (rule == NULL)
                insert(&merges, &merge);
            else if (++defects <= MAX_DEFECTS)
                ob_error_add(err, OB_ERR_MODEL, "%s:%zu: '%.*s': %s", name, line_number,
                             (int)(length < 60 ? length : 60), line, rule);
        }
        line = next;
    }
    if (defects == 0) {
        *out = merges;
        return OB_OK;
    }
    if (defects > MAX_DEFECTS)
        ob_error_add(err, OB_ERR_MODEL, "%s: and %zu more", name, defects - MAX_DEFECTS);
    ob__merges_release(&merges);
    return OB_ERR_MODEL;
}

/* The list's merge; else the rule that it breaks. `pairs`: what the first one is. */
static const char *parse_element(const json_t *value, bool pairs, const ob__vocab *vocab, ob__merge *out)
{
    if (!pairs)
        return json_is_string(value) ? parse_line(json_string_value(value), json_string_length(value), vocab, out)
                                     : "not a string as the first one is";
    const json_t *left = json_array_get(value, 0), *right = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_string(left) || !json_is_string(right))
        return "not a pair of strings as the first one is";
    return find_parts(json_string_value(left), json_string_length(left), json_string_value(right),
                      json_string_length(right), vocab, out);
}

ob_status ob__merges_read(const json_t *list, const ob__vocab *vocab, ob__merges *out, ob__notes *notes)
{
    ob__merges merges = {0};
    bool pairs = json_is_array(json_array_get(list, 0));
    size_t i, had = notes->count;
    const json_t *value;
    uint32_t rank = 0;
    if (!allocate(&merges, json_array_size(list)))
        return ob_error_set(notes->err, OB_ERR_OUT_OF_MEMORY, "%s: no memory for its merges", notes->file);
    json_array_foreach(list, i, value)
    {
        if (!pairs && json_is_string(value) && is_header(json_string_value(value), json_string_length(value)))
            continue;
        ob__merge merge = {.rank = rank++};
        const char *rule = parse_element(value, pairs, vocab, &merge);
        if (rule == NULL)
            insert(&merges, &merge);
        else
            ob__note(notes, OB_ERR_MODEL, "model.merges[%zu]: %s", i, rule);
    }
    if (notes->count > had)
        ob__merges_release(&merges);
    else
        *out = merges;
    return OB_OK;
}

void ob__merges_release(ob__merges *merges)
{
    ob_free(merges->slots);
    *merges = (ob__merges){0};
}
