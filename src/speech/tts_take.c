/* Sentences that are looked at before they are given out: a bad one is spoken again, the best take is kept. The caller's thread, inside
 * sn_tts_pull; the conductor waits for its verdict between two sentences. */
#include "audio/resample.h"
#include "speech/languages.h"
#include "speech/tts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SECONDS 180 /* of one sentence; what a model makes beyond that is dropped: it ran away */
#define PIECE 16384      /* samples given out at once */
#define HEARD_PIECE ((size_t)160000) /* samples handed over at once to be read back */
#define MOST_HEARD ((size_t)1 << 20) /* bytes of what was understood */
#define PACED 3.0        /* seconds that were expected before the model's own pace counts */

/* Of the reading back of a sentence. */
static void end_reading(tts_hold *h) {
	sn_stt_close(&h->reading);
	sn_buf_free(&h->text);
	free(h->heard);
	h->heard = NULL;
	h->heard_count = h->heard_pushed = 0;
	h->heard_ended = 0;
}

void sn_tts_hold(sn_tts *tts) {
	tts->take.holds = 1;
	if (tts->rater)
		sn_rater_hear_all(tts->rater); /* nobody listens yet */
}

void sn_tts_take_close(sn_tts *tts) {
	end_reading(&tts->take);
	free(tts->take.now.pcm);
	free(tts->take.best.pcm);
}

/* ---- collecting ---- */

static int collect(sn_tts *tts, const tts_chunk *chunk, char *err) {
	tts_take *const take = &tts->take.now;
	if (chunk->is_mark) {
		if (take->mark_count < TTS_TAKE_MARKS) {
			take->marks[take->mark_count].at = take->count;
			memcpy(take->marks[take->mark_count++].name, chunk->mark, TTS_NAME);
		}
		return SN_OK;
	}
	const size_t most = (size_t)tts->rate * MOST_SECONDS, left = most - take->count;
	const size_t count = chunk->count < left ? chunk->count : left;
	if (take->count + count > take->room) {
		size_t room = take->room ? 2 * take->room : (size_t)tts->rate * 8;
		room = room < take->count + count ? take->count + count : room;
		float *const grown = realloc(take->pcm, room * sizeof *grown);
		if (!grown)
			return sn_fail(err, SN_E_MEMORY, "no memory for a sentence of %zu samples", room);
		take->pcm = grown;
		take->room = room;
	}
	memcpy(take->pcm + take->count, chunk->pcm, count * sizeof *chunk->pcm);
	take->count += count;
	return SN_OK;
}

/* ---- judging ---- */

static int begin_reading(sn_tts *tts, const tts_take *take, const tts_item *item, char *err) {
	tts_hold *const h = &tts->take;
	char language[8] = "";
	if (!sn_language_code(item->style.reading, language, sizeof language))
		*language = 0;
	sn_stt_options options = { .language = *language ? language : NULL, .vad = SN_OFF, .beam = 1, .words = SN_OFF };
	sn_stt_inside(&options, &tts->job);
	sn_buf_init(&h->text, MOST_HEARD);
	int result = sn_resample(take->pcm, take->count, tts->rate, SN_STT_RATE, &h->heard, &h->heard_count, err);
	return result == SN_OK ? sn_stt_open(&h->reading, tts->verifier, &options, err) : result;
}

/* Takes what was understood so far. As sn_stt_pull. */
static int take_text(tts_hold *h, char *err) {
	sn_event event;
	int result;
	while ((result = sn_stt_pull(h->reading, &event, err)) == SN_OK)
		if (event.kind == SN_EVENT_SEGMENT && sn_buf_text(&h->text, event.segment.text) != SN_OK)
			return sn_fail(err, SN_E_MEMORY, "no memory for what was understood");
	return result;
}

static int push_heard(tts_hold *h, char *err) {
	const float *const pcm = h->heard + h->heard_pushed;
	const size_t left = h->heard_count - h->heard_pushed, part = left < HEARD_PIECE ? left : HEARD_PIECE;
	int result = sn_stt_push(h->reading, pcm, part, err);
	if (result == SN_AGAIN && (result = take_text(h, err)) == SN_AGAIN)
		result = sn_stt_push(h->reading, pcm, part, err);
	h->heard_pushed += result == SN_OK ? part : 0;
	return result;
}

