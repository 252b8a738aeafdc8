/* The functions of activations, in vectors of any length. The polynomials are those of x86/math_avx512.h, minimax fits in double
 * rounded to float; where AVX-512 has an instruction for a float's parts, these take its bits apart. */
#ifndef SN_NN_CPU_WIDE_MATH_H
#define SN_NN_CPU_WIDE_MATH_H

#include "nn/cpu/wide/vec.h"
#include "nn/nn.h"

#include <math.h>

/* p 2^n, -252 <= n <= 254: in two steps, of which only the second can round or overflow. */
VEC_INLINE vf wide_scale(vf p, vi n) {
	vi half = n >> 1, rest = n - half;
	return p * (vf)((half + 127) << 23) * (vf)((rest + 127) << 23);
}

/* exp(x) = 2^n e^r, |r| <= ln(2)/2. Within 2e-7 relative; 0 below -104, inf above 88.8. */
VEC_INLINE vf wide_exp(vf x) {
	const vf magic = vf_set1(12582912.0f); /* adding it leaves an integer in the low bits */
	x = vf_max(vf_set1(-105.0f), vf_min(vf_set1(90.0f), x)); /* a NaN passes */
	vf shifted = vf_fma(x, vf_set1(1.44269504f), magic), n = shifted - magic;
	vf r = vf_fnma(n, vf_set1(0.693145752f), x);
	r = vf_fnma(n, vf_set1(1.42860677e-6f), r);
	vf p = vf_set1(0.0082902293f);
	p = vf_fma(p, r, vf_set1(0.0418983901f));
	p = vf_fma(p, r, vf_set1(0.166676401f));
	p = vf_fma(p, r, vf_set1(0.499991461f));
	p = vf_fma(p, r, vf_set1(0.999999705f));
	p = vf_fma(p, r, vf_set1(1.0f));
	return wide_scale(p, (vi)shifted - (vi)magic);
}

/* log(m 2^e), 0.75 <= m < 1.5: f - f^2/2 + f^3 P(f), f = m - 1. 0 gives -inf, below 0 gives NaN. */
VEC_INLINE vf wide_log(vf x) {
	vi denormal = x < 0x1p-126f, bits = (vi)vf_select(denormal, x * 0x1p23f, x);
	vi whole = (bits - 0x3f400000) >> 23; /* of 0.75 */
	vf f = (vf)(bits - (whole << 23)) - 1.0f, f2 = f * f, e = vf_from_vi(whole - (denormal & 23));
	vf p = vf_set1(-0.0450747826f);
	p = vf_fma(p, f, vf_set1(0.104630207f));
	p = vf_fma(p, f, vf_set1(-0.131611937f));
	p = vf_fma(p, f, vf_set1(0.144783953f));
	p = vf_fma(p, f, vf_set1(-0.166473122f));
	p = vf_fma(p, f, vf_set1(0.199908612f));
	p = vf_fma(p, f, vf_set1(-0.250000958f));
	p = vf_fma(p, f, vf_set1(0.333334491f));
	p = vf_fma(p, f, vf_set1(-0.5f));
	p = vf_fma(p, f2, e * 1.42860677e-6f) + f;
	p = vf_fma(e, vf_set1(0.693145752f), p);
	p = vf_select(x < INFINITY, p, x);
	p = vf_select(x < 0.0f, vf_set1(NAN), p);
	return vf_select(x == 0.0f, vf_set1(-INFINITY), p);
}

VEC_INLINE vf wide_sigmoid(vf x) {
	const vf one = vf_set1(1.0f);
	return one / (one + wide_exp(vf_neg(x)));
}

