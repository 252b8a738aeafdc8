/* Sessions whose calls never wait: driven by `ready` alone they give what waiting ones give. And turns by shares. */
#include "speech/engine.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define TINY TEST_SOURCE "/tests/fixtures/tiny/"
#define SECONDS 65
#define SAMPLES ((size_t)SECONDS * SN_STT_RATE)
#define TEXT "hello there. how are you today? fine, thank you. it is a good day for a walk, is it not? yes."

static float *noise; /* [SAMPLES] */
static sn_engine *engine;
static char err[SN_ERRLEN];

static int setup(void **state) {
	uint32_t x = 1;
	noise = malloc(SAMPLES * sizeof *noise);
	for (size_t i = 0; i < SAMPLES; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = 0.2f * sinf((float)i * (0.01f + 1e-7f * (float)(i % 50000))) + ((float)(x >> 8) / 16777216.0f - 0.5f) * 0.1f;
	}
	return sn_engine_open(&engine, &(sn_engine_options){ .threads = 2, .precision = SN_PRECISION_F32, .no_cache = 1 }, err);
}

static int teardown(void **state) {
	sn_engine_close(&engine);
	free(noise);
	return 0;
}

static sn_model *load(const char *path) {
	sn_model *model;
	if (sn_model_load(&model, engine, path, NULL, err) != SN_OK)
		fail_msg("%s", err);
	return model;
}

static void post(void *payload) { sem_post(payload); }

/* Fails where nobody calls: a session that sleeps for ever. */
static void await(sem_t *told) {
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	while (sem_timedwait(told, &until) != 0)
		if (errno != EINTR)
			fail_msg("a session that returned SN_AGAIN is not told that it may go on");
}

/* ---- speech to text ---- */

/* All events as text; SN_AGAIN or SN_END. */
static int take_events(sn_stt *stt, char *all) {
	sn_event event;
	int code;
	while ((code = sn_stt_pull(stt, &event, err)) == SN_OK) {
		strcat(all, event.kind == SN_EVENT_SEGMENT ? event.segment.text : event.kind == SN_EVENT_NOTE ? event.note.code : event.language);
		strcat(all, "\n");
	}
	return code;
}

static char *heard(sn_model *model, size_t chunk, int is_ready) {
	char *all = calloc(1, 1 << 16);
	sem_t told;
	sn_stt *stt;
	int code;
	sn_stt_options options = { .vad = SN_OFF, .beam = 1, .fallback = SN_OFF, .guards = SN_OFF, .ready = is_ready ? post : NULL,
		.ready_payload = &told };
	sem_init(&told, 0, 0);
	assert_int_equal(sn_stt_open(&stt, model, &options, err), SN_OK);
	for (size_t at = 0; at < SAMPLES;) {
		const size_t count = SAMPLES - at < chunk ? SAMPLES - at : chunk;
		code = sn_stt_push(stt, noise + at, count, err);
		at += code == SN_OK ? count : 0;
		assert_true(code == SN_OK || code == SN_AGAIN);
		if (code == SN_AGAIN && is_ready)
			await(&told);
		assert_int_equal(take_events(stt, all), SN_AGAIN);
	}
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	while ((code = take_events(stt, all)) == SN_AGAIN) {
		assert_true(is_ready);
		await(&told);
	}
	assert_int_equal(code, SN_END);
	sn_stt_close(&stt);
	sem_destroy(&told);
	return all;
}

static void transcripts_are_those_of_waiting_sessions(void **state) {
	static const char *const paths[] = { TINY "whisper", TINY "wav2vec2-base" };
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		sn_model *model = load(paths[i]);
		char *const waiting = heard(model, 100000, 0), *const told = heard(model, 100000, 1), *const small = heard(model, 1600, 1);
		assert_true(strlen(waiting) > 10);
		assert_string_equal(told, waiting);
		assert_string_equal(small, waiting);
		free(waiting);
		free(told);
		free(small);
		sn_model_release(&model);
	}
}

