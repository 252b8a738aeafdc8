/* Transcribing with Wav2Vec2: letters of frames, from windows of up to 30 s that overlap.
 *
 * A clip that fits one window is read as the reference reads it. Longer ones are cut every 26 s: each window is normalised on its own
 * (its level, and the statistics of a group norm, which the reference takes over what it is given at once, so that a whole hour would
 * mix all its voices), and ctc_track.h joins the windows' frames before anything is decoded. Segments end at pauses. */
#include "speech/ctc.h"
#include "speech/ctc_track.h"
#include "speech/hotwords.h"
#include "speech/languages.h"
#include "speech/punctuate.h"
#include "speech/punctuate_rules.h"
#include "speech/stt.h"
#include "speech/tick.h"

#include "base/clock.h"
#include "base/log.h"
#include "models/wav2vec2.h"
#include "text/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define OVERLAP 4.0       /* seconds that two windows share */
#define PAUSE 0.5         /* that ends a segment, where there is also a delimiter */
#define LONGEST 30.0      /* segment */
#define PIECE 0.03        /* seconds that a step should take */
#define PROMPT_BEAM 8     /* where words are listed and no beam is asked for */
#define WORD_WEIGHT 1.5f  /* for each letter of a listed word: a letter 4.5 times less likely than another is as good */
#define SURE_LANGUAGE 0.5f
#define TEXT_MAX ((size_t)1 << 20)

typedef struct stt_ctc {
	sn_stt base;
	const sn_wav2vec2_config *config;
	/* options */
	int beam, words;
	char *prompt;             /* words to favour; NULL: none */
	char *hotwords;           /* phrases to favour; NULL: none */
	sn_switch punctuate;
	sn_model *classifier;     /* that punctuates; NULL: rules */
	sn_model *asked;          /* a Whisper that will tell the language, */
	sn_stt *asking;           /* in a session of its own */
	char heard[16];           /* what it said; "": nothing was heard */
	float heard_confidence;
	/* known with the language */
	sn_wav2vec2_head *head;
	const sn_ctc_vocab *vocab;
	sn_ctc *search;
	sn_ctc_track *track;
	sn_punctuator *punctuator; /* NULL: the model's letters are the text */
	int letters, overlap;     /* values of a frame; frames that windows share */
	float *rows;              /* [frames of a window, letters] */
	sn_ctc_token *tokens;     /* of a segment: [frames of the longest], as are the next */
	int32_t *ids;
	sn_word *word;
	size_t *word_at;          /* where its text begins */
	/* the conductor's */
	int64_t at, samples;      /* where the window in work, or the next one, begins; samples of the one in work */
	int running, is_last, ended, windows;
	int budget;
} stt_ctc;

/* ---- what a language brings ---- */

static int frames_of(const stt_ctc *stt, double seconds) { return (int)(seconds * stt->config->sample_rate / stt->config->stride); }

static int at_most(int value, int most) { return value < most ? value : most; }

/* Listed words as letters, one after another in `ids`. */
typedef struct word_list {
	int32_t *ids;
	int *lengths;
	int room, used, count, missing;
} word_list;

static int add_word(const stt_ctc *stt, word_list *l, const char *text, size_t size, char *err) {
	int letters = 0, lost = 0;
	const int result = sn_ctc_vocab_encode(stt->vocab, text, size, l->ids + l->used, l->room - l->used, &letters, &lost, err);
	l->missing += result == SN_OK && lost > 0;
	if (result != SN_OK || !letters || lost)
		return result;
	l->lengths[l->count++] = letters;
	l->used += letters;
	return SN_OK;
}

