/* Text as it comes: decided to be SSML or not, and cut into sentences or clauses. */
#include "speech/tts.h"

#include "base/clock.h"
#include "text/clauses.h"
#include "text/inline.h"
#include "text/sentences.h"
#include "text/validate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AHEAD 1.5          /* seconds of speech ahead of the listener below which clauses are spoken */

void sn_tts_text_open(sn_tts *tts, const sn_tts_options *o) {
	tts_text *const in = &tts->in;
	sn_buf_init(&in->text, SN_TTS_MAX_TEXT + 1);
	sn_buf_init(&in->marks, (size_t)TTS_MARKS * TTS_NAME + 1);
	sn_buf_init(&in->head, SN_TTS_MAX_TEXT + 64);
	in->kind = o->ssml == SN_ON ? TTS_SSML : o->ssml == SN_OFF ? TTS_PLAIN : TTS_UNDECIDED;
	in->written = (sn_ssml_style){ .rate = 1, .pitch = 1, .gain = 1 };
	in->style = (tts_style){ .speed = tts->options.speed, .pitch = tts->options.pitch, .gain = 1, .language = tts->options.language,
		.voice = tts->options.voice };
	snprintf(in->style.reading, sizeof in->style.reading, "%s", sn_tts_reading(tts));
	in->normalise = o->normalise != SN_OFF;
	in->stream = o->stream == SN_ON;
	snprintf(in->nothing, sizeof in->nothing, "there was no text to speak");
}

void sn_tts_text_close(tts_text *in) {
	sn_ssml_close(&in->ssml);
	for (int i = 0; i < TTS_NORMALISERS; i++)
		sn_normaliser_close(&in->readers[i].normaliser);
	for (int i = 0; i < in->voice_count; i++)
		sn_voice_clear(&in->voices[i].voice);
	sn_buf_free(&in->text);
	sn_buf_free(&in->marks);
	sn_buf_free(&in->head);
}

void sn_tts_note(sn_tts *tts, const char *code, const char *format, ...) {
	char text[SN_NOTE_TEXT];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	sn_sched_lock(tts->engine->sched);
	sn_notes_add(&tts->notes, code, "%s", text);
	sn_sched_unlock(tts->engine->sched);
}

/* The text ends here: what was queued is spoken, then the session ends with the error. */
static int end_text(sn_tts *tts, int result, const char *message, char *err) {
	tts_text *const in = &tts->in;
	snprintf(in->message, sizeof in->message, "%s", message);
	in->broken = result;
	sn_buf_clear(&in->text);
	sn_buf_clear(&in->marks);
	tts_item *const item = sn_tts_item(TTS_ERROR, 0, NULL, 0, in->message, strlen(in->message), NULL);
	if (item) {
		item->error = result;
		sn_tts_queue(tts, item);
	}
	return sn_fail(err, result, "%s", in->message);
}

/* ---- cutting ---- */

/* A stretch of text as its sentences, the last of which ends where `ends` says so. */
static int speak_all(sn_tts *tts, const char *text, size_t size, int ends, char *err) {
	sn_spans spans;
	int result = sn_sentences(text, size, tts->in.style.reading, sn_tts_most_bytes(tts), &spans, err);
	for (int i = 0; result == SN_OK && i < spans.count; i++)
		result = sn_tts_speak(tts, text + spans.items[i].begin, spans.items[i].end - spans.items[i].begin,
		                    spans.items[i].sentence_end && (ends || i + 1 < spans.count), err);
	sn_spans_free(&spans);
	return result;
}

static void drop_front(sn_buf *text, size_t used) {
	if (!used)
		return;
	memmove(text->data, text->data + used, text->size - used + 1);
	text->size -= used;
}

/* May the listener be waiting, or soon? */
static int is_hungry(sn_tts *tts) {
	sn_sched_lock(tts->engine->sched);
	const double made = (double)tts->samples / tts->rate, heard = tts->samples ? sn_now() - tts->opened - tts->first_audio : 0;
	const int hungry = !tts->first && made - heard + (tts->speaking ? 1 : 0) < AHEAD;
	sn_sched_unlock(tts->engine->sched);
	return hungry;
}

