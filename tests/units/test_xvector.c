/* Embeddings of clips: what they must not depend on, and what damaged encoders and unusable clips get. test_xvector FOLDER: holds
 * xvector and speecht5. */
#include "models/synth.h"
#include "models/xvector.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#define WIDTH 16

static const char *fixtures;
static char folder[] = "/tmp/test_xvector_XXXXXX";

static sn_xvector *fixture(void) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	sn_xvector *x = NULL;
	snprintf(path, sizeof path, "%s/xvector", fixtures);
	const sn_load_options load = { .dir = path };
	assert_int_equal(sn_xvector_open(&x, &load, err), SN_OK);
	assert_int_equal(sn_xvector_width(x), WIDTH);
	return x;
}

/* A voice-like tone at `pitch` Hz; free() it. */
static float *clip(double seconds, int rate, double pitch, int64_t *count) {
	*count = (int64_t)(seconds * rate);
	float *const pcm = malloc((size_t)*count * sizeof *pcm);
	assert_non_null(pcm);
	for (int64_t i = 0; i < *count; i++) {
		pcm[i] = 0;
		for (int h = 1; h < 8; h++) pcm[i] += (float)(0.1 / h * sin(6.283185307179586 * h * pitch * (double)i / rate));
	}
	return pcm;
}

static double similarity(const float *a, const float *b) {
	double ab = 0, aa = 0, bb = 0;
	for (int i = 0; i < WIDTH; i++) {
		ab += (double)a[i] * b[i];
		aa += (double)a[i] * a[i];
		bb += (double)b[i] * b[i];
	}
	return ab / sqrt(aa * bb);
}

static void the_rate_of_a_clip_hardly_matters(void **state) {
	sn_xvector *x = fixture();
	char err[SN_ERRLEN] = "";
	float at16[WIDTH], at44[WIDTH], again[WIDTH], other[WIDTH];
	int64_t count;
	float *pcm = clip(2, 16000, 140, &count);
	assert_int_equal(sn_xvector_embed(x, pcm, count, 16000, at16, err), SN_OK);
	assert_int_equal(sn_xvector_embed(x, pcm, count, 16000, again, err), SN_OK);
	assert_memory_equal(at16, again, sizeof at16);
	free(pcm);
	pcm = clip(2, 44100, 140, &count);
	assert_int_equal(sn_xvector_embed(x, pcm, count, 44100, at44, err), SN_OK);
	free(pcm);
	pcm = clip(2, 16000, 220, &count);
	assert_int_equal(sn_xvector_embed(x, pcm, count, 16000, other, err), SN_OK);
	free(pcm);
	assert_true(similarity(at16, at44) > 0.99);
	assert_true(similarity(at16, at44) > similarity(at16, other));
	sn_xvector_close(&x);
}

static void unusable_clips_are_refused(void **state) {
	sn_xvector *x = fixture();
	char err[SN_ERRLEN] = "";
	float embedding[WIDTH];
	int64_t count;
	float *const pcm = clip(61, 16000, 140, &count);
	assert_int_equal(sn_xvector_embed(x, pcm, 7999, 16000, embedding, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "at least 0.5 s"));
	assert_int_equal(sn_xvector_embed(x, pcm, 16000, 0, embedding, err), SN_E_ARGUMENT);
	assert_int_equal(sn_xvector_embed(x, pcm, count, 16000, embedding, err), SN_OK); /* its first minute */
	pcm[5] = NAN;
	assert_int_equal(sn_xvector_embed(x, pcm, 16000, 16000, embedding, err), SN_E_FORMAT);
	assert_non_null(strstr(err, "sample 5 of the clip"));
	free(pcm);
	sn_xvector_close(&x);
}

static void silence_has_an_embedding(void **state) {
	sn_xvector *x = fixture();
	char err[SN_ERRLEN] = "";
	float embedding[WIDTH], *const pcm = calloc(16000, sizeof *pcm);
	assert_non_null(pcm);
	assert_int_equal(sn_xvector_embed(x, pcm, 16000, 16000, embedding, err), SN_OK);
	free(pcm);
	sn_xvector_close(&x);
}

