#include "speech/stt.h"

#include "audio/validate.h"
#include "speech/languages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_language(const sn_whisper_config *c, const char *code) {
	for (int i = 0; i < c->languages; i++)
		if (strcmp(c->language[i].code, code) == 0)
			return i;
	return -1;
}

static int set_language(sn_stt *stt, const char *language, char *err) {
	const sn_whisper_config *const c = stt->config;
	char code[8] = "en";
	stt->language = -1;
	if (language && strcmp(language, "auto") != 0 && !sn_language_code(language, code, sizeof code))
		return sn_fail(err, SN_E_ARGUMENT, "language \"%s\" is neither a code like \"en\", nor a name like \"english\", nor \"auto\"",
		               language);
	if (!c->multilingual) {
		stt->language = 0;
		return strcmp(code, "en") == 0 ? SN_OK : sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" knows English only, not \"%s\"",
		                                                 stt->model->name, language);
	}
	if (!language || strcmp(language, "auto") == 0)
		return SN_OK;
	stt->language = find_language(c, code);
	if (stt->language < 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not know the language \"%s\"; \"models info\" lists its languages",
		               stt->model->name, language);
	return SN_OK;
}

static int set_task(sn_stt *stt, const char *task, char *err) {
	if (task && strcmp(task, "transcribe") != 0 && strcmp(task, "translate") != 0)
		return sn_fail(err, SN_E_ARGUMENT, "task \"%s\" is neither \"transcribe\" nor \"translate\"", task);
	stt->translate = task && strcmp(task, "translate") == 0;
	if (stt->translate && (!stt->config->multilingual || stt->config->translate < 0))
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" cannot translate; a multilingual Whisper can", stt->model->name);
	return SN_OK;
}

static int set_prompt(sn_stt *stt, const char *prompt, char *err) {
	if (!prompt || !*prompt)
		return SN_OK;
	size_t size = strlen(prompt);
	if (size > SN_MAX_PROMPT)
		return sn_fail(err, SN_E_LIMIT, "the prompt has %zu bytes; at most %zu are taken", size, SN_MAX_PROMPT);
	char *text = malloc(size + 2);
	int32_t *ids = malloc((size + 2) * sizeof *ids); /* a token has at least a byte */
	int count = 0, result = text && ids ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the prompt");
	if (result == SN_OK) {
		int length = snprintf(text, size + 2, " %s", prompt + strspn(prompt, " \t\r\n"));
		result = sn_bpe_encode(sn_whisper_bpe(stt->model->whisper), text, (size_t)length, ids, (int)size + 2, &count, err);
	}
	if (result == SN_OK) {
		int keep = count < SN_STT_MAX_HISTORY ? count : SN_STT_MAX_HISTORY; /* the end counts, as in the reference */
		memcpy(stt->history, ids + count - keep, (size_t)keep * sizeof *ids);
		stt->history_count = keep;
	}
	free(text);
	free(ids);
	return result;
}

