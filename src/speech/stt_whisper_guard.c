/* Judging what a window's search has written, see guards.h: which of several tries is kept, whether another is worth it, and what of
 * the kept one goes. Each window of a batch is judged alone. */
#include "speech/stt_whisper.h"

#include "base/ascii.h"

#include <math.h>
#include <string.h>

#define RATIO_LIMIT 2.4f      /* the reference's thresholds */
#define LOGPROB_LIMIT (-1.0f)
#define SILENCE_LIMIT 0.6f
#define RATIO_COST 1.0f       /* what a fault is worth in mean log probability when tries are compared */
#define LOOP_COST 3.0f
#define ECHO_COST 0.3f
#define EARLY_COST 0.3f
#define WORD_SECONDS 0.12     /* of speech that a word needs at least */
#define STUCK 0.03            /* seconds: words shorter than it, several in a row, have no sound of their own */
#define STUCK_WORDS 3
#define UNWRITTEN 1.0         /* seconds of speech behind text that ends in such words: more should have been written */
#define LAG 0.15              /* seconds that the detector takes to notice that speech has ended */
#define HOPELESS 0.15f        /* confidence of text that a failed window may not keep */
#define MARGIN 0.2            /* seconds by which timestamps may be wrong */
#define TEXT_MAX ((size_t)1 << 16)
#define QUOTED 48             /* bytes of dropped text in a note */

int sn_stt_guard_is_silent(const sn_search_result *r) {
	return r->no_speech_prob > SILENCE_LIMIT && r->avg_logprob < LOGPROB_LIMIT;
}

static int is_text(const stt_whisper *stt, int32_t token) { return token < stt->config->eot; }

/* Text tokens of a sequence; where[i]: which token of the sequence i is. */
static int text_of(const stt_whisper *stt, const int32_t *tokens, int count, int32_t *text, int *where) {
	int n = 0;
	for (int i = 0; i < count; i++)
		if (is_text(stt, tokens[i])) {
			if (where)
				where[n] = i;
			text[n++] = tokens[i];
		}
	return n;
}

/* Seconds in the window of the timestamp before or after token i; a window without one begins and ends with its audio. */
static double time_before(const stt_whisper *stt, const sn_search_result *r, int i) {
	while (--i >= 0)
		if (r->tokens[i] >= stt->config->timestamp_begin)
			return (r->tokens[i] - stt->config->timestamp_begin) * SN_ALIGN_STEP;
	return 0;
}

static double time_after(const stt_whisper *stt, const stt_window *w, const sn_search_result *r, int i) {
	for (; i < r->count; i++)
		if (r->tokens[i] >= stt->config->timestamp_begin)
			return (r->tokens[i] - stt->config->timestamp_begin) * SN_ALIGN_STEP;
	return (double)w->frames * SN_MEL_HOP / SN_MEL_RATE;
}

/* A repetition that nobody can have said: the model was stopped inside it, or there is too little speech for it. */
static void find_loop(const stt_whisper *stt, const stt_window *w, const sn_search_result *r, stt_try *try) {
	int32_t text[SN_SEARCH_MAX_TOKENS];
	int where[SN_SEARCH_MAX_TOKENS];
	const int count = text_of(stt, r->tokens, r->count, text, where);
	sn_guard_run run;
	if (!sn_guards_repetition(text, count, &run))
		return;
	const sn_guard_voice v = sn_guards_listen(w->voice, w->voice_count, time_before(stt, r, where[run.first]),
	                                          time_after(stt, w, r, where[run.end - 1] + 1));
	const int endless = r->reached_limit && run.end + run.period > count;
	try->looped = endless || sn_guards_room(&run, v.known ? v.speech : v.seconds) < run.repeats;
	try->loop_first = where[run.first + run.period];
	try->loop_end = where[run.end - 1] + 1;
}

/* Does a stretch between two timestamps repeat the text that the window was given? */
static int has_echo(const stt_whisper *stt, const sn_search_result *r) {
	int32_t before[SN_STT_MAX_HISTORY], text[SN_SEARCH_MAX_TOKENS];
	const int before_count = text_of(stt, stt->history, stt->history_count, before, NULL);
	for (int i = 0, n = 0; i <= r->count; i++) {
		if (i < r->count && is_text(stt, r->tokens[i])) {
			text[n++] = r->tokens[i];
			continue;
		}
		if (sn_guards_is_echo(text, n, before, before_count))
			return 1;
		n = 0;
	}
	return 0;
}

