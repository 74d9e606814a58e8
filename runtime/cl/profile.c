/* Kernel times from events: events are kept until somebody asks, so that measuring does not wait. */
#include "cl_internal.h"

#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above this many open events the finished ones are summed up, so a long run stays bounded. */
#define MAX_PENDING 4096

typedef struct pending {
    char label[64];
    cl_event event;
} pending;

struct ob__profiler {
    pending *pending;
    size_t pending_count, pending_capacity;
    ob_profile_entry *entries;
    size_t count, capacity;
    ob_profile_span *spans;
    size_t span_count, span_capacity, span_limit;
    uint64_t spans_left_out;
};

ob_status ob__profiler_create(ob__profiler **out, ob_error *err)
{
    *out = ob_calloc(1, sizeof **out);
    return *out != NULL ? OB_OK : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the profile");
}

static void forget_events(ob__profiler *profiler)
{
    for (size_t i = 0; i < profiler->pending_count; i++)
        clReleaseEvent(profiler->pending[i].event);
    profiler->pending_count = 0;
}

void ob__profiler_destroy(ob__profiler *profiler)
{
    if (profiler == NULL)
        return;
    forget_events(profiler);
    ob_free(profiler->pending);
    ob_free(profiler->entries);
    ob_free(profiler->spans);
    ob_free(profiler);
}

static ob_profile_entry *find_entry(ob__profiler *profiler, const char *label)
{
    for (size_t i = 0; i < profiler->count; i++)
        if (strcmp(profiler->entries[i].kernel, label) == 0)
            return &profiler->entries[i];
    if (!ob_array_reserve((void **)&profiler->entries, &profiler->capacity, profiler->count + 1,
                          sizeof *profiler->entries))
        return NULL;
    ob_profile_entry *entry = &profiler->entries[profiler->count++];
    *entry = (ob_profile_entry){.launches = 0};
    snprintf(entry->kernel, sizeof entry->kernel, "%s", label);
    return entry;
}

static void keep_span(ob__profiler *profiler, const char *label, uint64_t start_ns, uint64_t end_ns)
{
    if (profiler->span_limit == 0)
        return;
    if (profiler->span_count >= profiler->span_limit ||
        !ob_array_reserve((void **)&profiler->spans, &profiler->span_capacity, profiler->span_count + 1,
                          sizeof *profiler->spans)) {
        profiler->spans_left_out++;
        return;
    }
    ob_profile_span *span = &profiler->spans[profiler->span_count++];
    *span = (ob_profile_span){.start_ns = start_ns, .end_ns = end_ns};
    snprintf(span->kernel, sizeof span->kernel, "%s", label);
}

static void sum_up(ob__profiler *profiler)
{
    for (size_t i = 0; i < profiler->pending_count; i++) {
        const pending *p = &profiler->pending[i];
        cl_ulong begin = 0, end = 0;
        ob_profile_entry *entry = find_entry(profiler, p->label);
        if (entry == NULL || clWaitForEvents(1, &p->event) != CL_SUCCESS ||
            clGetEventProfilingInfo(p->event, CL_PROFILING_COMMAND_START, sizeof begin, &begin, NULL) != CL_SUCCESS ||
            clGetEventProfilingInfo(p->event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS)
            continue;
        uint64_t ns = end > begin ? end - begin : 0;
        entry->launches++;
        entry->total_ns += ns;
        entry->max_ns = ns > entry->max_ns ? ns : entry->max_ns;
        keep_span(profiler, p->label, begin, begin + ns);
    }
    forget_events(profiler);
}

void ob__profiler_add(ob__profiler *profiler, const char *label, cl_event event)
{
    if (profiler->pending_count >= MAX_PENDING)
        sum_up(profiler);
    if (!ob_array_reserve((void **)&profiler->pending, &profiler->pending_capacity, profiler->pending_count + 1,
                          sizeof *profiler->pending)) {
        clReleaseEvent(event);
        return;
    }
    pending *p = &profiler->pending[profiler->pending_count++];
    snprintf(p->label, sizeof p->label, "%s", label);
    p->event = event;
}

static int compare_total(const void *a, const void *b)
{
    const ob_profile_entry *x = a, *y = b;
    return (x->total_ns < y->total_ns) - (x->total_ns > y->total_ns);
}

ob_status ob_profile_collect(ob_context *ctx, ob_profile_entry **entries, size_t *count, ob_error *err)
{
    if (ctx->profiler == NULL)
        return ob_error_set(err, OB_ERR_INTERNAL, "the context was opened without a profile");
    if (ob_context_finish(ctx, err) != OB_OK)
        return ob_error_status(err);
    sum_up(ctx->profiler);
    size_t n = ctx->profiler->count;
    ob_profile_entry *copy = ob_realloc_array(NULL, n, sizeof *copy);
    if (copy == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the profile");
    if (n > 0)
        memcpy(copy, ctx->profiler->entries, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, compare_total);
    *entries = copy;
    *count = n;
    return OB_OK;
}

bool ob_context_profiles(const ob_context *ctx)
{
    return ctx->profiler != NULL;
}

void ob_profile_reset(ob_context *ctx)
{
    if (ctx->profiler == NULL)
        return;
    sum_up(ctx->profiler);
    ctx->profiler->count = 0;
}

void ob_profile_keep_spans(ob_context *ctx, size_t limit)
{
    if (ctx->profiler == NULL)
        return;
    sum_up(ctx->profiler);
    ctx->profiler->span_limit = limit;
    ctx->profiler->span_count = 0;
    ctx->profiler->spans_left_out = 0;
}

ob_status ob_profile_spans(ob_context *ctx, ob_profile_span **spans, size_t *count, uint64_t *left_out, ob_error *err)
{
    if (ctx->profiler == NULL)
        return ob_error_set(err, OB_ERR_INTERNAL, "the context was opened without a profile");
    if (ob_context_finish(ctx, err) != OB_OK)
        return ob_error_status(err);
    sum_up(ctx->profiler);
    size_t n = ctx->profiler->span_count;
    *spans = ob_realloc_array(NULL, n, sizeof **spans);
    if (*spans == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu launches", n);
    if (n > 0)
        memcpy(*spans, ctx->profiler->spans, n * sizeof **spans);
    *count = n;
    if (left_out != NULL)
        *left_out = ctx->profiler->spans_left_out;
    return OB_OK;
}
