/* Loading and storing 16 elements of a row as it is stored.
 *
 * elements_avx512.c and rows_avx512.c are compiled twice, without and with the instructions of AVX512-BF16; each build has its own
 * function that fills the table. */
#ifndef SN_NN_CPU_X86_ROWS_AVX512_H
#define SN_NN_CPU_X86_ROWS_AVX512_H

#include "nn/cpu/fills.h"
#include "nn/cpu/x86/math_avx512.h"

NN16_INLINE __m512 row_load(const void *x, nn_store store, int64_t i) {
	return store == NN_STORE_F32 ? _mm512_loadu_ps((const float *)x + i) : nn16_load_bf16((const nn_bf16 *)x + i);
}

NN16_INLINE __m512 row_mask_load(__mmask16 m, const void *x, nn_store store, int64_t i) {
	return store == NN_STORE_F32 ? _mm512_maskz_loadu_ps(m, (const float *)x + i) : nn16_mask_load_bf16(m, (const nn_bf16 *)x + i);
}

NN16_INLINE void row_save(void *y, nn_store store, int64_t i, __m512 v) {
	if (store == NN_STORE_F32)
		_mm512_storeu_ps((float *)y + i, v);
	else
		nn16_store_bf16((nn_bf16 *)y + i, v);
}

NN16_INLINE void row_mask_save(__mmask16 m, void *y, nn_store store, int64_t i, __m512 v) {
	if (store == NN_STORE_F32)
		_mm512_mask_storeu_ps((float *)y + i, m, v);
	else
		nn16_mask_store_bf16((nn_bf16 *)y + i, m, v);
}

#ifdef __AVX512BF16__
#define FILL nn_rows_fill_bf16
#define FILL_ELEMENTS nn_elements_fill_bf16
#else
#define FILL nn_rows_fill_avx512
#define FILL_ELEMENTS nn_elements_fill_avx512
#endif

void FILL_ELEMENTS(nn_kernels *k); /* what has no sums */

#endif
