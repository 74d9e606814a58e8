/* Opening folders of weights, right and wrong. Failures end the test. */
#ifndef OBERTA_TESTS_CHECKPOINT_CASE_H
#define OBERTA_TESTS_CHECKPOINT_CASE_H

#include <oberta/checkpoint.h>

#define ONE_TENSOR   "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"
#define OTHER_TENSOR "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
#define INDEX        "model.safetensors.index.json"

ob_checkpoint *open_right(const char *folder);
/* The folder is refused with `reason`, and no file stays open. */
void expect_refusal(const char *folder, ob_status status, const char *reason);

#endif