/* The words of the prompt, which spaces and commas part, and the hot words' phrases, whole. */
static int read_words(const stt_ctc *stt, word_list *l, char *err) {
	static const char apart[] = " \t\r\n,;";
	int result = SN_OK;
	for (const char *at = stt->prompt ? stt->prompt + strspn(stt->prompt, apart) : ""; *at && result == SN_OK; at += strspn(at, apart)) {
		const size_t size = strcspn(at, apart);
		result = add_word(stt, l, at, size, err);
		at += size;
	}
	const char *at = stt->hotwords ? stt->hotwords : "", *item;
	size_t size;
	while (result == SN_OK && sn_hotwords_item(&at, &item, &size))
		result = add_word(stt, l, item, size, err);
	return result;
}

static int open_search(stt_ctc *stt, char *err) {
	const sn_ctc_vocab_config *const v = sn_ctc_vocab_get_config(stt->vocab);
	sn_ctc_options o = { .size = stt->letters, .blank = v->blank, .delimiter = v->delimiter, .beam = stt->beam, .weight = WORD_WEIGHT };
	if (!stt->prompt && !stt->hotwords)
		return sn_ctc_open(&stt->search, &o, err);
	/* a letter has at least a byte */
	word_list l = { .room = (int)((stt->prompt ? strlen(stt->prompt) : 0) + (stt->hotwords ? strlen(stt->hotwords) : 0) + 1) };
	l.ids = malloc((size_t)l.room * sizeof *l.ids);
	l.lengths = malloc((size_t)l.room * sizeof *l.lengths);
	int result = l.ids && l.lengths ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the listed words");
	if (result == SN_OK)
		result = read_words(stt, &l, err);
	o.words = l.ids;
	o.lengths = l.lengths;
	o.word_count = l.count;
	if (result == SN_OK)
		result = sn_ctc_open(&stt->search, &o, err);
	if (l.missing)
		sn_notes_add(&stt->base.notes, "prompt", "%d listed words have letters that the model does not write; they are not favoured",
		             l.missing);
	free(l.ids);
	free(l.lengths);
	return result;
}

/* What the vocabulary can write by itself. */
typedef struct writing { int upper, lower, marks, english; } writing;

static writing look_at(const sn_ctc_vocab *vocab) {
	writing w = { .english = 1 };
	for (int32_t id = 0; id < sn_ctc_vocab_get_config(vocab)->size; id++) {
		const char *const text = sn_ctc_vocab_text(vocab, id, 1);
		int32_t i = 0, c;
		U8_NEXT_UNSAFE(text, i, c);
		if (!c || text[i] || id == sn_ctc_vocab_get_config(vocab)->delimiter)
			continue;
		w.upper |= u_isupper(c);
		w.lower |= u_islower(c);
		w.marks |= strchr(".?", c < 128 ? (int)c : 'a') != NULL || c == 0x3002;
		w.english &= (c < 128 && u_isalpha(c)) || c == '\'' || c == ' ' || c == '|';
	}
	return w;
}

/* The first installed one for the language, where there is any. One that cannot be loaded is logged; rules do without it. */
static void find_classifier(stt_ctc *stt, const char *language) {
	sn_store *const store = stt->base.engine->store;
	const char *name, *const code = sn_rules_of(language)->code;
	char err[SN_ERRLEN];
	sn_model_place place;
	for (int i = 0; !stt->classifier && (name = sn_store_default(store, "punctuate", i)); i++) {
		if (sn_store_resolve(store, name, &place, NULL) != SN_OK || !place.entry)
			continue;
		int speaks = 0;
		for (int k = 0; k < place.entry->language_count; k++)
			speaks |= strcmp(place.entry->languages[k], code) == 0;
		if (speaks && sn_model_load(&stt->classifier, stt->base.engine, name, &(sn_model_options){ .task = SN_TASK_PUNCTUATE }, err) != SN_OK)
			sn_log(SN_LOG_WARN, "%s", err);
	}
}

