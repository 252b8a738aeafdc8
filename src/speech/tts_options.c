/* What a caller asks of a speaking session, checked against what its model can do. */
#include "base/ascii.h"
#include "speech/languages.h"
#include "speech/tts.h"
#include "speech/voices.h"
#include "speech/vocoders.h"

#include <stdio.h>
#include <string.h>

#define LISTED 12 /* names that an error lists; more are counted */

/* "en, de, fr and 30 more", or `none` where there are none. */
static void list_names(char *text, size_t size, const char *const *names, int count, const char *none) {
	size_t used = 0;
	snprintf(text, size, "%s", count ? "" : none);
	for (int i = 0; i < count && i < LISTED && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
	if (count > LISTED && used < size)
		snprintf(text + used, size - used, " and %d more", count - LISTED);
}

/* A control that the model lacks: says which ones it has. */
static int lacks(const sn_tts *tts, const char *control, char *err) {
	const sn_synth_facts *const f = tts->model->facts;
	const char *names[6];
	char text[128];
	int count = 0;
	if (f->has_speed)
		names[count++] = "speed";
	if (f->has_pitch)
		names[count++] = "pitch";
	if (f->has_energy)
		names[count++] = "energy";
	if (f->has_noise)
		names[count++] = "noise";
	if (f->has_temperature)
		names[count++] = "temperature";
	if (f->has_dropout)
		names[count++] = "dropout";
	list_names(text, sizeof text, names, count, "nothing of the kind");
	return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" cannot change its %s; it can change: %s", tts->model->name, control, text);
}

const char *sn_tts_language(const sn_tts *tts, const char *language) {
	const sn_synth_facts *const f = tts->model->facts;
	char asked[8], own[8];
	for (int i = 0; i < f->language_count; i++) /* also what is no code: "fr-fr", "pt-br" */
		if (sn_strcasecmp(f->languages[i], language) == 0)
			return f->languages[i];
	if (!sn_language_code(language, asked, sizeof asked))
		return NULL;
	for (int i = 0; i < f->language_count; i++)
		if (sn_language_code(f->languages[i], own, sizeof own) && strcmp(asked, own) == 0)
			return f->languages[i];
	return NULL;
}

const char *sn_tts_reading(const sn_tts *tts) {
	const sn_synth_facts *const f = tts->model->facts;
	if (tts->options.language)
		return tts->options.language;
	return *f->language ? f->language : f->language_count ? f->languages[0] : "";
}

static int set_language(sn_tts *tts, const char *language, char *err) {
	const sn_synth_facts *const f = tts->model->facts;
	char code[8], text[160];
	if (!language || !*language || strcmp(language, "auto") == 0)
		return SN_OK;
	tts->options.language = sn_tts_language(tts, language);
	if (tts->options.language)
		return SN_OK;
	if (!sn_language_code(language, code, sizeof code))
		return sn_fail(err, SN_E_ARGUMENT, "language \"%s\" is neither a code like \"en\", nor a name like \"english\", nor \"auto\"",
		               language);
	if (!f->language_count) /* the files do not say what it speaks */
		return SN_OK;
	list_names(text, sizeof text, f->languages, f->language_count, "");
	return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" speaks %s, not \"%s\"", tts->model->name, text, language);
}

static int set_emotion(sn_tts *tts, const char *emotion, char *err) {
	const sn_synth_facts *const f = tts->model->facts;
	char text[256];
	if (!emotion || !*emotion)
		return SN_OK;
	for (int i = 0; i < f->emotion_count; i++)
		if (sn_strcasecmp(f->emotions[i], emotion) == 0) {
			tts->options.emotion = f->emotions[i];
			return SN_OK;
		}
	list_names(text, sizeof text, f->emotions, f->emotion_count, "none");
	return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" has no emotion \"%s\"; it has: %s", tts->model->name, emotion, text);
}

static int in_range(float value, float least, float most) { return value >= least && value <= most; }

/* A factor from 0.25 to 4; 0: 1. */
static int set_factor(const sn_tts *tts, const char *name, float asked, int has, float *factor, char *err) {
	*factor = asked != 0 ? asked : 1;
	if (!in_range(*factor, 0.25f, 4))
		return sn_fail(err, SN_E_ARGUMENT, "%s %g is outside 0.25 to 4", name, (double)asked);
	return *factor != 1 && !has ? lacks(tts, name, err) : SN_OK;
}

