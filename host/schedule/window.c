/* Rows to batches, and results back to rows. */
#include "window.h"

#include <oberta/memory.h>
#include <stdatomic.h>
#include <string.h>

void ob__window_release(ob__window *w)
{
    for (size_t i = 0; i < w->capacity; i++)
        ob__item_release(&w->items[i]);
    ob_free(w->items);
    ob_schedule_release(&w->schedule);
    ob_result_release(&w->result);
    ob_free(w->arrays);
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

ob_status ob__window_read(ob__window *w, const ob_row_source *source, const ob__window_limits *limits, ob_error *err)
{
    size_t bytes = 0;
    w->count = 0;
    w->last = false;
    while (w->count < limits->max_rows && bytes < limits->max_text_bytes) {
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
        bytes += row->text.length + row->pair.length + row->token_count * sizeof(int32_t);
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

static void tokenise_one(void *user, size_t thread, size_t index)
{
    tokenise_loop *loop = user;
    const ob__window_tools *tools = loop->tools;
    ob__item *item = &loop->window->items[index];
    ob_error err;
    ob_error_clear(&err);
    ob_status status = ob__item_encode(item, &tools->encoders[thread], tools->item_limits, &err);
    if (status == OB_OK && item->row.defect == OB_OK)
        status = tools->task->prepare(tools->task_context, item, &err);
    if (status != OB_OK && !atomic_flag_test_and_set(&loop->failed)) {
        ob_error_set(loop->err, status, "%s", err.text);
        atomic_store(&loop->status, (int)status);
    }
}

/* Lengths and result bytes of the good rows decide who runs with whom. Rejected rows take no part: their length is 0.
 */
static ob_status make_schedule(ob__window *w, const ob__window_tools *tools, const ob__window_limits *limits,
                               ob_error *err)
{
    size_t *lengths = ob_realloc_array(NULL, w->count, 2 * sizeof *lengths);
    size_t *rows = ob_realloc_array(NULL, w->count, sizeof *rows);
    ob_status status = OB_OK;
    if (lengths == NULL || rows == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the lengths of %zu rows", w->count);
        goto done;
    }
    size_t *costs = lengths + w->count, good = 0;
    w->result_bytes = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->items[i].row.defect != OB_OK)
            continue;
        lengths[good] = w->items[i].token_count;
        costs[good] = tools->task->result_bytes(tools->task_context, &w->items[i]);
        w->result_bytes += costs[good];
        rows[good++] = i;
    }
    ob_schedule_release(&w->schedule);
    status = ob_schedule_create(lengths, costs, good, &limits->schedule, &w->schedule, err);
    if (status == OB_OK)
        for (size_t i = 0; i < good; i++)
            w->schedule.order[i] = rows[w->schedule.order[i]];
    w->next_batch = 0;
done:
    ob_free(lengths);
    ob_free(rows);
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

/* One allocation for all index arrays of a batch. */
static ob_status reserve_arrays(ob__window *w, size_t tokens, size_t sequences, size_t positions, ob_error *err)
{
    size_t count = 4 * tokens + sequences + 1 + positions;
    if (count > w->arrays_capacity) {
        int32_t *arrays = ob_realloc_array(w->arrays, count, sizeof *arrays);
        if (arrays == NULL)
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a batch of %zu tokens", tokens);
        w->arrays = arrays;
        w->arrays_capacity = count;
    }
    ob_batch *b = &w->batch;
    b->input_ids = w->arrays;
    b->position_ids = b->input_ids + tokens;
    b->token_type_ids = b->position_ids + tokens;
    b->attention_mask = b->token_type_ids + tokens;
    b->cu_seqlens = b->attention_mask + tokens;
    b->positions = b->cu_seqlens + sequences + 1;
    return OB_OK;
}

static void append_item(ob_batch *b, const ob__item *item)
{
    size_t at = b->token_count, bytes = item->token_count * sizeof(int32_t);
    memcpy(b->input_ids + at, item->input_ids, bytes);
    memcpy(b->position_ids + at, item->position_ids, bytes);
    memcpy(b->token_type_ids + at, item->token_type_ids, bytes);
    for (size_t i = 0; i < item->token_count; i++)
        b->attention_mask[at + i] = item->has_attention_mask ? item->attention_mask[i] : 1;
    for (size_t i = 0; i < item->position_count; i++)
        b->positions[b->position_count++] = (int32_t)at + item->positions[i];
    b->token_count += item->token_count;
    b->cu_seqlens[++b->sequence_count] = (int32_t)b->token_count;
}

bool ob__window_next_batch(ob__window *w, unsigned want, size_t top_k, ob_status *status, ob_error *err)
{
    *status = OB_OK;
    if (w->next_batch == w->schedule.batch_count)
        return false;
    size_t begin = w->schedule.begin[w->next_batch], end = w->schedule.begin[w->next_batch + 1];
    w->next_batch++;
    size_t tokens = 0, positions = 0;
    bool masked = false;
    for (size_t i = begin; i < end; i++) {
        const ob__item *item = &w->items[w->schedule.order[i]];
        tokens += item->token_count;
        positions += item->position_count;
        masked |= item->has_attention_mask;
    }
    *status = reserve_arrays(w, tokens, end - begin, positions, err);
    if (*status != OB_OK)
        return false;
    ob_batch *b = &w->batch;
    b->want = want;
    b->top_k = top_k;
    b->sequence_count = b->token_count = b->position_count = 0;
    b->cu_seqlens[0] = 0;
    for (size_t i = begin; i < end; i++)
        append_item(b, &w->items[w->schedule.order[i]]);
    if (!masked)
        b->attention_mask = NULL;
    return true;
}

/* Copies rows [first, first + count) of a result array with `width` elements a row. */
static bool copy_rows(void *to, const void *from, size_t first, size_t count, size_t width, size_t element_bytes)
{
    void **target = to;
    size_t row_bytes = width * element_bytes;
    void *grown = ob_realloc_array(*target, count, row_bytes);
    if (grown == NULL)
        return false;
    *target = grown;
    memcpy(grown, (const char *)from + first * row_bytes, count * row_bytes);
    return true;
}

typedef struct result_cursor {
    size_t sequence, token, position;
} result_cursor;

static bool copy_result(const ob_batch *b, const ob_result *from, const ob_roberta_config *config,
                        const result_cursor *at, const ob__item *item, ob_result *to)
{
    size_t hidden = config->hidden_size, f = sizeof(float);
    unsigned pooled = OB_WANT_CLS | OB_WANT_MEAN;
    return ((b->want & OB_WANT_HIDDEN) == 0 ||
            copy_rows(&to->hidden, from->hidden, at->token, item->token_count, hidden, f)) &&
           ((b->want & pooled) == 0 || copy_rows(&to->pooled, from->pooled, at->sequence, 1, hidden, f)) &&
           ((b->want & OB_WANT_LOGITS) == 0 ||
            copy_rows(&to->logits, from->logits, at->position, item->position_count, config->vocab_size, f)) &&
           ((b->want & OB_WANT_TOP_K) == 0 ||
            (copy_rows(&to->top_ids, from->top_ids, at->position, item->position_count, b->top_k, sizeof(int32_t)) &&
             copy_rows(&to->top_scores, from->top_scores, at->position, item->position_count, b->top_k, f)));
}

ob_status ob__window_collect(ob__window *w, const ob__window_tools *tools, const ob_roberta_config *config,
                             ob_error *err)
{
    const ob_batch *b = &w->batch;
    size_t begin = w->schedule.begin[w->next_batch - 1];
    result_cursor at = {0, 0, 0};
    for (; at.sequence < b->sequence_count; at.sequence++) {
        ob__item *item = &w->items[w->schedule.order[begin + at.sequence]];
        if (b->sequence_count == 1) {
            /* A row that ran alone takes the arrays over: its logits may be hundreds of megabytes. */
            ob_result_release(&item->result);
            item->result = w->result;
            w->result = (ob_result){0};
        } else if (!copy_result(b, &w->result, config, &at, item, &item->result)) {
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the results of a row of %zu tokens",
                                item->token_count);
        }
        at.token += item->token_count;
        at.position += item->position_count;
        if (tools->task->collect != NULL && tools->task->collect(tools->task_context, item, err) != OB_OK)
            return ob_error_status(err);
    }
    return OB_OK;
}
