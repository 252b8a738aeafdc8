/* The steps of a transcribing session, each some milliseconds long. Two ways to cut the audio into windows of 30 s:
 *   sequential (openai-whisper's transcribe): one window after another, each beginning where the last sentence of the one before
 * ended;
 *   with voice activity detection (as faster-whisper's batched pipeline): stretches of speech are joined to windows that need
 * nothing of
 *   each other, so that several are decoded at once. */
#include "speech/stt_whisper.h"

#include <stdlib.h>
#include <string.h>

#define VAD_CHUNK 512
#define KEPT_SILENCE (2 * SN_STT_RATE) /* between stretches of speech in one window; a longer one is cut out */
#define QUIET 0.35f           /* probability of speech below which a pause lasts */
#define MIN_PAUSE (5 * VAD_CHUNK)
#define NEAR (SN_STT_RATE / 2)
#define SILENT_POWER 1e-6     /* of full scale, -60 dB: nobody speaks so low */
#define TEMPERATURE_STEP 0.2f
#define RESET_TEMPERATURE 0.5f
#define SURE_LANGUAGE 0.5f
#define REST 40               /* frames at a window's end in which there may be no more words: padding of the detector */

static stt_window *window_at(const stt_whisper *stt, int i) { return &stt->windows[(stt->window_first + i) % stt->window_room]; }

/* ---- voice activity ---- */

int sn_stt_whisper_hear(stt_whisper *stt) {
	const float *pcm = stt->base.tape + (stt->heard - stt->base.tape_first);
	int64_t fresh = sn_stt_tape_end(&stt->base) - stt->heard, chunks = fresh / VAD_CHUNK;
	float last[VAD_CHUNK] = { 0 };
	if (chunks == 0 && stt->base.at_end && fresh > 0) {
		memcpy(last, pcm, (size_t)fresh * sizeof *last);
		pcm = last;
		chunks = 1;
	}
	chunks = chunks < SN_STT_VAD_CHUNKS ? chunks : SN_STT_VAD_CHUNKS;
	if (chunks == 0)
		return SN_AGAIN;
	const int64_t first = stt->heard / VAD_CHUNK;
	stt->heard += pcm == last ? fresh : chunks * VAD_CHUNK;
	stt->probability_count = (int)chunks;
	stt->probability_next = 0;
	const int result = sn_silero_run(stt->ear->silero, &stt->vad_stream, pcm, (int)chunks, stt->probabilities, stt->base.message);
	for (int64_t i = 0; i < chunks && result == SN_OK; i++)
		stt->voice[(first + i) % (int64_t)SN_STT_VOICE] = stt->probabilities[i];
	return result;
}

/* Keeps what the detector said of the last piece, as far as it goes now. */
static void keep_voice(stt_whisper *stt, const stt_piece *piece) {
	const int64_t first = piece->source / VAD_CHUNK, last = (piece->source + piece->samples - 1) / VAD_CHUNK;
	for (int64_t i = first + stt->staged_voices - piece->voice; i <= last && stt->staged_voices < SN_STT_STAGED_VOICE; i++)
		stt->staged_voice[stt->staged_voices++] = stt->voice[i % (int64_t)SN_STT_VOICE];
}

/* Puts the speech that was found into the window being filled; a short silence before it goes along, since the model knows
 * speech with its pauses. Returns 0 when it does not fit. */
static int stage_speech(stt_whisper *stt, const sn_vad_segment *speech) {
	stt_piece *last = stt->piece_count ? &stt->pieces[stt->piece_count - 1] : NULL;
	const int64_t from = last ? last->source + last->samples : 0, silence = speech->start - from;
	const int joins = last && silence <= KEPT_SILENCE;
	int64_t start = joins || (stt->begun == 0 && !last && silence <= KEPT_SILENCE) ? from : speech->start;
	if (!last && speech->end - start > stt->window_samples)
		start = speech->end - stt->window_samples;
	const int64_t samples = speech->end - start;
	if (stt->staged_count + samples > stt->window_samples || (!joins && stt->piece_count == SN_STT_MAX_PIECES))
		return 0;
	memcpy(stt->staged + stt->staged_count, stt->base.tape + (start - stt->base.tape_first), (size_t)samples * sizeof *stt->staged);
	if (joins)
		last->samples += samples;
	else
		stt->pieces[stt->piece_count++] = (stt_piece){ stt->staged_count, start, samples, stt->staged_voices };
	keep_voice(stt, &stt->pieces[stt->piece_count - 1]);
	stt->staged_count += samples;
	stt->staged_speech = stt->staged_count;
	return 1;
}

