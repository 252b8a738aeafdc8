/* From a window's tokens to segments in the time of the source. Reference: openai-whisper transcribe.py. */
#include "speech/stt_whisper.h"

#include "base/ascii.h"
#include "speech/confidence.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TEXT_MAX ((size_t)1 << 20)
#define FRAMES_PER_TOKEN 2        /* log-mel frames of one timestamp step, 0.02 s */
#define SAMPLES_PER_STEP (FRAMES_PER_TOKEN * SN_MEL_HOP)

int sn_stt_whisper_ratio(const stt_whisper *stt, const int32_t *tokens, int count, float *ratio) {
	int32_t text_tokens[SN_SEARCH_MAX_TOKENS];
	int n = 0;
	for (int i = 0; i < count; i++)
		if (tokens[i] < stt->config->eot)
			text_tokens[n++] = tokens[i];
	sn_buf text;
	sn_buf_init(&text, TEXT_MAX);
	int result = sn_bpe_decode(sn_whisper_bpe(stt->base.model->whisper), text_tokens, n, &text);
	const char *start = text.data;
	size_t size = text.size;
	for (; size && sn_isspace((unsigned char)*start); start++)
		size--;
	while (size && sn_isspace((unsigned char)start[size - 1]))
		size--;
	*ratio = 0;
	uLongf packed_size = compressBound(size);
	Bytef *packed = malloc(packed_size);
	if (!packed && result == SN_OK)
		result = SN_E_MEMORY;
	if (size && result == SN_OK && compress(packed, &packed_size, (const Bytef *)start, size) == Z_OK)
		*ratio = (float)((double)size / (double)packed_size);
	free(packed);
	sn_buf_free(&text);
	return result;
}

double sn_stt_whisper_time(const stt_window *w, int64_t sample, int is_end) {
	int i = 0;
	while (i + 1 < w->piece_count && (is_end ? sample > w->pieces[i + 1].at : sample >= w->pieces[i + 1].at))
		i++;
	return (double)(w->pieces[i].source + sample - w->pieces[i].at) / SN_MEL_RATE;
}

/* Nothing but spaces and ASCII punctuation, which is what the model writes for noise. */
static int is_blank(const sn_buf *text) {
	for (size_t i = 0; i < text->size; i++)
		if (sn_isalnum((unsigned char)text->data[i]) || (unsigned char)text->data[i] >= 0x80)
			return 0;
	return 1;
}

static void remember(stt_whisper *stt, const int32_t *tokens, int count) {
	int keep = SN_STT_MAX_HISTORY - count < stt->history_count ? SN_STT_MAX_HISTORY - count : stt->history_count;
	memmove(stt->history, stt->history + stt->history_count - keep, (size_t)keep * sizeof *tokens);
	memcpy(stt->history + keep, tokens, (size_t)count * sizeof *tokens);
	stt->history_count = keep + count;
}

/* One segment of tokens [first, end) between two samples of the window; nothing when it has no length or no text. */
static void add_segment(stt_whisper *stt, const stt_window *w, const sn_search_result *r, int first, int end, int64_t from,
                        int64_t to) {
	int32_t text_tokens[SN_SEARCH_MAX_TOKENS];
	int n = 0;
	for (int i = first; i < end; i++)
		if (r->tokens[i] < stt->config->eot)
			text_tokens[n++] = r->tokens[i];
	sn_buf text;
	sn_buf_init(&text, TEXT_MAX);
	if (sn_bpe_decode(sn_whisper_bpe(stt->base.model->whisper), text_tokens, n, &text) != SN_OK)
		sn_stt_fail(&stt->base, text.failed ? text.failed : SN_E_MEMORY, "no memory for the text of a segment");
	else if (from != to && !is_blank(&text)) {
		/* the model may hear the padding, and a tail's time may lie before its beginning */
		const int64_t whole = w->frames * SN_MEL_HOP, first_sample = from < whole ? from : whole;
		const int64_t last_sample = to > whole ? whole : to > first_sample ? to : first_sample;
		const double start = sn_stt_whisper_time(w, first_sample, 0), stop = sn_stt_whisper_time(w, last_sample, 1);
		const sn_word *words = NULL;
		const int word_count = sn_stt_words_list(stt, w, first, end, start, stop, &words);
		const sn_event event = { .kind = SN_EVENT_SEGMENT, .position = stop, .segment = {
			.id = stt->base.segments++, .start = start, .end = stop, .text = text.data, .tokens = r->tokens + first,
				.token_count = end - first, .token_logprobs = r->logprobs + first, .words = words, .word_count = word_count,
			.temperature = r->temperature, .avg_logprob = r->avg_logprob, .compression_ratio = w->best.compression_ratio,
			.no_speech_prob = r->no_speech_prob, .confidence = sn_confidence_text(sn_whisper_bpe(stt->base.model->whisper),
				r->tokens + first, r->logprobs + first, end - first, stt->config->eot) } };
		sn_stt_emit(&stt->base, &event);
		if (!stt->vad_model)
			remember(stt, r->tokens + first, end - first);
	}
	sn_buf_free(&text);
}

int64_t sn_stt_whisper_segments(stt_whisper *stt, const stt_window *w) {
	const sn_search_result *r = &w->result;
	const int32_t begin = stt->config->timestamp_begin;
	const int64_t whole = w->frames * SN_MEL_HOP;
	const int count = r->count, sequential = !stt->vad_model;
	const int ends_single = count >= 2 && r->tokens[count - 1] >= begin && r->tokens[count - 2] < begin;
	int first = 0;
	for (int i = 1; i <= count; i++) {
		/* cut between two neighbouring timestamps, and after a single one at the very end if there was such a cut before */
		int pair = i < count && r->tokens[i - 1] >= begin && r->tokens[i] >= begin;
		if (!pair && !(i == count && ends_single && first > 0))
			continue;
		int64_t from = (int64_t)(r->tokens[first] - begin) * SAMPLES_PER_STEP;
		int64_t to = (int64_t)(r->tokens[i - 1] - begin) * SAMPLES_PER_STEP;
		add_segment(stt, w, r, first, i, from < 0 ? 0 : from, to);
		first = i;
	}
	if (first > 0 && first < count && sequential) {
		/* an unfinished sentence: the next window begins with it */
		int64_t step = (int64_t)(r->tokens[first - 1] - begin) * FRAMES_PER_TOKEN;
		return step > 0 ? step : w->frames;
	}
	if (first < count) {
		int64_t from = 0, to = whole;
		if (first > 0 && r->tokens[first] >= begin)
			from = (int64_t)(r->tokens[first] - begin) * SAMPLES_PER_STEP;
		for (int i = first + (first > 0); i < count; i++)
			if (r->tokens[i] > begin)
				to = (int64_t)(r->tokens[i] - begin) * SAMPLES_PER_STEP;
		add_segment(stt, w, r, first, count, from, to > from || from == 0 ? to : whole);
	}
	return w->frames;
}
