/* The arena: planning is pure arithmetic, the rest is one buffer and its views. */
#include <oberta/arena.h>
#include <oberta/memory.h>

struct ob_arena {
    ob_buffer *buffer; /* NULL where no slot has bytes */
    ob_buffer **views; /* (count) */
    size_t count, bytes;
};

static bool alive_together(const ob_arena_slot *a, const ob_arena_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest aligned offset at which `slot` meets none of the `placed` that live at the same time. */
static bool place(ob_arena_slot *slot, ob_arena_slot *const *placed, size_t count, size_t alignment)
{
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < count; i++) {
            const ob_arena_slot *other = placed[i];
            size_t end, other_end;
            if (!alive_together(slot, other))
                continue;
            if (!ob_size_add(offset, slot->bytes, &end))
                return false;
            other_end = other->offset + other->bytes;
            if (end <= other->offset || offset >= other_end)
                continue;
            if (!ob_size_align(other_end, alignment, &offset))
                return false;
            moved = true;
        }
    }
    slot->offset = offset;
    return true;
}

ob_status ob_arena_plan(ob_arena_slot *slots, size_t count, size_t alignment, size_t *total_bytes, ob_error *err)
{
    ob_arena_slot **order = ob_realloc_array(NULL, count, sizeof *order);
    if (order == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to plan %zu buffers", count);
    size_t used = 0, total = 0;
    for (size_t i = 0; i < count; i++) { /* insertion sort, greatest first, equal ones in order */
        slots[i].offset = 0;
        if (slots[i].bytes == 0)
            continue;
        size_t at = used++;
        for (; at > 0 && order[at - 1]->bytes < slots[i].bytes; at--)
            order[at] = order[at - 1];
        order[at] = &slots[i];
    }
    for (size_t i = 0; i < used; i++) {
        size_t end;
        if (!place(order[i], order, i, alignment) || !ob_size_add(order[i]->offset, order[i]->bytes, &end)) {
            ob_error_set(err, OB_ERR_INTERNAL, "planning '%s': %zu bytes overflow", order[i]->name, order[i]->bytes);
            ob_free(order);
            return ob_error_status(err);
        }
        total = end > total ? end : total;
    }
    ob_free(order);
    *total_bytes = total;
    return OB_OK;
}

ob_status ob_arena_create(ob_context *ctx, ob_arena_slot *slots, size_t count, ob_arena **out, ob_error *err)
{
    ob_arena *arena = ob_calloc(1, sizeof *arena);
    if (arena == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the arena");
    arena->count = count;
    arena->views = ob_calloc(count, sizeof *arena->views);
    if (arena->views == NULL) {
        ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the arena");
        goto fail;
    }
    if (ob_arena_plan(slots, count, ob_context_device(ctx)->base_align_bytes, &arena->bytes, err) != OB_OK)
        goto fail;
    if (arena->bytes > 0 && ob_buffer_create(ctx, arena->bytes, "activations", &arena->buffer, err) != OB_OK)
        goto fail;
    for (size_t i = 0; i < count; i++)
        if (slots[i].bytes > 0 && ob_buffer_create_view(arena->buffer, slots[i].offset, slots[i].bytes, slots[i].name,
                                                        &arena->views[i], err) != OB_OK)
            goto fail;
    *out = arena;
    return OB_OK;
fail:
    ob_arena_destroy(arena);
    return ob_error_status(err);
}

void ob_arena_destroy(ob_arena *arena)
{
    if (arena == NULL)
        return;
    for (size_t i = 0; arena->views != NULL && i < arena->count; i++)
        ob_buffer_destroy(arena->views[i]);
    ob_free(arena->views);
    ob_buffer_destroy(arena->buffer);
    ob_free(arena);
}

ob_buffer *ob_arena_view(const ob_arena *arena, size_t slot)
{
    return arena->views[slot];
}

size_t ob_arena_bytes(const ob_arena *arena)
{
    return arena->bytes;
}