/* Takes a short silence at the very end along, too. */
static void stage_end(stt_whisper *stt) {
	stt_piece *last = stt->piece_count ? &stt->pieces[stt->piece_count - 1] : NULL;
	const int64_t from = last ? last->source + last->samples : 0, samples = sn_stt_tape_end(&stt->base) - from;
	if (!last || samples > KEPT_SILENCE || stt->staged_count + samples > stt->window_samples)
		return;
	memcpy(stt->staged + stt->staged_count, stt->base.tape + (from - stt->base.tape_first), (size_t)samples * sizeof *stt->staged);
	last->samples += samples;
	keep_voice(stt, last);
	stt->staged_count += samples;
}

/* Keeps account of pauses: `probability` of the chunk that begins at `sample`. */
static void note_pause(stt_whisper *stt, float probability, int64_t sample) {
	if (probability < QUIET) {
		stt->quiet += VAD_CHUNK;
		return;
	}
	if (stt->quiet >= MIN_PAUSE)
		stt->pauses[stt->pause_count++ % SN_STT_MAX_PAUSES] = (stt_pause){ sample - stt->quiet / 2, stt->quiet };
	stt->quiet = 0;
}

/* The piece of the window being filled that holds the source's sample; -1: none. */
static int piece_with(const stt_whisper *stt, int64_t sample) {
	for (int i = stt->piece_count - 1; i >= 0; i--)
		if (sample >= stt->pieces[i].source && sample < stt->pieces[i].source + stt->pieces[i].samples)
			return i;
	return -1;
}

/* Samples before the next speech that stay on the tape, for a cut. */
static int64_t behind(const stt_whisper *stt) { return KEPT_SILENCE + stt->window_samples / 3; }

/* A window is full. Rather than inside a sentence it ends at the longest pause of its last quarter: what is behind that is
 * carried to the next. */
static void cut_at_pause(stt_whisper *stt) {
	const stt_piece *const last = &stt->pieces[stt->piece_count - 1];
	const int64_t end = last->source + last->samples;
	const int64_t kept = stt->speech.start - behind(stt); /* on the tape, whenever the samples came */
	const stt_pause *best = NULL;
	int64_t natural = 0; /* the pause at which it would end */
	for (int i = stt->pause_count > SN_STT_MAX_PAUSES ? stt->pause_count - SN_STT_MAX_PAUSES : 0; i < stt->pause_count; i++) {
		const stt_pause *const p = &stt->pauses[i % SN_STT_MAX_PAUSES];
		const int at = piece_with(stt, p->middle);
		if (p->middle >= end - NEAR && p->middle <= stt->speech.start + NEAR)
			natural = p->samples > natural ? p->samples : natural;
		else if (at >= 0 && p->middle >= kept &&
		         4 * (stt->pieces[at].at + p->middle - stt->pieces[at].source) >= 3 * stt->window_samples &&
		         (!best || p->samples > best->samples))
			best = p;
	}
	if (!best || best->samples <= natural)
		return;
	const int at = piece_with(stt, best->middle);
	stt_piece *cut = &stt->pieces[at];
	stt->carried[0] = (sn_vad_segment){ best->middle, cut->source + cut->samples };
	for (int i = at + 1; i < stt->piece_count; i++)
		stt->carried[i - at] = (sn_vad_segment){ stt->pieces[i].source, stt->pieces[i].source + stt->pieces[i].samples };
	stt->carried_count = stt->piece_count - at;
	stt->carried_next = 0;
	cut->samples = best->middle - cut->source;
	stt->piece_count = at + 1;
	stt->staged_count = cut->at + cut->samples;
	stt->staged_speech = stt->staged_count - best->samples / 2;
}

