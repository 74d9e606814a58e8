/* Added and special tokens: which file's word counts for a token, its flags and its id.
 *
 * In transformers' order: the added_tokens of tokenizer.json; then added_tokens_decoder of tokenizer_config.json, or,
 * where there is none, added_tokens.json; then the special tokens by name, whose values stand in tokenizer_config.json
 * and, without added_tokens_decoder, rather in special_tokens_map.json. A later word replaces an earlier one. */
#include "tokenizer_internal.h"

#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LISTED  65536 /* entries of one list of added tokens */
#define MAX_SPECIAL 1024  /* of one list of special tokens */

enum { SEP_TOKEN = OB_SPECIAL_TOKEN_COUNT, CLS_TOKEN, ROLE_COUNT };

/* In the order in which tokens that the vocabulary lacks get their ids. */
static const struct {
    const char *key, *content;
    int role; /* ob_special_token, or one of the two above */
} roles[ROLE_COUNT] = {{"bos_token", "<s>", OB_TOKEN_BOS},     {"eos_token", "</s>", OB_TOKEN_EOS},
                       {"unk_token", "<unk>", OB_TOKEN_UNK},   {"sep_token", "</s>", SEP_TOKEN},
                       {"pad_token", "<pad>", OB_TOKEN_PAD},   {"cls_token", "<s>", CLS_TOKEN},
                       {"mask_token", "<mask>", OB_TOKEN_MASK}};

/* One entry of a list of added tokens. */
typedef struct entry {
    const char *content;
    json_int_t id;
    ob__added_flags flags;
} entry;

typedef struct token_reader {
    ob_tokenizer *tokenizer;
    const ob__token_files *files;
    const json_t *decoder;  /* added_tokens_decoder; NULL: the older files count */
    const json_t *lists[3]; /* additional special tokens; NULL: none */
    entry *entries;         /* what is added before the special tokens, by id */
    size_t count, capacity;
    ob__notes notes;
} token_reader;

/* A token as a string, or as an object with its flags. NULL: neither. */
static const char *content_of(const json_t *value)
{
    return json_is_object(value) ? json_string_value(json_object_get(value, "content")) : json_string_value(value);
}

static ob__added_flags flags_of(const json_t *object, bool special, ob__notes *notes)
{
    special = ob__json_flag(object, "special", special, notes) || special;
    return (ob__added_flags){.single_word = ob__json_flag(object, "single_word", false, notes),
                             .lstrip = ob__json_flag(object, "lstrip", false, notes),
                             .rstrip = ob__json_flag(object, "rstrip", false, notes),
                             .normalized = ob__json_flag(object, "normalized", !special, notes),
                             .special = special};
}

/* The value that the files give a special token, NULL for none. */
static const json_t *given_value(const token_reader *r, const char *key)
{
    const json_t *value = r->decoder == NULL ? json_object_get(r->files->map, key) : NULL;
    if (value == NULL || json_is_null(value))
        value = json_object_get(r->files->config, key);
    return value == NULL || json_is_null(value) ? NULL : value;
}

/* The content of a role, NULL where the files name none and `defaults` do not count. */
static const char *role_content(const token_reader *r, size_t i, bool defaults)
{
    const char *content = content_of(given_value(r, roles[i].key));
    return content == NULL && defaults ? roles[i].content : content;
}

static bool is_named(const json_t *list, const char *content)
{
    size_t i;
    const json_t *value;
    json_array_foreach(list, i, value)
    {
        const char *other = content_of(value);
        if (other != NULL && strcmp(other, content) == 0)
            return true;
    }
    return false;
}

/* True for the content of a special token that the files name; with `defaults`, also that of one they leave out. */
static bool is_special(const token_reader *r, const char *content, bool defaults)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        const char *other = role_content(r, i, defaults && r->files->roberta);
        if (other != NULL && strcmp(other, content) == 0)
            return true;
    }
    return is_named(r->lists[0], content) || is_named(r->lists[1], content) || is_named(r->lists[2], content);
}