/* A second of audio pushed takes no time; a pull behind the end has nothing yet. */
static void no_call_waits(void **state) {
	sem_t told;
	sn_stt *stt;
	sn_event event;
	sn_model *model = load(TINY "whisper");
	sem_init(&told, 0, 0);
	const sn_stt_options options = { .vad = SN_OFF, .language = "en", .ready = post, .ready_payload = &told };
	assert_int_equal(sn_stt_open(&stt, model, &options, err), SN_OK);
	assert_int_equal(sn_stt_pull(stt, &event, err), SN_OK); /* the language that was given */
	int code, pushed = 0;
	while ((code = sn_stt_push(stt, noise, SN_STT_MAX_QUEUE, err)) == SN_OK)
		assert_true(++pushed < 100);
	assert_int_equal(code, SN_AGAIN);
	while ((code = sn_stt_push(stt, noise, 100, err)) == SN_AGAIN)
		await(&told);
	assert_int_equal(code, SN_OK);
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	assert_int_equal(sn_stt_pull(stt, &event, err), SN_AGAIN);
	sn_stt_cancel(stt);
	await(&told);
	assert_int_equal(sn_stt_pull(stt, &event, err), SN_E_CANCELLED);
	sn_stt_close(&stt);
	sem_destroy(&told);
	sn_model_release(&model);
}

/* ---- text to speech ---- */

static float *spoken(sn_model *model, sn_tts_options options, int is_ready, size_t *count) {
	float *all = NULL;
	sem_t told;
	sn_tts *tts;
	sn_audio audio;
	sn_speech facts;
	int code;
	sem_init(&told, 0, 0);
	options.ready = is_ready ? post : NULL;
	options.ready_payload = &told;
	*count = 0;
	assert_int_equal(sn_tts_open(&tts, model, &options, err), SN_OK);
	assert_int_equal(sn_tts_push(tts, TEXT, sizeof TEXT - 1, err), SN_OK);
	assert_int_equal(sn_tts_finish(tts, err), SN_OK);
	while ((code = sn_tts_pull(tts, &audio, err)) == SN_OK || (code == SN_AGAIN && is_ready)) {
		if (code == SN_AGAIN) {
			await(&told);
			continue;
		}
		all = realloc(all, (*count + audio.count) * sizeof *all);
		memcpy(all + *count, audio.pcm, audio.count * sizeof *all);
		*count += audio.count;
	}
	if (code != SN_END)
		fail_msg("%s", err);
	while ((code = sn_tts_check(tts, &facts, err)) == SN_AGAIN && is_ready)
		await(&told);
	assert_int_equal(code, SN_OK);
	assert_int_equal(facts.samples, *count);
	sn_tts_close(&tts);
	sem_destroy(&told);
	return all;
}

static void speech_is_that_of_waiting_sessions(void **state) {
	static const struct {
		const char *model;
		sn_tts_options options;
	} cases[] = {
		{ TINY "vits-sdp", { .pause = 0.2f } },
		{ TINY "vits-sdp", { .verify = SN_ON, .verify_model = TINY "whisper" } }, /* each sentence is read back */
		{ TINY "vits-sdp", { .check = SN_ON } },
		{ TINY "tacotron2-coqui", { .vocoder = "griffin-lim" } },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t count, told_count;
		sn_model *model = load(cases[i].model);
		float *const waiting = spoken(model, cases[i].options, 0, &count), *const told = spoken(model, cases[i].options, 1, &told_count);
		assert_true(count > 0);
		assert_int_equal(told_count, count);
		assert_memory_equal(told, waiting, count * sizeof *told);
		free(waiting);
		free(told);
		sn_model_release(&model);
	}
}

/* ---- rating ---- */

/* Somebody else's work, which goes before all rating. */
typedef struct busy {
	sn_job job;
	double until;
	atomic_int over;
} busy;

static int keep_busy(sn_job *job) {
	busy *const b = (busy *)job;
	usleep(500);
	b->over = b->over || sn_now() > b->until;
	return b->over ? SN_AGAIN : SN_OK;
}

static void leave_nothing(sn_job *job) { (void)job; }

