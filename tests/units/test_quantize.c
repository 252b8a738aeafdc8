/* Narrower weights: int8 matrices pack as their originals do, tables stay exact where they can, and files that lie are refused. */
#include "nn/cpu/kernels.h"
#include "nn/plan.h"
#include "weights/quantize.h"
#include "weights_files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 67
#define COLS 131
#define MAX_FILE ((size_t)1 << 22)

static char dir[] = "/tmp/sonant-quantize-XXXXXX";

static const char *path_of(const char *name) {
	static char path[2][256];
	static int turn;
	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static uint32_t state = 1;

/* Rows of very different sizes; one is zero. */
static void fill(float *w) {
	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < COLS; c++) {
			state = state * 1664525u + 1013904223u;
			w[r * COLS + c] = r == 5 ? 0 : ((float)(state >> 8) / (1 << 23) - 1) * ldexpf(1 + (float)(state & 255) / 999, r % 40 - 25);
		}
}

/* w [67, 131] and token.emb [67, 131] (float16 holds it), norm [67] */
static void write_original(const float *w) {
	sn_buf b;
	char header[512];
	const int size = ROWS * COLS * 4;
	sn_buf_init(&b, MAX_FILE);
	snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]},\"token.emb\":{\"dtype\":\"F32\",\"shape\":[%d,%d],"
	         "\"data_offsets\":[%d,%d]},\"norm\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}", ROWS, COLS, size, ROWS, COLS, size,
	         2 * size, ROWS, 2 * size, 2 * size + ROWS * 4);
	put(&b, strlen(header), 8);
	sn_buf_text(&b, header);
	sn_buf_add(&b, w, (size_t)size);
	for (int i = 0; i < ROWS * COLS; i++)
		put_float(&b, (float)(i % 2047) * 0x1p-20f);
	sn_buf_add(&b, w, ROWS * 4);
	assert_int_equal(b.failed, SN_OK);
	assert_true(save(path_of("original.safetensors"), b.data, b.size));
	sn_buf_free(&b);
}

static sn_weights *open_good(const char *name) {
	char err[SN_ERRLEN] = "";
	sn_weights *w;
	if (sn_weights_open(&w, path_of(name), err) != SN_OK)
		fail_msg("%s", err);
	return w;
}

static void quantize(sn_dtype to, const char *name, sn_quantized_weight **list) {
	char err[SN_ERRLEN] = "";
	sn_weights *w = open_good("original.safetensors");
	unlink(path_of(name));
	if (sn_quantize_plan(list, w, to, err) != SN_OK || sn_quantize_write(*list, w, to, path_of(name), NULL, NULL, err) != SN_OK)
		fail_msg("%s", err);
	sn_weights_close(&w);
}

static void floats_of(const sn_weights *w, const char *name, float *out, int64_t count) {
	const sn_weight *t = sn_weights_find(w, name);
	assert_non_null(t);
	sn_weight_floats(t, 0, count, out);
}

