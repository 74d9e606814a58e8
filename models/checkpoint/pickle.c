/* The stack machine of pickles: opcodes of protocols 2 to 5 that dicts of tensors are written with.
 *
 * An opcode without a function is known by its name only, for the message that refuses it. */
#include "pickle.h"
#include "little_endian.h"
#include "pickle_machine.h"

#include <inttypes.h>
#include <oberta/memory.h>
#include <string.h>

#define MAX_PROTOCOL 5

static ob_status op_proto(ob__pickle_machine *m)
{
    const unsigned char *version;
    ob_status status = ob__pickle_take(m, 1, &version);
    if (status != OB_OK)
        return status;
    if (m->opcode_at != 0)
        return ob__pickle_refuse(m, "not at the beginning");
    if (*version > MAX_PROTOCOL)
        return ob__pickle_refuse(m, "protocol %d: at most %d is known", *version, MAX_PROTOCOL);
    return OB_OK;
}

static ob_status op_frame(ob__pickle_machine *m)
{
    const unsigned char *length;
    ob_status status = ob__pickle_take(m, 8, &length);
    if (status == OB_OK && ob__le64(length) > m->bytes - m->at)
        return ob__pickle_refuse(m, "%" PRIu64 " bytes, but %zu follow: incomplete download?", ob__le64(length),
                                 m->bytes - m->at);
    return status;
}

static ob_status op_stop(ob__pickle_machine *m)
{
    ob__pickle_value **top;
    if (m->mark_count > 0 || m->depth != 1)
        return ob__pickle_refuse(m, "the stack holds %zu values and %zu marks, not one value", m->depth, m->mark_count);
    ob_status status = ob__pickle_pop(m, 1, &top);
    if (status != OB_OK)
        return status;
    m->pickle->root = *top;
    m->stopped = true;
    return OB_OK;
}

static ob_status op_mark(ob__pickle_machine *m)
{
    if (m->mark_count == OB_PICKLE_MAX_MARKS)
        return ob__pickle_refuse(m, "nested more than %zu deep", OB_PICKLE_MAX_MARKS);
    m->marks[m->mark_count++] = m->depth;
    return OB_OK;
}

static ob_status op_constant(ob__pickle_machine *m)
{
    unsigned char code = m->data[m->opcode_at];
    return ob__pickle_push_new(m, code == 'N' ? (ob__pickle_value){OB_PICKLE_NONE, {false}}
                                              : (ob__pickle_value){OB_PICKLE_BOOL, {code == 0x88}});
}

/* BININT (i32), BININT1 (u8), BININT2 (u16). */
static ob_status op_integer(ob__pickle_machine *m)
{
    unsigned char code = m->data[m->opcode_at];
    const unsigned char *p;
    ob_status status = ob__pickle_take(m, code == 'J' ? 4 : code == 'M' ? 2 : 1, &p);
    if (status != OB_OK)
        return status;
    int64_t number = code == 'J' ? (int64_t)ob__le32(p) : code == 'M' ? (int64_t)ob__le16(p) : *p;
    if (code == 'J' && number > INT32_MAX)
        number -= INT64_C(1) << 32;
    return ob__pickle_push_new(m, (ob__pickle_value){OB_PICKLE_INTEGER, {.integer = number}});
}

/* LONG1 (u8 length), LONG4 (u32 length): two's complement, any number of bytes. */
static ob_status op_long(ob__pickle_machine *m)
{
    bool wide = m->data[m->opcode_at] == 0x8b;
    const unsigned char *p, *digits;
    ob_status status = ob__pickle_take(m, wide ? 4 : 1, &p);
    if (status != OB_OK)
        return status;
    size_t count = wide ? ob__le32(p) : *p;
    if (count > OB_PICKLE_MAX_STRING)
        return ob__pickle_refuse(m, "a number of %zu bytes: at most %zu are allowed", count, OB_PICKLE_MAX_STRING);
    status = ob__pickle_take(m, count, &digits);
    if (status != OB_OK)
        return status;
    if (count > 8)
        return ob__pickle_push_new(m, (ob__pickle_value){OB_PICKLE_LONG, {.text = {(const char *)digits, count}}});
    uint64_t bits = count > 0 && digits[count - 1] >= 0x80 ? UINT64_MAX : 0;
    for (size_t i = count; i > 0; i--)
        bits = bits << 8 | digits[i - 1];
    int64_t number;
    memcpy(&number, &bits, sizeof number);
    return ob__pickle_push_new(m, (ob__pickle_value){OB_PICKLE_INTEGER, {.integer = number}});
}

