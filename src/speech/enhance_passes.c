/* The passes over a recording. The spool is written where it was read: what comes out of a stage never lies behind what went in. */
#include "speech/enhance.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HIGHPASS 60.0        /* Hz */
#define CLEAN_SNR 50.0       /* dB: where quiet parts are so far below the loud ones nobody hears them */
#define CLEAN_FLOOR (-70.0)  /* dBFS: or so quiet */
#define SILENT (-70.0)       /* LUFS: the gate of EBU R128; below it there is nothing to measure */
#define MOST_GAIN 30.0       /* dB: a recording that would need more is not speech that anyone meant to be heard */

static const char *const names[] = { "declip", "highpass", "denoise", "compress", "loudness", "limit" };

void sn_enhance_stage_note(sn_enhancer *e, int stage, int done, const char *format, ...) {
	sn_enhance_stage *s = &e->facts.stages[stage];
	va_list args;
	s->name = names[stage];
	s->done = done;
	va_start(args, format);
	vsnprintf(s->message, sizeof s->message, format, args);
	va_end(args);
}

static int report(sn_enhancer *e, int64_t samples, int rate, char *err) {
	const sn_enhance_options *o = &e->options;
	if (o->progress && o->progress(o->payload, (double)samples / rate, e->facts.duration) != 0)
		return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
	return SN_OK;
}

/* ---- measuring input and result ---- */

static int measure_open(sn_enhancer *e, int rate, char *err) {
	const sn_rater_options options = { .quality = { .scores = SN_ON } };
	int result = sn_levels_open(&e->levels, rate, err);
	if (result == SN_OK && e->options.scores == SN_ON)
		result = sn_rater_open(&e->rater, e->engine, rate, &options, err);
	return result;
}

static sn_tick tick_of(const sn_enhancer *e) {
	return (sn_tick){ .progress = e->options.progress, .payload = e->options.payload, .total = e->facts.duration };
}

static int measure(sn_enhancer *e, const float *samples, size_t count, char *err) {
	const sn_tick tick = tick_of(e);
	int result = sn_levels_push(e->levels, samples, count, err);
	if (result == SN_OK && e->rater && count)
		result = sn_rater_push_asking(e->rater, samples, count, &tick, err);
	return result;
}

static int measure_close(sn_enhancer *e, sn_level_facts *f, sn_enhanced_levels *out, char *err) {
	sn_quality quality = { 0 };
	const sn_tick tick = tick_of(e);
	sn_levels_get(e->levels, f);
	sn_levels_close(&e->levels);
	int result = e->rater ? sn_rater_finish_asking(e->rater, &quality, &tick, err) : SN_OK;
	sn_rater_close(&e->rater);
	*out = (sn_enhanced_levels){ (float)f->loudness, (float)f->range, (float)f->true_peak, (float)f->rms, (float)f->floor, (float)f->snr,
	                             quality.scores.overall };
	return result;
}

/* ---- the input as it is ---- */

int sn_enhance_hear(sn_enhancer *e, const float *samples, size_t count, char *err) {
	int result = e->levels ? SN_OK : measure_open(e, e->rate, err);
	if (result == SN_OK)
		result = measure(e, samples, count, err);
	if (result == SN_OK)
		result = sn_spool_write(&e->spool, e->spool.count, samples, count, err);
	if (result != SN_OK)
		return result;
	sn_clip_find(&e->clips, samples, count);
	return report(e, e->spool.count, e->rate, err);
}

/* ---- declip, high-pass, denoise ---- */

static int wants_denoising(sn_enhancer *e, const sn_level_facts *before) {
	if (e->options.denoise == SN_OFF)
		return sn_enhance_stage_note(e, SN_STAGE_DENOISE, 0, "switched off"), 0;
	if (e->options.denoise == SN_ON || (before->snr < CLEAN_SNR && before->floor > CLEAN_FLOOR))
		return 1;
	sn_enhance_stage_note(e, SN_STAGE_DENOISE, 0, "not needed: the quiet parts are at %.0f dBFS, %.0f dB below the loud ones", before->floor,
	                      before->snr);
	return 0;
}

static int prepare(sn_enhancer *e, const sn_level_facts *before, char *err) {
	const sn_enhance_options *o = &e->options;
	const float none[2] = { INFINITY, INFINITY };
	float clip[2];
	sn_clip_levels(&e->clips, clip);
	sn_declip_init(&e->declipper, o->declip == SN_OFF ? none : clip, e->rate);
	sn_highpass_init(&e->highpass, HIGHPASS, e->rate);
	if (o->highpass == SN_OFF)
		sn_enhance_stage_note(e, SN_STAGE_HIGHPASS, 0, "switched off");
	else
		sn_enhance_stage_note(e, SN_STAGE_HIGHPASS, 1, "took off what lies below %.0f Hz; the mean was %.2g", HIGHPASS, before->dc);
	if (!wants_denoising(e, before))
		return SN_OK;
	int result = sn_denoise_open(&e->denoise, e->engine, e->rate, o->attenuation_limit, err);
	if (result == SN_E_NOT_FOUND && o->denoise == SN_DEFAULT) {
		sn_enhance_stage_note(e, SN_STAGE_DENOISE, 0, "skipped: %.150s", err ? err : "no model is installed");
		return SN_OK;
	}
	return result;
}

