/* Speaking with a small Bark checkpoint: what must depend on the seed only, presets, tags, and what damaged files get.
 * test_bark FOLDER: the checkpoint. */
#include "base/json.h"
#include "models/bark_internal.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *fixture;
static const int32_t ids[] = { 62, 63, 32, 64, 65, 66, 67, 68, 32, 19, 46, 35 };
#define COUNT ((int)(sizeof ids / sizeof *ids))
static const sn_synth_class *const bark = &sn_synth_bark;

typedef struct speaker {
	nn_pool *pool;
	void *model, *stream;
} speaker;

static int open_speaker(speaker *s, const char *path, int threads, char *err) {
	*s = (speaker){ 0 };
	assert_int_equal(nn_pool_open(&s->pool, threads, err), SN_OK);
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = s->pool };
	const int code = bark->open(&s->model, &load, err);
	return code == SN_OK ? bark->stream_new(&s->stream, s->model, err) : code;
}

static void close_speaker(speaker *s) {
	bark->stream_free(&s->stream);
	bark->close(&s->model);
	nn_pool_close(&s->pool);
}

static speaker opened(int threads) {
	char err[SN_ERRLEN] = "";
	speaker s;
	if (open_speaker(&s, fixture, threads, err) != SN_OK) fail_msg("%s", err);
	return s;
}

static void new_stream(speaker *s) {
	char err[SN_ERRLEN];
	bark->stream_free(&s->stream);
	assert_int_equal(bark->stream_new(&s->stream, s->model, err), SN_OK);
}

/* free() the samples. */
static float *speak(speaker *s, const sn_synth_options *options, int most, int64_t *count) {
	char err[SN_ERRLEN] = "";
	const int hop = bark->facts(s->model)->hop;
	int code, frames, extra;
	int64_t room = 0;
	float *pcm = NULL;
	if (bark->start(s->stream, ids, COUNT, options, err) != SN_OK) fail_msg("%s", err);
	*count = 0;
	do {
		if (*count + most * hop > room) pcm = realloc(pcm, (size_t)(room = 2 * room + most * hop) * sizeof *pcm);
		assert_non_null(pcm);
		code = bark->next(s->stream, most, pcm + *count, &frames, &extra, err);
		assert_true(frames <= most && extra == 0);
		*count += (int64_t)frames * hop;
	} while (code == SN_OK);
	if (code != SN_END) fail_msg("%s", err);
	return pcm;
}

static int same(const float *a, int64_t a_count, const float *b, int64_t b_count, float within) {
	if (a_count != b_count) return 0;
	for (int64_t i = 0; i < a_count; i++)
		if (!(fabsf(a[i] - b[i]) <= within)) return 0;
	return 1;
}

/* ---- sampling ---- */

static void test_picks(void **state) {
	(void)state;
	const float logits[] = { 9, 1, 3, 2, 3, 0, -1, 5 };
	const bark_allowed some = { 1, 5, -1 }, with_end = { 1, 5, 7 };
	bark_sampling how = { .sample = 0, .temperature = 1, .top_p = 1 };
	float scratch[32];
	int seen[8] = { 0 };
	assert_int_equal(bark_pick(logits, some, &how, 0.9, scratch), 2); /* the first of the largest, of those allowed */
	assert_int_equal(bark_pick(logits, with_end, &how, 0, scratch), 7);
	how.sample = 1;
	for (int i = 0; i < 10000; i++) seen[bark_pick(logits, some, &how, bark_uniform(3, 1, (uint64_t)i), scratch)]++;
	const double sum = exp(1) + 2 * exp(3) + exp(2);
	for (int i = 1; i < 5; i++) assert_true(fabs(seen[i] / 1e4 - exp((double)logits[i]) / sum) < 0.02);
	assert_int_equal(seen[0] + seen[5] + seen[6] + seen[7], 0);
	how.top_k = 3; /* 2, 4 and 3 are left */
	for (int i = 0; i < 1000; i++) assert_int_not_equal(bark_pick(logits, some, &how, i / 1e3, scratch), 1);
	how.top_k = 0, how.top_p = 0.7; /* 2 and 4 have 80 % */
	for (int i = 0; i < 1000; i++) assert_true(logits[bark_pick(logits, some, &how, i / 1e3, scratch)] == 3);
	how.top_p = 1, how.temperature = 0.01;
	for (int i = 1; i < 1000; i++) assert_true(logits[bark_pick(logits, some, &how, i / 1e3, scratch)] == 3);
	assert_true(fabs(bark_probability(logits, with_end) - exp(5) / (sum + exp(5))) < 1e-6);
}