static ob_status add_entry(token_reader *r, const char *content, json_int_t id, ob__added_flags flags)
{
    if (!ob_array_reserve((void **)&r->entries, &r->capacity, r->count + 1, sizeof *r->entries))
        return ob_error_set(r->notes.err, OB_ERR_OUT_OF_MEMORY, "no memory for added tokens");
    r->entries[r->count++] = (entry){content, id, flags};
    return OB_OK;
}

/* "id" -> attributes. */
static ob_status list_decoder(token_reader *r)
{
    const char *key;
    json_t *value;
    r->notes.file = "tokenizer_config.json: added_tokens_decoder";
    if (!json_is_object(r->decoder) || json_object_size(r->decoder) > MAX_LISTED)
        return ob_error_set(r->notes.err, OB_ERR_MODEL, "%s: not an object of at most %d tokens", r->notes.file,
                            MAX_LISTED);
    json_object_foreach((json_t *)(uintptr_t)r->decoder, key, value)
    {
        char *end;
        long long id = strtoll(key, &end, 10);
        const char *content = json_is_object(value) ? content_of(value) : NULL;
        if (end == key || *end != '\0' || id < 0 || id >= OB__MAX_TOKEN_ID)
            ob__note(&r->notes, OB_ERR_MODEL, "'%.40s': not an id between 0 and 16,777,215", key);
        else if (content == NULL)
            ob__note(&r->notes, OB_ERR_MODEL, "'%.40s': an object with a content is expected", key);
        else if (add_entry(r, content, id, flags_of(value, false, &r->notes)) != OB_OK)
            return ob_error_status(r->notes.err);
    }
    return OB_OK;
}

static int compare_ids(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* tokenizer.json's list as entries, and the tokens of added_tokens.json, whose ids give way to that list's. */
static ob_status list_older_files(token_reader *r)
{
    const json_t *list = json_object_get(r->files->root, "added_tokens");
    size_t i, taken = json_array_size(list);
    json_t *value;
    const char *content;
    json_array_foreach(
        list, i, value) if (add_entry(r, content_of(value), json_integer_value(json_object_get(value, "id")),
                                      flags_of(value, false, &r->notes)) != OB_OK) return ob_error_status(r->notes.err);
    if (taken > 0)
        qsort(r->entries, taken, sizeof *r->entries, compare_ids);
    r->notes.file = "added_tokens.json";
    if (json_object_size(r->files->added) > MAX_LISTED)
        return ob_error_set(r->notes.err, OB_ERR_MODEL, "added_tokens.json: more than %d tokens", MAX_LISTED);
    json_object_foreach((json_t *)(uintptr_t)r->files->added, content, value)
    {
        double id = json_number_value(value);
        if (!json_is_number(value) || !(id >= 0 && id < OB__MAX_TOKEN_ID)) {
            ob__note(&r->notes, OB_ERR_MODEL, "'%.60s': its id is not between 0 and 16,777,215", content);
            continue;
        }
        entry key = {.id = (json_int_t)id};
        bool special = is_special(r, content, false);
        if ((taken == 0 || bsearch(&key, r->entries, taken, sizeof key, compare_ids) == NULL) &&
            add_entry(r, content, key.id, (ob__added_flags){.normalized = !special, .special = special}) != OB_OK)
            return ob_error_status(r->notes.err);
    }
    return OB_OK;
}

/* In ascending order of ids, so that tokens which the vocabulary lacks get theirs. */
static ob_status add_entries(token_reader *r)
{
    if (r->count > 0)
        qsort(r->entries, r->count, sizeof *r->entries, compare_ids);
    for (size_t i = 0; i < r->count; i++) {
        entry *e = &r->entries[i];
        e->flags.special = e->flags.special || is_special(r, e->content, true);
        if (ob__added_token_add(r->tokenizer, e->content, e->id, e->flags, r->notes.err) != OB_OK)
            return ob_error_status(r->notes.err);
    }
    return OB_OK;
}

/* The added_tokens of tokenizer.json, in its order. */
static ob_status add_serialized(token_reader *r)
{
    size_t i;
    const json_t *value, *list = json_object_get(r->files->root, "added_tokens");
    r->notes.file = "tokenizer.json: added_tokens";
    if (json_array_size(list) > MAX_LISTED)
        return ob_error_set(r->notes.err, OB_ERR_MODEL, "%s: more than %d tokens", r->notes.file, MAX_LISTED);
    json_array_foreach(list, i, value)
    {
        const char *content = json_is_object(value) ? content_of(value) : NULL;
        const json_t *id = json_object_get(value, "id");
        if (content == NULL || !json_is_integer(id))
            ob__note(&r->notes, OB_ERR_MODEL, "[%zu]: an object with an id and a content is expected", i);
        else if (ob__added_token_add(r->tokenizer, content, json_integer_value(id), flags_of(value, false, &r->notes),
                                     r->notes.err) != OB_OK)
            return ob_error_status(r->notes.err);
    }
    return OB_OK;
}

/* The flags that a list gives a token: they count more than those beside its role. */
static bool listed_flags(token_reader *r, const char *content, ob__added_flags *out)
{
    size_t at;
    const json_t *value, *list = r->decoder == NULL ? json_object_get(r->files->root, "added_tokens") : NULL;
    json_array_foreach(list, at, value) if (strcmp(content_of(value), content) == 0)
    {
        *out = flags_of(value, false, &r->notes);
        return true;
    }
    if (r->decoder == NULL) /* added_tokens.json has none */
        return false;
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->entries[i].content, content) == 0) {
            *out = r->entries[i].flags;
            return true;
        }
    return false;
}