/* Marks for a model that writes none, unless they are switched off. A vocabulary of a to z alone is taken for English. */
static int open_punctuator(stt_ctc *stt, const char *language, char *err) {
	const sn_ctc_vocab_config *const v = sn_ctc_vocab_get_config(stt->vocab);
	const writing w = look_at(stt->vocab);
	sn_notes *const notes = &stt->base.notes;
	if (stt->punctuate == SN_OFF)
		return SN_OK;
	if (w.marks) {
		if (stt->punctuate == SN_ON || stt->classifier)
			sn_notes_add(notes, "punctuated", "the model \"%.80s\" writes marks itself; nothing was added", stt->base.model->name);
		return SN_OK;
	}
	const char *const known = language && *language ? language : w.english && (w.lower || w.upper) ? "en" : "";
	if (!stt->classifier)
		find_classifier(stt, known);
	const sn_punctuator_options o = { .language = known, .space = v->delimiter >= 0 ? v->replacement : "", .keep = w.upper && w.lower,
		.model = stt->classifier ? stt->classifier->bert : NULL };
	return sn_punctuator_open(&stt->punctuator, &o, err);
}

/* Everything that depends on the letters, after `head` was taken. */
static int prepare(stt_ctc *stt, const char *language, char *err) {
	const int window = (int)sn_wav2vec2_frames(stt->base.model->wav2vec2, stt->config->window);
	const int longest = at_most(at_most(frames_of(stt, LONGEST), SN_CTC_MAX_FRAMES) + 2, SN_CTC_MAX_FRAMES);
	stt->vocab = sn_wav2vec2_vocab(stt->head);
	stt->letters = sn_wav2vec2_letters(stt->head);
	stt->overlap = at_most(frames_of(stt, OVERLAP), window / 3);
	const sn_ctc_vocab_config *const v = sn_ctc_vocab_get_config(stt->vocab);
	const int pause = frames_of(stt, PAUSE);
	const sn_ctc_track_options track = { .size = stt->letters, .blank = v->blank, .delimiter = v->delimiter, .window = window,
		.overlap = stt->overlap, .margin = stt->overlap / 4, .pause = pause > 1 ? pause : 1, .most = longest };
	int result = open_search(stt, err);
	if (result == SN_OK)
		result = sn_ctc_track_open(&stt->track, &track, err);
	if (result == SN_OK)
		result = open_punctuator(stt, language, err);
	if (result != SN_OK)
		return result;
	stt->rows = malloc((size_t)window * (size_t)stt->letters * sizeof *stt->rows);
	stt->tokens = malloc((size_t)longest * sizeof *stt->tokens);
	stt->ids = malloc((size_t)longest * sizeof *stt->ids);
	stt->word = malloc((size_t)longest * sizeof *stt->word);
	stt->word_at = malloc((size_t)longest * sizeof *stt->word_at);
	const int got = stt->rows && stt->tokens && stt->ids && stt->word && stt->word_at;
	return got ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for a session");
}

static int emit_language(stt_ctc *stt, const char *code, float confidence) {
	return sn_stt_emit(&stt->base, &(sn_event){ .kind = SN_EVENT_LANGUAGE, .language = code, .language_confidence = confidence });
}

/* language NULL: the model's own. A name or code of the caller is tried as it is (the model's files may have it so), then by its short
 * code. */
static int take_language(stt_ctc *stt, const char *language, float confidence, char *err) {
	sn_engine *engine = stt->base.engine;
	char code[16];
	pthread_mutex_lock(&engine->share_lock);
	int result = sn_wav2vec2_take(&stt->head, stt->base.model->wav2vec2, language, err);
	if (result == SN_E_UNSUPPORTED && sn_language_code(language, code, sizeof code) && strcmp(code, language) != 0)
		result = sn_wav2vec2_take(&stt->head, stt->base.model->wav2vec2, language = code, NULL) == SN_OK ? SN_OK : result;
	pthread_mutex_unlock(&engine->share_lock);
	if (result != SN_OK)
		return result;
	const char *known = sn_wav2vec2_language(stt->head);
	if (!*known && language) {
		known = sn_language_code(language, code, sizeof code) ? code : language;
		if (!stt->config->language_count)
			sn_notes_add(&stt->base.notes, "language_unchecked", "the model's files do not say which language it writes; \"%.40s\" "
			             "was taken on trust", known);
	}
	result = prepare(stt, known, err);
	if (result != SN_OK)
		return result;
	return *known ? emit_language(stt, known, confidence) : SN_OK;
}

