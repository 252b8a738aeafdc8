/* Engines and sessions beside each other, and what sonant.h promises of their ends: two engines with different options at once, models that
 * come and go while others work, sessions that are cancelled and closed from elsewhere, an engine that is closed before its models, a
 * child of fork, a log's sink. Also built with -Db_sanitize=thread by scripts/check-all.sh. Usage: test_threads FIXTURES */
#include "base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES ((size_t)SN_STT_RATE * 2)
#define ROUNDS 6

static const char *fixtures;
static float pcm[SAMPLES];
static int cases, bad;
static const sn_stt_options hear = { .language = "en", .vad = SN_OFF, .beam = 2, .fallback = SN_OFF };

static void check(int good, const char *name) {
	printf("%sok %d - %s\n", good ? "" : "not ", ++cases, name);
	fflush(stdout);
	bad += !good;
}

static sn_engine *open_engine(int threads, sn_precision precision) {
	const sn_engine_options options = { .threads = threads, .precision = precision, .home = "/nonexistent", .no_cache = 1 };
	char err[SN_ERRLEN];
	sn_engine *engine;
	if (sn_engine_open(&engine, &options, err) != SN_OK) {
		printf("Bail out! %s\n", err);
		exit(1);
	}
	return engine;
}

static sn_model *load(sn_engine *engine, const char *name) {
	char err[SN_ERRLEN], path[512];
	sn_model *model;
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	if (sn_model_load(&model, engine, path, NULL, err) != SN_OK) {
		printf("Bail out! %s\n", err);
		exit(1);
	}
	return model;
}

/* The text, malloc'ed; NULL: an error. */
static char *transcribe(sn_model *model) {
	char err[SN_ERRLEN], *text;
	sn_transcript *t;
	if (sn_transcribe_pcm(&t, model, pcm, SAMPLES, &hear, err) != SN_OK)
		return NULL;
	text = strdup(t->text);
	sn_transcript_free(&t);
	return text;
}

static int is_text(char *text, const char *expected) {
	const int same = text && strcmp(text, expected) == 0;
	free(text);
	return same;
}

/* ---- two engines ---- */

typedef struct worker { sn_model *model; const char *expected; int wrong; } worker;

static void *work(void *payload) {
	worker *const w = payload;
	for (int i = 0; i < ROUNDS; i++)
		w->wrong += !is_text(transcribe(w->model), w->expected);
	return NULL;
}

