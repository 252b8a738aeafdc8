/* One call from audio to a transcript: reads, pushes, pulls and collects; and again with other models where the result is doubtful. */
#include "audio/decode.h"
#include "audio/validate.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "base/clock.h"
#include "speech/engine.h"
#include "speech/notes.h"
#include "speech/retry.h"
#include "speech/stt.h"
#include "speech/tick.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 16384
#define MAX_TEXT ((size_t)64 << 20)
#define MAX_SEGMENTS ((size_t)1 << 20)
#define CLIPPED 0.001 /* share of samples at full scale from which on the recording counts as clipped */

/* What a transcript's pointers point to. */
typedef struct transcript {
	sn_transcript t; /* first: callers see only this */
	size_t room;
	int keep;                     /* segments and text; otherwise they only pass by */
	double weight, sum;           /* of the segments' confidences */
	sn_buf text;
	sn_notes notes;
	sn_note note_list[SN_MAX_NOTES];
	char language[SN_CTC_LANGUAGE], model[SN_STORE_NAME];
	sn_attempt attempt[SN_MAX_RETRIES + 1];
	char attempt_model[SN_MAX_RETRIES + 1][SN_STORE_NAME];
	sn_tick tick;
} transcript;

/* Segments are then shown when it is known which model's are kept. */
static int may_retry(const sn_stt_options *o) { return o && o->min_confidence > 0 && o->retry_model_count > 0; }

static transcript *transcript_new(const sn_model *model, const sn_stt_options *o) {
	transcript *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	sn_buf_init(&r->text, MAX_TEXT);
	snprintf(r->model, sizeof r->model, "%s", model->name);
	r->t.model = r->model;
	r->t.dtype = sn_dtype_label(model->dtype);
	r->t.language = r->language;
	r->keep = !o || o->keep != SN_OFF || may_retry(o);
	if (o)
		r->tick = (sn_tick){ .progress = o->progress, .payload = o->payload };
	r->t.task = o && o->task && strcmp(o->task, "translate") == 0 ? "translate" : "transcribe";
	return r;
}

static void free_segments(transcript *r) {
	for (size_t i = 0; i < r->t.segment_count; i++)
		free((void *)(uintptr_t)r->t.segments[i].tokens); /* all that a segment points to lies behind them */
	free(r->t.segments);
	r->t.segments = NULL;
	r->t.segment_count = 0;
}

static void free_transcript(transcript **held) {
	transcript *r = *held;
	*held = NULL;
	if (!r)
		return;
	free_segments(r);
	sn_buf_free(&r->text);
	free(r);
}

void sn_transcript_free(sn_transcript **held) {
	transcript *r = (transcript *)*held;
	*held = NULL;
	free_transcript(&r);
}

/* All that a segment points to in one block: tokens, words, texts. 0: no memory. */
static int copy_segment(sn_segment *to, const sn_segment *s) {
	const size_t words = (size_t)s->word_count * sizeof *s->words;
	const size_t ids_size = (size_t)s->token_count * sizeof *s->tokens, logprobs = s->token_logprobs ? ids_size : 0;
	const size_t tokens = (ids_size + logprobs + _Alignof(sn_word) - 1) / _Alignof(sn_word) * _Alignof(sn_word);
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
	if (s->token_logprobs)
		to->token_logprobs = memcpy(ids + s->token_count, s->token_logprobs, logprobs);
	to->text = strcpy(text, s->text);
	for (int i = 0; i < s->word_count; i++) {
		text += strlen(text) + 1;
		copies[i] = s->words[i];
		copies[i].text = strcpy(text, s->words[i].text);
	}
	to->words = s->word_count ? copies : NULL;
	return 1;
}

static int keep_segment(transcript *r, const sn_segment *s, char *err) {
	if (r->t.segment_count == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		sn_segment *grown = room <= MAX_SEGMENTS ? realloc(r->t.segments, room * sizeof *grown) : NULL;
		if (!grown)
			return sn_fail(err, SN_E_MEMORY, "no memory for %zu segments", room);
		r->t.segments = grown;
		r->room = room;
	}
	const char *words = r->text.size ? s->text : s->text + strspn(s->text, " ");
	if (sn_buf_text(&r->text, words) != SN_OK)
		return r->text.failed == SN_E_MEMORY ? sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of text", r->text.size)
		                                     : sn_fail(err, SN_E_LIMIT, "the text is longer than %zu bytes", MAX_TEXT);
	r->t.segments[r->t.segment_count++] = *s;
	return SN_OK;
}

