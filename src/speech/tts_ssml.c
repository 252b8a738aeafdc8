/* What an SSML document says, as this session's model can say it. */
#include "base/ascii.h"
#include "speech/languages.h"
#include "speech/tts.h"
#include "speech/voices.h"
#include "text/arpabet.h"
#include "text/inline.h"
#include "text/validate.h"

#include <stdio.h>
#include <string.h>

#define LEAST_FACTOR 0.25f /* of speed and pitch */
#define MOST_FACTOR 4.0f
#define MOST_GAIN 4.0f

static float within(float value, float least, float most) { return value < least ? least : value > most ? most : value; }

/* ---- style ---- */

static int same_style(const sn_ssml_style *a, const sn_ssml_style *b) {
	return a->rate == b->rate && a->pitch == b->pitch && a->gain == b->gain && strcmp(a->language, b->language) == 0 &&
	       strcmp(a->voice, b->voice) == 0;
}

/* espeak's name of a language: its code, but for those of which it has several. */
static void espeak_name(const char *language, const char *code, char *name, size_t size) {
	static const struct {
		const char *language, *name;
	} several[] = { { "en-gb", "en" }, { "pt-br", "pt-br" }, { "es-mx", "es-419" }, { "fr-ch", "fr-ch" }, { "fr-be", "fr-be" } };
	static const struct {
		const char *code, *name;
	} usual[] = { { "en", "en-us" }, { "zh", "cmn" }, { "no", "nb" }, { "tl", "en-us" } };
	snprintf(name, size, "%s", code);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (strcmp(code, usual[i].code) == 0)
			snprintf(name, size, "%s", usual[i].name);
	for (size_t i = 0; i < sizeof several / sizeof *several; i++)
		if (sn_strcasecmp(language, several[i].language) == 0)
			snprintf(name, size, "%s", several[i].name);
}

/* The voice speaks it, or makes its sounds as well as it can, or speaks its own language. */
static void set_language(sn_tts *tts, const char *language, tts_style *style) {
	const sn_synth_facts *const f = tts->model->facts;
	char code[8], own[8];
	if (!*language)
		return;
	if (!sn_language_code(language, code, sizeof code)) {
		sn_tts_note(tts, "ssml_language", "xml:lang=\"%s\" is no language code and was ignored", language);
		return;
	}
	if (sn_language_code(style->reading, own, sizeof own) && strcmp(own, code) == 0)
		return;
	const char *const known = sn_tts_language(tts, language);
	if (!known && !f->foreign) {
		sn_tts_note(tts, "ssml_language", "the model \"%s\" does not speak \"%s\"; the text was read in its own language", tts->model->name,
		            language);
		return;
	}
	snprintf(style->reading, sizeof style->reading, "%s", language);
	if (known) {
		style->language = known;
		return;
	}
	espeak_name(language, code, style->espeak, sizeof style->espeak);
	sn_tts_note(tts, "ssml_language", "\"%s\" was spoken with the sounds that the voice knows, which is of another language", language);
}

static const sn_voice *find_voice(sn_tts *tts, const char *name) {
	tts_text *const in = &tts->in;
	char err[SN_ERRLEN] = "";
	for (int i = 0; i < in->voice_count; i++)
		if (strcmp(in->voices[i].name, name) == 0)
			return &in->voices[i].voice;
	if (in->voice_count == TTS_VOICES) {
		sn_tts_note(tts, "ssml_voice", "a document may name %d voices; the voice was not changed for more", TTS_VOICES);
		return tts->options.voice;
	}
	const char *const ending = strrchr(name, '.');
	const int is_file = strchr(name, '/') || (ending && (strcmp(ending, ".npy") == 0 || strcmp(ending, ".npz") == 0)); /* a text opens none */
	if (is_file || sn_voice_find(&in->voices[in->voice_count].voice, tts->model, name, err) != SN_OK) {
		sn_tts_note(tts, "ssml_voice", "the voice \"%s\" is not known here, so the session's voice spoke", name);
		return tts->options.voice;
	}
	snprintf(in->voices[in->voice_count].name, TTS_NAME, "%s", name);
	return &in->voices[in->voice_count++].voice;
}

static void set_style(sn_tts *tts, const sn_ssml_style *written) {
	const sn_synth_facts *const f = tts->model->facts;
	tts_style *const style = &tts->in.style;
	tts_style fresh = { .speed = within(tts->options.speed * written->rate, LEAST_FACTOR, MOST_FACTOR),
		.pitch = within((tts->options.pitch ? tts->options.pitch : 1) * written->pitch, LEAST_FACTOR, MOST_FACTOR),
		.gain = within(written->gain, 0, MOST_GAIN), .language = tts->options.language, .voice = tts->options.voice };
	snprintf(fresh.reading, sizeof fresh.reading, "%s", sn_tts_reading(tts));
	if (!f->has_speed && fresh.speed != tts->options.speed) {
		sn_tts_note(tts, "ssml_prosody", "the model \"%s\" cannot change its speed; prosody rate was ignored", tts->model->name);
		fresh.speed = tts->options.speed;
	}
	if (!f->has_pitch && written->pitch != 1) {
		sn_tts_note(tts, "ssml_prosody", "the model \"%s\" cannot change its pitch; prosody pitch was ignored", tts->model->name);
		fresh.pitch = tts->options.pitch;
	}
	set_language(tts, written->language, &fresh);
	if (*written->voice)
		fresh.voice = find_voice(tts, written->voice);
	*style = fresh;
	tts->in.written = *written;
}

/* ---- content ---- */

