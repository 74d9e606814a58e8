/* White space around a text, as Python sees it. Internal to host. */
#ifndef OBERTA_TASKS_STRIP_H
#define OBERTA_TASKS_STRIP_H

#include <oberta/strbuf.h>

/* What Python's str.strip leaves: a view of `text`, which must outlive it; its data is not NUL-terminated. */
ob_strbuf ob__strip(const ob_strbuf *text);

#endif