/* ---- asking which language it is ---- */

/* The best installed Whisper that knows many languages. */
static int find_whisper(stt_ctc *stt, char *err) {
	sn_engine *engine = stt->base.engine;
	const char *name;
	for (int i = 0; (name = sn_store_default(engine->store, "transcribe", i)); i++) {
		sn_model_place place;
		if (sn_store_resolve(engine->store, name, &place, NULL) != SN_OK || strcmp(place.architecture, "whisper") != 0)
			continue;
		const int result = sn_model_load(&stt->asked, engine, name, &(sn_model_options){ .task = SN_TASK_TRANSCRIBE }, err);
		if (result != SN_OK)
			return result;
		if (sn_whisper_get_config(stt->asked->whisper)->multilingual)
			return SN_OK;
		sn_model_release(&stt->asked);
	}
	return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" writes %d languages and cannot tell which one is spoken; give the language, "
	               "or install a multilingual Whisper (\"whisper-base\"), which is asked then", stt->base.model->name,
	               stt->config->language_count);
}

/* Gives the first window to a session of its own. */
static int begin_asking(stt_ctc *stt, char *err) {
	sn_stt_options o = { .beam = 1, .fallback = SN_OFF, .vad = SN_OFF };
	const int64_t window = stt->config->window;
	sn_stt_inside(&o, &stt->base.job);
	int result = sn_stt_open(&stt->asking, stt->asked, &o, err);
	if (result == SN_OK)
		result = sn_stt_push(stt->asking, stt->base.tape, (size_t)(stt->base.tape_count < window ? stt->base.tape_count : window), err);
	return result == SN_OK ? sn_stt_finish(stt->asking, err) : result;
}

/* The language of the first window, to `heard`. SN_AGAIN: not yet. */
static int ask_whisper(stt_ctc *stt, char *err) {
	sn_event event;
	int result = stt->asking ? SN_OK : begin_asking(stt, err);
	if (result == SN_OK)
		sn_stt_be_patient(stt->asking, fmin(stt->base.patience, SN_TICK));
	while (result == SN_OK && !*stt->heard && (result = sn_stt_pull(stt->asking, &event, err)) == SN_OK)
		if (event.kind == SN_EVENT_LANGUAGE) {
			snprintf(stt->heard, sizeof stt->heard, "%s", event.language);
			stt->heard_confidence = event.language_confidence;
		}
	if (result != SN_AGAIN)
		sn_stt_close(&stt->asking);
	return result == SN_END ? SN_OK : result;
}

static int serve(sn_stt *base, char *err) {
	stt_ctc *const stt = (stt_ctc *)base;
	char why[SN_ERRLEN];
	int result = ask_whisper(stt, err);
	if (result != SN_OK)
		return result;
	if (!*stt->heard)
		return take_language(stt, NULL, 0, err);
	if (stt->heard_confidence < SURE_LANGUAGE)
		sn_notes_add(&base->notes, "language_uncertain", "the language was taken for \"%s\" with a probability of only %.2f", stt->heard,
		             (double)stt->heard_confidence);
	result = take_language(stt, stt->heard, stt->heard_confidence, why);
	if (result == SN_OK)
		sn_model_release(&stt->asked);
	return result == SN_OK ? SN_OK : sn_fail(err, result, "\"%s\" was heard by \"%s\": %.400s", stt->heard, stt->asked->name, why);
}

/* ---- opening ---- */