/* Words i.. of the window that the decoder wrote without hearing them: the attention has come to a stop. Returns how many, 0 where it
 * has not. */
static int stuck_words(const stt_window *w, int i) {
	int n = 0;
	while (i + n < w->words->count && w->words->word[i + n].stop - w->words->word[i + n].start < STUCK)
		n++;
	if (n < STUCK_WORDS)
		return 0;
	const int behind = w->words->count - i - n; /* a few at the very end: it jumps there */
	return behind < n ? n + behind : n;
}

/* Did the decoder stop hearing while there was speech to come? */
static int stops_early(const stt_whisper *stt, const stt_window *w) {
	for (int i = 0; stt->words && i < w->words->count; i++)
		if (stuck_words(w, i)) {
			const double whole = (double)w->frames * SN_MEL_HOP / SN_MEL_RATE;
			const sn_guard_voice v = sn_guards_listen(w->voice, w->voice_count, w->words->word[i].stop + LAG, whole);
			return v.known && v.speech > UNWRITTEN && stuck_words(w, i) + i == w->words->count;
		}
	return 0;
}

static float worth(const sn_search_result *r, const stt_try *try) {
	return r->avg_logprob - (try->compression_ratio > RATIO_LIMIT ? RATIO_COST : 0) - (try->looped ? LOOP_COST : 0) -
	       (try->echoed ? ECHO_COST : 0) - (try->early ? EARLY_COST : 0);
}

static int is_doubtful(const sn_search_result *r, const stt_try *try) {
	return try->compression_ratio > RATIO_LIMIT || r->avg_logprob < LOGPROB_LIMIT || try->looped || try->early;
}

/* No speech at all in the window: trying again would only invent other words. */
static int is_unheard(const stt_whisper *stt, const stt_window *w) {
	const sn_guard_voice v = sn_guards_listen(w->voice, w->voice_count, 0, (double)w->frames * SN_MEL_HOP / SN_MEL_RATE);
	return stt->guards && sn_guards_is_silence(&(sn_guard_segment){ .voice = v, .near = v });
}

int sn_stt_guard_weigh(stt_whisper *stt, stt_window *w, const sn_search_result *r, stt_verdict *verdict) {
	stt_try try = { .alone = w->alone };
	int result = sn_stt_whisper_ratio(stt, r->tokens, r->count, &try.compression_ratio);
	if (result != SN_OK)
		return result;
	if (stt->guards)
		find_loop(stt, w, r, &try);
	try.echoed = stt->guards && !w->alone && has_echo(stt, r);
	/* the reference takes the last, guards the best */
	if (!stt->guards || !w->weighed || worth(r, &try) > worth(&w->result, &w->best)) {
		w->changed = w->weighed && (w->result.count != r->count || memcmp(w->result.tokens, r->tokens, (size_t)r->count * sizeof *r->tokens) != 0);
		w->result = *r;
		w->best = try;
		result = sn_stt_words_align(stt, w);
		if (result != SN_OK)
			return result;
		w->best.early = try.early = stt->guards && stops_early(stt, w);
	}
	w->weighed = 1;
	if ((try.looped || try.echoed) && !w->alone && stt->history_count)
		*verdict = STT_ALONE;
	else if (is_doubtful(r, &try) && !sn_stt_guard_is_silent(r) && !is_unheard(stt, w))
		*verdict = STT_WARMER;
	else
		*verdict = STT_KEPT;
	return SN_OK;
}

/* ---- what of the kept text goes ---- */

/* Takes tokens away and moves words along; those whose token went go too. */
static void compact(stt_window *w, const uint8_t *gone) {
	int moved[SN_SEARCH_MAX_TOKENS + 1], n = 0, words = 0;
	for (int i = 0; i < w->result.count; i++) {
		moved[i] = n;
		if (gone[i])
			continue;
		w->result.tokens[n] = w->result.tokens[i];
		w->result.logprobs[n++] = w->result.logprobs[i];
	}
	moved[w->result.count] = n;
	for (int i = 0; w->words && i < w->words->count; i++) {
		sn_aligned_word word = w->words->word[i];
		if (gone[word.first])
			continue;
		word.first = moved[word.first];
		word.end = moved[word.end];
		w->words->word[words++] = word;
	}
	if (w->words)
		w->words->count = words;
	w->result.count = n;
}

