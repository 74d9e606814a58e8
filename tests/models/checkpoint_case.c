/* Opening folders of weights, right and wrong. */
#include "checkpoint_case.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t open_file_count(void)
{
    size_t count = 0;
    DIR *entries = opendir("/proc/self/fd");
    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

ob_checkpoint *open_right(const char *folder)
{
    ob_checkpoint *checkpoint = NULL;
    ob_error err;
    ob_error_clear(&err);
    if (ob_checkpoint_open(folder, &checkpoint, &err) != OB_OK)
        fail_msg("%s: %s", folder, err.text);
    return checkpoint;
}

void expect_refusal(const char *folder, ob_status status, const char *reason)
{
    ob_checkpoint *checkpoint = NULL;
    ob_error err;
    ob_error_clear(&err);
    size_t open_before = open_file_count();
    ob_status got = ob_checkpoint_open(folder, &checkpoint, &err);
    if (got != status || strstr(err.text, reason) == NULL)
        fail_msg("expected %s '%s', got %s '%s'", ob_status_name(status), reason, ob_status_name(got), err.text);
    assert_null(checkpoint);
    assert_int_equal(open_file_count(), open_before);
}
