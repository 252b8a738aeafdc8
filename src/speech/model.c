/* Loading and sharing models. */
#include "speech/engine.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "models/vits.h"
#include "nn/cpu/kernels.h"
#include "speech/languages.h"
#include "speech/memory.h"
#include "speech/vocoders.h"
#include "text/piper.h"
#include "weights/weights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_WINDOWS 8
#define MIN_ROWS SN_SEARCH_MAX_BEAM
#define OTHER_WORK ((size_t)24 << 20) /* what a model that is no Whisper takes beside its weights, about */

static const struct {
	const char *name;
	sn_architecture architecture;
	sn_task task;
	const sn_synth_class *class; /* of those that speak */
} architectures[] = {
	{ "whisper", SN_ARCH_WHISPER, SN_TASK_TRANSCRIBE, NULL },
	{ "wav2vec2", SN_ARCH_WAV2VEC2, SN_TASK_TRANSCRIBE, NULL },
	{ "silero-vad", SN_ARCH_SILERO, SN_TASK_VAD, NULL },
	{ "deepfilternet", SN_ARCH_DEEPFILTER, SN_TASK_DENOISE, NULL },
	{ "dnsmos", SN_ARCH_DNSMOS, SN_TASK_SCORE, NULL },
	{ "bert", SN_ARCH_BERT, SN_TASK_PUNCTUATE, NULL },
	{ "vits", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_vits },
	{ "yourtts", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_yourtts },
	{ "speecht5", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_speecht5 },
	{ "fastspeech2", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_fastspeech2 },
	{ "bark", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_bark },
	{ "tacotron2", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_tacotron2 },
	{ "kokoro", SN_ARCH_SYNTH, SN_TASK_SPEAK, &sn_synth_kokoro },
	{ "hifigan", SN_ARCH_VOCODER, SN_TASK_VOCODE, NULL },
	{ "melgan", SN_ARCH_VOCODER, SN_TASK_VOCODE, NULL },
	{ "multiband-melgan", SN_ARCH_VOCODER, SN_TASK_VOCODE, NULL },
	{ "waveglow", SN_ARCH_VOCODER, SN_TASK_VOCODE, NULL },
	{ "griffin-lim", SN_ARCH_VOCODER, SN_TASK_VOCODE, NULL },
	{ "xvector", SN_ARCH_EMBEDDER, SN_TASK_EMBED, NULL },
	{ "speaker-encoder", SN_ARCH_EMBEDDER, SN_TASK_EMBED, NULL },
};
#define ARCHITECTURES ((int)(sizeof architectures / sizeof architectures[0]))