static void test_uniform(void **state) {
	(void)state;
	double sum = 0;
	for (uint64_t i = 0; i < 10000; i++) {
		const double u = bark_uniform(5, 0, i);
		assert_true(u >= 0 && u < 1 && u == bark_uniform(5, 0, i) && u != bark_uniform(5, 1, i) && u != bark_uniform(6, 0, i));
		sum += u;
	}
	assert_true(fabs(sum / 1e4 - 0.5) < 0.01);
}

static void test_seeds(void **state) {
	(void)state;
	speaker one = opened(1), two = opened(2);
	sn_synth_options options = { .temperature = 0.9f, .seed = 11, .speed = 1 };
	int64_t counts[4];
	float *pcm[4];
	pcm[0] = speak(&one, &options, 256, &counts[0]);
	pcm[1] = speak(&two, &options, 3, &counts[1]); /* other threads, other chunks, the same sound */
	assert_true(same(pcm[0], counts[0], pcm[1], counts[1], 1e-5f));
	new_stream(&two);
	options.seed = 12;
	pcm[2] = speak(&two, &options, 256, &counts[2]);
	assert_false(same(pcm[0], counts[0], pcm[2], counts[2], 1e-5f));
	new_stream(&two);
	options.temperature = 0; /* greedy: no seed matters */
	pcm[3] = speak(&two, &options, 1, &counts[3]);
	for (int i = 0; i < 3; i++) free(pcm[i]);
	new_stream(&two);
	options.seed = 99;
	pcm[0] = speak(&two, &options, 256, &counts[0]);
	assert_true(same(pcm[0], counts[0], pcm[3], counts[3], 1e-5f));
	free(pcm[0]);
	free(pcm[3]);
	close_speaker(&one);
	close_speaker(&two);
}

/* ---- utterances ---- */

static int32_t *tokens(speaker *s, const char *name, int *rows, int *count) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK];
	assert_int_equal(sn_bark_tensor(s->stream, name, &values, &rank, dims, err), SN_OK);
	int32_t *const out = malloc((size_t)(dims[0] * dims[1]) * sizeof *out);
	for (int64_t i = 0; i < dims[0] * dims[1]; i++) out[i] = (int32_t)values[i];
	*rows = (int)dims[0];
	*count = (int)dims[1];
	free(values);
	return out;
}

/* The first utterance's tokens are the voice of the next. */
static void test_speaker_stays(void **state) {
	(void)state;
	char err[SN_ERRLEN];
	speaker s = opened(2);
	sn_synth_options options = { .temperature = 0.9f, .seed = 4, .speed = 1 };
	sn_voice first = { .speaker = -1, .name = "first" };
	int64_t counts[3];
	assert_int_equal(sn_bark_watch(s.stream, err), SN_OK);
	free(speak(&s, &options, 256, &counts[0]));
	first.prompt[0] = tokens(&s, "semantic_tokens", &first.prompt_rows[0], &first.prompt_count[0]);
	first.prompt[2] = tokens(&s, "fine_codes", &first.prompt_rows[2], &first.prompt_count[2]);
	first.prompt_rows[1] = 2;
	first.prompt_count[1] = first.prompt_count[2];
	first.prompt[1] = malloc(2 * (size_t)first.prompt_count[1] * sizeof *first.prompt[1]);
	assert_non_null(first.prompt[1]);
	memcpy(first.prompt[1], first.prompt[2], 2 * (size_t)first.prompt_count[1] * sizeof *first.prompt[1]);
	float *const second = speak(&s, &options, 256, &counts[1]);
	new_stream(&s);
	options.voice = &first;
	float *const told = speak(&s, &options, 256, &counts[2]);
	assert_true(same(second, counts[1], told, counts[2], 1e-5f));
	float *const again = speak(&s, &options, 256, &counts[0]); /* nothing of an earlier utterance stays */
	assert_true(same(told, counts[2], again, counts[0], 0));
	free(again);
	free(second);
	free(told);
	sn_voice_clear(&first);
	close_speaker(&s);
}

