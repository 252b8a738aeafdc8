/* One call from audio to a transcript: reads, pushes, pulls and collects. */
#include "audio/decode.h"
#include "base/buf.h"
#include "base/clock.h"
#include "speech/engine.h"
#include "speech/notes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 16384
#define MAX_TEXT ((size_t)64 << 20)
#define MAX_SEGMENTS ((size_t)1 << 20)

/* What a transcript's pointers point to. */
typedef struct transcript {
	sn_transcript t; /* first: callers see only this */
	size_t room;
	sn_buf text;
	sn_notes notes;
	sn_note note_list[SN_MAX_NOTES];
	char language[8], model[SN_STORE_NAME];
} transcript;

static transcript *transcript_new(const sn_model *model, const sn_stt_options *o) {
	transcript *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	sn_buf_init(&r->text, MAX_TEXT);
	snprintf(r->model, sizeof r->model, "%s", model->name);
	r->t.model = r->model;
	r->t.dtype = sn_dtype_label(model->dtype);
	r->t.language = r->language;
	r->t.task = o && o->task && strcmp(o->task, "translate") == 0 ? "translate" : "transcribe";
	return r;
}

void sn_transcript_free(sn_transcript **held) {
	transcript *r = (transcript *)*held;
	*held = NULL;
	if (!r)
		return;
	for (size_t i = 0; i < r->t.segment_count; i++)
		free((void *)(uintptr_t)r->t.segments[i].tokens); /* all that it points to lies behind them */
	free(r->t.segments);
	sn_buf_free(&r->text);
	free(r);
}

/* All that a segment points to in one block: tokens, words, texts. 0: no memory. */
static int copy_segment(sn_segment *to, const sn_segment *s) {
	const size_t words = (size_t)s->word_count * sizeof *s->words;
	const size_t tokens = ((size_t)s->token_count * sizeof *s->tokens + _Alignof(sn_word) - 1) / _Alignof(sn_word) * _Alignof(sn_word);
	size_t texts = strlen(s->text) + 1;
	for (int i = 0; i < s->word_count; i++)
		texts += strlen(s->words[i].text) + 1;
	char *const block = malloc(tokens + words + texts);
	if (!block)
		return 0;
	int32_t *const ids = (int32_t *)(void *)block;
	sn_word *const copies = (sn_word *)(void *)(block + tokens);
	char *text = block + tokens + words;
	*to = *s;
	for (int i = 0; i < s->token_count; i++)
		ids[i] = s->tokens[i];
	to->tokens = ids;
	to->text = strcpy(text, s->text);
	for (int i = 0; i < s->word_count; i++) {
		text += strlen(text) + 1;
		copies[i] = s->words[i];
		copies[i].text = strcpy(text, s->words[i].text);
	}
	to->words = s->word_count ? copies : NULL;
	return 1;
}

static int add_segment(transcript *r, const sn_segment *s, char *err) {
	if (r->t.segment_count == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		sn_segment *grown = room <= MAX_SEGMENTS ? realloc(r->t.segments, room * sizeof *grown) : NULL;
		if (!grown)
			return sn_fail(err, SN_E_MEMORY, "no memory for %zu segments", room);
		r->t.segments = grown;
		r->room = room;
	}
	sn_segment *to = &r->t.segments[r->t.segment_count];
	if (!copy_segment(to, s))
		return sn_fail(err, SN_E_MEMORY, "no memory for a segment of %d words", s->word_count);
	r->t.segment_count++;
	const char *words = r->text.size ? s->text : s->text + strspn(s->text, " ");
	return sn_buf_text(&r->text, words) == SN_OK ? SN_OK : sn_fail(err, SN_E_LIMIT, "the text is longer than %zu bytes",
	                                                               MAX_TEXT);
}

static int take_event(transcript *r, const sn_event *e, const sn_stt_options *o, char *err) {
	if (e->kind == SN_EVENT_LANGUAGE) {
		snprintf(r->language, sizeof r->language, "%s", e->language);
		r->t.language_confidence = e->language_confidence;
	} else if (e->kind == SN_EVENT_NOTE) {
		sn_notes_add(&r->notes, e->note.code, "%s", e->note.message);
	} else {
		int result = add_segment(r, &e->segment, err);
		if (result == SN_OK && o && o->segment)
			o->segment(o->payload, &r->t.segments[r->t.segment_count - 1]);
		return result;
	}
	return SN_OK;
}

/* Takes what is ready. SN_AGAIN and SN_END as sn_stt_pull. */
static int drain(transcript *r, sn_stt *stt, const sn_stt_options *o, double total, char *err) {
	sn_event event;
	int result;
	while ((result = sn_stt_pull(stt, &event, err)) == SN_OK) {
		result = take_event(r, &event, o, err);
		if (result != SN_OK)
			return result;
		if (o && o->progress && o->progress(o->payload, event.position, total) != 0)
			return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
	}
	return result;
}

