/* One device a test program. */
#include "test_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ob_device_list *devices;
static ob_device *device;

bool test_lane_is(const char *name)
{
    const char *lane = getenv("OB_TEST_LANE");
    return lane != NULL && strcmp(lane, name) == 0;
}

ob_context *test_context_open(void)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_device_selector any;
    ob_device_selector_default(&any);
    ob_context *ctx;
    ob_context_options options;
    ob_context_options_default(&options);
    options.cache_folder = getenv("OBERTA_CACHE_DIR"); /* llvmpipe takes seconds for a program */
    if (ob_device_list_create(&devices, &err) != OB_OK ||
        ob_device_select(devices, &any, &device, NULL, &err) != OB_OK) {
        printf("SKIPPED: no device: %s\n", err.text);
        exit(77);
    }
    if (ob_context_create(device, &options, &ctx, &err) != OB_OK) {
        printf("cannot open the device: %s\n", err.text);
        exit(1);
    }
    printf("device: %s, %s\n", ob_device_get_info(device)->platform, ob_device_get_info(device)->name);
    return ctx;
}

void test_context_close(ob_context *ctx)
{
    ob_context_destroy(ctx);
    ob_device_list_destroy(devices);
    devices = NULL;
}

ob_device *test_device(void)
{
    return device;
}
