/* Loading and storing VL elements of a row as it is stored. */
#ifndef SN_NN_CPU_WIDE_STORE_H
#define SN_NN_CPU_WIDE_STORE_H

#include "nn/cpu/kernels.h"
#include "nn/cpu/wide/vec.h"

VEC_INLINE vf wide_load(const void *x, nn_store store, int64_t i) {
	return store == NN_STORE_F32 ? vf_load((const float *)x + i) : vf_load_bf16((const nn_bf16 *)x + i);
}

VEC_INLINE vf wide_load_part(const void *x, nn_store store, int64_t i, int64_t n) {
	return store == NN_STORE_F32 ? vf_load_part((const float *)x + i, n) : vf_load_bf16_part((const nn_bf16 *)x + i, n);
}

VEC_INLINE void wide_save(void *y, nn_store store, int64_t i, vf v) {
	if (store == NN_STORE_F32)
		vf_store((float *)y + i, v);
	else
		vf_store_bf16((nn_bf16 *)y + i, v);
}

VEC_INLINE void wide_save_part(void *y, nn_store store, int64_t i, int64_t n, vf v) {
	if (store == NN_STORE_F32)
		vf_store_part((float *)y + i, n, v);
	else
		vf_store_bf16_part((nn_bf16 *)y + i, n, v);
}

#endif
