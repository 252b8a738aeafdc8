/* What one and two cores can do: products in registers (float32, bfloat16, int8) and reading memory. Prints one JSON object.
 * cc -O2 -pthread peak.c -o peak; needs AVX-512 with VNNI and BF16, else the figures that the processor lacks are left out. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOPS 20000000L
#define READ_BYTES ((size_t)64 << 20)

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sixteen independent accumulators hide the latency of each instruction. */
#define SIXTEEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define CLEAR(i) __asm__ volatile("vpxord %%zmm" #i ", %%zmm" #i ", %%zmm" #i ::: "xmm" #i);
#define FMA(i) "vfmadd231ps %%zmm16, %%zmm17, %%zmm" #i "\n"
#define BF16(i) "vdpbf16ps %%zmm16, %%zmm17, %%zmm" #i "\n"
#define INT8(i) "vpdpbusd %%zmm16, %%zmm17, %%zmm" #i "\n"
#define CLOBBER "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", \
		"xmm15", "xmm16", "xmm17"

typedef struct job {
	int kind;
	pthread_barrier_t *start;
	char *memory;
	double seconds;
	uint64_t sum;
} job;

__attribute__((target("avx512f"))) static void multiply(int kind) {
	SIXTEEN(CLEAR)
	__asm__ volatile("vpxord %%zmm16, %%zmm16, %%zmm16\nvpxord %%zmm17, %%zmm17, %%zmm17\n" ::: "xmm16", "xmm17");
	for (long i = 0; i < LOOPS; i++) {
		if (kind == 0)
			__asm__ volatile(SIXTEEN(FMA)::: CLOBBER);
		else if (kind == 1)
			__asm__ volatile(SIXTEEN(BF16)::: CLOBBER);
		else
			__asm__ volatile(SIXTEEN(INT8)::: CLOBBER);
	}
}

static void *run(void *arg) {
	job *j = arg;
	pthread_barrier_wait(j->start);
	double t = now();
	if (j->kind < 3) {
		multiply(j->kind);
	} else {
		for (int pass = 0; pass < 8; pass++)
			for (size_t i = 0; i < READ_BYTES; i += 64)
				j->sum += *(const uint64_t *)(j->memory + i);
	}
	j->seconds = now() - t;
	return NULL;
}

static double measure(int kind, int threads) {
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, (unsigned)threads);
	pthread_t id[2];
	job jobs[2];
	double longest = 0;
	for (int i = 0; i < threads; i++) {
		jobs[i] = (job){ .kind = kind, .start = &start, .memory = kind == 3 ? malloc(READ_BYTES) : NULL };
		if (jobs[i].memory)
			memset(jobs[i].memory, 1, READ_BYTES);
		pthread_create(&id[i], NULL, run, &jobs[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(id[i], NULL);
		free(jobs[i].memory);
		longest = jobs[i].seconds > longest ? jobs[i].seconds : longest;
	}
	pthread_barrier_destroy(&start);
	double per_thread = kind == 3 ? 8.0 * (double)READ_BYTES : (double)LOOPS * 16 * (kind == 0 ? 32 : kind == 1 ? 64 : 128);
	return per_thread * threads / longest * 1e-9;
}

int main(void) {
	int has[4] = { __builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bf16"), __builtin_cpu_supports("avx512vnni"), 1 };
	const char *names[4] = { "f32_gflops", "bf16_gflops", "int8_gops", "read_gb" };
	printf("{");
	for (int kind = 0, first = 1; kind < 4; kind++)
		for (int threads = 1; threads <= 2 && has[kind]; threads++, first = 0)
			printf("%s\"%s_%d\": %.1f", first ? "" : ", ", names[kind], threads, measure(kind, threads));
	printf("}\n");
	return 0;
}
