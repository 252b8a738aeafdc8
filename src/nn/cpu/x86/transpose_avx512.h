/* Sixteen vectors of sixteen 32-bit elements, turned. */
#ifndef SN_NN_CPU_X86_TRANSPOSE_AVX512_H
#define SN_NN_CPU_X86_TRANSPOSE_AVX512_H

#include "nn/cpu/x86/math_avx512.h"

/* to[i] = element i of x[0] .. x[15] for i < count, `step` bytes apart: a transposition in steps of 1, 2, 4 and 8. x is lost. */
NN16_INLINE void nn512_store_transposed(__m512i x[16], char *to, int64_t step, int64_t count) {
	__m512i y[16];
	NN16_UNROLL for (int i = 0; i < 16; i += 2) {
		y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
		y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
	}
	NN16_UNROLL for (int i = 0; i < 16; i += 4)
		NN16_UNROLL for (int j = 0; j < 2; j++) {
			x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + j + 2]);
			x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + j + 2]);
		}
	NN16_UNROLL for (int i = 0; i < 16; i += 8)
		NN16_UNROLL for (int j = 0; j < 4; j++) {
			y[i + j] = _mm512_shuffle_i32x4(x[i + j], x[i + j + 4], 0x88);
			y[i + j + 4] = _mm512_shuffle_i32x4(x[i + j], x[i + j + 4], 0xdd);
		}
	NN16_UNROLL for (int j = 0; j < 8; j++) {
		x[j] = _mm512_shuffle_i32x4(y[j], y[j + 8], 0x88);
		x[j + 8] = _mm512_shuffle_i32x4(y[j], y[j + 8], 0xdd);
	}
	NN16_UNROLL for (int i = 0; i < 16; i++)
		if (i < count)
			_mm512_store_si512(to + i * step, x[i]);
}

#endif
