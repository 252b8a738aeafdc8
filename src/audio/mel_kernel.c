/* Compiled once per instruction set, under the name MEL_KERNEL. Contraction is off, so every set gives the same bits. */
#include "audio/mel_kernel.h"

/* Double precision up to the power: a bin 80 dB below its frame's loudest keeps seven digits, where single precision would leave four and
 * miss the reference by as much as the reference misses the truth. */
typedef double vd __attribute__((vector_size(8 * SN_MEL_GROUP)));
typedef float vf __attribute__((vector_size(4 * SN_MEL_GROUP)));
typedef int32_t vi __attribute__((vector_size(4 * SN_MEL_GROUP)));
typedef struct cv { vd re, im; } cv; /* a complex number of each of the frames */

#define INLINE static inline __attribute__((always_inline))

INLINE cv add(cv a, cv b) { return (cv){ a.re + b.re, a.im + b.im }; }
INLINE cv sub(cv a, cv b) { return (cv){ a.re - b.re, a.im - b.im }; }
INLINE cv turn(cv a) { return (cv){ a.im, -a.re }; } /* times -i */
INLINE cv times(cv a, const double w[2]) { return (cv){ a.re * w[0] - a.im * w[1], a.re * w[1] + a.im * w[0] }; }

/* One stage of the transform of 200 = 5 * 5 * 8, in Stockham's order, which needs no bit reversal: of n points that remain, m = n / 5,
 *   y[q + s (5 p + j)] = exp(-2 pi i p j / n) sum_k x[q + s (p + m k)] exp(-2 pi i j k / 5),   q < s, p < m */
INLINE void stage5(const sn_mel_tables *t, const cv *x, cv *y, int n, int s) {
	const double c1 = 0.30901699437494742, c2 = -0.80901699437494742, s1 = 0.95105651629515357, s2 = 0.58778525229247313;
	int m = n / 5;
	for (int p = 0; p < m; p++)
		for (int q = 0; q < s; q++) {
			const cv *a = x + q + s * p;
			cv a0 = a[0], sum1 = add(a[s * m], a[4 * s * m]), sum2 = add(a[2 * s * m], a[3 * s * m]);
			cv dif1 = sub(a[s * m], a[4 * s * m]), dif2 = sub(a[2 * s * m], a[3 * s * m]);
			cv even1 = { a0.re + c1 * sum1.re + c2 * sum2.re, a0.im + c1 * sum1.im + c2 * sum2.im };
			cv even2 = { a0.re + c2 * sum1.re + c1 * sum2.re, a0.im + c2 * sum1.im + c1 * sum2.im };
			cv odd1 = turn((cv){ s1 * dif1.re + s2 * dif2.re, s1 * dif1.im + s2 * dif2.im });
			cv odd2 = turn((cv){ s2 * dif1.re - s1 * dif2.re, s2 * dif1.im - s1 * dif2.im });
			cv *b = y + q + s * 5 * p;
			int step = p * (SN_MEL_HALF / n); /* exp(-2 pi i p j / n) is entry p j 200 / n */
			b[0] = add(a0, add(sum1, sum2));
			b[s] = times(add(even1, odd1), t->twiddle[step]);
			b[2 * s] = times(add(even2, odd2), t->twiddle[2 * step]);
			b[3 * s] = times(sub(even2, odd2), t->twiddle[3 * step]);
			b[4 * s] = times(sub(even1, odd1), t->twiddle[4 * step]);
		}
}