static void sound_does_not_wait_for_its_rating(void **state) {
	busy b = { .job = { .step = keep_busy, .leave = leave_nothing } };
	sn_model *model = load(TINY "vits-sdp"), *rater;
	sn_tts *tts;
	sn_audio audio;
	sn_speech facts;
	int code;
	if (sn_model_load(&rater, engine, NULL, &(sn_model_options){ .task = SN_TASK_SCORE }, err) != SN_OK) {
		sn_model_release(&model);
		skip();
	}
	sn_model_release(&rater);
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .check = SN_ON, .pause = 10 }, err), SN_OK);
	b.until = sn_now() + 20;
	assert_int_equal(sn_sched_add(model->engine->sched, &b.job, err), SN_OK);
	sn_sched_lock(model->engine->sched);
	sn_sched_wake(model->engine->sched, &b.job);
	sn_sched_unlock(model->engine->sched);
	assert_int_equal(sn_tts_push(tts, TEXT TEXT, 2 * sizeof TEXT - 2, err), SN_OK);
	assert_int_equal(sn_tts_finish(tts, err), SN_OK);
	while ((code = sn_tts_pull(tts, &audio, err)) == SN_OK)
		;
	assert_int_equal(code, SN_END);
	assert_false(b.over);
	b.over = 1;
	assert_int_equal(sn_tts_check(tts, &facts, err), SN_OK);
	if (facts.duration < 20 || facts.quality <= 0)
		fail_msg("%g s of speech, rated %g", facts.duration, (double)facts.quality);
	sn_sched_remove(model->engine->sched, &b.job);
	sn_tts_close(&tts);
	sn_model_release(&model);
}

/* ---- cancelling ---- */

typedef struct patience { double end, asked, longest; } patience;

static int stop_at_end(void *payload, double seconds, double total) {
	patience *const p = payload;
	const double now = sn_now();
	p->longest = p->asked > 0 && now - p->asked > p->longest ? now - p->asked : p->longest;
	p->asked = now;
	return now > p->end;
}

static void helpers_end_soon(void **state) {
	enum { MINUTES = 10 };
	const size_t count = (size_t)MINUTES * 60 * SN_STT_RATE;
	float *const pcm = malloc(count * sizeof *pcm);
	char *const text = malloc(SN_SPEAK_MAX_TEXT / 4);
	sn_model *model = load(TINY "whisper"), *voice = load(TINY "vits-sdp");
	for (size_t i = 0; i < count; i++)
		pcm[i] = noise[i % SAMPLES];
	for (size_t i = 0; i < SN_SPEAK_MAX_TEXT / 4; i++)
		text[i] = TEXT[i % (sizeof TEXT - 1)];
	for (int i = 0; i < 3; i++) {
		sn_transcript *t;
		sn_quality quality;
		void *data;
		size_t size;
		patience p = { .end = sn_now() + 0.3 };
		const sn_stt_options hears = { .vad = SN_OFF, .progress = stop_at_end, .payload = &p };
		const sn_tts_options speaks = { .progress = stop_at_end, .payload = &p };
		const sn_quality_options rates = { .progress = stop_at_end, .payload = &p };
		const int code = i == 0 ? sn_transcribe_pcm(&t, model, pcm, count, &hears, err)
			: i == 1 ? sn_speak_memory(&data, &size, voice, text, SN_SPEAK_MAX_TEXT / 4, NULL, &speaks, NULL, err)
			: sn_quality_pcm(&quality, engine, pcm, count, SN_STT_RATE, &rates, err);
		if (code != SN_E_CANCELLED && !(i == 2 && code == SN_OK)) /* measuring alone is fast */
			fail_msg("case %d: %d", i, code);
		assert_true(sn_now() - p.end < 20 && p.longest < 20); /* 0.3 and 0.2 on a quiet machine; the code says that it did not come to its end */
	}
	free(pcm);
	free(text);
	sn_model_release(&model);
	sn_model_release(&voice);
}

/* Holds the conductor up as soon as there is a session inside of another. */
typedef struct obstacle {
	sn_job job;
	double until;
	atomic_int seen, over, late;
	void (*cancel)(void *session);
	void *session;
} obstacle;

static int hold_up(sn_job *job) {
	obstacle *const o = (obstacle *)job;
	sn_engine_stats stats;
	sn_sched_measure(job->sched, &stats);
	if (!o->over && stats.sessions[SN_PRIORITY_INTERACTIVE] < 2)
		return SN_OK;
	o->seen = 1;
	while (!o->over && !o->late) {
		usleep(500);
		o->late = sn_now() > o->until;
	}
	return SN_AGAIN;
}

