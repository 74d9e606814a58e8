/* libyaml's events to nodes. Events, not documents: those would load anchors, and bombs made of them. */
#include "yaml.h"

#include <oberta/memory.h>
#include <string.h>
#include <yaml.h>

typedef struct builder {
    yaml_parser_t parser;
    const char *name;
    size_t nodes;
    ob_error *err;
} builder;

static ob_status refuse(builder *b, yaml_mark_t mark, const char *rule)
{
    return ob_error_set(b->err, OB_ERR_CONFIG, "%s:%zu:%zu: %s", b->name, mark.line + 1, mark.column + 1, rule);
}

static ob_status no_memory(builder *b)
{
    return ob_error_set(b->err, OB_ERR_OUT_OF_MEMORY, "%s: no memory to read it", b->name);
}

/* The next event; must be deleted by the caller when OB_OK. */
static ob_status next_event(builder *b, yaml_event_t *event)
{
    if (!yaml_parser_parse(&b->parser, event)) {
        const yaml_parser_t *p = &b->parser;
        if (p->error == YAML_MEMORY_ERROR)
            return no_memory(b);
        if (p->error == YAML_READER_ERROR)
            return ob_error_set(b->err, OB_ERR_CONFIG, "%s: at byte %zu: %s", b->name, p->problem_offset, p->problem);
        return refuse(b, p->problem_mark, p->problem != NULL ? p->problem : "not YAML");
    }
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    ob_status status = OB_OK;
    if (anchor != NULL || event->type == YAML_ALIAS_EVENT)
        status = refuse(b, event->start_mark, "anchors and aliases are not taken");
    else if (tag != NULL)
        status = refuse(b, event->start_mark, "tags are not taken");
    if (status != OB_OK)
        yaml_event_delete(event);
    return status;
}

static ob_status build(builder *b, yaml_event_t *event, size_t depth, ob__yaml_node *out);

static ob_status add_child(builder *b, ob__yaml_node *parent, ob__yaml_node **child)
{
    if (!ob_array_reserve((void **)&parent->children, &parent->capacity, parent->count + 1, sizeof *parent->children))
        return no_memory(b);
    *child = &parent->children[parent->count++];
    **child = (ob__yaml_node){0};
    return OB_OK;
}

static ob_status build_entry(builder *b, yaml_event_t *key, size_t depth, ob__yaml_node *mapping)
{
    if (key->type != YAML_SCALAR_EVENT)
        return refuse(b, key->start_mark, "a key is a single word");
    const char *name = (const char *)key->data.scalar.value;
    for (size_t i = 0; i < key->data.scalar.length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return refuse(b, key->start_mark, "a control character in a key");
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->children[i].key, name) == 0)
            return ob_error_set(b->err, OB_ERR_CONFIG, "%s:%zu:%zu: %s: given twice; first in line %zu", b->name,
                                key->start_mark.line + 1, key->start_mark.column + 1, name,
                                mapping->children[i].key_line);
    char *copy = ob_strdup(name);
    ob__yaml_node *child;
    if (copy == NULL || add_child(b, mapping, &child) != OB_OK) {
        ob_free(copy);
        return no_memory(b);
    }
    child->key = copy;
    child->key_line = key->start_mark.line + 1;
    child->key_column = key->start_mark.column + 1;
    yaml_event_t value;
    ob_status status = next_event(b, &value);
    if (status != OB_OK)
        return status;
    status = build(b, &value, depth, child);
    yaml_event_delete(&value);
    return status;
}

/* Children until the end event of the collection. */
static ob_status build_children(builder *b, yaml_event_type_t end, size_t depth, ob__yaml_node *out)
{
    for (;;) {
        yaml_event_t event;
        ob_status status = next_event(b, &event);
        if (status != OB_OK)
            return status;
        if (event.type == end) {
            yaml_event_delete(&event);
            return OB_OK;
        }
        ob__yaml_node *child;
        if (end == YAML_MAPPING_END_EVENT)
            status = build_entry(b, &event, depth, out);
        else if ((status = add_child(b, out, &child)) == OB_OK)
            status = build(b, &event, depth, child);
        yaml_event_delete(&event);
        if (status != OB_OK)
            return status;
    }
}

static ob_status build(builder *b, yaml_event_t *event, size_t depth, ob__yaml_node *out)
{
    if (depth > OB__YAML_MAX_DEPTH)
        return refuse(b, event->start_mark, "nested more than 32 deep");
    if (++b->nodes > OB__YAML_MAX_NODES)
        return refuse(b, event->start_mark, "more than 10,000 values");
    out->line = event->start_mark.line + 1;
    out->column = event->start_mark.column + 1;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        out->kind = OB__YAML_SCALAR;
        out->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL)
            return refuse(b, event->start_mark, "a NUL character");
        out->text = ob_strndup((const char *)event->data.scalar.value, event->data.scalar.length);
        return out->text != NULL ? OB_OK : no_memory(b);
    case YAML_MAPPING_START_EVENT:
        out->kind = OB__YAML_MAPPING;
        return build_children(b, YAML_MAPPING_END_EVENT, depth + 1, out);
    case YAML_SEQUENCE_START_EVENT:
        out->kind = OB__YAML_SEQUENCE;
        return build_children(b, YAML_SEQUENCE_END_EVENT, depth + 1, out);
    default:
        return refuse(b, event->start_mark, "not a value");
    }
}

/* Stream start, one document, stream end. */
static ob_status build_document(builder *b, ob__yaml_node *out)
{
    bool seen = false;
    for (;;) {
        yaml_event_t event;
        ob_status status = next_event(b, &event);
        if (status != OB_OK)
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && seen)
            status = refuse(b, event.start_mark, "a second document");
        else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
                 type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT) {
            seen = true;
            status = build(b, &event, 0, out);
        }
        yaml_event_delete(&event);
        if (status != OB_OK || type == YAML_STREAM_END_EVENT)
            return status;
    }
}

ob_status ob__yaml_parse(const char *text, size_t bytes, const char *name, ob__yaml_node *out, ob_error *err)
{
    if (bytes > OB__YAML_MAX_BYTES)
        return ob_error_set(err, OB_ERR_CONFIG, "%s: %zu bytes, but a job file has at most %zu", name, bytes,
                            OB__YAML_MAX_BYTES);
    builder b = {.name = name, .err = err};
    ob__yaml_node root = {.kind = OB__YAML_MAPPING, .line = 1, .column = 1};
    if (!yaml_parser_initialize(&b.parser))
        return no_memory(&b);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, bytes);
    ob_status status = build_document(&b, &root);
    yaml_parser_delete(&b.parser);
    if (status == OB_OK)
        *out = root;
    else
        ob__yaml_release(&root);
    return status;
}

void ob__yaml_release(ob__yaml_node *node)
{
    for (size_t i = 0; i < node->count; i++)
        ob__yaml_release(&node->children[i]);
    ob_free(node->children);
    ob_free(node->text);
    ob_free(node->key);
    *node = (ob__yaml_node){0};
}

bool ob__yaml_is_null(const ob__yaml_node *node)
{
    return node->kind == OB__YAML_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}