static const char *const task_names[] = {
	[SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "vad", [SN_TASK_VOCODE] = "vocode",
	[SN_TASK_EMBED] = "embed", [SN_TASK_DENOISE] = "denoise", [SN_TASK_SCORE] = "score", [SN_TASK_PUNCTUATE] = "punctuate",
};
static const char *const task_doing[] = {
	[SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "detect speech",
	[SN_TASK_VOCODE] = "make sound of spectrograms", [SN_TASK_EMBED] = "embed voices",
	[SN_TASK_DENOISE] = "take noise out", [SN_TASK_SCORE] = "rate audio", [SN_TASK_PUNCTUATE] = "punctuate",
};

const char *sn_dtype_label(nn_dtype dtype) {
	static const char *const labels[] = { [NN_DTYPE_F32] = "f32", [NN_DTYPE_BF16] = "bf16", [NN_DTYPE_INT8] = "int8" };
	return labels[dtype];
}

/* Index in the table, or -1. */
static int find(const char *label) {
	for (int i = 0; i < ARCHITECTURES; i++)
		if (label && strcmp(architectures[i].name, label) == 0)
			return i;
	return -1;
}

int sn_model_task(const char *label) {
	const int at = find(label);
	return at < 0 ? 0 : (int)architectures[at].task;
}

const char *sn_model_label(const sn_model_place *place) {
	const int at = find(place->architecture);
	if (at >= 0)
		return architectures[at].name;
	for (int i = 0; i < ARCHITECTURES; i++)
		if (architectures[i].class && architectures[i].class->accepts(place->path))
			return architectures[i].name;
	return sn_vocoder_accepts(place->path) ? "hifigan" : NULL; /* opening tells which kind */
}

void sn_model_retain(sn_model *model) {
	pthread_mutex_lock(&model->engine->models_lock);
	model->references++;
	pthread_mutex_unlock(&model->engine->models_lock);
}

/* Counts memory of a model that is not in the list; a negative number takes it back. */
static void count_moving(sn_engine *engine, int64_t bytes) {
	pthread_mutex_lock(&engine->models_lock);
	engine->moving += (size_t)bytes;
	pthread_mutex_unlock(&engine->models_lock);
}

static void destroy(sn_model *model) {
	sn_lane_close(&model->lane);
	sn_align_close(&model->align);
	sn_whisper_close(&model->whisper);
	sn_wav2vec2_close(&model->wav2vec2);
	sn_silero_close(&model->silero);
	sn_deepfilter_close(&model->deepfilter);
	sn_dnsmos_close(&model->dnsmos);
	sn_bert_close(&model->bert);
	if (model->class)
		model->class->close(&model->synth);
	sn_vocoder_close(&model->vocoder);
	sn_xvector_close(&model->xvector);
	sn_speaker_encoder_close(&model->encoder);
	sn_model_release(&model->own_vocoder);
	sn_model_release(&model->detector);
	nn_backend_close(&model->backend);
	free(model);
}

void sn_model_release(sn_model **held) {
	sn_model *model = *held;
	*held = NULL;
	if (!model)
		return;
	sn_engine *engine = model->engine;
	const size_t memory = model->memory_most;
	pthread_mutex_lock(&engine->models_lock);
	int left = --model->references;
	engine->moving += left ? 0 : memory;
	for (sn_model **at = &engine->models; !left && *at; at = &(*at)->next)
		if (*at == model) {
			*at = model->next;
			break;
		}
	pthread_mutex_unlock(&engine->models_lock);
	if (left)
		return;
	destroy(model);
	count_moving(engine, -(int64_t)memory);
	sn_engine_close(&engine);
}

/* ---- choosing ---- */

nn_dtype sn_vocoder_dtype(nn_dtype model) {
	if (model != NN_DTYPE_INT8)
		return model;
	return nn_cpu_prefers_bf16(nn_cpu_detect()) ? NN_DTYPE_BF16 : NN_DTYPE_F32;
}

/* Of one that is not SN_AUTO. */
static nn_dtype dtype_of(sn_precision precision) {
	return precision == SN_PRECISION_F32 ? NN_DTYPE_F32 : precision == SN_PRECISION_BF16 ? NN_DTYPE_BF16 : NN_DTYPE_INT8;
}

int sn_model_fixed_dtype(nn_dtype *dtype, const char *label, const char *path) {
	const int at = find(label), task = sn_model_task(label), by_ort = at >= 0 && architectures[at].class && architectures[at].class->by_ort;
	*dtype = by_ort ? architectures[at].class->dtype(path) : NN_DTYPE_F32;
	return by_ort || task == SN_TASK_VAD || task == SN_TASK_EMBED || task == SN_TASK_DENOISE || task == SN_TASK_SCORE;
}

static nn_dtype choose_dtype(const sn_engine *engine, sn_precision asked, const sn_model_place *place) {
	const sn_precision precision = asked != SN_AUTO ? asked : engine->precision;
	const unsigned cpu = nn_cpu_detect();
	if (precision != SN_AUTO)
		return dtype_of(precision);
	if (nn_cpu_prefers_int8(cpu) && place->entry && sn_catalogue_allows(place->entry, "int8"))
		return NN_DTYPE_INT8;
	int bf16 = nn_cpu_prefers_bf16(cpu) && (!place->entry || sn_catalogue_allows(place->entry, "bf16"));
	return bf16 ? NN_DTYPE_BF16 : NN_DTYPE_F32;
}

/* The first installed default that knows the language, else the first other model that may, else the first default, whose session says
 * what it lacks. */
static int resolve_auto(const sn_store *store, const char *task, const char *language, sn_model_place *place, char *err) {
	char code[16], why[SN_ERRLEN] = "no model is known for the task";
	const char *const asked = language && strcmp(language, "auto") != 0 && sn_language_code(language, code, sizeof code) ? code : NULL;
	const char *name, *first = NULL;
	for (int i = 0; (name = sn_store_default(store, task, i)); i++) {
		const int result = sn_store_resolve(store, name, place, i ? NULL : why);
		if (result == SN_OK && sn_store_knows(place, asked))
			return SN_OK;
		if (result != SN_OK && result != SN_E_NOT_FOUND)
			return sn_fail(err, result, "%s", why);
		first = first || result != SN_OK ? first : name;
	}
	sn_model_place *others;
	int count;
	const int result = sn_store_others(store, task, asked, &others, &count, err);
	if (count)
		*place = others[0];
	free(others);
	if (result != SN_OK || count)
		return result;
	return first ? sn_store_resolve(store, first, place, err) : sn_fail(err, SN_E_NOT_FOUND, "%s", why);
}

/* Where the model of that name lies. */
static int resolve(const sn_engine *engine, const char *name, int task, const char *language, sn_model_place *place, char *err) {
	if (name && *name && strcmp(name, "auto") != 0)
		return sn_store_resolve(engine->store, name, place, err);
	if (task < SN_TASK_TRANSCRIBE || task > SN_TASK_PUNCTUATE)
		return sn_fail(err, SN_E_ARGUMENT, "model \"auto\" needs a task: transcribe, speak, vad, vocode, embed, denoise, score or punctuate");
	return resolve_auto(engine->store, task_names[task], language, place, err);
}

/* ---- loading ---- */

static int load_whisper(sn_model *m, const sn_load_options *load, char *err) {
	int result = sn_whisper_open(&m->whisper, load, err);
	if (result != SN_OK)
		return result;
	const sn_whisper_config *const c = sn_whisper_get_config(m->whisper);
	for (int i = 0; i < c->languages && c->multilingual; i++)
		m->languages[i] = c->language[i].code;
	m->languages[0] = c->multilingual ? m->languages[0] : "en";
	if (load->exports)
		return SN_OK;
	result = sn_lane_open(&m->lane, m->whisper, m->windows, m->rows, m->engine->sched, m->engine->pool, err);
	return result == SN_OK ? sn_align_open(&m->align, m->whisper, m->engine->pool, err) : result;
}

/* The helper for phonemes gets ready while the weights are read. Where it is missing, the first sentence says so. */
static void prestart_phonemizer(sn_model *m) {
	sn_vits_files files;
	sn_piper *piper = NULL;
	if (m->class == &sn_synth_vits && sn_vits_locate(&files, m->path, NULL) == SN_OK && files.piper &&
	    sn_piper_open(&piper, files.json, NULL) == SN_OK && sn_piper_get_config(piper)->phonemize)
		sn_phonemizer_prestart(m->engine->phonemizer, sn_piper_get_config(piper)->espeak_voice, NULL);
	sn_piper_close(&piper);
}

static int load_synth(sn_model *m, const sn_load_options *load, char *err) {
	if (!load->exports)
		prestart_phonemizer(m);
	int result = m->class->open(&m->synth, load, err);
	if (result != SN_OK)
		return result;
	m->facts = m->class->facts(m->synth);
	if (m->facts->kind == SN_SYNTH_MEL && !load->exports) {
		sn_mel_describe(m->mel, &m->facts->mel);
		count_moving(m->engine, (int64_t)m->memory_most); /* the vocoder has what the model leaves */
		m->vocoder_result = sn_vocoder_of_model(&m->own_vocoder, m, m->vocoder_error);
		count_moving(m->engine, -(int64_t)m->memory_most);
	}
	return SN_OK;
}

static int load_vocoder(sn_model *m, const sn_load_options *load, const sn_mel_layout *mel, char *err) {
	int result = mel ? sn_vocoder_griffin_lim(&m->vocoder, mel, load->pool, err)
		: sn_vocoder_open(&m->vocoder, load, err);
	if (result != SN_OK)
		return result;
	m->label = sn_vocoder_get_facts(m->vocoder)->architecture;
	sn_mel_describe(m->mel, &sn_vocoder_get_facts(m->vocoder)->mel);
	return SN_OK;
}

static int load_embedder(sn_model *m, const sn_load_options *load, char *err) {
	char config[SN_STORE_PATH];
	struct stat st;
	if (strcmp(m->label, "xvector") == 0)
		return sn_xvector_open(&m->xvector, load, err);
	if (!sn_path_join(config, m->path, "config_se.json") || (stat(config, &st) != 0 && !sn_path_join(config, m->path, "config.json")))
		return sn_fail(err, SN_E_LIMIT, "the path \"%.200s\" is too long", m->path);
	return sn_speaker_encoder_open(&m->encoder, config, m->path, load, err);
}

/* What of the budget other models leave. Where it is the machine's they are part of what is used. */
static size_t budget_left(sn_engine *engine) {
	if (!engine->max_memory)
		return sn_memory_available("");
	pthread_mutex_lock(&engine->models_lock);
	size_t taken = engine->moving;
	for (const sn_model *m = engine->models; m; m = m->next)
		taken += m->memory_most;
	pthread_mutex_unlock(&engine->models_lock);
	return taken < engine->max_memory ? engine->max_memory - taken : 0;
}

/* Asked by the Whisper that is being loaded, before it reads a weight. */
static int admit_whisper(void *payload, const sn_load_need *need, int *rows, int *windows, char *err) {
	sn_model *const m = payload;
	sn_memory_request r = { .name = m->name, .dtype = m->dtype, .budget = budget_left(m->engine), .given = m->engine->max_memory > 0,
		.windows = m->windows, .ears = SN_EARS, .flexible = m->windows_wanted == 0, .sequences = SN_LANE_BEST_OF, .rows = MIN_ROWS };
	int result = sn_memory_fit(&r, need, err);
	if (result != SN_OK)
		return result;
	m->windows = r.windows;
	*windows = r.windows + SN_EARS;
	*rows = sn_memory_rows(&r, r.windows);
	m->rows = *rows - SN_EARS;
	m->memory = sn_memory_of(need, 1, 1);
	m->memory_most = sn_memory_most(&r, need, r.windows);
	return SN_OK;
}

/* Of other models the weights are known, and what they work in is small beside them. */
static int admit_parameters(sn_model *m, int64_t parameters, char *err) {
	static const double bytes[] = { [NN_DTYPE_F32] = 4, [NN_DTYPE_BF16] = 2.2, [NN_DTYPE_INT8] = 1.5 };
	const nn_dtype dtype = m->class && m->class->by_ort ? NN_DTYPE_F32 : m->dtype; /* ONNX Runtime takes more beside narrow weights */
	m->memory = m->memory_most = (size_t)((double)parameters * bytes[dtype]) + OTHER_WORK;
	return sn_memory_allow(m->name, m->memory_most, budget_left(m->engine), m->engine->max_memory > 0, err);
}

/* Files that cannot be read are the load's to name; a directory may hold others than the model's. */
static int admit_other(sn_model *m, char *err) {
	sn_vits_files files;
	sn_weights *weights;
	int64_t parameters = 0;
	const int is_vits = (m->class == &sn_synth_vits || m->class == &sn_synth_yourtts) && sn_vits_locate(&files, m->path, NULL) == SN_OK;
	if (sn_weights_open(&weights, is_vits ? files.weights : m->path, NULL) != SN_OK)
		return SN_OK;
	for (size_t i = 0; i < sn_weights_count(weights); i++)
		parameters += (int64_t)(sn_weights_at(weights, i)->bytes / sn_dtype_size(sn_weights_at(weights, i)->dtype));
	sn_weights_close(&weights);
	return admit_parameters(m, parameters, err);
}

/* A model whose files said nothing before it was loaded. What the machine has is less by it already. */
static int admit_late(sn_model *m, char *err) {
	sn_model_info info;
	sn_model_describe(m, &info);
	const int result = admit_parameters(m, info.parameters, err);
	return m->engine->max_memory ? result : SN_OK;
}

static int load(sn_model *m, const sn_mel_layout *mel, char *err) {
	char pack[SN_STORE_PATH] = "", note[SN_ERRLEN], variant[96];
	const double start = sn_now();
	if (!m->engine->no_cache && !mel && !m->backend && !m->exports) {
		snprintf(variant, sizeof variant, "%s%s-%s", m->architecture == SN_ARCH_VOCODER ? "vocoder-" : "", sn_dtype_label(m->dtype),
		         nn_kernels_best()->name);
		char *const real = realpath(m->path, NULL); /* a checkpoint that several homes link to has one pack */
		sn_store_packed_path(m->engine->store, m->name, sn_hash_text(SN_HASH_INIT, real ? real : m->path), variant, pack, note);
		free(real);
	}
	struct stat before;
	m->from_cache = *pack && stat(pack, &before) == 0;
	const sn_load_options options = { .dir = m->path, .backend = m->backend, .exports = m->exports, .dtype = m->dtype, .pool = m->engine->pool,
	                                  .rows = m->rows, .windows = m->windows, .admit = m->exports ? NULL : admit_whisper, .payload = m,
	                                  .pack_path = *pack ? pack : NULL };
	int result = m->architecture == SN_ARCH_WHISPER || mel || m->exports ? SN_OK : admit_other(m, err);
	if (result != SN_OK)
		return result;
	if (m->architecture == SN_ARCH_WHISPER)
		result = load_whisper(m, &options, err);
	else if (m->architecture == SN_ARCH_WAV2VEC2)
		result = sn_wav2vec2_open(&m->wav2vec2, &options, err);
	else if (m->architecture == SN_ARCH_SYNTH)
		result = load_synth(m, &options, err);
	else if (m->architecture == SN_ARCH_VOCODER)
		result = load_vocoder(m, &options, mel, err);
	else if (m->architecture == SN_ARCH_EMBEDDER)
		result = load_embedder(m, &options, err);
	else if (m->architecture == SN_ARCH_DEEPFILTER)
		result = sn_deepfilter_open(&m->deepfilter, &options, err);
	else if (m->architecture == SN_ARCH_DNSMOS)
		result = sn_dnsmos_open(&m->dnsmos, &options, err);
	else if (m->architecture == SN_ARCH_BERT)
		result = sn_bert_open(&m->bert, &options, err);
	else
		result = sn_silero_open(&m->silero, &options, err);
	if (result == SN_OK && !m->memory && !mel && !m->exports)
		result = admit_late(m, err);
	m->load_time = sn_now() - start;
	return result;
}

/* Who does not say how many windows takes those that are there by the same rule, or the usual number. */
static int serves(const sn_model *m, int windows) {
	return windows ? m->windows == windows : m->windows_wanted == 0 || m->windows == DEFAULT_WINDOWS;
}

/* The same files may be an acoustic model and a vocoder at once. Griffin-Lim has no files: its path is its layout. */
sn_model *sn_model_find(sn_engine *engine, const sn_model_place *place, const sn_model_request *request) {
	const sn_architecture architecture = architectures[find(request->label)].architecture;
	pthread_mutex_lock(&engine->models_lock);
	sn_model *m = engine->models;
	while (m && (m->architecture != architecture || strcmp(m->path, place->path) != 0 || m->dtype != request->dtype || strcmp(m->backend_name, request->backend) != 0 ||
	             m->exact != request->exact ||
	             !serves(m, request->windows)))
		m = m->next;
	if (m)
		m->references++;
	pthread_mutex_unlock(&engine->models_lock);
	return m;
}

static int load_new(sn_model **out, sn_engine *engine, const sn_model_place *place, const sn_model_request *request, char *err) {
	sn_model *m = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "no memory for a model");
	const int at = find(request->label);
	m->engine = engine;
	m->references = 1;
	m->dtype = request->dtype;
	m->exact = request->exact;
	m->windows_wanted = request->windows;
	m->windows = request->windows ? request->windows : DEFAULT_WINDOWS;
	m->label = architectures[at].name;
	m->architecture = architectures[at].architecture;
	m->class = architectures[at].class;
	snprintf(m->name, sizeof m->name, "%s", place->name);
	snprintf(m->path, sizeof m->path, "%s", place->path);
	m->exports = request->exports;
	m->rows = request->sequences;
	snprintf(m->backend_name, sizeof m->backend_name, "%s", request->backend);
	const nn_backend_options options = { .threads = engine->threads, .exact = m->exact, .home = sn_store_home(engine->store) };
	char reason[SN_ERRLEN] = "";
	int result = nn_backend_open(&m->backend, m->backend_name, &options, reason);
	if (request->exports && m->class && m->class->by_ort)
		result = sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" comes as ONNX: there is nothing to export", m->name);
	else if (result != SN_OK && m->class && m->class->by_ort)
		sn_fail(err, result, "the model \"%s\" comes as ONNX: %s", m->name, reason);
	else if (result != SN_OK)
		sn_fail(err, result, "%s", reason);
	if (result == SN_OK)
		result = load(m, request->mel, err);
	if (result != SN_OK) {
		destroy(m);
		return result;
	}
	pthread_mutex_lock(&engine->models_lock);
	engine->references++;
	if (!request->exports) {
		m->next = engine->models;
		engine->models = m;
	}
	pthread_mutex_unlock(&engine->models_lock);
	*out = m;
	return SN_OK;
}

