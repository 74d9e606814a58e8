/* The device of the lane that a test runs in (tests/support/lane shows it one driver). */
#ifndef OBERTA_TEST_DEVICE_H
#define OBERTA_TEST_DEVICE_H

#include <oberta/context.h>

/* Opens the lane's first usable device; ends the program with 77, saying why, where there is none. */
ob_context *test_context_open(void);
/* Its device, for a context with options of its own. */
ob_device *test_device(void);
void test_context_close(ob_context *ctx);

/* True in the lane of that name: "oclgrind" takes small shapes only. */
bool test_lane_is(const char *name);

#endif
