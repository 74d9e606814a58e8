/* What the host's processor has and can do beyond what C shows. */
#ifndef OBERTA_PROCESSOR_H
#define OBERTA_PROCESSOR_H

#include <stdbool.h>
#include <stddef.h>

/* Processors that this process may run on (taskset, cpusets; not quotas), at least 1. Any thread may call. */
size_t ob_processor_count(void);

/* Whether x86's matrix tiles (AMX-BF16), and rdpid, are there and the operating system lets this process use them. Asks
 * it to, once for all threads, so their state is saved with them from the first use on. Any thread may call. */
bool ob_processor_permit_amx(void);

#endif