/* Eight bytes, the greatest first. */
static ob_status op_real(ob__pickle_machine *m)
{
    const unsigned char *p;
    ob_status status = ob__pickle_take(m, 8, &p);
    if (status != OB_OK)
        return status;
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    ob__pickle_value value = {OB_PICKLE_REAL, {false}};
    memcpy(&value.as.real, &bits, sizeof bits);
    return ob__pickle_push_new(m, value);
}

/* BINUNICODE, BINSTRING, BINBYTES (u32 length), their SHORT_ kin (u8), BINUNICODE8 (u64). */
static ob_status op_string(ob__pickle_machine *m)
{
    unsigned char code = m->data[m->opcode_at];
    size_t width = code == 0x8d ? 8 : code == 'X' || code == 'T' || code == 'B' ? 4 : 1;
    const unsigned char *p, *text;
    ob_status status = ob__pickle_take(m, width, &p);
    if (status != OB_OK)
        return status;
    uint64_t count = width == 8 ? ob__le64(p) : width == 4 ? ob__le32(p) : *p;
    if (count > OB_PICKLE_MAX_STRING)
        return ob__pickle_refuse(m, "a text of %" PRIu64 " bytes: at most %zu are allowed", count,
                                 OB_PICKLE_MAX_STRING);
    status = ob__pickle_take(m, (size_t)count, &text);
    if (status != OB_OK)
        return status;
    return ob__pickle_push_new(m, (ob__pickle_value){OB_PICKLE_STRING, {.text = {(const char *)text, (size_t)count}}});
}

static ob_status op_empty(ob__pickle_machine *m)
{
    unsigned char code = m->data[m->opcode_at];
    ob__pickle_kind kind = code == '}' ? OB_PICKLE_DICT : code == ')' ? OB_PICKLE_TUPLE : OB_PICKLE_LIST;
    return ob__pickle_push_new(m, (ob__pickle_value){kind, {.items = {NULL, 0, 0}}});
}

/* TUPLE takes what is above the mark, TUPLE1 to TUPLE3 one to three values. */
static ob_status op_tuple(ob__pickle_machine *m)
{
    unsigned char code = m->data[m->opcode_at];
    ob__pickle_value **values, *tuple;
    size_t count = code == 't' ? 0 : (size_t)(code - 0x84);
    ob_status status = code == 't' ? ob__pickle_pop_mark(m, &values, &count) : ob__pickle_pop(m, count, &values);
    if (status == OB_OK)
        status = ob__pickle_value_create(m, OB_PICKLE_TUPLE, &tuple);
    if (status == OB_OK)
        status = ob__pickle_items_append(m, &tuple->as.items, values, count);
    return status == OB_OK ? ob__pickle_push(m, tuple) : status;
}

/* APPEND takes one value, APPENDS and ADDITEMS what is above the mark. */
static ob_status op_append(ob__pickle_machine *m)
{
    ob__pickle_value **values, *list;
    size_t count = 1;
    ob_status status =
        m->data[m->opcode_at] == 'a' ? ob__pickle_pop(m, 1, &values) : ob__pickle_pop_mark(m, &values, &count);
    if (status == OB_OK)
        status = ob__pickle_peek(m, OB_PICKLE_LIST, "list", &list);
    return status == OB_OK ? ob__pickle_items_append(m, &list->as.items, values, count) : status;
}

/* SETITEM takes a key and a value, SETITEMS pairs above the mark. */
static ob_status op_set_item(ob__pickle_machine *m)
{
    ob__pickle_value **values, *dict;
    size_t count = 2;
    ob_status status =
        m->data[m->opcode_at] == 's' ? ob__pickle_pop(m, 2, &values) : ob__pickle_pop_mark(m, &values, &count);
    if (status != OB_OK)
        return status;
    if (count % 2 != 0)
        return ob__pickle_refuse(m, "a key without a value");
    status = ob__pickle_peek(m, OB_PICKLE_DICT, "dict", &dict);
    return status == OB_OK ? ob__pickle_items_append(m, &dict->as.items, values, count) : status;
}

/* The index of BINPUT, BINGET (u8), LONG_BINPUT, LONG_BINGET (u32). */
static ob_status take_index(ob__pickle_machine *m, bool wide, size_t *out)
{
    const unsigned char *p;
    ob_status status = ob__pickle_take(m, wide ? 4 : 1, &p);
    if (status == OB_OK)
        *out = wide ? ob__le32(p) : *p;
    return status;
}

static ob_status op_put(ob__pickle_machine *m)
{
    size_t index;
    ob_status status = take_index(m, m->data[m->opcode_at] == 'r', &index);
    return status == OB_OK ? ob__pickle_memo_put(m, index) : status;
}