/* A special token given as a string, or left out. `role`: one that has a name; others only have a list. */
static ob_status add_plain(token_reader *r, const char *content, bool role, bool mask)
{
    ob__added_flags flags = {.special = true};
    bool replaces = role && r->files->root == NULL; /* files of old come with a class that gives its tokens flags */
    if (mask && r->files->roberta)
        flags.lstrip = replaces = true; /* it takes the white space before it; so trained models saw it */
    else
        flags.normalized = replaces;
    if (!replaces && ob__added_token_named(r->tokenizer, content) != NULL)
        return OB_OK;
    return ob__added_token_add(r->tokenizer, content, -1, flags, r->notes.err);
}

/* Of several special tokens with one content only the first counts. */
static bool is_repeated(const token_reader *r, const char *content, size_t role)
{
    for (size_t i = 0; i < role; i++) {
        const char *other = role_content(r, i, r->files->roberta);
        if (other != NULL && strcmp(other, content) == 0)
            return true;
    }
    return false;
}

static ob_status add_role(token_reader *r, size_t i, int32_t ids[ROLE_COUNT])
{
    const json_t *value = given_value(r, roles[i].key);
    const char *content = content_of(value);
    ob__added_flags flags;
    ob_status status = OB_OK;
    if (value != NULL && content == NULL) {
        ob__note(&r->notes, OB_ERR_MODEL, "%s: a string, or an object with a content, is expected", roles[i].key);
        return OB_OK;
    }
    if (content != NULL && is_repeated(r, content, i)) {
        status = OB_OK; /* has its token already */
    } else if (content != NULL && listed_flags(r, content, &flags)) {
        flags.special = true;
        status = ob__added_token_add(r->tokenizer, content, -1, flags, r->notes.err);
    } else if (json_is_object(value)) {
        status = ob__added_token_add(r->tokenizer, content, -1, flags_of(value, true, &r->notes), r->notes.err);
    } else if (content != NULL || r->files->roberta) {
        content = content != NULL ? content : roles[i].content;
        if (!is_repeated(r, content, i))
            status = add_plain(r, content, true, roles[i].role == OB_TOKEN_MASK);
    } else {
        content = roles[i].content; /* no token of this role; by its usual name it may still be found */
    }
    ids[roles[i].role] = ob__vocab_find(&r->tokenizer->bpe.vocab, content, strlen(content));
    return status;
}

