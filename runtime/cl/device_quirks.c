/* Exceptions for drivers. Kernels and operators never ask for a vendor: what a driver gets wrong stands here, with the
 * versions it was seen in, the symptom, and what we do instead. */
#include "cl_internal.h"

#include <oberta/utf8.h>

static const struct {
    const char *platform; /* substring of the platform's name, case folded */
    unsigned quirk;
    const char *name;
    const char *reason;
} quirks[] = {
    /* Several processes with one cold cache: about 1 build in 200 fails with CL_BUILD_PROGRAM_FAILURE and works the
     * second time. Seen in 3.1; github.com/pocl/pocl issue 1480. */
    {"Portable Computing Language", OB__QUIRK_RETRY_BUILD, "retry_build",
     "a build can fail while another process fills the driver's cache"},
    /* Trying is no way to find out: the translator to SPIR-V that other drivers use ends the process at llvm.prefetch
     * (rusticl in Mesa 22.3). These compile with clang for the host's own processor. */
    {"Portable Computing Language", OB__QUIRK_TRY_PREFETCH, "prefetch", "clang's prefetch may be tried"},
    {"Intel(R) OpenCL", OB__QUIRK_TRY_PREFETCH, "prefetch", "clang's prefetch may be tried"},
    /* Kernels are compiled with clang for the host's own processor, inline assembly and all (PoCL 3.1 to 6.0, Intel's
     * runtime 2026.22). Other translators to SPIR-V may end the process at it. */
    {"Portable Computing Language", OB__QUIRK_TRY_AMX, "amx", "inline assembly for the host's processor may be tried"},
    {"Intel(R) OpenCL", OB__QUIRK_TRY_AMX, "amx", "inline assembly for the host's processor may be tried"},
    /* Threads take groups one by one. Intel's runtime (2026.22) often gives both of two groups to one thread: a launch
     * of stages took 35 ms there, 20 as a launch for each operator. */
    {"Portable Computing Language", OB__QUIRK_SPREAD, "spread", "threads take work-groups one by one"},
    /* CL_KERNEL_WORK_GROUP_SIZE is 32 for every kernel, also for one that demands 64 and then runs with them. Seen in
     * Mesa 22.3. */
    {"rusticl", OB__QUIRK_KERNEL_LIMIT, "kernel_limit", "a kernel's largest work-group is the device's"},
};
#define QUIRK_COUNT (sizeof quirks / sizeof *quirks)

unsigned ob__device_quirks(const ob_device_info *info)
{
    unsigned found = 0;
    for (size_t i = 0; i < QUIRK_COUNT; i++)
        if (ob_text_contains_folded(info->platform, quirks[i].platform))
            found |= quirks[i].quirk;
    return found;
}

void ob__device_quirks_describe(unsigned found, ob_strbuf *out)
{
    for (size_t i = 0; i < QUIRK_COUNT; i++) {
        if ((found & quirks[i].quirk) != 0)
            ob_strbuf_printf(out, "%s%s", out->length > 0 ? ", " : "", quirks[i].name);
        found &= ~quirks[i].quirk; /* several drivers may have one */
    }
}
