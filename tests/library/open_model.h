/* What the tests of the library have in common. */
#ifndef OBERTA_TEST_OPEN_MODEL_H
#define OBERTA_TEST_OPEN_MODEL_H

#include "test_support.h"

#include <oberta/oberta.h>

const char *demo_folder(void);
ob_model *open_demo(const char *task, const char *const *settings, size_t count);
/* The model of a folder of goldens; up to 8 encoder states may come. */
ob_model *open_golden(const char *name, const char *task);

/* One record a text, or the test fails. */
ob_results *run_texts(ob_model *model, const char *const *texts, const char *const *pairs, size_t count);
/* The ids of a text, special ones included; the caller releases `out`. */
void encode(const ob_model *model, const char *text, ob_encoding *out);

#endif