/* Up to SN_END: all was read. SN_AGAIN: the caller's patience has ended. */
static int go_on_reading(tts_hold *h, char *err) {
	int result = SN_OK;
	while (result == SN_OK && h->heard_pushed < h->heard_count)
		result = push_heard(h, err);
	if (result == SN_OK && !h->heard_ended) {
		h->heard_ended = 1;
		result = sn_stt_finish(h->reading, err);
	}
	return result == SN_OK ? take_text(h, err) : result;
}

/* What the model that transcribes understands. A clip it cannot read at all counts as all wrong; a language it lacks as not read. */
static int read_back(sn_tts *tts, tts_take *take, const tts_item *item, char *err) {
	tts_hold *const h = &tts->take;
	char reason[SN_ERRLEN] = "";
	int words = 0, errors = 0;
	sn_normaliser *const reader = sn_tts_reader(tts, item->style.reading, err);
	if (!reader)
		return sn_fail_memory(SN_E_DEPENDENCY, err);
	sn_tts_hunger(tts); /* before what is waited for may happen */
	int result = h->reading ? SN_OK : begin_reading(tts, take, item, reason);
	if (result == SN_OK) {
		sn_stt_be_patient(h->reading, fmin(tts->patience, SN_TICK));
		result = go_on_reading(h, reason);
	}
	if (result == SN_AGAIN)
		return result;
	if (result == SN_E_UNSUPPORTED || result == SN_E_FORMAT) {
		sn_tts_note(tts, "not_verified", "sentence %d was not read back: %s", item->index + 1, reason);
		return SN_OK;
	}
	if (result != SN_END)
		return sn_fail(err, result, "reading the speech back: %s", reason);
	result = sn_word_errors(reader, item->words, strlen(item->words), h->text.size ? h->text.data : "", h->text.size, &words, &errors, err);
	if (result == SN_OK)
		sn_check_words(&take->check, words, errors);
	return result;
}

/* At the pace that this voice has shown. */
static double expected_of(const sn_tts *tts, const tts_item *item) {
	const tts_hold *const h = &tts->take;
	const double seconds = sn_check_expected(item->words, strlen(item->words)) / (double)item->style.speed;
	return h->expected > PACED ? seconds * h->made / h->expected : seconds;
}

static void note_faults(sn_tts *tts, const sn_check *check, int attempts) {
	char message[SN_NOTE_TEXT];
	const int sentence = tts->now->index + 1;
	if (attempts > 1)
		sn_tts_note(tts, "spoken_again", "sentence %d was spoken %d times; the best was kept", sentence, attempts);
	for (int i = 0; i < SN_FAULT_COUNT; i++) {
		const char *const code = sn_check_fault(check, i, sentence, message, sizeof message);
		if (code)
			sn_tts_note(tts, code, "%s", message);
	}
}

