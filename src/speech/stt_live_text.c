/* From tokens to events. What is committed is the beginning of every later decoding, so it can only be appended to. */
#include "speech/stt_live.h"

#include "base/ascii.h"
#include "speech/confidence.h"
#include "speech/guards.h"
#include "speech/words.h"

#include <math.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 16)
#define LOGPROB_LIMIT (-1.0f)    /* the reference's thresholds */
#define SILENCE_LIMIT 0.6f

static const int32_t *text_of(const stt_live_task *task) { return task->decode.sequence + task->decode.prompt; }

static double seconds(int64_t samples) { return (double)samples / SN_STT_RATE; }

static int write_text(const stt_live *live, const int32_t *tokens, int count, sn_buf *text) {
	sn_buf_init(text, TEXT_MAX);
	return sn_bpe_decode(sn_whisper_bpe(live->whisper.base.model->whisper), tokens, count, text);
}

/* Whether a token is punctuation that stands directly behind a word. */
static int ends_words(const stt_live *live, int32_t token) {
	static const char *const wide[] = { "\xe3\x80\x81", "\xe3\x80\x82", "\xef\xbc\x8c", "\xef\xbc\x81", "\xef\xbc\x9f" }; /* 、。，！？ */
	size_t size;
	const char *const bytes = sn_bpe_bytes(sn_whisper_bpe(live->whisper.base.model->whisper), token, &size);
	if (!bytes)
		return 0;
	for (size_t i = 0; i < sizeof wide / sizeof *wide && size == 3; i++)
		if (memcmp(bytes, wide[i], 3) == 0)
			return 1;
	for (size_t i = 0; i < size; i++)
		if (!bytes[i] || !strchr(",.;:!?-)]}'\"", bytes[i]))
			return 0;
	return size > 0;
}

/* How many of tokens [from, count) belong to marks at the utterance's beginning: they end what the one before said, since the model goes
 * on with its sentence. They are decoded but not shown. */
static int echo(const stt_live *live, const int32_t *tokens, int from, int count) {
	int n = 0;
	while (n < count && ends_words(live, tokens[n]))
		n++;
	return n > from ? n - from : 0;
}

/* The last character lacks bytes, which later tokens may bring. */
static int ends_open(const sn_buf *text) { return text->size >= 3 && memcmp(text->data + text->size - 3, "\xef\xbf\xbd", 3) == 0; }

/* Nothing but spaces and ASCII punctuation. */
static int is_blank(const sn_buf *text) {
	for (size_t i = 0; i < text->size; i++)
		if (sn_isalnum((unsigned char)text->data[i]) || (unsigned char)text->data[i] >= 0x80)
			return 0;
	return 1;
}

static float average(const float *logprob, int count, float end) {
	double sum = (double)end;
	for (int i = 0; i < count; i++)
		sum += (double)logprob[i];
	return (float)(sum / (count + 1));
}

static int is_silent(const stt_decode *d) {
	return d->no_speech_prob > SILENCE_LIMIT && average(d->logprob, d->count, d->end_logprob) < LOGPROB_LIMIT;
}

/* What the detector heard of the utterance. */
static sn_guard_voice voice_of(const stt_live *live) {
	return sn_guards_listen(live->likely, live->likely_count, 0, (double)live->likely_count * STT_LIVE_CHUNK / SN_STT_RATE);
}

/* Text that nothing was committed of: written on silence or noise. */
static int is_unheard(const stt_live *live, const sn_buf *text) {
	const stt_decode *const d = &live->pass.decode;
	const sn_guard_segment segment = { .voice = voice_of(live), .logprob = average(d->logprob, d->count, d->end_logprob),
		.no_speech = d->no_speech_prob, .stock = sn_guards_is_stock(text->size ? text->data : "") };
	return is_silent(d) || (live->whisper.guards && sn_guards_is_silence(&segment));
}

static int is_echo(const stt_live *live) {
	const stt_decode *const d = &live->pass.decode;
	return live->whisper.guards && sn_guards_is_echo(text_of(&live->pass), d->count, live->whisper.history, live->whisper.history_count);
}

void stt_live_guard(stt_live *live) {
	stt_decode *const d = &live->pass.decode;
	sn_guard_run run;
	if (!live->whisper.guards || !sn_guards_repetition(text_of(&live->pass), d->count, &run) || run.end + run.period <= d->count)
		return;
	const int room = sn_guards_room(&run, voice_of(live).speech), keep = run.first + run.period * room;
	if (room >= run.repeats || keep >= d->count)
		return;
	d->looped = 1;
	d->count = keep > live->committed.count ? keep : live->committed.count;
}

int stt_live_say_language(stt_live *live, int language, float confidence) {
	stt_whisper *const w = &live->whisper;
	const int changed = language != w->language;
	w->language = language;
	w->language_confidence = confidence;
	return changed ? sn_stt_emit(&w->base, &(sn_event){ .kind = SN_EVENT_LANGUAGE, .language = w->config->language[language].code,
		.language_confidence = confidence, .position = seconds(live->heard) }) : SN_OK;
}

