/* Between the parts of the unpickler: values, the machine's state, symbols. */
#ifndef OBERTA_CHECKPOINT_PICKLE_MACHINE_H
#define OBERTA_CHECKPOINT_PICKLE_MACHINE_H

#include "pickle.h"
#include "printable.h"

typedef enum ob__pickle_role {
    OB_ROLE_ORDERED_DICT,
    OB_ROLE_TENSOR,    /* _rebuild_tensor: storage, offset, shape, stride */
    OB_ROLE_TENSOR_V2, /* ..., requires_grad, hooks[, metadata] */
    OB_ROLE_PARAMETER, /* tensor[, requires_grad[, hooks]] */
    OB_ROLE_SIZE,
    OB_ROLE_STORAGE
} ob__pickle_role;

struct ob__pickle_symbol {
    const char *module, *name;
    ob__pickle_role role;
    ob_dtype dtype; /* of a storage; OB_DTYPE_COUNT: an element type that oberta does not have */
};

typedef struct ob__pickle_machine {
    const unsigned char *data;
    size_t bytes, at;
    size_t opcode_at; /* of the opcode that is being run, and its name: for messages */
    const char *opcode;
    ob__pickle *pickle;
    ob__pickle_value **stack;
    size_t depth, stack_capacity;
    size_t marks[OB_PICKLE_MAX_MARKS]; /* depths of the stack */
    size_t mark_count;
    ob__pickle_value **memo; /* NULL: unset */
    size_t memo_capacity, memo_count;
    bool stopped;
    ob_error *err;
} ob__pickle_machine;

/* "byte 12: REDUCE: ...", OB_ERR_MODEL. */
ob_status ob__pickle_refuse(ob__pickle_machine *m, const char *format, ...) OB_PRINTF(2, 3);
ob_status ob__pickle_no_memory(ob__pickle_machine *m);

/* The next `count` bytes of the pickle. Errors: OB_ERR_MODEL where it ends before. */
ob_status ob__pickle_take(ob__pickle_machine *m, size_t count, const unsigned char **out);

/* The stack. Values that are popped stay readable until the next push; none is popped from below the last mark. Errors:
 * OB_ERR_MODEL for too many values or too few. */
ob_status ob__pickle_stack_create(ob__pickle_machine *m);
ob_status ob__pickle_push(ob__pickle_machine *m, ob__pickle_value *value);
ob_status ob__pickle_push_new(ob__pickle_machine *m, ob__pickle_value value);
ob_status ob__pickle_pop(ob__pickle_machine *m, size_t count, ob__pickle_value ***out);
/* All values above the last mark, and the mark. */
ob_status ob__pickle_pop_mark(ob__pickle_machine *m, ob__pickle_value ***out, size_t *count);
/* The value on top, which stays there and must be of a kind; `what` is its name. */
ob_status ob__pickle_peek(ob__pickle_machine *m, ob__pickle_kind kind, const char *what, ob__pickle_value **out);
/* Notes the value on top, which stays there. */
ob_status ob__pickle_memo_put(ob__pickle_machine *m, size_t index);

/* A zeroed value of the pickle's. Errors: too many values, no memory. */
ob_status ob__pickle_value_create(ob__pickle_machine *m, ob__pickle_kind kind, ob__pickle_value **out);
ob_status ob__pickle_items_append(ob__pickle_machine *m, ob__pickle_items *items, ob__pickle_value *const *values,
                                  size_t count);
ob__printable ob__pickle_printable(ob__pickle_text text);

/* The symbol of a global. Errors: OB_ERR_MODEL with module and name of what is not on the list. */
ob_status ob__pickle_find_symbol(ob__pickle_machine *m, ob__pickle_text module, ob__pickle_text name,
                                 const ob__pickle_symbol **out);
/* What `callable(*arguments)` stands for. */
ob_status ob__pickle_call(ob__pickle_machine *m, const ob__pickle_value *callable, ob__pickle_value *arguments,
                          ob__pickle_value **out);
/* What a persistent id stands for: a storage. */
ob_status ob__pickle_resolve_id(ob__pickle_machine *m, const ob__pickle_value *id, ob__pickle_value **out);

#endif