/* Carries the detector's findings to the window until it is full or all is used up. */
static void gather(stt_whisper *stt) {
	while (!stt->sealed) {
		if (stt->carried_next < stt->carried_count) {
			stage_speech(stt, &stt->carried[stt->carried_next++]); /* fits: it is less than a window */
		} else if (stt->has_speech) {
			stt->sealed = !stage_speech(stt, &stt->speech);
			stt->has_speech = stt->sealed;
			if (stt->sealed)
				cut_at_pause(stt);
		} else if (sn_vad_next(&stt->vad, &stt->speech)) {
			stt->has_speech = 1;
		} else if (stt->probability_next < stt->probability_count) {
			note_pause(stt, stt->probabilities[stt->probability_next], stt->vad.sample);
			sn_vad_push(&stt->vad, stt->probabilities[stt->probability_next++]);
		} else if (stt->base.at_end && stt->heard == sn_stt_tape_end(&stt->base) && !stt->vad_ended) {
			sn_vad_finish(&stt->vad, sn_stt_tape_end(&stt->base));
			stt->vad_ended = 1;
		} else {
			stt->sealed = stt->vad_ended && stt->staged_count > 0;
			if (stt->sealed)
				stage_end(stt);
			return;
		}
	}
}

/* ---- preparing a window ---- */

/* Is the next sequential window's audio there? It reads a little behind its end. */
static int sequential_ready(const stt_whisper *stt) {
	const int64_t end = stt->seek * SN_MEL_HOP + stt->window_samples, there = sn_stt_tape_end(&stt->base);
	const int heard = !stt->ear || stt->heard == there || stt->heard >= end;
	return heard && (stt->base.at_end || there >= end + SN_MEL_CONTEXT);
}

static int64_t sequential_frames(const stt_whisper *stt) {
	int64_t frames = sn_stt_tape_end(&stt->base) / SN_MEL_HOP - stt->seek;
	return frames < stt->window_frames ? frames : stt->window_frames;
}

/* Brings the next window nearer by one step. SN_AGAIN: nothing to do before others have done something. */
static int prepare(stt_whisper *stt) {
	if (!stt->vad_model) {
		sn_stt_trim(&stt->base, stt->seek * SN_MEL_HOP - SN_MEL_CONTEXT);
		int result = stt->ear && !sequential_ready(stt) ? sn_stt_whisper_hear(stt) : SN_AGAIN;
		return result == SN_AGAIN && !sequential_ready(stt) ? sn_stt_intake(&stt->base) : result;
	}
	if (stt->sealed)
		return SN_AGAIN;
	int result = SN_AGAIN;
	if (stt->probability_next == stt->probability_count) {
		result = sn_stt_whisper_hear(stt);
		if (result == SN_AGAIN)
			result = sn_stt_intake(&stt->base);
	}
	if (result != SN_OK && result != SN_AGAIN)
		return result;
	gather(stt);
	int64_t needed = sn_vad_settled(&stt->vad);
	needed = stt->has_speech && stt->speech.start < needed ? stt->speech.start : needed;
	sn_stt_trim(&stt->base, needed - behind(stt));
	return stt->sealed ? SN_OK : result;
}

/* What the detector said of each chunk of the window. Where nobody listened only silence is known. */
static void note_voice(const stt_whisper *stt, stt_window *w, const sn_mel_view *view) {
	const int64_t samples = w->frames * SN_MEL_HOP;
	const int64_t chunks = (samples + SN_GUARD_CHUNK - 1) / SN_GUARD_CHUNK;
	w->voice_count = chunks < SN_GUARD_CHUNKS ? (int)chunks : SN_GUARD_CHUNKS;
	for (int k = 0, piece = 0; k < w->voice_count; k++) {
		const int64_t begin = (int64_t)k * SN_GUARD_CHUNK, middle = begin + SN_GUARD_CHUNK / 2;
		while (piece + 1 < w->piece_count && middle >= w->pieces[piece + 1].at)
			piece++;
		const int64_t source = w->pieces[piece].source + middle - w->pieces[piece].at;
		w->voice[k] = -1;
		if (stt->ear && source < stt->heard) {
			w->voice[k] = sn_stt_whisper_voice(stt, &w->pieces[piece], source);
			continue;
		}
		double power = 0;
		for (int64_t i = begin; i < begin + SN_GUARD_CHUNK && i < view->count - view->origin; i++)
			power += (double)view->samples[view->origin + i] * (double)view->samples[view->origin + i];
		if (power < SILENT_POWER * SN_GUARD_CHUNK)
			w->voice[k] = 0;
	}
}