static int set_options(stt_ctc *stt, const sn_stt_options *o, char *err) {
	const char *name = stt->base.model->name;
	if (o->task && strcmp(o->task, "transcribe") != 0 && strcmp(o->task, "translate") != 0)
		return sn_fail(err, SN_E_ARGUMENT, "task \"%s\" is neither \"transcribe\" nor \"translate\"", o->task);
	if (o->task && strcmp(o->task, "translate") == 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" cannot translate; a multilingual Whisper can", name);
	if (o->beam < 0 || o->beam > SN_MAX_BEAM)
		return sn_fail(err, SN_E_ARGUMENT, "beam %d is outside 1 to %d", o->beam, SN_MAX_BEAM);
	if (!(o->temperature >= 0 && o->temperature <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "temperature %g is outside 0 to 1", (double)o->temperature);
	if (o->previous_tokens < 0 || o->batch < 0)
		return sn_fail(err, SN_E_ARGUMENT, "previous_tokens %d and batch %d must not be negative", o->previous_tokens, o->batch);
	if (o->temperature > 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" draws no samples: its temperature is always 0", name);
	if (o->live == SN_ON)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" does not transcribe live; a Whisper does", name);
	if (o->hotwords && strlen(o->hotwords) > SN_MAX_HOTWORDS)
		return sn_fail(err, SN_E_LIMIT, "the hot words have %zu bytes; at most %zu are taken", strlen(o->hotwords), SN_MAX_HOTWORDS);
	if (o->hotwords && sn_utf8_check(o->hotwords, strlen(o->hotwords), SN_MAX_HOTWORDS, err) != SN_OK)
		return SN_E_FORMAT;
	if (o->prompt && strlen(o->prompt) > SN_MAX_PROMPT)
		return sn_fail(err, SN_E_LIMIT, "the prompt has %zu bytes; at most %zu are taken", strlen(o->prompt), SN_MAX_PROMPT);
	if (o->vad == SN_ON)
		sn_notes_add(&stt->base.notes, "no_vad", "no voice activity detector is used: the model writes nothing where nobody speaks");
	stt->words = o->words != SN_OFF;
	stt->punctuate = o->punctuate;
	const int has_prompt = o->prompt && *o->prompt, has_hotwords = o->hotwords && *o->hotwords;
	stt->prompt = has_prompt ? strdup(o->prompt) : NULL;
	stt->hotwords = has_hotwords ? strdup(o->hotwords) : NULL;
	stt->beam = o->beam > 1 || has_prompt || has_hotwords ? o->beam ? o->beam : PROMPT_BEAM : 0;
	if ((has_prompt && !stt->prompt) || (has_hotwords && !stt->hotwords))
		return sn_fail(err, SN_E_MEMORY, "no memory for the listed words");
	return SN_OK;
}

static int is_listed(const stt_ctc *stt, const char *language) {
	for (int i = 0; i < stt->config->language_count; i++)
		if (strcmp(stt->config->languages[i], language) == 0)
			return 1;
	return 0;
}

static int open_session(sn_stt *base, const sn_stt_options *o, char *err) {
	stt_ctc *const stt = (stt_ctc *)base;
	char code[16];
	stt->config = sn_wav2vec2_get_config(base->model->wav2vec2);
	stt->budget = 25;
	const int given = o->language && *o->language && strcmp(o->language, "auto") != 0;
	if (given && !is_listed(stt, o->language) && !sn_language_code(o->language, code, sizeof code))
		return sn_fail(err, SN_E_ARGUMENT, "language \"%.40s\" is neither a code like \"en\", nor a name like \"english\", nor \"auto\"",
		               o->language);
	int result = set_options(stt, o, err);
	if (result == SN_OK && o->punctuation && *o->punctuation && o->punctuate != SN_OFF)
		result = sn_model_load(&stt->classifier, base->engine, o->punctuation, &(sn_model_options){ .task = SN_TASK_PUNCTUATE }, err);
	if (result != SN_OK)
		return result;
	if (!given && stt->config->adapters && stt->config->language_count > 1)
		return find_whisper(stt, err);
	return take_language(stt, given ? o->language : NULL, 1, err);
}

