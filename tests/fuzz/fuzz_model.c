/* Loads small models of every kind of which one file, mostly the configuration, is hostile, and lets what loads work for a moment. An
 * input begins with a line "FIXTURE/FILE", a file of tests/fixtures/tiny; the rest stands in that file's place. */
#include <sonant/sonant.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_CHUNKS 4
#define MOST_EVENTS 64
#define MOST_NODES 4096 /* of a document that are looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* ---- a changed document ---- */

static uint32_t state;

static uint32_t draw(uint32_t below) {
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return below ? state % below : state;
}

typedef struct place { json_t *parent; const char *key; size_t index; json_t *value; } place;

static int gather(json_t *node, place *places, int count) {
	const char *key;
	json_t *value;
	size_t i;
	json_object_foreach(node, key, value)
		if (count < MOST_NODES) {
			places[count++] = (place){ node, key, 0, value };
			count = gather(value, places, count);
		}
	json_array_foreach(node, i, value)
		if (count < MOST_NODES) {
			places[count++] = (place){ node, NULL, i, value };
			count = gather(value, places, count);
		}
	return count;
}

static json_t *number(const json_t *old) {
	static const json_int_t odd[] = { 0, 1, -1, 2, 3, 4, 7, 8, 13, 16, 48, 64, 80, 127, 128, 255, 256, 448, 1500, 4096, 16000, 65535, 65536, 1 << 20, 1 << 24,
		                              INT32_MAX, INT32_MIN, (json_int_t)1 << 31, (json_int_t)1 << 32, (json_int_t)1 << 62, INT64_MAX, INT64_MIN };
	static const double real[] = { 0, -1, 1, 0.5, 1e-30, 1e-300, 1e30, 1e308, -1e308, 1e-5, 22050.5, -0.0, 3e9 };
	const json_int_t was = json_is_integer(old) ? json_integer_value(old) : (json_int_t)fmax(-1e9, fmin(1e9, json_real_value(old)));
	switch (draw(5)) {
	case 0: return json_integer((json_int_t)((uint64_t)was + draw(5) - 2));
	case 1: return json_integer((json_int_t)((uint64_t)was * (draw(2) ? 2 : (uint64_t)-1)));
	case 2: return json_real(real[draw(sizeof real / sizeof *real)]);
	case 3: return json_integer(was / 2);
	default: return json_integer(odd[draw(sizeof odd / sizeof *odd)]);
	}
}

static json_t *string(void) {
	static const char *const odd[] = { "", "a", "relu", "gelu", "gelu_new", "silu", "tanh", "batch_norm", "layer", "group", "none", "None", "default", "auto",
		                               "whisper", "vits", "bark", "bert", "wav2vec2", "../../../../etc/passwd", "/dev/zero", "%s%n", "\xc3\xa9\xf0\x9f\x8e\xa7",
		                               "original", "dynamic_convolution", "forward", "en", "xx", "-1", "NaN", "1e999" };
	char text[5000];
	if (draw(8))
		return json_string(odd[draw(sizeof odd / sizeof *odd)]);
	memset(text, 'a', sizeof text - 1);
	text[draw(sizeof text)] = 0;
	text[sizeof text - 1] = 0;
	return json_string(text);
}

static json_t *other(const place *places, int count, const json_t *old) {
	switch (draw(9)) {
	case 0: return json_deep_copy(places[draw((uint32_t)count)].value);
	case 1: return json_null();
	case 2: return json_boolean(draw(2));
	case 3: return draw(2) ? json_array() : json_object();
	case 4: return json_pack("[O]", old);
	case 5: return string();
	default: return json_is_string(old) ? string() : number(old);
	}
}

/* One value becomes another, goes, or comes twice. */
static void change(json_t *root) {
	static place places[MOST_NODES];
	const int count = gather(root, places, 0);
	if (!count)
		return;
	const place *const p = &places[draw((uint32_t)count)];
	if (draw(6) == 0) {
		if (p->key)
			json_object_del(p->parent, p->key);
		else
			json_array_remove(p->parent, p->index);
	} else if (!p->key && draw(4) == 0) {
		json_array_insert_new(p->parent, p->index, json_deep_copy(p->value));
	} else {
		json_t *const value = other(places, count, p->value);
		if (value && p->key)
			json_object_set_new(p->parent, p->key, value);
		else if (value)
			json_array_set_new(p->parent, p->index, value);
	}
}

static const uint8_t *body_of(const uint8_t *data, size_t size) {
	const uint8_t *const line = size ? memchr(data, '\n', size < 128 ? size : 128) : NULL;
	return line ? line + 1 : NULL;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
	const uint8_t *const body = body_of(data, size);
	const size_t head = body ? (size_t)(body - data) : 0;
	state = seed * 2654435761u | 1;
	draw(0);
	json_t *const root = body && draw(16) ? json_loadb((const char *)body, size - head, JSON_DECODE_ANY, NULL) : NULL;
	if (!body)
		return LLVMFuzzerMutate(data, size, most);
	if (!root)
		return head + LLVMFuzzerMutate(data + head, size - head, most - head);
	for (uint32_t i = 0, changes = 1 + draw(3) * draw(2); i < changes; i++)
		change(root);
	const size_t written = json_dumpb(root, (char *)data + head, most - head, JSON_ENCODE_ANY | JSON_COMPACT);
	json_decref(root);
	return written <= most - head ? head + written : size;
}

/* ---- a model with a changed file ---- */

static char home[] = "/tmp/sonant-fuzz-XXXXXX", model_dir[128], fixture[64];
static sn_engine *engine;

