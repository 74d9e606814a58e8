/* Names of workloads, their rows, and the batches that they run in. */
#include "bench_internal.h"

#include <math.h>
#include <oberta/memory.h>
#include <oberta/schedule.h>
#include <stdio.h>
#include <string.h>

#define MAX_TOKENS ((size_t)1 << 24)

/* tools/peers/workloads.py makes the same rows for other runtimes. */
#define MIXED_ROWS    256
#define MIXED_SEED    20240229u
#define LOG_MEAN      3.6
#define LOG_DEVIATION 0.8
#define SHORTEST      6
#define LONGEST       512
#define FIRST_ID      4 /* below stand the special tokens */
#define TWO_PI        6.283185307179586

#define LOGITS_BATCH_BYTES ((size_t)256 << 20)

/* Inside (0, 1): Knuth's 64-bit linear congruence, its upper 53 bits. */
static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

static void fill_mixed(size_t *lengths)
{
    uint64_t state = MIXED_SEED;
    for (size_t i = 0; i < MIXED_ROWS; i++) {
        double u = uniform(&state), v = uniform(&state);
        double normal = sqrt(-2 * log(u)) * cos(TWO_PI * v);
        double length = exp(LOG_MEAN + LOG_DEVIATION * normal);
        lengths[i] = length < SHORTEST ? SHORTEST : length > LONGEST ? LONGEST : (size_t)length;
    }
}

/* Digits up to `end` (or the text's end): 1 to MAX_TOKENS. */
static bool parse_count(const char **text, char end, size_t *out)
{
    size_t value = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++)
        if ((value = value * 10 + (size_t)(*at - '0')) > MAX_TOKENS)
            return false;
    if (at == *text || *at != end || value == 0)
        return false;
    *text = at + 1;
    *out = value;
    return true;
}

static ob_status reserve(ob_workload *w, size_t rows, ob_error *err)
{
    w->row_count = rows;
    w->lengths = ob_realloc_array(NULL, rows, sizeof *w->lengths);
    return w->lengths != NULL ? OB_OK : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu rows", rows);
}

static void sum_up(ob_workload *w)
{
    for (size_t i = 0; i < w->row_count; i++) {
        w->token_count += w->lengths[i];
        w->longest = w->lengths[i] > w->longest ? w->lengths[i] : w->longest;
    }
}

ob_status ob_workload_parse(const char *text, ob_workload *out, ob_error *err)
{
    ob_workload w = {.row_count = 0};
    size_t rows, length;
    const char *at = text;
    if (strcmp(text, "mixed") == 0) {
        if (reserve(&w, MIXED_ROWS, err) != OB_OK)
            return ob_error_status(err);
        fill_mixed(w.lengths);
        snprintf(w.name, sizeof w.name, "mixed");
    } else {
        if (!parse_count(&at, 'x', &rows) || !parse_count(&at, '\0', &length))
            return ob_error_set(err, OB_ERR_USAGE, "workload '%s': neither ROWSxTOKENS, such as 32x128, nor mixed",
                                text);
        if (rows > MAX_TOKENS / length)
            return ob_error_set(err, OB_ERR_USAGE, "workload '%s': more than %zu tokens", text, MAX_TOKENS);
        if (reserve(&w, rows, err) != OB_OK)
            return ob_error_status(err);
        for (size_t i = 0; i < rows; i++)
            w.lengths[i] = length;
        snprintf(w.name, sizeof w.name, "%zux%zu", rows, length);
    }
    sum_up(&w);
    *out = w;
    return OB_OK;
}

void ob_workload_release(ob_workload *workload)
{
    ob_free(workload->lengths);
    *workload = (ob_workload){.row_count = 0};
}

const char *ob_bench_head_name(size_t head)
{
    static const char *const names[] = {"encoder", "fill-mask", "logits"};
    return head < sizeof names / sizeof *names ? names[head] : NULL;
}

double ob__bench_attended_width(const ob_roberta_config *c)
{
    size_t heads = 0;
    for (size_t layer = 0; layer < c->num_hidden_layers; layer++)
        heads += ob_roberta_config_kept_heads(c, layer);
    return (double)heads / (double)c->num_hidden_layers * (double)(c->hidden_size / c->num_attention_heads);
}

double ob_workload_flops(const ob_workload *w, const ob_roberta_config *c, ob_bench_head head)
{
    double h = (double)c->hidden_size, i = (double)c->intermediate_size, tokens = (double)w->token_count;
    double pairs = 0, attended = ob__bench_attended_width(c);
    for (size_t r = 0; r < w->row_count; r++)
        pairs += (double)w->lengths[r] * (double)w->lengths[r];
    double encoder =
        (double)c->num_hidden_layers * (tokens * 2 * (4 * h * attended + 2 * h * i) + 4 * attended * pairs);
    double rows = head == OB_BENCH_LOGITS ? tokens : head == OB_BENCH_FILL_MASK ? (double)w->row_count : 0;
    return encoder + rows * 2 * (h * h + h * (double)c->vocab_size);
}

