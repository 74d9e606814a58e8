/* One device allocation for all activations of a forward pass.
 *
 * The caller describes each intermediate by its size and the steps at which it is first written and last read; the
 * planner gives intermediates that are never alive together the same bytes. */
#ifndef OBERTA_ARENA_H
#define OBERTA_ARENA_H

#include <oberta/buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ob_arena_slot {
    const char *name; /* for messages; a literal */
    size_t bytes;     /* 0: not needed, its view is NULL */
    int first, last;  /* steps, inclusive; first <= last */
    size_t offset;    /* set by ob_arena_plan */
} ob_arena_slot;

/* Pure planning: sets every offset (a multiple of `alignment`, > 0) and *total_bytes. Slots whose steps overlap never
 * share a byte. OB_ERR_INTERNAL for sizes that overflow. Greedy by size, largest first (Pisarchyk and Lee, "Efficient
 * Memory Management for Deep Neural Net Inference", 2020). */
ob_status ob_arena_plan(ob_arena_slot *slots, size_t count, size_t alignment, size_t *total_bytes, ob_error *err);

typedef struct ob_arena ob_arena;

/* Plans, allocates once, and makes a view for each slot. */
ob_status ob_arena_create(ob_context *ctx, ob_arena_slot *slots, size_t count, ob_arena **out, ob_error *err);
void ob_arena_destroy(ob_arena *arena);
ob_buffer *ob_arena_view(const ob_arena *arena, size_t slot); /* owned by the arena */
size_t ob_arena_bytes(const ob_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
