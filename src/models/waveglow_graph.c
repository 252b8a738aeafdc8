#include "models/waveglow_internal.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 64 /* frames of one run: what flows keep between runs grows with it, what they compute twice shrinks */

static nn_t add(nn_graph *g, nn_t x, nn_t y) { return nn_binary(g, NN_ADD, x, y); }

/* The weight of a convolution of kernel 1 as a matrix [out, in]. */
static nn_t matrix(nn_graph *g, const vocoder_conv *c) {
	return nn_reshape(g, vocoder_weight(g, c), 2, (nn_dim[]){ nn_fix(c->out), nn_fix(c->in) });
}

/* x times `count` rows of a matrix, from `first` on. */
static nn_t part(nn_graph *g, nn_t x, nn_t w, nn_t b, int64_t first, int64_t count) {
	return nn_linear(g, x, nn_fold_rows(g, w, first, count), nn_fold_rows(g, b, first, count));
}

/* The reference upsamples mels to samples and then lays `group` samples side by side, element m * group + j for mel m, sample j: that
 * is a transposed convolution by groups. Its result is cut to whole frames. */
static nn_t upsample(const waveglow_weights *w, nn_graph *g, nn_t mel) {
	const int64_t mels = w->mels, group = w->group, taps = w->kernel / group, wide = mels * group;
	const int64_t dims[] = { mels, wide, taps };
	float *const from = malloc((size_t)(mels * mels * w->kernel) * sizeof *from);
	float *const to = malloc((size_t)(mels * wide * taps) * sizeof *to);
	float *const bias = malloc((size_t)wide * sizeof *bias);
	nn_t weight = NN_NONE, b = NN_NONE;
	if (from && to && bias) {
		sn_weight_floats(w->upsample.weight, 0, mels * mels * w->kernel, from);
		for (int64_t pair = 0; pair < mels * mels; pair++)
			for (int64_t i = 0; i < w->kernel; i++)
				to[(pair / mels * wide + pair % mels * group + i % group) * taps + i / group] = from[pair * w->kernel + i];
		sn_weight_floats(w->upsample.bias, 0, mels, from);
		for (int64_t i = 0; i < wide; i++) bias[i] = from[i / group];
		weight = nn_const(g, "upsample.weight", 3, dims, to);
		b = nn_const(g, "upsample.bias", 1, &wide, bias);
	}
	free(from);
	free(to);
	free(bias);
	const nn_t x = nn_conv_transpose1d(g, mel, weight, b, (int)(WAVEGLOW_HOP / group), 0);
	return w->kernel > WAVEGLOW_HOP ? nn_trim_rows(g, x, 0, (w->kernel - WAVEGLOW_HOP) / group) : x;
}

static nn_t first_stage(const waveglow_weights *w, nn_graph *g, nn_t x) {
	const nn_t up = nn_name(g, upsample(w, g, nn_slice_cols(g, x, 0, w->mels)), "upsampled");
	const nn_dim rows = nn_dim_mul(nn_symbol(g, "rows", 1), WAVEGLOW_HOP / w->group);
	const nn_t noise = nn_reshape(g, nn_slice_cols(g, x, w->mels, WAVEGLOW_HOP), 2, (nn_dim[]){ rows, nn_fix(w->group) });
	return nn_concat_cols(g, noise, up);
}

/* The network inside a flow: dilated gated layers over half of the audio and the mel -> [rows, width], the sum of the skips. */
static nn_t wavenet(const waveglow_weights *w, const waveglow_flow *f, nn_graph *g, nn_t half, nn_t mel) {
	const int64_t width = w->width;
	const nn_t cond = matrix(g, &f->cond), cond_bias = vocoder_bias(g, &f->cond);
	nn_t h = vocoder_record_conv(g, &f->start, half, 0), sum = NN_NONE;
	for (int i = 0; i < f->layers; i++) {
		nn_t y = add(g, vocoder_record_conv(g, &f->in[i], h, 0), part(g, mel, cond, cond_bias, 2 * width * i, 2 * width));
		y = nn_gated_tanh(g, y);
		const nn_t skip = matrix(g, &f->skip[i]), bias = vocoder_bias(g, &f->skip[i]);
		const int last = i + 1 == f->layers;
		if (!last) h = add(g, part(g, y, skip, bias, 0, width), h);
		const nn_t out = last ? nn_linear(g, y, skip, bias) : part(g, y, skip, bias, width, width);
		sum = sum == NN_NONE ? out : add(g, out, sum);
	}
	return sum;
}

nn_t waveglow_record(void *weights, nn_graph *g, int stage, nn_t x) {
	const waveglow_weights *const w = weights;
	if (stage == 0) return first_stage(w, g, x);
	const waveglow_flow *const f = &w->flow[w->flows - stage];
	const int channels = f->channels, half = channels / 2, rest = w->group - channels, last = stage == w->flows;
	const nn_t a0 = nn_slice_cols(g, x, rest, half), a1 = nn_slice_cols(g, x, rest + half, half);
	const nn_t mel = nn_slice_cols(g, x, w->group, (int64_t)w->mels * w->group);
	const nn_t out = wavenet(w, f, g, a0, mel), end = matrix(g, &f->end), bias = vocoder_bias(g, &f->end);
	const nn_t shift = part(g, out, end, bias, 0, half), log_scale = part(g, out, end, bias, half, half);
	const nn_t b1 = nn_binary(g, NN_DIV, nn_binary(g, NN_SUB, a1, shift), nn_unary(g, NN_EXP, log_scale, 0));
	const nn_t inverse = nn_const(g, "inverse", 2, (int64_t[]){ channels, channels }, f->inverse);
	nn_t y = nn_linear(g, nn_concat_cols(g, a0, b1), inverse, NN_NONE);
	if (rest) y = nn_concat_cols(g, nn_slice_cols(g, x, 0, rest), y);
	return last ? y : nn_concat_cols(g, y, mel);
}

void waveglow_describe(const waveglow_weights *w, sn_generator_shape *shape) {
	const int64_t group = w->group, wide = group + (int64_t)w->mels * group;
	const int64_t per_frame = WAVEGLOW_HOP / group, taps = w->kernel / group;
	*shape = (sn_generator_shape){ .name = "waveglow", .stages = w->flows + 1, .most = CHUNK * per_frame, .push = SN_VOCODER_MAX_PUSH };
	shape->stage[0] = (sn_generator_stage){ .in = w->mels + WAVEGLOW_HOP, .out = wide, .widest = wide, .stride = per_frame,
	                                        .kernel = taps, .right = taps - per_frame };
	for (int i = 1; i <= w->flows; i++) {
		const waveglow_flow *const f = &w->flow[w->flows - i];
		sn_generator_stage *const s = &shape->stage[i];
		*s = (sn_generator_stage){ .in = wide, .out = i < w->flows ? wide : group, .stride = 1, .kernel = 1,
		                           .widest = wide > 2 * w->width ? wide : 2 * w->width };
		for (int j = 0; j < f->layers; j++) s->after += vocoder_conv_side(&f->in[j]);
	}
}
