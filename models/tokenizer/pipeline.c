/* tokenizer.json's pipeline: it must be the one of a byte-level BPE, with RoBERTa's special tokens or with none. */
#include "tokenizer_internal.h"

#include <string.h>

static const char *type_of(const json_t *component)
{
    const char *type = json_string_value(json_object_get(component, "type"));
    return type != NULL ? type : "something without a type";
}

static bool is_type(const json_t *component, const char *type)
{
    return strcmp(type_of(component), type) == 0;
}

/* The one component of a Sequence of one; any other component itself. */
static const json_t *unwrap(const json_t *component, const char *list_key)
{
    const json_t *list = json_object_get(component, list_key);
    return is_type(component, "Sequence") && json_array_size(list) == 1 ? json_array_get(list, 0) : component;
}

static void read_pre_tokenizer(ob_tokenizer *t, const json_t *component, ob__notes *notes)
{
    component = unwrap(component, "pretokenizers");
    if (!is_type(component, "ByteLevel")) {
        ob__note(notes, OB_ERR_UNSUPPORTED, "pre_tokenizer: '%.60s' is not ByteLevel, as a byte-level BPE has it",
                 json_is_object(component) ? type_of(component) : "null");
        return;
    }
    t->add_prefix_space = ob__json_flag(component, "add_prefix_space", true, notes);
    t->use_regex = ob__json_flag(component, "use_regex", true, notes);
}

static void read_trimming(ob_tokenizer *t, const json_t *component, ob__notes *notes)
{
    t->layout.trim_offsets = ob__json_flag(component, "trim_offsets", true, notes);
    t->layout.keeps_inserted_space = ob__json_flag(component, "add_prefix_space", true, notes);
}

static bool check_id(json_int_t id, const char *place, ob__notes *notes)
{
    bool right = id >= 0 && id < OB__MAX_TOKEN_ID;
    if (!right)
        ob__note(notes, OB_ERR_MODEL, "%s: its id is not between 0 and 16,777,215", place);
    return right;
}

/* ["<s>", 0]: the id counts as it stands. */
static int32_t read_pair(const json_t *component, const char *key, ob__notes *notes)
{
    const json_t *pair = json_object_get(component, key), *id = json_array_get(pair, 1);
    char place[40];
    snprintf(place, sizeof place, "post_processor.%s", key);
    if (!json_is_string(json_array_get(pair, 0)) || !json_is_integer(id))
        ob__note(notes, OB_ERR_MODEL, "%s: a token and its id are expected", place);
    else if (check_id(json_integer_value(id), place, notes))
        return (int32_t)json_integer_value(id);
    return 0;
}

/* The id of a template's item where it is a special token, -1 where it is sequence `sequence`, else -2. */
static json_int_t template_item(const json_t *template, const json_t *item, const char *sequence)
{
    const char *name = json_string_value(json_object_get(json_object_get(item, "SpecialToken"), "id"));
    if (name == NULL) {
        name = json_string_value(json_object_get(json_object_get(item, "Sequence"), "id"));
        return name != NULL && strcmp(name, sequence) == 0 ? -1 : -2;
    }
    const json_t *ids = json_object_get(json_object_get(json_object_get(template, "special_tokens"), name), "ids");
    const json_t *id = json_array_get(ids, 0);
    return json_array_size(ids) == 1 && json_is_integer(id) && json_integer_value(id) >= 0 ? json_integer_value(id)
                                                                                           : -2;
}

/* True where the template's items are `count` of `layout`: c the first token, s the other, A and B the sequences. */
static bool template_is(const json_t *template, const char *key, const char *layout, json_int_t cls, json_int_t sep)
{
    const json_t *items = json_object_get(template, key);
    if (json_array_size(items) != strlen(layout))
        return false;
    for (size_t i = 0; layout[i] != '\0'; i++) {
        const char sequence[] = {layout[i], '\0'};
        json_int_t want = layout[i] == 'c' ? cls : layout[i] == 's' ? sep : -1;
        if (template_item(template, json_array_get(items, i), sequence) != want)
            return false;
    }
    return true;
}