int sn_model_take(sn_model **out, sn_engine *engine, const sn_model_place *place, const sn_model_request *request, char *err) {
	*out = request->exports ? NULL : sn_model_find(engine, place, request);
	return *out ? SN_OK : load_new(out, engine, place, request, err);
}

/* A weights file stands for its directory where the architecture is read from one, if it is the file that would be read. */
static int settle(sn_model_place *place, const char *label, char *err) {
	const int at = find(label);
	char dir[SN_STORE_PATH];
	sn_weights *weights;
	struct stat given, used;
	const sn_architecture kind = at < 0 ? SN_ARCH_SILERO : architectures[at].architecture;
	if (kind == SN_ARCH_SILERO || kind == SN_ARCH_VOCODER || sn_path_is_directory(place->path) ||
	    (kind == SN_ARCH_WHISPER && sn_whisper_is_export(place->path)) || (kind == SN_ARCH_SYNTH && architectures[at].class->accepts(place->path)))
		return SN_OK; /* read as it is */
	snprintf(dir, sizeof dir, "%s", place->path);
	char *const slash = strrchr(dir, '/');
	if (!slash)
		strcpy(dir, ".");
	else
		slash[slash == dir] = 0;
	int result = sn_weights_open(&weights, dir, err);
	if (result != SN_OK)
		return result;
	if (stat(place->path, &given) == 0 && stat(sn_weights_path(weights), &used) == 0 && given.st_dev == used.st_dev &&
	    given.st_ino == used.st_ino)
		memcpy(place->path, dir, sizeof dir);
	else
		result = sn_fail(err, SN_E_MODEL, "the weights in \"%.200s\" are read from \"%.200s\"; name the directory instead of \"%.200s\"",
		                 dir, sn_weights_path(weights), place->path);
	sn_weights_close(&weights);
	return result;
}