/* The last stage: n = 8, no factors. */
INLINE void stage8(const cv *x, cv *y) {
	const double r = 0.70710678118654752;
	const int s = SN_MEL_HALF / 8;
	for (int q = 0; q < s; q++) {
		const cv *a = x + q;
		cv *b = y + q;
		cv p0 = add(a[0], a[4 * s]), m0 = sub(a[0], a[4 * s]), p2 = add(a[2 * s], a[6 * s]), m2 = turn(sub(a[2 * s], a[6 * s]));
		cv p1 = add(a[s], a[5 * s]), m1 = sub(a[s], a[5 * s]), p3 = add(a[3 * s], a[7 * s]), m3 = turn(sub(a[3 * s], a[7 * s]));
		cv e0 = add(p0, p2), e2 = sub(p0, p2), e1 = add(m0, m2), e3 = sub(m0, m2);
		cv o0 = add(p1, p3), o2 = turn(sub(p1, p3)), u = add(m1, m3), v = sub(m1, m3);
		cv o1 = { r * (u.re + u.im), r * (u.im - u.re) }, o3 = { r * (v.im - v.re), -r * (v.re + v.im) };
		b[0] = add(e0, o0);
		b[s] = add(e1, o1);
		b[2 * s] = add(e2, o2);
		b[3 * s] = add(e3, o3);
		b[4 * s] = sub(e0, o0);
		b[5 * s] = sub(e1, o1);
		b[6 * s] = sub(e2, o2);
		b[7 * s] = sub(e3, o3);
	}
}

INLINE vd square(cv a) { return a.re * a.re + a.im * a.im; }

/* 400 real points were transformed as 200 complex ones, z[n] = x[2n] + i x[2n+1]; with E = (Z[k] + Z*[200-k]) / 2 and
 * O = -i (Z[k] - Z*[200-k]) / 2:  X[k] = E + w^k O,  X*[200-k] = E - w^k O. */
INLINE void power_spectrum(const sn_mel_tables *t, const cv *z, vd *power) {
	vd first = z[0].re + z[0].im, last = z[0].re - z[0].im;
	power[0] = first * first;
	power[SN_MEL_HALF] = last * last;
	for (int k = 1; k <= SN_MEL_HALF / 2; k++) {
		cv a = z[k], b = z[SN_MEL_HALF - k];
		cv e = { 0.5 * (a.re + b.re), 0.5 * (a.im - b.im) }, o = { 0.5 * (a.im + b.im), 0.5 * (b.re - a.re) };
		cv w = times(o, t->untangle[k]);
		power[k] = square(add(e, w));
		power[SN_MEL_HALF - k] = square(sub(e, w));
	}
}

/* log10(x) for normal x > 0: x = 2^e m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)). The series' next term is
 * below 4e-10, so what is left is the rounding of the sum, about one unit in the last place. */
INLINE vf log10_lanes(vf x) {
	vi bits = (vi)x, e = (bits - 0x3f3504f3) >> 23;
	vf m = (vf)(bits - (e << 23)), s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
	vf ln = s * (2.0f + s2 * (2.0f / 3 + s2 * (2.0f / 5 + s2 * (2.0f / 7 + s2 * (2.0f / 9)))));
	return __builtin_convertvector(e, vf) * 0.30102999566398120f + ln * 0.43429448190325183f;
}

void MEL_KERNEL(const sn_mel_tables *t, const float *samples, float *out) {
	cv a[SN_MEL_HALF], b[SN_MEL_HALF];
	for (int n = 0; n < SN_MEL_HALF; n++)
		for (int lane = 0; lane < SN_MEL_GROUP; lane++) {
			const float *x = samples + lane * SN_MEL_HOP + 2 * n;
			a[n].re[lane] = t->window[2 * n] * x[0];
			a[n].im[lane] = t->window[2 * n + 1] * x[1];
		}
	stage5(t, a, b, SN_MEL_HALF, 1);
	stage5(t, b, a, SN_MEL_HALF / 5, 5);
	stage8(a, b);
	vd *power = (vd *)a; /* a holds 400 vectors and is free now */
	power_spectrum(t, b, power);
	for (int mel = 0; mel < t->mels; mel++) {
		vd exact = { 0 };
		for (int k = t->low[mel]; k < t->high[mel]; k++)
			exact += t->filters[mel][k] * power[k];
		vf sum = __builtin_convertvector(exact, vf);
		vi small = sum < 1e-10f;
		vf floor = { 0 };
		floor += 1e-10f;
		vf log = log10_lanes((vf)(((vi)floor & small) | ((vi)sum & ~small)));
		for (int lane = 0; lane < SN_MEL_GROUP; lane++)
			out[lane * t->mels + mel] = log[lane];
	}
}