static void packs_alike(const nn_gemm_family *f, const float *a, const float *b) {
	const size_t size = (nn_packed_size(f, ROWS, COLS, 1) + NN_OVERREAD + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
	char *packed[2] = { aligned_alloc(NN_ALIGN, size), aligned_alloc(NN_ALIGN, size) };
	memset(packed[0], 0, size);
	memset(packed[1], 0, size);
	float scale[2][ROWS + 64];
	int32_t sums[2][ROWS + 64];
	f->pack(a, ROWS, COLS, 1, COLS, COLS, 1, packed[0], scale[0], sums[0]);
	f->pack(b, ROWS, COLS, 1, COLS, COLS, 1, packed[1], scale[1], sums[1]);
	assert_memory_equal(packed[0], packed[1], size);
	assert_memory_equal(scale[0], scale[1], ROWS * sizeof(float));
	assert_memory_equal(sums[0], sums[1], ROWS * sizeof(int32_t));
	free(packed[0]);
	free(packed[1]);
}

static void test_packs_as_the_original(void **unused) {
	static float w[ROWS * COLS + NN_OVERREAD / sizeof(float)], stored[ROWS * COLS + NN_OVERREAD / sizeof(float)], table[ROWS * COLS];
	nn_kernels scalar = { 0 };
	nn_kernels_fill(&scalar, 0);
	for (int round = 0; round < 20; round++) {
		sn_quantized_weight *list;
		fill(w);
		write_original(w);
		quantize(SN_I8, "int8.safetensors", &list);
		sn_weights *q = open_good("int8.safetensors");
		assert_int_equal(sn_weights_count(q), 3); /* scales are no tensors */
		assert_int_equal(sn_weights_find(q, "w")->dtype, SN_I8);
		assert_int_equal(sn_weights_find(q, "token.emb")->dtype, SN_F16);
		assert_int_equal(sn_weights_find(q, "norm")->dtype, SN_F32);
		assert_null(sn_weights_find(q, "w.scale"));
		floats_of(q, "w", stored, ROWS * COLS);
		packs_alike(&nn_kernels_best()->s8, w, stored);
		packs_alike(&scalar.s8, w, stored);
		floats_of(q, "token.emb", table, ROWS * COLS);
		for (int i = 0; i < ROWS * COLS; i++)
			assert_true(table[i] == (float)(i % 2047) * 0x1p-20f);
		assert_true(list[0].error > 1e-4 && list[0].error < 0.01 && list[1].error == 0);
		free(list);
		sn_weights_close(&q);
	}
}

static void test_bf16(void **unused) {
	static float w[ROWS * COLS], stored[ROWS * COLS];
	sn_quantized_weight *list;
	fill(w);
	write_original(w);
	quantize(SN_BF16, "bf16.safetensors", &list);
	sn_weights *q = open_good("bf16.safetensors");
	assert_int_equal(sn_weights_find(q, "w")->dtype, SN_BF16);
	floats_of(q, "w", stored, ROWS * COLS);
	for (int i = 0; i < ROWS * COLS; i++)
		assert_true(fabsf(w[i] - stored[i]) <= fabsf(w[i]) * 0x1p-8f);
	free(list);
	sn_weights_close(&q);
}

/* A file of one int8 matrix [2, 3], with that for its scales. */
static void refused(const char *scales, size_t data, float value, const char *says) {
	char err[SN_ERRLEN] = "", header[512];
	sn_buf b;
	sn_weights *w;
	snprintf(header, sizeof header, "{\"__metadata__\":{\"sonant.quantized\":\"int8\"},\"w\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[0,6]}%s}", scales);
	sn_buf_init(&b, MAX_FILE);
	put(&b, strlen(header), 8);
	sn_buf_text(&b, header);
	sn_buf_add(&b, "\1\2\3\4\5\6", 6);
	for (size_t i = 0; i < data / 4; i++)
		put_float(&b, value);
	assert_true(save(path_of("bad.safetensors"), b.data, b.size));
	sn_buf_free(&b);
	const int result = sn_weights_open(&w, path_of("bad.safetensors"), err);
	if (!says) {
		assert_int_equal(result, SN_OK);
		sn_weights_close(&w);
	} else if (result != SN_E_MODEL || !strstr(err, says)) {
		fail_msg("expected '%s', got %s: %s", says, sn_result_name(result), err);
	}
}

static void test_refused(void **unused) {
	static const char good[] = ",\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[6,14]}";
	refused(good, 8, 0.5f, NULL);
	refused(good, 8, 0, "must be positive");
	refused(good, 8, -1, "must be positive");
	refused(good, 8, NAN, "must be positive");
	refused(good, 8, INFINITY, "must be positive");
	refused(",\"w.scale\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[6,18]}", 12, 1, "one for each row");
	refused(",\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[6,10]}", 4, 1, "one for each row");
	refused(",\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[6,14]}", 8, 1, "one for each row");
	refused(",\"w.scale\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[6,14]}", 8, 1, "one for each row");
	refused(",\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[6,99]}", 8, 1, "ends at byte 99");
	refused("", 0, 0, NULL); /* integers that are no weights */
}

static int begin(void **unused) { return mkdtemp(dir) ? 0 : -1; }

static int end(void **unused) {
	static const char *const names[] = { "original.safetensors", "int8.safetensors", "bf16.safetensors", "bad.safetensors" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path_of(names[i]));
	return rmdir(dir);
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_packs_as_the_original), cmocka_unit_test(test_bf16), cmocka_unit_test(test_refused) };
	return cmocka_run_group_tests(tests, begin, end);
}