/* Whose file it is, where it holds a model in a layout of another program's own; else NULL. */
static const char *foreign_layout(const char *path) {
	sn_map map;
	if (sn_path_is_directory(path) || sn_map_open(&map, path, NULL) != SN_OK)
		return NULL;
	const size_t size = map.size < 4096 ? map.size : 4096; /* a pickle's first keys are at its beginning */
	const int is_ggml = size > 4 && (memcmp(map.data, "lmgg", 4) == 0 || memcmp(map.data, "GGUF", 4) == 0);
	const int is_pickle = map.data && memmem(map.data, size, "dims", 4) && memmem(map.data, size, "model_state_dict", 16);
	sn_map_close(&map);
	return is_ggml ? "whisper.cpp's (ggml)" : is_pickle ? "OpenAI's own (.pt)" : NULL;
}

/* The weights of CTranslate2 say what they are; nothing else does. */
static int is_pointer(const char *path) {
	char file[SN_STORE_PATH];
	sn_map map;
	const int is_directory = sn_path_is_directory(path) && sn_path_join(file, path, "model.bin");
	if (sn_map_open(&map, is_directory ? file : path, NULL) != SN_OK)
		return 0;
	const int is = sn_is_lfs_pointer(map.data, map.size);
	sn_map_close(&map);
	return is;
}

