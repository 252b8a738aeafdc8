#include "speech/tts.h"

#include "base/clock.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sn_tts_make_buffers(sn_tts *tts, char *err) {
	int result = sn_chain_new(&tts->chain, tts->model, tts->vocoder, err);
	for (int i = 0; i < SN_TTS_MAX_CHUNKS && result == SN_OK; i++) {
		tts->chunks[i].pcm = malloc(sn_chain_room(tts->chain) * sizeof(float));
		if (!tts->chunks[i].pcm)
			result = sn_fail(err, SN_E_MEMORY, "no memory for a session");
	}
	return result;
}

int sn_tts_open(sn_tts **out, sn_model *model, const sn_tts_options *options, char *err) {
	static const sn_tts_options defaults;
	const sn_tts_options *const o = options ? options : &defaults;
	*out = NULL;
	if (!model->synth)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not speak; \"joe\" does", model->name);
	sn_tts *tts = calloc(1, sizeof *tts);
	if (!tts)
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	sn_model_retain(model);
	tts->opened = sn_now();
	tts->model = model;
	tts->engine = model->engine;
	tts->last = &tts->first;
	tts->job = (sn_job){ .step = sn_tts_step, .leave = sn_tts_leave, .left = 1, .share = o->share, .counts = 1, .ready = o->ready,
		.ready_payload = o->ready_payload };
	tts->patience = o->ready ? 0 : INFINITY;
	tts->most_attempts = 1;
	int result = sn_tts_configure(tts, o, err);
	sn_tts_text_open(tts, o);
	if (result == SN_OK)
		result = sn_sched_add(tts->engine->sched, &tts->job, err);
	if (result != SN_OK)
		sn_tts_close(&tts);
	else if (tts->in.stream)
		sn_tts_text_warm(tts);
	*out = tts;
	return result;
}

void sn_tts_be_patient(sn_tts *tts, double seconds) {
	tts->patience = seconds;
	if (tts->rater)
		sn_rater_be_patient(tts->rater, seconds);
}

void sn_tts_hunger(sn_tts *tts) {
	sn_sched_lock(tts->engine->sched);
	sn_sched_hunger(&tts->job);
	sn_sched_unlock(tts->engine->sched);
}

void sn_tts_signal_end(sn_tts *tts) {
	sn_sched_hunger(&tts->job);
	sn_sched_signal(tts->engine->sched, &tts->job);
}

/* Waits for a step of the session, lock held. 0: the caller's patience is at its end. */
static int wait_for_step(sn_tts *tts) { return tts->patience > 0 && sn_sched_wait(tts->engine->sched, &tts->job, tts->patience); }

/* What ended the session, lock held; SN_OK when nothing did. */
static int ended(const sn_tts *tts, char *err) {
	if (tts->cancelled)
		return sn_fail(err, SN_E_CANCELLED, "the session was cancelled");
	return tts->error ? sn_fail(err, tts->error, "%s", tts->message) : SN_OK;
}

/* Has the queue no room for `size` more bytes? An empty one always has. Lock held. */
static int is_full(const sn_tts *tts, size_t size) {
	return tts->waiting && tts->waiting + tts->in.text.size + size > SN_TTS_MAX_TEXT;
}

/* Until the caller pulls nothing moves. Lock held. */
static int is_stuck(const sn_tts *tts) { return tts->chunk_count == SN_TTS_MAX_CHUNKS || tts->awaits; }

int sn_tts_push(sn_tts *tts, const char *text, size_t size, char *err) {
	if (size > SN_TTS_MAX_TEXT)
		return sn_fail(err, SN_E_LIMIT, "%zu bytes of text in one push; at most %zu are taken", size, SN_TTS_MAX_TEXT);
	sn_sched *sched = tts->engine->sched;
	int result, waits = 1;
	sn_sched_lock(sched);
	while ((result = ended(tts, err)) == SN_OK && !tts->finished && is_full(tts, size) && !is_stuck(tts) && waits)
		waits = wait_for_step(tts);
	if (result == SN_OK && tts->finished)
		result = sn_fail(err, SN_E_CLOSED, "text was pushed after the session was finished");
	if (result == SN_OK && is_full(tts, size))
		result = SN_AGAIN;
	sn_sched_hunger(&tts->job);
	sn_sched_unlock(sched);
	return result == SN_OK ? sn_tts_text_push(tts, text, size, err) : result;
}

