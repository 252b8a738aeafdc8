#include "speech/stt_whisper.h"

#include "speech/languages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_MS 160       /* as faster-whisper's batched decoding */
#define LIVE_SILENCE_MS 400
#define VAD_MOST_MS 10000
/* Of distilled models (large-v3-turbo has 4 and 32, distil-large 2 and 32), which transcribe only, whatever their vocabulary says. */
#define DISTILLED_DECODER 4
#define DISTILLED_ENCODER 24

static int find_language(const sn_whisper_config *c, const char *code) {
	for (int i = 0; i < c->languages; i++)
		if (strcmp(c->language[i].code, code) == 0)
			return i;
	return -1;
}

static int set_language(stt_whisper *stt, const char *language, char *err) {
	const sn_whisper_config *const c = stt->config;
	char code[8] = "en";
	stt->language = -1;
	if (language && strcmp(language, "auto") != 0 && !sn_language_code(language, code, sizeof code))
		return sn_fail(err, SN_E_ARGUMENT, "language \"%s\" is neither a code like \"en\", nor a name like \"english\", nor \"auto\"",
		               language);
	if (!c->multilingual) {
		stt->language = 0;
		return strcmp(code, "en") == 0 ? SN_OK : sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" knows English only, not \"%s\"",
		                                                 stt->base.model->name, language);
	}
	if (!language || strcmp(language, "auto") == 0)
		return SN_OK;
	stt->language = find_language(c, language);
	if (stt->language < 0)
		stt->language = find_language(c, code);
	if (stt->language < 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not know the language \"%s\"; \"models info\" lists its languages",
		               stt->base.model->name, language);
	return SN_OK;
}

static int has_translate(const sn_whisper_config *c) { return c->multilingual && c->translate >= 0; }

int sn_stt_whisper_translates(const sn_whisper_config *c) {
	return has_translate(c) && !(c->decoder_layers <= DISTILLED_DECODER && c->encoder_layers >= DISTILLED_ENCODER);
}

static int set_task(stt_whisper *stt, const char *task, char *err) {
	if (task && strcmp(task, "transcribe") != 0 && strcmp(task, "translate") != 0)
		return sn_fail(err, SN_E_ARGUMENT, "task \"%s\" is neither \"transcribe\" nor \"translate\"", task);
	stt->translate = task && strcmp(task, "translate") == 0;
	if (stt->translate && !has_translate(stt->config))
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" cannot translate; a multilingual Whisper can", stt->base.model->name);
	if (stt->translate && !sn_stt_whisper_translates(stt->config))
		sn_notes_add(&stt->base.notes, "not_translated", "the model \"%.80s\" was not trained to translate: the text may be in the language "
		             "that is spoken", stt->base.model->name);
	return SN_OK;
}

