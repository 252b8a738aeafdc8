#include "speech/stt_live.h"

#include <stdlib.h>

#define MIN_SPEECH 100    /* ms, where the caller says nothing */
#define MIN_SILENCE 400
#define PAD 400
#define INTERVAL 320
#define LOWEST_QUIET 0.01f
#define START_TOKENS 8    /* of a prompt, at most */
#define HYSTERESIS 0.15f  /* as Silero's own segmentation has it */

static int64_t samples_of(int ms, int standard) {
	return (int64_t)(ms ? ms > 0 ? ms : 0 : standard) * SN_STT_RATE / 1000;
}

static int set_hearing(stt_live *live, const sn_stt_options *o, char *err) {
	const sn_vad_settings *const v = &o->vad_settings;
	if (!(v->threshold >= 0 && v->threshold <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "vad_settings.threshold %g is outside 0 to 1", (double)v->threshold);
	if (v->min_silence > 10000 || v->pad > 10000 || v->min_speech > 10000 || o->partial_interval > 10000)
		return sn_fail(err, SN_E_ARGUMENT, "min_speech %d, min_silence %d, pad %d and partial_interval %d are at most 10000 ms",
		               v->min_speech, v->min_silence, v->pad, o->partial_interval);
	live->threshold = v->threshold > 0 ? v->threshold : 0.5f;
	live->quiet = live->threshold - HYSTERESIS > LOWEST_QUIET ? live->threshold - HYSTERESIS : LOWEST_QUIET;
	live->min_speech = samples_of(v->min_speech, MIN_SPEECH);
	live->min_silence = samples_of(v->min_silence, MIN_SILENCE);
	live->pad = samples_of(v->pad, PAD);
	live->interval = o->partial_interval < 0 ? 0 : samples_of(o->partial_interval, INTERVAL);
	return SN_OK;
}

static int open_session(sn_stt *base, const sn_stt_options *o, char *err) {
	stt_live *const live = (stt_live *)base;
	sn_stt_options options = *o;
	if (o->vad == SN_OFF)
		return sn_fail(err, SN_E_ARGUMENT, "a live session ends utterances by voice activity; vad must not be off");
	if (o->beam > 1)
		return sn_fail(err, SN_E_UNSUPPORTED, "a live session decodes greedily; beam %d is for files", o->beam);
	options.vad = SN_ON;
	options.batch = 1;
	int result = set_hearing(live, o, err);
	if (result == SN_OK)
		result = sn_stt_whisper.open(base, &options, err);
	if (result != SN_OK)
		return result;
	sn_buf_init(&live->word_text, (size_t)1 << 16);
	live->sure = live->whisper.language >= 0;
	const int quarter = (live->whisper.config->target_positions - START_TOKENS) / 4;
	live->most_past = quarter < STT_LIVE_PAST_TOKENS ? quarter : STT_LIVE_PAST_TOKENS;
	if (quarter < 1)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" writes at most %d tokens at once, too few to be listened to live", base->model->name,
		               live->whisper.config->target_positions);
	pthread_mutex_lock(&base->engine->share_lock);
	result = sn_lane_listen(base->model->lane, err);
	pthread_mutex_unlock(&base->engine->share_lock);
	return result;
}

static int begin_session(sn_stt *base, char *err) {
	stt_live *const live = (stt_live *)base;
	live->words = malloc(SN_ALIGN_MAX_TOKENS * sizeof *live->words);
	live->word_at = malloc(SN_ALIGN_MAX_TOKENS * sizeof *live->word_at);
	if (!live->words || !live->word_at)
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	return sn_stt_whisper_begin(base, err);
}

static void close_session(sn_stt *base) {
	stt_live *const live = (stt_live *)base;
	sn_buf_free(&live->word_text);
	free(live->words);
	free(live->word_at);
	sn_stt_whisper.close(base);
}

const sn_stt_class sn_stt_live = { .size = sizeof(stt_live), .open = open_session, .begin = begin_session, .work = stt_live_work, .leave = stt_live_leave,
	.close = close_session };
