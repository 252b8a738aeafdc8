/* Analyses of files: sn_analyze_file. One reading for everything that is measured, a second one for the words. */
#include "speech/analysis_internal.h"

#include "base/clock.h"
#include "speech/stt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sn_analysis_free(sn_analysis **held) {
	analysis *const a = (analysis *)*held;
	*held = NULL;
	if (!a)
		return;
	sn_transcript *transcript = (sn_transcript *)(uintptr_t)a->a.transcript;
	sn_transcript_free(&transcript);
	sn_analysis_close_tracks(a);
	free(a->heard);
	free(a);
}

/* ---- hearing ---- */

static void take_levels(analysis *a, const sn_level_facts *f) {
	a->a.crest = (float)f->crest;
	a->a.crossings = (float)f->crossings;
	a->a.centroid = (float)f->centroid;
	a->a.rolloff = (float)f->rolloff;
	for (int i = 0; i < SN_LEVELS_BANDS && sn_levels_band(i) < a->a.quality.sample_rate / 2.0; i++)
		a->bands[a->a.band_count++] = (sn_band){ (float)sn_levels_band(i), (float)f->bands[i] };
	a->a.bands = a->bands;
}

static int measure(analysis *a, sn_engine *engine, sn_decoder *decoder, const sn_analysis_options *o, char *err) {
	const sn_audio_info *const info = sn_decoder_get_info(decoder);
	sn_rater_options options = { .quality = o->quality, .expected = info->frames > 0 ? info->frames : 0, .heard = sn_analysis_hear,
		.voice = sn_analysis_voice, .speech = sn_analysis_speech, .payload = a };
	sn_tick tick = { .progress = o->quality.progress, .payload = o->quality.payload };
	sn_rater *rater = NULL;
	sn_level_facts facts;
	options.quality.scores = o->quality.scores == SN_ON ? SN_ON : SN_OFF;
	int result = sn_rater_open(&rater, engine, info->out_rate, &options, err);
	if (result == SN_OK && !rater->voice)
		sn_notes_add(&a->notes, "no_vad", "no voice activity detector is installed, so speech was not looked for");
	if (result == SN_OK)
		result = sn_rater_feed(rater, decoder, &tick, err);
	if (result == SN_OK)
		result = sn_rater_finish_asking(rater, &a->a.quality, &tick, err);
	if (result == SN_OK) {
		sn_rater_levels(rater, &facts);
		take_levels(a, &facts);
		a->a.quality.channels = info->channels;
		snprintf(a->format, sizeof a->format, "%s", info->format);
		if (info->note[0])
			sn_notes_add(&a->notes, info->truncated ? "truncated" : "audio", "%s", info->note);
	}
	sn_rater_close(&rater);
	return result;
}

/* ---- words and language ---- */

/* The model that transcribes, where one is wanted. SN_OK with *out NULL: not installed, and nobody insists. */
static int load_model(sn_model **out, sn_engine *engine, const sn_analysis_options *o, char *err) {
	char why[SN_ERRLEN];
	const int insists = o->words == SN_ON || o->language == SN_ON || o->model;
	*out = NULL;
	if (o->words != SN_ON && o->language == SN_OFF)
		return SN_OK;
	const int result = sn_model_load(out, engine, o->model, &(sn_model_options){ .task = SN_TASK_TRANSCRIBE }, why);
	if (result == SN_OK && !insists && !(*out)->whisper) /* others tell no language */
		sn_model_release(out);
	if (result == SN_OK || (result == SN_E_NOT_FOUND && !insists))
		return SN_OK;
	return sn_fail(err, result, "%s", why);
}

static int transcribe(analysis *a, sn_model *model, const char *path, const sn_quality_options *q, char *err) {
	sn_model_info info;
	sn_transcript *t = NULL;
	sn_model_describe(model, &info);
	const sn_stt_options o = { .words = info.has_words ? SN_ON : SN_DEFAULT, .progress = q->progress, .payload = q->payload };
	const int result = sn_transcribe_file(&t, model, path, &o, err);
	if (result != SN_OK)
		return result;
	a->a.transcript = t;
	snprintf(a->language, sizeof a->language, "%s", t->language);
	a->a.language_confidence = t->language_confidence;
	if (!info.has_words)
		sn_notes_add(&a->notes, "no_words", "the model \"%s\" has no times of words, so segments stand in their place", info.name);
	return SN_OK;
}