static ob_status op_memoize(ob__pickle_machine *m)
{
    return ob__pickle_memo_put(m, m->memo_count);
}

static ob_status op_get(ob__pickle_machine *m)
{
    size_t index;
    ob_status status = take_index(m, m->data[m->opcode_at] == 'j', &index);
    if (status != OB_OK)
        return status;
    if (index >= m->memo_capacity || m->memo[index] == NULL)
        return ob__pickle_refuse(m, "memo %zu was never set", index);
    return ob__pickle_push(m, m->memo[index]);
}

static ob_status push_symbol(ob__pickle_machine *m, ob__pickle_text module, ob__pickle_text name)
{
    const ob__pickle_symbol *symbol;
    ob_status status = ob__pickle_find_symbol(m, module, name, &symbol);
    return status == OB_OK ? ob__pickle_push_new(m, (ob__pickle_value){OB_PICKLE_SYMBOL, {.symbol = symbol}}) : status;
}

static ob_status take_line(ob__pickle_machine *m, ob__pickle_text *out)
{
    const unsigned char *begin = m->data + m->at;
    size_t left = m->bytes - m->at;
    size_t limit = left <= OB_PICKLE_MAX_GLOBAL ? left : OB_PICKLE_MAX_GLOBAL + 1;
    const unsigned char *end = limit > 0 ? memchr(begin, '\n', limit) : NULL;
    if (end == NULL && left <= OB_PICKLE_MAX_GLOBAL)
        return ob__pickle_refuse(m, "a line without an end: incomplete download?");
    if (end == NULL)
        return ob__pickle_refuse(m, "a name of more than %zu bytes", OB_PICKLE_MAX_GLOBAL);
    *out = (ob__pickle_text){(const char *)begin, (size_t)(end - begin)};
    m->at += out->count + 1;
    return OB_OK;
}

static ob_status op_global(ob__pickle_machine *m)
{
    ob__pickle_text module, name;
    ob_status status = take_line(m, &module);
    if (status == OB_OK)
        status = take_line(m, &name);
    return status == OB_OK ? push_symbol(m, module, name) : status;
}

static ob_status op_stack_global(ob__pickle_machine *m)
{
    ob__pickle_value **names;
    ob_status status = ob__pickle_pop(m, 2, &names);
    if (status != OB_OK)
        return status;
    if (names[0]->kind != OB_PICKLE_STRING || names[1]->kind != OB_PICKLE_STRING)
        return ob__pickle_refuse(m, "module and name are no texts");
    return push_symbol(m, names[0]->as.text, names[1]->as.text);
}

/* REDUCE and NEWOBJ: both call what lies under a tuple of arguments. */
static ob_status op_call(ob__pickle_machine *m)
{
    ob__pickle_value **values, *result;
    ob_status status = ob__pickle_pop(m, 2, &values);
    if (status == OB_OK)
        status = ob__pickle_call(m, values[0], values[1], &result);
    return status == OB_OK ? ob__pickle_push(m, result) : status;
}

/* Gives a dict its attributes, such as the versions of modules in _metadata; no weight is among them. */
static ob_status op_build(ob__pickle_machine *m)
{
    ob__pickle_value **state, *dict;
    ob_status status = ob__pickle_pop(m, 1, &state);
    return status == OB_OK ? ob__pickle_peek(m, OB_PICKLE_DICT, "dict", &dict) : status;
}

static ob_status op_persistent_id(ob__pickle_machine *m)
{
    ob__pickle_value **id, *storage;
    ob_status status = ob__pickle_pop(m, 1, &id);
    if (status == OB_OK)
        status = ob__pickle_resolve_id(m, *id, &storage);
    return status == OB_OK ? ob__pickle_push(m, storage) : status;
}

