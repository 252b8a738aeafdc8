/* Vocoders: usage test_vocoder FIXTURES */
#include "models/vocoder.h"

#include "audio/spectrum.h"
#include "base/json.h"
#include "base/map.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *fixtures;
static nn_pool *pool;
static const char *const all[] = { "hifigan-jik876", "hifigan-coqui", "speecht5-hifigan", "fastspeech2-conformer-hifigan",
                                   "melgan",
                                   "multiband-melgan", "waveglow" };
#define ALL (sizeof all / sizeof *all)

static int set_up(void **state) {
	(void)state;
	return nn_pool_open(&pool, 2, NULL);
}

static int tear_down(void **state) {
	(void)state;
	nn_pool_close(&pool);
	return 0;
}

static sn_vocoder *open_at(const char *path) {
	char err[SN_ERRLEN] = "";
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = pool };
	sn_vocoder *v;
	if (sn_vocoder_open(&v, &load, err) != SN_OK) fail_msg("%s: %s", path, err);
	return v;
}

static sn_vocoder *open_fixture(const char *name) {
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	return open_at(path);
}

/* A mel that is the same in each run. */
static float *some_mel(int frames, int mels) {
	float *const mel = malloc((size_t)frames * (size_t)mels * sizeof *mel);
	uint32_t x = 1;
	for (int i = 0; i < frames * mels; i++) {
		x = x * 1664525u + 1013904223u;
		mel[i] = (float)(x >> 8) / 8388608.0f - 1;
	}
	return mel;
}

static uint32_t draw(uint32_t *seed, uint32_t most) {
	*seed = *seed * 1664525u + 1013904223u;
	return *seed / 65536 % most + 1;
}

/* Runs an utterance; pieces of up to `most` frames are pushed and taken, of random sizes where `random`. Returns the samples. */
static int64_t vocode(sn_vocoder *v, const float *mel, int frames, int most, uint32_t random, sn_vocoder_options options,
                      float **out) {
	const sn_vocoder_facts *const facts = sn_vocoder_get_facts(v);
	char err[SN_ERRLEN] = "";
	sn_vocoder_stream *stream;
	int at = 0, ended = 0;
	int64_t count = 0;
	const int64_t expected = (int64_t)frames * facts->hop + facts->extra;
	*out = malloc((size_t)(expected + (int64_t)(most + 1) * facts->hop + facts->extra) * sizeof **out);
	assert_int_equal(sn_vocoder_stream_new(&stream, v, err), SN_OK);
	assert_int_equal(sn_vocoder_start(stream, &options, err), SN_OK);
	while (!sn_vocoder_ended(stream)) {
		int piece = random ? (int)draw(&random, (uint32_t)most) : most;
		if (piece > frames - at) piece = frames - at;
		const int code = ended ? SN_OK : sn_vocoder_push(stream, mel + (size_t)at * (size_t)facts->mel.mels, piece,
		                                                 at + piece == frames, err);
		assert_true(code == SN_OK || code == SN_AGAIN);
		if (code == SN_OK && !ended) at += piece, ended = at == frames;
		const int taken = random ? (int)draw(&random, (uint32_t)most) : most;
		const int64_t got = sn_vocoder_next(stream, taken, *out + count, err);
		assert_true(got >= 0 && got <= (int64_t)taken * facts->hop + facts->extra);
		assert_true(got > 0 || !ended || sn_vocoder_ended(stream));
		count += got;
		assert_true(count <= expected);
	}
	assert_int_equal(count, expected);
	sn_vocoder_stream_free(&stream);
	return count;
}

static void assert_near(const float *a, const float *b, int64_t count, double bound) {
	for (int64_t i = 0; i < count; i++)
		if (!(fabs((double)a[i] - (double)b[i]) <= bound))
			fail_msg("sample %lld is %g, expected %g", (long long)i, (double)a[i], (double)b[i]);
}

/* ---- chunks ---- */

static void joins(sn_vocoder *v, int frames, sn_vocoder_options options) {
	float *const mel = some_mel(frames, sn_vocoder_get_facts(v)->mel.mels), *whole, *pieces;
	const int64_t count = vocode(v, mel, frames, 256, 0, options, &whole);
	static const int most[] = { 1, 3, 17, 64 };
	for (uint32_t i = 0; i < 4; i++) {
		vocode(v, mel, frames, most[i], i + 1, options, &pieces);
		assert_near(pieces, whole, count, 1e-5);
		free(pieces);
	}
	free(whole);
	free(mel);
}