static void read_template(ob_tokenizer *t, const json_t *template, ob__notes *notes)
{
    const json_t *single = json_object_get(template, "single");
    json_int_t cls = template_item(template, json_array_get(single, 0), "");
    json_int_t sep = template_item(template, json_array_get(single, 2), "");
    if (template_is(template, "single", "A", 0, 0) && template_is(template, "pair", "AB", 0, 0))
        return;
    if (cls < 0 || sep < 0 || !template_is(template, "single", "cAs", cls, sep) ||
        !template_is(template, "pair", "cAssBs", cls, sep)) {
        ob__note(notes, OB_ERR_UNSUPPORTED,
                 "post_processor: its template is not RoBERTa's, <s> A </s> and <s> A </s></s> B </s>");
    } else if (check_id(cls, "post_processor.special_tokens", notes) &&
               check_id(sep, "post_processor.special_tokens", notes)) {
        t->layout.special_tokens = true;
        t->layout.cls = (int32_t)cls;
        t->layout.sep = (int32_t)sep;
    }
}

/* One that trims, then one that adds tokens; in a Sequence either may lack. */
static void read_sequence(ob_tokenizer *t, const json_t *list, ob__notes *notes)
{
    size_t count = json_array_size(list), at = 0;
    if (at < count && is_type(json_array_get(list, at), "ByteLevel"))
        read_trimming(t, json_array_get(list, at++), notes);
    if (at < count && is_type(json_array_get(list, at), "TemplateProcessing"))
        read_template(t, json_array_get(list, at++), notes);
    if (at < count)
        ob__note(notes, OB_ERR_UNSUPPORTED,
                 "post_processor: '%.60s' in a Sequence, which may hold ByteLevel and TemplateProcessing",
                 type_of(json_array_get(list, at)));
}

static void read_post_processor(ob_tokenizer *t, const json_t *component, ob__notes *notes)
{
    if (component == NULL || json_is_null(component))
        return;
    if (is_type(component, "RobertaProcessing")) {
        t->layout.special_tokens = true;
        t->layout.cls = read_pair(component, "cls", notes);
        t->layout.sep = read_pair(component, "sep", notes);
        read_trimming(t, component, notes);
    } else if (is_type(component, "ByteLevel")) {
        read_trimming(t, component, notes);
    } else if (is_type(component, "TemplateProcessing")) {
        read_template(t, component, notes);
    } else if (is_type(component, "Sequence")) {
        const json_t *list = json_object_get(component, "processors");
        if (json_array_size(list) == 1 && !is_type(json_array_get(list, 0), "Sequence"))
            read_post_processor(t, json_array_get(list, 0), notes);
        else
            read_sequence(t, list, notes);
    } else {
        ob__note(notes, OB_ERR_UNSUPPORTED,
                 "post_processor: '%.60s' does not put RoBERTa's special tokens around a text", type_of(component));
    }
}

void ob__tokenizer_read_pipeline(ob_tokenizer *t, const json_t *root, ob__notes *notes)
{
    const json_t *normalizer = json_object_get(root, "normalizer"), *decoder = json_object_get(root, "decoder");
    if (normalizer != NULL && !json_is_null(normalizer))
        ob__note(notes, OB_ERR_UNSUPPORTED, "normalizer: '%.60s'; a byte-level BPE as RoBERTa's has none",
                 type_of(normalizer));
    read_pre_tokenizer(t, json_object_get(root, "pre_tokenizer"), notes);
    read_post_processor(t, json_object_get(root, "post_processor"), notes);
    decoder = unwrap(decoder, "decoders");
    if (!is_type(decoder, "ByteLevel"))
        ob__note(notes, OB_ERR_UNSUPPORTED, "decoder: '%.60s' is not ByteLevel, as a byte-level BPE has it",
                 json_is_object(decoder) ? type_of(decoder) : "null");
}
