/* One call from text to an audio file, or to samples. */
#include "audio/encode.h"
#include "speech/tick.h"
#include "speech/tts.h"
#include "text/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)4096) /* bytes of text pushed at once */
#define NOISY 2.5f /* score of a background below which it is cleaned */
#define MAX_AUDIO ((size_t)2 << 30) /* bytes of speech in memory */

/* Where the speech goes: to an encoder, else as it is to `pcm`. */
typedef struct sink {
	sn_encoder *encoder;
	sn_buf pcm;
} sink;

static int take(sink *to, const float *pcm, size_t count, char *err) {
	if (to->encoder)
		return sn_encoder_write(to->encoder, pcm, count, err);
	const int result = sn_buf_add(&to->pcm, pcm, count * sizeof *pcm);
	if (result == SN_E_LIMIT)
		return sn_fail(err, result, "the speech has more than %zu samples; speak the text in parts", MAX_AUDIO / sizeof *pcm);
	return result == SN_OK ? SN_OK : sn_fail(err, result, "no memory for %zu samples of speech", to->pcm.size / sizeof *pcm + count);
}

static int ask(sn_tts *tts, const sn_tts_options *o, char *err) {
	sn_speech speech;
	if (!o || !o->progress)
		return SN_OK;
	sn_tts_result(tts, &speech);
	return sn_tick_ask(&(sn_tick){ .progress = o->progress, .payload = o->payload, .seconds = speech.duration }, err);
}

/* Asks the caller behind each chunk and at the end. As sn_tts_pull. */
static int write_ready(sn_tts *tts, sink *to, const sn_tts_options *o, char *err) {
	sn_audio audio;
	int result;
	while ((result = sn_tts_pull(tts, &audio, err)) == SN_OK) {
		result = audio.count ? take(to, audio.pcm, audio.count, err) : SN_OK;
		if (result == SN_OK)
			result = ask(tts, o, err);
		if (result != SN_OK)
			return result;
	}
	return result == SN_AGAIN && ask(tts, o, err) != SN_OK ? SN_E_CANCELLED : result;
}

