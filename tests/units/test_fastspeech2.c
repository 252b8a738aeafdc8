/* FastSpeech2 on the small checkpoints: controls, limits and files that do not fit. Its numbers are held by the goldens. */
#include "models/fastspeech2.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLASS sn_synth_fastspeech2

static const char *fixtures;
static nn_pool *pool;

static void *open_model(const char *name) {
	char dir[1024], err[SN_ERRLEN] = "";
	void *model = NULL;
	snprintf(dir, sizeof dir, "%s/%s", fixtures, name);
	if (CLASS.open(&model, &(sn_load_options){ .dir = dir, .pool = pool }, err) != SN_OK) fail_msg("%s", err);
	return model;
}

/* Rows of a spectrogram of eight symbols; *sum tells spectrograms apart. */
static int rows_of(void *model, sn_synth_options options, double *sum) {
	static const int32_t ids[] = { 4, 5, 6, 7, 8, 9, 10, 11 };
	char err[SN_ERRLEN] = "";
	void *stream = NULL;
	int rows = 0, frames, extra, code;
	float out[19 * 512];
	assert_int_equal(CLASS.stream_new(&stream, model, err), SN_OK);
	code = CLASS.start(stream, ids, 8, &options, err);
	*sum = 0;
	while (code == SN_OK) {
		code = CLASS.next(stream, 19, out, &frames, &extra, err);
		for (int i = 0; i < frames * CLASS.facts(model)->width; i++) *sum += (double)out[i] * (i % 7 + 1);
		rows += frames;
	}
	if (code != SN_END) fail_msg("%s", err);
	CLASS.stream_free(&stream);
	return rows;
}

static void controls_change_what_they_name(void **state) {
	(void)state;
	static const char *const names[] = { "fastspeech2-conformer", "fastspeech2-coqui" };
	for (int i = 0; i < 2; i++) {
		void *model = open_model(names[i]);
		double plain, other;
		const int rows = rows_of(model, (sn_synth_options){ .speed = 1 }, &plain);
		assert_true(rows > 0);
		assert_true(rows_of(model, (sn_synth_options){ .speed = 0.4f }, &other) > rows);
		assert_int_equal(rows_of(model, (sn_synth_options){ .speed = 1, .pitch = 1, .energy = 1 }, &other), rows);
		assert_true(other == plain);
		assert_int_equal(rows_of(model, (sn_synth_options){ .speed = 1, .pitch = 2 }, &other), rows);
		assert_true(other != plain);
		assert_int_equal(rows_of(model, (sn_synth_options){ .speed = 1, .energy = 2 }, &other), rows);
		assert_true(other != plain);
		assert_int_equal(rows_of(model, (sn_synth_options){ .speed = 1, .force_frames = 333 }, &other), 333);
		CLASS.close(&model);
	}
}

static void wrong_input_is_named(void **state) {
	(void)state;
	void *model = open_model("fastspeech2-conformer"), *stream;
	char err[SN_ERRLEN];
	int32_t ids[SN_FASTSPEECH2_MAX_TOKENS + 1] = { 3, 4000 };
	sn_voice voice;
	assert_int_equal(CLASS.stream_new(&stream, model, err), SN_OK);
	assert_int_equal(CLASS.start(stream, ids, 2, NULL, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "symbol 1 has id 4000"));
	assert_int_equal(CLASS.start(stream, ids, 0, NULL, err), SN_E_ARGUMENT);
	assert_int_equal(CLASS.start(stream, ids, SN_FASTSPEECH2_MAX_TOKENS + 1, NULL, err), SN_E_LIMIT);
	assert_int_equal(CLASS.start(stream, ids, 1, &(sn_synth_options){ .speed = 0.0001f }, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "longer than"));
	assert_int_equal(CLASS.voice(model, "narrator", &voice, err), SN_E_NOT_FOUND);
	assert_int_equal(CLASS.voice(model, "7", &voice, err), SN_E_NOT_FOUND);
	assert_int_equal(CLASS.voice(model, "0", &voice, err), SN_OK);
	CLASS.stream_free(&stream);
	CLASS.close(&model);
}

/* A copy of a fixture's directory with `from` in its config.json replaced by `to`; the rest are links. */
static void copy_with(const char *name, const char *from, const char *to, char dir[64]) {
	static const char *const files[] = { "pytorch_model.bin", "model_file.pth", "vocab.json", "tokenizer_config.json" };
	char path[1200], target[1200], text[16384];
	strcpy(dir, "/tmp/sonant-fs2-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s/%s", fixtures, name, files[i]);
		snprintf(target, sizeof target, "%s/%s", dir, files[i]);
		if (access(path, R_OK) == 0) assert_int_equal(symlink(path, target), 0);
	}
	snprintf(path, sizeof path, "%s/%s/config.json", fixtures, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	char *const at = strstr(text, from);
	assert_non_null(at);
	snprintf(target, sizeof target, "%s/config.json", dir);
	file = fopen(target, "w");
	assert_non_null(file);
	fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	fclose(file);
}

static void remove_copy(const char *dir) {
	char command[128];
	snprintf(command, sizeof command, "rm -r '%s'", dir);
	assert_int_equal(system(command), 0);
}

