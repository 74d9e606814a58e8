/* The unpickler's stack, its memo, and the bytes it reads: each access within bounds. */
#include "pickle_machine.h"

#include <oberta/memory.h>
#include <string.h>

ob_status ob__pickle_refuse(ob__pickle_machine *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ob_error_set_va(m->err, OB_ERR_MODEL, format, args);
    va_end(args);
    ob_error_prefix(m->err, "byte %zu: %s", m->opcode_at, m->opcode);
    return OB_ERR_MODEL;
}

ob_status ob__pickle_no_memory(ob__pickle_machine *m)
{
    return ob_error_set(m->err, OB_ERR_OUT_OF_MEMORY, "no memory for a pickle of %zu values", m->pickle->value_count);
}

ob_status ob__pickle_take(ob__pickle_machine *m, size_t count, const unsigned char **out)
{
    if (count > m->bytes - m->at)
        return ob__pickle_refuse(m, "%zu bytes follow, but it promises %zu: incomplete download?", m->bytes - m->at,
                                 count);
    *out = m->data + m->at;
    m->at += count;
    return OB_OK;
}

ob_status ob__pickle_stack_create(ob__pickle_machine *m)
{
    void *stack = NULL;
    if (!ob_array_reserve(&stack, &m->stack_capacity, 1, sizeof *m->stack))
        return ob__pickle_no_memory(m);
    m->stack = stack;
    return OB_OK;
}

ob_status ob__pickle_push(ob__pickle_machine *m, ob__pickle_value *value)
{
    if (m->depth == OB_PICKLE_MAX_STACK)
        return ob__pickle_refuse(m, "more than %zu values on the stack", OB_PICKLE_MAX_STACK);
    void *stack = m->stack;
    if (!ob_array_reserve(&stack, &m->stack_capacity, m->depth + 1, sizeof *m->stack))
        return ob__pickle_no_memory(m);
    m->stack = stack;
    m->stack[m->depth++] = value;
    return OB_OK;
}

ob_status ob__pickle_pop(ob__pickle_machine *m, size_t count, ob__pickle_value ***out)
{
    size_t floor = m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
    if (m->depth - floor < count)
        return ob__pickle_refuse(m, "the stack has %zu values%s, but it takes %zu", m->depth - floor,
                                 m->mark_count > 0 ? " above the mark" : "", count);
    m->depth -= count;
    *out = m->stack + m->depth;
    return OB_OK;
}

ob_status ob__pickle_pop_mark(ob__pickle_machine *m, ob__pickle_value ***out, size_t *count)
{
    if (m->mark_count == 0)
        return ob__pickle_refuse(m, "there is no mark on the stack");
    size_t mark = m->marks[--m->mark_count];
    *count = m->depth - mark;
    *out = m->stack + mark;
    m->depth = mark;
    return OB_OK;
}

ob_status ob__pickle_peek(ob__pickle_machine *m, ob__pickle_kind kind, const char *what, ob__pickle_value **out)
{
    ob__pickle_value **top;
    ob_status status = ob__pickle_pop(m, 1, &top);
    if (status != OB_OK)
        return status;
    m->depth += 1;
    if ((*top)->kind != kind)
        return ob__pickle_refuse(m, "its target is no %s", what);
    *out = *top;
    return OB_OK;
}

ob_status ob__pickle_push_new(ob__pickle_machine *m, ob__pickle_value value)
{
    ob__pickle_value *created;
    ob_status status = ob__pickle_value_create(m, value.kind, &created);
    if (status != OB_OK)
        return status;
    *created = value;
    return ob__pickle_push(m, created);
}

ob_status ob__pickle_memo_put(ob__pickle_machine *m, size_t index)
{
    if (index >= OB_PICKLE_MAX_MEMO)
        return ob__pickle_refuse(m, "memo %zu: at most %zu are allowed", index, OB_PICKLE_MAX_MEMO);
    size_t before = m->memo_capacity;
    void *memo = m->memo;
    if (!ob_array_reserve(&memo, &m->memo_capacity, index + 1, sizeof *m->memo))
        return ob__pickle_no_memory(m);
    m->memo = memo;
    if (m->memo_capacity > before)
        memset(m->memo + before, 0, (m->memo_capacity - before) * sizeof *m->memo);
    ob__pickle_value **top;
    ob_status status = ob__pickle_pop(m, 1, &top);
    if (status != OB_OK)
        return status;
    m->depth += 1; /* the value stays on the stack */
    m->memo_count += m->memo[index] == NULL;
    m->memo[index] = *top;
    return OB_OK;
}
