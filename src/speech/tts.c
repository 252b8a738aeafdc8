#include "speech/tts.h"

#include "base/clock.h"
#include "text/sentences.h"
#include "text/validate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTENCE_BYTES 600 /* a longer sentence is cut: about 40 s at the usual speed */
#define SENTENCE_LEAST 16  /* below that sentences are not cut */

static int make_buffers(sn_tts *tts, char *err) {
	sn_buf_init(&tts->text, SN_TTS_MAX_TEXT + 1);
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
	tts->job.step = sn_tts_step;
	tts->job.leave = sn_tts_leave;
	tts->job.left = 1;
	snprintf(tts->nothing, sizeof tts->nothing, "there was no text to speak");
	int result = sn_tts_configure(tts, o, err);
	if (result == SN_OK)
		result = make_buffers(tts, err);
	if (result == SN_OK)
		result = sn_sched_add(tts->engine->sched, &tts->job, err);
	if (result != SN_OK)
		sn_tts_close(&tts);
	*out = tts;
	return result;
}

/* Queues ids for the conductor: an sn_synth_emit. */
static int queue_ids(void *payload, const int32_t *ids, int count, size_t bytes, char *err) {
	sn_tts *tts = payload;
	if (count <= 0)
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
	int missing = 0;
	int result = m->class->encode(m->synth, m->engine->phonemizer, text, size, &tts->options, queue_ids, tts, &missing, err);
	tts->missing += missing;
	return result;
}

/* Bytes of a sentence beyond which it is cut; slow speech needs more frames for as many. */
static size_t most_bytes(const sn_tts *tts) {
	const int advice = tts->model->facts->max_bytes;
	const float most = advice && advice < SENTENCE_BYTES ? (float)advice : SENTENCE_BYTES;
	const size_t bytes = (size_t)(most * (tts->options.speed < 1 ? tts->options.speed : 1));
	return bytes < SENTENCE_LEAST ? SENTENCE_LEAST : bytes;
}

/* Cuts the text into sentences and queues all that are complete; at the end the last one, too. */
static int speak_text(sn_tts *tts, int at_end, char *err) {
	sn_spans spans;
	const char *const language = tts->options.language ? tts->options.language : tts->model->facts->language;
	if (!tts->text.size)
		return SN_OK;
	int result = sn_sentences(tts->text.data, tts->text.size, language, most_bytes(tts), &spans, err);
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
		*audio = (sn_audio){ .pcm = c->pcm, .count = c->count, .sample_rate = tts->rate, .sentence = c->sentence };
	} else if (result == SN_OK) {
		result = tts->done ? SN_END : SN_AGAIN;
	}
	sn_sched_unlock(sched);
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
		.sentences = tts->sentences, .samples = tts->samples };
	const int64_t clipped = tts->clipped;
	const sn_notes notes = tts->notes;
	sn_sched_unlock(tts->engine->sched);
	snprintf(speech->model, sizeof speech->model, "%s", tts->model->name);
	snprintf(speech->dtype, sizeof speech->dtype, "%s", sn_dtype_label(tts->model->dtype));
	snprintf(speech->voice, sizeof speech->voice, "%s", tts->voice.name);
	if (tts->vocoder)
		snprintf(speech->vocoder, sizeof speech->vocoder, "%s", tts->vocoder->name);
	if (tts->missing)
		add_note(speech, "left_out", "%d characters or sounds that the voice does not know were left out", tts->missing);
	if (clipped)
		add_note(speech, "clipped", "%lld samples were louder than full scale and were clipped", (long long)clipped);
	for (int i = 0; i < notes.count; i++)
		add_note(speech, notes.note[i].code, "%s", notes.note[i].message);
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
	sn_chain_free(&tts->chain);
	sn_voice_clear(&tts->voice);
	sn_buf_free(&tts->text);
	sn_model_release(&tts->vocoder);
	sn_model_release(&tts->model);
	free(tts);
}
