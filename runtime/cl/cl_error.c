/* Names and meanings of OpenCL's error codes. */
#include "cl_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* X(code, status) */
#define CL_ERROR_MAP(X)                                            \
    X(CL_DEVICE_NOT_FOUND, OB_ERR_NO_DEVICE)                       \
    X(CL_DEVICE_NOT_AVAILABLE, OB_ERR_DEVICE)                      \
    X(CL_COMPILER_NOT_AVAILABLE, OB_ERR_BUILD)                     \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE, OB_ERR_DEVICE)             \
    X(CL_OUT_OF_RESOURCES, OB_ERR_DEVICE)                          \
    X(CL_OUT_OF_HOST_MEMORY, OB_ERR_OUT_OF_MEMORY)                 \
    X(CL_PROFILING_INFO_NOT_AVAILABLE, OB_ERR_DEVICE)              \
    X(CL_MEM_COPY_OVERLAP, OB_ERR_INTERNAL)                        \
    X(CL_BUILD_PROGRAM_FAILURE, OB_ERR_BUILD)                      \
    X(CL_MAP_FAILURE, OB_ERR_DEVICE)                               \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET, OB_ERR_INTERNAL)            \
    X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, OB_ERR_DEVICE) \
    X(CL_COMPILE_PROGRAM_FAILURE, OB_ERR_BUILD)                    \
    X(CL_LINKER_NOT_AVAILABLE, OB_ERR_BUILD)                       \
    X(CL_LINK_PROGRAM_FAILURE, OB_ERR_BUILD)                       \
    X(CL_KERNEL_ARG_INFO_NOT_AVAILABLE, OB_ERR_INTERNAL)           \
    X(CL_INVALID_VALUE, OB_ERR_INTERNAL)                           \
    X(CL_INVALID_DEVICE_TYPE, OB_ERR_INTERNAL)                     \
    X(CL_INVALID_PLATFORM, OB_ERR_DEVICE)                          \
    X(CL_INVALID_DEVICE, OB_ERR_DEVICE)                            \
    X(CL_INVALID_CONTEXT, OB_ERR_INTERNAL)                         \
    X(CL_INVALID_QUEUE_PROPERTIES, OB_ERR_DEVICE)                  \
    X(CL_INVALID_COMMAND_QUEUE, OB_ERR_DEVICE)                     \
    X(CL_INVALID_MEM_OBJECT, OB_ERR_INTERNAL)                      \
    X(CL_INVALID_BINARY, OB_ERR_BUILD)                             \
    X(CL_INVALID_BUILD_OPTIONS, OB_ERR_BUILD)                      \
    X(CL_INVALID_PROGRAM, OB_ERR_INTERNAL)                         \
    X(CL_INVALID_PROGRAM_EXECUTABLE, OB_ERR_BUILD)                 \
    X(CL_INVALID_KERNEL_NAME, OB_ERR_INTERNAL)                     \
    X(CL_INVALID_KERNEL_DEFINITION, OB_ERR_INTERNAL)               \
    X(CL_INVALID_KERNEL, OB_ERR_INTERNAL)                          \
    X(CL_INVALID_ARG_INDEX, OB_ERR_INTERNAL)                       \
    X(CL_INVALID_ARG_VALUE, OB_ERR_INTERNAL)                       \
    X(CL_INVALID_ARG_SIZE, OB_ERR_INTERNAL)                        \
    X(CL_INVALID_KERNEL_ARGS, OB_ERR_INTERNAL)                     \
    X(CL_INVALID_WORK_DIMENSION, OB_ERR_INTERNAL)                  \
    X(CL_INVALID_WORK_GROUP_SIZE, OB_ERR_DEVICE)                   \
    X(CL_INVALID_WORK_ITEM_SIZE, OB_ERR_DEVICE)                    \
    X(CL_INVALID_GLOBAL_OFFSET, OB_ERR_INTERNAL)                   \
    X(CL_INVALID_EVENT_WAIT_LIST, OB_ERR_INTERNAL)                 \
    X(CL_INVALID_EVENT, OB_ERR_INTERNAL)                           \
    X(CL_INVALID_OPERATION, OB_ERR_DEVICE)                         \
    X(CL_INVALID_BUFFER_SIZE, OB_ERR_DEVICE)                       \
    X(CL_INVALID_GLOBAL_WORK_SIZE, OB_ERR_DEVICE)

#define CL_PLATFORM_NOT_FOUND (-1001) /* of cl_khr_icd: the loader found no driver */

const char *ob__cl_error_name(cl_int code)
{
    switch (code) {
#define NAME_CASE(name, status) \
    case name:                  \
        return #name;
        CL_ERROR_MAP(NAME_CASE)
#undef NAME_CASE
    case CL_PLATFORM_NOT_FOUND:
        return "CL_PLATFORM_NOT_FOUND_KHR";
    default:
        return "unknown OpenCL error";
    }
}

ob_status ob__status_from_cl(cl_int code)
{
    switch (code) {
#define STATUS_CASE(name, status) \
    case name:                    \
        return status;
        CL_ERROR_MAP(STATUS_CASE)
#undef STATUS_CASE
    case CL_PLATFORM_NOT_FOUND:
        return OB_ERR_NO_DEVICE;
    default:
        return OB_ERR_DEVICE;
    }
}

ob_status ob__cl_error_set(ob_error *err, cl_int code, const char *format, ...)
{
    ob_status status = ob__status_from_cl(code);
    va_list args;
    va_start(args, format);
    ob_error_set_va(err, status, format, args);
    va_end(args);
    if (err != NULL) {
        size_t length = strlen(err->text);
        snprintf(err->text + length, OB_ERROR_TEXT_BYTES - length, ": %s (%d)", ob__cl_error_name(code), (int)code);
    }
    return status;
}