/* Samples of the spool after these stages, at `*to` on. */
static int put_back(sn_enhancer *e, const float *samples, size_t count, int64_t *to, char *err) {
	int result = sn_levels_push(e->levels, samples, count, err);
	if (result == SN_OK)
		result = sn_spool_write(&e->spool, *to, samples, count, err);
	*to += (int64_t)count;
	return result;
}

/* in NULL: the rest. */
static int denoise_part(sn_enhancer *e, const float *in, size_t count, int64_t *to, char *err) {
	if (!e->denoise)
		return put_back(e, in ? in : e->work, in ? count : 0, to, err);
	int result = SN_OK;
	for (size_t done = 0, used = 0, got = 1; result == SN_OK && (in ? done < count || got : got > 0); done += used) {
		result = sn_denoise_call(e->denoise, in ? in + done : NULL, count - done, &used, e->clean, SN_ENHANCE_BLOCK, &got, err);
		if (result == SN_OK)
			result = put_back(e, e->clean, got, to, err);
		if (!used && !got)
			break;
	}
	return result;
}

static int clean_all(sn_enhancer *e, char *err) {
	int64_t to = 0;
	size_t got = 1;
	int result = SN_OK;
	for (int64_t from = 0; result == SN_OK && got; from += (int64_t)got) {
		result = sn_spool_read(&e->spool, from, e->block, SN_ENHANCE_BLOCK, &got, err);
		if (result != SN_OK)
			break;
		const size_t count = sn_declip(&e->declipper, got ? e->block : NULL, got, e->work);
		if (e->options.highpass != SN_OFF)
			sn_highpass_run(&e->highpass, e->work, count);
		if (count)
			result = denoise_part(e, e->work, count, &to, err);
		if (result == SN_OK)
			result = report(e, from + (int64_t)got, e->rate, err);
	}
	return result == SN_OK ? denoise_part(e, NULL, 0, &to, err) : result;
}

static void note_cleaning(sn_enhancer *e) {
	const sn_declipper *d = &e->declipper;
	e->facts.clipped = d->clipped;
	e->facts.repaired = d->repaired;
	if (e->options.declip == SN_OFF)
		sn_enhance_stage_note(e, SN_STAGE_DECLIP, 0, "switched off");
	else if (!d->clipped)
		sn_enhance_stage_note(e, SN_STAGE_DECLIP, 0, "nothing was clipped");
	else
		sn_enhance_stage_note(e, SN_STAGE_DECLIP, d->repaired > 0, "%lld samples were clipped, %lld of them repaired; longer runs than 4 ms are left",
		                      (long long)d->clipped, (long long)d->repaired);
	if (!e->denoise)
		return;
	sn_denoise_facts f;
	sn_denoise_describe(e->denoise, &f);
	e->facts.noise_reduction = (float)fmax(f.before - f.after, 0);
	sn_denoise_name(e->denoise, e->facts.denoiser, sizeof e->facts.denoiser);
	sn_enhance_stage_note(e, SN_STAGE_DENOISE, 1, "%.60s took noise out: quiet parts went from %.0f to %.0f dBFS; limit %.0f dB", e->facts.denoiser,
	                      f.before, f.after, e->options.attenuation_limit);
}

int sn_enhance_clean(sn_enhancer *e, char *err) {
	sn_level_facts before, after;
	int result = measure_close(e, &before, &e->facts.before, err);
	if (result == SN_OK)
		result = sn_levels_open(&e->levels, e->rate, err);
	if (result == SN_OK)
		result = prepare(e, &before, err);
	if (result == SN_OK)
		result = clean_all(e, err);
	if (result != SN_OK)
		return result;
	note_cleaning(e);
	sn_levels_get(e->levels, &after);
	sn_levels_close(&e->levels);
	e->loudness = after.loudness;
	return SN_OK;
}

/* ---- compress ---- */

