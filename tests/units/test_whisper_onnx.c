/* Whisper as sherpa-onnx publishes it: found, whole and of one model, with the weights of the checkpoint that was exported.
 * test_whisper_onnx EXPORT CHECKPOINT: directories with tiny-encoder.onnx, .. and with what they were made of. */
#include "base/json.h"
#include "models/whisper.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ENCODER "tiny-encoder.onnx"
#define INT8 "tiny-encoder.int8.onnx"
#define DECODER "tiny-decoder.onnx"
#define TOKENS "tiny-tokens.txt"

static const char *fixture, *original;
static char folder[] = "/tmp/sonant-whisper-onnx-XXXXXX";

static const char *path_of(const char *name) {
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void clear(void) {
	DIR *dir = opendir(folder);
	for (const struct dirent *e; dir && (e = readdir(dir));)
		unlink(path_of(e->d_name));
	if (dir)
		closedir(dir);
}

/* The fixture's file under that name. */
static void link_file(const char *from, const char *to) {
	char real[PATH_MAX], file[PATH_MAX + 64];
	assert_non_null(realpath(fixture, real));
	snprintf(file, sizeof file, "%s/%s", real, from);
	assert_int_equal(symlink(file, path_of(to)), 0);
}

static void fresh_copy(void) {
	clear();
	link_file(ENCODER, ENCODER);
	link_file(DECODER, DECODER);
	link_file(TOKENS, TOKENS);
}

/* A copy of a file in which the first `from` is `to`; or of its first `size` bytes. */
static void spoil(const char *name, const char *from, const char *to, size_t size) {
	static char bytes[1 << 20];
	FILE *f = fopen(path_of(name), "rb");
	assert_non_null(f);
	size_t all = fread(bytes, 1, sizeof bytes - 16, f);
	fclose(f);
	if (from) {
		const size_t was = strlen(from), is = strlen(to);
		char *const at = memmem(bytes, all, from, was);
		assert_non_null(at);
		assert_true(is <= was + 16);
		memmove(at + is, at + was, (size_t)(bytes + all - at) - was);
		memcpy(at, to, is);
		all = all - was + is;
	}
	unlink(path_of(name));
	f = fopen(path_of(name), "wb");
	assert_int_equal(fwrite(bytes, 1, size ? size : all, f), size ? size : all);
	fclose(f);
}

static int open_at(sn_whisper **w, nn_pool **pool, const char *path, char *err) {
	assert_int_equal(nn_pool_open(pool, 2, err), SN_OK);
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = *pool, .rows = 2, .windows = 1 };
	const int result = sn_whisper_open(w, &load, err);
	assert_true((result == SN_OK) == (*w != NULL));
	return result;
}

static void stop(sn_whisper **w, nn_pool **pool) {
	sn_whisper_close(w);
	nn_pool_close(pool);
}

static void start(sn_whisper **w, nn_pool **pool, const char *path) {
	char err[SN_ERRLEN] = "";
	if (open_at(w, pool, path, err) != SN_OK)
		fail_msg("%s", err);
}

static void assert_refused(const char *path, int code, const char *a, const char *b) {
	char err[SN_ERRLEN] = "";
	nn_pool *pool;
	sn_whisper *w;
	assert_int_equal(open_at(&w, &pool, path, err), code);
	if (!strstr(err, a) || !strstr(err, b))
		fail_msg("'%s' names neither '%s' nor '%s'", err, a, b);
	assert_true(sn_whisper_is_export(path));
	stop(&w, &pool);
}

static void the_configuration_is_the_checkpoints(void **state) {
	nn_pool *pools[2];
	sn_whisper *w[2];
	start(&w[0], &pools[0], fixture);
	start(&w[1], &pools[1], original);
	sn_whisper_config found = *sn_whisper_get_config(w[0]), wanted = *sn_whisper_get_config(w[1]);
	assert_true(found.multilingual);
	assert_int_equal(sn_whisper_parameters(w[0]), sn_whisper_parameters(w[1]));
	/* openai-whisper never writes <|startoftranscript|> either, which this checkpoint's list lacks; ids in another order are the same list */
	assert_int_equal(found.suppress_count, wanted.suppress_count + 1);
	for (int i = 0; i < wanted.suppress_count; i++) {
		int there = 0;
		for (int k = 0; k < found.suppress_count; k++)
			there |= found.suppress[k] == wanted.suppress[i];
		assert_true(there);
	}
	assert_int_equal(found.begin_suppress_count, 2);
	assert_true(found.begin_suppress[0] == 220 && found.begin_suppress[1] == 316);
	/* an export does not say which heads follow the speech: half of its four */
	assert_int_equal(found.alignment_count, 2);
	assert_true(found.alignment[0].layer == 1 && found.alignment[1].layer == 1);
	memcpy(found.suppress, wanted.suppress, sizeof found.suppress);
	memcpy(found.begin_suppress, wanted.begin_suppress, sizeof found.begin_suppress);
	memcpy(found.alignment, wanted.alignment, sizeof found.alignment);
	found.suppress_count = wanted.suppress_count;
	found.alignment_count = wanted.alignment_count;
	assert_memory_equal(&found, &wanted, sizeof found);
	stop(&w[0], &pools[0]);
	stop(&w[1], &pools[1]);
}