static void test_forced_length(void **state) {
	(void)state;
	char err[SN_ERRLEN];
	speaker s = opened(2);
	sn_synth_options options = { .temperature = -1, .force_frames = 9, .speed = 1 };
	int64_t count;
	free(speak(&s, &options, 256, &count));
	assert_int_equal(count, 9 * bark->facts(s.model)->hop);
	assert_null(bark->remark(s.stream));
	options.force_frames = 0;
	free(speak(&s, &options, 256, &count));
	assert_non_null(strstr(bark->remark(s.stream), "cut after 0.5 s")); /* 24 tokens at 49.9 Hz, which this checkpoint never ends */
	options.force_frames = 1000;
	assert_int_equal(bark->start(s.stream, ids, COUNT, &options, err), SN_E_LIMIT);
	assert_int_equal(bark->start(s.stream, ids, 0, &options, err), SN_E_ARGUMENT);
	options.force_frames = 0;
	assert_int_equal(bark->start(s.stream, (int32_t[]){ 1, 500 }, 2, &options, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "500"));
	close_speaker(&s);
}

/* ---- voices ---- */

/* Writes an array of 64-bit integers (or of one float32 NaN where values is NULL) as version 1 of NumPy's format. */
static void write_npy(const char *path, int rows, int count, const int64_t *values) {
	char header[128];
	const float nan_value = NAN;
	FILE *const file = fopen(path, "wb");
	assert_non_null(file);
	int length = rows ? snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }",
	                             values ? "<i8" : "<f4", rows, count)
	                  : snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }",
	                             values ? "<i8" : "<f4", count);
	while ((10 + length + 1) % 64) header[length++] = ' ';
	header[length++] = '\n';
	fwrite("\x93NUMPY\x01\x00", 1, 8, file);
	fwrite((unsigned char[]){ (unsigned char)length, 0 }, 1, 2, file);
	fwrite(header, 1, (size_t)length, file);
	if (values) fwrite(values, sizeof *values, (size_t)((rows ? rows : 1) * count), file);
	else fwrite(&nan_value, sizeof nan_value, 1, file);
	fclose(file);
}

static void test_presets(void **state) {
	(void)state;
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	speaker s = opened(1);
	sn_voice a, b;
	const sn_synth_facts *const f = bark->facts(s.model);
	assert_int_equal(f->presets, 1);
	assert_string_equal(f->speaker_names[0], "v2/en_speaker_0");
	assert_int_equal(bark->voice(s.model, "v2/en_speaker_0", &a, err), SN_OK);
	static const char *const others[] = { "en_speaker_0", "0" };
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/speaker_embeddings/v2/en_speaker_0.npz", fixture);
		if (bark->voice(s.model, i < 2 ? others[i] : path, &b, err) != SN_OK) fail_msg("%s", err);
		for (int j = 0; j < 3; j++) {
			assert_int_equal(a.prompt_rows[j], b.prompt_rows[j]);
			assert_int_equal(a.prompt_count[j], b.prompt_count[j]);
			assert_memory_equal(a.prompt[j], b.prompt[j], (size_t)(a.prompt_rows[j] * a.prompt_count[j]) * sizeof *a.prompt[j]);
		}
		sn_voice_clear(&b);
	}
	assert_int_equal(bark->voice(s.model, "nobody", &b, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "v2/en_speaker_0"));
	assert_int_equal(bark->voice(s.model, "../../../etc/passwd", &b, err), SN_E_NOT_FOUND);
	assert_int_equal(bark->voice(s.model, "default", &b, err), SN_OK);
	assert_null(b.prompt[0]);
	a.prompt[1][3] = 64; /* of 64 codes */
	const sn_synth_options options = { .voice = &a, .temperature = -1 };
	assert_int_equal(bark->start(s.stream, ids, COUNT, &options, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "coarse_prompt"));
	sn_voice_clear(&a);
	close_speaker(&s);
}