/* 1 - 2 / (e^2x + 1); an odd polynomial near 0, where that would cancel. */
VEC_INLINE vf wide_tanh(vf x) {
	const vf one = vf_set1(1.0f), two = vf_set1(2.0f);
	vf far = one - two / (wide_exp(x + x) + one);
	vf s = x * x, p = vf_set1(-0.00510255118f);
	p = vf_fma(p, s, vf_set1(0.0200548747f));
	p = vf_fma(p, s, vf_set1(-0.0535461305f));
	p = vf_fma(p, s, vf_set1(0.133289464f));
	p = vf_fma(p, s, vf_set1(-0.333331838f));
	p = vf_fma(p * s, x, x);
	return vf_select(s < 0.5f, p, far);
}

/* tanh(a) * sigmoid(b) with one division: (1 - u) / ((1 + u) (1 + v)), u = e^-2a, v = e^-b. */
VEC_INLINE vf wide_gated_tanh(vf a, vf b) {
	const vf one = vf_set1(1.0f);
	a = vf_max(vf_set1(-15.0f), vf_min(vf_set1(15.0f), a));
	b = vf_max(vf_set1(-40.0f), b);
	vf u = wide_exp(a * -2.0f), v = wide_exp(vf_neg(b));
	return (one - u) / ((one + u) * (one + v));
}

/* x Phi(x) = max(x, 0) - h(|x|), h(t) = t Phi(-t): one quartic in u = t / 0.36 - i for each of the sixteen nodes i = 0 .. 15,
 * u within half a node; h is taken as constant (7e-8) beyond 5.58. Within 4e-7. */
VEC_INLINE vf wide_gelu(vf x) {
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
	const vf scale = vf_set1(1 / 0.36f), magic = vf_set1(12582912.0f);
	vf t = vf_min(vf_abs(x), vf_set1(15.49f * 0.36f));
	vf shifted = vf_fma(t, scale, magic);
	vi node = (vi)shifted; /* its low four bits */
	vf u = vf_fma(t, scale, magic - shifted), p = vf_table16(h[4], node);
	p = vf_fma(p, u, vf_table16(h[3], node));
	p = vf_fma(p, u, vf_table16(h[2], node));
	p = vf_fma(p, u, vf_table16(h[1], node));
	p = vf_fma(p, u, vf_table16(h[0], node));
	return vf_max(vf_set1(0), x) - p;
}

/* 0.5 x (1 + tanh(y)) = x sigmoid(2y), y = sqrt(2/pi) (x + 0.044715 x^3) */
VEC_INLINE vf wide_gelu_tanh(vf x) {
	vf inner = vf_fma(x * x, vf_set1(0.0713548163f), vf_set1(1.59576912f));
	return x * wide_sigmoid(x * inner);
}

/* log(1 + e^x) = max(x, 0) + log(u), u = 1 + e^-|x|, plus what rounding took from u. */
VEC_INLINE vf wide_softplus(vf x) {
	const vf one = vf_set1(1.0f);
	vf e = wide_exp(vf_neg(vf_abs(x))), u = one + e, lost = (e - (u - one)) / u;
	return vf_max(vf_set1(0), x) + (wide_log(u) + lost);
}

VEC_INLINE vf wide_act(nn_act act, vf param, vf x) {
	switch (act) {
	case NN_IDENTITY: return x;
	case NN_RELU: return vf_max(vf_set1(0), x);
	case NN_LEAKY_RELU: return vf_select(x < 0.0f, x * param, x);
	case NN_GELU: return wide_gelu(x);
	case NN_GELU_TANH: return wide_gelu_tanh(x);
	case NN_SILU: return x * wide_sigmoid(x);
	case NN_TANH: return wide_tanh(x);
	case NN_SIGMOID: return wide_sigmoid(x);
	case NN_EXP: return wide_exp(x);
	case NN_LOG: return wide_log(x);
	case NN_SQRT: return vf_sqrt(x);
	case NN_SOFTPLUS: return wide_softplus(x);
	case NN_NEG: return vf_neg(x);
	case NN_ABS: return vf_abs(x);
	case NN_CLAMP_MIN: return vf_max(param, x);
	case NN_ELU: return vf_select(x < 0.0f, wide_exp(x) - 1.0f, x);
	}
	return x;
}

#endif