static int add_segment(transcript *r, const sn_segment *s, const sn_stt_options *o, char *err) {
	const double length = s->end - s->start > 0.01 ? s->end - s->start : 0.01;
	sn_segment kept;
	int result = SN_OK;
	if (r->keep && !copy_segment(&kept, s))
		return sn_fail(err, SN_E_MEMORY, "no memory for a segment of %d words", s->word_count);
	if (r->keep && (result = keep_segment(r, &kept, err)) != SN_OK)
		free((void *)(uintptr_t)kept.tokens);
	r->weight += length;
	r->sum += length * (double)s->confidence;
	if (result == SN_OK && o && o->segment && !may_retry(o))
		o->segment(o->payload, r->keep ? &r->t.segments[r->t.segment_count - 1] : s);
	return result;
}

static int take_event(transcript *r, const sn_event *e, const sn_stt_options *o, char *err) {
	if (e->kind == SN_EVENT_LANGUAGE) {
		snprintf(r->language, sizeof r->language, "%s", e->language);
		r->t.language_confidence = e->language_confidence;
	} else if (e->kind == SN_EVENT_NOTE) {
		sn_notes_append(&r->notes, e->note.code, "%s", e->note.message);
	} else if (e->kind == SN_EVENT_SEGMENT) {
		return add_segment(r, &e->segment, o, err);
	}
	return SN_OK;
}

/* Takes what is ready; asks the caller behind each event and at the end. SN_AGAIN and SN_END as sn_stt_pull. */
static int drain(transcript *r, sn_stt *stt, const sn_stt_options *o, char *err) {
	sn_event event;
	int result;
	while ((result = sn_stt_pull(stt, &event, err)) == SN_OK) {
		result = take_event(r, &event, o, err);
		r->tick.seconds = event.position;
		if (result == SN_OK)
			result = sn_tick_ask(&r->tick, err);
		if (result != SN_OK)
			return result;
	}
	return result == SN_AGAIN && sn_tick_ask(&r->tick, err) != SN_OK ? SN_E_CANCELLED : result;
}

static int push_all(transcript *r, sn_stt *stt, const float *pcm, size_t count, const sn_stt_options *o, char *err) {
	int result;
	while ((result = sn_stt_push(stt, pcm, count, err)) == SN_AGAIN)
		if ((result = drain(r, stt, o, err)) != SN_AGAIN)
			return result;
	if (result == SN_OK)
		result = drain(r, stt, o, err);
	return result == SN_AGAIN ? SN_OK : result;
}

static void list_notes(transcript *r) {
	for (int i = 0; i < r->notes.count; i++)
		r->note_list[i] = (sn_note){ r->notes.note[i].code, r->notes.note[i].message };
	r->t.notes = r->note_list;
	r->t.note_count = (size_t)r->notes.count;
}

static void add_attempt(transcript *r, const char *model, const char *dtype, float confidence) {
	const int i = r->t.attempt_count++;
	snprintf(r->attempt_model[i], sizeof r->attempt_model[i], "%s", model);
	r->attempt[i] = (sn_attempt){ .model = r->attempt_model[i], .dtype = dtype, .confidence = confidence };
	r->t.attempts = r->attempt;
}

static void complete(transcript *r) {
	r->t.avg_confidence = r->weight > 0 ? (float)(r->sum / r->weight) : 0;
	while (r->text.size && sn_isspace((unsigned char)r->text.data[r->text.size - 1]))
		r->text.data[--r->text.size] = 0;
	r->t.text = r->text.data ? r->text.data : "";
	add_attempt(r, r->model, r->t.dtype, r->t.avg_confidence);
	r->attempt[0].kept = 1;
	list_notes(r);
}

/* Where samples come from: a decoder, or memory. */
typedef struct source {
	sn_decoder *decoder;
	const float *pcm;
	size_t count;
	size_t first, most;           /* samples to begin at and to hear, as the options say */
} source;

