/* Sixteen floats at a time: loads, stores and the functions of activations, for files compiled with AVX-512 (F, BW, DQ, VL).
 * The polynomials are minimax fits (weighted least squares, Lawson's iteration) in double, rounded to float. */
#ifndef SN_NN_CPU_X86_MATH_AVX512_H
#define SN_NN_CPU_X86_MATH_AVX512_H

#if !defined __AVX512F__ || !defined __AVX512BW__ || !defined __AVX512DQ__ || !defined __AVX512VL__
#error "math_avx512.h needs -mavx512f -mavx512bw -mavx512dq -mavx512vl"
#endif

#include "nn/nn.h"

#include <immintrin.h>
#include <stdint.h>

#define NN16_INLINE static inline __attribute__((always_inline, unused))

/* Before a loop of constant length over vectors that are to stay in registers. */
#ifdef __clang__
#define NN16_UNROLL _Pragma("clang loop unroll(full)")
#else
#define NN16_UNROLL _Pragma("GCC unroll 16")
#endif

/* The first n of 16 lanes; n may be 0 or more than 16. */
NN16_INLINE __mmask16 nn16_mask(int64_t n) { return n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1); }

NN16_INLINE __m512 nn16_from_bf16(__m256i h) {
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* Round to nearest even; a NaN stays a (quiet) NaN. */
NN16_INLINE __m256i nn16_to_bf16(__m512 x) {
#ifdef __AVX512BF16__
	return (__m256i)_mm512_cvtneps_pbh(x);
#else
	__m512i bits = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
	__m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
	__mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
	up = _mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000));
	return _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16));
#endif
}

NN16_INLINE __m512 nn16_load_bf16(const uint16_t *p) { return nn16_from_bf16(_mm256_loadu_si256((const __m256i *)p)); }
NN16_INLINE __m512 nn16_mask_load_bf16(__mmask16 m, const uint16_t *p) { return nn16_from_bf16(_mm256_maskz_loadu_epi16(m, p)); }
NN16_INLINE void nn16_store_bf16(uint16_t *p, __m512 x) { _mm256_storeu_si256((__m256i *)p, nn16_to_bf16(x)); }
NN16_INLINE void nn16_mask_store_bf16(uint16_t *p, __mmask16 m, __m512 x) { _mm256_mask_storeu_epi16(p, m, nn16_to_bf16(x)); }

/* exp(x) = 2^n e^r, |r| <= ln(2)/2. Within 2e-7 relative; 0 below -104, inf above 88.8. */
NN16_INLINE __m512 nn16_exp(__m512 x) {
	const __m512 magic = _mm512_set1_ps(12582912.0f); /* adding it leaves an integer in the low bits */
	x = _mm512_max_ps(_mm512_set1_ps(-105.0f), _mm512_min_ps(_mm512_set1_ps(90.0f), x)); /* a NaN in the second operand passes */
	__m512 n = _mm512_sub_ps(_mm512_fmadd_ps(x, _mm512_set1_ps(1.44269504f), magic), magic);
	__m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752f), x);
	r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6f), r);
	__m512 p = _mm512_set1_ps(0.0082902293f);
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0418983901f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.166676401f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.499991461f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999999705f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
	return _mm512_scalef_ps(p, n);
}

/* log(m 2^e), 0.75 <= m < 1.5: f - f^2/2 + f^3 P(f), f = m - 1. 0 gives -inf, below 0 gives NaN. */
NN16_INLINE __m512 nn16_log(__m512 x) {
	const __m512 one = _mm512_set1_ps(1.0f);
	__m512 m = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan), e = _mm512_getexp_ps(x);
	e = _mm512_mask_add_ps(e, _mm512_cmp_ps_mask(m, one, _CMP_LT_OQ), e, one);
	__m512 f = _mm512_sub_ps(m, one), f2 = _mm512_mul_ps(f, f);
	__m512 p = _mm512_set1_ps(-0.0450747826f);
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.104630207f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(-0.131611937f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.144783953f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(-0.166473122f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.199908612f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(-0.250000958f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.333334491f));
	p = _mm512_fmsub_ps(p, f, _mm512_set1_ps(0.5f));
	p = _mm512_fmadd_ps(p, f2, _mm512_mul_ps(e, _mm512_set1_ps(1.42860677e-6f)));
	p = _mm512_add_ps(p, f);
	return _mm512_fmadd_ps(e, _mm512_set1_ps(0.693145752f), p);
}