static const struct {
    const char *name; /* NULL: no opcode of any protocol */
    ob_status (*run)(ob__pickle_machine *m);
} opcodes[256] = {
    [0x80] = {"PROTO", op_proto},
    [0x95] = {"FRAME", op_frame},
    ['.'] = {"STOP", op_stop},
    ['('] = {"MARK", op_mark},
    ['N'] = {"NONE", op_constant},
    [0x88] = {"NEWTRUE", op_constant},
    [0x89] = {"NEWFALSE", op_constant},
    ['J'] = {"BININT", op_integer},
    ['K'] = {"BININT1", op_integer},
    ['M'] = {"BININT2", op_integer},
    [0x8a] = {"LONG1", op_long},
    [0x8b] = {"LONG4", op_long},
    ['G'] = {"BINFLOAT", op_real},
    ['X'] = {"BINUNICODE", op_string},
    [0x8c] = {"SHORT_BINUNICODE", op_string},
    [0x8d] = {"BINUNICODE8", op_string},
    ['T'] = {"BINSTRING", op_string},
    ['U'] = {"SHORT_BINSTRING", op_string},
    ['B'] = {"BINBYTES", op_string},
    ['C'] = {"SHORT_BINBYTES", op_string},
    ['}'] = {"EMPTY_DICT", op_empty},
    [']'] = {"EMPTY_LIST", op_empty},
    [')'] = {"EMPTY_TUPLE", op_empty},
    [0x8f] = {"EMPTY_SET", op_empty},
    ['t'] = {"TUPLE", op_tuple},
    [0x85] = {"TUPLE1", op_tuple},
    [0x86] = {"TUPLE2", op_tuple},
    [0x87] = {"TUPLE3", op_tuple},
    ['a'] = {"APPEND", op_append},
    ['e'] = {"APPENDS", op_append},
    [0x90] = {"ADDITEMS", op_append},
    ['s'] = {"SETITEM", op_set_item},
    ['u'] = {"SETITEMS", op_set_item},
    ['q'] = {"BINPUT", op_put},
    ['r'] = {"LONG_BINPUT", op_put},
    [0x94] = {"MEMOIZE", op_memoize},
    ['h'] = {"BINGET", op_get},
    ['j'] = {"LONG_BINGET", op_get},
    ['c'] = {"GLOBAL", op_global},
    [0x93] = {"STACK_GLOBAL", op_stack_global},
    ['R'] = {"REDUCE", op_call},
    [0x81] = {"NEWOBJ", op_call},
    ['b'] = {"BUILD", op_build},
    ['Q'] = {"BINPERSID", op_persistent_id},
    ['0'] = {"POP", NULL},
    ['1'] = {"POP_MARK", NULL},
    ['2'] = {"DUP", NULL},
    ['F'] = {"FLOAT", NULL},
    ['I'] = {"INT", NULL},
    ['L'] = {"LONG", NULL},
    ['P'] = {"PERSID", NULL},
    ['S'] = {"STRING", NULL},
    ['V'] = {"UNICODE", NULL},
    ['d'] = {"DICT", NULL},
    ['g'] = {"GET", NULL},
    ['i'] = {"INST", NULL},
    ['l'] = {"LIST", NULL},
    ['o'] = {"OBJ", NULL},
    ['p'] = {"PUT", NULL},
    [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL},
    [0x84] = {"EXT4", NULL},
    [0x8e] = {"BINBYTES8", NULL},
    [0x91] = {"FROZENSET", NULL},
    [0x92] = {"NEWOBJ_EX", NULL},
    [0x96] = {"BYTEARRAY8", NULL},
    [0x97] = {"NEXT_BUFFER", NULL},
    [0x98] = {"READONLY_BUFFER", NULL},
};

static ob_status step(ob__pickle_machine *m)
{
    m->opcode_at = m->at;
    m->opcode = "the pickle";
    const unsigned char *code;
    if (m->at == m->bytes)
        return m->bytes == OB_PICKLE_MAX_BYTES
                   ? ob__pickle_refuse(m, "longer than the %zu bytes that are allowed", OB_PICKLE_MAX_BYTES)
                   : ob__pickle_refuse(m, "ends without STOP: incomplete download?");
    ob_status status = ob__pickle_take(m, 1, &code);
    if (status != OB_OK)
        return status;
    if (opcodes[*code].name == NULL)
        return ob__pickle_refuse(m, "0x%02x is no opcode", *code);
    m->opcode = opcodes[*code].name;
    if (m->opcode_at == 0 && *code != 0x80)
        return ob__pickle_refuse(m, "a pickle of protocol 0 or 1, or none: it must begin with PROTO");
    return opcodes[*code].run != NULL ? opcodes[*code].run(m)
                                      : ob__pickle_refuse(m, "an opcode (0x%02x) that weights do not need", *code);
}

ob_status ob__pickle_read(const unsigned char *data, size_t bytes, ob__pickle *out, ob_error *err)
{
    ob__pickle pickle = {0};
    ob__pickle_machine m = {.data = data,
                            .bytes = bytes < OB_PICKLE_MAX_BYTES ? bytes : OB_PICKLE_MAX_BYTES,
                            .pickle = &pickle,
                            .err = err};
    ob_status status = ob__pickle_stack_create(&m);
    while (status == OB_OK && !m.stopped)
        status = step(&m);
    ob_free(m.stack);
    ob_free(m.memo);
    if (status != OB_OK) {
        ob__pickle_release(&pickle);
        return status;
    }
    pickle.bytes = m.at;
    *out = pickle;
    return OB_OK;
}
