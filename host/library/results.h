/* Records that outlive the call in which a task gives them. Internal to host/library. */
#ifndef OBERTA_LIBRARY_RESULTS_H
#define OBERTA_LIBRARY_RESULTS_H

#include <oberta/model.h>

/* An empty list. NULL: no memory. */
ob_results *ob__results_create(void);

/* Appends a copy of the record and of everything it points to. */
ob_status ob__results_add(ob_results *results, const ob_record *record, ob_error *err);

#endif