static void close_session(sn_stt *base) {
	stt_ctc *const stt = (stt_ctc *)base;
	pthread_mutex_lock(&base->engine->share_lock);
	sn_wav2vec2_give(&stt->head);
	pthread_mutex_unlock(&base->engine->share_lock);
	sn_stt_close(&stt->asking);
	sn_model_release(&stt->asked);
	sn_ctc_close(&stt->search);
	sn_ctc_track_close(&stt->track);
	sn_punctuator_close(&stt->punctuator);
	sn_model_release(&stt->classifier);
	free(stt->prompt);
	free(stt->hotwords);
	free(stt->rows);
	free(stt->tokens);
	free(stt->ids);
	free(stt->word);
	free(stt->word_at);
}

/* ---- segments ---- */

static int is_space(const stt_ctc *stt, int32_t id) {
	const char *text = sn_ctc_vocab_text(stt->vocab, id, 0);
	return id == sn_ctc_vocab_get_config(stt->vocab)->delimiter || (*text && !text[strspn(text, " ")]);
}

static double seconds_of(const stt_ctc *stt, int64_t frame) {
	return (double)frame * stt->config->stride / stt->config->sample_rate;
}

/* Words of tokens [0, count), their texts one after another in `text`; where words are not parted, each letter is one. */
static int make_words(stt_ctc *stt, const sn_ctc_cut *cut, int count, sn_buf *text) {
	const int parted = sn_ctc_vocab_get_config(stt->vocab)->delimiter >= 0;
	int words = 0;
	for (int i = 0; i < count;) {
		if (is_space(stt, stt->tokens[i].id)) {
			i++;
			continue;
		}
		sn_word *const w = &stt->word[words];
		const size_t begin = stt->word_at[words] = text->size;
		const int first = i;
		double sum = 0;
		for (; i < count && !is_space(stt, stt->tokens[i].id) && (parted || i == first); i++)
			sum += (double)stt->tokens[i].logprob;
		sn_ctc_vocab_decode(stt->vocab, stt->ids + first, i - first, 0, 0, text);
		w->start = seconds_of(stt, cut->first + stt->tokens[first].first);
		w->end = seconds_of(stt, cut->first + stt->tokens[i - 1].last + 1);
		w->confidence = (float)exp(sum / (i - first));
		if (text->size > begin) {
			sn_buf_add(text, "", 1);
			words++;
		}
	}
	for (int i = 0; i < words && !text->failed; i++)
		stt->word[i].text = text->data + stt->word_at[i];
	return text->failed ? 0 : words;
}

static int emit(stt_ctc *stt, const sn_segment *segment) {
	sn_segment s = *segment;
	if (!stt->words) {
		s.words = NULL;
		s.word_count = 0;
	}
	return sn_stt_emit(&stt->base, &(sn_event){ .kind = SN_EVENT_SEGMENT, .position = s.end, .segment = s });
}

static int hand_over(stt_ctc *stt, const sn_segment *segment) {
	return stt->punctuator ? sn_punctuator_add(stt->punctuator, segment, stt->base.message) : emit(stt, segment);
}