/* The task that the files are for, checked against the one that is wanted. */
static int check_task(const sn_model_place *place, const char *label, int wanted, char *err) {
	const int task = sn_model_task(label), cause = errno; /* ENOMEM where memory failed while the files were looked at */
	const char *const foreign = task ? NULL : foreign_layout(place->path);
	const int pointer = !task && is_pointer(place->path);
	errno = cause;
	if (foreign)
		return sn_fail(err, SN_E_MODEL, "%.200s is in a layout that is not read, %s: of a Whisper 'sonant models pull SIZE' gets the same weights "
		               "(tiny, base, small, medium, large-v3, turbo, and tiny.en to medium.en)", place->path, foreign);
	if (pointer)
		return sn_fail(err, SN_E_MODEL, SN_LFS_POINTER, place->path);
	if (!task)
		return sn_fail(err, SN_E_MODEL, "%s holds no model that this version knows (Whisper, Wav2Vec2, VITS, YourTTS, SpeechT5, "
		               "Tacotron2, FastSpeech2, Bark, Kokoro, HiFi-GAN, MelGAN, WaveGlow, Silero VAD)", place->path);
	if (wanted && wanted != task)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" is a %s model: it cannot be used to %s", place->name, label,
		               task_doing[wanted]);
	return SN_OK;
}

