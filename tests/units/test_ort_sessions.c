/* Sessions whose models run by an ONNX Runtime that goes wrong: a failed run ends whom it was made for, with its cause, and nobody else.
 * usage: TEST_ORT_SESSIONS FIXTURES */
#include "speech/engine.h"

#include <sonant/sonant.h>

#include <dirent.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT (3 * SN_STT_RATE)

static const char *fixtures;
static sn_engine *engine;
static sn_model *whisper, *vits;
static uint32_t seed = 1;

static sn_model *load(const char *name) {
	char path[4096], err[SN_ERRLEN];
	sn_model *model = NULL;
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	if (sn_model_load(&model, engine, path, NULL, err) != SN_OK)
		fail_msg("%s", err);
	return model;
}

static int open_all(void **state) {
	char err[SN_ERRLEN];
	setenv("ORT_SHIM_REAL", getenv("SONANT_ONNXRUNTIME"), 1);
	setenv("SONANT_ONNXRUNTIME", getenv("ORT_SHIM"), 1);
	if (sn_engine_open(&engine, &(sn_engine_options){ .threads = 2, .no_cache = 1, .backend = "ort", .home = "/nonexistent" }, err) != SN_OK)
		fail_msg("%s", err);
	whisper = load("whisper");
	vits = load("vits-sdp");
	return 0;
}

static int close_all(void **state) {
	sn_model_release(&whisper);
	sn_model_release(&vits);
	sn_engine_close(&engine);
	return 0;
}

static void fails_now(const char *run, const char *until, const char *why) {
	setenv("ORT_SHIM_FAIL", run, 1);
	setenv("ORT_SHIM_UNTIL", until, 1);
	setenv("ORT_SHIM_TEXT", why, 1);
}

static void all_is_well(void) { unsetenv("ORT_SHIM_FAIL"); }

