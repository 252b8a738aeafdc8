/* Loading checkpoints whose configuration and weights agree or do not, and decoding that does not depend on company or threads.
 * test_whisper FIXTURE: a directory with a small checkpoint of 2 + 2 layers, width 32. */
#include "base/json.h"
#include "models/whisper.h"

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
static char folder[] = "/tmp/sonant-whisper-XXXXXX";

/* ---- a copy of the fixture whose files can be changed ---- */

static void clear(void) {
	DIR *dir = opendir(folder);
	char path[PATH_MAX];
	for (const struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

static void fresh_copy(void) {
	char real[PATH_MAX], from[PATH_MAX + 300], to[PATH_MAX];
	assert_non_null(realpath(fixture, real));
	clear();
	DIR *dir = opendir(real);
	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		snprintf(from, sizeof from, "%s/%s", real, e->d_name);
		snprintf(to, sizeof to, "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.')
			assert_int_equal(symlink(from, to), 0);
	}
	closedir(dir);
}

/* Sets (or with NULL removes) one key of a JSON file of the copy. */
static void change(const char *file, const char *key, json_t *value) {
	char path[PATH_MAX], err[SN_ERRLEN];
	json_t *json;
	snprintf(path, sizeof path, "%s/%s", folder, file);
	assert_int_equal(sn_json_file(&json, path, err), SN_OK);
	if (value)
		json_object_set_new(json, key, value);
	else
		json_object_del(json, key);
	unlink(path);
	assert_int_equal(json_dump_file(json, path, 0), 0);
	json_decref(json);
}

static void cut(const char *file, long size) {
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, file);
	FILE *in = fopen(path, "rb");
	assert_non_null(in);
	char *bytes = malloc((size_t)size);
	assert_int_equal(fread(bytes, 1, (size_t)size, in), size);
	fclose(in);
	unlink(path);
	FILE *out = fopen(path, "wb");
	assert_int_equal(fwrite(bytes, 1, (size_t)size, out), size);
	fclose(out);
	free(bytes);
}

static int try(char *err) {
	nn_pool *pool;
	sn_whisper *w = NULL;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	sn_load_options load = { .dir = folder, .dtype = NN_DTYPE_F32, .pool = pool, .rows = 2, .windows = 1 };
	int result = sn_whisper_open(&w, &load, err);
	assert_true((result == SN_OK) == (w != NULL));
	sn_whisper_close(&w);
	sn_whisper_close(&w);
	nn_pool_close(&pool);
	return result;
}

/* Loading fails with a message that holds all the words. */
static void assert_refused(const char *a, const char *b) {
	char err[SN_ERRLEN] = "";
	assert_int_equal(try(err), SN_E_MODEL);
	if (!strstr(err, a) || !strstr(err, b))
		fail_msg("'%s' names neither '%s' nor '%s'", err, a, b);
}

static void configuration_is_read(void **state) {
	char err[SN_ERRLEN];
	nn_pool *pool;
	sn_whisper *w;
	fresh_copy();
	change("generation_config.json", "alignment_heads", json_pack("[[ii], [ii], [ii]]", 7, 0, 0, 1, 1, 5)); /* of a larger model */
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	sn_load_options load = { .dir = folder, .dtype = NN_DTYPE_F32, .pool = pool, .rows = 2, .windows = 1 };
	assert_int_equal(sn_whisper_open(&w, &load, err), SN_OK);
	const sn_whisper_config *c = sn_whisper_get_config(w);
	assert_int_equal(c->width, 32);
	assert_int_equal(c->encoder_layers, 2);
	assert_int_equal(c->decoder_heads, 2);
	assert_int_equal(c->decoder_ffn, 64);
	assert_int_equal(c->vocab, 1828);
	assert_int_equal(c->target_positions, 96);
	assert_true(c->multilingual);
	assert_int_equal(c->eot, 316);
	assert_int_equal(c->no_speech, 325);
	assert_int_equal(c->timestamp_begin, 327);
	assert_int_equal(c->languages, 3);
	assert_string_equal(c->language[0].code, "en");
	assert_string_equal(c->language[2].code, "de");
	assert_int_equal(c->language[2].token, 320);
	assert_int_equal(c->suppress_count, 12);
	assert_int_equal(c->begin_suppress_count, 2);
	assert_int_equal(c->alignment_count, 1);
	assert_int_equal(c->alignment[0].head, 1);
	assert_int_equal(c->max_initial_timestamp, 50);
	assert_true(sn_whisper_parameters(w) > 100000);
	sn_whisper_close(&w);
	nn_pool_close(&pool);
}

static void contradictions_are_named(void **state) {
	fresh_copy();
	change("config.json", "d_model", json_integer(64));
	assert_refused("32", "64");
	fresh_copy();
	change("config.json", "encoder_layers", json_integer(3));
	assert_refused("model.encoder.layers.2.", "expected 3");
	fresh_copy();
	change("config.json", "decoder_layers", json_integer(1));
	assert_refused("model.decoder.layers.1.", "expected 1");
	fresh_copy();
	change("config.json", "decoder_ffn_dim", json_integer(65));
	assert_refused("fc1", "65");
	fresh_copy();
	change("config.json", "vocab_size", json_integer(1829));
	assert_refused("embed_tokens", "1829");
	fresh_copy();
	change("config.json", "encoder_attention_heads", json_integer(5));
	assert_refused("32", "5");
}

static void unusable_values_are_named(void **state) {
	fresh_copy();
	change("config.json", "num_mel_bins", NULL);
	assert_refused("num_mel_bins", "missing");
	fresh_copy();
	change("config.json", "max_target_positions", json_integer(-1));
	assert_refused("max_target_positions", "-1");
	fresh_copy();
	change("config.json", "model_type", json_string("vits"));
	assert_refused("model_type", "vits");
	fresh_copy();
	change("preprocessor_config.json", "hop_length", json_integer(80));
	assert_refused("hop_length", "80");
	fresh_copy();
	change("preprocessor_config.json", "n_samples", json_integer(240000));
	assert_refused("n_samples", "480000");
	fresh_copy();
	change("config.json", "activation_function", json_string("swiglu"));
	assert_refused("activation_function", "swiglu");
	fresh_copy();
	change("generation_config.json", "suppress_tokens", json_pack("[i]", 1828));
	assert_refused("suppress_tokens", "1828");
	fresh_copy();
	cut("model.safetensors", 300000);
	char err[SN_ERRLEN] = "";
	assert_int_equal(try(err), SN_E_MODEL);
	assert_non_null(strstr(err, "model.safetensors"));
}

/* Replaces text by text as long in a file of the copy. */
static void rename_in(const char *file, const char *from, const char *to) {
	char path[PATH_MAX];
	static char bytes[1 << 20];
	snprintf(path, sizeof path, "%s/%s", folder, file);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	size_t size = fread(bytes, 1, sizeof bytes - 1, f);
	fclose(f);
	bytes[size] = 0;
	assert_int_equal(strlen(from), strlen(to));
	for (char *at = bytes; (at = strstr(at, from));)
		memcpy(at, to, strlen(to));
	unlink(path);
	f = fopen(path, "wb");
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	fclose(f);
}

static void missing_tokens_are_named(void **state) {
	static const char *const tokens[][2] = { { "<|notimestamps|>", "<|notimestumps|>" }, { "<|transcribe|>", "<|transcrybe|>" } };
	static const char *const files[] = { "added_tokens.json", "tokenizer.json", "special_tokens_map.json", "tokenizer_config.json" };
	for (int i = 0; i < 2; i++) {
		fresh_copy();
		for (int f = 0; f < 4; f++)
			rename_in(files[f], tokens[i][0], tokens[i][1]);
		assert_refused(tokens[i][0], "no token");
	}
	fresh_copy();
	change("generation_config.json", "lang_to_id", NULL);
	for (int f = 0; f < 4; f++) {
		rename_in(files[f], "<|en|>", "<|e1|>");
		rename_in(files[f], "<|fr|>", "<|f1|>");
		rename_in(files[f], "<|de|>", "<|d1|>");
	}
	assert_refused("<|en|>", "multilingual");
}

static void missing_lists_have_defaults(void **state) {
	char err[SN_ERRLEN], path[PATH_MAX];
	fresh_copy();
	snprintf(path, sizeof path, "%s/generation_config.json", folder);
	unlink(path);
	change("config.json", "suppress_tokens", NULL);
	change("config.json", "begin_suppress_tokens", NULL);
	assert_int_equal(try(err), SN_OK);
}

/* ---- decoding ---- */

#define WINDOWS 2
#define STEPS 6

typedef struct session {
	nn_pool *pool;
	sn_whisper *w;
	const sn_whisper_config *c;
} session;

static session start_with(nn_dtype dtype, int threads, int debug) {
	char err[SN_ERRLEN];
	session s;
	assert_int_equal(nn_pool_open(&s.pool, threads, err), SN_OK);
	sn_load_options load = { .dir = fixture, .dtype = dtype, .pool = s.pool, .rows = 4, .windows = WINDOWS, .debug = debug };
	if (sn_whisper_open(&s.w, &load, err) != SN_OK)
		fail_msg("%s", err);
	s.c = sn_whisper_get_config(s.w);
	for (int window = 0; window < WINDOWS; window++) {
		float *mel = sn_whisper_mel_input(s.w);
		for (int i = 0; i < 2 * s.c->source_positions * s.c->mels; i++)
			mel[i] = sinf(0.37f * (float)(i % 1013) + (float)window) * 0.7f;
		sn_whisper_encode_begin(s.w, window);
		while (sn_whisper_encode_next(s.w, 7, NULL) == SN_AGAIN)
			continue;
	}
	return s;
}

static session start(nn_dtype dtype, int threads) { return start_with(dtype, threads, 0); }

static void stop(session *s) {
	sn_whisper_close(&s->w);
	nn_pool_close(&s->pool);
}

/* Logits [STEPS, vocab] of a fixed sequence on `window`, in its own cache slot; `chunk` rows a call. With `beside`, another sequence
 * on the other window is decoded in the same calls. free() them. */
static float *logits_of(session *s, int window, int chunk, int beside) {
	static const int32_t tokens[STEPS] = { 317, 319, 322, 326, 40, 99 };
	int32_t tables[2][96];
	float *logits = malloc((size_t)(2 * STEPS * s->c->vocab) * sizeof *logits);
	for (int i = 0; i < 2 * 96; i++)
		tables[i / 96][i % 96] = i / 96;
	for (int p = 0; p < STEPS; p += chunk) {
		sn_whisper_row rows[2 * STEPS];
		int count = 0;
		for (int other = 0; other <= beside; other++)
			for (int i = p; i < p + chunk && i < STEPS; i++)
				rows[count++] = (sn_whisper_row){ tokens[i] + other, i, other, other ? 1 - window : window, tables[other],
				                                  logits + (int64_t)(other * STEPS + i) * s->c->vocab };
		assert_int_equal(sn_whisper_decode(s->w, rows, count, NULL), SN_OK);
	}
	return logits;
}

static void same_bytes_alone_and_beside_others(void **state) {
	for (int dtype = NN_DTYPE_F32; dtype <= NN_DTYPE_INT8; dtype++) {
		session s = start((nn_dtype)dtype, 2);
		float *reference = logits_of(&s, 0, 1, 0), *other = logits_of(&s, 1, 1, 0);
		size_t bytes = (size_t)(STEPS * s.c->vocab) * sizeof *reference;
		assert_memory_not_equal(reference, other, bytes);
		free(other);
		for (int chunk = 1; chunk <= STEPS; chunk++)
			for (int beside = 0; beside < 2; beside++) {
				float *logits = logits_of(&s, 0, chunk, beside);
				assert_memory_equal(logits, reference, bytes);
				free(logits);
			}
		free(reference);
		stop(&s);
	}
}

static void same_bytes_for_any_threads(void **state) {
	for (int dtype = NN_DTYPE_F32; dtype <= NN_DTYPE_INT8; dtype++) {
		session one = start((nn_dtype)dtype, 1);
		float *reference = logits_of(&one, 1, STEPS, 0);
		size_t bytes = (size_t)(STEPS * one.c->vocab) * sizeof *reference;
		stop(&one);
		for (int threads = 2; threads <= 4; threads += 2) {
			session s = start((nn_dtype)dtype, threads);
			float *logits = logits_of(&s, 1, STEPS, 0);
			assert_memory_equal(logits, reference, bytes);
			free(logits);
			stop(&s);
		}
		free(reference);
	}
}

/* Kept queries give the attention that the rows had, also after other rows, and scaled to the steps that are asked for. */
static void kept_queries_give_the_attention(void **state) {
	char err[SN_ERRLEN], name[NN_NAME];
	session plain = start(NN_DTYPE_F32, 2), debug = start_with(NN_DTYPE_F32, 2, 1);
	const int positions = plain.c->source_positions, half = positions / 2;
	const int32_t slots[STEPS] = { 0 }, at[STEPS] = { 0, 1, 2, 3, 4, 5 };
	const size_t size = (size_t)(plain.c->alignment_count * STEPS * positions);
	float *probs = malloc(size * sizeof *probs), *few = malloc(size * sizeof *few);
	sn_whisper_keep_queries(plain.w, 1);
	free(logits_of(&plain, 0, 1, 1));
	free(logits_of(&debug, 0, STEPS, 0));
	assert_int_equal(sn_whisper_attend(plain.w, 0, slots, at, STEPS, positions, probs, NULL), SN_OK);
	assert_int_equal(sn_whisper_attend(plain.w, 0, slots, at, STEPS, half, few, NULL), SN_OK);
	assert_true(plain.c->alignment_count > 0);
	for (int h = 0; h < plain.c->alignment_count; h++) {
		float *expected;
		int rank;
		int64_t dims[NN_MAX_RANK];
		snprintf(name, sizeof name, "cross_attn_layer%d", plain.c->alignment[h].layer);
		assert_int_equal(sn_whisper_tensor(debug.w, name, &expected, &rank, dims, err), SN_OK);
		for (int r = 0; r < STEPS; r++) {
			const float *row = expected + ((int64_t)plain.c->alignment[h].head * STEPS + r) * positions;
			double sum = 0;
			for (int t = 0; t < half; t++)
				sum += (double)row[t];
			for (int t = 0; t < positions; t++)
				assert_float_equal(probs[(h * STEPS + r) * positions + t], row[t], 1e-5);
			for (int t = 0; t < half; t++)
				assert_float_equal(few[(h * STEPS + r) * half + t], (double)row[t] / sum, 1e-5);
		}
		free(expected);
	}
	free(probs);
	free(few);
	stop(&debug);
	stop(&plain);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_is_read), cmocka_unit_test(contradictions_are_named), cmocka_unit_test(unusable_values_are_named),
		cmocka_unit_test(missing_tokens_are_named), cmocka_unit_test(missing_lists_have_defaults),
		cmocka_unit_test(same_bytes_alone_and_beside_others),
		cmocka_unit_test(same_bytes_for_any_threads), cmocka_unit_test(kept_queries_give_the_attention),
	};
	if (argc < 2 || !mkdtemp(folder))
		return 2;
	fixture = argv[1];
	int failed = cmocka_run_group_tests_name("whisper", tests, NULL, NULL);
	clear();
	rmdir(folder);
	return failed;
}