static ob_status add_listed(token_reader *r, const json_t *value)
{
    const char *content = content_of(value);
    if (content == NULL) {
        ob__note(&r->notes, OB_ERR_MODEL, "a list of special tokens holds something that is no token");
        return OB_OK;
    }
    if (is_repeated(r, content, ROLE_COUNT))
        return OB_OK;
    if (!json_is_object(value))
        return add_plain(r, content, false, false);
    return ob__added_token_add(r->tokenizer, content, -1, flags_of(value, true, &r->notes), r->notes.err);
}

static ob_status add_lists(token_reader *r)
{
    ob_status status = OB_OK;
    size_t i;
    const json_t *value;
    for (size_t list = 0; list < sizeof r->lists / sizeof *r->lists; list++)
        json_array_foreach(r->lists[list], i, value) if (status == OB_OK) status = add_listed(r, value);
    const char *key;
    json_t *member;
    json_t *extra = json_object_get(r->files->config, "extra_special_tokens"); /* as an object: names and tokens */
    json_object_foreach(extra, key, member) if (status == OB_OK) status = add_listed(r, member);
    return status;
}

/* additional_special_tokens of both files, and extra_special_tokens. */
static void find_lists(token_reader *r)
{
    r->lists[0] = json_object_get(r->files->config, "additional_special_tokens");
    r->lists[1] = r->decoder == NULL ? json_object_get(r->files->map, "additional_special_tokens") : NULL;
    r->lists[2] = json_object_get(r->files->config, "extra_special_tokens");
    r->notes.file = "tokenizer_config.json or special_tokens_map.json";
    for (size_t i = 0; i < sizeof r->lists / sizeof *r->lists; i++)
        if (json_array_size(r->lists[i]) > MAX_SPECIAL || json_object_size(r->lists[i]) > MAX_SPECIAL) {
            ob__note(&r->notes, OB_ERR_MODEL, "a list of more than %d special tokens", MAX_SPECIAL);
            r->lists[i] = NULL;
        }
}

static ob_status read_all(token_reader *r)
{
    find_lists(r);
    ob_status status = add_serialized(r);
    if (status == OB_OK && r->notes.count == 0)
        status = r->decoder != NULL ? list_decoder(r) : list_older_files(r);
    if (status == OB_OK)
        status = add_entries(r);
    int32_t ids[ROLE_COUNT];
    r->notes.file = "tokenizer_config.json or special_tokens_map.json";
    for (size_t i = 0; i < ROLE_COUNT && status == OB_OK && r->notes.count == 0; i++)
        status = add_role(r, i, ids);
    if (status == OB_OK && r->notes.count == 0)
        status = add_lists(r);
    if (status != OB_OK || (status = ob__notes_end(&r->notes)) != OB_OK)
        return status;
    memcpy(r->tokenizer->special_ids, ids, sizeof r->tokenizer->special_ids);
    if (r->files->root == NULL) {
        r->tokenizer->layout.cls = ids[CLS_TOKEN];
        r->tokenizer->layout.sep = ids[SEP_TOKEN];
    }
    return OB_OK;
}

ob_status ob__tokenizer_read_tokens(ob_tokenizer *tokenizer, const ob__token_files *files, ob_error *err)
{
    token_reader r = {.tokenizer = tokenizer, .files = files, .notes = {.err = err}};
    const json_t *decoder = json_object_get(files->config, "added_tokens_decoder");
    r.decoder = json_is_null(decoder) ? NULL : decoder;
    ob_error_clear(err);
    ob_status status = read_all(&r);
    ob_free(r.entries);
    return status;
}