static int check_ranges(const sn_tts_options *o, char *err) {
	if (!(o->noise <= 2) || !(o->noise_duration <= 2))
		return sn_fail(err, SN_E_ARGUMENT, "noise %g and noise_duration %g must be at most 2", (double)o->noise,
		               (double)o->noise_duration);
	if (!(o->temperature <= 2))
		return sn_fail(err, SN_E_ARGUMENT, "temperature %g must be at most 2", (double)o->temperature);
	if (!in_range(o->pause, 0, 10))
		return sn_fail(err, SN_E_ARGUMENT, "a pause of %g s is outside 0 to 10", (double)o->pause);
	if (o->dropout < SN_DEFAULT || o->dropout > SN_ON)
		return sn_fail(err, SN_E_ARGUMENT, "dropout %d is none of sn_switch", (int)o->dropout);
	const sn_switch switches[] = { o->normalise, o->ssml, o->stream, o->check, o->inspect, o->verify };
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		if (switches[i] < SN_DEFAULT || switches[i] > SN_ON)
			return sn_fail(err, SN_E_ARGUMENT, "%d is none of sn_switch", (int)switches[i]);
	if (o->retries > SN_MAX_RETRIES)
		return sn_fail(err, SN_E_ARGUMENT, "%d retries; at most %d are made", o->retries, SN_MAX_RETRIES);
	if (o->priority < SN_PRIORITY_INTERACTIVE || o->priority > SN_PRIORITY_BATCH)
		return sn_fail(err, SN_E_ARGUMENT, "priority %d is none of sn_priority", (int)o->priority);
	return SN_OK;
}

/* Of a scale where 0 means the model's own and what is below means none. */
static float scale_of(float asked) { return asked < 0 ? 0 : asked > 0 ? asked : -1; }

static int set_controls(sn_tts *tts, const sn_tts_options *o, char *err) {
	const sn_synth_facts *const f = tts->model->facts;
	int result = check_ranges(o, err);
	if (result == SN_OK)
		result = set_factor(tts, "speed", o->speed, f->has_speed, &tts->options.speed, err);
	if (result == SN_OK)
		result = set_factor(tts, "pitch", o->pitch, f->has_pitch, &tts->options.pitch, err);
	if (result == SN_OK)
		result = set_factor(tts, "energy", o->energy, f->has_energy, &tts->options.energy, err);
	if (result == SN_OK && (o->noise > 0 || o->noise_duration > 0) && !f->has_noise)
		result = lacks(tts, "noise", err);
	if (result == SN_OK && o->temperature != 0 && !f->has_temperature)
		result = lacks(tts, "temperature", err);
	if (result == SN_OK && o->dropout == SN_ON && !f->has_dropout)
		result = lacks(tts, "dropout", err);
	tts->options.noise_scale = scale_of(o->noise);
	tts->options.noise_duration = scale_of(o->noise_duration);
	tts->options.temperature = scale_of(o->temperature);
	tts->options.dropout = o->dropout == SN_DEFAULT ? -1 : o->dropout == SN_ON;
	return result;
}

static int set_vocoder(sn_tts *tts, const char *name, char *err) {
	const sn_synth_facts *const f = tts->model->facts;
	tts->rate = f->sample_rate;
	if (f->kind != SN_SYNTH_MEL)
		return name && *name ? sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" makes sound by itself and takes no vocoder",
		                               tts->model->name) : SN_OK;
	int result = sn_vocoder_choose(&tts->vocoder, tts->model, name, err);
	if (result != SN_OK)
		return result;
	tts->rate = sn_vocoder_get_facts(tts->vocoder->vocoder)->sample_rate;
	if (!(name && *name) && strcmp(tts->vocoder->label, SN_GRIFFIN_LIM) == 0)
		sn_notes_add(&tts->notes, "no_vocoder", "no vocoder for these spectrograms is at hand; Griffin-Lim stands in, which sounds "
		             "hollow");
	return SN_OK;
}

/* What looks at the speech: models are loaded now, so that a missing one is told of before anything is spoken. */
static int set_checks(sn_tts *tts, const sn_tts_options *o, char *err) {
	tts->retries = o->retries < 0 ? 0 : o->retries ? o->retries : 1;
	tts->take.holds = o->inspect == SN_ON;
	int result = SN_OK;
	if (o->verify == SN_ON) {
		result = sn_model_load(&tts->verifier, tts->engine, o->verify_model, &(sn_model_options){ .task = SN_TASK_TRANSCRIBE }, err);
		tts->take.holds = 1;
	}
	const sn_rater_options rating = { .impatient = 1, .patience = o->ready ? -1 : SN_TICK, .outer = &tts->job };
	return result == SN_OK && o->check == SN_ON ? sn_rater_open(&tts->rater, tts->engine, tts->rate, &rating, err) : result;
}

int sn_tts_configure(sn_tts *tts, const sn_tts_options *o, char *err) {
	int result = set_controls(tts, o, err);
	if (result == SN_OK)
		result = set_language(tts, o->language, err);
	if (result == SN_OK)
		result = set_emotion(tts, o->emotion, err);
	if (result == SN_OK)
		result = set_vocoder(tts, o->vocoder, err);
	if (result == SN_OK)
		result = sn_voice_find(&tts->voice, tts->model, o->voice, err);
	if (result != SN_OK)
		return result;
	if (*tts->voice.name)
		tts->options.voice = &tts->voice;
	tts->seed = o->seed;
	tts->pause = (int64_t)((double)o->pause * tts->rate);
	tts->job.priority = o->priority;
	return set_checks(tts, o, err);
}