static void *cancel_when_seen(void *payload) {
	obstacle *const o = payload;
	while (!o->seen)
		usleep(500);
	usleep(50000); /* until the caller waits */
	o->cancel(o->session);
	return NULL;
}

static void cancel_stt(void *stt) { sn_stt_cancel(stt); }

static void cancel_tts(void *tts) { sn_tts_cancel(tts); }

static void a_cancel_reaches_sessions_inside(void **state) {
	char home[] = "/tmp/sonant-ready-XXXXXX", command[512];
	sn_engine *other;
	sn_model *model;
	sn_stt *stt = NULL;
	sn_tts *tts = NULL;
	sn_event event;
	sn_audio audio;
	assert_non_null(mkdtemp(home));
	snprintf(command, sizeof command, "cd %s && mkdir -p models/whisper-base && cd models/whisper-base && ln -s %s/* . && touch %s", home, TINY "whisper",
	         SN_STORE_MANIFEST);
	assert_int_equal(system(command), 0);
	assert_int_equal(sn_engine_open(&other, &(sn_engine_options){ .threads = 1, .no_cache = 1, .home = home }, err), SN_OK);
	for (int i = 0; i < 2; i++) {
		obstacle o = { .job = { .step = hold_up, .leave = leave_nothing }, .cancel = i ? cancel_stt : cancel_tts };
		pthread_t thread;
		int code;
		if (sn_model_load(&model, other, i ? TINY "wav2vec2-mms" : TINY "vits-sdp", NULL, err) != SN_OK)
			fail_msg("%s", err);
		if (i == 0) { /* each sentence is read back */
			code = sn_tts_open(&tts, model, &(sn_tts_options){ .verify = SN_ON, .verify_model = "whisper-base" }, err);
			if (code != SN_OK)
				fail_msg("%s", err);
			assert_int_equal(sn_tts_push(tts, TEXT, sizeof TEXT - 1, err), SN_OK);
			assert_int_equal(sn_tts_finish(tts, err), SN_OK);
		} else { /* a Whisper is asked for the language */
			if (sn_stt_open(&stt, model, NULL, err) != SN_OK)
				fail_msg("%s", err);
			assert_int_equal(sn_stt_push(stt, noise, 5 * SN_STT_RATE, err), SN_OK);
			assert_int_equal(sn_stt_finish(stt, err), SN_OK);
		}
		o.session = i ? (void *)stt : (void *)tts;
		o.until = sn_now() + 20;
		assert_int_equal(sn_sched_add(other->sched, &o.job, err), SN_OK);
		sn_sched_lock(other->sched);
		sn_sched_wake(other->sched, &o.job);
		sn_sched_unlock(other->sched);
		assert_int_equal(pthread_create(&thread, NULL, cancel_when_seen, &o), 0);
		while ((code = i ? sn_stt_pull(stt, &event, err) : sn_tts_pull(tts, &audio, err)) == SN_OK)
			;
		o.over = 1;
		pthread_join(thread, NULL);
		assert_int_equal(code, SN_E_CANCELLED);
		assert_false(o.late);
		sn_sched_remove(other->sched, &o.job);
		sn_tts_close(&tts);
		sn_stt_close(&stt);
		sn_model_release(&model);
	}
	sn_engine_close(&other);
	snprintf(command, sizeof command, "rm -r %s", home);
	assert_int_equal(system(command), 0);
}

/* ---- opening ---- */

/* One session of each kind; where something is not installed, without it. */
static void open_sessions(sn_model *whisper, sn_model *letters, sn_model *voice) {
	static const sn_stt_options hears[] = { { .language = "en" }, { .language = "en", .live = SN_ON } };
	const sn_stt_options letters_of = { .language = "deu" };
	sn_tts *tts;
	for (int i = 0; i < 3; i++) {
		sn_stt *stt;
		const int code = sn_stt_open(&stt, i < 2 ? whisper : letters, i < 2 ? &hears[i] : &letters_of, err);
		assert_true(code == SN_OK || code == SN_E_NOT_FOUND);
		sn_stt_close(&stt);
	}
	assert_int_equal(sn_tts_open(&tts, voice, &(sn_tts_options){ .vocoder = "griffin-lim" }, err), SN_OK);
	sn_tts_close(&tts);
}