int stt_live_show(stt_live *live, const stt_live_task *task) {
	const stt_decode *const d = &task->decode;
	const int from = live->committed.count + echo(live, text_of(task), live->committed.count, d->count);
	int count = is_silent(d) || d->count < from ? 0 : d->count - from;
	sn_buf text;
	int result = write_text(live, text_of(task) + from, count, &text);
	while (result == SN_OK && count > 0 && ends_open(&text)) {
		sn_buf_free(&text);
		result = write_text(live, text_of(task) + from, --count, &text);
	}
	if (result == SN_OK)
		result = sn_stt_emit(&live->whisper.base, &(sn_event){ .kind = SN_EVENT_PARTIAL, .text = count ? text.data : "",
			.position = seconds(task->until) });
	sn_buf_free(&text);
	return result;
}

/* ---- words ---- */

/* The pass, with the utterances that it heard before, as a window of the kind that words are listed from: one piece of the source. */
static stt_window *window_of(stt_live *live) {
	stt_window *const w = &live->whisper.windows[0];
	const stt_decode *const d = &live->pass.decode;
	const int context = live->pass.context;
	const int64_t samples = live->pass.until - live->pass.from;
	w->frames = samples / SN_MEL_HOP;
	w->piece_count = 1;
	w->pieces[0] = (stt_piece){ 0, live->pass.from, samples, 0 };
	w->result.count = context + d->count;
	memcpy(w->result.tokens, text_of(&live->pass) - context, (size_t)w->result.count * sizeof *w->result.tokens);
	memset(w->result.logprobs, 0, (size_t)context * sizeof *w->result.logprobs);
	memcpy(w->result.logprobs + context, d->logprob, (size_t)d->count * sizeof *w->result.logprobs);
	return w;
}

/* Probabilities of speech of the utterance; the sound of those before it counts as it is. */
static void fill_speech(const stt_live *live, sn_align_levels *levels) {
	for (int i = 0; i < levels->count; i++) {
		const int64_t sample = live->pass.from + (int64_t)i * SN_MEL_HOP, at = (sample - live->first_chunk) / STT_LIVE_CHUNK;
		if (sample >= live->first_chunk && at < live->likely_count)
			levels->speech[i] = (uint8_t)(255 * live->likely[at]);
	}
}

int stt_live_align(stt_live *live) {
	sn_stt *const base = &live->whisper.base;
	const stt_decode *const d = &live->pass.decode;
	if (!live->whisper.words || d->count == live->committed.count)
		return SN_OK;
	stt_window *const w = window_of(live);
	const sn_mel_view view = { base->tape, live->pass.until - base->tape_first, live->pass.from - base->tape_first };
	sn_align_measure(&w->words->levels, &view, w->frames);
	fill_speech(live, &w->words->levels);
	const int first = d->prompt - live->pass.context, fed = d->fed - first < w->result.count ? d->fed - first : w->result.count;
	const sn_align_sequence sequence = { .window = live->pass.ear->entry, .frames = w->frames, .table = d->table, .sot = d->sot,
		.first = first, .tokens = w->result.tokens, .logprobs = w->result.logprobs, .count = w->result.count, .fed = fed,
		.levels = &w->words->levels };
	return sn_align_words(base->model->align, &sequence, w->words->word, &w->words->count, base->message);
}

/* Appends the words of tokens [first, end) of the pass, none before the last one. Returns the index of the first of them. */
static int add_words(stt_live *live, int first, int end) {
	const int from = live->word_count, context = live->pass.context;
	const sn_word *words;
	if (!live->whisper.words)
		return from;
	const double start = seconds(live->start), stop = seconds(live->pass.until);
	const int count = sn_stt_words_list(&live->whisper, window_of(live), context + first, context + end, start, stop, &words);
	for (int i = 0; i < count && live->word_count < SN_ALIGN_MAX_TOKENS; i++) {
		sn_word *const to = &live->words[live->word_count];
		const double least = live->word_count ? to[-1].end : start;
		*to = words[i];
		to->start = fmax(to->start, least);
		to->end = fmax(to->end, to->start);
		live->word_at[live->word_count] = live->word_text.size;
		if (sn_buf_add(&live->word_text, words[i].text, strlen(words[i].text) + 1) != SN_OK)
			break;
		live->word_count++;
	}
	for (int i = 0; i < live->word_count; i++)
		live->words[i].text = live->word_text.data + live->word_at[i];
	return from;
}

/* ---- commits ---- */

/* The draft of the next task begins with what was just committed, or it is worth nothing. */
static void shift_latest(stt_live *live, const int32_t *tokens, int count) {
	if (live->latest_count < count || memcmp(live->latest, tokens, (size_t)count * sizeof *tokens) != 0)
		count = live->latest_count;
	live->latest_count -= count;
	memmove(live->latest, live->latest + count, (size_t)live->latest_count * sizeof *live->latest);
}