static int is_blank(const char *text, size_t size) {
	for (size_t i = 0; i < size; i++)
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return 0;
	return 1;
}

/* White space of a document, also across its pieces, is one space. */
static int add_text(sn_tts *tts, const char *text, size_t size, char *err) {
	const sn_buf *const to = &tts->in.text;
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < size;) {
		size_t end = i;
		while (end < size && !is_blank(text + end, 1))
			end++;
		if (end > i)
			result = sn_tts_text_add(tts, text + i, end - i, err);
		if (result == SN_OK && end < size && to->size && to->data[to->size - 1] != ' ')
			result = sn_tts_text_add(tts, " ", 1, err);
		i = end + 1;
	}
	return result;
}

static int change_style(sn_tts *tts, const sn_ssml_event *e, char *err) {
	if (same_style(&tts->in.written, e->style))
		return SN_OK;
	int result = sn_tts_text_flush(tts, 0, err);
	if (result == SN_OK)
		set_style(tts, e->style);
	return result;
}

static int say_as(sn_tts *tts, const sn_ssml_event *e, char *err) {
	char reason[SN_ERRLEN] = "";
	sn_normaliser *const reader = sn_tts_reader(tts, tts->in.style.reading, err);
	sn_buf words;
	if (!reader)
		return sn_fail_memory(SN_E_DEPENDENCY, err);
	sn_buf_init(&words, SN_TTS_MAX_TEXT);
	int result = sn_say_as(reader, e->value, e->format, e->detail, e->text, e->size, &words, NULL, reason);
	if (result == SN_AGAIN)
		sn_tts_note(tts, "ssml_say_as", "%s", reason);
	else if (result != SN_OK)
		sn_fail(err, result, "%s", reason);
	if ((result == SN_OK || result == SN_AGAIN) && words.size)
		result = add_text(tts, words.data, words.size, err);
	sn_buf_free(&words);
	return result == SN_AGAIN ? SN_OK : result;
}

static int add_ipa(sn_tts *tts, const char *ipa, char *err) {
	sn_buf *const text = &tts->in.text;
	sn_buf cleaned; /* no characters that text/inline.h keeps for itself */
	sn_buf_init(&cleaned, SN_SSML_PHONEMES * 3);
	int result = sn_text_validate(ipa, strlen(ipa), &cleaned, NULL, NULL);
	if (result == SN_OK && text->size + SN_SSML_PHONEMES * 4 > SN_TTS_MAX_TEXT)
		result = sn_fail(err, SN_E_LIMIT, "a sentence of more than %zu bytes", SN_TTS_MAX_TEXT);
	if (result == SN_OK) {
		sn_buf_text(text, SN_INLINE_IPA);
		for (size_t i = 0; i < cleaned.size; i++)
			if (strchr(" \t\n", cleaned.data[i]))
				sn_buf_text(text, SN_INLINE_SPACE);
			else
				sn_buf_add(text, cleaned.data + i, 1);
		sn_buf_text(text, SN_INLINE_IPA_END);
		result = text->failed ? sn_fail(err, SN_E_MEMORY, "no memory for phonemes") : SN_OK;
	}
	sn_buf_free(&cleaned);
	return result;
}

static int add_arpabet(sn_tts *tts, const char *ipa, char *err) {
	sn_buf phones;
	sn_buf_init(&phones, SN_SSML_PHONEMES * 8);
	sn_buf_text(&phones, "{");
	sn_arpabet_from_ipa(ipa, strlen(ipa), &phones);
	sn_buf_text(&phones, "}");
	int result = phones.failed ? sn_fail(err, SN_E_MEMORY, "no memory for phonemes") : SN_OK;
	if (result == SN_OK && phones.size > 2)
		result = sn_tts_text_add(tts, phones.data, phones.size, err);
	sn_buf_free(&phones);
	return result;
}

static int phonemes(sn_tts *tts, const sn_ssml_event *e, char *err) {
	switch (tts->model->facts->phonemes) {
	case SN_PHONEMES_IPA: return add_ipa(tts, e->value, err);
	case SN_PHONEMES_ARPABET: return add_arpabet(tts, e->value, err);
	case SN_PHONEMES_NONE: break;
	}
	sn_tts_note(tts, "ssml_phoneme", "the model \"%s\" takes no phonemes; the text inside the element was read", tts->model->name);
	return add_text(tts, e->text, e->size, err);
}

int sn_tts_ssml_event(void *payload, const sn_ssml_event *e, char *err) {
	sn_tts *const tts = payload;
	int result = SN_OK;
	switch (e->kind) {
	case SN_SSML_TEXT:
	case SN_SSML_SAY_AS:
	case SN_SSML_IPA:
		if (!is_blank(e->text, e->size) || e->kind == SN_SSML_IPA)
			result = change_style(tts, e, err);
		if (result != SN_OK)
			return result;
		if (e->kind == SN_SSML_TEXT)
			return add_text(tts, e->text, e->size, err);
		return e->kind == SN_SSML_IPA ? phonemes(tts, e, err) : say_as(tts, e, err);
	case SN_SSML_BREAK_OF:
		result = sn_tts_text_flush(tts, 0, err);
		return result == SN_OK && e->seconds > 0 ? sn_tts_text_silence(tts, e->seconds, err) : result;
	case SN_SSML_MARK: return sn_tts_text_mark(tts, e->value, err);
	case SN_SSML_END: return sn_tts_text_flush(tts, 1, err);
	case SN_SSML_NOTE: sn_tts_note(tts, e->value, "%s", e->text); break;
	}
	return SN_OK;
}