NN16_INLINE __m512 nn16_sigmoid(__m512 x) {
	const __m512 one = _mm512_set1_ps(1.0f);
	return _mm512_div_ps(one, _mm512_add_ps(one, nn16_exp(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

/* 1 - 2 / (e^2x + 1); an odd polynomial near 0, where that would cancel. */
NN16_INLINE __m512 nn16_tanh(__m512 x) {
	const __m512 one = _mm512_set1_ps(1.0f), two = _mm512_set1_ps(2.0f);
	__m512 far = _mm512_sub_ps(one, _mm512_div_ps(two, _mm512_add_ps(nn16_exp(_mm512_add_ps(x, x)), one)));
	__m512 s = _mm512_mul_ps(x, x), p = _mm512_set1_ps(-0.00510255118f);
	p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0.0200548747f));
	p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0.0535461305f));
	p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0.133289464f));
	p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0.333331838f));
	p = _mm512_fmadd_ps(_mm512_mul_ps(p, s), x, x);
	return _mm512_mask_mov_ps(far, _mm512_cmp_ps_mask(s, _mm512_set1_ps(0.5f), _CMP_LT_OQ), p);
}

/* tanh(a) * sigmoid(b) with one division: (1 - u) / ((1 + u) (1 + v)), u = e^-2a, v = e^-b. */
NN16_INLINE __m512 nn16_gated_tanh(__m512 a, __m512 b) {
	const __m512 one = _mm512_set1_ps(1.0f), zero = _mm512_setzero_ps();
	a = _mm512_max_ps(_mm512_set1_ps(-15.0f), _mm512_min_ps(_mm512_set1_ps(15.0f), a));
	b = _mm512_max_ps(_mm512_set1_ps(-40.0f), b);
	__m512 u = nn16_exp(_mm512_mul_ps(a, _mm512_set1_ps(-2.0f))), v = nn16_exp(_mm512_sub_ps(zero, b));
	return _mm512_div_ps(_mm512_sub_ps(one, u), _mm512_mul_ps(_mm512_add_ps(one, u), _mm512_add_ps(one, v)));
}

/* x Phi(x) = max(x, 0) - h(|x|), h(t) = t Phi(-t): one quartic in u = t / 0.36 - i for each of the sixteen nodes i = 0 .. 15,
 * u within half a node; h is taken as constant (7e-8) beyond 5.58. Within 4e-7. */
NN16_INLINE __m512 nn16_gelu(__m512 x) {
	static const float h[5][16] __attribute__((aligned(64))) = {
		{ 0.f, 0.129392475f, 0.169749007f, 0.151276797f, 0.107904539f, 0.0646745786f, 0.0332344808f, 0.0147867054f, 0.00572651997f,
		  0.00193638064f, 0.000572791148f, 0.000148400854f, 3.37025012e-05f, 6.71295493e-06f, 1.17316699e-06f, 1.79937487e-07f },
		{ 0.180000126f, 0.0809358507f, 0.00508217653f, -0.0361405499f, -0.0463567972f, -0.0382257774f, -0.0245603174f,
		  -0.0130112059f, -0.0058230795f, -0.00222950312f, -0.000735652109f, -0.000210166254f, -5.21475122e-05f, -1.12625266e-05f,
		  -2.12062037e-06f, -3.48525589e-07f },
		{ -0.0517052263f, -0.0453180186f, -0.0295562837f, -0.0120278588f, 0.000674113515f, 0.00634364085f, 0.00668602623f,
		  0.00469961204f, 0.00257249014f, 0.00115416362f, 0.000434565503f, 0.000139108321f, 3.81609207e-05f, 9.01862404e-06f,
		  1.84296402e-06f, 3.26523377e-07f },
		{ 1.22203055e-05f, 0.00401621638f, 0.00595712801f, 0.00527377054f, 0.00305287726f, 0.000855714199f, -0.000417558214f,
		  -0.000760146417f, -0.000605242676f, -0.000344458938f, -0.000154979905f, -5.73433063e-05f, -1.78015234e-05f,
		  -4.69139513e-06f, -1.05756499e-06f, -2.0499219e-07f },
		{ 0.00109516387f, 0.000807972508f, 0.000139594558f, -0.000430735963f, -0.000610300223f, -0.000450702995f, -0.000188034217f,
		  -3.28949591e-06f, 6.39989958e-05f, 5.94753474e-05f, 3.48956492e-05f, 1.55362341e-05f, 5.57095791e-06f, 1.65424899e-06f,
		  4.13178242e-07f, 8.76592026e-08f },
	};
	const __m512 scale = _mm512_set1_ps(1 / 0.36f), magic = _mm512_set1_ps(12582912.0f);
	__m512 t = _mm512_min_ps(_mm512_abs_ps(x), _mm512_set1_ps(15.49f * 0.36f));
	__m512 shifted = _mm512_fmadd_ps(t, scale, magic);
	__m512i node = _mm512_castps_si512(shifted); /* its low four bits */
	__m512 u = _mm512_fmsub_ps(t, scale, _mm512_sub_ps(shifted, magic));
	__m512 p = _mm512_permutexvar_ps(node, _mm512_load_ps(h[4]));
	p = _mm512_fmadd_ps(p, u, _mm512_permutexvar_ps(node, _mm512_load_ps(h[3])));
	p = _mm512_fmadd_ps(p, u, _mm512_permutexvar_ps(node, _mm512_load_ps(h[2])));
	p = _mm512_fmadd_ps(p, u, _mm512_permutexvar_ps(node, _mm512_load_ps(h[1])));
	p = _mm512_fmadd_ps(p, u, _mm512_permutexvar_ps(node, _mm512_load_ps(h[0])));
	return _mm512_sub_ps(_mm512_max_ps(_mm512_setzero_ps(), x), p);
}

