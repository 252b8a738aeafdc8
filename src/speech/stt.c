#include "speech/stt.h"

#include "audio/validate.h"
#include "speech/retry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VAD_MOST_MS 10000

/* ---- steps ---- */

/* Nothing more will happen: the caller is told even where it was told before. Lock held. */
static void signal_end(sn_stt *stt) {
	sn_sched_hunger(&stt->job);
	sn_sched_signal(stt->engine->sched, &stt->job);
}

static int do_work(sn_stt *stt, int full) {
	const int begins = !stt->begun;
	int result = SN_OK;
	stt->begun = 1;
	if (begins && stt->class->begin)
		result = stt->class->begin(stt, stt->message);
	if (result == SN_OK)
		result = stt->class->work(stt, full);
	if (result < 0 && !*stt->message)
		sn_fail(stt->message, result, "the session ended: %s", sn_result_text(result));
	return result;
}

static int step(sn_job *job) {
	sn_stt *stt = (sn_stt *)job;
	sn_sched *sched = stt->engine->sched;
	sn_sched_lock(sched);
	const int silent = !stt->begun && !stt->queued && !stt->finished, full = stt->events >= SN_STT_MAX_EVENTS;
	const int serves = stt->chore;
	int over = stt->cancelled || stt->error, rests = stt->done || serves || silent;
	sn_sched_unlock(sched);
	int result = over || rests ? SN_AGAIN : do_work(stt, full);
	if (result != SN_OK && result != SN_AGAIN) {
		sn_sched_lock(sched);
		stt->error = result;
		signal_end(stt);
		sn_sched_unlock(sched);
		over = 1;
	}
	if (over && !serves) /* the caller's thread may be in the middle of a chore; before one nothing is held */
		stt->class->leave(stt); /* others wait for what it holds */
	return over ? SN_AGAIN : result;
}

static void leave(sn_job *job) {
	sn_stt *stt = (sn_stt *)job;
	stt->class->leave(stt);
}

static size_t text_size(const char *text) { return text ? strlen(text) + 1 : 0; }

static size_t words_size(const sn_word *words, int count) {
	size_t size = 0;
	for (int i = 0; i < count; i++)
		size += strlen(words[i].text) + 1;
	return size;
}

static const char *copy_text(char **at, const char *text) {
	if (!text)
		return NULL;
	const size_t size = strlen(text) + 1;
	*at += size;
	return memcpy(*at - size, text, size);
}

/* The words, `origin` seconds later, to *word, their texts to *at. */
static const sn_word *copy_words(sn_word **word, char **at, const sn_word *words, int count, double origin) {
	sn_word *const first = *word;
	for (int i = 0; i < count; i++) {
		first[i] = words[i];
		first[i].start += origin;
		first[i].end += origin;
		first[i].text = copy_text(at, words[i].text);
	}
	*word += count;
	return count ? first : NULL;
}

int sn_stt_fail(sn_stt *stt, int code, const char *sentence) {
	sn_sched_lock(stt->engine->sched);
	stt->error = sn_fail(stt->message, code, "%s", sentence);
	signal_end(stt);
	sn_sched_unlock(stt->engine->sched);
	return code;
}

int sn_stt_emit(sn_stt *stt, const sn_event *event) {
	const sn_segment *s = &event->segment;
	const size_t words = (size_t)(s->word_count + event->word_count) * sizeof *s->words;
	const size_t ids = (size_t)s->token_count * sizeof *s->tokens, logprobs = s->token_logprobs ? ids : 0, tokens = ids + logprobs;
	const size_t text = text_size(s->text) + text_size(event->text) + text_size(event->language) + words_size(s->words, s->word_count) +
	                    words_size(event->words, event->word_count);
	stt_event *e = malloc(sizeof *e + words + tokens + text);
	if (!e)
		return sn_stt_fail(stt, SN_E_MEMORY, "no memory for what was heard");
	e->next = NULL;
	e->event = *event;
	e->event.segment.start += stt->origin;
	e->event.segment.end += stt->origin;
	sn_word *word = (sn_word *)(e + 1); /* first what is aligned most */
	char *at = (char *)(e + 1) + words + tokens;
	if (s->token_count)
		e->event.segment.tokens = memcpy((char *)(e + 1) + words, s->tokens, ids);
	if (logprobs)
		e->event.segment.token_logprobs = memcpy((char *)(e + 1) + words + ids, s->token_logprobs, logprobs);
	e->event.segment.text = copy_text(&at, s->text);
	e->event.segment.words = copy_words(&word, &at, s->words, s->word_count, stt->origin);
	e->event.text = copy_text(&at, event->text);
	e->event.language = copy_text(&at, event->language);
	e->event.words = copy_words(&word, &at, event->words, event->word_count, stt->origin);
	sn_sched_lock(stt->engine->sched);
	*stt->last = e;
	stt->last = &e->next;
	stt->events++;
	sn_sched_signal(stt->engine->sched, &stt->job);
	sn_sched_unlock(stt->engine->sched);
	return SN_OK;
}

