#include "models/mel_layout.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct comparison {
	char text[SN_ERRLEN];
	size_t size;
} comparison;

static void add(comparison *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(comparison *c, const char *format, ...) {
	va_list args;
	if (c->size + 1 >= sizeof c->text) return;
	va_start(args, format);
	const int n = vsnprintf(c->text + c->size, sizeof c->text - c->size, format, args);
	va_end(args);
	if (n > 0) c->size = strlen(c->text);
}

/* Unstated values (NAN) fit anything. */
static void compare(comparison *c, const char *field, const char *unit, double made, double taken) {
	if (isnan(made) || isnan(taken) || fabs(made - taken) <= 1e-6 * fmax(fabs(made), fabs(taken))) return;
	add(c, "%s%s %g%s against %g%s", c->size ? ", " : "", field, made, unit, taken, unit);
}

static double stated(double value) { return value != 0 ? value : NAN; }

static void compare_words(comparison *c, const char *field, int made, int taken, const char *const *words) {
	if (made && taken && made != taken) add(c, "%s%s %s against %s", c->size ? ", " : "", field, words[made], words[taken]);
}

static double high_of(const sn_mel_layout *m) {
	if (m->high > 0) return m->high;
	return m->fft && m->sample_rate ? m->sample_rate / 2.0 : NAN;
}

/* A low end of 0 Hz is stated where the transform is. */
static double low_of(const sn_mel_layout *m) { return m->fft ? m->low : stated(m->low); }

/* What is done to the logarithm is known where the logarithm is. */
static void compare_values(comparison *c, const sn_mel_layout *made, const sn_mel_layout *taken) {
	static const char *const logs[] = { "unknown", "natural", "decimal" }, *const norms[] = { "none", "by decibels", "by statistics" };
	compare_words(c, "logarithm", (int)made->log, (int)taken->log, logs);
	if (!made->log || !taken->log) return;
	compare(c, "factor of the logarithm", "", stated(made->gain), stated(taken->gain));
	if (made->normalised != taken->normalised) {
		add(c, "%snormalisation %s against %s", c->size ? ", " : "", norms[made->normalised % 3], norms[taken->normalised % 3]);
		return;
	}
	compare(c, "floor", "", stated(made->floor), stated(taken->floor));
	compare(c, "preemphasis", "", made->preemphasis, taken->preemphasis);
	if (!made->normalised) return;
	compare(c, "symmetric normalisation", "", made->symmetric, taken->symmetric);
	compare(c, "least level", " dB", made->min_db, taken->min_db);
	compare(c, "reference level", " dB", made->ref_db, taken->ref_db);
	compare(c, "largest normalised value", "", made->max_norm, taken->max_norm);
}

int sn_mel_layout_match(const sn_mel_layout *made, const char *by, const sn_mel_layout *taken, const char *from, char *err) {
	static const char *const scales[] = { "unknown", "Slaney", "HTK" };
	comparison c = { .size = 0 };
	compare(&c, "sample rate", " Hz", stated(made->sample_rate), stated(taken->sample_rate));
	compare(&c, "mels", "", stated(made->mels), stated(taken->mels));
	compare(&c, "transform", "", stated(made->fft), stated(taken->fft));
	compare(&c, "hop", "", stated(made->hop), stated(taken->hop));
	compare(&c, "window", "", stated(made->window), stated(taken->window));
	compare(&c, "lowest frequency", " Hz", low_of(made), low_of(taken));
	compare(&c, "highest frequency", " Hz", high_of(made), high_of(taken));
	compare_words(&c, "mel scale", (int)made->scale, (int)taken->scale, scales);
	compare_values(&c, made, taken);
	if (!c.size) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the vocoder %s does not fit the spectrograms of %s: %s", from, by, c.text);
}