/* Three files beside each other, each damaged in turn. */
static void test_bad_presets(void **state) {
	(void)state;
	static const int64_t codes[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }, large[8] = { 1, 2, 3, 4, 5, 6, 7, 100 };
	char err[SN_ERRLEN] = "", dir[] = "/tmp/bark_presets_XXXXXX", base[64], path[3][96];
	speaker s = opened(1);
	sn_voice v;
	assert_non_null(mkdtemp(dir));
	snprintf(base, sizeof base, "%s/me", dir);
	static const char *const names[] = { "semantic_prompt", "coarse_prompt", "fine_prompt" };
	for (int i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "%s_%s.npy", base, names[i]);
	for (int damage = 0; damage < 6; damage++) {
		write_npy(path[0], 0, 8, damage == 1 ? large : codes);
		write_npy(path[1], damage == 2 ? 4 : 2, damage == 2 ? 2 : 4, codes);
		write_npy(path[2], 8, 2, codes);
		if (damage == 3) write_npy(path[0], 0, 1, NULL);
		if (damage == 4) write_npy(path[2], 0, 16, codes);
		if (damage == 5) assert_int_equal(truncate(path[1], 100), 0);
		const int code = bark->voice(s.model, base, &v, err);
		if (damage == 0 && code != SN_OK) fail_msg("%s", err);
		if (damage > 0 && damage < 5) assert_int_equal(code, SN_E_ARGUMENT);
		if (damage == 5) assert_int_equal(code, SN_E_MODEL);
		if (damage > 0) assert_non_null(strstr(err, names[damage == 1 || damage == 3 ? 0 : damage == 4 ? 2 : 1]));
		sn_voice_clear(&v);
	}
	for (int i = 0; i < 3; i++) unlink(path[i]);
	rmdir(dir);
	close_speaker(&s);
}

/* ---- text ---- */

typedef struct heard {
	int pieces, most;
	size_t bytes;
	int32_t ids[1024];
	int count;
} heard;

static int hear(void *payload, const int32_t *list, int count, size_t bytes, char *err) {
	heard *const h = payload;
	(void)err;
	h->pieces++;
	h->bytes += bytes;
	if (count > h->most) h->most = count;
	for (int i = 0; i < count && h->count < 1024; i++) h->ids[h->count++] = list[i];
	return SN_OK;
}

static int encode(speaker *s, const char *text, const char *emotion, const char *language, heard *h, char *err) {
	const sn_synth_options options = { .emotion = emotion, .language = language, .temperature = -1 };
	int missing;
	*h = (heard){ 0 };
	return bark->encode(s->model, NULL, text, strlen(text), &options, hear, h, &missing, err);
}