/* Where a sequential reading goes on, as sn_stt_whisper_segments says it: of the whole text, before anything is taken away. */
static int64_t advance_of(const stt_whisper *stt, const stt_window *w) {
	const int32_t *const t = w->result.tokens, begin = stt->config->timestamp_begin;
	const int count = w->result.count;
	int last = 0;
	for (int i = 1; i < count; i++)
		if (t[i - 1] >= begin && t[i] >= begin)
			last = i;
	if (last == 0 || (t[count - 1] >= begin && t[count - 2] < begin))
		return w->frames;
	const int64_t step = (int64_t)(t[last - 1] - begin) * 2;
	return step > 0 ? step : w->frames;
}

static int is_blank(const char *text) {
	for (; *text; text++)
		if (sn_isalnum((unsigned char)*text) || (unsigned char)*text >= 0x80)
			return 0;
	return 1;
}

/* Adds a note on text that goes: when, which (as much as fits, no half character), why. */
static void note(stt_whisper *stt, const stt_window *w, const char *code, double from, double to, const char *text, const char *why) {
	int size = (int)strlen(text += strspn(text, " "));
	const char *const more = size > QUOTED ? "..." : "";
	size = size > QUOTED ? QUOTED : size;
	while (text[size] && size && ((unsigned char)text[size] & 0xc0) == 0x80)
		size--;
	const double whole = (double)w->frames * SN_MEL_HOP / SN_MEL_RATE;
	const double start = stt->base.origin + sn_stt_whisper_time(w, (int64_t)(fmin(from, whole) * SN_MEL_RATE), 0);
	const double stop = stt->base.origin + sn_stt_whisper_time(w, (int64_t)(fmin(to, whole) * SN_MEL_RATE), 1);
	sn_notes_append(&stt->base.notes, code, "%.2f to %.2f s: \"%.*s%s\" %s", start, fmax(start, stop), size, text, more, why);
}

/* Words of tokens [first, end), as guards see them. */
static int words_of(const stt_window *w, int first, int end, sn_guard_word *words, int most) {
	int n = 0;
	for (int i = 0; w->words && i < w->words->count && n < most; i++) {
		const sn_aligned_word *const a = &w->words->word[i];
		if (a->first >= first && a->end <= end)
			words[n++] = (sn_guard_word){ a->start, a->stop, a->confidence };
	}
	return n;
}

/* Text tokens [first, end) between two timestamps: why they go, or NULL. *code: the note's. */
static const char *judge_stretch(const stt_whisper *stt, const stt_window *w, int first, int end, const char *text, const char **code) {
	const sn_search_result *const r = &w->result;
	double sum = 0;
	for (int i = first; i < end; i++)
		sum += (double)r->logprobs[i];
	double from = time_before(stt, r, first), to = time_after(stt, w, r, end);
	sn_guard_word words[SN_GUARD_WORDS];
	const int count = words_of(w, first, end, words, SN_GUARD_WORDS);
	for (int i = 0; i < count; i++) { /* which know better than timestamps where it was said */
		from = fmin(from, words[i].start);
		to = fmax(to, words[i].end);
	}
	const sn_guard_segment s = { .near = sn_guards_listen(w->voice, w->voice_count, from - MARGIN, to + MARGIN),
		.voice = sn_guards_listen(w->voice, w->voice_count, from > 0 ? from + LAG : from, to), .logprob = (float)(sum / (end - first)),
		.no_speech = r->no_speech_prob, .stock = sn_guards_is_stock(text) };
	*code = "guard_silence";
	if (sn_guards_is_silence(&s))
		return s.near.known && s.near.peak < 0.5f ? "was dropped, no speech is heard there" : "was dropped, hardly any speech is heard there";
	*code = "guard_anomaly";
	if (stt->fallback && r->avg_logprob < LOGPROB_LIMIT && exp((double)s.logprob) < HOPELESS)
		return "was dropped, its words are improbable and other temperatures gave none that are better";
	if (s.near.known && s.near.speech < WORD_SECONDS * count && sn_guards_is_anomaly(words, count))
		return "was dropped, its words are too improbable, short or long for the little speech that is heard there";
	return NULL;
}