static int locate(sn_model_place *place, const char **label, const sn_engine *engine, const char *name, int task, const char *language, char *err) {
	int result = resolve(engine, name, task, language, place, err);
	if (result != SN_OK)
		return result;
	*label = sn_model_label(place);
	result = check_task(place, *label, task, err);
	return result == SN_OK ? settle(place, *label, err) : result;
}

int sn_model_locate(sn_model_place *place, const char **label, const sn_engine *engine, const char *name, int task, char *err) {
	return locate(place, label, engine, name, task, NULL, err);
}

static int load_named(sn_model **out, sn_engine *engine, const char *name, const sn_model_options *options, char *err) {
	static const sn_model_options defaults;
	const sn_model_options *const o = options ? options : &defaults;
	sn_model_place place;
	*out = NULL;
	if (o->windows < 0 || o->windows > SN_LANE_MAX_WINDOWS)
		return sn_fail(err, SN_E_ARGUMENT, "%d windows asked for; 1 to %d can be decoded together", o->windows,
		               SN_LANE_MAX_WINDOWS);
	if (o->precision < SN_AUTO || o->precision > SN_PRECISION_INT8)
		return sn_fail(err, SN_E_ARGUMENT, "precision %d is none of sn_precision", (int)o->precision);
	if (o->task < 0 || o->task > SN_TASK_PUNCTUATE)
		return sn_fail(err, SN_E_ARGUMENT, "task %d is none of sn_task", o->task);
	if (o->backend && strlen(o->backend) >= SN_BACKEND_NAME)
		return sn_fail(err, SN_E_ARGUMENT, "there is no backend '%.40s'", o->backend);
	sn_model_request request = { .windows = o->windows, .backend = o->backend ? o->backend : engine->backend };
	int result = locate(&place, &request.label, engine, name, o->task, o->language, err);
	if (result != SN_OK)
		return result;
	const sn_synth_class *const speaks = architectures[find(request.label)].class;
	if (speaks && speaks->by_ort && strcmp(request.backend, "cpu") == 0)
		request.backend = "ort:cpu";
	const int task = sn_model_task(request.label), native = strcmp(request.backend, "cpu") == 0;
	const sn_precision asked = o->precision != SN_AUTO ? o->precision : engine->precision;
	nn_dtype fixed;
	int exact = sn_model_fixed_dtype(&fixed, request.label, place.path);
	if (exact && o->precision != SN_AUTO && dtype_of(o->precision) != fixed)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" computes in %s only; %s was asked for", place.name, sn_dtype_label(fixed),
		               sn_dtype_label(dtype_of(o->precision)));
	if (!native && !exact && (asked == SN_PRECISION_INT8 || asked == SN_PRECISION_BF16))
		return sn_fail(err, SN_E_UNSUPPORTED, "\"%s\" by the backend '%.40s' computes in f32; %s is for the backend 'cpu'", place.name, request.backend,
		               asked == SN_PRECISION_INT8 ? "int8" : "bf16");
	exact |= !native;
	request.exact = asked == SN_PRECISION_F32 && strcmp(request.backend, "ort:tensorrt") == 0;
	request.dtype = exact ? fixed : choose_dtype(engine, o->precision, &place);
	if (task == SN_TASK_VOCODE)
		request.dtype = sn_vocoder_dtype(request.dtype);
	if ((*out = sn_model_find(engine, &place, &request)) != NULL)
		return SN_OK; /* without waiting for another model that is being loaded */
	pthread_mutex_lock(&engine->load_lock);
	result = sn_model_take(out, engine, &place, &request, err);
	pthread_mutex_unlock(&engine->load_lock);
	return result;
}

int sn_model_load(sn_model **out, sn_engine *engine, const char *name, const sn_model_options *options, char *err) {
	errno = 0;
	const int result = load_named(out, engine, name, options, err);
	return result == SN_OK ? SN_OK : sn_fail_memory(result, err);
}

int sn_model_detector(sn_model **out, sn_model *model, char *err) {
	sn_engine *const engine = model->engine;
	pthread_mutex_lock(&engine->models_lock);
	*out = model->detector;
	if (*out)
		(*out)->references++;
	pthread_mutex_unlock(&engine->models_lock);
	if (*out)
		return SN_OK;
	const int result = sn_model_load(out, engine, "silero-vad", &(sn_model_options){ .task = SN_TASK_VAD, .precision = SN_PRECISION_F32 }, err);
	pthread_mutex_lock(&engine->models_lock);
	if (result == SN_OK && !model->detector) {
		model->detector = *out;
		(*out)->references++;
	}
	pthread_mutex_unlock(&engine->models_lock);
	return result;
}