static int push_all(transcript *r, sn_stt *stt, const float *pcm, size_t count, const sn_stt_options *o, double total,
                    char *err) {
	int result;
	while ((result = sn_stt_push(stt, pcm, count, err)) == SN_AGAIN)
		if ((result = drain(r, stt, o, total, err)) != SN_AGAIN)
			return result;
	if (result == SN_OK)
		result = drain(r, stt, o, total, err);
	return result == SN_AGAIN ? SN_OK : result;
}

static void complete(transcript *r, double started) {
	double weight = 0, sum = 0;
	for (size_t i = 0; i < r->t.segment_count; i++) {
		const sn_segment *s = &r->t.segments[i];
		double length = s->end - s->start > 0.01 ? s->end - s->start : 0.01;
		weight += length;
		sum += length * (double)s->confidence;
	}
	r->t.avg_confidence = weight > 0 ? (float)(sum / weight) : 0;
	while (r->text.size && isspace((unsigned char)r->text.data[r->text.size - 1]))
		r->text.data[--r->text.size] = 0;
	r->t.text = r->text.data ? r->text.data : "";
	for (int i = 0; i < r->notes.count; i++)
		r->note_list[i] = (sn_note){ r->notes.note[i].code, r->notes.note[i].message };
	r->t.notes = r->note_list;
	r->t.note_count = (size_t)r->notes.count;
	r->t.processing_time = sn_now() - started;
}

/* Where samples come from: a decoder, or memory. */
typedef struct source {
	sn_decoder *decoder;
	const float *pcm;
	size_t count;
} source;

static int feed(transcript *r, sn_stt *stt, source *from, const sn_stt_options *o, char *err) {
	float block[BLOCK];
	const sn_audio_info *info = from->decoder ? sn_decoder_get_info(from->decoder) : NULL;
	double total = !info ? (double)from->count / SN_STT_RATE : info->frames > 0 ? (double)info->frames / info->rate : 0;
	int64_t samples = 0;
	int result = SN_OK;
	while (result == SN_OK) {
		size_t got = from->count < BLOCK ? from->count : BLOCK;
		const float *pcm = from->decoder ? block : from->pcm;
		if (from->decoder) {
			result = sn_decoder_read(from->decoder, block, BLOCK, &got, err);
			if (result != SN_OK)
				break;
		} else if (got == 0) {
			break;
		}
		from->pcm += from->decoder ? 0 : got;
		from->count -= from->decoder ? 0 : got;
		samples += (int64_t)got;
		result = push_all(r, stt, pcm, got, o, total, err);
	}
	r->t.duration = (double)samples / SN_STT_RATE;
	if (result == SN_END && samples == 0)
		return sn_fail(err, SN_E_FORMAT, "there are no samples in it");
	return result == SN_END ? SN_OK : result;
}

static int run(sn_transcript **out, sn_model *model, source *from, const sn_stt_options *o, double started, char *err) {
	sn_stt *stt = NULL;
	transcript *r = transcript_new(model, o);
	sn_transcript *t = r ? &r->t : NULL;
	int result = r ? sn_stt_open(&stt, model, o, err) : sn_fail(err, SN_E_MEMORY, "no memory for a transcript");
	if (result == SN_OK)
		result = feed(r, stt, from, o, err);
	if (result == SN_OK)
		result = sn_stt_finish(stt, err);
	if (result == SN_OK)
		result = drain(r, stt, o, r->t.duration, err);
	sn_stt_close(&stt);
	if (result == SN_END) {
		if (from->decoder && sn_decoder_get_info(from->decoder)->note[0])
			sn_notes_add(&r->notes, sn_decoder_get_info(from->decoder)->truncated ? "truncated" : "audio", "%s",
			             sn_decoder_get_info(from->decoder)->note);
		complete(r, started);
		*out = t;
		return SN_OK;
	}
	sn_transcript_free(&t);
	return result;
}

int sn_transcribe_file(sn_transcript **out, sn_model *model, const char *path, const sn_stt_options *options, char *err) {
	const double started = sn_now();
	source from = { .count = 0 };
	*out = NULL;
	int result = strcmp(path, "-") == 0 ? sn_decoder_open_fd(&from.decoder, STDIN_FILENO, "standard input", SN_STT_RATE, err)
	                                    : sn_decoder_open_path(&from.decoder, path, SN_STT_RATE, err);
	if (result == SN_OK)
		result = run(out, model, &from, options, started, err);
	sn_decoder_close(&from.decoder);
	return result;
}

int sn_transcribe_memory(sn_transcript **out, sn_model *model, const void *data, size_t size, const sn_stt_options *options,
                         char *err) {
	const double started = sn_now();
	source from = { .count = 0 };
	*out = NULL;
	int result = sn_decoder_open_memory(&from.decoder, data, size, "the audio", SN_STT_RATE, err);
	if (result == SN_OK)
		result = run(out, model, &from, options, started, err);
	sn_decoder_close(&from.decoder);
	return result;
}

int sn_transcribe_pcm(sn_transcript **out, sn_model *model, const float *pcm, size_t count, const sn_stt_options *options,
                      char *err) {
	source from = { .pcm = pcm, .count = count };
	*out = NULL;
	return run(out, model, &from, options, sn_now(), err);
}
