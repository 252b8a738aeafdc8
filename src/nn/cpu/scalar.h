/* One element at a time: bf16 and the activations, as every scalar kernel computes them. */
#ifndef SN_NN_CPU_SCALAR_H
#define SN_NN_CPU_SCALAR_H

#include "nn/cpu/kernels.h"

#include <math.h>
#include <string.h>

/* Below this a row or column counts as zero when it is quantised: 127 / max would overflow. */
#define NN_QUANT_ZERO 1e-30f

static inline float nn_bf16_get(nn_bf16 h) {
	uint32_t bits = (uint32_t)h << 16;
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* Round to nearest even; a NaN stays a (quiet) NaN. */
static inline nn_bf16 nn_bf16_put(float x) {
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (nn_bf16)(bits >> 16 | 0x40);
	return (nn_bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Element i of a row stored as F32 or BF16. */
static inline float nn_load(const void *x, nn_store store, int64_t i) {
	return store == NN_STORE_F32 ? ((const float *)x)[i] : nn_bf16_get(((const nn_bf16 *)x)[i]);
}

static inline void nn_save(void *y, nn_store store, int64_t i, float v) {
	if (store == NN_STORE_F32)
		((float *)y)[i] = v;
	else
		((nn_bf16 *)y)[i] = nn_bf16_put(v);
}

static inline float nn_sigmoid(float x) { return 1 / (1 + expf(-x)); }

/* A NaN comes out as a NaN of every activation. */
static inline float nn_act_apply(nn_act act, float param, float x) {
	switch (act) {
	case NN_IDENTITY: return x;
	case NN_RELU: return x < 0 ? 0 : x;
	case NN_LEAKY_RELU: return x < 0 ? x * param : x;
	case NN_GELU: return 0.5f * x * (1 + erff(x * 0.707106781f));
	case NN_GELU_TANH: return 0.5f * x * (1 + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
	case NN_SILU: return x * nn_sigmoid(x);
	case NN_TANH: return tanhf(x);
	case NN_SIGMOID: return nn_sigmoid(x);
	case NN_EXP: return expf(x);
	case NN_LOG: return logf(x);
	case NN_SQRT: return sqrtf(x);
	case NN_SOFTPLUS: return x > 20 ? x : log1pf(expf(x));
	case NN_NEG: return -x;
	case NN_ABS: return fabsf(x);
	case NN_CLAMP_MIN: return x < param ? param : x;
	case NN_ELU: return x < 0 ? expm1f(x) : x;
	}
	return x;
}

#endif