/* Fills the arrays of one row, which begins at `at` of them. Where there is a head, the middle is a <mask>, the last id
 * of RoBERTa's vocabulary. */
static void fill_row(const ob_roberta_config *c, ob_bench_head head, size_t row, size_t length, const ob_batch *b,
                     size_t at)
{
    size_t real = c->vocab_size > FIRST_ID ? c->vocab_size - FIRST_ID : 1;
    size_t first = c->vocab_size > FIRST_ID ? FIRST_ID : 0;
    for (size_t t = 0; t < length; t++)
        b->input_ids[at + t] = (int32_t)((row * 7919 + t * 104729) % real + first);
    if (head != OB_BENCH_ENCODER)
        b->input_ids[at + length / 2] = (int32_t)(c->vocab_size - 1);
    ob_position_ids(b->input_ids + at, length, c->pad_token_id, b->position_ids + at);
}

static void fill_positions(ob_batch *b, ob_bench_head head)
{
    b->position_count = 0;
    for (size_t s = 0; s < b->sequence_count; s++) {
        int32_t begin = b->cu_seqlens[s], length = b->cu_seqlens[s + 1] - begin;
        if (head == OB_BENCH_FILL_MASK)
            b->positions[b->position_count++] = begin + length / 2;
        for (int32_t t = 0; head == OB_BENCH_LOGITS && t < length; t++)
            b->positions[b->position_count++] = begin + t;
    }
}

/* Rows [first, end) of the workload as one batch, its arrays from `arrays` on; returns how many it used. */
static size_t fill_batch(const ob_workload *w, const ob_roberta_config *c, ob_bench_head head, size_t first, size_t end,
                         int32_t *arrays, ob_batch *b)
{
    static const unsigned want[] = {OB_WANT_CLS, OB_WANT_TOP_K, OB_WANT_LOGITS};
    size_t tokens = 0;
    for (size_t r = first; r < end; r++)
        tokens += w->lengths[r];
    *b = (ob_batch){.want = want[head],
                    .sequence_count = end - first,
                    .token_count = tokens,
                    .input_ids = arrays,
                    .position_ids = arrays + tokens,
                    .token_type_ids = arrays + 2 * tokens,
                    .positions = arrays + 3 * tokens,
                    .cu_seqlens = arrays + 4 * tokens,
                    .top_k = head == OB_BENCH_FILL_MASK ? OB__BENCH_TOP_K : 0};
    for (size_t r = first, at = 0; r < end; at += w->lengths[r], r++) {
        fill_row(c, head, r, w->lengths[r], b, at);
        b->cu_seqlens[r - first + 1] = (int32_t)(at + w->lengths[r]);
    }
    fill_positions(b, head);
    return 4 * tokens + (end - first) + 1;
}

ob_status ob__bench_plan_create(const ob_workload *w, const ob_roberta_config *config, ob_bench_head head,
                                const ob__bench_limits *limits, ob__bench_plan *out, ob_error *err)
{
    ob_schedule_limits budget = {
        .max_tokens = limits->max_tokens, .max_sequences = limits->max_sequences, .max_cost = SIZE_MAX};
    size_t rows_of_logits = LOGITS_BATCH_BYTES / (config->vocab_size * sizeof(float));
    if (head == OB_BENCH_LOGITS && rows_of_logits < budget.max_tokens)
        budget.max_tokens = rows_of_logits;
    ob_schedule schedule;
    if (ob_schedule_create(w->lengths, NULL, w->row_count, &budget, &schedule, err) != OB_OK)
        return ob_error_status(err);
    ob__bench_plan plan = {.batch_count = schedule.batch_count};
    plan.batches = ob_calloc(plan.batch_count, sizeof *plan.batches);
    plan.arrays = ob_calloc(4 * w->token_count + w->row_count + plan.batch_count, sizeof *plan.arrays);
    if (plan.batches == NULL || plan.arrays == NULL) {
        ob_schedule_release(&schedule);
        ob__bench_plan_release(&plan);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tokens", w->token_count);
    }
    for (size_t i = 0, used = 0; i < plan.batch_count; i++)
        used +=
            fill_batch(w, config, head, schedule.begin[i], schedule.begin[i + 1], plan.arrays + used, &plan.batches[i]);
    ob_schedule_release(&schedule);
    *out = plan;
    return OB_OK;
}

void ob__bench_plan_release(ob__bench_plan *plan)
{
    ob_free(plan->batches);
    ob_free(plan->arrays);
    *plan = (ob__bench_plan){.batch_count = 0};
}
