/* One version, in CMakeLists.txt and in the header; they cannot differ. */
#include <oberta/version.h>

#define TEXT(x)        #x
#define EXPAND(x)      TEXT(x)
#define HEADER_VERSION EXPAND(OBERTA_VERSION_MAJOR) "." EXPAND(OBERTA_VERSION_MINOR) "." EXPAND(OBERTA_VERSION_PATCH)

const char *ob_version(void)
{
    return HEADER_VERSION;
}