static void heads_are_given_or_those_of_the_model(void **state) {
	nn_pool *pool;
	sn_whisper *w;
	fresh_copy(); /* an entry of the metadata is its length, then key and value after theirs */
	spoil(ENCODER, "\x72\x1a\x0a\x0a" "model_type\x12\x0c" "whisper-tiny", "\x72\x1d\x0a\x0a" "model_type\x12\x0f" "whisper-tiny.en", 0);
	start(&w, &pool, folder);
	assert_int_equal(sn_whisper_get_config(w)->alignment_count, 1); /* of eight in layers 1 to 3 */
	assert_true(sn_whisper_get_config(w)->alignment[0].layer == 1 && sn_whisper_get_config(w)->alignment[0].head == 0);
	stop(&w, &pool);
	fresh_copy();
	spoil(ENCODER, "\x0c" "sot_sequence\x12\x0b" "317,318,322", "\x0f" "alignment_heads\x12\x08" "0:1,1:00", 0);
	start(&w, &pool, folder);
	assert_int_equal(sn_whisper_get_config(w)->alignment_count, 2);
	assert_true(sn_whisper_get_config(w)->alignment[0].layer == 0 && sn_whisper_get_config(w)->alignment[0].head == 1);
	stop(&w, &pool);
	spoil(ENCODER, "0:1,1:00", "0:1,1;00", 0);
	assert_refused(folder, SN_E_MODEL, "alignment_heads", "layer:head");
}

/* Floats [1500, width] of what is heard of a fixed spectrum. */
static float *heard(const char *path, int *count) {
	char err[SN_ERRLEN];
	nn_pool *pool;
	sn_whisper *w;
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK];
	start(&w, &pool, path);
	const sn_whisper_config *c = sn_whisper_get_config(w);
	float *mel = sn_whisper_mel_input(w);
	for (int i = 0; i < 2 * c->source_positions * c->mels; i++)
		mel[i] = sinf(0.37f * (float)(i % 1013)) * 0.7f;
	sn_whisper_encode_begin(w, 0);
	while (sn_whisper_encode_next(w, 7, NULL) == SN_AGAIN)
		continue;
	assert_int_equal(sn_whisper_tensor(w, "encoder_out", &values, &rank, dims, err), SN_OK);
	*count = c->source_positions * c->width;
	stop(&w, &pool);
	return values;
}

static double distance(const float *a, const float *b, int count) {
	double lost = 0, all = 0;
	for (int i = 0; i < count; i++) {
		lost += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
		all += (double)b[i] * (double)b[i];
	}
	return sqrt(lost / all);
}

static void either_kind_is_found(void **state) {
	int count;
	fresh_copy();
	link_file(INT8, INT8);
	float *plain = heard(original, &count), *both = heard(folder, &count), *by_decoder = heard(path_of(DECODER), &count);
	float *by_name = heard(path_of(ENCODER), &count), *int8 = heard(path_of(INT8), &count);
	const size_t bytes = (size_t)count * sizeof *plain;
	assert_memory_equal(both, plain, bytes); /* the floats, where both are there */
	assert_memory_equal(by_name, plain, bytes);
	assert_memory_equal(by_decoder, plain, bytes);
	assert_true(distance(int8, plain, count) > 1e-3 && distance(int8, plain, count) < 0.03); /* 7 bits of each matrix */
	unlink(path_of(ENCODER));
	float *alone = heard(folder, &count);
	assert_memory_equal(alone, int8, bytes);
	free(plain);
	free(both);
	free(by_decoder);
	free(by_name);
	free(int8);
	free(alone);
}

static void what_is_missing_is_named(void **state) {
	fresh_copy();
	unlink(path_of(DECODER));
	assert_refused(folder, SN_E_NOT_FOUND, "without its decoder", "'tiny-decoder.int8.onnx'");
	assert_refused(path_of(ENCODER), SN_E_NOT_FOUND, "without its decoder", "'tiny-decoder.onnx'");
	fresh_copy();
	unlink(path_of(ENCODER));
	assert_refused(path_of(DECODER), SN_E_NOT_FOUND, "without its encoder", "'tiny-encoder.onnx'");
	fresh_copy();
	unlink(path_of(TOKENS));
	assert_refused(folder, SN_E_NOT_FOUND, "without its tokens", "'tiny-tokens.txt'");
	fresh_copy();
	link_file(ENCODER, "base-encoder.onnx");
	assert_refused(folder, SN_E_MODEL, "several models", "'tiny'");
	clear();
	assert_false(sn_whisper_is_export(folder));
	fresh_copy();
	link_file(TOKENS, "config.json"); /* what is there belongs to another layout */
	assert_false(sn_whisper_is_export(folder));
}