/* 0.5 x (1 + tanh(y)) = x sigmoid(2y), y = sqrt(2/pi) (x + 0.044715 x^3) */
NN16_INLINE __m512 nn16_gelu_tanh(__m512 x) {
	__m512 inner = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(0.0713548163f), _mm512_set1_ps(1.59576912f));
	return _mm512_mul_ps(x, nn16_sigmoid(_mm512_mul_ps(x, inner)));
}

NN16_INLINE __m512 nn16_silu(__m512 x) { return _mm512_mul_ps(x, nn16_sigmoid(x)); }

/* log(1 + e^x) = max(x, 0) + log(u), u = 1 + e^-|x|, plus what rounding took from u. */
NN16_INLINE __m512 nn16_softplus(__m512 x) {
	const __m512 one = _mm512_set1_ps(1.0f), zero = _mm512_setzero_ps();
	__m512 e = nn16_exp(_mm512_sub_ps(zero, _mm512_abs_ps(x))), u = _mm512_add_ps(one, e);
	__m512 lost = _mm512_div_ps(_mm512_sub_ps(e, _mm512_sub_ps(u, one)), u);
	return _mm512_add_ps(_mm512_max_ps(zero, x), _mm512_add_ps(nn16_log(u), lost));
}

NN16_INLINE __m512 nn16_act(nn_act act, __m512 param, __m512 x) {
	const __m512 zero = _mm512_setzero_ps();
	switch (act) {
	case NN_IDENTITY: return x;
	case NN_RELU: return _mm512_max_ps(zero, x);
	case NN_LEAKY_RELU: return _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, zero, _CMP_LT_OQ), x, param);
	case NN_GELU: return nn16_gelu(x);
	case NN_GELU_TANH: return nn16_gelu_tanh(x);
	case NN_SILU: return nn16_silu(x);
	case NN_TANH: return nn16_tanh(x);
	case NN_SIGMOID: return nn16_sigmoid(x);
	case NN_EXP: return nn16_exp(x);
	case NN_LOG: return nn16_log(x);
	case NN_SQRT: return _mm512_sqrt_ps(x);
	case NN_SOFTPLUS: return nn16_softplus(x);
	case NN_NEG: return _mm512_sub_ps(zero, x);
	case NN_ABS: return _mm512_abs_ps(x);
	case NN_CLAMP_MIN: return _mm512_max_ps(param, x);
	case NN_ELU: return _mm512_mask_sub_ps(x, _mm512_cmp_ps_mask(x, zero, _CMP_LT_OQ), nn16_exp(x), _mm512_set1_ps(1.0f));
	}
	return x;
}

#endif
