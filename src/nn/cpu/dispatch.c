/* What the processor has, and the kernel table for it. */
#include "nn/cpu/fills.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined __x86_64__ || defined __i386__
static unsigned processor_flags(void) {
	__builtin_cpu_init(); /* also asks the operating system whether it saves the wide registers */
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("fma"))
		return 0;
	unsigned flags = NN_CPU_AVX512;
	if (__builtin_cpu_supports("avx512vnni"))
		flags |= NN_CPU_VNNI;
	if (__builtin_cpu_supports("avx512bf16"))
		flags |= NN_CPU_BF16;
	return flags;
}
#else
static unsigned processor_flags(void) { return 0; }
#endif

/* Each level has all below it: no processor has bf16 without VNNI. */
static unsigned allowed_flags(const char *level) {
	if (!level)
		return ~0u;
	if (!strcmp(level, "scalar"))
		return 0;
	if (!strcmp(level, "avx512"))
		return NN_CPU_AVX512;
	if (!strcmp(level, "avx512_vnni"))
		return NN_CPU_AVX512 | NN_CPU_VNNI;
	return ~0u;
}

unsigned nn_cpu_detect(void) { return processor_flags() & allowed_flags(getenv("SONANT_CPU")); }

const char *nn_cpu_text(unsigned flags) {
	if (!(flags & NN_CPU_AVX512))
		return "scalar";
	switch (flags & (NN_CPU_VNNI | NN_CPU_BF16)) {
	case NN_CPU_VNNI | NN_CPU_BF16: return "avx512, vnni, bf16";
	case NN_CPU_VNNI: return "avx512, vnni";
	case NN_CPU_BF16: return "avx512, bf16";
	default: return "avx512";
	}
}

void nn_kernels_fill(nn_kernels *k, unsigned flags) {
	*k = (nn_kernels){ .name = "scalar" };
	nn_gemm_fill_scalar(k);
	nn_rows_fill_scalar(k);
#ifdef NN_X86
	if (!(flags & NN_CPU_AVX512))
		return;
	k->name = "avx512";
	nn_gemm_fill_avx512(k);
	nn_rows_fill_avx512(k);
	if (flags & NN_CPU_VNNI) {
		k->name = "avx512_vnni";
		nn_gemm_fill_vnni(k);
	}
	if (flags & NN_CPU_BF16) {
		k->name = "avx512_bf16";
		nn_gemm_fill_bf16(k);
		nn_rows_fill_bf16(k);
	}
#endif
}

static nn_kernels best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

static void fill_best(void) { nn_kernels_fill(&best, nn_cpu_detect()); }

const nn_kernels *nn_kernels_best(void) {
	pthread_once(&best_once, fill_best);
	return &best;
}
