/* What an AArch64 processor can do beyond NEON, as the kernel tells programs. */
#include "nn/cpu/fills.h"

#include <sys/auxv.h>

#ifdef __linux__
#include <asm/hwcap.h>

unsigned nn_arm_features(void) {
	unsigned flags = NN_CPU_NEON;
	if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
		flags |= NN_CPU_DOTPROD;
	if ((flags & NN_CPU_DOTPROD) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM))
		flags |= NN_CPU_I8MM;
	return flags;
}
#else
unsigned nn_arm_features(void) { return NN_CPU_NEON; }
#endif
