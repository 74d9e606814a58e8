/* Rows to sequences, and sequences to a schedule of batches. */
#include "window.h"

#include <oberta/memory.h>
#include <stdatomic.h>
#include <string.h>

/* A token of ordinary text is about this many bytes; it only steers how much is read at a time. */
#define BYTES_PER_TOKEN 4

void ob__window_release(ob__window *w)
{
    for (size_t i = 0; i < w->capacity; i++)
        ob__item_release(&w->items[i]);
    ob_free(w->items);
    ob_free(w->places);
    ob_schedule_release(&w->schedule);
    ob_result_release(&w->result);
    ob_free(w->integers);
    ob_free(w->floats);
    *w = (ob__window){0};
}

/* Items keep their memory from window to window, so new ones are only ever added at the end. */
static ob_status reserve_item(ob__window *w, ob_error *err)
{
    size_t before = w->capacity;
    if (!ob_array_reserve((void **)&w->items, &w->capacity, w->count + 1, sizeof *w->items))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu rows", w->count + 1);
    for (size_t i = before; i < w->capacity; i++) {
        w->items[i] = (ob__item){0};
        ob_row_init(&w->items[i].row);
    }
    return OB_OK;
}

static size_t row_bytes(const ob_row *row)
{
    size_t bytes = row->text.length + row->pair.length;
    for (size_t i = 0; i < row->choice_count; i++)
        bytes += row->choices[i].prompt.length + row->choices[i].text.length;
    return bytes;
}

static size_t guess_tokens(const ob__window_tools *tools, const ob_row *row)
{
    if (tools->task->row_tokens != NULL)
        return tools->task->row_tokens(tools->task_context, row);
    return row->token_count + row_bytes(row) / BYTES_PER_TOKEN;
}

/* The squares are of the most tokens that the row can have: their results are the largest by far. */
static size_t guess_result_bytes(const ob__window_tools *tools, const ob__window_limits *limits, const ob_row *row,
                                 size_t tokens)
{
    size_t most = row->token_count + row_bytes(row), max_length = tools->task_context->limits.max_length;
    most = most < max_length ? most : max_length;
    return tokens * limits->bytes_per_token + most * most * limits->bytes_per_token_pair;
}

ob_status ob__window_read(ob__window *w, const ob_row_source *source, const ob__window_tools *tools,
                          const ob__window_limits *limits, ob_error *err)
{
    size_t tokens = 0, bytes = 0;
    w->count = 0;
    w->last = false;
    while (w->count < limits->max_rows && tokens < limits->max_tokens && bytes < limits->max_result_bytes) {
        if (w->count > 0 && source->ready != NULL && !source->ready(source->user))
            break;
        bool more;
        if (reserve_item(w, err) != OB_OK)
            return ob_error_status(err);
        ob_row *row = &w->items[w->count].row;
        ob_row_clear(row);
        ob_status status = source->next(source->user, row, &more, err);
        if (status != OB_OK)
            return status;
        if (!more) {
            w->last = true;
            break;
        }
        size_t guess = guess_tokens(tools, row);
        tokens += guess;
        bytes += guess_result_bytes(tools, limits, row, guess);
        w->count++;
    }
    return OB_OK;
}

typedef struct tokenise_loop {
    ob__window *window;
    const ob__window_tools *tools;
    atomic_flag failed;
    ob_error *err; /* written by whoever sets `failed` first */
    atomic_int status;
} tokenise_loop;

/* Every row of such a job has encoder states, by its number. */
static void attach_encoder(const ob__encoder_states *states, ob__item *item)
{
    const ob_tensor *hidden, *mask;
    if (!ob__encoder_states_find(states, item->row.number, &hidden, &mask)) {
        ob__item_reject(item, "inputs.tensors has no encoder_hidden_states.%llu", (unsigned long long)item->row.number);
        return;
    }
    size_t finite = ob__encoder_states_finite(hidden);
    if (finite < hidden->count) {
        ob__item_reject(item, "inputs.tensors: %s: element %zu of row-major order is no finite number", hidden->name,
                        finite);
        return;
    }
    for (size_t i = 0; i < item->sequence_count; i++) {
        item->sequences[i].encoder_count = hidden->shape[0];
        item->sequences[i].encoder_states = hidden;
        item->sequences[i].encoder_mask = mask;
    }
}

