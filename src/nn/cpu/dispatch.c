/* What the processor has, and the kernel table for it. */
#include "nn/cpu/fills.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The levels from the lowest to the highest, and what each adds to those below. `needs`: features by the processor's names, of which
 * all are there where the flag is set. */
typedef struct level {
	const char *name;
	unsigned flag;
	const char *text, *needs[5];
} level;

#ifdef NN_X86
static const level levels[] = {
	{ "scalar", 0, "scalar", { NULL } },
	{ "avx2", NN_CPU_AVX2, "avx2", { "avx2", "fma" } },
	{ "avx512", NN_CPU_AVX512, "avx512", { "avx512f", "avx512bw", "avx512dq", "avx512vl" } },
	{ "avx512_vnni", NN_CPU_VNNI, "vnni", { "avx512vnni" } },
	{ "avx512_bf16", NN_CPU_BF16, "bf16", { "avx512bf16" } },
};

/* __builtin_cpu_supports() takes a literal, and also asks the operating system whether it saves the wide registers. */
static int has_feature(const char *name) {
#define FEATURE(literal) if (!strcmp(name, literal)) return __builtin_cpu_supports(literal) != 0
	__builtin_cpu_init();
	FEATURE("avx2");
	FEATURE("fma");
	FEATURE("avx512f");
	FEATURE("avx512bw");
	FEATURE("avx512dq");
	FEATURE("avx512vl");
	FEATURE("avx512vnni");
	FEATURE("avx512bf16");
#undef FEATURE
	return 0;
}
#elif defined NN_ARM64
static const level levels[] = {
	{ "scalar", 0, "scalar", { NULL } },
	{ "neon", NN_CPU_NEON, "neon", { "asimd" } },
	{ "neon_dotprod", NN_CPU_DOTPROD, "dotprod", { "asimddp" } },
	{ "neon_i8mm", NN_CPU_I8MM, "i8mm", { "i8mm" } },
};

static int has_feature(const char *name) {
	const unsigned flags = nn_arm_features();
	for (size_t i = 1; i < sizeof levels / sizeof *levels; i++)
		if (!strcmp(name, levels[i].needs[0]))
			return (flags & levels[i].flag) != 0;
	return 0;
}
#else
static const level levels[] = { { "scalar", 0, "scalar", { NULL } } };

static int has_feature(const char *name) { return name[0] == '\0'; }
#endif

#define LEVELS ((int)(sizeof levels / sizeof *levels))

static const char *missing(const level *l) {
	for (int i = 0; i < 5 && l->needs[i]; i++)
		if (!has_feature(l->needs[i]))
			return l->needs[i];
	return NULL;
}

/* A level counts only where all below it do, but for bf16, which stands without VNNI. */
static unsigned processor_flags(void) {
	unsigned flags = 0;
	for (int i = 1; i < LEVELS; i++)
		if (!missing(&levels[i]))
			flags |= levels[i].flag;
		else if (levels[i].flag != NN_CPU_VNNI)
			break;
	return flags;
}

/* The index of the level that SONANT_CPU names; the highest where it is not set, -1 where it names none. */
static int asked_level(void) {
	const char *name = getenv("SONANT_CPU");
	for (int i = 0; name && i < LEVELS; i++)
		if (!strcmp(name, levels[i].name))
			return i;
	return name ? -1 : LEVELS - 1;
}

int nn_cpu_mask_known(void) { return asked_level() >= 0; }

unsigned nn_cpu_detect(void) {
	const int asked = asked_level();
	unsigned allowed = asked < 0 ? ~0u : 0;
	for (int i = 0; i <= asked; i++)
		allowed |= levels[i].flag;
	return processor_flags() & allowed;
}

const char *nn_cpu_text(unsigned flags) {
	if (flags & NN_CPU_I8MM)
		return "neon, dotprod, i8mm";
	if (flags & NN_CPU_DOTPROD)
		return "neon, dotprod";
	if (flags & NN_CPU_NEON)
		return "neon";
	if (!(flags & NN_CPU_AVX512))
		return flags & NN_CPU_AVX2 ? "avx2" : "scalar";
	switch (flags & (NN_CPU_VNNI | NN_CPU_BF16)) {
	case NN_CPU_VNNI | NN_CPU_BF16: return "avx512, vnni, bf16";
	case NN_CPU_VNNI: return "avx512, vnni";
	case NN_CPU_BF16: return "avx512, bf16";
	default: return "avx512";
	}
}

__attribute__((format(printf, 3, 4))) static void say(char *text, size_t size, const char *format, ...) {
	const size_t at = strlen(text);
	va_list args;
	va_start(args, format);
	vsnprintf(text + at, size - at, format, args);
	va_end(args);
}

void nn_cpu_why(char *text, size_t size) {
	const char *mask = getenv("SONANT_CPU");
	const unsigned has = processor_flags();
	*text = '\0';
	say(text, size, "the processor has %s", has ? "" : "nothing beyond scalar code");
	for (int i = 1, first = 1; i < LEVELS; i++)
		if (has & levels[i].flag) {
			say(text, size, "%s%s", first ? "" : ", ", levels[i].text);
			first = 0;
		}
	for (int i = 1; i < LEVELS; i++)
		if (!(has & levels[i].flag)) {
			say(text, size, "; it lacks %s for %s", missing(&levels[i]) ? missing(&levels[i]) : "a lower level", levels[i].name);
			break;
		}
	if (!mask)
		return;
	if (asked_level() >= 0) {
		say(text, size, "; SONANT_CPU=%s allows %s", mask, asked_level() == LEVELS - 1 ? "everything" : "no more than that");
		return;
	}
	char shown[41];
	snprintf(shown, sizeof shown, "%s", mask);
	for (char *c = shown; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	say(text, size, "; SONANT_CPU=%s is ignored, for it is none of", shown);
	for (int i = 0; i < LEVELS; i++)
		say(text, size, "%s %s", i ? "," : "", levels[i].name);
}

void nn_kernels_fill(nn_kernels *k, unsigned flags) {
	*k = (nn_kernels){ .name = "scalar" };
	nn_gemm_fill_scalar(k);
	nn_rows_fill_scalar(k);
#ifdef NN_X86
	if (flags & NN_CPU_AVX2) {
		k->name = "avx2";
		k->bf16_slow = 1;
		nn_gemm_fill_avx2(k);
		nn_rows_fill_avx2(k);
	}
	if (!(flags & NN_CPU_AVX512))
		return;
	k->name = "avx512";
	k->bf16_slow = 0;
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
#elif defined NN_ARM64
	if (!(flags & NN_CPU_NEON))
		return;
	k->name = "neon";
	k->bf16_slow = 1;
	nn_gemm_fill_neon(k);
	nn_rows_fill_neon(k);
	if (flags & NN_CPU_DOTPROD) {
		k->name = "neon_dotprod";
		nn_gemm_fill_dotprod(k);
	}
	if (flags & NN_CPU_I8MM) {
		k->name = "neon_i8mm";
		nn_gemm_fill_i8mm(k);
	}
#else
	(void)flags;
#endif
}

static nn_kernels best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

static void fill_best(void) { nn_kernels_fill(&best, nn_cpu_detect()); }

const nn_kernels *nn_kernels_best(void) {
	pthread_once(&best_once, fill_best);
	return &best;
}