static void test_text(void **state) {
	(void)state;
	char err[SN_ERRLEN] = "", text[1200] = "";
	speaker s = opened(1);
	heard plain, other;
	assert_int_equal(encode(&s, "hello there", NULL, NULL, &plain, err), SN_OK);
	assert_int_equal(plain.pieces, 1);
	assert_int_equal(encode(&s, "[laughs] hello there", NULL, NULL, &other, err), SN_OK);
	heard happy;
	assert_int_equal(encode(&s, "hello there", "happy", "en", &happy, err), SN_OK);
	assert_int_equal(happy.count, other.count);
	assert_memory_equal(happy.ids, other.ids, (size_t)other.count * sizeof *other.ids);
	assert_true(other.count > plain.count);
	assert_int_equal(encode(&s, "h [laughs]", "angry", NULL, &happy, err), SN_OK);
	assert_int_equal(encode(&s, "H [laughs]", NULL, NULL, &other, err), SN_OK);
	assert_memory_equal(happy.ids, other.ids, (size_t)other.count * sizeof *other.ids);
	assert_int_equal(encode(&s, "hello", "bored", NULL, &other, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "surprised"));
	assert_int_equal(encode(&s, "hello", NULL, "xx", &other, err), SN_E_ARGUMENT);
	for (int i = 0; i < 20; i++) strcat(text, "the quick brown fox jumps over the lazy dog. ");
	assert_int_equal(encode(&s, text, NULL, NULL, &other, err), SN_OK); /* 32 tokens are one window here */
	assert_true(other.pieces >= 20 && other.most <= 32);
	assert_int_equal(encode(&s, "", NULL, NULL, &other, err), SN_OK);
	assert_int_equal(other.pieces, 0);
	for (int i = 0; i < bark->facts(s.model)->emotion_count; i++)
		assert_int_equal(encode(&s, "hello", bark->facts(s.model)->emotions[i], NULL, &other, err), SN_OK);
	close_speaker(&s);
}

/* ---- damaged configurations ---- */

/* A copy of the fixture by links, with one number of one of its JSON files changed. */
static void damaged(char dir[64], const char *file, const char *section, const char *key, json_t *value) {
	char from[PATH_MAX], to[PATH_MAX];
	json_t *root;
	strcpy(dir, "/tmp/bark_damaged_XXXXXX");
	assert_non_null(mkdtemp(dir));
	DIR *const list = opendir(fixture);
	assert_non_null(list);
	for (const struct dirent *entry; (entry = readdir(list));) {
		if (*entry->d_name == '.' || strcmp(entry->d_name, file) == 0) continue;
		char *const whole = realpath(fixture, NULL);
		snprintf(from, sizeof from, "%s/%s", whole, entry->d_name);
		snprintf(to, sizeof to, "%s/%s", dir, entry->d_name);
		free(whole);
		assert_int_equal(symlink(from, to), 0);
	}
	closedir(list);
	snprintf(from, sizeof from, "%s/%s", fixture, file);
	snprintf(to, sizeof to, "%s/%s", dir, file);
	assert_int_equal(sn_json_file(&root, from, NULL), SN_OK);
	json_object_set_new(section ? json_object_get(root, section) : root, key, value);
	assert_int_equal(json_dump_file(root, to, 0), 0);
	json_decref(root);
}

static void remove_dir(const char *dir) {
	char path[PATH_MAX];
	DIR *const list = opendir(dir);
	for (const struct dirent *entry; (entry = readdir(list));) {
		if (*entry->d_name == '.') continue;
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		unlink(path);
	}
	closedir(list);
	rmdir(dir);
}