/* Takes the prepared window into the encoder. SN_AGAIN: none is ready, or no place for it. */
static int begin_window(stt_whisper *stt) {
	int64_t frames = stt->vad_model ? stt->staged_count / SN_MEL_HOP : sequential_frames(stt);
	int ready = stt->vad_model ? stt->sealed : stt->window_count == 0 && sequential_ready(stt) && frames > 0;
	if (!ready || stt->places == stt->batch || stt->window_count == stt->window_room)
		return SN_AGAIN;
	int slots = stt->fallback && stt->beam < SN_LANE_BEST_OF ? SN_LANE_BEST_OF : stt->beam;
	sn_place *place = frames > 0 ? sn_lane_take(stt->base.model->lane, &stt->base.job, slots) : NULL;
	if (frames > 0 && !place) {
		sn_lane_await(stt->base.model->lane, &stt->base.job, slots);
		sn_sched_rest(stt->base.engine->sched, &stt->base.job);
		return SN_AGAIN;
	}
	stt_window *w = window_at(stt, stt->window_count);
	w->place = place;
	w->index = stt->begun++;
	w->stage = STT_ENCODING;
	w->frames = frames;
	w->tries = w->alone = w->weighed = w->changed = 0;
	const sn_mel_view view = stt->vad_model ? (sn_mel_view){ stt->staged, stt->staged_count, 0 }
		: (sn_mel_view){ stt->base.tape, stt->base.tape_count, stt->seek * SN_MEL_HOP - stt->base.tape_first };
	const int64_t until = stt->vad_model ? (stt->staged_speech / SN_MEL_HOP - REST) / 2 : 0;
	w->until = until > 0 ? (int)until : 0;
	w->piece_count = stt->vad_model ? stt->piece_count : 1;
	if (stt->vad_model)
		memcpy(w->pieces, stt->pieces, (size_t)stt->piece_count * sizeof *w->pieces);
	else
		w->pieces[0] = (stt_piece){ 0, stt->seek * SN_MEL_HOP, frames * SN_MEL_HOP, 0 };
	if (!stt->vad_model)
		keep_voice(stt, &w->pieces[0]);
	note_voice(stt, w, &view);
	if (frames > 0) {
		sn_lane_features(stt->base.model->lane, place, &view, frames);
		sn_stt_words_hear(stt, w, &view);
	}
	if (stt->vad_model)
		stt->staged_count = stt->piece_count = stt->sealed = 0;
	stt->staged_voices = 0;
	if (frames > 0) {
		stt->window_count++;
		stt->places++;
	}
	return SN_OK;
}

/* ---- decoding ---- */

static float temperature(const stt_whisper *stt, int tries) { return stt->temperature + TEMPERATURE_STEP * (float)tries; }

static int start_search(stt_whisper *stt, stt_window *w) {
	const sn_whisper_config *const c = stt->config;
	int32_t prompt[SN_STT_MAX_HISTORY + 8];
	/* With vad the text before a window is the prompt alone. */
	const int most = stt->vad_model ? c->target_positions / 2 - 1 : stt->previous_tokens;
	int n = 0, keep = stt->history_count < most ? stt->history_count : most;
	if (keep > 0 && !w->alone && c->sot_prev >= 0) {
		prompt[n++] = c->sot_prev;
		memcpy(prompt + n, stt->history + stt->history_count - keep, (size_t)keep * sizeof *prompt);
		n += keep;
	}
	const int sot = n;
	prompt[n++] = c->sot;
	if (c->multilingual) {
		prompt[n++] = c->language[stt->language].token;
		prompt[n++] = stt->translate ? c->translate : c->transcribe;
	}
	if (!stt->timestamps)
		prompt[n++] = c->no_timestamps;
	const float t = temperature(stt, w->tries);
	const sn_search_options options = { .beam = t > 0 ? 1 : stt->beam, .patience = 1, .length_penalty = -1, .temperature = t,
		.best_of = t > 0 ? w->place->slot_count < SN_LANE_BEST_OF ? w->place->slot_count : SN_LANE_BEST_OF : 1,
		.seed = stt->seed + ((uint64_t)w->index << 8) + (uint64_t)w->tries, .timestamps = stt->timestamps,
		/* Where the next window does not go on at the last timestamp, what does not fit is lost: all that the model can write. */
		.max_tokens = stt->vad_model || !stt->timestamps ? stt->config->target_positions : 0, .until = w->until,
		.hotwords = stt->hotwords };
	w->stage = STT_SEARCHING;
	return sn_lane_search(stt->base.model->lane, w->place, prompt, n, sot, &options, stt->base.message);
}