static int set_prompt(stt_whisper *stt, const char *prompt, char *err) {
	static const char white[] = " \t\r\n\v\f";
	prompt = prompt ? prompt + strspn(prompt, white) : "";
	size_t size = strlen(prompt);
	while (size && strchr(white, prompt[size - 1]))
		size--;
	if (!size)
		return SN_OK;
	if (size > SN_MAX_PROMPT)
		return sn_fail(err, SN_E_LIMIT, "the prompt has %zu bytes; at most %zu are taken", size, SN_MAX_PROMPT);
	char *text = malloc(size + 2);
	int32_t *ids = malloc((size + 2) * sizeof *ids); /* a token has at least a byte */
	int count = 0, result = text && ids ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the prompt");
	if (result == SN_OK) {
		int length = snprintf(text, size + 2, " %.*s", (int)size, prompt);
		result = sn_bpe_encode(sn_whisper_bpe(stt->base.model->whisper), text, (size_t)length, ids, (int)size + 2, &count, err);
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

static int set_numbers(stt_whisper *stt, const sn_stt_options *o, char *err) {
	const int most_previous = stt->config->target_positions / 2 - 1;
	if (o->beam < 0 || o->beam > SN_MAX_BEAM)
		return sn_fail(err, SN_E_ARGUMENT, "beam %d is outside 1 to %d", o->beam, SN_MAX_BEAM);
	if (!(o->temperature >= 0 && o->temperature <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "temperature %g is outside 0 to 1", (double)o->temperature);
	if (o->previous_tokens < 0 || o->batch < 0)
		return sn_fail(err, SN_E_ARGUMENT, "previous_tokens %d and batch %d must not be negative", o->previous_tokens, o->batch);
	stt->beam = o->beam ? o->beam : 5;
	stt->temperature = o->temperature;
	stt->fallback = o->fallback != SN_OFF;
	stt->guards = o->guards != SN_OFF;
	stt->condition = o->condition != SN_OFF;
	stt->timestamps = o->timestamps != SN_OFF;
	stt->words = o->words != SN_OFF;
	stt->previous_tokens = o->previous_tokens && o->previous_tokens < most_previous ? o->previous_tokens : most_previous;
	stt->batch = o->batch && o->batch < stt->base.model->windows ? o->batch : stt->base.model->windows;
	stt->seed = o->seed;
	return SN_OK;
}

/* *ms: what the option says. 0: the default; below 0: none. */
static int set_ms(int *ms, const char *name, int option, int by_default, char *err) {
	*ms = option < 0 ? 0 : option ? option : by_default;
	return option <= VAD_MOST_MS ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "vad_settings.%s %d ms is more than %d", name, option, VAD_MOST_MS);
}

static int read_vad(sn_vad_options *vad, const sn_stt_options *o, double window, char *err) {
	const sn_vad_settings *const set = &o->vad_settings;
	*vad = sn_vad_whisper_defaults(window);
	if (!(set->threshold >= 0 && set->threshold < 1))
		return sn_fail(err, SN_E_ARGUMENT, "vad_settings.threshold %g is not between 0 and 1", (double)set->threshold);
	vad->threshold = set->threshold > 0 ? (double)set->threshold : vad->threshold;
	int result = set_ms(&vad->min_speech_ms, "min_speech", set->min_speech, 0, err);
	if (result == SN_OK)
		result = set_ms(&vad->min_silence_ms, "min_silence", set->min_silence, o->live == SN_ON ? LIVE_SILENCE_MS : SILENCE_MS, err);
	return result == SN_OK ? set_ms(&vad->speech_pad_ms, "pad", set->pad, vad->speech_pad_ms, err) : result;
}

/* The detector cuts, or, without vad, only tells the guards where there is speech. */
static int set_ear(stt_whisper *stt, const sn_stt_options *o, char *err) {
	char why[SN_ERRLEN];
	if (o->vad == SN_OFF && !stt->guards)
		return SN_OK;
	int result = sn_model_detector(&stt->ear, stt->base.model, why);
	if (result != SN_OK && o->vad != SN_OFF && (o->vad == SN_ON || result != SN_E_NOT_FOUND))
		return sn_fail(err, result, "%s", why);
	if (result != SN_OK && o->vad != SN_OFF)
		sn_notes_add(&stt->base.notes, "no_vad", "no voice activity detector is installed, so all of the audio was decoded");
	if (stt->ear && o->vad != SN_OFF)
		stt->vad_model = stt->ear;
	return SN_OK;
}

static int set_vad(stt_whisper *stt, const sn_stt_options *o, char *err) {
	stt->window_frames = 2 * (int64_t)stt->config->source_positions;
	stt->window_samples = stt->window_frames * SN_MEL_HOP;
	sn_vad_options vad;
	int result = read_vad(&vad, o, (double)stt->window_samples / SN_STT_RATE, err);
	if (result == SN_OK)
		result = set_ear(stt, o, err);
	if (result != SN_OK)
		return result;
	stt->window_room = stt->vad_model ? 2 * stt->batch : 1;
	sn_vad_init(&stt->vad, &vad, SN_STT_RATE);
	sn_silero_reset(&stt->vad_stream, SN_STT_RATE);
	return SN_OK;
}

int sn_stt_whisper_begin(sn_stt *base, char *err) {
	stt_whisper *const stt = (stt_whisper *)base;
	stt->windows = calloc((size_t)stt->window_room, sizeof *stt->windows);
	stt->staged = stt->vad_model ? malloc((size_t)stt->window_samples * sizeof *stt->staged) : NULL;
	if (!stt->windows || (stt->vad_model && !stt->staged))
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	return sn_stt_words_open(stt, err);
}

static int open_session(sn_stt *base, const sn_stt_options *o, char *err) {
	stt_whisper *const stt = (stt_whisper *)base;
	stt->config = sn_whisper_get_config(base->model->whisper);
	int result = set_numbers(stt, o, err);
	if (result == SN_OK)
		result = set_language(stt, o->language, err);
	if (result == SN_OK)
		result = set_task(stt, o->task, err);
	if (result == SN_OK)
		result = set_prompt(stt, o->prompt, err);
	if (result == SN_OK)
		result = sn_hotwords_open(&stt->hotwords, o->hotwords, sn_whisper_bpe(base->model->whisper), stt->config->vocab, err);
	if (result == SN_OK)
		result = set_vad(stt, o, err);
	if (result != SN_OK || stt->language < 0)
		return result;
	stt->language_confidence = 1;
	const char *code = stt->config->multilingual ? stt->config->language[stt->language].code : "en";
	return sn_stt_emit(base, &(sn_event){ .kind = SN_EVENT_LANGUAGE, .language = code, .language_confidence = 1 });
}

static void close_session(sn_stt *base) {
	stt_whisper *const stt = (stt_whisper *)base;
	sn_stt_words_close(stt);
	sn_hotwords_close(&stt->hotwords);
	free(stt->staged);
	free(stt->windows);
	sn_model_release(&stt->ear);
}

const sn_stt_class sn_stt_whisper = { .size = sizeof(stt_whisper), .open = open_session, .begin = sn_stt_whisper_begin, .work = sn_stt_whisper_work,
	.leave = sn_stt_whisper_leave, .close = close_session };