/* Events until the language is known; asks the tick. SN_AGAIN: more has to be heard. */
static int await_language(analysis *a, sn_stt *stt, const sn_tick *tick, char *err) {
	sn_event event;
	int result;
	while ((result = sn_stt_pull(stt, &event, err)) == SN_OK)
		if (event.kind == SN_EVENT_LANGUAGE) {
			snprintf(a->language, sizeof a->language, "%s", event.language);
			a->a.language_confidence = event.language_confidence;
			return SN_OK;
		}
	return result == SN_AGAIN && sn_tick_ask(tick, err) != SN_OK ? SN_E_CANCELLED : result;
}

/* Lets the model hear the beginning until it says which language it is. */
static int detect(analysis *a, sn_model *model, const sn_tick *tick, char *err) {
	sn_model_info info;
	sn_stt *stt = NULL;
	sn_model_describe(model, &info);
	if (!info.detects_language)
		return SN_OK;
	int result = sn_stt_open(&stt, model, &(sn_stt_options){ .beam = 1, .fallback = SN_OFF }, err), known = SN_AGAIN;
	if (result == SN_OK && tick->progress)
		sn_stt_be_patient(stt, SN_TICK);
	for (size_t at = 0; result == SN_OK && known == SN_AGAIN && at < a->heard_count;) {
		const size_t left = a->heard_count - at, part = left < SN_STT_RATE ? left : SN_STT_RATE;
		result = sn_stt_push(stt, a->heard + at, part, err);
		at += result == SN_OK ? part : 0;
		result = result == SN_AGAIN ? SN_OK : result;
		known = result == SN_OK ? await_language(a, stt, tick, err) : result;
	}
	if (result == SN_OK && known == SN_AGAIN)
		result = sn_stt_finish(stt, err);
	while (result == SN_OK && known == SN_AGAIN)
		known = await_language(a, stt, tick, err);
	sn_stt_close(&stt);
	return known == SN_END || known == SN_AGAIN ? result : known;
}

static void complete(analysis *a, double started) {
	if (a->speech_left_out)
		sn_notes_add(&a->notes, "speech", "%zu stretches of speech after the first %d are not listed", a->speech_left_out,
			SN_ANALYSIS_MAX_SPEECH);
	for (int i = 0; i < a->notes.count; i++)
		a->note_list[i] = (sn_note){ a->notes.note[i].code, a->notes.note[i].message };
	a->a.format = a->format;
	a->a.language = a->language;
	a->a.speech = a->speech;
	a->a.notes = a->note_list;
	a->a.note_count = (size_t)a->notes.count;
	a->a.processing_time = sn_now() - started;
}

int sn_analyze_file(sn_analysis **out, sn_engine *engine, const char *path, const sn_analysis_options *options, char *err) {
	static const sn_analysis_options defaults;
	const sn_analysis_options *const o = options ? options : &defaults;
	const double started = sn_now();
	const int is_input = strcmp(path, "-") == 0;
	sn_decoder *decoder = NULL;
	sn_model *model = NULL;
	*out = NULL;
	if (is_input && o->words == SN_ON)
		return sn_fail(err, SN_E_ARGUMENT, "words of standard input cannot be looked for: it would have to be read twice; name a file");
	analysis *a = calloc(1, sizeof *a);
	sn_analysis *held = a ? &a->a : NULL;
	int result = a ? sn_analysis_open_tracks(a, err) : sn_fail(err, SN_E_MEMORY, "no memory for an analysis");
	if (result == SN_OK)
		result = sn_decoder_open_input(&decoder, path, 0, 0, o->quality.progress, o->quality.payload, err);
	const sn_tick tick = { .progress = o->quality.progress, .payload = o->quality.payload };
	if (result == SN_OK)
		result = load_model(&model, engine, o, err);
	if (result == SN_OK && model && o->words != SN_ON && !(a->heard = malloc(ANALYSIS_LANGUAGE * sizeof *a->heard)))
		result = sn_fail(err, SN_E_MEMORY, "no memory for an analysis");
	if (result == SN_OK)
		result = measure(a, engine, decoder, o, err);
	sn_decoder_close(&decoder);
	if (result == SN_OK)
		sn_analysis_settle(a);
	if (result == SN_OK && model)
		result = o->words == SN_ON ? transcribe(a, model, path, &o->quality, err) : detect(a, model, &tick, err);
	sn_model_release(&model);
	if (result == SN_OK)
		complete(a, started);
	else
		sn_analysis_free(&held);
	*out = held;
	return result;
}