static int speak_clauses(sn_tts *tts, char *err) {
	tts_text *const in = &tts->in;
	size_t used = 0;
	int result = SN_OK, sentence_end = 0;
	while (result == SN_OK) {
		const char *const rest = in->text.data + used;
		const size_t end = sn_clause_end(rest, in->text.size - used, in->style.reading, is_hungry(tts), &sentence_end);
		if (!end)
			break;
		result = speak_all(tts, rest, end, sentence_end, err);
		used += end;
	}
	drop_front(&in->text, used);
	return result;
}

/* Queues all sentences that are whole. One that never ends is cut at the model's length. */
static int speak_ready(sn_tts *tts, char *err) {
	tts_text *const in = &tts->in;
	sn_spans spans;
	if (!in->text.size)
		return SN_OK;
	int result = in->stream ? speak_clauses(tts, err) : SN_OK;
	if (result != SN_OK || (in->stream && in->text.size < 2 * sn_tts_most_bytes(tts)))
		return result;
	result = sn_sentences(in->text.data, in->text.size, in->style.reading, sn_tts_most_bytes(tts), &spans, err);
	const int ready = spans.count - 1;
	for (int i = 0; i < ready && result == SN_OK; i++) {
		const sn_span *const span = &spans.items[i];
		result = sn_tts_speak(tts, in->text.data + span->begin, span->end - span->begin, span->sentence_end, err);
	}
	if (result == SN_OK && ready > 0)
		drop_front(&in->text, spans.items[ready].begin);
	sn_spans_free(&spans);
	return result;
}

int sn_tts_text_flush(sn_tts *tts, int sentence_end, char *err) {
	tts_text *const in = &tts->in;
	if (!in->text.size)
		return SN_OK;
	int result = speak_all(tts, in->text.data, in->text.size, sentence_end, err);
	sn_buf_clear(&in->text);
	return result;
}

int sn_tts_text_hurry(sn_tts *tts) {
	tts_text *const in = &tts->in;
	char err[SN_ERRLEN];
	const int before = in->items;
	if (!in->stream || !in->text.size || in->broken)
		return 0;
	int result = speak_clauses(tts, err);
	if (result != SN_OK)
		end_text(tts, result, err, NULL);
	return in->items > before;
}

/* ---- text that comes in ---- */

/* Cleaned text; what has no letter yet is no mistake. */
static int clean(sn_tts *tts, const char *text, size_t size, sn_buf *out, char *err) {
	char reason[SN_ERRLEN] = "";
	sn_text_facts facts;
	int result = sn_text_validate(text, size, out, &facts, reason);
	if (result == SN_E_ARGUMENT) {
		snprintf(tts->in.nothing, sizeof tts->in.nothing, "%s", reason);
		result = out->failed;
	}
	return result == SN_OK ? SN_OK : sn_fail(err, result, "%s", reason);
}

int sn_tts_text_add(sn_tts *tts, const char *text, size_t size, char *err) {
	sn_buf *const to = &tts->in.text;
	sn_buf cleaned;
	sn_buf_init(&cleaned, SN_TTS_MAX_TEXT + 1);
	int result = clean(tts, text, size, &cleaned, err);
	if (result == SN_OK && to->size + cleaned.size > SN_TTS_MAX_TEXT)
		result = sn_fail(err, SN_E_LIMIT, "a sentence of more than %zu bytes", SN_TTS_MAX_TEXT);
	if (result == SN_OK && cleaned.size && sn_buf_add(to, cleaned.data, cleaned.size) != SN_OK)
		result = sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of text", cleaned.size);
	sn_buf_free(&cleaned);
	return result;
}

int sn_tts_text_mark(sn_tts *tts, const char *name, char *err) {
	tts_text *const in = &tts->in;
	char padded[TTS_NAME] = "";
	if (!in->text.size)
		return sn_tts_queue_mark(tts, name, err);
	snprintf(padded, sizeof padded, "%s", name);
	if (in->text.size + SN_INLINE_BYTES > SN_TTS_MAX_TEXT || in->marks.size + TTS_NAME > (size_t)TTS_MARKS * TTS_NAME)
		return sn_fail(err, SN_E_LIMIT, "more than %d marks in one sentence", TTS_MARKS);
	/* the name first: text with more marks than names could not be spoken */
	if (sn_buf_add(&in->marks, padded, sizeof padded) != SN_OK || sn_buf_text(&in->text, SN_INLINE_MARK) != SN_OK)
		return sn_fail(err, SN_E_MEMORY, "no memory for a mark");
	return SN_OK;
}