static ob_status tokenise_item(const ob__window_tools *tools, ob__item *item, ob__item_encoder *encoder, ob_error *err)
{
    const ob__task *task = tools->task;
    const ob__task_context *ctx = tools->task_context;
    item->sequence_count = 0;
    item->has_mask_tokens = false;
    if (item->row.defect != OB_OK)
        return OB_OK;
    ob_status status = task->tokenise != NULL ? task->tokenise(ctx, item, encoder, err)
                                              : ob__item_encode(item, encoder, &ctx->limits, false, err);
    if (status == OB_OK && item->row.defect == OB_OK && task->prepare != NULL)
        status = task->prepare(ctx, item, err);
    if (status == OB_OK && item->row.defect == OB_OK && tools->encoder_states != NULL)
        attach_encoder(tools->encoder_states, item);
    item->pending = item->sequence_count;
    return status;
}

static void tokenise_one(void *user, size_t thread, size_t index)
{
    tokenise_loop *loop = user;
    ob_error err;
    ob_error_clear(&err);
    ob_status status = tokenise_item(loop->tools, &loop->window->items[index], &loop->tools->encoders[thread], &err);
    if (status != OB_OK && !atomic_flag_test_and_set(&loop->failed)) {
        ob_error_set(loop->err, status, "%s", err.text);
        atomic_store(&loop->status, (int)status);
    }
}

/* Every sequence of the good rows; rejected rows have none. */
static ob_status list_places(ob__window *w, ob_error *err)
{
    w->place_count = 0;
    for (size_t i = 0; i < w->count; i++) {
        size_t count = w->items[i].sequence_count;
        if (!ob_array_reserve((void **)&w->places, &w->place_capacity, w->place_count + count, sizeof *w->places))
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu sequences", w->place_count + count);
        for (size_t k = 0; k < count; k++)
            w->places[w->place_count++] = (ob__sequence_place){i, k};
    }
    return OB_OK;
}

/* Lengths and result bytes of the sequences decide who runs with whom. An encoder's tokens fill a batch as much as the
 * sequence's own. */
static ob_status make_schedule(ob__window *w, const ob__window_tools *tools, const ob__window_limits *limits,
                               ob_error *err)
{
    if (list_places(w, err) != OB_OK)
        return ob_error_status(err);
    size_t *lengths = ob_realloc_array(NULL, w->place_count + 1, 2 * sizeof *lengths);
    if (lengths == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the lengths of %zu sequences", w->place_count);
    size_t *costs = lengths + w->place_count;
    w->result_bytes = 0;
    for (size_t i = 0; i < w->place_count; i++) {
        const ob__sequence *s = &w->items[w->places[i].item].sequences[w->places[i].sequence];
        lengths[i] = s->token_count > s->encoder_count ? s->token_count : s->encoder_count;
        costs[i] = ob__result_bytes(&tools->widths, s->token_count, s->position_count, s->encoder_count);
        w->result_bytes = ob_size_add(w->result_bytes, costs[i], &w->result_bytes) ? w->result_bytes : SIZE_MAX;
    }
    ob_schedule_release(&w->schedule);
    ob_status status = ob_schedule_create(lengths, costs, w->place_count, &limits->schedule, &w->schedule, err);
    w->next_batch = 0;
    ob_free(lengths);
    return status;
}

ob_status ob__window_tokenise(ob__window *w, const ob__window_tools *tools, const ob__window_limits *limits,
                              ob_error *err)
{
    tokenise_loop loop = {.window = w, .tools = tools, .failed = ATOMIC_FLAG_INIT, .err = err};
    atomic_init(&loop.status, OB_OK);
    ob_parallel_for(tools->parallel, w->count, tokenise_one, &loop);
    ob_status status = (ob_status)atomic_load(&loop.status);
    return status != OB_OK ? status : make_schedule(w, tools, limits, err);
}