static void test_joins(void **state) {
	(void)state;
	for (size_t i = 0; i < ALL; i++) {
		sn_vocoder *v = open_fixture(all[i]);
		joins(v, 61, (sn_vocoder_options){ .sigma = -1, .denoise = -1, .seed = 3 });
		joins(v, 5, (sn_vocoder_options){ .sigma = -1, .denoise = -1, .seed = 3 });
		sn_vocoder_close(&v);
	}
}

static void test_denoised_joins(void **state) {
	(void)state;
	sn_vocoder *v = open_fixture("waveglow");
	joins(v, 40, (sn_vocoder_options){ .sigma = 0.8f, .denoise = 0.5f, .seed = 3 });
	joins(v, 1, (sn_vocoder_options){ .sigma = 0.8f, .denoise = 0.5f, .seed = 3 });
	sn_vocoder_close(&v);
}

static void test_empty_utterance(void **state) {
	(void)state;
	char err[SN_ERRLEN];
	float pcm[1];
	for (size_t i = 0; i < ALL; i++) {
		sn_vocoder *v = open_fixture(all[i]);
		sn_vocoder_stream *stream;
		const sn_vocoder_options options = { .sigma = -1, .denoise = -1 };
		assert_int_equal(sn_vocoder_stream_new(&stream, v, err), SN_OK);
		assert_true(sn_vocoder_push(stream, pcm, 0, 1, err) < 0); /* not started */
		assert_int_equal(sn_vocoder_start(stream, &options, err), SN_OK);
		assert_int_equal(sn_vocoder_next(stream, 8, pcm, err), 0);
		assert_int_equal(sn_vocoder_push(stream, NULL, 0, 1, err), SN_OK);
		assert_true(sn_vocoder_ended(stream));
		assert_int_equal(sn_vocoder_next(stream, 8, pcm, err), 0);
		assert_int_equal(sn_vocoder_push(stream, NULL, 0, 1, err), SN_E_CLOSED);
		assert_int_equal(sn_vocoder_push(stream, pcm, SN_VOCODER_MAX_PUSH + 1, 0, err), SN_E_ARGUMENT);
		sn_vocoder_stream_free(&stream);
		sn_vocoder_close(&v);
	}
}

/* Two utterances at once, and one after another on one stream. */
static void test_streams_are_apart(void **state) {
	(void)state;
	char err[SN_ERRLEN];
	sn_vocoder *v = open_fixture("hifigan-coqui");
	const sn_vocoder_facts *const facts = sn_vocoder_get_facts(v);
	const sn_vocoder_options options = { .sigma = -1 };
	float *const mel = some_mel(24, facts->mel.mels), *alone, *const pcm = calloc((size_t)(60 * facts->hop), sizeof *pcm);
	sn_vocoder_stream *streams[2];
	const int64_t count = vocode(v, mel, 24, 24, 0, options, &alone);
	int64_t got[2] = { 0, 0 };
	for (int i = 0; i < 2; i++) assert_int_equal(sn_vocoder_stream_new(&streams[i], v, err), SN_OK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++) {
			assert_int_equal(sn_vocoder_start(streams[i], &options, err), SN_OK);
			assert_int_equal(sn_vocoder_push(streams[i], mel, 24, 1, err), SN_OK);
			got[i] = 0;
		}
		while (!sn_vocoder_ended(streams[0]) || !sn_vocoder_ended(streams[1]))
			for (int i = 0; i < 2; i++) {
				const int64_t n = sn_vocoder_next(streams[i], 3 + i, pcm, err);
				assert_near(pcm, alone + got[i], n, 1e-5);
				got[i] += n;
			}
		assert_int_equal(got[0], count);
		assert_int_equal(got[1], count);
	}
	for (int i = 0; i < 2; i++) sn_vocoder_stream_free(&streams[i]);
	free(alone);
	free(pcm);
	free(mel);
	sn_vocoder_close(&v);
}

