/* x86's matrix tiles: CPUID says whether they are there, Linux whether they may be used
 * (Documentation/arch/x86/xstate.rst). */
#define _DEFAULT_SOURCE /* syscall */
#include <oberta/processor.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

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