static int deliver(stt_ctc *stt, const sn_ctc_cut *cut) {
	const sn_ctc_vocab_config *const v = sn_ctc_vocab_get_config(stt->vocab);
	const int count = sn_ctc_decode(stt->search, cut->logprobs, cut->frames, stt->tokens);
	int first = count, last = -1, spoken = 0, result = SN_OK;
	double sum = 0;
	for (int i = 0; i < count; i++) {
		stt->ids[i] = stt->tokens[i].id;
		if (is_space(stt, stt->ids[i]))
			continue;
		first = first < i ? first : i;
		last = i;
		sum += (double)stt->tokens[i].logprob;
		spoken++;
	}
	if (!spoken)
		return SN_OK;
	sn_buf text, words;
	sn_buf_init(&text, TEXT_MAX);
	sn_buf_init(&words, TEXT_MAX);
	for (int i = 0; i < cut->spaces && stt->base.segments; i++)
		sn_buf_text(&text, v->replacement);
	result = sn_ctc_vocab_decode(stt->vocab, stt->ids, count, 0, 0, &text);
	const int word_count = (stt->words || stt->punctuator) && result == SN_OK ? make_words(stt, cut, count, &words) : 0;
	const double end = seconds_of(stt, cut->first + stt->tokens[last].last + 1);
	if (result == SN_OK)
		result = text.failed ? text.failed : words.failed;
	if (result != SN_OK)
		sn_fail(stt->base.message, result, "no memory for the text of a segment");
	else if (text.size)
		result = hand_over(stt, &(sn_segment){
			.id = stt->base.segments++, .start = seconds_of(stt, cut->first + stt->tokens[first].first), .end = end, .text = text.data,
			.tokens = stt->ids, .token_count = count, .avg_logprob = (float)(sum / spoken), .confidence = (float)exp(sum / spoken),
			.words = word_count ? stt->word : NULL, .word_count = word_count });
	sn_buf_free(&text);
	sn_buf_free(&words);
	return result;
}

/* ---- steps ---- */

/* A piece of the window in work; its frames go onto the track at the end. */
static int read_window(stt_ctc *stt) {
	const double start = sn_now();
	const int result = sn_wav2vec2_next(stt->head, stt->budget, stt->base.message);
	sn_sched_count(stt->base.engine->sched, SN_STAGE_ENCODE, result == SN_OK, start);
	if (result < 0)
		return result;
	if (result == SN_AGAIN) {
		const double wanted = stt->budget * PIECE / (sn_now() - start + 1e-6);
		stt->budget = wanted < 1 ? 1 : wanted > 100 ? 100 : (int)wanted;
		return SN_OK;
	}
	int64_t frames;
	const float *const logits = sn_wav2vec2_logits(stt->head, &frames);
	memcpy(stt->rows, logits, (size_t)(frames * stt->letters) * sizeof *logits);
	sn_wav2vec2_end(stt->head);
	stt->running = 0;
	sn_sched_wake_all(stt->base.engine->sched); /* others wait for the model */
	sn_ctc_log_softmax(stt->rows, frames, stt->letters);
	sn_ctc_track_add(stt->track, stt->at / stt->config->stride, stt->rows, (int)frames, stt->is_last);
	stt->ended = stt->is_last;
	sn_stt_moved(&stt->base, stt->at + stt->samples);
	stt->at += (frames - stt->overlap) * stt->config->stride;
	sn_stt_trim(&stt->base, stt->at);
	return SN_OK;
}

/* Begins the next window when its samples are there. SN_AGAIN: they are not, or the model is at work for others. */
static int begin_window(stt_ctc *stt) {
	const int64_t there = sn_stt_tape_end(&stt->base) - stt->at;
	const int64_t samples = there < stt->config->window ? there : stt->config->window;
	if (stt->ended || (samples < stt->config->window && !stt->base.at_end))
		return SN_AGAIN;
	const int64_t frames = sn_wav2vec2_frames(stt->base.model->wav2vec2, samples);
	if (frames <= (stt->windows ? stt->overlap : 0)) { /* nothing that was not read before */
		sn_ctc_track_end(stt->track);
		stt->ended = 1;
		return SN_OK;
	}
	if (sn_wav2vec2_start(stt->head, stt->base.tape + (stt->at - stt->base.tape_first), samples) != SN_OK) {
		sn_sched_rest(stt->base.engine->sched, &stt->base.job);
		return SN_AGAIN;
	}
	stt->running = 1;
	stt->windows++;
	stt->samples = samples;
	stt->is_last = stt->base.at_end && samples == there;
	return SN_OK;
}