/* Goes to the first sample that is to be heard. */
static int begin_source(source *from, const sn_stt_options *o, const sn_tick *tick, char *err) {
	int result = SN_OK;
	const double begin = o ? o->from : 0, length = o && o->length > 0 ? o->length : INFINITY;
	if (!(begin >= 0 && begin <= SN_AUDIO_MAX_SECONDS) || (o && !(o->length >= 0 && o->length <= SN_AUDIO_MAX_SECONDS)))
		return sn_fail(err, SN_E_ARGUMENT, "from %g s and length %g s must lie between 0 and %d", begin, o->length, SN_AUDIO_MAX_SECONDS);
	from->first = (size_t)llround(begin * SN_STT_RATE);
	from->most = isinf(length) ? SIZE_MAX : (size_t)llround(length * SN_STT_RATE);
	while (from->decoder && begin > 0 && (result = sn_decoder_seek(from->decoder, begin, err)) == SN_AGAIN)
		if (sn_tick_ask(tick, err) != SN_OK)
			return SN_E_CANCELLED;
	return result;
}

/* Seconds that there are to hear; 0: not known. */
static double source_length(const source *from) {
	const sn_audio_info *info = from->decoder ? sn_decoder_get_info(from->decoder) : NULL;
	const double whole = !info ? (double)from->count / SN_STT_RATE : info->frames > 0 ? (double)info->frames / info->rate : 0;
	const double rest = fmax(whole - (double)from->first / SN_STT_RATE, 0);
	return from->most == SIZE_MAX || rest == 0 ? rest : fmin(rest, (double)from->most / SN_STT_RATE);
}

/* The next block, after `at` samples: *pcm points to it, or to `block` that was filled. SN_END: there is no more. SN_AGAIN: not yet. */
static int read_block(source *from, size_t at, float *block, const float **pcm, size_t *got, char *err) {
	const size_t left = from->most - at, want = left < BLOCK ? left : BLOCK;
	*got = 0;
	if (!want)
		return SN_END;
	*pcm = block;
	if (from->decoder)
		return sn_decoder_read(from->decoder, block, want, got, err);
	const size_t there = from->count > from->first + at ? from->count - from->first - at : 0;
	if (!there)
		return SN_END;
	*pcm = from->pcm + from->first + at;
	*got = there < want ? there : want;
	return SN_OK;
}

static int feed(transcript *r, sn_stt *stt, source *from, const sn_stt_options *o, char *err) {
	float block[BLOCK];
	sn_audio_level level = SN_AUDIO_LEVEL_INIT;
	size_t samples = 0, got = 0;
	const float *pcm;
	int result = begin_source(from, o, &r->tick, err);
	if (result != SN_OK)
		return result;
	r->tick.total = source_length(from);
	while ((result = read_block(from, samples, block, &pcm, &got, err)) == SN_OK || result == SN_AGAIN) {
		sn_audio_measure(&level, pcm, got);
		samples += got;
		result = push_all(r, stt, pcm, got, o, err);
		if (result != SN_OK)
			break;
	}
	r->t.duration = (double)samples / SN_STT_RATE;
	if (result == SN_END && samples == 0 && from->decoder && from->first == 0)
		return sn_fail(err, SN_E_FORMAT, "there are no samples in it");
	if (result == SN_END && samples == 0 && from->first)
		return sn_fail(err, SN_E_ARGUMENT, "from %g s is behind the end of the audio", o->from);
	const double share = (double)level.clipped / ((double)samples + 1);
	if (share > CLIPPED)
		sn_notes_add(&r->notes, "clipped", "%.1f %% of the samples are at full scale: the recording was too loud, words in loud places may "
		             "be wrong", 100 * share);
	return result == SN_END ? SN_OK : result;
}

/* One model's transcript. */
static int attempt(transcript **out, sn_model *model, source *from, const sn_stt_options *o, char *err) {
	sn_stt *stt = NULL;
	transcript *r = *out = transcript_new(model, o);
	sn_stt_options options = o ? *o : (sn_stt_options){ 0 };
	options.ready = NULL; /* for sessions */
	int result = r ? sn_stt_open(&stt, model, &options, err) : sn_fail(err, SN_E_MEMORY, "no memory for a transcript");
	if (result == SN_OK && r->tick.progress)
		sn_stt_be_patient(stt, SN_TICK);
	if (result == SN_OK)
		sn_stt_begin_at(stt, o ? o->from : 0);
	if (result == SN_OK)
		result = feed(r, stt, from, o, err);
	if (result == SN_OK)
		result = sn_stt_finish(stt, err);
	if (result == SN_OK) {
		r->tick.total = r->t.duration;
		while ((result = drain(r, stt, o, err)) == SN_AGAIN)
			;
	}
	sn_stt_close(&stt);
	if (result == SN_END) {
		if (from->decoder && sn_decoder_get_info(from->decoder)->note[0])
			sn_notes_add(&r->notes, sn_decoder_get_info(from->decoder)->truncated ? "truncated" : "audio", "%s",
			             sn_decoder_get_info(from->decoder)->note);
		complete(r);
		return SN_OK;
	}
	free_transcript(out);
	return result;
}

