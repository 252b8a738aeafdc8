/* Words of a Whisper session: aligned in the window, placed in the source, given to segments. */
#include "speech/stt_whisper.h"

#include "base/ascii.h"
#include "speech/confidence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 16) /* of one segment's words */

int sn_stt_words_open(stt_whisper *stt, char *err) {
	sn_buf_init(&stt->listed_text, TEXT_MAX);
	if (!stt->words)
		return SN_OK;
	stt->listed = malloc(SN_ALIGN_MAX_TOKENS * sizeof *stt->listed);
	int missing = !stt->listed;
	for (int i = 0; i < stt->window_room; i++)
		missing |= !(stt->windows[i].words = malloc(sizeof *stt->windows[i].words));
	return missing ? sn_fail(err, SN_E_MEMORY, "no memory for the words of a session") : SN_OK;
}

void sn_stt_words_close(stt_whisper *stt) {
	for (int i = 0; stt->windows && i < stt->window_room; i++)
		free(stt->windows[i].words);
	free(stt->listed);
	sn_buf_free(&stt->listed_text);
}

/* What the detector said of each 10 ms of the window. */
static void look_up(const stt_whisper *stt, const stt_window *w, sn_align_levels *levels) {
	int piece = 0;
	for (int i = 0; i < levels->count; i++) {
		const int64_t middle = (int64_t)i * SN_MEL_HOP + SN_MEL_HOP / 2;
		while (piece + 1 < w->piece_count && w->pieces[piece + 1].at <= middle)
			piece++;
		const int64_t source = w->pieces[piece].source + middle - w->pieces[piece].at;
		levels->speech[i] = (uint8_t)(255 * sn_stt_whisper_voice(stt, &w->pieces[piece], source));
	}
}

void sn_stt_words_hear(stt_whisper *stt, stt_window *w, const sn_mel_view *view) {
	if (!stt->words)
		return;
	sn_align_measure(&w->words->levels, view, w->frames);
	if (stt->vad_model)
		look_up(stt, w, &w->words->levels);
	sn_whisper_keep_queries(stt->base.model->whisper, 1);
}

int sn_stt_words_align(stt_whisper *stt, stt_window *w) {
	if (!stt->words)
		return SN_OK;
	const sn_search_result *const r = &w->result;
	int sot, prompt = sn_search_prompt(w->place->search, &sot);
	int64_t joints[SN_STT_MAX_PIECES];
	for (int i = 1; i < w->piece_count; i++)
		joints[i - 1] = w->pieces[i].at;
	const sn_align_sequence sequence = { .window = w->place->entry, .frames = w->frames, .table = sn_search_table(w->place->search),
		.sot = sot, .first = prompt, .tokens = r->tokens, .logprobs = r->logprobs, .count = r->count,
		.fed = r->count - r->reached_limit, .levels = &w->words->levels, .joints = joints, .joint_count = w->piece_count - 1 };
	return sn_align_words(stt->base.model->align, &sequence, w->words->word, &w->words->count, stt->base.message);
}

static double in_source(const stt_window *w, double seconds, int is_end) {
	return sn_stt_whisper_time(w, (int64_t)(seconds * SN_MEL_RATE + 0.5), is_end);
}

/* Appends the text of tokens [first, end) of the window without the spaces around it and a NUL. Returns where it begins. */
static size_t add_text(stt_whisper *stt, const stt_window *w, int first, int end) {
	const size_t from = stt->listed_text.size;
	sn_bpe_decode(sn_whisper_bpe(stt->base.model->whisper), w->result.tokens + first, end - first, &stt->listed_text);
	size_t begin = from;
	while (begin < stt->listed_text.size && sn_isspace((unsigned char)stt->listed_text.data[begin]))
		begin++;
	while (stt->listed_text.size > begin && sn_isspace((unsigned char)stt->listed_text.data[stt->listed_text.size - 1]))
		stt->listed_text.size--;
	sn_buf_add(&stt->listed_text, "", 1);
	return begin;
}

int sn_stt_words_list(stt_whisper *stt, const stt_window *w, int first, int end, double start, double stop, const sn_word **words) {
	size_t begin[SN_ALIGN_MAX_TOKENS];
	int count = 0;
	sn_buf_clear(&stt->listed_text);
	for (int i = 0; stt->words && i < w->words->count; i++) {
		const sn_aligned_word *const a = &w->words->word[i];
		if (a->first < first || a->end > end)
			continue;
		begin[count] = add_text(stt, w, a->first, a->end);
		/* The next sequential window may begin at the segment's end, and say what is behind it again. */
		const double most = stt->vad_model ? in_source(w, (double)w->frames * SN_MEL_HOP / SN_MEL_RATE, 1) : stop;
		const double from = fmin(in_source(w, a->start, 0), most), to = fmin(in_source(w, a->stop, 1), most);
		stt->listed[count++] = (sn_word){ .start = from, .end = to > from ? to : from, .confidence = sn_confidence_word(w->result.logprobs + a->first, a->end - a->first) };
	}
	if (stt->listed_text.failed) {
		sn_stt_fail(&stt->base, SN_E_MEMORY, "no memory for the words of a segment");
		count = 0;
	}
	for (int i = 0; i < count; i++)
		stt->listed[i].text = stt->listed_text.data + begin[i];
	*words = count ? stt->listed : NULL;
	return count;
}
