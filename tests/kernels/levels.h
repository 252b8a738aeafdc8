/* The instruction sets that SONANT_CPU names on this architecture, from the lowest to the highest. */
#ifndef SN_TESTS_KERNELS_LEVELS_H
#define SN_TESTS_KERNELS_LEVELS_H

#include "nn/cpu/kernels.h"

static const struct { const char *name; unsigned flags; } levels[] = {
	{ "scalar", 0 },
#ifdef __aarch64__
	{ "neon", NN_CPU_NEON },
	{ "neon_dotprod", NN_CPU_NEON | NN_CPU_DOTPROD },
	{ "neon_i8mm", NN_CPU_NEON | NN_CPU_DOTPROD | NN_CPU_I8MM },
#elif defined __x86_64__
	{ "avx2", NN_CPU_AVX2 },
	{ "avx512", NN_CPU_AVX2 | NN_CPU_AVX512 },
	{ "avx512_vnni", NN_CPU_AVX2 | NN_CPU_AVX512 | NN_CPU_VNNI },
	{ "avx512_bf16", NN_CPU_AVX2 | NN_CPU_AVX512 | NN_CPU_VNNI | NN_CPU_BF16 },
#endif
};

#define LEVEL_COUNT (sizeof levels / sizeof *levels)

/* Whether this processor, and SONANT_CPU, have level i. */
static inline int has_level(size_t i) { return (nn_cpu_detect() & levels[i].flags) == levels[i].flags; }

#endif