int sn_enhance_compress(sn_enhancer *e, char *err) {
	sn_compressor compressor;
	sn_level_facts after;
	if (e->options.compress != SN_ON || e->loudness < SILENT) {
		sn_enhance_stage_note(e, SN_STAGE_COMPRESS, 0, e->options.compress != SN_ON ? "switched off" : "nothing but silence");
		return SN_OK;
	}
	size_t got = 1;
	int result = sn_levels_open(&e->levels, e->rate, err);
	sn_compressor_init(&compressor, e->loudness, e->rate);
	for (int64_t at = 0; result == SN_OK && got; at += (int64_t)got) {
		int64_t to = at;
		result = sn_spool_read(&e->spool, at, e->block, SN_ENHANCE_BLOCK, &got, err);
		if (result != SN_OK)
			break;
		sn_compressor_run(&compressor, e->block, got);
		result = put_back(e, e->block, got, &to, err);
		if (result == SN_OK)
			result = report(e, to, e->rate, err);
	}
	if (result != SN_OK)
		return result;
	sn_levels_get(e->levels, &after);
	sn_levels_close(&e->levels);
	e->facts.compression = (float)(compressor.samples ? compressor.sum / (double)compressor.samples : 0);
	sn_enhance_stage_note(e, SN_STAGE_COMPRESS, 1, "2:1 above %.1f dBFS: lowered by %.1f dB in the mean, %.1f dB at most", e->loudness,
	                      e->facts.compression, compressor.most);
	e->loudness = after.loudness;
	return SN_OK;
}

/* ---- loudness, rate, limit ---- */

static void choose_gain(sn_enhancer *e) {
	const double target = e->options.loudness, wanted = target - e->loudness;
	if (e->options.normalise == SN_OFF) {
		sn_enhance_stage_note(e, SN_STAGE_LOUDNESS, 0, "switched off");
	} else if (e->loudness <= SILENT) {
		sn_enhance_stage_note(e, SN_STAGE_LOUDNESS, 0, "too quiet to measure: nothing but silence");
	} else {
		e->facts.gain = (float)fmin(wanted, MOST_GAIN);
		sn_enhance_stage_note(e, SN_STAGE_LOUDNESS, 1, "from %.1f LUFS by %+.1f dB towards %.1f LUFS%s", e->loudness, e->facts.gain, target,
		                      wanted > MOST_GAIN ? ", the most that is added" : "");
	}
}

/* Samples at the rate of the result; in NULL: the rest. */
static int limit_part(sn_enhancer *e, const float *in, size_t count, sn_enhance_sink sink, void *payload, char *err) {
	int result = SN_OK;
	for (size_t got = 1; result == SN_OK && got; got *= !in) {
		got = sn_limiter_run(e->limiter, in, in ? count : SN_ENHANCE_BLOCK, e->clean);
		result = measure(e, e->clean, got, err);
		if (result == SN_OK && got)
			result = sink(payload, e->clean, got, err);
	}
	return result;
}

/* Samples of the spool with their gain; in NULL: the rest. */
static int resample_part(sn_enhancer *e, const float *in, size_t count, sn_enhance_sink sink, void *payload, char *err) {
	if (!e->resampler)
		return limit_part(e, in, count, sink, payload, err);
	int result = SN_OK;
	for (size_t done = 0, used, got; result == SN_OK; done += used) {
		result = sn_resampler_process(e->resampler, in ? in + done : NULL, count - done, &used, e->work, SN_ENHANCE_BLOCK, &got, err);
		if (result == SN_OK && got)
			result = limit_part(e, e->work, got, sink, payload, err);
		if (!got && (!in || done + used == count))
			break;
	}
	return result == SN_OK && !in ? limit_part(e, NULL, 0, sink, payload, err) : result;
}

int sn_enhance_master(sn_enhancer *e, sn_enhance_sink sink, void *payload, char *err) {
	const int out_rate = e->facts.sample_rate;
	sn_level_facts after;
	choose_gain(e);
	const float gain = powf(10, e->facts.gain / 20);
	int result = measure_open(e, out_rate, err);
	if (result == SN_OK)
		result = sn_limiter_open(&e->limiter, e->options.ceiling, out_rate, err);
	if (result == SN_OK && out_rate != e->rate)
		result = sn_resampler_open(&e->resampler, e->rate, out_rate, 1, err);
	size_t got = 1;
	for (int64_t at = 0; result == SN_OK && got; at += (int64_t)got) {
		result = sn_spool_read(&e->spool, at, e->block, SN_ENHANCE_BLOCK, &got, err);
		for (size_t i = 0; i < got; i++)
			e->block[i] *= gain;
		if (result == SN_OK)
			result = resample_part(e, got ? e->block : NULL, got, sink, payload, err);
		if (result == SN_OK)
			result = report(e, at + (int64_t)got, e->rate, err);
	}
	if (result == SN_OK)
		result = measure_close(e, &after, &e->facts.after, err);
	if (result != SN_OK)
		return result;
	e->facts.limited = (float)sn_limiter_most(e->limiter);
	if (e->facts.limited < 0.1f)
		sn_enhance_stage_note(e, SN_STAGE_LIMIT, 0, "no peak came near %.1f dBTP", e->options.ceiling);
	else
		sn_enhance_stage_note(e, SN_STAGE_LIMIT, 1, "lowered peaks by up to %.1f dB to stay below %.1f dBTP, in %.1f %% of the time", e->facts.limited,
		                      e->options.ceiling, 100 * sn_limiter_share(e->limiter));
	return SN_OK;
}
