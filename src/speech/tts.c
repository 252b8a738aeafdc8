#include "speech/tts.h"

#include "base/clock.h"
#include "speech/languages.h"
#include "text/sentences.h"
#include "text/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTENCE_BYTES 600 /* a longer sentence is cut: about 40 s at the usual speed */

static int set_voice(sn_tts *tts, const char *voice, char *err) {
	const int speakers = tts->config->speakers;
	tts->options.speaker = tts->model->piper ? sn_piper_get_config(tts->model->piper)->default_speaker : 0;
	if (!voice || strcmp(voice, "default") == 0)
		return SN_OK;
	char *end;
	long number = strtol(voice, &end, 10);
	int speaker = tts->model->piper ? sn_piper_speaker(tts->model->piper, voice) : -1;
	if (speaker < 0 && end != voice && !*end && number >= 0 && number < speakers)
		speaker = (int)number;
	if (speaker < 0)
		return sn_fail(err, SN_E_NOT_FOUND, "the model \"%s\" has no voice \"%s\"; it has %d, numbered from 0", tts->model->name,
		               voice, speakers);
	tts->options.speaker = speaker;
	return SN_OK;
}

static int set_language(sn_tts *tts, const char *language, char *err) {
	char asked[8], own[8];
	if (!language || strcmp(language, "auto") == 0)
		return SN_OK;
	if (!sn_language_code(language, asked, sizeof asked))
		return sn_fail(err, SN_E_ARGUMENT, "language \"%s\" is neither a code like \"en\", nor a name like \"english\", nor \"auto\"",
		               language);
	if (sn_language_code(tts->model->language, own, sizeof own) && strcmp(asked, own) != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" speaks \"%s\", not \"%s\"", tts->model->name, own, language);
	return SN_OK;
}

static int in_range(float value, float least, float most) { return value >= least && value <= most; }

static int set_numbers(sn_tts *tts, const sn_tts_options *o, char *err) {
	if (o->speed != 0 && !in_range(o->speed, 0.25f, 4))
		return sn_fail(err, SN_E_ARGUMENT, "speed %g is outside 0.25 to 4", (double)o->speed);
	if (!(o->noise <= 2) || !(o->noise_duration <= 2))
		return sn_fail(err, SN_E_ARGUMENT, "noise %g and noise_duration %g must be at most 2", (double)o->noise,
		               (double)o->noise_duration);
	if (!in_range(o->pause, 0, 10))
		return sn_fail(err, SN_E_ARGUMENT, "a pause of %g s is outside 0 to 10", (double)o->pause);
	if (o->priority < SN_PRIORITY_INTERACTIVE || o->priority > SN_PRIORITY_BATCH)
		return sn_fail(err, SN_E_ARGUMENT, "priority %d is none of sn_priority", (int)o->priority);
	tts->speed = o->speed != 0 ? o->speed : 1;
	tts->options.length_scale = tts->config->length_scale / tts->speed;
	tts->options.noise_scale = o->noise < 0 ? 0 : o->noise > 0 ? o->noise : -1;
	tts->options.noise_duration = o->noise_duration < 0 ? 0 : o->noise_duration > 0 ? o->noise_duration : -1;
	tts->pause = (int64_t)((double)o->pause * tts->config->sample_rate);
	tts->seed = o->seed;
	tts->job.priority = o->priority;
	return SN_OK;
}

static int make_buffers(sn_tts *tts, char *err) {
	sn_buf_init(&tts->text, SN_TTS_MAX_TEXT + 1);
	for (int i = 0; i < SN_TTS_MAX_CHUNKS; i++) {
		tts->chunks[i].pcm = malloc((size_t)SN_TTS_CHUNK_FRAMES * (size_t)tts->config->hop * sizeof(float));
		if (!tts->chunks[i].pcm)
			return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	}
	return sn_vits_stream_new(&tts->stream, tts->model->vits, err);
}

int sn_tts_open(sn_tts **out, sn_model *model, const sn_tts_options *options, char *err) {
	static const sn_tts_options defaults;
	const sn_tts_options *const o = options ? options : &defaults;
	*out = NULL;
	if (model->architecture != SN_ARCH_VITS)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not speak; \"joe\" does", model->name);
	sn_tts *tts = calloc(1, sizeof *tts);
	if (!tts)
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	sn_model_retain(model);
	tts->opened = sn_now();
	tts->model = model;
	tts->engine = model->engine;
	tts->config = sn_vits_get_config(model->vits);
	tts->last = &tts->first;
	tts->job.step = sn_tts_step;
	tts->job.leave = sn_tts_leave;
	tts->job.left = 1;
	snprintf(tts->nothing, sizeof tts->nothing, "there was no text to speak");
	int result = set_numbers(tts, o, err);
	if (result == SN_OK)
		result = set_voice(tts, o->voice, err);
	if (result == SN_OK)
		result = set_language(tts, o->language, err);
	if (result == SN_OK)
		result = make_buffers(tts, err);
	if (result == SN_OK)
		result = sn_sched_add(tts->engine->sched, &tts->job, err);
	if (result != SN_OK)
		sn_tts_close(&tts);
	*out = tts;
	return result;
}