static void test_seeds(void **state) {
	(void)state;
	sn_vocoder *v = open_fixture("waveglow");
	float *const mel = some_mel(9, sn_vocoder_get_facts(v)->mel.mels), *a, *b, *c, *quiet;
	double difference = 0, loud = 0, low = 0;
	assert_int_equal(sn_vocoder_get_facts(v)->seeded, 1);
	const int64_t count = vocode(v, mel, 9, 9, 0, (sn_vocoder_options){ .sigma = 1, .seed = 7 }, &a);
	vocode(v, mel, 9, 2, 0, (sn_vocoder_options){ .sigma = 1, .seed = 7 }, &b);
	vocode(v, mel, 9, 9, 0, (sn_vocoder_options){ .sigma = 1, .seed = 8 }, &c);
	vocode(v, mel, 9, 9, 0, (sn_vocoder_options){ .sigma = 0, .seed = 7 }, &quiet);
	assert_near(a, b, count, 1e-5);
	for (int64_t i = 0; i < count; i++) {
		difference += fabs((double)a[i] - (double)c[i]);
		loud += (double)a[i] * (double)a[i];
		low += (double)quiet[i] * (double)quiet[i];
	}
	assert_true(difference > 1e-2 * (double)count);
	assert_true(low < loud);
	free(a);
	free(b);
	free(c);
	free(quiet);
	free(mel);
	sn_vocoder_close(&v);
}

/* ---- what is a vocoder ---- */

static void test_accepts(void **state) {
	(void)state;
	char path[4096];
	DIR *const dir = opendir(fixtures);
	int seen = 0;
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));) {
		int expected = strcmp(entry->d_name, "fastspeech2-conformer-with-hifigan") == 0;
		for (size_t i = 0; i < ALL; i++) expected |= strcmp(entry->d_name, all[i]) == 0;
		if (*entry->d_name == '.') continue;
		snprintf(path, sizeof path, "%s/%s", fixtures, entry->d_name);
		if (sn_vocoder_accepts(path) != expected) fail_msg("%s: expected %d", entry->d_name, expected);
		seen += expected;
	}
	closedir(dir);
	assert_true(seen >= (int)ALL);
	assert_false(sn_vocoder_accepts("/nowhere"));
	snprintf(path, sizeof path, "%s/waveglow/waveglow_module.pt", fixtures);
	assert_true(sn_vocoder_accepts(path));
}

static void test_facts(void **state) {
	(void)state;
	static const struct { const char *name, *architecture; int rate, hop, extra, mels; } wanted[] = {
		{ "hifigan-jik876", "hifigan", 22050, 16, 0, 12 },       { "hifigan-coqui", "hifigan", 22050, 16, 160, 12 },
		{ "speecht5-hifigan", "hifigan", 16000, 16, 0, 20 },     { "fastspeech2-conformer-hifigan", "hifigan", 22050, 16, 0, 20 },
		{ "melgan", "melgan", 22050, 16, 64, 12 },               { "multiband-melgan", "multiband-melgan", 22050, 32, 128, 12 },
		{ "waveglow", "waveglow", 22050, 256, 0, 8 },
	};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		sn_vocoder *v = open_fixture(wanted[i].name);
		const sn_vocoder_facts *const f = sn_vocoder_get_facts(v);
		assert_string_equal(f->architecture, wanted[i].architecture);
		assert_int_equal(f->sample_rate, wanted[i].rate);
		assert_int_equal(f->hop, wanted[i].hop);
		assert_int_equal(f->extra, wanted[i].extra);
		assert_int_equal(f->mel.mels, wanted[i].mels);
		assert_true(f->parameters > 1000);
		sn_vocoder_close(&v);
	}
}

/* ---- layouts of spectrograms ---- */

static const sn_mel_layout published = { .sample_rate = 22050, .mels = 80, .fft = 1024, .hop = 256, .window = 1024, .high = 8000,
                                         .scale = SN_MEL_SLANEY,
                                         .log = SN_MEL_LOG_E, .floor = 1e-5f, .gain = 1 };