/* The verdict: the conductor goes on, with the same sentence or behind it. */
static void give_verdict(sn_tts *tts, int again) {
	tts_hold *const h = &tts->take;
	sn_sched_lock(tts->engine->sched);
	tts->attempt = again ? (uint64_t)h->attempts : 0;
	tts->again = again;
	h->clipped = 0;
	if (!again) {
		free(tts->now);
		tts->now = NULL;
	}
	tts->awaits = 0;
	sn_sched_wake(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
}

static void accept(sn_tts *tts) {
	tts_hold *const h = &tts->take;
	const sn_check *const check = &h->best.check;
	note_faults(tts, check, h->attempts);
	if (h->attempts > tts->most_attempts)
		tts->most_attempts = h->attempts;
	tts->verified_words += check->words;
	tts->word_errors += check->word_errors;
	if (!check->faults && check->expected > 0) {
		h->made += check->duration;
		h->expected += sn_check_expected(tts->now->words, strlen(tts->now->words)) / (double)tts->now->style.speed;
	}
	sn_sched_lock(tts->engine->sched);
	tts->clipped += h->best.clipped;
	sn_sched_unlock(tts->engine->sched);
	h->sentence = tts->now->index;
	h->ready = 1;
	h->given = 0;
	h->marks_given = h->attempts = 0;
}

/* A sentence is over; the conductor waits, so its item may be read here. */
static int judge(sn_tts *tts, char *err) {
	tts_hold *const h = &tts->take;
	tts_take *const take = &h->now;
	const tts_item *const item = tts->now;
	if (!h->judging) {
		take->clipped = h->clipped; /* the conductor rests */
		sn_check_speech(&take->check, take->pcm, take->count, tts->rate, take->clipped, item->strange ? 0 : expected_of(tts, item));
		if (item->style.gain <= 0) /* it was to be silent */
			take->check.faults = 0;
	}
	int result = tts->verifier && item->style.gain > 0 ? read_back(tts, take, item, err) : SN_OK;
	h->judging = result == SN_AGAIN;
	if (h->judging)
		return result;
	end_reading(h);
	if (result != SN_OK)
		return result;
	if (!h->attempts++ || sn_check_better(&take->check, &h->best.check)) {
		const tts_take other = h->best;
		h->best = *take;
		*take = other;
	}
	h->now.count = 0;
	h->now.mark_count = 0;
	const int again = h->best.check.faults && h->attempts <= tts->retries;
	if (!again)
		accept(tts);
	give_verdict(tts, again);
	return SN_OK;
}

/* ---- giving out ---- */

/* The next piece of the take, up to its next mark. 0: all was given. */
static int give(sn_tts *tts, sn_audio *audio) {
	tts_hold *const h = &tts->take;
	const tts_take *const take = &h->best;
	const tts_place *const mark = h->marks_given < take->mark_count ? &take->marks[h->marks_given] : NULL;
	size_t count = take->count - h->given < PIECE ? take->count - h->given : PIECE;
	*audio = (sn_audio){ .pcm = take->pcm + h->given, .sample_rate = tts->rate, .sentence = h->sentence };
	if (mark && mark->at <= h->given) {
		audio->mark = mark->name;
		h->marks_given++;
		sn_sched_lock(tts->engine->sched);
		sn_tts_count_mark(tts, mark->name);
		sn_sched_unlock(tts->engine->sched);
		return 1;
	}
	if (mark && mark->at - h->given < count)
		count = mark->at - h->given;
	if (!count)
		return 0;
	audio->count = count;
	h->given += count;
	sn_sched_lock(tts->engine->sched);
	sn_tts_count(tts, count);
	sn_sched_unlock(tts->engine->sched);
	return 1;
}

/* What lies between sentences goes out as it was made. */
static void pass_on(sn_tts *tts, const tts_chunk *chunk, sn_audio *audio) {
	*audio = (sn_audio){ .pcm = chunk->pcm, .count = chunk->count, .sample_rate = tts->rate, .sentence = chunk->sentence,
		.mark = chunk->is_mark ? chunk->mark : NULL };
	sn_sched_lock(tts->engine->sched);
	if (chunk->is_mark)
		sn_tts_count_mark(tts, chunk->mark);
	else
		sn_tts_count(tts, chunk->count);
	sn_sched_unlock(tts->engine->sched);
}

int sn_tts_take_pull(sn_tts *tts, sn_audio *audio, char *err) {
	tts_hold *const h = &tts->take;
	for (;;) {
		tts_chunk *chunk;
		if (h->ready && give(tts, audio))
			return SN_OK;
		h->ready = 0;
		int result = sn_tts_pull_made(tts, &chunk, err);
		if (result == SN_OK && !chunk->held) {
			pass_on(tts, chunk, audio);
			return SN_OK;
		}
		if (result == SN_OK)
			result = collect(tts, chunk, err);
		else if (result == SN_E_BUSY && (result = judge(tts, err)) == SN_AGAIN && !isfinite(tts->patience))
			result = SN_OK; /* it waits on, unless the session was cancelled */
		if (result != SN_OK)
			return result;
	}
}