int sn_tts_finish(sn_tts *tts, char *err) {
	sn_sched *sched = tts->engine->sched;
	sn_sched_lock(sched);
	int result = ended(tts, err);
	if (result == SN_OK && tts->finished)
		result = sn_fail(err, SN_E_CLOSED, "the session is finished already");
	sn_sched_unlock(sched);
	if (result == SN_OK)
		result = sn_tts_text_finish(tts, err);
	sn_sched_lock(sched);
	tts->finished = 1;
	sn_sched_hunger(&tts->job);
	sn_sched_wake(sched, &tts->job);
	sn_sched_unlock(sched);
	return result;
}

int sn_tts_pull_made(sn_tts *tts, tts_chunk **chunk, char *err) {
	sn_sched *sched = tts->engine->sched;
	sn_sched_lock(sched);
	if (tts->borrowed) {
		tts->chunk_first = (tts->chunk_first + 1) % SN_TTS_MAX_CHUNKS;
		tts->chunk_count--;
		tts->borrowed = 0;
		sn_sched_wake(sched, &tts->job);
	}
	int waits = 1;
	while (!tts->cancelled && !tts->error && !tts->chunk_count && tts->finished && !tts->done && !tts->awaits && waits)
		waits = wait_for_step(tts);
	int result = tts->chunk_count && !tts->cancelled ? SN_OK : ended(tts, err); /* an error stands behind what was made before it */
	if (result == SN_OK && tts->chunk_count) {
		*chunk = &tts->chunks[tts->chunk_first];
		tts->borrowed = 1;
	} else if (result == SN_OK) {
		result = tts->done ? SN_END : tts->awaits ? SN_E_BUSY : SN_AGAIN;
		sn_sched_hunger(&tts->job);
	}
	sn_sched_unlock(sched);
	return result;
}

static int pull(sn_tts *tts, sn_audio *audio, char *err) {
	tts_chunk *chunk;
	if (tts->take.holds)
		return sn_tts_take_pull(tts, audio, err);
	int result = sn_tts_pull_made(tts, &chunk, err);
	if (result == SN_OK)
		*audio = (sn_audio){ .pcm = chunk->pcm, .count = chunk->count, .sample_rate = tts->rate, .sentence = chunk->sentence,
			.mark = chunk->is_mark ? chunk->mark : NULL };
	return result;
}

/* Lets the rater hear what was given out last. */
static int rate_given(sn_tts *tts, char *err) {
	size_t used;
	if (!tts->unrated_count)
		return SN_OK;
	sn_tts_hunger(tts); /* before what is waited for may happen */
	const int result = sn_rater_offer(tts->rater, tts->unrated, tts->unrated_count, &used, err);
	tts->unrated += used;
	tts->unrated_count -= result == SN_OK || result == SN_AGAIN ? used : tts->unrated_count;
	return result;
}

int sn_tts_pull(sn_tts *tts, sn_audio *audio, char *err) {
	int result = rate_given(tts, err);
	if (result != SN_OK)
		return result;
	result = pull(tts, audio, err);
	if (result == SN_AGAIN)
		sn_tts_text_hurry(tts);
	if (result == SN_OK && tts->rater) {
		tts->unrated = audio->pcm;
		tts->unrated_count = audio->count;
	}
	return result;
}

