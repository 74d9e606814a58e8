/* Status codes of every function that can fail.
 *
 * One X-macro holds code, the exit status of the program, and a sentence, so that they cannot drift apart. */
#ifndef OBERTA_STATUS_H
#define OBERTA_STATUS_H

#include <oberta/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(code, exit status, sentence) */
#define OB_STATUS_MAP(X)                                                          \
    X(OB_OK, 0, "success")                                                        \
    X(OB_ERR_INTERNAL, 1, "a defect in oberta")                                   \
    X(OB_ERR_USAGE, 2, "the command line is wrong")                               \
    X(OB_ERR_CONFIG, 2, "the job file is wrong")                                  \
    X(OB_ERR_MODEL, 3, "the model folder is wrong")                               \
    X(OB_ERR_UNSUPPORTED, 3, "the model asks for something oberta does not have") \
    X(OB_ERR_ROWS_FAILED, 4, "some rows failed")                                  \
    X(OB_ERR_NO_DEVICE, 5, "no device fits")                                      \
    X(OB_ERR_DEVICE, 5, "the device failed")                                      \
    X(OB_ERR_BUILD, 5, "a kernel does not build on the device")                   \
    X(OB_ERR_IO, 6, "a file cannot be read or written")                           \
    X(OB_ERR_INPUT, 6, "an input row is wrong")                                   \
    X(OB_ERR_OUT_OF_MEMORY, 6, "out of memory")                                   \
    X(OB_ERR_INTERRUPTED, 75, "interrupted")

typedef enum ob_status {
#define OB_STATUS_ENUM(code, exit_status, sentence) code,
    OB_STATUS_MAP(OB_STATUS_ENUM)
#undef OB_STATUS_ENUM
} ob_status;

/* The code's own name, "OB_ERR_IO". Never NULL. */
OB_API const char *ob_status_name(ob_status status);

/* One sentence for people. Never NULL. */
OB_API const char *ob_status_text(ob_status status);

/* What a program should exit with: 0, 1, 2, ... 75. */
OB_API int ob_status_exit_code(ob_status status);

#ifdef __cplusplus
}
#endif
#endif
