#include "speech/engine.h"

#include "nn/cpu/kernels.h"
#include "speech/memory.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *sn_version(void) { return SONANT_VERSION; }

/* Those that this process may run on, and no more than a container's share of their time: threads beyond that would wait for each other. */
static int usable_cpus(void) {
	cpu_set_t set;
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : online > 0 ? (int)online : 1;
	const size_t allowed = sn_cpus_allowed("");
	return allowed < (size_t)count ? (int)allowed : count;
}

static void destroy(sn_engine *engine) {
	sn_sched_close(&engine->sched);
	nn_pool_close(&engine->pool);
	sn_phonemizer_close(&engine->phonemizer);
	sn_store_close(&engine->store);
	pthread_mutex_destroy(&engine->load_lock);
	pthread_mutex_destroy(&engine->share_lock);
	pthread_mutex_destroy(&engine->models_lock);
	free(engine);
}

/* What is missing is said before any model is loaded. */
static int check_backend(const sn_engine *engine, char *err) {
	nn_backend *backend;
	const nn_backend_options options = { .threads = engine->threads, .home = sn_store_home(engine->store) };
	const int result = nn_backend_open(&backend, engine->backend, &options, err);
	nn_backend_close(&backend);
	return result;
}

int sn_engine_open(sn_engine **out, const sn_engine_options *options, char *err) {
	static const sn_engine_options defaults;
	const sn_engine_options *const o = options ? options : &defaults;
	*out = NULL;
	if (o->threads < 0 || o->threads > SN_MAX_THREADS)
		return sn_fail(err, SN_E_ARGUMENT, "%d threads asked for; 1 to %d can be had, 0 means one for each CPU", o->threads,
		               SN_MAX_THREADS);
	if (o->precision < SN_AUTO || o->precision > SN_PRECISION_INT8)
		return sn_fail(err, SN_E_ARGUMENT, "precision %d is none of sn_precision", (int)o->precision);
	if (o->max_memory < 0)
		return sn_fail(err, SN_E_ARGUMENT, "max_memory is %lld; it is a number of bytes, 0 means what the machine has", (long long)o->max_memory);
	if (o->backend && strlen(o->backend) >= SN_BACKEND_NAME)
		return sn_fail(err, SN_E_ARGUMENT, "there is no backend '%.40s'", o->backend);
	sn_engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return sn_fail(err, SN_E_MEMORY, "no memory for an engine");
	pthread_mutex_init(&engine->load_lock, NULL);
	pthread_mutex_init(&engine->share_lock, NULL);
	pthread_mutex_init(&engine->models_lock, NULL);
	engine->references = 1;
	engine->threads = o->threads ? o->threads : usable_cpus();
	if (engine->threads > SN_MAX_THREADS)
		engine->threads = SN_MAX_THREADS;
	engine->precision = o->precision;
	snprintf(engine->backend, sizeof engine->backend, "%s", o->backend ? o->backend : "cpu");
	engine->no_cache = o->no_cache;
	engine->max_memory = (size_t)o->max_memory;
	engine->no_paths = o->no_paths;
	engine->cpu = nn_cpu_text(nn_cpu_detect());
	nn_cpu_why(engine->cpu_why, sizeof engine->cpu_why);
	int result = sn_store_open(&engine->store, o->home, err);
	if (result == SN_OK)
		result = check_backend(engine, err);
	if (result == SN_OK && o->no_paths)
		sn_store_refuse_paths(engine->store);
	if (result == SN_OK)
		result = sn_phonemizer_open(&engine->phonemizer, err);
	if (result == SN_OK)
		result = nn_pool_open(&engine->pool, engine->threads, err);
	if (result == SN_OK)
		result = sn_sched_open(&engine->sched, engine->pool, err);
	if (result == SN_OK)
		*out = engine;
	else
		destroy(engine);
	return result;
}

void sn_engine_close(sn_engine **held) {
	sn_engine *engine = *held;
	*held = NULL;
	if (!engine)
		return;
	pthread_mutex_lock(&engine->models_lock);
	int left = --engine->references;
	pthread_mutex_unlock(&engine->models_lock);
	if (left == 0)
		destroy(engine);
}

void sn_engine_measure(sn_engine *engine, sn_engine_stats *stats) { sn_sched_measure(engine->sched, stats); }

void sn_engine_describe(const sn_engine *engine, sn_engine_info *info) {
	*info = (sn_engine_info){ .threads = engine->threads, .home = sn_store_home(engine->store), .cpu = engine->cpu,
		.cpu_why = engine->cpu_why };
}