static int push_ssml(sn_tts *tts, const char *text, size_t size, int last, char *err) {
	tts_text *const in = &tts->in;
	char reason[SN_ERRLEN] = "";
	int result = in->ssml ? SN_OK : sn_ssml_open(&in->ssml, sn_tts_ssml_event, tts, reason);
	if (result == SN_OK)
		result = sn_ssml_push(in->ssml, text, size, last, reason);
	if (result == SN_OK && !last)
		result = speak_ready(tts, reason);
	if (result != SN_OK) /* what was read before it is spoken */
		sn_tts_text_flush(tts, 1, NULL);
	return result == SN_OK ? SN_OK : end_text(tts, result, reason, err);
}

static int push_plain(sn_tts *tts, const char *text, size_t size, char *err) {
	char reason[SN_ERRLEN] = "";
	int result = sn_tts_text_add(tts, text, size, err);
	if (result != SN_OK)
		return result;
	result = speak_ready(tts, reason);
	return result == SN_OK ? SN_OK : end_text(tts, result, reason, err);
}

/* Collects text until it shows whether it is SSML. */
static int push_undecided(sn_tts *tts, const char *text, size_t size, int last, char *err) {
	tts_text *const in = &tts->in;
	const size_t before = in->head.size;
	if (sn_buf_add(&in->head, text, size) != SN_OK)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of text", size);
	int is = sn_ssml_begins(in->head.data, in->head.size);
	if (is < 0 && !last)
		return SN_OK;
	in->kind = is > 0 ? TTS_SSML : TTS_PLAIN;
	int result = is > 0 ? push_ssml(tts, in->head.data, in->head.size, 0, err) : push_plain(tts, in->head.data, in->head.size, err);
	if (result != SN_OK && !in->broken) { /* refused: as if it had not come */
		in->kind = TTS_UNDECIDED;
		in->head.size = before;
		return result;
	}
	sn_buf_clear(&in->head);
	return result;
}

int sn_tts_text_push(sn_tts *tts, const char *text, size_t size, char *err) {
	tts_text *const in = &tts->in;
	if (in->broken)
		return sn_fail(err, in->broken, "%s", in->message);
	if (!size)
		return SN_OK;
	if (in->kind == TTS_UNDECIDED)
		return push_undecided(tts, text, size, 0, err);
	return in->kind == TTS_SSML ? push_ssml(tts, text, size, 0, err) : push_plain(tts, text, size, err);
}

int sn_tts_text_finish(sn_tts *tts, char *err) {
	tts_text *const in = &tts->in;
	char reason[SN_ERRLEN] = "";
	int result = in->broken ? sn_fail(err, in->broken, "%s", in->message) : SN_OK;
	if (result == SN_OK && in->kind == TTS_UNDECIDED && in->head.size)
		result = push_undecided(tts, "", 0, 1, err);
	if (result == SN_OK && in->kind == TTS_SSML)
		result = push_ssml(tts, "", 0, 1, err);
	if (result == SN_OK && (result = sn_tts_text_flush(tts, 1, reason)) != SN_OK)
		return end_text(tts, result, reason, err);
	if (result == SN_OK && !in->items && (in->missing || in->unspoken))
		return sn_fail(err, SN_E_ARGUMENT,
		               "there is nothing to speak: the voice \"%.64s\" of \"%.128s\" knows none of the %zu characters or sounds%s%s",
		               *tts->voice.name ? tts->voice.name : "default", tts->model->name, (size_t)in->missing + in->unspoken,
		               tts->model->facts->letters ? "; its letters are " : "", tts->model->facts->letters ? tts->model->facts->letters : "");
	return result == SN_OK && !in->items ? sn_fail(err, SN_E_ARGUMENT, "%s", in->nothing) : result;
}