/* Marks what goes of the stretches between timestamps. */
static void judge_stretches(stt_whisper *stt, const stt_window *w, uint8_t *gone) {
	const sn_search_result *const r = &w->result;
	sn_buf text;
	sn_buf_init(&text, TEXT_MAX);
	for (int first = 0, end; first < r->count; first = end + 1) {
		for (end = first; end < r->count && is_text(stt, r->tokens[end]);)
			end++;
		sn_buf_clear(&text);
		if (end == first || sn_bpe_decode(sn_whisper_bpe(stt->base.model->whisper), r->tokens + first, end - first, &text) != SN_OK ||
		    !text.size || is_blank(text.data))
			continue;
		const char *code, *const why = judge_stretch(stt, w, first, end, text.data, &code);
		if (!why)
			continue;
		note(stt, w, code, time_before(stt, r, first), time_after(stt, w, r, end), text.data, why);
		memset(gone + first, 1, (size_t)(end - first));
	}
	sn_buf_free(&text);
}

/* Words without any sound of their own, where the decoder has gone on by itself. */
static void cut_stuck(stt_whisper *stt, const stt_window *w, uint8_t *gone) {
	sn_buf text;
	sn_buf_init(&text, TEXT_MAX);
	for (int i = 0, n; w->words && i < w->words->count; i += n ? n : 1) {
		n = stuck_words(w, i);
		sn_buf_clear(&text);
		for (int k = i; k < i + n; k++) {
			const sn_aligned_word *const a = &w->words->word[k];
			if (gone[a->first])
				continue;
			sn_bpe_decode(sn_whisper_bpe(stt->base.model->whisper), w->result.tokens + a->first, a->end - a->first, &text);
			memset(gone + a->first, 1, (size_t)(a->end - a->first));
		}
		if (text.size && !text.failed)
			note(stt, w, "guard_anomaly", w->words->word[i].start, w->words->word[i + n - 1].stop, text.data, "was cut off, nothing of it is heard");
	}
	sn_buf_free(&text);
}

/* A loop that no temperature got rid of: said once. */
static void cut_loop(stt_whisper *stt, const stt_window *w, uint8_t *gone) {
	const sn_search_result *const r = &w->result;
	int32_t cut[SN_SEARCH_MAX_TOKENS];
	sn_buf text;
	sn_buf_init(&text, TEXT_MAX);
	int n = 0;
	for (int i = w->best.loop_first; i < w->best.loop_end; i++)
		if (is_text(stt, r->tokens[i]) && !gone[i]) {
			cut[n++] = r->tokens[i];
			gone[i] = 1;
		}
	if (sn_bpe_decode(sn_whisper_bpe(stt->base.model->whisper), cut, n, &text) == SN_OK && text.size)
		note(stt, w, "guard_repetition", time_before(stt, r, w->best.loop_first), time_after(stt, w, r, w->best.loop_end), text.data,
		     "was cut off, the model repeats itself and there is no speech for it");
	sn_buf_free(&text);
}

int sn_stt_guard_purge(stt_whisper *stt, stt_window *w, int64_t *advance) {
	uint8_t gone[SN_SEARCH_MAX_TOKENS] = { 0 };
	*advance = advance_of(stt, w);
	if (w->alone && w->best.alone && w->changed)
		sn_notes_append(&stt->base.notes, "guard_prompt", "%.2f s: the text repeated what it was told to follow; it was written again "
		                "without that", stt->base.origin + sn_stt_whisper_time(w, 0, 0));
	judge_stretches(stt, w, gone);
	cut_stuck(stt, w, gone);
	if (w->best.looped)
		cut_loop(stt, w, gone);
	int count = 0;
	for (int i = 0; i < w->result.count; i++)
		count += gone[i];
	if (!count)
		return 0;
	compact(w, gone);
	/* what is kept may have been said behind its timestamps: it is not to be read again */
	const int words = w->words ? w->words->count : 0;
	const int64_t said = words ? (int64_t)(w->words->word[words - 1].stop * SN_MEL_RATE / SN_MEL_HOP) : 0;
	*advance = said > *advance ? said < w->frames ? said : w->frames : *advance;
	return count;
}