/* Queues ids for the conductor. */
static int queue_ids(sn_tts *tts, const int32_t *ids, int count, size_t bytes, char *err) {
	if (count == 0)
		return SN_OK;
	tts_sentence *s = malloc(sizeof *s + (size_t)count * sizeof *ids);
	if (!s)
		return sn_fail(err, SN_E_MEMORY, "no memory for a sentence of %d ids", count);
	*s = (tts_sentence){ .bytes = bytes, .index = tts->sentences++, .count = count };
	memcpy(s->ids, ids, (size_t)count * sizeof *ids);
	sn_sched_lock(tts->engine->sched);
	*tts->last = s;
	tts->last = &s->next;
	tts->waiting += bytes;
	sn_sched_wake(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
	return SN_OK;
}

static int speak_span(sn_tts *tts, const char *text, size_t size, char *err) {
	const sn_model *const m = tts->model;
	const float share = tts->speed < 1 ? tts->speed : 1; /* slow speech needs more frames for as many ids */
	const int most = (int)((float)SN_VITS_MAX_TOKENS * share);
	if (m->chars) {
		int32_t ids[SN_VITS_MAX_TOKENS];
		int count, missing = 0;
		int result = sn_chars_encode(m->chars, m->engine->phonemizer, text, size, ids, most, &count, &missing, err);
		tts->missing += missing;
		return result == SN_OK ? queue_ids(tts, ids, count, size, err) : result;
	}
	sn_piper_sentences sentences;
	int result = sn_piper_run(m->piper, m->engine->phonemizer, text, size, most, &sentences, err);
	if (result != SN_OK)
		return result;
	for (int i = 0; i < sentences.count && result == SN_OK; i++) {
		const sn_piper_sentence *s = &sentences.items[i];
		tts->missing += s->missing;
		result = queue_ids(tts, s->ids, s->count, s->end - s->begin, err);
	}
	sn_piper_sentences_free(&sentences);
	return result;
}

/* Cuts the text into sentences and queues all that are complete; at the end the last one, too. */
static int speak_text(sn_tts *tts, int at_end, char *err) {
	sn_spans spans;
	const size_t most = (size_t)(SENTENCE_BYTES * (tts->speed < 1 ? tts->speed : 1));
	if (!tts->text.size)
		return SN_OK;
	int result = sn_sentences(tts->text.data, tts->text.size, tts->model->language, most, &spans, err);
	if (result != SN_OK)
		return result;
	int ready = at_end ? spans.count : spans.count - 1;
	for (int i = 0; i < ready && result == SN_OK; i++)
		result = speak_span(tts, tts->text.data + spans.items[i].begin, spans.items[i].end - spans.items[i].begin, err);
	size_t used = at_end ? tts->text.size : ready > 0 ? spans.items[ready].begin : 0;
	sn_spans_free(&spans);
	memmove(tts->text.data, tts->text.data + used, tts->text.size - used + 1);
	tts->text.size -= used;
	return result;
}

/* What ended the session, lock held; SN_OK when nothing did. */
static int ended(const sn_tts *tts, char *err) {
	if (tts->cancelled)
		return sn_fail(err, SN_E_CANCELLED, "the session was cancelled");
	return tts->error ? sn_fail(err, tts->error, "%s", tts->message) : SN_OK;
}

/* Has the queue no room for `size` more bytes? An empty one always has. Lock held. */
static int is_full(const sn_tts *tts, size_t size) {
	return tts->waiting && tts->waiting + tts->text.size + size > SN_TTS_MAX_TEXT;
}

int sn_tts_push(sn_tts *tts, const char *text, size_t size, char *err) {
	if (size > SN_TTS_MAX_TEXT)
		return sn_fail(err, SN_E_LIMIT, "%zu bytes of text in one push; at most %zu are taken", size, SN_TTS_MAX_TEXT);
	sn_sched *sched = tts->engine->sched;
	int result;
	sn_sched_lock(sched);
	while ((result = ended(tts, err)) == SN_OK && !tts->finished && is_full(tts, size) && tts->chunk_count < SN_TTS_MAX_CHUNKS)
		sn_sched_wait(sched, &tts->job);
	if (result == SN_OK && tts->finished)
		result = sn_fail(err, SN_E_CLOSED, "text was pushed after the session was finished");
	if (result == SN_OK && is_full(tts, size))
		result = SN_AGAIN;
	sn_sched_unlock(sched);
	if (result != SN_OK)
		return result;
	sn_buf clean;
	sn_text_facts facts;
	sn_buf_init(&clean, SN_TTS_MAX_TEXT + 1);
	result = sn_text_validate(text, size, &clean, &facts, err);
	if (result == SN_E_ARGUMENT) { /* no letters in this piece: perhaps in the next */
		if (err)
			snprintf(tts->nothing, sizeof tts->nothing, "%s", err);
		result = SN_OK;
	}
	if (result == SN_OK && tts->text.size + clean.size > SN_TTS_MAX_TEXT)
		result = sn_fail(err, SN_E_LIMIT, "a sentence of more than %zu bytes", SN_TTS_MAX_TEXT);
	if (result == SN_OK && clean.size && sn_buf_add(&tts->text, clean.data, clean.size) != SN_OK)
		result = sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of text", clean.size);
	sn_buf_free(&clean);
	return result == SN_OK ? speak_text(tts, 0, err) : result;
}

int sn_tts_finish(sn_tts *tts, char *err) {
	sn_sched *sched = tts->engine->sched;
	sn_sched_lock(sched);
	int result = ended(tts, err);
	if (result == SN_OK && tts->finished)
		result = sn_fail(err, SN_E_CLOSED, "the session is finished already");
	sn_sched_unlock(sched);
	if (result == SN_OK)
		result = speak_text(tts, 1, err);
	if (result == SN_OK && tts->sentences == 0)
		result = sn_fail(err, SN_E_ARGUMENT, "%s", tts->nothing);
	sn_sched_lock(sched);
	tts->finished = 1;
	sn_sched_wake(sched, &tts->job);
	sn_sched_unlock(sched);
	return result;
}

int sn_tts_pull(sn_tts *tts, sn_audio *audio, char *err) {
	sn_sched *sched = tts->engine->sched;
	sn_sched_lock(sched);
	if (tts->borrowed) {
		tts->chunk_first = (tts->chunk_first + 1) % SN_TTS_MAX_CHUNKS;
		tts->chunk_count--;
		tts->borrowed = 0;
		sn_sched_wake(sched, &tts->job);
	}
	int result;
	while ((result = ended(tts, err)) == SN_OK && !tts->chunk_count && tts->finished && !tts->done)
		sn_sched_wait(sched, &tts->job);
	if (result == SN_OK && tts->chunk_count) {
		const tts_chunk *c = &tts->chunks[tts->chunk_first];
		tts->borrowed = 1;
		*audio = (sn_audio){ .pcm = c->pcm, .count = c->count, .sample_rate = tts->config->sample_rate, .sentence = c->sentence };
	} else if (result == SN_OK) {
		result = tts->done ? SN_END : SN_AGAIN;
	}
	sn_sched_unlock(sched);
	return result;
}

static void add_note(sn_speech *speech, const char *code, long long number, const char *text) {
	sn_speech_note *note = &speech->notes[speech->note_count++];
	snprintf(note->code, sizeof note->code, "%s", code);
	snprintf(note->message, sizeof note->message, "%lld %s", number, text);
}

void sn_tts_result(const sn_tts *tts, sn_speech *speech) {
	sn_sched_lock(tts->engine->sched);
	*speech = (sn_speech){ .duration = (double)tts->samples / tts->config->sample_rate, .first_audio = tts->first_audio,
		.processing_time = (tts->done ? tts->ended : sn_now()) - tts->opened, .sample_rate = tts->config->sample_rate,
		.sentences = tts->sentences, .samples = tts->samples };
	const int64_t clipped = tts->clipped;
	sn_sched_unlock(tts->engine->sched);
	snprintf(speech->model, sizeof speech->model, "%s", tts->model->name);
	snprintf(speech->dtype, sizeof speech->dtype, "%s", sn_dtype_label(tts->model->dtype));
	const char *name = tts->model->piper ? sn_piper_speaker_name(tts->model->piper, tts->options.speaker) : NULL;
	if (name)
		snprintf(speech->voice, sizeof speech->voice, "%s", name);
	else
		snprintf(speech->voice, sizeof speech->voice, "%d", tts->options.speaker);
	if (tts->missing)
		add_note(speech, "left_out", tts->missing, "characters or sounds that the voice does not know were left out");
	if (clipped)
		add_note(speech, "clipped", (long long)clipped, "samples were louder than full scale and were clipped");
}

void sn_tts_cancel(sn_tts *tts) {
	sn_sched_lock(tts->engine->sched);
	tts->cancelled = 1;
	sn_sched_signal(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
}

void sn_tts_close(sn_tts **held) {
	sn_tts *tts = *held;
	*held = NULL;
	if (!tts)
		return;
	if (!tts->job.left)
		sn_sched_remove(tts->engine->sched, &tts->job);
	for (tts_sentence *s = tts->first, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	for (int i = 0; i < SN_TTS_MAX_CHUNKS; i++)
		free(tts->chunks[i].pcm);
	sn_vits_stream_free(&tts->stream);
	sn_buf_free(&tts->text);
	sn_model_release(&tts->model);
	free(tts);
}