static void test_layouts_fit(void **state) {
	(void)state;
	char err[SN_ERRLEN];
	sn_mel_layout other = published;
	const sn_mel_layout unknown = { .mels = 80 };
	assert_int_equal(sn_mel_layout_match(&published, "tacotron2", &other, "hifigan", err), SN_OK);
	assert_int_equal(sn_mel_layout_match(&published, "tacotron2", &unknown, "hifigan", err), SN_OK);
	assert_int_equal(sn_mel_layout_match(&unknown, "tacotron2", &published, "hifigan", err), SN_OK);
	other.high = 0; /* half of the rate */
	assert_int_equal(sn_mel_layout_match(&published, "tacotron2", &other, "hifigan", err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "8000"));
	assert_non_null(strstr(err, "11025"));
}

static void test_mismatch_names_both_sides(void **state) {
	(void)state;
	char err[SN_ERRLEN];
	sn_mel_layout other = published;
	other.sample_rate = 16000;
	other.mels = 100;
	other.hop = 128;
	other.log = SN_MEL_LOG_10;
	assert_int_equal(sn_mel_layout_match(&published, "ljspeech-tacotron2", &other, "other-hifigan", err), SN_E_ARGUMENT);
	static const char *const parts[] = { "ljspeech-tacotron2", "other-hifigan", "22050", "16000", "80", "100", "256", "128",
	                                     "natural", "decimal" };
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (!strstr(err, parts[i])) fail_msg("'%s' is not in: %s", parts[i], err);
	assert_null(strstr(err, "window"));
	other = published;
	other.normalised = 1;
	assert_int_equal(sn_mel_layout_match(&published, "a", &other, "b", err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "normalisation"));
}

/* ---- configurations that lie ---- */

typedef struct copy { char dir[64]; json_t *config; } copy;

/* A folder with the fixture's files; its config.json is written by close_copy's callers. */
static copy copy_of(const char *name) {
	char from[4096], to[4096];
	copy c = { .dir = "/tmp/test_vocoder_XXXXXX" };
	assert_non_null(mkdtemp(c.dir));
	snprintf(from, sizeof from, "%s/%s", fixtures, name);
	DIR *const dir = opendir(from);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (*entry->d_name == '.' || strcmp(entry->d_name, "config.json") == 0) continue;
		snprintf(from, sizeof from, "%s/%s/%s", fixtures, name, entry->d_name);
		snprintf(to, sizeof to, "%s/%s", c.dir, entry->d_name);
		assert_int_equal(symlink(from, to), 0);
	}
	closedir(dir);
	snprintf(from, sizeof from, "%s/%s/config.json", fixtures, name);
	assert_int_equal(sn_json_file(&c.config, from, NULL), SN_OK);
	return c;
}

static void remove_copy(copy *c) {
	char path[4096];
	DIR *const dir = opendir(c->dir);
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof path, "%s/%s", c->dir, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlink(path);
	}
	if (dir) closedir(dir);
	rmdir(c->dir);
	json_decref(c->config);
}

/* Opens the copy with its present configuration; the vocoder is the caller's. */
static int open_copy(copy *c, sn_vocoder **v, char *err) {
	char path[4096];
	const sn_load_options load = { .dir = c->dir, .dtype = NN_DTYPE_F32, .pool = pool };
	snprintf(path, sizeof path, "%s/config.json", c->dir);
	assert_int_equal(json_dump_file(c->config, path, 0), 0);
	return sn_vocoder_open(v, &load, err);
}