static void add_note(sn_speech *speech, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add_note(sn_speech *speech, const char *code, const char *format, ...) {
	if (speech->note_count == (int)(sizeof speech->notes / sizeof *speech->notes))
		return;
	sn_speech_note *note = &speech->notes[speech->note_count++];
	va_list args;
	va_start(args, format);
	snprintf(note->code, sizeof note->code, "%s", code);
	vsnprintf(note->message, sizeof note->message, format, args);
	va_end(args);
}

void sn_tts_result(const sn_tts *tts, sn_speech *speech) {
	sn_sched_lock(tts->engine->sched);
	*speech = (sn_speech){ .duration = (double)tts->samples / tts->rate, .first_audio = tts->first_audio,
		.processing_time = (tts->done ? tts->ended : sn_now()) - tts->opened, .sample_rate = tts->rate,
		.sentences = tts->in.sentences, .samples = tts->samples, .quality = tts->quality, .attempts = tts->most_attempts,
		.mark_count = tts->mark_count };
	speech->word_error_rate = tts->verified_words ? (float)tts->word_errors / (float)tts->verified_words : -1;
	memcpy(speech->marks, tts->marks, sizeof speech->marks);
	const int64_t clipped = tts->clipped;
	const sn_notes notes = tts->notes;
	sn_sched_unlock(tts->engine->sched);
	snprintf(speech->model, sizeof speech->model, "%s", tts->model->name);
	snprintf(speech->dtype, sizeof speech->dtype, "%s", sn_dtype_label(tts->model->dtype));
	snprintf(speech->voice, sizeof speech->voice, "%s", tts->voice.name);
	if (tts->vocoder)
		snprintf(speech->vocoder, sizeof speech->vocoder, "%s", tts->vocoder->name);
	if (tts->in.missing || tts->in.unspoken)
		add_note(speech, "left_out", "%zu characters or sounds that cannot be spoken by this voice were left out%s%s",
		         (size_t)tts->in.missing + tts->in.unspoken, *tts->in.sample ? ": " : "", tts->in.sample);
	if (tts->in.romanised)
		add_note(speech, "romanised", "the text was written in Latin letters by own rules, which are near to those that the voice was trained with");
	if (tts->mark_count > SN_SPEECH_MARKS)
		add_note(speech, "ssml_marks", "%d marks were reached; the first %d are listed", tts->mark_count, SN_SPEECH_MARKS);
	if (clipped)
		add_note(speech, "clipped", "%lld samples were louder than full scale and were clipped", (long long)clipped);
	for (int i = 0; i < notes.count; i++)
		add_note(speech, notes.note[i].code, "%s", notes.note[i].message);
}

/* The rating of all that was given out. A cancelled session waits no longer for it. */
static int rate(sn_tts *tts, sn_quality *quality, char *err) {
	int result, ends;
	do {
		sn_tts_hunger(tts);
		result = rate_given(tts, err);
		if (result == SN_OK && tts->samples)
			result = sn_rater_finish(tts->rater, quality, err);
		sn_sched_lock(tts->engine->sched);
		ends = result == SN_AGAIN ? ended(tts, err) : SN_OK;
		sn_sched_unlock(tts->engine->sched);
	} while (result == SN_AGAIN && ends != SN_E_CANCELLED && !isfinite(tts->patience));
	return ends == SN_E_CANCELLED ? ends : result;
}

int sn_tts_check(sn_tts *tts, sn_speech *speech, char *err) {
	sn_quality quality;
	sn_sched_lock(tts->engine->sched);
	const int over = tts->done || tts->error || tts->cancelled;
	sn_sched_unlock(tts->engine->sched);
	int result = over ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "the speech has not ended: pull until SN_END, then check");
	if (over && tts->rater && !tts->rated) {
		result = rate(tts, &quality, err);
		tts->rated = result != SN_AGAIN && result != SN_E_CANCELLED;
		if (result == SN_OK && tts->samples && quality.scores.windows) {
			tts->quality = quality.scores.overall;
			tts->background = quality.scores.background;
		}
		else if (result == SN_OK)
			sn_tts_note(tts, "not_rated", "no model that rates speech is installed");
	}
	sn_tts_result(tts, speech);
	return result;
}

void sn_tts_cancel(sn_tts *tts) {
	sn_sched_lock(tts->engine->sched);
	tts->cancelled = 1;
	sn_tts_signal_end(tts);
	sn_sched_unlock(tts->engine->sched);
}

void sn_tts_close(sn_tts **held) {
	sn_tts *tts = *held;
	*held = NULL;
	if (!tts)
		return;
	if (!tts->job.left)
		sn_sched_remove(tts->engine->sched, &tts->job);
	for (tts_item *item = tts->first, *next; item; item = next) {
		next = item->next;
		free(item);
	}
	free(tts->now);
	sn_tts_take_close(tts);
	sn_tts_text_close(&tts->in);
	sn_rater_close(&tts->rater);
	sn_model_release(&tts->verifier);
	for (int i = 0; i < SN_TTS_MAX_CHUNKS; i++)
		free(tts->chunks[i].pcm);
	sn_chain_free(&tts->chain);
	sn_voice_clear(&tts->voice);
	sn_model_release(&tts->vocoder);
	sn_model_release(&tts->model);
	free(tts);
}
