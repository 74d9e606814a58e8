/* What every test includes: cmocka in its order, the data's place, and how an ob_status is asserted. */
#ifndef OBERTA_TEST_SUPPORT_H
#define OBERTA_TEST_SUPPORT_H

#define _DEFAULT_SOURCE /* mkdtemp, symlink */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <oberta/error.h>
#include <stdbool.h>

static inline const char *test_data(void)
{
    const char *path = getenv("OB_TEST_DATA");
    assert_non_null(path);
    return path;
}

/* Fails with the error's text. */
static inline void test_ok(ob_status status, const ob_error *err)
{
    if (status != OB_OK)
        fail_msg("%s: %s", ob_status_name(status), err->text);
}

/* Asserts a refusal whose text contains `part`. */
static inline void test_refused(ob_status status, ob_status expected, const ob_error *err, const char *part)
{
    if (status != expected || strstr(err->text, part) == NULL)
        fail_msg("%s, expected %s: '%s', expected to contain '%s'", ob_status_name(status), ob_status_name(expected),
                 err->text, part);
}

#endif
