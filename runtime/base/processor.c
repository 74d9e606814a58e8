/* What Linux lets this process have, and CPUID says there is. */
#define _GNU_SOURCE /* sched_getaffinity, syscall */
#include <oberta/processor.h>

#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#endif

/* A set of fixed size, so that it fails, and all count, where there are more than 1,024. */
size_t ob_processor_count(void)
{
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0)
        return (size_t)CPU_COUNT(&allowed);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

/* x86's matrix tiles need the system's leave (Documentation/arch/x86/xstate.rst). */
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>

#define FEATURES_LEAF       7
#define RDPID               (1u << 22) /* of ecx; a virtual machine may hide it */
#define AMX_BF16            (1u << 22) /* of edx */
#define AMX_TILE            (1u << 24)
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA  18

bool ob_processor_permit_amx(void)
{
    unsigned eax, ebx, ecx, edx;
    if (__get_cpuid_count(FEATURES_LEAF, 0, &eax, &ebx, &ecx, &edx) == 0)
        return false;
    return (ecx & RDPID) != 0 && (edx & AMX_BF16) != 0 && (edx & AMX_TILE) != 0 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
bool ob_processor_permit_amx(void)
{
    return false;
}
#endif