void sn_stt_moved(sn_stt *stt, int64_t samples) {
	sn_sched_lock(stt->engine->sched);
	stt->position = (double)samples / SN_STT_RATE;
	sn_sched_unlock(stt->engine->sched);
}

void sn_stt_conclude(sn_stt *stt) {
	const double seconds = (double)sn_stt_tape_end(stt) / SN_STT_RATE;
	if (stt->denoise) {
		char remark[SN_NOTE_TEXT];
		sn_denoise_remark(stt->denoise, remark, sizeof remark);
		sn_notes_add(&stt->notes, "denoised", "%s", remark);
	}
	for (int i = 0; i < stt->notes.count; i++) {
		const sn_note note = { stt->notes.note[i].code, stt->notes.note[i].message };
		sn_stt_emit(stt, &(sn_event){ .kind = SN_EVENT_NOTE, .note = note, .position = seconds });
	}
	sn_sched_lock(stt->engine->sched);
	stt->position = seconds;
	stt->done = 1;
	signal_end(stt);
	sn_sched_unlock(stt->engine->sched);
}

void sn_stt_ask(sn_stt *stt) {
	sn_sched_lock(stt->engine->sched);
	stt->chore = 1;
	sn_sched_signal(stt->engine->sched, &stt->job);
	sn_sched_unlock(stt->engine->sched);
}

/* ---- the caller's side ---- */

static const sn_stt_class *class_of(const sn_model *model, int live) {
	if (live)
		return model->whisper ? &sn_stt_live : NULL;
	return model->whisper ? &sn_stt_whisper : model->wav2vec2 ? &sn_stt_ctc : NULL;
}

/* Zeroed pages of their own: those that a session does not touch before it hears something cost nothing. */
static void *pages_new(size_t size) {
	void *const pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return pages == MAP_FAILED ? NULL : pages;
}

