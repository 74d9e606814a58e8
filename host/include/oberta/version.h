/* The version of the headers, and of the library that runs. */
#ifndef OBERTA_VERSION_H
#define OBERTA_VERSION_H

#include <oberta/api.h>

#define OBERTA_VERSION_MAJOR 0
#define OBERTA_VERSION_MINOR 1
#define OBERTA_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0", of the library that is linked; never NULL. */
OB_API const char *ob_version(void);

#ifdef __cplusplus
}
#endif
#endif