static void sessions_open_while_a_model_is_loaded(void **state) {
	sn_model *whisper = load(TINY "whisper"), *letters = load(TINY "wav2vec2-mms"), *voice = load(TINY "tacotron2-coqui");
	sn_tts *tts; /* holds the vocoder */
	open_sessions(whisper, letters, voice); /* what they need is loaded with the first ones */
	assert_int_equal(sn_tts_open(&tts, voice, &(sn_tts_options){ .vocoder = "griffin-lim" }, err), SN_OK);
	pthread_mutex_lock(&whisper->engine->load_lock);
	alarm(60); /* they would wait for ever */
	open_sessions(whisper, letters, voice);
	alarm(0);
	pthread_mutex_unlock(&whisper->engine->load_lock);
	sn_tts_close(&tts);
	sn_model_release(&whisper);
	sn_model_release(&letters);
	sn_model_release(&voice);
}

/* ---- a short clip during a long one ---- */

typedef struct hour {
	sn_model *model;
	sn_priority priority;
	atomic_int windows, stop;
	int code;
} hour;

static int stop_when_told(void *payload, double seconds, double total) {
	hour *const h = payload;
	h->windows = (int)(seconds / 30);
	return h->stop;
}

static void *hear_an_hour(void *payload) {
	hour *const h = payload;
	char why[SN_ERRLEN];
	const size_t count = (size_t)3600 * SN_STT_RATE;
	float *const pcm = malloc(count * sizeof *pcm);
	sn_transcript *t = NULL;
	for (size_t i = 0; i < count; i++)
		pcm[i] = noise[i % SAMPLES];
	const sn_stt_options options = { .vad = SN_OFF, .priority = h->priority, .progress = stop_when_told, .payload = h };
	h->code = sn_transcribe_pcm(&t, h->model, pcm, count, &options, why);
	sn_transcript_free(&t);
	free(pcm);
	return NULL;
}

static void a_short_clip_overtakes_a_long_one(void **state) {
	static const sn_priority priorities[] = { SN_PRIORITY_INTERACTIVE, SN_PRIORITY_BATCH };
	sn_model *model = load(TINY "whisper");
	for (int i = 0; i < 2; i++) {
		hour h = { .model = model, .priority = priorities[i] };
		pthread_t thread;
		sn_transcript *t;
		assert_int_equal(pthread_create(&thread, NULL, hear_an_hour, &h), 0);
		while (!h.windows)
			usleep(1000);
		int windows = 120;
		for (int k = 0; k < 5 && windows > 8 && (k == 0 || h.windows < 60); k++) { /* again: this thread may have been held up */
			const int before = h.windows;
			assert_int_equal(sn_transcribe_pcm(&t, model, noise + k * 3 * SN_STT_RATE, 3 * SN_STT_RATE, &(sn_stt_options){ .vad = SN_OFF }, err), SN_OK);
			windows = h.windows - before;
			sn_transcript_free(&t);
		}
		h.stop = 1;
		pthread_join(thread, NULL);
		if (windows > 8) /* of 120 */
			fail_msg("%d windows of the hour (%d) were transcribed before the 3 s", windows, h.code);
	}
	sn_model_release(&model);
}

/* ---- statistics ---- */