static void clear(void) {
	char path[512];
	DIR *const dir = opendir(model_dir);
	for (const struct dirent *e; dir && (e = readdir(dir));)
		if (*e->d_name != '.' && snprintf(path, sizeof path, "%s/%s", model_dir, e->d_name) < (int)sizeof path)
			unlink(path);
	if (dir)
		closedir(dir);
}

static void end(void) {
	char path[64];
	sn_engine_close(&engine);
	clear();
	rmdir(model_dir);
	snprintf(path, sizeof path, "%s/voices", home);
	rmdir(path);
	rmdir(home);
}

static void start(void) {
	const sn_engine_options options = { .threads = 1, .home = home, .precision = SN_PRECISION_F32, .no_cache = 1 };
	char err[SN_ERRLEN];
	if (!mkdtemp(home))
		abort();
	setenv("SONANT_HELPERS", "/nonexistent", 1);
	snprintf(model_dir, sizeof model_dir, "%s/model", home);
	if (mkdir(model_dir, 0700) != 0 || sn_engine_open(&engine, &options, err) != SN_OK)
		abort();
	atexit(end);
}

/* Links to all files of a fixture; those that only tests read are left out. 0: there is none of that name. */
static int link_fixture(const char *name) {
	char from[512], to[512];
	snprintf(from, sizeof from, TEST_TINY "/%s", name);
	DIR *const dir = opendir(from);
	if (!dir)
		return 0;
	clear();
	for (const struct dirent *e; (e = readdir(dir));) {
		snprintf(from, sizeof from, TEST_TINY "/%s/%s", name, e->d_name);
		snprintf(to, sizeof to, "%s/%.200s", model_dir, e->d_name);
		if (*e->d_name != '.' && strcmp(e->d_name, "expected.safetensors") != 0 && symlink(from, to) != 0)
			abort();
	}
	closedir(dir);
	return 1;
}

static int known_file(const char *file) {
	char path[512];
	return *fixture && snprintf(path, sizeof path, TEST_TINY "/%s/%s", fixture, file) < (int)sizeof path && access(path, R_OK) == 0;
}

static void listen_to(sn_model *model) {
	static float pcm[SN_STT_RATE];
	const sn_stt_options options = { .vad = SN_OFF, .beam = 2, .fallback = SN_OFF };
	char err[SN_ERRLEN] = "";
	sn_event event;
	sn_stt *stt;
	for (int i = 0; i < SN_STT_RATE; i++)
		pcm[i] = 0.2f * sinf((float)i * (0.01f + 1e-6f * (float)(i % 5000)));
	if (sn_stt_open(&stt, model, &options, err) != SN_OK) {
		if (!*err)
			abort();
		return;
	}
	if (sn_stt_push(stt, pcm, SN_STT_RATE, err) == SN_OK && sn_stt_finish(stt, err) == SN_OK)
		for (int i = 0, result = SN_OK; i < MOST_EVENTS && result == SN_OK; i++)
			result = sn_stt_pull(stt, &event, err);
	sn_stt_close(&stt);
}

static void speak(sn_model *model) {
	char err[SN_ERRLEN] = "";
	sn_audio audio;
	sn_tts *tts;
	if (sn_tts_open(&tts, model, NULL, err) != SN_OK) {
		if (!*err)
			abort();
		return;
	}
	sn_tts_push(tts, "Hello, it is 3.", 15, err);
	if (sn_tts_finish(tts, err) == SN_OK)
		for (int i = 0; i < MOST_CHUNKS && sn_tts_pull(tts, &audio, err) == SN_OK; i++)
			for (size_t k = 0; k < audio.count; k++)
				if (!(fabsf(audio.pcm[k]) <= 1))
					abort();
	sn_tts_close(&tts);
}

static void use(sn_model *model) {
	sn_model_info info;
	char text[64];
	sn_model_describe(model, &info);
	for (int i = 0; i < info.language_count; i++)
		if (!info.languages[i])
			abort();
	sn_model_token(model, 7, text, sizeof text);
	if (info.task == SN_TASK_TRANSCRIBE)
		listen_to(model);
	else if (info.task == SN_TASK_SPEAK)
		speak(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char name[128] = "", path[512], err[SN_ERRLEN] = "";
	const uint8_t *const body = body_of(data, size);
	sn_model *model;
	if (!body)
		return 0;
	memcpy(name, data, (size_t)(body - 1 - data));
	char *const slash = strchr(name, '/');
	if (!slash || strlen(slash + 1) > 60 || slash - name > 60 || name[0] == '.' || slash[1] == '.' || strchr(slash + 1, '/'))
		return 0;
	*slash = 0;
	if (!engine)
		start();
	if (strcmp(fixture, name) != 0) {
		if (!link_fixture(name))
			return 0;
		strcpy(fixture, name);
	}
	if (!known_file(slash + 1))
		return 0;
	snprintf(path, sizeof path, "%s/%s", model_dir, slash + 1);
	unlink(path);
	FILE *const file = fopen(path, "wb");
	if (!file || fwrite(body, 1, size - (size_t)(body - data), file) != size - (size_t)(body - data) || fclose(file) != 0)
		abort();
	const int result = sn_model_load(&model, engine, model_dir, NULL, err);
	if ((result == SN_OK) != (model != NULL) || (result != SN_OK && !*err) || result == SN_E_INTERNAL)
		abort();
	if (model)
		use(model);
	sn_model_release(&model);
	unlink(path);
	char from[512];
	snprintf(from, sizeof from, TEST_TINY "/%s/%s", fixture, slash + 1);
	if (symlink(from, path) != 0)
		abort();
	return 0;
}