static int set_numbers(sn_stt *stt, const sn_stt_options *o, char *err) {
	const int most_previous = stt->config->target_positions / 2 - 1;
	if (o->beam < 0 || o->beam > SN_MAX_BEAM)
		return sn_fail(err, SN_E_ARGUMENT, "beam %d is outside 1 to %d", o->beam, SN_MAX_BEAM);
	if (!(o->temperature >= 0 && o->temperature <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "temperature %g is outside 0 to 1", (double)o->temperature);
	if (o->previous_tokens < 0 || o->batch < 0)
		return sn_fail(err, SN_E_ARGUMENT, "previous_tokens %d and batch %d must not be negative", o->previous_tokens, o->batch);
	if (o->words == SN_ON)
		return sn_fail(err, SN_E_UNSUPPORTED, "times of words are not offered by this version; segments have times");
	if (o->priority < SN_PRIORITY_INTERACTIVE || o->priority > SN_PRIORITY_BATCH)
		return sn_fail(err, SN_E_ARGUMENT, "priority %d is none of sn_priority", (int)o->priority);
	stt->beam = o->beam ? o->beam : 5;
	stt->temperature = o->temperature;
	stt->fallback = o->fallback != SN_OFF;
	stt->condition = o->condition != SN_OFF;
	stt->timestamps = o->timestamps != SN_OFF;
	stt->previous_tokens = o->previous_tokens && o->previous_tokens < most_previous ? o->previous_tokens : most_previous;
	stt->batch = o->batch && o->batch < stt->model->windows ? o->batch : stt->model->windows;
	stt->seed = o->seed;
	stt->job.priority = o->priority;
	return SN_OK;
}

static int set_vad(sn_stt *stt, sn_switch vad, char *err) {
	if (vad != SN_OFF) {
		char why[SN_ERRLEN];
		int result = sn_model_load(&stt->vad_model, stt->engine, "silero-vad", &(sn_model_options){ .task = SN_TASK_VAD,
			.precision = SN_PRECISION_F32 }, why);
		if (result != SN_OK && (vad == SN_ON || result != SN_E_NOT_FOUND))
			return sn_fail(err, result, "%s", why);
		if (result != SN_OK)
			sn_notes_add(&stt->notes, "no_vad", "no voice activity detector is installed, so all of the audio was decoded");
	}
	stt->window_frames = 2 * (int64_t)stt->config->source_positions;
	stt->window_samples = stt->window_frames * SN_MEL_HOP;
	stt->window_room = stt->vad_model ? 2 * stt->batch : 1;
	stt->windows = calloc((size_t)stt->window_room, sizeof *stt->windows);
	if (stt->vad_model) {
		stt->staged = malloc((size_t)stt->window_samples * sizeof *stt->staged);
		sn_vad_options o = sn_vad_whisper_defaults((double)stt->window_samples / SN_STT_RATE);
		o.min_silence_ms = 160;
		sn_vad_init(&stt->vad, &o, SN_STT_RATE);
		sn_silero_reset(&stt->vad_stream, SN_STT_RATE);
	}
	if (!stt->windows || (stt->vad_model && !stt->staged))
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	return SN_OK;
}

int sn_stt_open(sn_stt **out, sn_model *model, const sn_stt_options *options, char *err) {
	static const sn_stt_options defaults;
	const sn_stt_options *const o = options ? options : &defaults;
	*out = NULL;
	if (model->architecture != SN_ARCH_WHISPER)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not transcribe; \"whisper-base\" does", model->name);
	sn_stt *stt = calloc(1, sizeof *stt);
	if (!stt)
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	sn_model_retain(model);
	stt->model = model;
	stt->engine = model->engine;
	stt->config = sn_whisper_get_config(model->whisper);
	stt->last = &stt->first;
	stt->job.step = sn_stt_step;
	stt->job.leave = sn_stt_leave;
	int result = set_numbers(stt, o, err);
	if (result == SN_OK)
		result = set_language(stt, o->language, err);
	if (result == SN_OK)
		result = set_task(stt, o->task, err);
	if (result == SN_OK)
		result = set_prompt(stt, o->prompt, err);
	if (result == SN_OK)
		result = set_vad(stt, o->vad, err);
	stt->job.left = 1;
	if (result == SN_OK)
		result = sn_sched_add(stt->engine->sched, &stt->job, err);
	if (result == SN_OK && stt->language >= 0) {
		stt->language_confidence = 1;
		const char *code = stt->config->multilingual ? stt->config->language[stt->language].code : "en";
		result = sn_stt_emit(stt, &(sn_event){ .kind = SN_EVENT_LANGUAGE, .language = code, .language_confidence = 1 });
	}
	if (result != SN_OK)
		sn_stt_close(&stt);
	*out = stt;
	return result;
}

int sn_stt_emit(sn_stt *stt, const sn_event *event) {
	const sn_segment *s = &event->segment;
	size_t text = s->text ? strlen(s->text) + 1 : 0, tokens = (size_t)s->token_count * sizeof *s->tokens;
	stt_event *e = malloc(sizeof *e + tokens + text);
	if (!e)
		return sn_fail(stt->message, SN_E_MEMORY, "no memory for a segment of %zu bytes", tokens + text);
	e->next = NULL;
	e->event = *event;
	if (text) {
		e->event.segment.tokens = memcpy(e + 1, s->tokens, tokens);
		e->event.segment.text = memcpy((char *)(e + 1) + tokens, s->text, text);
	}
	sn_sched_lock(stt->engine->sched);
	*stt->last = e;
	stt->last = &e->next;
	stt->events++;
	sn_sched_signal(stt->engine->sched, &stt->job);
	sn_sched_unlock(stt->engine->sched);
	return SN_OK;
}

/* What ended the session, lock held; SN_OK when nothing did. */
static int ended(const sn_stt *stt, char *err) {
	if (stt->cancelled)
		return sn_fail(err, SN_E_CANCELLED, "the session was cancelled");
	return stt->error ? sn_fail(err, stt->error, "%s", stt->message) : SN_OK;
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
	int result;
	while ((result = ended(stt, err)) == SN_OK && !stt->finished && stt->queued >= SN_STT_MAX_QUEUE &&
	       stt->events < SN_STT_MAX_EVENTS)
		sn_sched_wait(sched, &stt->job);
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
	}
	sn_sched_unlock(sched);
	return result;
}

int sn_stt_pull(sn_stt *stt, sn_event *event, char *err) {
	sn_sched *sched = stt->engine->sched;
	sn_sched_lock(sched);
	free(stt->current);
	stt->current = NULL;
	int result;
	while ((result = ended(stt, err)) == SN_OK && !stt->first && stt->finished && !stt->done)
		sn_sched_wait(sched, &stt->job);
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
	}
	sn_sched_unlock(sched);
	return result;
}

void sn_stt_cancel(sn_stt *stt) {
	sn_sched_lock(stt->engine->sched);
	stt->cancelled = 1;
	sn_sched_signal(stt->engine->sched, &stt->job);
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
	while (stt->first) {
		stt_event *next = stt->first->next;
		free(stt->first);
		stt->first = next;
	}
	free(stt->current);
	free(stt->queue);
	free(stt->tape);
	free(stt->staged);
	free(stt->windows);
	sn_model_release(&stt->vad_model);
	sn_model_release(&stt->model);
	free(stt);
}