static void files_of_different_models_are_told(void **state) {
	fresh_copy();
	spoil(ENCODER, "\x07n_vocab\x12\x04" "1828", "\x07n_vocab\x12\x04" "1829", 0);
	assert_refused(folder, SN_E_MODEL, "'textDecoder.token_embedding.weight' is [1828, 32]", "[1829, 32]");
	fresh_copy();
	spoil(ENCODER, "n_text_layer\x12\x01" "2", "n_text_layer\x12\x01" "1", 0);
	assert_refused(folder, SN_E_MODEL, "'textDecoder.blocks.1.attn_ln.weight'", "expected 1 layers");
	fresh_copy();
	spoil(ENCODER, "n_audio_layer\x12\x01" "2", "n_audio_layer\x12\x01" "3", 0);
	assert_refused(folder, SN_E_MODEL, "'audioEncoder.blocks.2.attn.query'", "is not found");
	fresh_copy();
	spoil(ENCODER, "n_text_head\x12\x01" "2", "n_text_head\x12\x01" "5", 0);
	assert_refused(folder, SN_E_MODEL, "32", "5");
	fresh_copy();
	unlink(path_of(DECODER));
	link_file(ENCODER, DECODER);
	assert_refused(folder, SN_E_MODEL, DECODER, "expected a graph");
}

static void damaged_files_are_named(void **state) {
	fresh_copy();
	spoil(DECODER, NULL, NULL, 300000);
	assert_refused(folder, SN_E_MODEL, DECODER, "malformed at byte");
	fresh_copy();
	spoil(ENCODER, NULL, NULL, 1000);
	assert_refused(folder, SN_E_MODEL, ENCODER, "malformed at byte");
	fresh_copy();
	spoil(ENCODER, "n_audio_state", "m_audio_state", 0);
	assert_refused(folder, SN_E_MODEL, "no 'n_audio_state' in its metadata", ENCODER);
	fresh_copy();
	spoil(ENCODER, "whisper-tiny", "moonshine-ti", 0);
	assert_refused(folder, SN_E_MODEL, "'model_type' as 'moonshine-ti'", "'whisper-..'");
	fresh_copy();
	spoil(ENCODER, "318,319,320", "318,319;320", 0);
	assert_refused(folder, SN_E_MODEL, "all_language_tokens", "numbers with commas");
	fresh_copy();
	spoil(ENCODER, "en,fr,de", "en,frXde", 0);
	assert_refused(folder, SN_E_MODEL, "all_language_tokens", "one id for each");
	fresh_copy();
	spoil(ENCODER, "n_mels\x12\x02" "80", "n_mels\x12\x02" "8o", 0);
	assert_refused(folder, SN_E_MODEL, "'n_mels' as '8o'", "a number");
	fresh_copy();
	spoil(ENCODER, "\x08" "blank_id\x12\x03" "220", "\x08" "blank_id\x12\x03" "-20", 0);
	assert_refused(folder, SN_E_MODEL, "blank_id", "a number");
	fresh_copy();
	spoil(ENCODER, "\x03" "eot\x12\x03" "316", "\x03" "eot\x12\x03" "317", 0);
	assert_refused(folder, SN_E_MODEL, "the id 317", "belongs to another");
	fresh_copy();
	spoil(TOKENS, "IQ== 0", "I*== 0", 0);
	assert_refused(folder, SN_E_FORMAT, TOKENS, "line 1");
	fresh_copy();
	spoil(ENCODER, "onnx::MatMul_361", "onnx::MatMul_36l", 0); /* the name of a node's input or of the tensor, not both */
	assert_refused(folder, SN_E_MODEL, "the product of 'audioEncoder.blocks.0.attn.key'", "is not found");
}

/* Any result will do: the sanitisers watch. */
static void a_spoilt_byte_harms_nobody(void **state) {
	static char bytes[1 << 20];
	fresh_copy();
	spoil(ENCODER, NULL, NULL, 0);
	FILE *f = fopen(path_of(ENCODER), "r+b");
	const size_t size = fread(bytes, 1, sizeof bytes, f);
	uint32_t draw = 1;
	for (int i = 0; i < 60; i++) {
		char err[SN_ERRLEN] = "";
		nn_pool *pool;
		sn_whisper *w;
		draw = draw * 1664525 + 1013904223;
		const long at = (long)(draw >> 4) % (long)size;
		assert_int_equal(fseek(f, at, SEEK_SET), 0);
		fputc(bytes[at] ^ (i % 2 ? 1 : 0xff), f);
		fflush(f);
		if (open_at(&w, &pool, folder, err) != SN_OK)
			assert_true(*err);
		stop(&w, &pool);
		assert_int_equal(fseek(f, at, SEEK_SET), 0);
		fputc(bytes[at], f);
		fflush(f);
	}
	fclose(f);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_is_the_checkpoints), cmocka_unit_test(heads_are_given_or_those_of_the_model),
		cmocka_unit_test(either_kind_is_found), cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(files_of_different_models_are_told), cmocka_unit_test(damaged_files_are_named),
		cmocka_unit_test(a_spoilt_byte_harms_nobody),
	};
	if (argc < 3 || !mkdtemp(folder))
		return 2;
	fixture = argv[1];
	original = argv[2];
	int failed = cmocka_run_group_tests_name("whisper onnx", tests, NULL, NULL);
	clear();
	rmdir(folder);
	return failed;
}