static void conclude(stt_ctc *stt) {
	const int64_t samples = sn_stt_tape_end(&stt->base);
	const double seconds = (double)samples / stt->config->sample_rate;
	sn_notes *const notes = &stt->base.notes;
	if (samples == 0)
		sn_notes_add(notes, "no_audio", "there are no samples in the audio");
	else if (!stt->windows)
		sn_notes_add(notes, "too_short", "%.4f s are too short for a letter", seconds);
	else if (!stt->base.segments)
		sn_notes_add(notes, "no_text", "the model wrote no letters for %.2f s of audio", seconds);
	else if (stt->punctuator && stt->classifier)
		sn_notes_add(notes, "punctuated", "marks were written by the model \"%.80s\", capitals by %s", stt->classifier->name,
		             sn_bert_get_config(stt->classifier->bert)->has_case ? "it, too" : "rules");
	else if (stt->punctuator)
		sn_notes_add(notes, "punctuated", "marks and capitals were written by rules on pauses and words");
	sn_stt_conclude(&stt->base);
}

/* A piece of the marks. SN_END: nothing waits for them, or more segments have to come first; SN_AGAIN: for the classifier, which
 * others use. */
static int punctuate(stt_ctc *stt) {
	if (stt->ended && stt->base.at_end)
		sn_punctuator_end(stt->punctuator);
	const int held = sn_punctuator_holds(stt->punctuator);
	const int result = sn_punctuator_work(stt->punctuator, stt->base.message);
	if (held && !sn_punctuator_holds(stt->punctuator))
		sn_sched_wake_all(stt->base.engine->sched);
	if (result == SN_AGAIN)
		sn_sched_rest(stt->base.engine->sched, &stt->base.job);
	return result;
}

static int work(sn_stt *base, int full) {
	stt_ctc *const stt = (stt_ctc *)base;
	sn_ctc_cut cut;
	const sn_segment *segment;
	if (stt->running)
		return read_window(stt);
	if (stt->punctuator && sn_punctuator_holds(stt->punctuator))
		return punctuate(stt);
	if (full)
		return SN_AGAIN;
	if (!stt->head) {
		const int enough = base->at_end || base->tape_count >= stt->config->window;
		if (enough && base->tape_count)
			sn_stt_ask(base);
		else if (enough)
			conclude(stt);
		return enough ? SN_AGAIN : sn_stt_intake(base);
	}
	const int given = stt->punctuator ? sn_punctuator_next(stt->punctuator, &segment) : 0;
	if (given)
		return given > 0 ? emit(stt, segment) : sn_fail(base->message, given, "no memory for the words of a segment");
	if (sn_ctc_track_next(stt->track, &cut))
		return deliver(stt, &cut);
	const int punctuated = stt->punctuator ? punctuate(stt) : SN_END;
	if (punctuated != SN_END)
		return punctuated;
	if (stt->ended && base->at_end) {
		conclude(stt);
		return SN_AGAIN;
	}
	const int result = begin_window(stt);
	const int waits = !stt->ended && sn_stt_tape_end(base) - stt->at >= stt->config->window; /* for the model, which others use */
	return result == SN_AGAIN && !waits ? sn_stt_intake(base) : result;
}

static void leave(sn_stt *base) {
	stt_ctc *const stt = (stt_ctc *)base;
	const int held = stt->punctuator && sn_punctuator_holds(stt->punctuator);
	if (held)
		sn_punctuator_leave(stt->punctuator);
	if (stt->running)
		sn_wav2vec2_end(stt->head);
	if (stt->running || held)
		sn_sched_wake_all(base->engine->sched);
	stt->running = 0;
}

const sn_stt_class sn_stt_ctc = { .size = sizeof(stt_ctc), .open = open_session, .work = work, .leave = leave, .serve = serve,
	.close = close_session };