/* What is no value for any class. */
static int check_options(const sn_stt_options *o, char *err) {
	const sn_switch switches[] = { o->fallback, o->vad, o->condition, o->timestamps, o->words, o->denoise, o->guards, o->punctuate, o->live, o->keep };
	const sn_vad_settings *const v = &o->vad_settings;
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		if (switches[i] < SN_DEFAULT || switches[i] > SN_ON)
			return sn_fail(err, SN_E_ARGUMENT, "%d is none of sn_switch", (int)switches[i]);
	if (o->priority < SN_PRIORITY_INTERACTIVE || o->priority > SN_PRIORITY_BATCH)
		return sn_fail(err, SN_E_ARGUMENT, "priority %d is none of sn_priority", (int)o->priority);
	if (!(v->threshold >= 0 && v->threshold <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "vad_settings.threshold %g is not between 0 and 1", (double)v->threshold);
	if (v->min_speech > VAD_MOST_MS || v->min_silence > VAD_MOST_MS || v->pad > VAD_MOST_MS)
		return sn_fail(err, SN_E_ARGUMENT, "vad_settings: min_speech %d, min_silence %d and pad %d are at most %d ms", v->min_speech,
		               v->min_silence, v->pad, VAD_MOST_MS);
	return sn_retry_check(o, err);
}

int sn_stt_open(sn_stt **out, sn_model *model, const sn_stt_options *options, char *err) {
	sn_stt_options given = options ? *options : (sn_stt_options){ 0 };
	const sn_stt_options *const o = &given;
	const sn_stt_class *const class = class_of(model, o->live == SN_ON);
	*out = NULL;
	if (!class && model->wav2vec2)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" cannot be listened to live: it hears a window in one piece, too slowly for a "
		               "text that grows with the speech; a Whisper model can", model->name);
	if (!class)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not transcribe; \"whisper-base\" does", model->name);
	int result = check_options(o, err);
	if (result != SN_OK)
		return result;
	if (given.language && !*given.language)
		given.language = NULL;
	sn_stt *stt = pages_new(class->size);
	if (!stt)
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	sn_model_retain(model);
	stt->model = model;
	stt->engine = model->engine;
	stt->class = class;
	stt->last = &stt->first;
	stt->patience = o->ready ? 0 : INFINITY;
	stt->job = (sn_job){ .step = step, .leave = leave, .priority = o->priority, .share = o->share, .counts = 1, .lively = o->live == SN_ON, .ready = o->ready,
		.ready_payload = o->ready_payload, .left = 1 };
	if (o->live == SN_ON && o->priority == SN_PRIORITY_INTERACTIVE)
		stt->job.priority = SN_PRIORITY_REALTIME;
	if (o->denoise == SN_ON)
		result = sn_denoise_open(&stt->denoise, stt->engine, SN_STT_RATE, SN_DENOISE_STT_LIMIT, err);
	if (result == SN_OK)
		result = class->open(stt, o, err);
	if (result == SN_OK)
		result = sn_sched_add(stt->engine->sched, &stt->job, err);
	if (result != SN_OK && *stt->message)
		sn_fail(err, result, "%s", stt->message);
	if (result != SN_OK)
		sn_stt_close(&stt);
	*out = stt;
	return result;
}

/* ---- a session inside of another ---- */

void sn_stt_inside(sn_stt_options *options, sn_job *outer) {
	options->priority = outer->priority;
	options->share = outer->share;
	options->ready = outer->ready ? sn_sched_pass_on : NULL;
	options->ready_payload = outer;
}

/* What ended the session, lock held; SN_OK when nothing did. */
static int ended(const sn_stt *stt, char *err) {
	if (stt->cancelled)
		return sn_fail(err, SN_E_CANCELLED, "the session was cancelled");
	return stt->error ? sn_fail(err, stt->error, "%s", stt->message) : SN_OK;
}

void sn_stt_be_patient(sn_stt *stt, double seconds) { stt->patience = seconds; }

void sn_stt_begin_at(sn_stt *stt, double seconds) { stt->origin = seconds; }

/* Lock held. The steps rest while there is a chore, so it may use what is theirs. 0: the caller's patience is at its end. */
static int wait_or_serve(sn_stt *stt) {
	sn_sched *sched = stt->engine->sched;
	if (!stt->chore)
		return stt->patience > 0 && sn_sched_wait(sched, &stt->job, stt->patience);
	char why[SN_ERRLEN];
	sn_sched_hunger(&stt->job); /* before what is waited for may happen */
	sn_sched_unlock(sched);
	int result = stt->class->serve(stt, why);
	sn_sched_lock(sched);
	if (result == SN_AGAIN)
		return !isfinite(stt->patience); /* who waits without end looks whether it was cancelled, and waits on */
	stt->chore = 0;
	stt->error = result;
	if (result != SN_OK)
		sn_fail(stt->message, result, "%s", why);
	sn_sched_wake(sched, &stt->job);
	return 1;
}

/* Makes room for `count` more samples, lock held. */
static int reserve(sn_stt *stt, size_t count, char *err) {
	size_t capacity = stt->queue_capacity ? stt->queue_capacity : (size_t)1 << 15;
	while (capacity < stt->queued + count)
		capacity *= 2;
	if (capacity == stt->queue_capacity)
		return SN_OK;
	float *grown = realloc(stt->queue, capacity * sizeof *grown);
	if (!grown)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu samples", capacity);
	stt->queue = grown;
	stt->queue_capacity = capacity;
	return SN_OK;
}

