/* What kernel tests share: numbers, memory that notices strangers, and one line per case.
 *
 * Inputs end right before a page that cannot be touched, so that reading past the end stops the test. Outputs lie between canaries.
 */
#ifndef SN_TESTS_KERNELS_FENCE_H
#define SN_TESTS_KERNELS_FENCE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define FENCE_MAX ((size_t)4 << 20)
#define CANARY 64

static uint64_t fence_state = 0x9e3779b97f4a7c15u;

static inline uint32_t random_bits(void) {
	fence_state = fence_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(fence_state >> 32);
}

static inline float uniform(float low, float high) { return low + (high - low) * (float)((random_bits() >> 8) * 0x1p-24); }

static inline float normal(void) {
	float sum = 0;
	for (int i = 0; i < 12; i++)
		sum += uniform(-0.5f, 0.5f);
	return sum;
}

/* Fences are made once and used again; the address changes with the size. */
typedef struct fence {
	unsigned char *page, *data;
	size_t bytes;
} fence;

static inline void fence_open(fence *f) {
	f->page = mmap(NULL, FENCE_MAX + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->page == MAP_FAILED || mprotect(f->page + FENCE_MAX, 4096, PROT_NONE)) {
		printf("Bail out! no memory\n");
		exit(1);
	}
}

/* `bytes` that end at the forbidden page. */
static inline void *fence_input(fence *f, size_t bytes) {
	f->bytes = bytes;
	return f->data = f->page + FENCE_MAX - bytes;
}

/* `bytes` between canaries, `shift` bytes off a 64-byte boundary. */
static inline void *fence_output(fence *f, size_t bytes, size_t shift) {
	f->bytes = bytes;
	f->data = f->page + CANARY + 64 + shift;
	memset(f->data - CANARY, 0xa5, CANARY);
	memset(f->data, 0x5a, bytes);
	memset(f->data + bytes, 0xa5, CANARY);
	return f->data;
}

static inline int fence_whole(const fence *f) {
	for (size_t i = 1; i <= CANARY; i++)
		if (f->data[-(ptrdiff_t)i] != 0xa5 || f->data[f->bytes + i - 1] != 0xa5)
			return 0;
	return 1;
}

/* ---- results: one line per case ---- */

typedef struct result {
	double worst;     /* largest error in units of the bound */
	char what[200];   /* where it was, or what else went wrong */
	int failed;
} result;

static int cases_run, cases_failed;

static inline void case_end(const result *r, const char *isa, const char *name) {
	int bad = r->failed || r->worst > 1;
	cases_failed += bad;
	printf("%sok %d - %s %s: %.3f of the bound%s%s\n", bad ? "not " : "", ++cases_run, isa, name, r->worst, bad ? "; " : "",
	       bad ? r->what : "");
}

static inline int cases_end(void) {
	printf("1..%d%s\n", cases_run, cases_run ? "" : " # SKIP this processor has nothing but scalar C");
	return cases_failed != 0;
}

/* Both NaN, equal, or apart by at most `bound`. */
static inline void check_near(result *r, double got, double wanted, double bound, const char *what, int64_t n, int64_t i) {
	if ((isnan(got) && isnan(wanted)) || got == wanted)
		return;
	double error = fabs(got - wanted) / bound;
	if (!(error <= r->worst) && !r->failed) {
		r->worst = isnan(error) ? INFINITY : error;
		snprintf(r->what, sizeof r->what, "%s, n %lld, at %lld: %.9g instead of %.9g", what, (long long)n, (long long)i, got, wanted);
	}
}

static inline void check_that(result *r, int ok, const char *what, int64_t n) {
	if (ok || r->failed)
		return;
	r->failed = 1;
	snprintf(r->what, sizeof r->what, "%s, n %lld", what, (long long)n);
}

static inline double seconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Prints the fastest of some runs of `statement`, in ns for each of `elements`. */
#define BENCH(isa, name, elements, statement) do { \
		double best = 1e9; \
		for (int round = 0; round < 40; round++) { \
			double start = seconds(); \
			for (int again = 0; again < 20; again++) { \
				statement; \
			} \
			double taken = (seconds() - start) / 20; \
			best = taken < best ? taken : best; \
		} \
		printf("# %-8s %-28s %8.3f ns each\n", isa, name, best * 1e9 / (double)(elements)); \
	} while (0)

#endif