static void give_place(stt_whisper *stt, stt_window *w) {
	if (!w->place)
		return;
	sn_lane_give(stt->base.model->lane, w->place);
	w->place = NULL;
	stt->places--;
}

/* Weighs the result of a search that has ended; starts another where that may help. */
static int judge(stt_whisper *stt, stt_window *w) {
	stt_verdict verdict;
	int result = sn_stt_guard_weigh(stt, w, sn_search_get(w->place->search), &verdict);
	if (result != SN_OK)
		return result;
	if (verdict == STT_ALONE) {
		w->alone = 1;
		return start_search(stt, w);
	}
	if (verdict == STT_WARMER && stt->fallback && temperature(stt, w->tries + 1) < 1 + TEMPERATURE_STEP / 2) {
		stt->repeated += w->tries++ == 0;
		return start_search(stt, w);
	}
	stt->limited += w->result.reached_limit && !w->best.looped && (stt->vad_model || !stt->timestamps);
	w->stage = STT_DONE;
	give_place(stt, w);
	return SN_OK;
}

static int note_language(stt_whisper *stt, const sn_place *place) {
	stt->language = place->language;
	stt->language_confidence = place->language_probability;
	const char *code = stt->config->language[stt->language].code;
	if (stt->language_confidence < SURE_LANGUAGE)
		sn_notes_add(&stt->base.notes, "language_uncertain", "the language was taken for \"%s\" with a probability of only %.2f", code,
		             (double)stt->language_confidence);
	return sn_stt_emit(&stt->base, &(sn_event){ .kind = SN_EVENT_LANGUAGE, .language = code,
		.language_confidence = stt->language_confidence });
}

/* Moves a window on as far as it goes without computing. */
static int advance(stt_whisper *stt, stt_window *w, int is_first) {
	if (w->place && w->place->failed != SN_OK)
		return sn_fail(stt->base.message, w->place->failed, "%s", w->place->why);
	if (w->stage == STT_DETECTING && !w->place->searching) {
		w->stage = STT_ENCODED;
		int result = note_language(stt, w->place);
		if (result != SN_OK)
			return result;
	}
	if (w->stage == STT_ENCODED && stt->language < 0 && is_first) {
		w->stage = STT_DETECTING;
		return sn_lane_detect(stt->base.model->lane, w->place, stt->base.message);
	}
	if (w->stage == STT_ENCODED && stt->language >= 0)
		return start_search(stt, w);
	if (w->stage == STT_SEARCHING && !w->place->searching)
		return judge(stt, w);
	return SN_OK;
}

/* Emits the segments of the oldest window and goes on behind it. */
static void deliver(stt_whisper *stt) {
	stt_window *w = window_at(stt, 0);
	/* the reference skips a silent window unless its text is likely all the same */
	int silent = sn_stt_guard_is_silent(&w->result);
	int64_t frames = w->frames, advance;
	const int purged = !silent && stt->guards && sn_stt_guard_purge(stt, w, &advance);
	if (!silent)
		frames = sn_stt_whisper_segments(stt, w);
	frames = purged ? advance : frames;
	stt->silent += silent;
	stt->purged += purged;
	const stt_piece *last = &w->pieces[w->piece_count - 1];
	if (!stt->vad_model) {
		stt->seek += frames;
		if (!silent && (!stt->condition || w->result.temperature > RESET_TEMPERATURE))
			stt->history_count = 0;
	}
	sn_stt_moved(&stt->base, stt->vad_model ? last->source + last->samples : stt->seek * SN_MEL_HOP);
	w->stage = STT_FREE;
	stt->window_first = (stt->window_first + 1) % stt->window_room;
	stt->window_count--;
}

