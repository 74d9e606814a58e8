/* What the host's processor can do beyond what C shows. */
#ifndef OBERTA_PROCESSOR_H
#define OBERTA_PROCESSOR_H

#include <stdbool.h>

/* Whether x86's matrix tiles (AMX-BF16), and rdpid, are there and the operating system lets this process use them. Asks
 * it to, once for all threads, so their state is saved with them from the first use on. Any thread may call. */
bool ob_processor_permit_amx(void);

#endif
