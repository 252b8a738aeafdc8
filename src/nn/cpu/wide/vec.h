/* A small vector layer: what the kernels of wide/ are written in, so that one source serves AVX2 (8 lanes) and NEON (4 lanes).
 *
 * vf and vi are GCC vectors: + - * / & | ^ ~ << >> (of vi; >> keeps the sign), comparisons (vi: -1 where true, else 0), scalars as
 * second operands and casts between vf and vi (of the same bits) are the language's own. What operators cannot say is below; the names
 * marked ISA come from vec_avx2.h and vec_neon.h, which state nothing again. Files that include this are compiled with
 * -ffp-contract=off: a product and a sum are one rounding where vf_fma says so, and nowhere else.
 *
 * "part" functions take a count n of lanes: n <= 0 is none, n >= VL is all. Memory behind them is neither read nor written, and lanes
 * behind them load as zero. No function asks for alignment but vf_table16. */
#ifndef SN_NN_CPU_WIDE_VEC_H
#define SN_NN_CPU_WIDE_VEC_H

#include <stdint.h>
#include <string.h>

#if defined __AVX2__ && defined __FMA__
#define VEC_BYTES 32
#elif defined __aarch64__
#define VEC_BYTES 16
#else
#error "wide/vec.h needs AVX2 with FMA, or NEON"
#endif

#define VL (VEC_BYTES / 4)
typedef float vf __attribute__((vector_size(VEC_BYTES)));
typedef int32_t vi __attribute__((vector_size(VEC_BYTES)));
typedef uint32_t vu __attribute__((vector_size(VEC_BYTES)));

#define VEC_INLINE static inline __attribute__((always_inline, unused))

/* Before a loop of constant length over vectors that are to stay in registers. */
#ifdef __clang__
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

VEC_INLINE vf vf_load(const float *p) {
	vf x;
	memcpy(&x, p, sizeof x);
	return x;
}

VEC_INLINE vi vi_load(const void *p) {
	vi x;
	memcpy(&x, p, sizeof x);
	return x;
}

VEC_INLINE void vf_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
VEC_INLINE void vi_store(void *p, vi x) { memcpy(p, &x, sizeof x); }
VEC_INLINE vf vf_abs(vf x) { return (vf)((vi)x & 0x7fffffff); }
VEC_INLINE vf vf_neg(vf x) { return (vf)((vi)x ^ INT32_MIN); }

/* -1 in the first n lanes, 0 in the others. */
VEC_INLINE vi vi_first(int64_t n) {
	static const int32_t lane[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	return vi_load(lane) < (int32_t)(n > VL ? VL : n < 0 ? 0 : n);
}

/* ISA: */
VEC_INLINE vf vf_set1(float x);
VEC_INLINE vi vi_set1(int32_t x);
VEC_INLINE vf vf_load_part(const float *p, int64_t n);
VEC_INLINE vi vi_load_part(const int32_t *p, int64_t n);
VEC_INLINE void vf_store_part(float *p, int64_t n, vf x);
VEC_INLINE void vi_store_part(int32_t *p, int64_t n, vi x);
VEC_INLINE vf vf_load_bf16(const uint16_t *p);
VEC_INLINE vf vf_load_bf16_part(const uint16_t *p, int64_t n);
/* Each lane's upper half as VL values of 16 bits: a store of bf16 after vi_rounded_bf16(). */
VEC_INLINE void vi_store_upper(uint16_t *p, vi x);
VEC_INLINE void vi_store_upper_part(uint16_t *p, int64_t n, vi x);
/* p[i] = x[i] + 128 for n lanes; x lies within -128 .. 127 (beyond, any byte). */
VEC_INLINE void vi_store_bytes_part(uint8_t *p, int64_t n, vi x);

VEC_INLINE vf vf_fma(vf a, vf b, vf c);    /* a b + c */
VEC_INLINE vf vf_fnma(vf a, vf b, vf c);   /* c - a b */
VEC_INLINE vf vf_min(vf a, vf b);          /* a < b ? a : b; so a NaN in either gives b, and in b it passes */
VEC_INLINE vf vf_max(vf a, vf b);          /* a > b ? a : b; the same */
VEC_INLINE vi vi_max(vi a, vi b);
VEC_INLINE vf vf_sqrt(vf x);
VEC_INLINE vf vf_round(vf x);              /* to the nearest integer, halves to even; NaN and infinities stay */
VEC_INLINE vf vf_floor(vf x);              /* the same downwards */
VEC_INLINE vi vi_round(vf x);              /* as int32; beyond its range and for a NaN: anything */
VEC_INLINE vf vf_from_vi(vi x);
VEC_INLINE vf vf_select(vi m, vf a, vf b); /* m ? a : b; each lane of m is -1 or 0 */
VEC_INLINE vi vi_select(vi m, vi a, vi b);

/* t[i & 15] of each lane of i; t: 16 floats, aligned to 64 bytes. */
VEC_INLINE vf vf_table16(const float *t, vi i);

/* Over all lanes, in an order that is always the same. */
VEC_INLINE float vf_sum(vf x);
VEC_INLINE float vf_top(vf x);             /* the largest; with a NaN among them: anything */
VEC_INLINE int32_t vi_top(vi x);
VEC_INLINE void vf_sum4(vf a, vf b, vf c, vf d, float to[4]);

/* Element i of x[j] and element j of x[i] change places. */
VEC_INLINE void vi_transpose(vi x[VL]);

/* The bits whose upper halves are x as bf16: round to nearest even; a NaN stays a (quiet) NaN. */
VEC_INLINE vi vi_rounded_bf16(vf x) {
	vi bits = (vi)x, up = (vi)((vu)bits + 0x7fff + ((vu)bits >> 16 & 1));
	return vi_select(x != x, bits | 0x400000, up);
}

VEC_INLINE void vf_store_bf16(uint16_t *p, vf x) { vi_store_upper(p, vi_rounded_bf16(x)); }
VEC_INLINE void vf_store_bf16_part(uint16_t *p, int64_t n, vf x) { vi_store_upper_part(p, n, vi_rounded_bf16(x)); }

#if VEC_BYTES == 32
#include "nn/cpu/wide/vec_avx2.h"
#else
#include "nn/cpu/wide/vec_neon.h"
#endif

#endif