static void expect_unusable(const char *yaml, int expected, const char *says) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	sn_xvector *x = NULL;
	snprintf(path, sizeof path, "%s/hyperparams.yaml", folder);
	FILE *const file = fopen(path, "w");
	assert_non_null(file);
	fputs(yaml, file);
	fclose(file);
	const sn_load_options load = { .dir = folder };
	const int code = sn_xvector_open(&x, &load, err);
	sn_xvector_close(&x);
	if (code != expected || !strstr(err, says)) fail_msg("%d '%s' is not %d '%s'", code, err, expected, says);
}

static void settings_are_checked(void **state) {
	char from[PATH_MAX], to[PATH_MAX];
	snprintf(from, sizeof from, "%s/xvector/embedding_model.ckpt", fixtures);
	snprintf(to, sizeof to, "%s/embedding_model.ckpt", folder);
	assert_int_equal(symlink(from, to), 0);
	expect_unusable("", SN_OK, ""); /* the published encoder's values */
	expect_unusable("n_mels: 23\n", SN_E_MODEL, "'n_mels' is 23, but the weights take 24");
	expect_unusable("n_mels: 24000000000\n", SN_E_MODEL, "'n_mels' is 2.4e+10");
	expect_unusable("tdnn_dilations: [1, 2]\n", SN_E_MODEL, "no value for block 2 of 5");
	expect_unusable("tdnn_dilations: [1, 2, 3, 1, 99999]\n", SN_E_MODEL, "'tdnn_dilations'[4]");
	expect_unusable("tdnn_dilations: [1, 2, 3, 1, 1", SN_E_MODEL, "list of at most");
	expect_unusable("tdnn_dilations: 7\n", SN_E_MODEL, "in brackets");
	expect_unusable("tdnn_dilations: [1024, 2, 3, 1, 1]\n", SN_E_MODEL, "reaches 2048 frames");
	expect_unusable("activation: !name:torch.nn.Mish\n", SN_E_UNSUPPORTED, "!name:torch.nn.Mish");
	expect_unusable("win_length: 26\n", SN_E_ARGUMENT, "416"); /* more samples than n_fft has */
	unlink(to);
}

static void a_speaking_model_finds_its_encoder(void **state) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	nn_pool *pool;
	void *synth = NULL;
	float embedding[WIDTH];
	int64_t count;
	float *const pcm = clip(1, 22050, 140, &count);
	snprintf(path, sizeof path, "%s/speecht5", fixtures);
	assert_int_equal(nn_pool_open(&pool, 2, err), SN_OK);
	const sn_load_options load = { .dir = path, .pool = pool };
	assert_int_equal(sn_synth_speecht5.open(&synth, &load, err), SN_OK);
	assert_int_equal(sn_synth_speecht5.facts(synth)->embeds, 1);
	assert_int_equal(sn_synth_speecht5.facts(synth)->embedding, WIDTH);
	assert_int_equal(sn_synth_speecht5.embed(synth, pcm, count, 22050, embedding, err), SN_OK);
	for (int i = 0; i < WIDTH; i++) assert_true(isfinite(embedding[i]));
	sn_synth_speecht5.close(&synth);
	nn_pool_close(&pool);
	free(pcm);
}

static int make_folder(void **state) { return mkdtemp(folder) ? 0 : -1; }

static int remove_folder(void **state) {
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/hyperparams.yaml", folder);
	unlink(path);
	return rmdir(folder);
}

int main(int argc, char **argv) {
	static char absolute[PATH_MAX];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_of_a_clip_hardly_matters), cmocka_unit_test(unusable_clips_are_refused),
		cmocka_unit_test(silence_has_an_embedding), cmocka_unit_test(settings_are_checked), cmocka_unit_test(a_speaking_model_finds_its_encoder),
	};
	if (argc != 2 || !realpath(argv[1], absolute)) return 2;
	fixtures = absolute;
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