static void what_was_computed_is_counted(void **state) {
	sn_engine_stats before, during, after;
	sn_stt *stt;
	size_t count;
	sn_model *model = load(TINY "whisper"), *voice = load(TINY "vits-sdp");
	sn_engine_measure(engine, &before);
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .vad = SN_OFF, .priority = SN_PRIORITY_BATCH }, err), SN_OK);
	sn_engine_measure(engine, &during);
	assert_int_equal(during.sessions[SN_PRIORITY_BATCH], 1);
	assert_int_equal(during.sessions[SN_PRIORITY_INTERACTIVE] + during.ready[SN_PRIORITY_BATCH], 0);
	sn_stt_close(&stt);
	free(heard(model, 100000, 1));
	free(spoken(voice, (sn_tts_options){ .seed = 1 }, 1, &count));
	sn_engine_measure(engine, &after);
	assert_int_equal(after.sessions[SN_PRIORITY_BATCH], 0);
	assert_string_equal(after.stages[0].name, "encode");
	assert_true(after.stages[0].rows - before.stages[0].rows >= 3); /* windows of 30 s */
	assert_string_equal(after.stages[1].name, "decode");
	assert_true(after.stages[1].rows > before.stages[1].rows && after.stages[1].rows >= after.stages[1].steps);
	assert_string_equal(after.stages[2].name, "speak");
	assert_true(after.stages[2].steps > before.stages[2].steps && after.stages[2].seconds > before.stages[2].seconds);
	assert_string_equal(after.stages[3].name, "vocode");
	assert_string_equal(after.stages[4].name, "other");
	assert_true(after.busy > before.busy && after.queued > before.queued);
	sn_model_release(&model);
	sn_model_release(&voice);
}

/* ---- closing ---- */

typedef struct watched {
	atomic_int closed, calls, late;
	sn_model *model, *voice;
	unsigned seed;
} watched;

static void count_call(void *payload) {
	watched *const w = payload;
	w->calls++;
	w->late += w->closed;
}

static void open_and_close(watched *w, int round) {
	char why[SN_ERRLEN];
	sn_event event;
	sn_stt *stt;
	sn_tts *tts;
	const sn_stt_options hears = { .vad = SN_OFF, .beam = 1, .ready = count_call, .ready_payload = w };
	const sn_tts_options speaks = { .ready = count_call, .ready_payload = w, .verify = round % 2 ? SN_ON : SN_OFF,
		.verify_model = TINY "whisper" };
	w->closed = 0;
	sn_stt_open(&stt, w->model, &hears, why);
	sn_tts_open(&tts, w->voice, &speaks, why);
	sn_stt_push(stt, noise, (size_t)(1 + rand_r(&w->seed) % 300000), why);
	sn_tts_push(tts, TEXT, sizeof TEXT - 1, why);
	sn_tts_finish(tts, why);
	const double end = sn_now() + (double)(rand_r(&w->seed) % 20) / 1000;
	while (sn_now() < end) {
		sn_audio audio;
		sn_stt_pull(stt, &event, why);
		sn_tts_pull(tts, &audio, why);
		sn_stt_push(stt, noise, 1600, why);
	}
	if (round % 3 == 0)
		sn_stt_cancel(stt);
	sn_stt_close(&stt);
	sn_tts_close(&tts);
	w->closed = 1;
}

static void *storm(void *payload) {
	for (int round = 0; round < 25; round++)
		open_and_close(payload, round);
	return NULL;
}

static void a_closed_session_is_told_nothing(void **state) {
	enum { CALLERS = 4 };
	static watched callers[CALLERS];
	pthread_t threads[CALLERS];
	sn_model *model = load(TINY "whisper"), *voice = load(TINY "vits-sdp");
	for (int i = 0; i < CALLERS; i++) {
		callers[i].model = model;
		callers[i].voice = voice;
		callers[i].seed = (unsigned)i;
		assert_int_equal(pthread_create(&threads[i], NULL, storm, &callers[i]), 0);
	}
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		assert_true(callers[i].calls > 0);
		assert_int_equal(callers[i].late, 0);
	}
	sn_model_release(&model);
	sn_model_release(&voice);
}

/* ---- shares ---- */

typedef struct spinner {
	sn_job job;
	atomic_long spent; /* nanoseconds */
} spinner;

static int spin(sn_job *job) {
	const double start = sn_now();
	while (sn_now() < start + 0.0005)
		;
	((spinner *)job)->spent += (long)(1e9 * (sn_now() - start)); /* more where others use the CPU */
	return SN_OK;
}

static void stay(sn_job *job) { (void)job; }