int sn_stt_push(sn_stt *stt, const float *pcm, size_t count, char *err) {
	sn_sched *sched = stt->engine->sched;
	if (count > SN_STT_MAX_PUSH)
		return sn_fail(err, SN_E_LIMIT, "%zu samples in one push; at most %zu are taken", count, SN_STT_MAX_PUSH);
	size_t invalid = sn_audio_find_invalid(pcm, count);
	if (invalid < count)
		return sn_fail(err, SN_E_FORMAT, "sample %zu of the push is %g; samples must be numbers between -1 and 1", invalid,
		               (double)pcm[invalid]);
	sn_sched_lock(sched);
	int result, waits = 1;
	while ((result = ended(stt, err)) == SN_OK && !stt->finished && waits &&
	       (stt->chore || (stt->queued >= SN_STT_MAX_QUEUE && stt->events < SN_STT_MAX_EVENTS)))
		waits = wait_or_serve(stt);
	if (result == SN_OK && !waits)
		result = SN_AGAIN;
	if (result == SN_OK && stt->finished)
		result = sn_fail(err, SN_E_CLOSED, "samples were pushed after the session was finished");
	if (result == SN_OK && stt->queued >= SN_STT_MAX_QUEUE)
		result = SN_AGAIN;
	if (result == SN_OK && count)
		result = reserve(stt, count, err);
	if (result == SN_OK && count) {
		memcpy(stt->queue + stt->queued, pcm, count * sizeof *pcm);
		stt->queued += count;
		sn_sched_wake(sched, &stt->job);
	}
	sn_sched_hunger(&stt->job);
	sn_sched_unlock(sched);
	return result;
}

int sn_stt_finish(sn_stt *stt, char *err) {
	sn_sched *sched = stt->engine->sched;
	sn_sched_lock(sched);
	int result = ended(stt, err);
	if (result == SN_OK && stt->finished)
		result = sn_fail(err, SN_E_CLOSED, "the session is finished already");
	if (result == SN_OK) {
		stt->finished = 1;
		sn_sched_wake(sched, &stt->job);
		sn_sched_hunger(&stt->job);
	}
	sn_sched_unlock(sched);
	return result;
}

int sn_stt_pull(sn_stt *stt, sn_event *event, char *err) {
	sn_sched *sched = stt->engine->sched;
	sn_sched_lock(sched);
	free(stt->current);
	stt->current = NULL;
	int result, waits = 1;
	while ((result = ended(stt, err)) == SN_OK && !stt->first && !stt->done && waits &&
	       (stt->finished || (stt->chore && stt->job.ready)))
		waits = wait_or_serve(stt);
	if (result == SN_OK && stt->first) {
		stt->current = stt->first;
		stt->first = stt->current->next;
		if (!stt->first)
			stt->last = &stt->first;
		if (stt->events-- == SN_STT_MAX_EVENTS)
			sn_sched_wake(sched, &stt->job);
		*event = stt->current->event;
	} else if (result == SN_OK) {
		result = stt->done ? SN_END : SN_AGAIN;
		sn_sched_hunger(&stt->job);
	}
	sn_sched_unlock(sched);
	return result;
}

void sn_stt_cancel(sn_stt *stt) {
	sn_sched_lock(stt->engine->sched);
	stt->cancelled = 1;
	signal_end(stt);
	sn_sched_wake(stt->engine->sched, &stt->job);
	sn_sched_unlock(stt->engine->sched);
}

void sn_stt_close(sn_stt **held) {
	sn_stt *stt = *held;
	*held = NULL;
	if (!stt)
		return;
	if (!stt->job.left)
		sn_sched_remove(stt->engine->sched, &stt->job);
	stt->class->close(stt);
	while (stt->first) {
		stt_event *next = stt->first->next;
		free(stt->first);
		stt->first = next;
	}
	free(stt->current);
	free(stt->queue);
	free(stt->tape);
	sn_denoise_close(&stt->denoise);
	sn_model_release(&stt->model);
	munmap(stt, stt->class->size);
}
