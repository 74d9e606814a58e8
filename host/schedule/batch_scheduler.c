/* Batches within a budget: a pure function of lengths, so that it can be tested without a device. */
#include <oberta/memory.h>
#include <oberta/schedule.h>
#include <stdlib.h>

/* Tokens of a batch where the job does not say. On CPU devices larger batches leave the caches; on others they hide
 * the launches. */
#define AUTO_TOKENS_CPU   1024
#define AUTO_TOKENS_OTHER 8192
/* Shorter texts make batches of fewer tokens: each sequence costs attention whole panels of memory. */
#define MEAN_SEQUENCE 16

size_t ob_schedule_auto_tokens(const ob_device_info *device)
{
    return device->type == OB_DEVICE_CPU ? AUTO_TOKENS_CPU : AUTO_TOKENS_OTHER;
}

size_t ob_schedule_max_sequences(size_t max_tokens)
{
    return max_tokens / MEAN_SEQUENCE + 1;
}

typedef struct entry {
    size_t length, row;
} entry;

/* Longest first; equal lengths keep their order. */
static int compare_lengths(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool order_rows(const size_t *lengths, size_t count, bool sort, size_t *order)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    if (!sort || count == 0)
        return true;
    entry *entries = ob_realloc_array(NULL, count, sizeof *entries);
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        entries[i] = (entry){lengths[i], i};
    qsort(entries, count, sizeof *entries, compare_lengths);
    for (size_t i = 0; i < count; i++)
        order[i] = entries[i].row;
    ob_free(entries);
    return true;
}

/* sum + more > limit, for any sizes. */
static bool exceeds(size_t sum, size_t more, size_t limit)
{
    return sum > limit || more > limit - sum;
}

ob_status ob_schedule_create(const size_t *lengths, const size_t *costs, size_t row_count,
                             const ob_schedule_limits *limits, ob_schedule *out, ob_error *err)
{
    ob_schedule s = {0, ob_realloc_array(NULL, row_count + 1, sizeof *s.begin),
                     ob_realloc_array(NULL, row_count, sizeof *s.order)};
    if (s.begin == NULL || s.order == NULL || !order_rows(lengths, row_count, limits->sort_by_length, s.order)) {
        ob_schedule_release(&s);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory to schedule %zu rows", row_count);
    }
    size_t tokens = 0, cost = 0;
    for (size_t i = 0; i < row_count; i++) {
        size_t length = lengths[s.order[i]], own = costs != NULL ? costs[s.order[i]] : 0;
        bool full = i > 0 && (exceeds(tokens, length, limits->max_tokens) || exceeds(cost, own, limits->max_cost) ||
                              i - s.begin[s.batch_count - 1] == limits->max_sequences);
        if (i == 0 || full) {
            s.begin[s.batch_count++] = i;
            tokens = cost = 0;
        }
        tokens += length;
        cost += own;
    }
    s.begin[s.batch_count] = row_count;
    *out = s;
    return OB_OK;
}

void ob_schedule_release(ob_schedule *schedule)
{
    ob_free(schedule->begin);
    ob_free(schedule->order);
    *schedule = (ob_schedule){0, NULL, NULL};
}