static void test_damaged_configs(void **state) {
	(void)state;
	static const char config[] = "config.json", generation[] = "generation_config.json";
	const struct { const char *file, *section, *key; json_t *value; const char *says; } cases[] = {
		{ config, "semantic_config", "num_layers", json_integer(1 << 20), "num_layers" },
		{ config, "semantic_config", "num_heads", json_integer(3), "num_heads" },
		{ config, "semantic_config", "hidden_size", json_integer(-32), "hidden_size" },
		{ config, "semantic_config", "block_size", json_integer(85), "position_embeds_layer" },
		{ config, "coarse_acoustics_config", "output_vocab_size", json_integer(160), "second book" },
		{ config, "fine_acoustics_config", "n_codes_total", json_integer(9), "code books" },
		{ config, "fine_acoustics_config", "n_codes_given", json_integer(3), "needs 3" },
		{ config, "codec_config", "upsampling_ratios", json_pack("[i,i,i]", 2, 2, 2), "decoder.layers.3" },
		{ config, "codec_config", "upsampling_ratios", json_array(), "empty" },
		{ config, "codec_config", "upsampling_ratios", json_pack("[i,i,i]", 64, 64, 64), "samples" },
		{ config, "codec_config", "norm_type", json_string("batch_norm"), "time_group_norm" },
		{ config, "codec_config", "pad_mode", json_integer(1), "reflect" },
		{ config, "codec_config", "audio_channels", json_integer(2), "channels" },
		{ config, "codec_config", "codebook_size", json_integer(63), "power of two" },
		{ config, "codec_config", "compress", json_integer(64), "compress" },
		{ config, "codec_config", "dilation_growth_rate", json_real(1.5), "integer" },
		{ generation, "semantic_config", "eos_token_id", json_integer(104), "end token" },
		{ generation, "semantic_config", "text_pad_token", json_integer(176), "pad token" },
		{ generation, "semantic_config", "semantic_rate_hz", json_real(0.001), "semantic_rate_hz" },
		{ generation, "semantic_config", "max_input_semantic_length", json_integer(84), "positions" },
		{ generation, "semantic_config", "num_beams", json_integer(4), "beams" },
		{ generation, "coarse_acoustics_config", "n_coarse_codebooks", json_integer(9), "code books" },
		{ generation, "coarse_acoustics_config", "coarse_infer_token", json_integer(236), "infer token" },
		{ generation, "fine_acoustics_config", "max_fine_input_length", json_integer(65), "window" },
		{ generation, "fine_acoustics_config", "max_fine_history_length", json_integer(65), "history" },
		{ generation, "fine_acoustics_config", "temperature", json_real(0), "temperature" },
		{ generation, NULL, "codebook_size", json_integer(68), "pad" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char dir[64], err[SN_ERRLEN] = "";
		speaker s;
		damaged(dir, cases[i].file, cases[i].section, cases[i].key, cases[i].value);
		const int code = open_speaker(&s, dir, 1, err);
		if (code != SN_E_MODEL && code != SN_E_UNSUPPORTED) fail_msg("%s: %d %s", cases[i].key, code, err);
		if (!strstr(err, cases[i].says)) fail_msg("%s is not told in: %s", cases[i].says, err);
		assert_null(s.model);
		close_speaker(&s);
		remove_dir(dir);
	}
}

/* A voice list whose files lie elsewhere is refused, by name. */
static void test_path_traversal(void **state) {
	(void)state;
	char dir[64], err[SN_ERRLEN] = "";
	speaker s;
	sn_voice v;
	damaged(dir, "speaker_embeddings_path.json", NULL, "evil",
	        json_pack("{s:s,s:s,s:s}", "semantic_prompt", "/etc/passwd", "coarse_prompt", "../x.npy", "fine_prompt", "a/../../x.npy"));
	if (open_speaker(&s, dir, 1, err) != SN_OK) fail_msg("%s", err);
	assert_int_equal(bark->voice(s.model, "evil", &v, err), SN_E_MODEL);
	assert_non_null(strstr(err, "below the model's directory"));
	close_speaker(&s);
	remove_dir(dir);
}

int main(int argc, char **argv) {
	if (argc < 2) return 2;
	fixture = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_picks), cmocka_unit_test(test_uniform), cmocka_unit_test(test_seeds), cmocka_unit_test(test_speaker_stays),
		cmocka_unit_test(test_forced_length), cmocka_unit_test(test_presets), cmocka_unit_test(test_bad_presets), cmocka_unit_test(test_text),
		cmocka_unit_test(test_damaged_configs), cmocka_unit_test(test_path_traversal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