/* What is to be said of earlier attempts goes on with the better one, whose own is the last. */
static void carry_over(transcript *r, const transcript *before) {
	r->t.attempt_count = 0;
	for (int i = 0; i < before->t.attempt_count; i++)
		add_attempt(r, before->attempt[i].model, before->attempt[i].dtype, before->attempt[i].confidence);
	add_attempt(r, r->model, r->t.dtype, r->t.avg_confidence);
	r->attempt[r->t.attempt_count - 1].kept = 1;
	for (int i = 0; i < before->notes.count; i++)
		if (strcmp(before->notes.note[i].code, "retry_failed") == 0)
			sn_notes_append(&r->notes, "retry_failed", "%s", before->notes.note[i].message);
}

/* Another model's transcript, which takes the place of *best when it is better. Only a caller's wish to stop is a failure: whatever
 * else goes wrong is a note. */
static int retry(transcript **best, sn_engine *engine, const char *name, source *from, const sn_stt_options *o, char *err) {
	char why[SN_ERRLEN];
	sn_model *model = NULL;
	transcript *other = NULL;
	int result = sn_model_load(&model, engine, name, &(sn_model_options){ .task = SN_TASK_TRANSCRIBE }, why);
	if (result == SN_OK && from->decoder)
		result = sn_decoder_rewind(from->decoder, why);
	if (result == SN_OK)
		result = attempt(&other, model, from, o, why);
	sn_model_release(&model);
	if (result == SN_E_CANCELLED)
		return sn_fail(err, result, "%s", why);
	if (result != SN_OK) {
		sn_notes_append(&(*best)->notes, "retry_failed", "\"%.60s\" could not try: %.160s", name, why);
		return SN_OK;
	}
	transcript *const kept = sn_retry_better(&other->t, &(*best)->t) ? other : *best;
	if (kept == other)
		carry_over(other, *best);
	else
		add_attempt(kept, other->model, other->t.dtype, other->t.avg_confidence);
	transcript *dropped = kept == other ? *best : other;
	free_transcript(&dropped);
	*best = kept;
	return SN_OK;
}

/* Says that there was more than one attempt. */
static void note_attempts(transcript *r) {
	if (r->t.attempt_count > 1)
		sn_notes_add(&r->notes, "retried", "the confidence of \"%.80s\" was %.2f; of %d attempts that of \"%.80s\" is kept, with %.2f",
		             r->attempt[0].model, (double)r->attempt[0].confidence, r->t.attempt_count, r->model, (double)r->t.avg_confidence);
	list_notes(r);
}

static int run(sn_transcript **out, sn_model *model, source *from, const sn_stt_options *o, double started, char *err) {
	transcript *best = NULL;
	int result = o ? sn_retry_check(o, err) : SN_OK;
	if (result == SN_OK && o && o->live == SN_ON)
		result = sn_fail(err, SN_E_ARGUMENT, "live is for sessions, which are pushed to as someone speaks, not for a whole transcript");
	if (result == SN_OK)
		result = attempt(&best, model, from, o, err);
	for (int i = 0; result == SN_OK && o && i < o->retry_model_count && sn_retry_wanted(&best->t, o); i++)
		result = retry(&best, model->engine, o->retry_models[i], from, o, err);
	if (result != SN_OK) {
		free_transcript(&best);
		return result;
	}
	note_attempts(best);
	for (size_t i = 0; i < best->t.segment_count && o && o->segment && may_retry(o); i++)
		o->segment(o->payload, &best->t.segments[i]);
	if (o && o->keep == SN_OFF) {
		free_segments(best);
		best->t.text = "";
	}
	best->t.processing_time = sn_now() - started;
	*out = &best->t;
	return SN_OK;
}

int sn_transcribe_file(sn_transcript **out, sn_model *model, const char *path, const sn_stt_options *options, char *err) {
	const double started = sn_now();
	source from = { .count = 0 };
	*out = NULL;
	const int once = !may_retry(options); /* else it may be read again */
	int result = sn_decoder_open_input(&from.decoder, path, SN_STT_RATE, once, options ? options->progress : NULL, options ? options->payload : NULL, err);
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