/* Length of the next piece to push: at most `most` bytes, whole characters. */
static size_t piece(const char *text, size_t size, size_t most) {
	if (size <= most)
		return size;
	while (most > 1 && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	return most;
}

static int speak(sn_tts *tts, sink *to, const char *text, size_t size, const sn_tts_options *o, char *err) {
	int result = SN_OK;
	if (o && o->progress)
		sn_tts_be_patient(tts, SN_TICK);
	while (size && result == SN_OK) {
		size_t part = piece(text, size, PIECE);
		while ((result = sn_tts_push(tts, text, part, err)) == SN_AGAIN)
			if ((result = write_ready(tts, to, o, err)) != SN_AGAIN)
				return result;
		text += part;
		size -= part;
		if (result == SN_OK)
			result = ask(tts, o, err);
	}
	if (result == SN_OK)
		result = sn_tts_finish(tts, err);
	while (result == SN_OK || result == SN_AGAIN)
		result = write_ready(tts, to, o, err);
	if (result != SN_END)
		return result;
	return to->encoder ? sn_encoder_finish(to->encoder, err) : SN_OK;
}

static int ignore_event(void *payload, const sn_ssml_event *event, char *err) { return SN_OK; }

/* A document is read to its end once before anything is spoken of it. */
static int check_ssml(const char *text, size_t size, char *err) {
	sn_ssml *ssml;
	int result = sn_ssml_open(&ssml, ignore_event, NULL, err);
	if (result == SN_OK)
		result = sn_ssml_push(ssml, text, size, 1, err);
	sn_ssml_close(&ssml);
	return result;
}

static int check_text(const char *text, size_t size, const sn_tts_options *o, char *err) {
	const sn_switch ssml = o ? o->ssml : SN_DEFAULT;
	sn_buf clean;
	sn_text_facts facts;
	if (size > SN_SPEAK_MAX_TEXT)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu are spoken at once", size, SN_SPEAK_MAX_TEXT);
	if (ssml == SN_ON || (ssml == SN_DEFAULT && sn_ssml_begins(text, size) > 0))
		return check_ssml(text, size, err);
	sn_buf_init(&clean, SN_SPEAK_MAX_TEXT + 1);
	int result = sn_text_validate(text, size, &clean, &facts, err);
	sn_buf_free(&clean);
	return result;
}

/* The speech is there, whatever became of its rating. */
static int report(sn_tts *tts, const sn_tts_options *o, sn_speech *speech, char *err) {
	char reason[SN_ERRLEN] = "";
	int result;
	while ((result = sn_tts_check(tts, speech, reason)) == SN_AGAIN)
		if (ask(tts, o, err) != SN_OK)
			return SN_E_CANCELLED;
	if (result == SN_OK)
		return SN_OK;
	sn_tts_note(tts, "not_rated", "the speech was not rated: %s", reason);
	sn_tts_result(tts, speech);
	return SN_OK;
}

static int is_noisy(const sn_tts *tts) { return tts->background != 0 && tts->background < NOISY; }

/* What became of cleaning it. 1: it is cleaner. */
static int tell_cleaned(sn_tts *tts, int result, const sn_enhancement *facts, char *reason, sn_speech *speech) {
	const int cleaned = result == SN_OK && facts->noise_reduction >= 1;
	if (result == SN_OK && !cleaned)
		snprintf(reason, SN_ERRLEN, "it cannot be told from the speech");
	if (cleaned)
		sn_tts_note(tts, "enhanced", "the background was rated %.1f of 5; noise was lowered by %.0f dB", (double)tts->background,
		            (double)facts->noise_reduction);
	else
		sn_tts_note(tts, "noisy", "the background was rated %.1f of 5, and the noise stayed: %s", (double)tts->background, reason);
	sn_tts_result(tts, speech);
	return cleaned;
}

static const sn_enhance_options cleaning = { .denoise = SN_ON, .normalise = SN_OFF };

/* Speech that was rated to have a noisy background is cleaned in the file, where a model for that is installed. */
static void clean_file(sn_tts *tts, const char *path, const char *format, sn_speech *speech) {
	char reason[SN_ERRLEN] = "";
	sn_enhancement facts;
	if (is_noisy(tts))
		tell_cleaned(tts, sn_enhance_file(&facts, tts->engine, path, path, format, &cleaning, reason), &facts, reason, speech);
}

/* The same for samples, which are replaced. */
static void clean_samples(sn_tts *tts, float **pcm, size_t *count, sn_speech *speech) {
	char reason[SN_ERRLEN] = "";
	sn_enhancement facts;
	float *cleaned;
	size_t cleaned_count;
	if (!is_noisy(tts))
		return;
	const int result = sn_enhance_pcm(&cleaned, &cleaned_count, &facts, tts->engine, *pcm, *count, tts->rate, &cleaning, reason);
	if (tell_cleaned(tts, result, &facts, reason, speech)) {
		free(*pcm);
		*pcm = cleaned;
		*count = cleaned_count;
	} else {
		free(cleaned);
	}
}

/* A session for one call; `ready` is for others. */
static int open_session(sn_tts **tts, sn_model *model, const sn_tts_options *options, char *err) {
	sn_tts_options o = options ? *options : (sn_tts_options){ 0 };
	o.ready = NULL;
	return sn_tts_open(tts, model, &o, err);
}

static int holds(const sn_tts_options *o) { return !(o && o->check == SN_OFF); }

int sn_speak_file(sn_model *model, const char *text, size_t size, const char *path, const char *format,
                  const sn_tts_options *options, sn_speech *speech, char *err) {
	sn_tts *tts = NULL;
	sink to = { 0 };
	sn_encoder_options eo = { .format = SN_AUDIO_WAV, .channels = 1 };
	const int is_stdout = strcmp(path, "-") == 0;
	int result = check_text(text, size, options, err);
	if (result == SN_OK)
		result = sn_audio_format_choose(format, path, &eo.format, err);
	if (result == SN_OK)
		result = open_session(&tts, model, options, err);
	if (result == SN_OK) {
		eo.rate = tts->rate;
		result = is_stdout ? sn_encoder_open_fd(&to.encoder, STDOUT_FILENO, "standard output", &eo, err)
			: sn_encoder_open_path(&to.encoder, path, &eo, err);
	}
	if (result == SN_OK && !is_stdout && holds(options))
		sn_tts_hold(tts);
	if (result == SN_OK)
		result = speak(tts, &to, text, size, options, err);
	if (result == SN_OK && speech)
		result = report(tts, options, speech, err);
	if (result == SN_OK && speech && !is_stdout)
		clean_file(tts, path, sn_audio_format_name(eo.format), speech);
	sn_encoder_close(&to.encoder);
	sn_tts_close(&tts);
	return result;
}

int sn_speak_memory(void **data, size_t *data_size, sn_model *model, const char *text, size_t size, const char *format,
                    const sn_tts_options *options, sn_speech *speech, char *err) {
	sn_tts *tts = NULL;
	sink to = { 0 };
	sn_encoder_options eo = { .format = SN_AUDIO_WAV, .channels = 1 };
	sn_buf out;
	*data = NULL;
	*data_size = 0;
	sn_buf_init(&out, MAX_AUDIO);
	int result = check_text(text, size, options, err);
	if (result == SN_OK && format)
		result = sn_audio_format_parse(format, &eo.format, err);
	if (result == SN_OK)
		result = open_session(&tts, model, options, err);
	if (result == SN_OK) {
		eo.rate = tts->rate;
		result = sn_encoder_open_memory(&to.encoder, &out, &eo, err);
	}
	if (result == SN_OK && holds(options))
		sn_tts_hold(tts);
	if (result == SN_OK)
		result = speak(tts, &to, text, size, options, err);
	if (result == SN_OK && speech)
		result = report(tts, options, speech, err);
	sn_encoder_close(&to.encoder);
	sn_tts_close(&tts);
	if (result == SN_OK)
		*data = sn_buf_take(&out, data_size);
	sn_buf_free(&out);
	return result;
}

int sn_speak_pcm(float **pcm, size_t *count, sn_model *model, const char *text, size_t size, const sn_tts_options *options,
                 sn_speech *speech, char *err) {
	sn_tts *tts = NULL;
	sink to = { 0 };
	*pcm = NULL;
	*count = 0;
	sn_buf_init(&to.pcm, MAX_AUDIO);
	int result = check_text(text, size, options, err);
	if (result == SN_OK)
		result = open_session(&tts, model, options, err);
	if (result == SN_OK && holds(options))
		sn_tts_hold(tts);
	if (result == SN_OK)
		result = speak(tts, &to, text, size, options, err);
	if (result == SN_OK && speech)
		result = report(tts, options, speech, err);
	if (result == SN_OK) {
		*pcm = (float *)sn_buf_take(&to.pcm, count);
		*count /= sizeof **pcm;
	}
	if (*count && speech)
		clean_samples(tts, pcm, count, speech);
	sn_tts_close(&tts);
	sn_buf_free(&to.pcm);
	return result;
}