static void shares_take_turns(void **state) {
	enum { MANY = 6 };
	static spinner jobs[MANY + 1];
	nn_pool *pool;
	sn_sched *sched;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	assert_int_equal(sn_sched_open(&sched, pool, err), SN_OK);
	for (int i = 0; i <= MANY; i++) {
		jobs[i].job = (sn_job){ .step = spin, .leave = stay, .left = 1, .share = i < MANY ? 7 : 8 };
		assert_int_equal(sn_sched_add(sched, &jobs[i].job, err), SN_OK);
		sn_sched_lock(sched);
		sn_sched_wake(sched, &jobs[i].job);
		sn_sched_unlock(sched);
	}
	usleep(4000000); /* a machine's stall of 0.1 s is little of it */
	double many = 0;
	const double one = (double)jobs[MANY].spent;
	for (int i = 0; i < MANY; i++) {
		const double spent = (double)jobs[i].spent;
		many += spent;
		if (spent < one / MANY / 2 || spent > one / MANY * 2)
			fail_msg("session %d had %g ms, the other share %g", i, spent / 1e6, one / 1e6);
	}
	if (many < one / 1.5 || many > one * 1.5)
		fail_msg("one share had %g ms, the other %g", many / 1e6, one / 1e6);
	for (int i = 0; i <= MANY; i++)
		sn_sched_remove(sched, &jobs[i].job);
	sn_sched_close(&sched);
	nn_pool_close(&pool);
}

/* A clip that comes again skips the encoder, whatever is asked of it, and its text is the same to the byte; another clip does not. */
static void features_are_kept(void **state) {
	sn_model *model = load(TINY "whisper");
	const sn_stt_options greedy = { .language = "en", .beam = 1, .vad = SN_OFF, .fallback = SN_OFF }, wide = { .language = "en", .beam = 3, .vad = SN_OFF,
		.fallback = SN_OFF };
	sn_transcript *first, *again, *searched;
	sn_engine_stats before, after;
	sn_engine_measure(engine, &before);
	assert_int_equal(sn_transcribe_pcm(&first, model, noise, 4 * SN_STT_RATE, &greedy, err), SN_OK);
	assert_int_equal(sn_transcribe_pcm(&again, model, noise, 4 * SN_STT_RATE, &greedy, err), SN_OK);
	assert_int_equal(sn_transcribe_pcm(&searched, model, noise, 4 * SN_STT_RATE, &wide, err), SN_OK);
	sn_engine_measure(engine, &after);
	assert_int_equal(after.feature_hits - before.feature_hits, 2);
	assert_int_equal(after.feature_misses - before.feature_misses, 1);
	assert_string_equal(first->text, again->text);
	assert_float_equal(first->avg_confidence, again->avg_confidence, 0);
	sn_transcript_free(&searched);
	noise[2 * SN_STT_RATE] += 0.01f;
	assert_int_equal(sn_transcribe_pcm(&searched, model, noise, 4 * SN_STT_RATE, &greedy, err), SN_OK);
	noise[2 * SN_STT_RATE] -= 0.01f;
	sn_engine_measure(engine, &after);
	assert_int_equal(after.feature_misses - before.feature_misses, 2);
	for (int i = 0; i < 20; i++) /* others come in between, and the entries go round */
		for (int k = 0; k < 2; k++) {
			sn_transcript *t;
			assert_int_equal(sn_transcribe_pcm(&t, model, noise + i * SN_STT_RATE, 4 * SN_STT_RATE, &greedy, err), SN_OK);
			if (i == 0)
				assert_string_equal(t->text, first->text);
			sn_transcript_free(&t);
		}
	sn_transcript_free(&first);
	sn_transcript_free(&again);
	sn_transcript_free(&searched);
	sn_model_release(&model);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transcripts_are_those_of_waiting_sessions), cmocka_unit_test(no_call_waits),
		cmocka_unit_test(speech_is_that_of_waiting_sessions), cmocka_unit_test(a_closed_session_is_told_nothing),
		cmocka_unit_test(shares_take_turns), cmocka_unit_test(sound_does_not_wait_for_its_rating), cmocka_unit_test(helpers_end_soon),
		cmocka_unit_test(a_cancel_reaches_sessions_inside), cmocka_unit_test(sessions_open_while_a_model_is_loaded),
		cmocka_unit_test(a_short_clip_overtakes_a_long_one), cmocka_unit_test(what_was_computed_is_counted),
		cmocka_unit_test(features_are_kept),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
