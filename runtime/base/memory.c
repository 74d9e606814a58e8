/* Allocation and checked sizes. */
#define _DEFAULT_SOURCE /* madvise */
#include <oberta/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

void *ob_malloc(size_t bytes)
{
    return malloc(bytes > 0 ? bytes : 1);
}

void *ob_calloc(size_t count, size_t element_bytes)
{
    return count > 0 && element_bytes > 0 ? calloc(count, element_bytes) : calloc(1, 1);
}

void *ob_realloc(void *pointer, size_t bytes)
{
    return realloc(pointer, bytes > 0 ? bytes : 1);
}

void ob_free(void *pointer)
{
    free(pointer);
}

void *ob_realloc_array(void *pointer, size_t count, size_t element_bytes)
{
    size_t bytes;
    return ob_size_mul(count, element_bytes, &bytes) ? ob_realloc(pointer, bytes) : NULL;
}

bool ob_array_reserve(void **array, size_t *capacity, size_t needed, size_t element_bytes)
{
    if (needed <= *capacity)
        return true;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < needed)
        if (!ob_size_mul(wanted, 2, &wanted))
            return false;
    void *grown = ob_realloc_array(*array, wanted, element_bytes);
    if (grown == NULL)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

char *ob_strndup(const char *text, size_t bytes)
{
    size_t with_nul;
    char *copy = ob_size_add(bytes, 1, &with_nul) ? ob_malloc(with_nul) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *ob_strdup(const char *text)
{
    return ob_strndup(text, strlen(text));
}

bool ob_size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

bool ob_size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool ob_size_align(size_t value, size_t alignment, size_t *out)
{
    size_t rest = value % alignment;
    return ob_size_add(value, rest == 0 ? 0 : alignment - rest, out);
}

/* The "VmHWM:  1234 kB" line of the process's status. getrusage's ru_maxrss would include what ran before exec. */
uint64_t ob_memory_peak_bytes(void)
{
    uint64_t kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (status != NULL) {
        char line[256];
        while (fgets(line, sizeof line, status) != NULL)
            if (strncmp(line, "VmHWM:", 6) == 0) {
                kilobytes = strtoull(line + 6, NULL, 10);
                break;
            }
        fclose(status);
    }
    if (kilobytes == 0) {
        struct rusage usage;
        if (getrusage(RUSAGE_SELF, &usage) == 0)
            kilobytes = (uint64_t)usage.ru_maxrss;
    }
    return kilobytes * 1024;
}

void ob_memory_reset_peak(void)
{
    FILE *references = fopen("/proc/self/clear_refs", "w");
    if (references == NULL)
        return;
    fputs("5", references); /* VmHWM becomes the present resident set; proc(5) */
    fclose(references);
}

void ob_memory_wish_huge_pages(void *pointer, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    /* Outwards to whole pages: neighbours that were advised alike become one range, which holds more of the huge ones.
     */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)pointer / page * page,
              end = ((uintptr_t)pointer + bytes + page - 1) / page * page;
    (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)pointer;
    (void)bytes;
#endif
}