static void two_engines(void) {
	sn_engine *engines[2] = { open_engine(1, SN_PRECISION_F32), open_engine(2, SN_PRECISION_BF16) };
	char *expected[2];
	worker workers[4];
	pthread_t threads[4];
	sn_model *models[2];
	int wrong = 0;
	for (int i = 0; i < 2; i++) {
		models[i] = load(engines[i], "whisper");
		expected[i] = transcribe(models[i]);
	}
	for (int i = 0; i < 4; i++) {
		workers[i] = (worker){ models[i % 2], expected[i % 2], 0 };
		pthread_create(&threads[i], NULL, work, &workers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		wrong += workers[i].wrong;
	}
	check(expected[0] && expected[1] && !wrong, "two engines at once say what each says alone");
	sn_engine_info info[2];
	for (int i = 0; i < 2; i++) {
		sn_engine_describe(engines[i], &info[i]);
		sn_model_info about;
		sn_model_describe(models[i], &about);
		wrong += info[i].threads != i + 1 || strcmp(about.precision, i ? "bf16" : "f32") != 0;
	}
	check(!wrong, "each engine keeps its own options");
	for (int i = 0; i < 2; i++) {
		sn_model_release(&models[i]);
		sn_engine_close(&engines[i]);
		free(expected[i]);
	}
}

/* ---- loading beside work ---- */

typedef struct loader { sn_engine *engine; atomic_int stop; int loads; } loader;

static void *come_and_go(void *payload) {
	static const char *const names[] = { "whisper", "vits-sdp", "hifigan-jik876", "wav2vec2-base" };
	loader *const l = payload;
	while (!atomic_load(&l->stop) || l->loads < 4) {
		sn_model *model = load(l->engine, names[l->loads++ % 4]);
		sn_model_release(&model);
	}
	return NULL;
}

static void loading_beside_work(void) {
	loader l = { .engine = open_engine(2, SN_PRECISION_F32) };
	sn_model *model = load(l.engine, "whisper");
	char *const expected = transcribe(model);
	pthread_t thread;
	int wrong = 0;
	pthread_create(&thread, NULL, come_and_go, &l);
	for (int i = 0; i < ROUNDS; i++)
		wrong += !is_text(transcribe(model), expected);
	atomic_store(&l.stop, 1);
	pthread_join(thread, NULL);
	check(expected && !wrong, "models come and go while one transcribes");
	free(expected);
	sn_model_release(&model);
	sn_engine_close(&l.engine);
}

typedef struct exporting { sn_engine *engine; int parts, loaded; } exporting;

static int load_meanwhile(void *payload, const char *part, double share) {
	exporting *const e = payload;
	if (!e->parts++) {
		sn_model *model = load(e->engine, "wav2vec2-base");
		e->loaded = model != NULL;
		sn_model_release(&model);
	}
	return 0;
}

/* The progress of an export is the caller's, who may load another model in it. */
static void loading_beside_an_export(void) {
	char folder[] = "/tmp/sonant-threads-XXXXXX", to[64], from[512], command[64], err[SN_ERRLEN] = "";
	exporting e = { .engine = open_engine(1, SN_PRECISION_F32) };
	const sn_export_options options = { .progress = load_meanwhile, .payload = &e };
	if (!mkdtemp(folder))
		exit(1);
	snprintf(to, sizeof to, "%s/export", folder);
	snprintf(from, sizeof from, "%s/whisper", fixtures);
	alarm(60); /* it would wait for itself */
	const int result = sn_model_export(e.engine, from, &options, to, err);
	alarm(0);
	check(result == SN_OK && e.parts > 1 && e.loaded, "a model is loaded while another is exported");
	sn_engine_close(&e.engine);
	snprintf(command, sizeof command, "rm -r %s", folder);
	if (system(command) != 0)
		exit(1);
}

/* ---- ends ---- */

static void *cancel(void *payload) {
	usleep(3000);
	sn_stt_cancel(payload);
	return NULL;
}

static void cancelled_from_elsewhere(void) {
	sn_engine *engine = open_engine(2, SN_PRECISION_F32);
	sn_model *model = load(engine, "whisper");
	char err[SN_ERRLEN];
	int wrong = 0;
	for (int i = 0; i < ROUNDS; i++) {
		sn_stt *stt;
		sn_event event;
		pthread_t thread;
		int result = sn_stt_open(&stt, model, &hear, err);
		if (result != SN_OK) {
			wrong++;
			continue;
		}
		pthread_create(&thread, NULL, cancel, stt);
		for (int k = 0; k < 40 && result == SN_OK; k++)
			if ((result = sn_stt_push(stt, pcm, SAMPLES, err)) == SN_AGAIN)
				result = sn_stt_pull(stt, &event, err) < 0 ? SN_E_CANCELLED : SN_OK;
		if (result == SN_OK)
			result = sn_stt_finish(stt, err);
		while (result == SN_OK)
			result = sn_stt_pull(stt, &event, err);
		pthread_join(thread, NULL);
		wrong += result != SN_E_CANCELLED && result != SN_END;
		sn_stt_close(&stt);
		wrong += stt != NULL;
	}
	check(!wrong, "a session is cancelled by another thread");
	sn_model_release(&model);
	sn_engine_close(&engine);
}

static void closed_engine(void) {
	sn_engine *engine = open_engine(2, SN_PRECISION_F32), *none = NULL;
	sn_model *model = load(engine, "whisper"), *no_model = NULL;
	sn_stt *stt, *no_stt = NULL;
	sn_event event;
	char err[SN_ERRLEN];
	int result = sn_stt_open(&stt, model, &hear, err), segments = 0;
	if (result == SN_OK)
		result = sn_stt_push(stt, pcm, SAMPLES, err);
	sn_model_release(&model);
	sn_engine_close(&engine);
	check(!engine && !model, "closing sets pointers to NULL");
	if (result == SN_OK)
		result = sn_stt_finish(stt, err);
	while (result == SN_OK && (result = sn_stt_pull(stt, &event, err)) == SN_OK)
		segments += event.kind == SN_EVENT_SEGMENT;
	check(result == SN_END && segments > 0, "a session whose engine and model were closed ends as others do");
	check(sn_stt_push(stt, pcm, 1, err) == SN_E_CLOSED && sn_stt_finish(stt, err) == SN_E_CLOSED && sn_stt_pull(stt, &event, err) == SN_END,
	      "calls after the end say so");
	sn_stt_close(&stt);
	sn_stt_close(&stt);
	sn_stt_close(&no_stt);
	sn_model_release(&no_model);
	sn_engine_close(&none);
	check(1, "closing NULL does nothing");
}

/* A child has none of the engine's threads: it may do without Sonant, and what it does must not touch the parent. */
static void forked(void) {
	sn_engine *engine = open_engine(2, SN_PRECISION_F32);
	sn_model *model = load(engine, "whisper");
	char *const expected = transcribe(model);
	int status = -1;
	fflush(stdout);
	const pid_t child = fork();
	if (child == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	check(expected && WIFEXITED(status) && WEXITSTATUS(status) == 0 && is_text(transcribe(model), expected), "a child of fork leaves the parent as it was");
	free(expected);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

/* ---- the log ---- */

typedef struct listener { atomic_int lines, entered, go_on; int nests, waits; } listener;

static void listen(sn_log_level level, const char *text, void *payload) {
	listener *const l = payload;
	l->lines++;
	if (l->nests) {
		sn_log(SN_LOG_WARN, "a remark of the sink");
		sn_log_set(SN_LOG_WARN, listen, l);
	}
	atomic_store(&l->entered, 1);
	while (l->waits && !atomic_load(&l->go_on))
		usleep(1000);
}

static void *remark(void *payload) {
	sn_log(SN_LOG_WARN, "a remark");
	return payload;
}

static void log_and_its_sink(void) {
	listener nested = { .nests = 1 }, slow = { .waits = 1 };
	pthread_t thread;
	int status = -1;
	alarm(60); /* what follows would wait for itself */
	sn_log_set(SN_LOG_WARN, listen, &nested);
	sn_log(SN_LOG_WARN, "a remark");
	sn_log(SN_LOG_INFO, "one that nobody wants");
	check(nested.lines == 1, "a sink's own remarks are dropped");
	sn_log_set(SN_LOG_WARN, listen, &slow);
	pthread_create(&thread, NULL, remark, NULL);
	while (!atomic_load(&slow.entered))
		usleep(1000);
	fflush(stdout);
	const pid_t child = fork();
	if (child == 0) {
		alarm(20);
		atomic_store(&slow.go_on, 1);
		sn_log(SN_LOG_WARN, "a remark of the child");
		_exit(slow.lines == 2 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	atomic_store(&slow.go_on, 1);
	pthread_join(thread, NULL);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child of fork logs though another thread was in the sink");
	sn_log_set(SN_LOG_WARN, NULL, NULL);
	alarm(0);
}

int main(int argc, char **argv) {
	if (argc < 2)
		return 2;
	fixtures = argv[1];
	for (size_t i = 0; i < SAMPLES; i++)
		pcm[i] = 0.2f * sinf((float)i * (0.01f + 1e-6f * (float)(i % 5000)));
	two_engines();
	loading_beside_work();
	loading_beside_an_export();
	cancelled_from_elsewhere();
	closed_engine();
	forked();
	log_and_its_sink();
	printf("1..%d\n", cases);
	return bad > 0;
}