static void configurations_must_fit_the_weights(void **state) {
	(void)state;
	static const struct { const char *name, *from, *to; int code; const char *says; } cases[] = {
		{ "fastspeech2-conformer", "\"hidden_size\": 32", "\"hidden_size\": 48", SN_E_MODEL, "encoder.embed.weight" },
		{ "fastspeech2-conformer", "\"hidden_size\": 32", "\"x\": 32", SN_E_MODEL, "expected [49, 384]" },
		{ "fastspeech2-conformer", "\"encoder_layers\": 2", "\"encoder_layers\": 3", SN_E_MODEL, "conformer_layers.2" },
		{ "fastspeech2-conformer", "\"encoder_layers\": 2", "\"encoder_layers\": 9999999", SN_E_MODEL, "encoder_layers" },
		{ "fastspeech2-conformer", "\"encoder_num_attention_heads\": 2", "\"encoder_num_attention_heads\": 5", SN_E_MODEL, "attention heads" },
		{ "fastspeech2-conformer", "\"speaking_speed\": 1.0", "\"speaking_speed\": 0", SN_E_MODEL, "speaking_speed" },
		{ "fastspeech2-conformer", "\"positionwise_conv_kernel_size\": 3", "\"positionwise_conv_kernel_size\": 5", SN_E_MODEL, "expected [48, 32, 5]" },
		{ "fastspeech2-conformer", "\"vocab_size\": 49", "\"vocab_size\": 12", SN_E_MODEL, "49 symbols" },
		{ "fastspeech2-conformer", "\"num_speakers\": null", "\"num_speakers\": 3", SN_E_MODEL, "speaker_id_embedding" },
		{ "fastspeech2-conformer", "\"duration_predictor_kernel_size\": 3", "\"duration_predictor_kernel_size\": 2", SN_E_MODEL, "only odd" },
		{ "fastspeech2-coqui", "\"hidden_channels\": 32", "\"hidden_channels\": 64", SN_E_MODEL, "emb.weight" },
		{ "fastspeech2-coqui", "\"encoder_type\": \"fftransformer\"", "\"encoder_type\": \"wavenet\"", SN_E_UNSUPPORTED, "'wavenet'" },
		{ "fastspeech2-coqui", "\"num_heads\": 2", "\"x\": 2", SN_E_MODEL, "lacks 'num_heads'" },
		{ "fastspeech2-coqui", "\"num_mels\": 20", "\"num_mels\": 21", SN_E_MODEL, "out_channels" },
		{ "fastpitch-coqui", "\"use_energy\": false", "\"use_energy\": true", SN_E_MODEL, "energy_predictor" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char dir[64], err[SN_ERRLEN] = "";
		void *model = NULL;
		copy_with(cases[i].name, cases[i].from, cases[i].to, dir);
		const int code = CLASS.open(&model, &(sn_load_options){ .dir = dir, .pool = pool }, err);
		if (code != cases[i].code || !strstr(err, cases[i].says)) fail_msg("%s -> %s: %d, %s", cases[i].from, cases[i].to, code, err);
		assert_null(model);
		remove_copy(dir);
	}
}

/* A file may wrap its tensors in names of any length that names may have. */
static void long_prefixes_stay_in_their_bounds(void **state) {
	(void)state;
	enum { PREFIX = 900, ROWS = 67, WIDTH = 32 };
	static char header[8192], prefix[PREFIX + 1];
	static float zeros[ROWS * WIDTH];
	char dir[64], path[128], err[SN_ERRLEN] = "";
	void *model = NULL;
	memset(prefix, 'p', PREFIX - 1);
	prefix[PREFIX - 1] = '.';
	copy_with("fastspeech2-coqui", "\"run\"", "\"run\"", dir);
	snprintf(path, sizeof path, "%s/model.safetensors", dir);
	const int size = snprintf(header, sizeof header,
	         "{\"%sduration_predictor.conv_1.weight\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
	         "\"%spos_encoder.pe\":{\"dtype\":\"F32\",\"shape\":[1,%d,0],\"data_offsets\":[0,0]},"
	         "\"%semb.weight\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]}}", prefix, prefix, WIDTH, prefix, ROWS, WIDTH,
	         sizeof zeros);
	FILE *const file = fopen(path, "w");
	assert_non_null(file);
	const unsigned char length[8] = { (unsigned char)size, (unsigned char)(size >> 8) };
	fwrite(length, 1, 8, file);
	fwrite(header, 1, (size_t)size, file);
	fwrite(zeros, 1, sizeof zeros, file);
	fclose(file);
	assert_int_equal(CLASS.open(&model, &(sn_load_options){ .dir = dir, .pool = pool }, err), SN_E_MODEL);
	if (!strstr(err, "lacks tensor 'ppp")) fail_msg("%s", err);
	remove_copy(dir);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(controls_change_what_they_name), cmocka_unit_test(wrong_input_is_named),
		cmocka_unit_test(configurations_must_fit_the_weights), cmocka_unit_test(long_prefixes_stay_in_their_bounds),
	};
	char err[SN_ERRLEN];
	char path[PATH_MAX]; /* links from elsewhere want it whole */
	if (argc != 2 || !realpath(argv[1], path) || nn_pool_open(&pool, 2, err) != SN_OK) return 2;
	fixtures = path;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	nn_pool_close(&pool);
	return failed;
}