/* With `full` the caller has enough to pull: windows are brought to their end, so that nobody waits for what they hold, but not
 * delivered. */
static int advance_all(stt_whisper *stt, int full) {
	for (int i = 0; i < stt->window_count; i++) {
		int result = advance(stt, window_at(stt, i), i == 0);
		if (result != SN_OK)
			return result;
	}
	while (!full && stt->window_count && window_at(stt, 0)->stage == STT_DONE)
		deliver(stt);
	return SN_OK;
}

/* ---- the end ---- */

static int at_rest(const stt_whisper *stt) {
	if (!stt->base.at_end || stt->window_count)
		return 0;
	return stt->vad_model ? stt->vad_ended && !stt->has_speech && !stt->sealed : sequential_frames(stt) <= 0;
}

static void conclude(stt_whisper *stt) {
	const double seconds = (double)sn_stt_tape_end(&stt->base) / SN_MEL_RATE;
	if (stt->repeated)
		sn_notes_add(&stt->base.notes, "decoder_fallback", "%d of %d windows were decoded again at a higher temperature",
		             stt->repeated, stt->begun);
	if (stt->limited)
		sn_notes_add(&stt->base.notes, "token_limit", "%d of %d windows held more text than the model can write; words at their end "
		             "are missing", stt->limited, stt->begun);
	if (sn_stt_tape_end(&stt->base) == 0)
		sn_notes_add(&stt->base.notes, "no_audio", "there are no samples in the audio");
	else if (sn_stt_tape_end(&stt->base) < SN_MEL_HOP)
		sn_notes_add(&stt->base.notes, "too_short", "%.4f s are too short for a word", seconds);
	else if (!stt->base.segments && stt->vad_model && !stt->begun)
		sn_notes_add(&stt->base.notes, "no_speech", "no speech was found in %.2f s of audio", seconds);
	else if (!stt->base.segments && stt->purged)
		sn_notes_add(&stt->base.notes, "no_speech", "what the model wrote for %.2f s of audio was not said there: it was dropped", seconds);
	else if (!stt->base.segments && stt->silent == stt->begun)
		sn_notes_add(&stt->base.notes, stt->vad_model ? "no_text" : "no_speech", "the model takes all %.2f s of the audio for silence or noise",
		             seconds);
	else if (!stt->base.segments)
		sn_notes_add(&stt->base.notes, "no_text", "the model wrote no words for %.2f s of audio", seconds);
	sn_stt_conclude(&stt->base);
}

/* One step's work: SN_OK more may follow at once, SN_AGAIN wait for the caller or for others, else an error. */
int sn_stt_whisper_work(sn_stt *base, int full) {
	stt_whisper *const stt = (stt_whisper *)base;
	int result = advance_all(stt, full);
	if (result != SN_OK)
		return result;
	int searching = 0;
	for (int i = 0; i < stt->window_count; i++) {
		stt_window *w = window_at(stt, i);
		searching += w->place && w->place->searching;
		if (w->stage != STT_ENCODING)
			continue;
		result = sn_lane_encode(stt->base.model->lane, w->place, stt->base.message);
		if (result == SN_OK)
			w->stage = STT_ENCODED;
		return result == SN_AGAIN ? SN_OK : result;
	}
	if (full)
		sn_lane_withdraw(stt->base.model->lane, &base->job);
	result = full ? SN_AGAIN : begin_window(stt);
	if (result == SN_AGAIN && !full)
		result = prepare(stt);
	if (result != SN_AGAIN)
		return result;
	if (searching && sn_lane_gathers(stt->base.model->lane, &stt->base.job)) {
		sn_sched_rest(stt->base.engine->sched, &stt->base.job);
		return SN_AGAIN;
	}
	if (searching) {
		sn_lane_decode(stt->base.model->lane);
		return SN_OK;
	}
	if (!full && at_rest(stt))
		conclude(stt);
	return SN_AGAIN;
}

void sn_stt_whisper_leave(sn_stt *base) {
	stt_whisper *const stt = (stt_whisper *)base;
	for (int i = 0; i < stt->window_count; i++)
		give_place(stt, window_at(stt, i));
	sn_lane_withdraw(base->model->lane, &base->job);
	stt->window_count = 0;
}