/* Replaces section.key by JSON text (NULL: removes it); opening must fail with a sentence that has `expected` in it. */
static void refused(const char *name, const char *section, const char *key, const char *value, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_vocoder *v = NULL;
	copy c = copy_of(name);
	json_t *const at = section ? json_object_get(c.config, section) : c.config;
	if (value) json_object_set_new(at, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else json_object_del(at, key);
	const int code = open_copy(&c, &v, err);
	if (code >= 0) fail_msg("%s with %s = %s was opened", name, key, value ? value : "nothing");
	if (!strstr(err, expected)) fail_msg("'%s' is not in: %s", expected, err);
	assert_null(v);
	remove_copy(&c);
}

static void test_hostile_configurations(void **state) {
	(void)state;
	static const char *const params = "generator_model_params";
	refused("hifigan-jik876", NULL, "upsample_rates", "[4, 100000000]", "upsample_rates");
	refused("hifigan-jik876", NULL, "upsample_rates", "[4, 0]", "upsample_rates");
	refused("hifigan-jik876", NULL, "upsample_rates", "[4, 4, 4, 4, 4, 4, 4, 4, 4, 4]", "upsample_rates");
	refused("hifigan-jik876", NULL, "upsample_rates", "[]", "upsample_rates");
	refused("hifigan-jik876", NULL, "upsample_kernel_sizes", "[8, 0]", "upsample_kernel_sizes");
	refused("hifigan-jik876", NULL, "upsample_kernel_sizes", "[3, 8]", "kernel");
	refused("hifigan-jik876", NULL, "resblock_kernel_sizes", "[0, 7]", "resblock_kernel_sizes");
	refused("hifigan-jik876", NULL, "resblock_dilation_sizes", "[[1, 3, 5], [1, 3, -5]]", "resblock_dilation_sizes");
	refused("hifigan-jik876", NULL, "resblock_dilation_sizes", "[[1, 3, 5], [1, 3, 4000]]", "dilation");
	refused("hifigan-jik876", NULL, "resblock_dilation_sizes", "[[1, 3, 5], 7]", "resblock_dilation_sizes");
	refused("hifigan-jik876", NULL, "resblock_dilation_sizes", "\"no\"", "resblock_dilation_sizes");
	refused("hifigan-jik876", NULL, "resblock", "\"2\"", "resblocks.0");
	refused("hifigan-jik876", NULL, "sampling_rate", "-1", "sampling_rate");
	refused("hifigan-jik876", NULL, "num_mels", "80", "12");
	refused("speecht5-hifigan", NULL, "upsample_rates", NULL, "upsample_kernel_sizes");
	refused("speecht5-hifigan", NULL, "resblock_dilation_sizes", NULL, "resblock_kernel_sizes");
	refused("speecht5-hifigan", NULL, "resblock_dilation_sizes", "[[1], [1]]", "is there too");
	refused("speecht5-hifigan", NULL, "upsample_initial_channel", NULL, "conv_pre");
	refused("speecht5-hifigan", NULL, "model_in_dim", "80", "20");
	refused("hifigan-coqui", params, "upsample_factors", NULL, "upsample_factors");
	refused("hifigan-coqui", params, "resblock_type", NULL, "resblock_type");
	refused("hifigan-coqui", params, "cond_channels", "256", "speaker");
	refused("hifigan-coqui", params, "inference_padding", "1000000", "inference_padding");
	refused("hifigan-coqui", NULL, "generator_model", "\"univnet_generator\"", "univnet_generator");
	refused("melgan", params, "upsample_factors", "[2, 4]", "layers.3");
	refused("melgan", params, "upsample_factors", NULL, "upsample_factors");
	refused("melgan", params, "num_res_blocks", "2", "is there too");
	refused("melgan", params, "num_res_blocks", "4", "missing");
	refused("melgan", params, "num_res_blocks", "2000000000", "num_res_blocks");
	refused("multiband-melgan", NULL, "generator_model", "\"melgan_generator\"", "layers.10");
	refused("waveglow", NULL, "n_flows", "12", "n_flows");
	refused("waveglow", NULL, "n_early_every", "4", "n_early_every");
	refused("waveglow", "WN_config", "n_layers", "8", "n_layers");
	refused("waveglow", NULL, "data_config", "{\"hop_length\": 128}", "hop_length");
}

/* Other rates with kernels that allow them are other networks: the answer has another length. */
static void test_other_rates_are_answered(void **state) {
	(void)state;
	char err[SN_ERRLEN] = "";
	sn_vocoder *v;
	copy c = copy_of("speecht5-hifigan");
	json_object_set_new(c.config, "upsample_rates", json_pack("[ii]", 4, 2));
	assert_int_equal(open_copy(&c, &v, err), SN_OK);
	assert_int_equal(sn_vocoder_get_facts(v)->hop, 8);
	joins(v, 20, (sn_vocoder_options){ .sigma = -1 });
	sn_vocoder_close(&v);
	json_object_set_new(c.config, "upsample_rates", json_pack("[ii]", 4, 3)); /* one row more than a multiple */
	assert_int_equal(open_copy(&c, &v, err), SN_OK);
	assert_int_equal(sn_vocoder_get_facts(v)->extra, 1);
	joins(v, 20, (sn_vocoder_options){ .sigma = -1 });
	sn_vocoder_close(&v);
	remove_copy(&c);
}

/* ---- without a network ---- */

/* A voice-like sound: harmonics of a gliding pitch. */
static float *some_sound(int64_t count, int rate) {
	float *const pcm = malloc((size_t)count * sizeof *pcm);
	double phase = 0;
	for (int64_t i = 0; i < count; i++) {
		const double hz = 140 + 40 * sin(2 * M_PI * (double)i / rate);
		phase += 2 * M_PI * hz / rate;
		double x = 0;
		for (int k = 1; k < 20; k++) x += sin(k * phase) / k;
		pcm[i] = (float)(0.2 * x);
	}
	return pcm;
}

static void test_griffin_lim(void **state) {
	(void)state;
	char err[SN_ERRLEN] = "";
	enum { FRAMES = 120 };
	const sn_spectrum_options options = { .sample_rate = 22050, .fft = 1024, .hop = 256, .window = SN_WINDOW_HANN,
	                                      .pad = SN_SPECTRUM_PAD_REFLECT, .power = 1,
	                                      .mels = 80, .high = 8000, .scale = SN_SCALE_SLANEY, .area = 1, .log = SN_SPECTRUM_LOG_E,
	    .floor = 1e-5f };
	sn_spectrum *spectrum;
	sn_vocoder *v;
	assert_int_equal(sn_spectrum_open(&spectrum, &options, err), SN_OK);
	float *const pcm = some_sound(FRAMES * 256, 22050), *const mel = malloc((FRAMES + 1) * 80 * sizeof *mel),
	    *const again = malloc((FRAMES + 1) * 80 * sizeof *mel);
	assert_int_equal(sn_spectrum_run(spectrum, pcm, FRAMES * 256, mel, err), SN_OK);
	assert_int_equal(sn_vocoder_griffin_lim(&v, &published, pool, err), SN_OK);
	float *out;
	vocode(v, mel, FRAMES, 64, 0, (sn_vocoder_options){ .seed = 1 }, &out);
	assert_int_equal(sn_spectrum_run(spectrum, out, FRAMES * 256, again, err), SN_OK);
	double difference = 0;
	for (int i = 0; i < FRAMES * 80; i++) difference += fabs((double)mel[i] - (double)again[i]) / (FRAMES * 80);
	assert_true(difference < 0.25);
	joins(v, 77, (sn_vocoder_options){ .seed = 1 });
	free(out);
	free(pcm);
	free(mel);
	free(again);
	sn_spectrum_close(&spectrum);
	sn_vocoder_close(&v);
}

static void test_griffin_lim_needs_a_layout(void **state) {
	(void)state;
	char err[SN_ERRLEN] = "";
	sn_vocoder *v;
	sn_mel_layout m = published;
	m.fft = 0;
	assert_int_equal(sn_vocoder_griffin_lim(&v, &m, pool, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "transform"));
	m = published;
	m.hop = 1;
	assert_int_equal(sn_vocoder_griffin_lim(&v, &m, pool, err), SN_E_UNSUPPORTED);
	m = published;
	m.log = SN_MEL_LOG_UNKNOWN;
	assert_int_equal(sn_vocoder_griffin_lim(&v, &m, pool, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "logarithm"));
	m = published;
	m.normalised = 2;
	assert_int_equal(sn_vocoder_griffin_lim(&v, &m, pool, err), SN_E_UNSUPPORTED);
	assert_null(v);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joins), cmocka_unit_test(test_denoised_joins), cmocka_unit_test(test_empty_utterance),
		cmocka_unit_test(test_streams_are_apart), cmocka_unit_test(test_seeds), cmocka_unit_test(test_accepts),
		    cmocka_unit_test(test_facts),
		cmocka_unit_test(test_layouts_fit), cmocka_unit_test(test_mismatch_names_both_sides),
		    cmocka_unit_test(test_hostile_configurations),
		cmocka_unit_test(test_other_rates_are_answered), cmocka_unit_test(test_griffin_lim),
		    cmocka_unit_test(test_griffin_lim_needs_a_layout),
	};
	static char path[PATH_MAX];
	if (argc != 2 || !realpath(argv[1], path)) return 2;
	fixtures = path;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