/* Commits what the pass wrote up to token `end`. */
static int commit(stt_live *live, int end, int64_t position) {
	const int from = live->committed.count;
	const int32_t *const tokens = text_of(&live->pass);
	const int skip = echo(live, tokens, from, end);
	sn_buf text;
	int result = write_text(live, tokens + from + skip, end - from - skip, &text);
	if (result == SN_OK) {
		const int first = add_words(live, from, end);
		result = sn_stt_emit(&live->whisper.base, &(sn_event){ .kind = SN_EVENT_COMMIT, .text = text.size ? text.data : "",
			.words = live->words + first, .word_count = live->word_count - first, .position = seconds(position) });
		memcpy(live->committed.token + from, tokens + from, (size_t)(end - from) * sizeof *tokens);
		memcpy(live->committed.logprob + from, live->pass.decode.logprob + from, (size_t)(end - from) * sizeof(float));
		live->committed.count = end;
		shift_latest(live, tokens + from, end - from);
	}
	sn_buf_free(&text);
	return result;
}

/* Tokens up to the end of the last word that both wrote and that neither ends with. */
static int agreed(const stt_live *live) {
	const stt_decode *const d = &live->pass.decode;
	const int32_t *const tokens = text_of(&live->pass);
	const int most = d->count < live->before.count ? d->count : live->before.count;
	sn_token_word words[STT_DECODE_TOKENS];
	int same = 0, end = live->committed.count;
	while (same < most && tokens[same] == live->before.token[same])
		same++;
	const int count = sn_words_split(sn_whisper_bpe(live->whisper.base.model->whisper), tokens, d->count, live->whisper.config->eot, words);
	for (int i = 0; i < count; i++)
		if (words[i].end > end && words[i].end <= same && words[i].end < most)
			end = words[i].end;
	return end;
}

int stt_live_agree(stt_live *live) {
	const stt_decode *const d = &live->pass.decode;
	int result = SN_OK;
	if (d->looped || is_silent(d))
		return SN_OK;
	const int end = live->before.count ? agreed(live) : 0;
	if (end > live->committed.count) {
		result = commit(live, end, live->pass.until);
		live->agreed = live->before_until;
	}
	live->before.count = d->count;
	memcpy(live->before.token, text_of(&live->pass), (size_t)d->count * sizeof *live->before.token);
	live->before_until = live->pass.until;
	return result;
}

static int emit_segment(stt_live *live) {
	stt_whisper *const w = &live->whisper;
	const stt_tokens *const t = &live->committed;
	const stt_decode *const d = &live->pass.decode;
	const int64_t onset = live->first_chunk > live->start ? live->first_chunk : live->start;
	const int64_t end = live->speech_end < live->marked ? live->speech_end : live->marked;
	float ratio;
	sn_buf text;
	const int skip = echo(live, t->token, 0, t->count);
	int result = write_text(live, t->token + skip, t->count - skip, &text);
	if (result == SN_OK)
		result = sn_stt_whisper_ratio(w, t->token, t->count, &ratio);
	if (result == SN_OK)
		result = sn_stt_emit(&w->base, &(sn_event){ .kind = SN_EVENT_SEGMENT, .position = seconds(live->marked), .segment = {
			.id = w->base.segments++, .start = live->word_count ? live->words[0].start : seconds(onset),
			.end = live->word_count ? live->words[live->word_count - 1].end : seconds(end), .text = text.data, .tokens = t->token,
			.token_count = t->count, .avg_logprob = average(t->logprob, t->count, d->end_logprob), .compression_ratio = ratio,
			.no_speech_prob = d->no_speech_prob, .confidence = sn_confidence_text(sn_whisper_bpe(w->base.model->whisper), t->token,
				t->logprob, t->count, w->config->eot),
			.words = live->words, .word_count = live->word_count } });
	sn_buf_free(&text);
	return result;
}

int stt_live_finish(stt_live *live) {
	const stt_decode *const d = &live->pass.decode;
	sn_buf text;
	int result = write_text(live, text_of(&live->pass), d->count, &text);
	const int fresh = !live->committed.count, blank = result == SN_OK && is_blank(&text);
	const int silent = result == SN_OK && fresh && is_unheard(live, &text), echoed = fresh && !silent && is_echo(live);
	sn_buf_free(&text);
	live->utterances++;
	live->silent += silent;
	live->echoed += echoed;
	live->looped += d->looped;
	if (result == SN_OK && !silent && !echoed && !blank && d->count > live->committed.count)
		result = commit(live, d->count, live->marked);
	if (result == SN_OK && live->committed.count)
		return emit_segment(live);
	return result == SN_OK ? sn_stt_emit(&live->whisper.base, &(sn_event){ .kind = SN_EVENT_PARTIAL, .text = "",
		.position = seconds(live->marked) }) : result;
}