/* A session with noise to hear, each another one: what was encoded once is not again. */
static sn_stt *listen(void) {
	char err[SN_ERRLEN];
	float sound[COUNT];
	sn_stt *stt = NULL;
	for (int i = 0; i < COUNT; i++)
		sound[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (float)(1 << 25) - 0.25f;
	const sn_stt_options o = { .language = "en", .beam = 1, .fallback = SN_OFF, .vad = SN_OFF };
	if (sn_stt_open(&stt, whisper, &o, err) != SN_OK || sn_stt_push(stt, sound, COUNT, err) != SN_OK)
		fail_msg("%s", err);
	return stt;
}

/* What ends the session. */
static int drain(sn_stt *stt, char *err) {
	sn_event event;
	int result;
	while ((result = sn_stt_pull(stt, &event, err)) == SN_OK)
		continue;
	return result;
}

static int finish(sn_stt *stt, char *err) {
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	return drain(stt, err);
}

static int speak(char *err) {
	sn_tts *tts = NULL;
	sn_audio audio;
	const sn_tts_options o = { .check = SN_OFF, .retries = -1 };
	if (sn_tts_open(&tts, vits, &o, err) != SN_OK || sn_tts_push(tts, "hello there", 11, err) != SN_OK || sn_tts_finish(tts, err) != SN_OK)
		fail_msg("%s", err);
	int result;
	while ((result = sn_tts_pull(tts, &audio, err)) == SN_OK)
		continue;
	sn_tts_close(&tts);
	return result;
}

static void others_go_on(void **state) {
	char err[SN_ERRLEN] = "";
	sn_stt *waiting = listen(), *ended = listen();
	assert_int_equal(finish(ended, err), SN_END);
	fails_now("RunWithBinding", "99", "something broke");
	assert_int_equal(speak(err), SN_E_INTERNAL);
	assert_non_null(strstr(err, "something broke"));
	all_is_well();
	assert_int_equal(drain(ended, err), SN_END);
	assert_int_equal(finish(waiting, err), SN_END);
	assert_int_equal(speak(err), SN_END);
	sn_stt_close(&waiting);
	sn_stt_close(&ended);
}

static void the_first_cause_is_kept(void **state) {
	char err[SN_ERRLEN] = "";
	sn_stt *first = listen(), *second = listen();
	fails_now("RunWithBinding", "99", "the first cause");
	assert_int_equal(finish(first, err), SN_E_INTERNAL);
	assert_non_null(strstr(err, "the first cause"));
	fails_now("RunWithBinding:1", "99", "the device is out of memory");
	assert_int_equal(finish(second, err), SN_E_MEMORY);
	assert_int_equal(drain(first, err), SN_E_INTERNAL);
	assert_non_null(strstr(err, "the first cause"));
	all_is_well();
	sn_stt_close(&first);
	sn_stt_close(&second);
}

/* The first runs of a window: whichever fails, the text is not taken for whole. */
static void no_run_is_passed_over(void **state) {
	char err[SN_ERRLEN] = "", run[32], until[16];
	for (int i = 1; i <= 6; i++) { /* the encoder's, and some of the decoder's */
		snprintf(run, sizeof run, "RunWithBinding:%d", i);
		snprintf(until, sizeof until, "%d", i);
		fails_now(run, until, "something broke");
		sn_stt *stt = listen();
		assert_int_equal(finish(stt, err), SN_E_INTERNAL);
		assert_non_null(strstr(err, "something broke"));
		assert_non_null(strstr(err, i == 1 ? "whisper.encoder" : "whisper.decoder"));
		sn_stt_close(&stt);
	}
	all_is_well();
}

typedef struct gate {
	sem_t reached, open;
	pthread_t thread;
} gate;

static void wait_at(void *payload) {
	gate *const g = payload;
	sem_post(&g->reached);
	sem_wait(&g->open);
}

static void *stop_conductor(void *payload) {
	sn_sched_call(engine->sched, wait_at, payload);
	return NULL;
}

/* Two sessions side by side, whose runs fail in the n-th. Returns how many of them end by that. */
static int end_in_run(int n) {
	char err[SN_ERRLEN] = "", run[32], until[16];
	int failed = 0;
	gate g;
	sem_init(&g.reached, 0, 0);
	sem_init(&g.open, 0, 0);
	assert_int_equal(pthread_create(&g.thread, NULL, stop_conductor, &g), 0);
	sem_wait(&g.reached);
	snprintf(run, sizeof run, "RunWithBinding:%d", n);
	snprintf(until, sizeof until, "%d", n);
	fails_now(run, until, "something broke");
	sn_stt *both[2] = { listen(), listen() };
	for (int i = 0; i < 2; i++)
		assert_int_equal(sn_stt_finish(both[i], err), SN_OK);
	sem_post(&g.open);
	for (int i = 0; i < 2; i++) {
		const int result = drain(both[i], err);
		assert_true(result == SN_END || (result == SN_E_INTERNAL && strstr(err, "something broke")));
		failed += result != SN_END;
		sn_stt_close(&both[i]);
	}
	all_is_well();
	pthread_join(g.thread, NULL);
	sem_destroy(&g.reached);
	sem_destroy(&g.open);
	return failed;
}

/* Where rows of two sessions are in one decoder step and that fails, both end; who is not in it goes on. */
static void who_shares_a_run_shares_its_failure(void **state) {
	char err[SN_ERRLEN] = "";
	sn_stt *third = listen();
	int failed = end_in_run(1);
	assert_int_equal(failed, 1); /* the encoder hears one at a time */
	for (int n = 8; failed < 2; n += 3) { /* when the two come together is a matter of times */
		assert_true(n < 40);
		failed = end_in_run(n);
	}
	assert_int_equal(finish(third, err), SN_END);
	sn_stt_close(&third);
}

/* The models' graphs, some ten, share one pool of threads: two of the engine, its conductor and its host, one of ONNX Runtime, this one. */
static void graphs_share_their_threads(void **state) {
	struct dirent *entry;
	int count = 0;
	DIR *const threads = opendir("/proc/self/task");
	assert_non_null(threads);
	while ((entry = readdir(threads)))
		count += entry->d_name[0] != '.';
	closedir(threads);
	assert_in_range(count, 4, 7); /* sanitizers may have one, too */
}

int main(int argc, char **argv) {
	fixtures = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_go_on), cmocka_unit_test(the_first_cause_is_kept), cmocka_unit_test(no_run_is_passed_over),
		cmocka_unit_test(who_shares_a_run_shares_its_failure), cmocka_unit_test(graphs_share_their_threads),
	};
	if (!getenv("ORT_SHIM") || !getenv("SONANT_ONNXRUNTIME")) {
		printf("1..0 # SKIP ONNX Runtime is not here\n");
		return 0;
	}
	return cmocka_run_group_tests_name("ort sessions", tests, open_all, close_all);
}
