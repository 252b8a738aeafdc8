/* Reading checkpoints: what each format holds comes out under its name, and what is malformed is refused with a sentence. */
#include "weights/onnx.h"
#include "weights/reader.h"
#include "weights/weights.h"
#include "weights_files.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <minizip/zip.h>

#include <cmocka.h>

#define MAX_FILE ((size_t)1 << 20)

static char dir[] = "/tmp/sonant-weights-XXXXXX";

static const char *path_of(const char *name) {
	static char path[2][256];
	static int turn;
	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void save_file(const char *name, sn_buf *b) {
	assert_int_equal(b->failed, SN_OK);
	assert_true(save(path_of(name), b->data, b->size));
	sn_buf_free(b);
}

static void save_text(const char *name, const char *text) { assert_true(save(path_of(name), text, strlen(text))); }

static void save_safetensors(const char *name, const char *header, size_t data_size) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_safetensors(&b, header, data_size);
	save_file(name, &b);
}

static sn_weights *open_good(const char *path) {
	char err[SN_ERRLEN] = "";
	sn_weights *w;
	if (sn_weights_open(&w, path, err) != SN_OK)
		fail_msg("%s", err);
	return w;
}

static void expect_failure(const char *path, int code, const char *says) {
	char err[SN_ERRLEN] = "";
	sn_weights *w = (sn_weights *)1;
	int result = sn_weights_open(&w, path, err);
	if (result != code || !strstr(err, says))
		fail_msg("expected %s and '%s', got %s: %s", sn_result_name(code), says, sn_result_name(result), err);
	assert_null(w);
}

static void expect_floats(const sn_weight *w, int count, const float *expected) {
	float values[64];
	assert_non_null(w);
	sn_weight_floats(w, 0, count, values);
	for (int i = 0; i < count; i++)
		if (values[i] != expected[i])
			fail_msg("%s[%d] is %g instead of %g", w->name, i, (double)values[i], (double)expected[i]);
}

/* ---- safetensors ---- */

static void safetensors_holds_its_tensors(void **state) {
	save_safetensors("a.safetensors",
	                 "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
	                 "\"a\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],"
	                 "\"data_offsets\":[16,16]}}",
	                 16);
	sn_weights *w = open_good(path_of("a.safetensors"));
	assert_int_equal(sn_weights_count(w), 3);
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_SAFETENSORS);
	const sn_weight *a = sn_weights_find(w, "a"), *b = sn_weights_find(w, "b");
	assert_ptr_equal(sn_weights_at(w, 0), a); /* by place in the file, not in the header */
	assert_int_equal(a->dtype, SN_F16);
	assert_int_equal(a->rank, 2);
	assert_int_equal(a->dims[1], 2);
	assert_int_equal(a->bytes, 8);
	assert_int_equal(((const uint8_t *)a->data)[1], 37);
	assert_int_equal(b->rank, 0);
	assert_int_equal(sn_weights_find(w, "none")->bytes, 0);
	assert_null(sn_weights_find(w, "__metadata__"));
	assert_null(sn_weights_find(w, ""));
	sn_weights_close(&w);
	assert_null(w);
	sn_weights_close(&w);
}

static void safetensors_headers_are_checked(void **state) {
	static const struct {
		const char *header;
		size_t data;
		const char *says;
	} cases[] = {
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "ends at byte 8 of the data; there are 7" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "cover 8 bytes of data; there are 9" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "need 12" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "begin <= end" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "begin <= end" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "two integers" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "two integers" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551615]}}", 8, "not a JSON object" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}}", 8, "there are 8" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
		  "'b' begins at byte 4" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "begins at byte 4" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
		  "duplicate" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}", 8, "too large" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "non-negative" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, "at most 8" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "a list of at most" },
		{ "{\"a\":{\"dtype\":\"F8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "dtype 'F8'" },
		{ "{\"a\":{\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "dtype '(none)'" },
		{ "{\"a\":7}", 0, "dtype '(none)'" },
		{ "{\"\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "name has 0 bytes" },
		{ "[]", 0, "not a JSON object" },
		{ "{\"a\":", 0, "not a JSON object" },
		{ "", 0, "not a JSON object" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		save_safetensors("bad.safetensors", cases[i].header, cases[i].data);
		expect_failure(path_of("bad.safetensors"), SN_E_MODEL, cases[i].says);
	}
	save_text("bad.safetensors", "1234567");
	expect_failure(path_of("bad.safetensors"), SN_E_MODEL, "the file has 7");
	save_text("bad.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}");
	expect_failure(path_of("bad.safetensors"), SN_E_MODEL, "claims 18446744073709551615 bytes");
	save_text("bad.safetensors", "");
	expect_failure(path_of("bad.safetensors"), SN_E_MODEL, "is empty");
}

static void shards_are_joined(void **state) {
	assert_int_equal(mkdir(path_of("shards"), 0700), 0);
	save_safetensors("shards/one.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
	save_safetensors("shards/two.safetensors", "{\"b\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]}}", 5);
	const char *index = "shards/model.safetensors.index.json";
	save_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
	sn_weights *w = open_good(path_of("shards"));
	assert_int_equal(sn_weights_find(w, "a")->bytes, 4);
	assert_int_equal(sn_weights_find(w, "b")->bytes, 5);
	sn_weights_close(&w);
	save_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"three.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_NOT_FOUND, "three.safetensors");
	save_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"two.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "tensor 'c' is not in 'two.safetensors'");
	save_text(index, "{\"weight_map\":{\"a\":\"../a.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "no name of a shard");
	save_text(index, "{\"weight_map\":{\"a\":7}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "no name of a shard");
	save_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "tensor 'b' is not in 'one.safetensors'");
	save_text(index, "{\"weight_map\":{\"b\":\"one.safetensors\",\"a\":\"two.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "tensor 'b' lies in 'two.safetensors', the index names 'one.safetensors'");
	save_safetensors("shards/again.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
	save_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"again.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "'a'");
	save_safetensors("shards/cut.safetensors", "{\"b\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]}}", 3);
	save_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"cut.safetensors\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "tensor 'b' ends at byte 5 of the data; there are 3");
	save_text(index, "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "model.safetensors.index.json");
	save_text(index, "{\"weight_map\":{}}");
	expect_failure(path_of("shards"), SN_E_MODEL, "lists no tensor");
	save_text(index, "{}");
	expect_failure(path_of("shards"), SN_E_MODEL, "weight_map");
	save_text(index, "{\"weight_map\":");
	expect_failure(path_of("shards"), SN_E_MODEL, "not valid JSON");
}

/* ---- CTranslate2 ---- */

static void ctranslate2_scales_and_aliases(void **state) {
	for (uint32_t version = 4; version <= 6; version++) {
		sn_buf b;
		sn_buf_init(&b, MAX_FILE);
		make_ctranslate2(&b, version);
		save_file("model.bin", &b);
		sn_weights *w = open_good(path_of("model.bin"));
		assert_int_equal(sn_weights_layout(w), SN_LAYOUT_CTRANSLATE2);
		const float matrix[] = { 1, 2, 3, -1, 2, 3 };
		expect_floats(sn_weights_find(w, "embed/weight"), 6, matrix);
		expect_floats(sn_weights_find(w, "head/weight"), 6, matrix);
		expect_floats(sn_weights_find(w, "norm/gamma"), 2, (float[]){ 1, -2 });
		float middle[3];
		sn_weight_floats(sn_weights_find(w, "embed/weight"), 2, 3, middle);
		assert_true(middle[0] == 3 && middle[1] == -1 && middle[2] == 2);
		sn_weights_close(&w);
	}
	unlink(path_of("model.bin"));
}

static void ctranslate2_is_checked(void **state) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_ctranslate2(&b, 7);
	save_file("bad/model.bin", &b);
	expect_failure(path_of("bad/model.bin"), SN_E_MODEL, "binary version 7");
	make_ctranslate2(&b, 6);
	char *second = memmem(b.data, b.size, "embed/weight_scale", 18);
	memcpy(second, "embed/weight\0_____", 18);
	save_file("bad/model.bin", &b);
	expect_failure(path_of("bad/model.bin"), SN_E_MODEL, "is not a text");
	make_ctranslate2(&b, 6);
	char *scale = memmem(b.data, b.size, "embed/weight_scale", 18);
	memset(scale + 18 + 1 + 1 + 4 + 1 + 4, 0, 4);
	save_file("bad/model.bin", &b);
	expect_failure(path_of("bad/model.bin"), SN_E_MODEL, "holds the scale 0");
}

/* ---- ONNX ---- */

static const sn_onnx_node *node_of(const sn_weights *w, const char *name) {
	for (size_t i = 0; i < sn_onnx_node_count(w); i++)
		if (strcmp(sn_onnx_node_at(w, i)->name, name) == 0)
			return sn_onnx_node_at(w, i);
	fail_msg("no node '%s'", name);
	return NULL;
}

static void onnx_holds_tensors_and_nodes(void **state) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_onnx(&b);
	save_file("a.onnx", &b);
	sn_weights *w = open_good(path_of("a.onnx"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_ONNX);
	expect_floats(sn_weights_find(w, "raw"), 2, (float[]){ 1, 2 });
	expect_floats(sn_weights_find(w, "typed"), 2, (float[]){ 3, 4 });
	expect_floats(sn_weights_find(w, "half"), 1, (float[]){ 1 });
	const sn_onnx_node *conv = node_of(w, "conv");
	assert_string_equal(conv->op, "Conv");
	assert_int_equal(conv->input_count, 2);
	assert_string_equal(conv->outputs[0], "y");
	assert_null(sn_onnx_input(w, conv, 0));
	assert_ptr_equal(sn_onnx_input(w, conv, 1), sn_weights_find(w, "raw"));
	assert_null(sn_onnx_input(w, conv, 2));
	const sn_onnx_attribute *strides = sn_onnx_attribute_find(conv, "strides");
	assert_int_equal(strides->count, 2);
	assert_int_equal(strides->ints[1], 3);
	assert_true(sn_onnx_attribute_find(conv, "alpha")->f == 0.5f);
	assert_null(sn_onnx_attribute_find(conv, "pads"));
	sn_weights_close(&w);
}

static void onnx_bodies_keep_their_names_apart(void **state) {
	sn_weights *w = open_good(path_of("a.onnx"));
	const sn_onnx_node *then = node_of(w, "use_then"), *other = node_of(w, "use_else");
	assert_string_equal(then->scope, "branch.then_branch");
	assert_string_equal(other->scope, "branch.else_branch");
	assert_string_equal(sn_onnx_node_at(w, (size_t)other->parent)->name, "branch");
	assert_int_equal(*(const int64_t *)sn_onnx_input(w, then, 0)->data, 5);
	assert_int_equal(*(const int64_t *)sn_onnx_input(w, other, 0)->data, 6);
	sn_weights_close(&w);
}

/* A model whose graph holds one tensor made by `make`. */
static void expect_tensor_failure(void (*make)(sn_buf *), int code, const char *says) {
	sn_buf b, graph, tensor;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&graph, MAX_FILE);
	sn_buf_init(&tensor, MAX_FILE);
	make(&tensor);
	put_message(&graph, 5, &tensor);
	put_message(&b, 7, &graph);
	save_file("bad.onnx", &b);
	sn_buf_free(&graph);
	sn_buf_free(&tensor);
	expect_failure(path_of("bad.onnx"), code, says);
}

static void few_values(sn_buf *t) {
	put_tensor_head(t, "w", 1, (uint64_t[]){ 3 }, 1);
	put_bytes(t, 4, "\0\0\0\0\0\0\0\0", 8);
}
static void huge_shape(sn_buf *t) {
	put_tensor_head(t, "w", 2, (uint64_t[]){ 1ull << 40, 1ull << 40 }, 1);
	put_bytes(t, 9, "\0\0\0\0", 4);
}
static void short_raw(sn_buf *t) {
	put_tensor_head(t, "w", 1, (uint64_t[]){ 2 }, 1);
	put_bytes(t, 9, "\0\0\0\0", 4);
}
static void odd_packed(sn_buf *t) {
	put_tensor_head(t, "w", 1, (uint64_t[]){ 1 }, 1);
	put_bytes(t, 4, "\0\0\0", 3);
}
static void elsewhere(sn_buf *t) {
	put_tensor_head(t, "w", 1, (uint64_t[]){ 1 }, 1);
	put_text(t, 13, "");
}
static void many_dims(sn_buf *t) {
	put_tensor_head(t, "w", 9, (uint64_t[]){ 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 1);
	put_bytes(t, 9, "\0\0\0\0", 4);
}

static void onnx_is_checked(void **state) {
	expect_tensor_failure(few_values, SN_E_MODEL, "holds 2 values; its shape needs 3");
	expect_tensor_failure(huge_shape, SN_E_MODEL, "too large");
	expect_tensor_failure(short_raw, SN_E_MODEL, "has 4 bytes; its shape and type (float32) need 8");
	expect_tensor_failure(odd_packed, SN_E_MODEL, "malformed numbers");
	expect_tensor_failure(elsewhere, SN_E_MODEL, "the name of a file beside it is expected");
	expect_tensor_failure(many_dims, SN_E_MODEL, "9 dimensions");
	save_text("bad.onnx", "\x08\x07");
	expect_failure(path_of("bad.onnx"), SN_E_MODEL, "holds no graph");
}

/* "w", float32 [2, 3], in a file beside it; NULL: not said */
static void save_external(const char *location, const char *offset, const char *length) {
	const char *const said[][2] = { { "location", location }, { "offset", offset }, { "length", length } };
	sn_buf b, graph, tensor, entry;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&graph, MAX_FILE);
	sn_buf_init(&tensor, MAX_FILE);
	sn_buf_init(&entry, MAX_FILE);
	put_tensor_head(&tensor, "w", 2, (uint64_t[]){ 2, 3 }, 1);
	for (int i = 0; i < 3; i++)
		if (said[i][1]) {
			put_text(&entry, 1, said[i][0]);
			put_text(&entry, 2, said[i][1]);
			put_message(&tensor, 13, &entry);
		}
	put_number(&tensor, 14, 1);
	put_message(&graph, 5, &tensor);
	put_message(&b, 7, &graph);
	put_text(&entry, 1, "n_mels");
	put_text(&entry, 2, "80");
	put_message(&b, 14, &entry);
	save_file("external.onnx", &b);
	sn_buf_free(&graph);
	sn_buf_free(&tensor);
	sn_buf_free(&entry);
}

static void expect_external_failure(const char *location, const char *offset, const char *length, const char *says) {
	save_external(location, offset, length);
	expect_failure(path_of("external.onnx"), SN_E_MODEL, says);
}

static void onnx_tensors_lie_in_other_files(void **state) {
	const float values[] = { 9, 1, 2, 3, 4, 5, 6 };
	save_external("all.weights", "4", "24");
	expect_failure(path_of("external.onnx"), SN_E_MODEL, "'all.weights', which is not beside it");
	assert_true(save(path_of("all.weights"), values, sizeof values));
	for (int i = 0; i < 3; i++) {
		save_external("all.weights", i < 2 ? "4" : NULL, i ? NULL : "24");
		sn_weights *w = open_good(path_of("external.onnx"));
		expect_floats(sn_weights_find(w, "w"), 6, values + (i < 2));
		assert_string_equal(sn_weights_text(w, "n_mels"), "80");
		assert_null(sn_weights_text(w, "n_vocab"));
		sn_weights_close(&w);
	}
	expect_external_failure("../all.weights", "4", "24", "'../all.weights'; the name of a file beside it");
	expect_external_failure("..", NULL, NULL, "the name of a file beside it");
	expect_external_failure(NULL, "4", "24", "the name of a file beside it");
	expect_external_failure("all.weights", "4", "20", "has 20 bytes in 'all.weights'; its shape and type need 24");
	expect_external_failure("all.weights", "8", "24", "24 bytes at 8 of 'all.weights', which has 28");
	expect_external_failure("all.weights", "999999999999999999", NULL, "at 999999999999999999 of");
	expect_external_failure("all.weights", "-4", "24", "whole numbers are expected");
	expect_external_failure("all.weights", "4", "18446744073709551640", "whole numbers are expected");
	unlink(path_of("all.weights"));
	unlink(path_of("external.onnx"));
}

/* ---- tensors of several files under other names ---- */

static void add_weight(sn_weights *w, const char *name, sn_dtype dtype, int rank, const int64_t *dims, const void *data, size_t bytes) {
	char err[SN_ERRLEN];
	sn_weight weight = { .name = name, .dtype = dtype, .rank = rank, .data = data, .bytes = bytes };
	for (int i = 0; i < rank; i++)
		weight.dims[i] = dims[i];
	assert_int_equal(sn_weights_add(w, &weight, "memory", err), SN_OK);
}

static void expect_scaled(sn_weights *w, const char *name, const char *from, const char *scale, const char *zero, int turned, const float *wanted) {
	char err[SN_ERRLEN] = "";
	const sn_weight *const steps = sn_weights_find(w, scale), *const shift = zero ? sn_weights_find(w, zero) : NULL;
	if (sn_weights_compose_add_scaled(w, name, sn_weights_find(w, from), steps, shift, turned, err) != SN_OK)
		fail_msg("%s", err);
	expect_floats(sn_weights_find(w, name), 6, wanted);
}

static void refuse_scaled(sn_weights *w, const char *from, const char *scale, const char *zero, const char *says) {
	char err[SN_ERRLEN] = "";
	const sn_weight *const shift = zero ? sn_weights_find(w, zero) : NULL;
	assert_int_equal(sn_weights_compose_add_scaled(w, "refused", sn_weights_find(w, from), sn_weights_find(w, scale), shift, 1, err), SN_E_MODEL);
	if (!strstr(err, says))
		fail_msg("'%s' does not say '%s'", err, says);
}

static void composed_tensors_are_read_by_their_own_shape(void **state) {
	static const float stored[] = { 1, 2, 3, 4, 5, 6 }, one[] = { 0.5f }, three[] = { 1, 2, -0.0f }, rows[] = { 1, 2, 3 };
	static const int8_t bytes[] = { 1, 2, 3, -4, 5, 6 }, none[] = { 0 }, shift[] = { 1 };
	static const uint8_t unsigned_bytes[] = { 1, 2, 3, 255, 5, 6 }, middle[] = { 3 };
	char err[SN_ERRLEN] = "";
	sn_weights *part = open_good(path_of("a.onnx")), *w;
	assert_int_equal(sn_weights_compose(&w, &part, 1, err), SN_OK);
	assert_null(part);
	add_weight(w, "plain", SN_F32, 2, (int64_t[]){ 2, 3 }, stored, sizeof stored);
	add_weight(w, "bytes", SN_I8, 2, (int64_t[]){ 2, 3 }, bytes, sizeof bytes);
	add_weight(w, "unsigned", SN_U8, 2, (int64_t[]){ 2, 3 }, unsigned_bytes, sizeof unsigned_bytes);
	add_weight(w, "one", SN_F32, 0, NULL, one, sizeof one);
	add_weight(w, "rows", SN_F32, 1, (int64_t[]){ 3 }, rows, sizeof rows);
	add_weight(w, "bad", SN_F32, 1, (int64_t[]){ 3 }, three, sizeof three);
	add_weight(w, "none", SN_I8, 0, NULL, none, sizeof none);
	add_weight(w, "shift", SN_I8, 1, (int64_t[]){ 1 }, shift, sizeof shift);
	add_weight(w, "middle", SN_U8, 0, NULL, middle, sizeof middle);

	const float turned[] = { 1, 4, 2, 5, 3, 6 };
	assert_int_equal(sn_weights_compose_add(w, "turned", sn_weights_find(w, "plain"), 1, err), SN_OK);
	const sn_weight *const t = sn_weights_find(w, "turned");
	assert_true(t->dims[0] == 3 && t->dims[1] == 2);
	for (int first = 0; first < 6; first++)
		for (int count = 1; first + count <= 6; count++) {
			float found[7] = { [6] = 7 };
			sn_weight_floats(t, first, count, found);
			assert_memory_equal(found, turned + first, (size_t)count * sizeof *found);
			assert_true(found[6] == 7);
		}
	expect_scaled(w, "a", "bytes", "one", "none", 1, (float[]){ 0.5f, -2, 1, 2.5f, 1.5f, 3 });
	assert_int_equal(sn_weights_find(w, "a")->dtype, SN_I8); /* where it lies */
	expect_scaled(w, "b", "bytes", "one", NULL, 0, (float[]){ 0.5f, 1, 1.5f, -2, 2.5f, 3 });
	expect_scaled(w, "c", "bytes", "rows", "shift", 1, (float[]){ 0, -5, 2, 8, 6, 15 });
	expect_scaled(w, "d", "unsigned", "one", "middle", 1, (float[]){ -1, 126, -0.5f, 1, 0, 1.5f });
	refuse_scaled(w, "plain", "one", NULL, "is float32 of 2 dimensions");
	refuse_scaled(w, "bytes", "bad", NULL, "holds the scale");
	refuse_scaled(w, "bytes", "bytes", NULL, "has 6 values of int8; 1 or 3 of float32");
	refuse_scaled(w, "bytes", "one", "middle", "has 1 values of uint8; 1 or 3 of int8");
	assert_int_equal(sn_weights_compose_add(w, "rank", sn_weights_find(w, "rows"), 1, err), SN_E_MODEL);
	sn_weights_close(&w);
}

/* More rows than are read at once, and parts of rows. */
static void a_large_matrix_is_turned(void **state) {
	enum { ROWS = 131, COLUMNS = 70 };
	static float stored[ROWS * COLUMNS];
	char err[SN_ERRLEN] = "";
	sn_weights *part = open_good(path_of("a.onnx")), *w;
	for (int i = 0; i < ROWS * COLUMNS; i++)
		stored[i] = (float)(i % ROWS * COLUMNS + i / ROWS); /* as [COLUMNS][ROWS], so that it is 0, 1, 2, .. by rows */
	assert_int_equal(sn_weights_compose(&w, &part, 1, err), SN_OK);
	add_weight(w, "stored", SN_F32, 2, (int64_t[]){ COLUMNS, ROWS }, stored, sizeof stored);
	assert_int_equal(sn_weights_compose_add(w, "turned", sn_weights_find(w, "stored"), 1, err), SN_OK);
	for (int first = 0; first < ROWS * COLUMNS; first += 977) {
		float found[ROWS * COLUMNS];
		const int count = ROWS * COLUMNS - first;
		sn_weight_floats(sn_weights_find(w, "turned"), first, count, found);
		for (int i = 0; i < count; i++)
			assert_true(found[i] == (float)(first + i));
	}
	sn_weights_close(&w);
}

static void onnx_nesting_is_limited(void **state) {
	sn_buf b, inner;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&inner, MAX_FILE);
	sn_buf_text(&inner, "");
	for (int i = 0; i < 64; i++) { /* graph in attribute in node in graph ... */
		put_message(&b, 6, &inner);
		put_message(&inner, 5, &b);
		put_message(&b, 1, &inner);
		sn_buf_add(&inner, b.data, b.size);
		sn_buf_clear(&b);
	}
	put_message(&b, 7, &inner);
	save_file("bad.onnx", &b);
	sn_buf_free(&inner);
	expect_failure(path_of("bad.onnx"), SN_E_LIMIT, "nested deeper");
}

/* A node with a name of `name` bytes and, in an attribute with a name of `attribute` bytes, `bodies` empty graphs. */
static void expect_bodies_failure(size_t name, size_t attribute, int bodies, const char *says) {
	static const char letters[2000] = { [0 ... 1999] = 'n' };
	sn_buf b, part, node;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&part, MAX_FILE);
	sn_buf_init(&node, MAX_FILE);
	put_bytes(&part, 1, letters, attribute);
	for (int i = 0; i < bodies; i++)
		put_text(&part, 11, "");
	put_bytes(&node, 3, letters, name);
	put_message(&node, 5, &part);
	put_message(&part, 1, &node);
	put_message(&b, 7, &part);
	save_file("bad.onnx", &b);
	sn_buf_free(&part);
	sn_buf_free(&node);
	expect_failure(path_of("bad.onnx"), SN_E_LIMIT, says);
}

static void onnx_names_are_limited(void **state) {
	expect_bodies_failure(1025, 1, 0, "a node's name has 1025 bytes; at most 1024");
	expect_bodies_failure(512, 512, 1, "has a path of 1025 bytes; at most 1024");
	expect_bodies_failure(512, 511, 50000, "must be copied of it takes more than");
}

static void onnx_files_are_limited(void **state) {
	save_text("bad.onnx", "");
	assert_int_equal(truncate(path_of("bad.onnx"), (off_t)INT32_MAX + 1), 0);
	expect_failure(path_of("bad.onnx"), SN_E_LIMIT, "has 2147483648 bytes; at most 2147483647");
	unlink(path_of("bad.onnx"));
}

/* ---- torch.save ---- */

static void torch_tensors_are_rows(void **state) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_torch(&b);
	save_file("a.pt", &b);
	sn_weights *w = open_good(path_of("a.pt"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_TORCH);
	assert_int_equal(sn_weights_count(w), 2);
	expect_floats(sn_weights_find(w, "model.rows"), 6, (float[]){ 1, 2, 3, 4, 5, 6 });
	expect_floats(sn_weights_find(w, "model.turned"), 6, (float[]){ 1, 4, 2, 5, 3, 6 });
	assert_int_equal(sn_weights_find(w, "model.turned")->dims[0], 3);
	sn_weights_close(&w);
}

static sn_weights *open_view(int rank, const int64_t *sizes, const int64_t *strides) {
	sn_buf b, pickle;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&pickle, MAX_FILE);
	sn_buf_text(&pickle, "\x80\x02}");
	put_pickled_view(&pickle, "w", 4, 0, rank, sizes, strides);
	sn_buf_text(&pickle, "s.");
	make_torch_of(&b, &pickle, (float[]){ 1, 2, 3, 4 }, 4);
	save_file("view.pt", &b);
	sn_buf_free(&pickle);
	return open_good(path_of("view.pt"));
}

static void torch_strides_that_do_not_matter_may_be_any(void **state) {
	sn_weights *w = open_view(3, (int64_t[]){ 2, 2, 1 }, (int64_t[]){ 1, 2, INT64_MAX });
	expect_floats(sn_weights_find(w, "w"), 4, (float[]){ 1, 3, 2, 4 });
	sn_weights_close(&w);
	w = open_view(3, (int64_t[]){ 0, (int64_t)1 << 62, (int64_t)1 << 62 }, (int64_t[]){ 1, (int64_t)1 << 62, 1 });
	assert_int_equal(sn_weights_find(w, "w")->bytes, 0);
	sn_weights_close(&w);
}

/* Each view is a copy of the whole storage. */
static void torch_copies_are_limited(void **state) {
	enum { ROWS = 2, COLUMNS = 65536 };
	float *values = calloc(ROWS * COLUMNS, sizeof *values);
	sn_buf b, pickle;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&pickle, MAX_FILE);
	sn_buf_text(&pickle, "\x80\x02}(");
	for (int i = 0; i < 50; i++) {
		char key[8];
		snprintf(key, sizeof key, "w%d", i);
		put_pickled_view(&pickle, key, ROWS * COLUMNS, 0, 2, (int64_t[]){ COLUMNS, ROWS }, (int64_t[]){ 1, COLUMNS });
	}
	sn_buf_text(&pickle, "u.");
	make_torch_of(&b, &pickle, values, ROWS * COLUMNS);
	save_file("bad.pt", &b);
	sn_buf_free(&pickle);
	free(values);
	expect_failure(path_of("bad.pt"), SN_E_LIMIT, "must be copied of it takes more than");
}

static void expect_pickle_failure(const char *head, int elements, int offset, int rows, int row, const char *says) {
	sn_buf b, pickle;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&pickle, MAX_FILE);
	sn_buf_text(&pickle, head);
	if (elements) {
		put_pickled_tensor(&pickle, "w", elements, offset, rows, 1, row, 1);
		sn_buf_text(&pickle, "s.");
	}
	make_torch_of(&b, &pickle, (float[]){ 1, 2, 3, 4 }, 4);
	save_file("bad.pt", &b);
	sn_buf_free(&pickle);
	expect_failure(path_of("bad.pt"), SN_E_MODEL, says);
}

static void torch_is_checked(void **state) {
	expect_pickle_failure("\x80\x02}", 4, 1, 4, 1, "reaches outside its storage");
	expect_pickle_failure("\x80\x02}", 4, 0, 4, 2, "reaches outside its storage");
	expect_pickle_failure("\x80\x02}", 4, 0, 5, 0, "reaches outside its storage");
	expect_pickle_failure("\x80\x02}", 5, 0, 4, 1, "has 16 bytes; 5 elements");
	expect_pickle_failure("\x80\x02" "cposix\nsystem\nU\x02id\x85R.", 0, 0, 0, 0, "asks for posix.system");
	expect_pickle_failure("\x80\x02" "c__builtin__\neval\nU\x01" "1\x85R.", 0, 0, 0, 0, "asks for __builtin__.eval");
	expect_pickle_failure("\x80\x02}(K\x01u.", 0, 0, 0, 0, "a key without value");
	expect_pickle_failure("\x80\x02K\x01.", 0, 0, 0, 0, "not a dictionary");
	expect_pickle_failure("\x80\x02" "0000.", 0, 0, 0, 0, "the stack is empty");
	expect_pickle_failure("\x80\x02}j\xff\xff\xff\x7f.", 0, 0, 0, 0, "nothing was remembered");
	expect_pickle_failure("\x80\x02}X\xff\xff\xff\x7f", 0, 0, 0, 0, "cut short");
	save_text("bad.pt", "\x80\x02\x8a\x0al");
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "cut short");
	save_text("bad.pt", "PK\x03\x04");
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "no zip directory");
	save_text("bad.pt", "PK");
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "not a file of torch.save");
}

static void torch_dictionaries_in_themselves_end(void **state) {
	sn_buf b, pickle;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_init(&pickle, MAX_FILE);
	sn_buf_text(&pickle, "\x80\x02}q\x01(U\x01" "ah\x01U\x01" "bh\x01u.");
	make_torch_of(&b, &pickle, (float[]){ 1 }, 1);
	save_file("a2.pt", &b);
	sn_buf_free(&pickle);
	sn_weights *w = open_good(path_of("a2.pt"));
	assert_int_equal(sn_weights_count(w), 0);
	sn_weights_close(&w);
}

/* ---- the older stream ---- */

static void older_streams_are_read(void **state) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_stream(&b);
	save_file("generator_v1", &b); /* known by its first bytes */
	sn_weights *w = open_good(path_of("generator_v1"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_TORCH);
	assert_int_equal(sn_weights_count(w), 3);
	expect_floats(sn_weights_find(w, "whole"), 3, (float[]){ 1, 2, 3 });
	expect_floats(sn_weights_find(w, "part"), 2, (float[]){ 2, 3 });
	int64_t number = 0;
	assert_true(sn_weight_integers(sn_weights_find(w, "number"), 0, 1, &number));
	assert_int_equal(number, 7);
	assert_int_equal(sn_weights_find(w, "number")->dtype, SN_I32);
	sn_weights_close(&w);
}

/* A stream whose object is `pickle` (freed), with storage "a" of `elements` float32. */
static void save_stream(const char *name, sn_buf *pickle, int elements) {
	static const float values[4] = { 1, 2, 3, 4 };
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_stream_of(&b, pickle, (zip_entry[]){ { "a", values, (size_t)elements * 4 } }, elements > 0);
	save_file(name, &b);
	sn_buf_free(pickle);
}

static void expect_stream_failure(int64_t promised, int64_t first, int64_t count, int elements, const char *says) {
	sn_buf pickle;
	sn_buf_init(&pickle, MAX_FILE);
	sn_buf_text(&pickle, "\x80\x02}U\x01w");
	put_stream_tensor(&pickle, "a", "FloatStorage", promised, first, count);
	sn_buf_text(&pickle, "s.");
	save_stream("bad.pt", &pickle, elements);
	expect_failure(path_of("bad.pt"), SN_E_MODEL, says);
}

static void older_streams_are_checked(void **state) {
	expect_stream_failure(4, 0, -1, 3, "the storage of tensor 'w' has 12 bytes; 4 elements of float32 are promised");
	expect_stream_failure((int64_t)1 << 62, 0, -1, 4, "has 16 bytes; 4611686018427387904 elements");
	expect_stream_failure(4, 3, 2, 4, "a storage without type, key and number of elements");
	expect_stream_failure(4, 0, -1, 0, "the storage of tensor 'w' is missing");
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_stream(&b);
	b.data[b.size - 12] = '\x7f'; /* the count of elements of the last storage */
	save_file("bad.pt", &b);
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "storage 'b' ends outside the file");
	make_stream(&b);
	b.data[10]++;
	save_file("bad.pt", &b);
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "magic number");
	save_text("bad.pt", "\x80\x02}U\x01wK\x01s.");
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "magic number");
	save_text("bad.pt", "\x80\x02ios\nsystem\n");
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "asks for os.system");
}

/* ---- modules and what stands beside tensors ---- */

/* class glow.Net, with the record of its source; its state is put by the caller and ended by "b". */
static void put_object(sn_buf *b, const char *class) {
	sn_buf_text(b, "(");
	put_pickled_text(b, "module");
	sn_buf_printf(b, "cglow\n%s\n", class);
	put_pickled_text(b, "glow.py");
	put_pickled_text(b, "import os; os.abort()");
	sn_buf_text(b, "tQ)\x81");
}

static void put_named_tensor(sn_buf *b, const char *name) {
	put_pickled_text(b, name);
	put_stream_tensor(b, "a", "FloatStorage", 4, 0, -1);
}

/* {"model": Net(layers = ModuleList([Net]))}: parameters w, buffers kept and hidden, a plain attribute that is a tensor. */
static void put_module(sn_buf *b) {
	sn_buf_text(b, "\x80\x02}(");
	put_pickled_text(b, "model");
	put_object(b, "Net");
	sn_buf_text(b, "}(");
	put_pickled_text(b, "n_flows");
	sn_buf_text(b, "K\x0c");
	put_pickled_text(b, "_modules");
	sn_buf_text(b, "ccollections\nOrderedDict\n)R(");
	put_pickled_text(b, "layers");
	sn_buf_text(b, "ctorch.nn.modules.container\nModuleList\n)\x81}(");
	put_pickled_text(b, "_modules");
	sn_buf_text(b, "}(");
	put_pickled_text(b, "0");
	put_object(b, "Net");
	sn_buf_text(b, "}(");
	put_pickled_text(b, "_parameters");
	sn_buf_text(b, "}(");
	put_named_tensor(b, "w");
	sn_buf_text(b, "u");
	put_pickled_text(b, "_buffers");
	sn_buf_text(b, "}(");
	put_named_tensor(b, "kept");
	put_named_tensor(b, "hidden");
	sn_buf_text(b, "u");
	put_pickled_text(b, "_non_persistent_buffers_set");
	sn_buf_text(b, "c__builtin__\nset\n](");
	put_pickled_text(b, "hidden");
	sn_buf_text(b, "e\x85R");
	put_pickled_text(b, "kernel_size");
	sn_buf_text(b, "K\x05K\x07\x86");
	put_named_tensor(b, "weight");
	sn_buf_text(b, "ubuubuub");
	put_pickled_text(b, "iteration");
	sn_buf_text(b, "M\x10\x27u.");
}

static void modules_are_named_as_their_state(void **state) {
	sn_buf pickle;
	sn_buf_init(&pickle, MAX_FILE);
	put_module(&pickle);
	save_stream("module.pt", &pickle, 4);
	sn_weights *w = open_good(path_of("module.pt"));
	assert_int_equal(sn_weights_count(w), 2);
	expect_floats(sn_weights_find(w, "model.layers.0.w"), 4, (float[]){ 1, 2, 3, 4 });
	assert_non_null(sn_weights_find(w, "model.layers.0.kept"));
	double value = 0, sizes[2];
	int count = 0;
	assert_true(sn_weights_number(w, "model.n_flows", &value));
	assert_true(value == 12);
	assert_true(sn_weights_number(w, "iteration", &value));
	assert_true(value == 10000);
	assert_true(sn_weights_numbers(w, "model.layers.0.kernel_size", sizes, 2, &count));
	assert_true(count == 2 && sizes[0] == 5 && sizes[1] == 7);
	sn_weights_close(&w);
}

/* {"config": {"rate": 22050, "gain": -0.5, "on": True, "name": "höher", "none": None, "langs": ["en", {"x": 1}]},
 *  "voices": {"a.b": {"embedding": [1, 2.5, -3]}}, "w": tensor} */
static void put_facts(sn_buf *b) {
	sn_buf_text(b, "\x80\x02}(");
	put_pickled_text(b, "config");
	sn_buf_text(b, "}(");
	put_pickled_text(b, "rate");
	sn_buf_text(b, "M\x22\x56");
	put_pickled_text(b, "gain");
	sn_buf_add(b, "G\xbf\xe0\0\0\0\0\0\0", 9);
	put_pickled_text(b, "on");
	sn_buf_text(b, "\x88");
	put_pickled_text(b, "name");
	put_pickled_text(b, "h\xc3\xb6her");
	put_pickled_text(b, "none");
	sn_buf_text(b, "N");
	put_pickled_text(b, "langs");
	sn_buf_text(b, "](");
	put_pickled_text(b, "en");
	sn_buf_text(b, "}");
	put_pickled_text(b, "x");
	sn_buf_text(b, "K\x01seu");
	put_pickled_text(b, "voices");
	sn_buf_text(b, "}");
	put_pickled_text(b, "a.b");
	sn_buf_text(b, "}");
	put_pickled_text(b, "embedding");
	sn_buf_add(b, "](K\x01G\x40\x04\0\0\0\0\0\0J\xfd\xff\xff\xff" "ess", 21);
	put_named_tensor(b, "w");
	sn_buf_text(b, "u.");
}

static void facts_are_found_by_path(void **state) {
	sn_buf pickle;
	sn_buf_init(&pickle, MAX_FILE);
	sn_buf_text(&pickle, "");
	put_facts(&pickle);
	save_stream("facts.pt", &pickle, 4);
	sn_weights *w = open_good(path_of("facts.pt"));
	double value = 0, list[3] = { 0 };
	int count = 0;
	assert_true(sn_weights_number(w, "config.rate", &value) && value == 22050);
	assert_true(sn_weights_number(w, "config.gain", &value) && value == -0.5);
	assert_true(sn_weights_number(w, "config.on", &value) && value == 1);
	assert_true(sn_weights_number(w, "config.langs.1.x", &value) && value == 1);
	assert_false(sn_weights_number(w, "config.name", &value) || sn_weights_number(w, "config.none", &value) || sn_weights_number(w, "w", &value));
	assert_string_equal(sn_weights_text(w, "config.name"), "h\xc3\xb6her");
	assert_string_equal(sn_weights_text(w, "config.langs.0"), "en");
	assert_null(sn_weights_text(w, "config.rate"));
	assert_null(sn_weights_text(w, ""));
	assert_true(sn_weights_numbers(w, "voices.a.b.embedding", list, 2, &count));
	assert_true(count == 3 && list[0] == 1 && list[1] == 2.5 && list[2] == 0);
	assert_true(sn_weights_numbers(w, "w", list, 3, &count));
	assert_true(count == 4 && list[2] == 3);
	assert_false(sn_weights_numbers(w, "config.langs", list, 3, &count));
	assert_int_equal(sn_weights_key_count(w, ""), 3);
	assert_string_equal(sn_weights_key_at(w, "", 2), "w");
	assert_int_equal(sn_weights_key_count(w, "config"), 6);
	assert_string_equal(sn_weights_key_at(w, "voices", 0), "a.b");
	assert_null(sn_weights_key_at(w, "voices", 1));
	assert_int_equal(sn_weights_key_count(w, "config.rate"), 0);
	sn_weights_close(&w);
}

static void wrappers_are_found(void **state) {
	save_safetensors("wrapped.safetensors",
	                 "{\"state_dict.module.enc.w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
	                 "\"ema.enc.w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
	                 "\"bare\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]},"
	                 "\"other.dec.w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}", 4);
	sn_weights *w = open_good(path_of("wrapped.safetensors"));
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	assert_int_equal(sn_weights_prefix(w, "dec.w", prefix), 1);
	assert_string_equal(prefix, "other.");
	assert_int_equal(sn_weights_prefix(w, "bare", prefix), 1);
	assert_string_equal(prefix, "");
	assert_int_equal(sn_weights_prefix(w, "enc.w", prefix), 2);
	assert_string_equal(prefix, "ema.");
	assert_int_equal(sn_weights_prefix(w, "nc.w", prefix), 0); /* only whole parts of names */
	assert_string_equal(prefix, "");
	sn_weights_close(&w);
}

/* ---- hostile pickles ---- */

static void nothing_is_called(void **state) {
	static const struct {
		const char *call, *says;
	} calls[] = {
		{ "cos\nsystem\n%s\x85R", "asks for os.system" },
		{ "cposix\nsystem\n%s\x85R", "asks for posix.system" },
		{ "c__builtin__\nexec\n%s\x85R", "asks for __builtin__.exec" },
		{ "cbuiltins\neval\n%s\x85R", "asks for builtins.eval" },
		{ "csubprocess\nPopen\n%s\x85R", "asks for subprocess.Popen" },
		{ "ctorch.hub\nload\n%s\x85R", "asks for torch.hub.load" },
		{ "cglow\nNet\n%s\x85R", "asks for glow.Net" },
		{ "ccopyreg\n_reconstructor\n(cbuiltins\nset\n%stR", "asks for builtins.set" },
		{ "ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nN%sNtR", "asks for os.system" },
		{ "(U\x07storagecos\nsystem\n%sU\x03" "cpuK\x04NtQ", "asks for os.system" },
		{ "(U\x06modulecos\nsystem\nU\x01" "fU\x01stQ%s\x85R", "asks for os.system" },
		{ "cshutil\nrmtree\n", "asks for shutil.rmtree" },
		{ "(%sios\nsystem\n", "asks for os.system" },
	};
	char command[300];
	snprintf(command, sizeof command, "touch %s", path_of("MARK"));
	for (size_t i = 0; i < 2 * sizeof calls / sizeof calls[0]; i++) {
		const char *call = calls[i / 2].call, *rest = strstr(call, "%s");
		sn_buf pickle, b;
		sn_buf_init(&pickle, MAX_FILE);
		sn_buf_init(&b, MAX_FILE);
		sn_buf_text(&pickle, "\x80\x02}U\x01w");
		sn_buf_add(&pickle, call, rest ? (size_t)(rest - call) : strlen(call));
		if (rest) {
			put_pickled_text(&pickle, command);
			sn_buf_text(&pickle, rest + 2);
		}
		sn_buf_text(&pickle, "s.");
		if (i % 2)
			make_torch_of(&b, &pickle, (float[]){ 1 }, 1);
		else
			make_stream_of(&b, &pickle, NULL, 0);
		save_file("bad.pt", &b);
		sn_buf_free(&pickle);
		expect_failure(path_of("bad.pt"), SN_E_MODEL, calls[i / 2].says);
	}
	assert_int_equal(access(path_of("MARK"), F_OK), -1);
}

static void expect_bomb(sn_buf *pickle, int code, const char *says) {
	save_stream("bomb.pt", pickle, 0);
	expect_failure(path_of("bomb.pt"), code, says);
}

/* Each level holds the one below ten times, in a list or dictionary. */
static void put_laughs(sn_buf *b, int dictionaries) {
	sn_buf_text(b, "\x80\x02}U\x01w");
	for (int level = 0; level < 12; level++) {
		sn_buf_add(b, (char[]){ dictionaries ? '}' : ']', 'q', (char)level, '(' }, 4);
		for (int i = 0; i < 10 && level > 0; i++) {
			if (dictionaries)
				sn_buf_add(b, (char[]){ 'U', 1, (char)('a' + i) }, 3);
			sn_buf_add(b, (char[]){ 'h', (char)(level - 1) }, 2);
		}
		sn_buf_text(b, level == 0 ? dictionaries ? "U\x01" "aNu0" : "Ne0" : dictionaries ? "u0" : "e0");
	}
	sn_buf_text(b, "h\x0bs.");
}

static void bombs_are_limited(void **state) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	sn_buf_text(&b, "\x80\x02");
	for (int i = 0; i < 100; i++)
		sn_buf_text(&b, "}U\x01w");
	sn_buf_text(&b, "N");
	for (int i = 0; i < 100; i++)
		sn_buf_text(&b, "s");
	sn_buf_text(&b, ".");
	expect_bomb(&b, SN_E_LIMIT, "is nested deeper than 64");
	sn_buf_text(&b, "\x80\x02}r\xff\xff\xff\x7f.");
	expect_bomb(&b, SN_E_LIMIT, "the values of the pickle take more than");
	sn_buf_text(&b, "\x80\x02}U\x01w\x8b\xff\xff\xff\x7f.");
	expect_bomb(&b, SN_E_MODEL, "cut short");
	for (int dictionaries = 0; dictionaries < 2; dictionaries++) {
		char err[SN_ERRLEN] = "";
		sn_weights *w;
		put_laughs(&b, dictionaries);
		save_stream("bomb.pt", &b, 0);
		assert_int_equal(sn_weights_open(&w, path_of("bomb.pt"), err), SN_E_LIMIT);
	}
}

/* ---- kinds of elements ---- */

static void torch_elements_may_be_any(void **state) {
	static const struct {
		const char *type;
		sn_dtype dtype;
	} types[] = {
		{ "FloatStorage", SN_F32 }, { "HalfStorage", SN_F16 }, { "BFloat16Storage", SN_BF16 }, { "DoubleStorage", SN_F64 }, { "LongStorage", SN_I64 },
		{ "IntStorage", SN_I32 },   { "ShortStorage", SN_I16 }, { "CharStorage", SN_I8 },      { "ByteStorage", SN_U8 },    { "BoolStorage", SN_BOOL },
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		sn_buf b, pickle;
		sn_buf_init(&b, MAX_FILE);
		sn_buf_init(&pickle, MAX_FILE);
		sn_buf_text(&pickle, "\x80\x02}U\x01w");
		put_stream_tensor(&pickle, "0", types[i].type, (int64_t)(16 / sn_dtype_size(types[i].dtype)), 0, -1);
		sn_buf_text(&pickle, "s.");
		make_torch_of(&b, &pickle, (float[]){ 1, 2, 3, 4 }, 4);
		save_file("type.ckpt", &b);
		sn_buf_free(&pickle);
		sn_weights *w = open_good(path_of("type.ckpt"));
		assert_int_equal(sn_weights_find(w, "w")->dtype, types[i].dtype);
		assert_int_equal(sn_weights_find(w, "w")->bytes, 16);
		sn_weights_close(&w);
	}
	sn_weights *w = open_view(0, NULL, NULL);
	assert_int_equal(sn_weights_find(w, "w")->rank, 0);
	expect_floats(sn_weights_find(w, "w"), 1, (float[]){ 1 });
	sn_weights_close(&w);
}

static void torch_shards_are_joined(void **state) {
	assert_int_equal(mkdir(path_of("parts"), 0700), 0);
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_torch(&b);
	save_file("parts/pytorch_model-00001-of-00002.bin", &b);
	make_stream(&b);
	save_file("parts/pytorch_model-00002-of-00002.bin", &b);
	save_text("parts/pytorch_model.bin.index.json", "{\"weight_map\":{\"model.rows\":\"pytorch_model-00001-of-00002.bin\","
	                                                "\"whole\":\"pytorch_model-00002-of-00002.bin\"}}");
	sn_weights *w = open_good(path_of("parts"));
	assert_int_equal(sn_weights_count(w), 5);
	sn_weights_close(&w);
}

/* ---- numpy ---- */

static void save_npy(const char *name, const char *header, const void *data, size_t size) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_npy_of(&b, header, data, size);
	save_file(name, &b);
}

static void numpy_arrays_are_read(void **state) {
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_npy(&b);
	save_file("a.npy", &b);
	sn_weights *w = open_good(path_of("a.npy"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_NUMPY);
	int64_t values[4];
	assert_true(sn_weight_integers(sn_weights_find(w, "array"), 0, 4, values));
	assert_memory_equal(values, ((int64_t[]){ 1, 2, 3, 4 }), sizeof values);
	sn_weights_close(&w);
	save_npy("a.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", (float[]){ 1, 4, 2, 5, 3, 6 }, 24);
	w = open_good(path_of("a.npy"));
	expect_floats(sn_weights_find(w, "array"), 6, (float[]){ 1, 2, 3, 4, 5, 6 });
	assert_int_equal(sn_weights_find(w, "array")->dims[1], 3);
	sn_weights_close(&w);
	save_npy("a.npy", "{'shape': (), 'descr': '<f8', 'fortran_order': False}", (double[]){ 2.5 }, 8);
	w = open_good(path_of("a.npy"));
	expect_floats(sn_weights_find(w, "array"), 1, (float[]){ 2.5f });
	sn_weights_close(&w);
	make_npz(&b);
	save_file("a.npz", &b);
	w = open_good(path_of("a.npz"));
	assert_int_equal(sn_weights_count(w), 2);
	assert_int_equal(sn_weights_find(w, "two")->bytes, 32);
	sn_weights_close(&w);
}

static void numpy_arrays_are_checked(void **state) {
	static const struct {
		const char *header, *says;
	} cases[] = {
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "has 16 bytes; its shape and type (float32) need 12" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", "need 20" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "too large" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "too large" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", "tuple of integers" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4 4), }", "tuple of integers" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': 4, }", "must be a tuple" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,4), }", "more than 8 dimensions" },
		{ "{'descr': '>f4', 'fortran_order': False, 'shape': (4,), }", "of the type '>f4'; little-endian" },
		{ "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }", "of the type '|O'; little-endian" },
		{ "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", "of the type [('a'; little-endian" },
		{ "{'descr': '<f4', 'fortran_order': 0, 'shape': (4,), }", "True or False" },
		{ "{'descr': '<f4', 'shape': (4,), }", "once each" },
		{ "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", "once each" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'more': 1}", "once each" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)", "no dictionary" },
		{ "", "no dictionary" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		save_npy("bad.npy", cases[i].header, (float[]){ 1, 2, 3, 4 }, 16);
		expect_failure(path_of("bad.npy"), SN_E_MODEL, cases[i].says);
	}
	save_text("bad.npy", "\x93NUMPY\x01");
	expect_failure(path_of("bad.npy"), SN_E_MODEL, "not an array of numpy");
	save_text("bad.npz", "PK\x05\x06");
	expect_failure(path_of("bad.npz"), SN_E_MODEL, "no zip directory");
}

/* One entry, deflated as zip64 by the library. */
static void save_deflated(const char *path, const char *name, const void *data, size_t size) {
	unlink(path);
	zipFile zip = zipOpen64(path, APPEND_STATUS_CREATE);
	zip_fileinfo info = { 0 };
	assert_int_equal(zipOpenNewFileInZip64(zip, name, &info, NULL, 0, NULL, 0, NULL, Z_DEFLATED, 9, 1), ZIP_OK);
	assert_int_equal(zipWriteInFileInZip(zip, data, (unsigned)size), ZIP_OK);
	assert_int_equal(zipCloseFileInZip(zip), ZIP_OK);
	assert_int_equal(zipClose(zip, NULL), ZIP_OK);
}

static void packed_entries_are_limited(void **state) {
	sn_buf b;
	sn_buf_init(&b, 64 << 20);
	make_npy(&b);
	save_deflated(path_of("packed.npz"), "a.npy", b.data, b.size);
	sn_weights *w = open_good(path_of("packed.npz"));
	int64_t values[4];
	assert_true(sn_weight_integers(sn_weights_find(w, "a"), 0, 4, values));
	assert_int_equal(values[3], 4);
	sn_weights_close(&w);
	sn_buf_clear(&b);
	save_deflated(path_of("bad.pt"), "archive/data.pkl", "\x80\x02}.", 4);
	expect_failure(path_of("bad.pt"), SN_E_MODEL, "'archive/data.pkl' is compressed; torch.save stores entries as they are");
	char *zeros = calloc(1, 20 << 20);
	make_npy_of(&b, "{'descr': '|u1', 'fortran_order': False, 'shape': (20971520,), }", zeros, 20 << 20);
	free(zeros);
	save_deflated(path_of("bomb.npz"), "a.npy", b.data, b.size);
	expect_failure(path_of("bomb.npz"), SN_E_LIMIT, "must be copied of it takes more than");
	sn_buf_clear(&b);
	make_npz(&b);
	char *directory = memmem(b.data, b.size, "PK\x01\x02", 4), *second = memmem(directory + 4, 80, "PK\x01\x02", 4);
	memset(second + 42, 0, 4); /* the second entry is where the first one is */
	save_file("bad.npz", &b);
	expect_failure(path_of("bad.npz"), SN_E_MODEL, "share the bytes");
}

/* ---- every format, cut and spoilt ---- */

/* `idle`: bytes at the end that do not matter, as the length of a zip file's comment. */
static const struct {
	const char *file;
	void (*make)(sn_buf *);
	size_t idle;
} formats[] = {
	{ "cut/model.bin", NULL, 0 },
	{ "cut.onnx", make_onnx, 0 },
	{ "cut.pt", make_torch, 3 },
	{ "cut_old.pt", make_stream, 0 },
	{ "cut.npy", make_npy, 0 },
	{ "cut.npz", make_npz, 3 },
	{ "cut.safetensors", NULL, 0 },
};

static void make_format(size_t i, sn_buf *b) {
	sn_buf_init(b, MAX_FILE);
	if (formats[i].make)
		formats[i].make(b);
	else if (i == 0)
		make_ctranslate2(b, 6);
	else
		make_safetensors(b, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"I8\",\"shape\":[1,3],\"data_offsets\":[8,11]}}", 11);
}

static void a_file_cut_anywhere_is_refused(void **state) {
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		sn_buf b;
		make_format(i, &b);
		for (size_t size = 0; size < b.size - formats[i].idle; size++) {
			char err[SN_ERRLEN] = "";
			sn_weights *w;
			assert_true(save(path_of(formats[i].file), b.data, size));
			int result = sn_weights_open(&w, path_of(formats[i].file), err);
			if (result != SN_E_MODEL || !*err)
				fail_msg("%s cut to %zu of %zu bytes: %s %s", formats[i].file, size, b.size, sn_result_name(result), err);
		}
		sn_buf_free(&b);
	}
}

static void read_all(const sn_weights *w) {
	volatile unsigned sum = 0;
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_weight *weight = sn_weights_at(w, i);
		for (size_t k = 0; k < weight->bytes; k++)
			sum += ((const uint8_t *)weight->data)[k];
	}
	(void)sum;
}

/* Any result will do: the sanitisers watch. */
static void a_spoilt_byte_harms_nobody(void **state) {
	static const uint8_t changes[] = { 0xff, 0x01 };
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		sn_buf b;
		make_format(i, &b);
		for (size_t at = 0; at < b.size; at++)
			for (size_t k = 0; k < sizeof changes; k++) {
				char err[SN_ERRLEN] = "";
				sn_weights *w;
				b.data[at] ^= (char)changes[k];
				assert_true(save(path_of(formats[i].file), b.data, b.size));
				b.data[at] ^= (char)changes[k];
				if (sn_weights_open(&w, path_of(formats[i].file), err) == SN_OK)
					read_all(w);
				else
					assert_true(*err);
				sn_weights_close(&w);
			}
		sn_buf_free(&b);
	}
}

/* ---- opening ---- */

static void directories_are_read_in_order(void **state) {
	expect_failure(path_of("missing"), SN_E_NOT_FOUND, "cannot open");
	assert_int_equal(mkdir(path_of("order"), 0700), 0);
	expect_failure(path_of("order"), SN_E_NOT_FOUND, "holds no weights");
	sn_buf b;
	sn_buf_init(&b, MAX_FILE);
	make_onnx(&b);
	save_file("order/voice.onnx", &b);
	sn_weights *w = open_good(path_of("order"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_ONNX);
	sn_weights_close(&w);
	make_onnx(&b);
	save_file("order/other.onnx", &b);
	expect_failure(path_of("order"), SN_E_MODEL, "holds 2 files *.onnx");
	make_torch(&b);
	save_file("order/pytorch_model.bin", &b);
	w = open_good(path_of("order"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_TORCH);
	sn_weights_close(&w);
	save_safetensors("order/model.safetensors", "{}", 0);
	w = open_good(path_of("order"));
	assert_int_equal(sn_weights_layout(w), SN_LAYOUT_SAFETENSORS);
	assert_string_equal(sn_weights_path(w), path_of("order/model.safetensors"));
	sn_weights_close(&w);
	make_torch(&b);
	save_file("order/waveglow_statedict.pt", &b);
	make_torch(&b);
	save_file("order/waveglow_module.pt", &b);
	unlink(path_of("order/model.safetensors"));
	unlink(path_of("order/pytorch_model.bin"));
	w = open_good(path_of("order"));
	assert_string_equal(sn_weights_path(w), path_of("order/waveglow_statedict.pt"));
	sn_weights_close(&w);
	assert_int_equal(mkdir(path_of("order/generator"), 0700), 0);
	make_stream(&b);
	save_file("order/model_file.pth", &b);
	save_text("order/speakers.pth", "");
	w = open_good(path_of("order"));
	assert_string_equal(sn_weights_path(w), path_of("order/model_file.pth"));
	sn_weights_close(&w);
	save_text("note.txt", "words");
	expect_failure(path_of("note.txt"), SN_E_MODEL, "no known kind of weights");
	assert_int_equal(mkfifo(path_of("pipe.onnx"), 0600), 0);
	expect_failure(path_of("pipe.onnx"), SN_E_MODEL, "not a regular file"); /* and is not waited for */
	assert_int_equal(mkdir(path_of("folder.onnx"), 0700), 0);
	expect_failure(path_of("folder.onnx"), SN_E_NOT_FOUND, "holds no weights");
}

/* Sets the bytes from `at` on in place and the file's time back, as a file of the same size that was renamed over it would have it. */
static void set_bytes(const char *path, long at, size_t count, int value) {
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	FILE *f = fopen(path, "r+b");
	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	for (size_t i = 0; i < count; i++)
		fputc(value, f);
	fclose(f);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){ st.st_atim, st.st_mtim }, 0), 0);
}

static uint64_t key_of(const char *path) {
	sn_weights *w = open_good(path);
	const uint64_t key = sn_weights_key(w);
	sn_weights_close(&w);
	return key;
}

static void the_key_follows_the_values(void **state) {
	enum { SIZE = 800000 };
	const char *path = path_of("values.safetensors");
	save_safetensors("values.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[800000],\"data_offsets\":[0,800000]}}", SIZE);
	const uint64_t first = key_of(path);
	assert_true(key_of(path) == first);
	set_bytes(path, SIZE / 2, 16384, 7);
	const uint64_t second = key_of(path);
	assert_true(second != first);
	set_bytes(path, SIZE, 1, 9);
	assert_true(key_of(path) != second);
}

static void the_key_follows_the_files(void **state) {
	save_safetensors("key.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
	sn_weights *w = open_good(path_of("key.safetensors"));
	uint64_t first = sn_weights_key(w);
	sn_weights_close(&w);
	w = open_good(path_of("key.safetensors"));
	assert_true(sn_weights_key(w) == first);
	sn_weights_close(&w);
	save_safetensors("key.safetensors", "{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
	w = open_good(path_of("key.safetensors"));
	assert_true(sn_weights_key(w) != first);
	sn_weights_close(&w);
}

/* ---- numbers ---- */

static float half_value(uint16_t half) {
	int exponent = half >> 10 & 31, fraction = half & 1023;
	double value = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
	return (float)(half & 0x8000 ? -value : value);
}

static void every_half_is_converted(void **state) {
	uint16_t *halves = malloc(65536 * sizeof *halves);
	float *values = malloc(65536 * sizeof *values);
	for (int i = 0; i < 65536; i++)
		halves[i] = (uint16_t)i;
	sn_weight w = { .name = "h", .dtype = SN_F16, .rank = 1, .dims = { 65536 }, .data = halves, .bytes = 131072 };
	sn_weight_floats(&w, 0, 65536, values);
	for (int i = 0; i < 65536; i++) {
		float expected = half_value((uint16_t)i);
		if (isnan(expected) ? !isnan(values[i]) : (values[i] != expected || signbit(values[i]) != signbit(expected)))
			fail_msg("half %04x became %g instead of %g", (unsigned)i, (double)values[i], (double)expected);
	}
	float some[100];
	sn_weight_floats(&w, 1000, 100, some);
	assert_memory_equal(some, values + 1000, sizeof some);
	free(halves);
	free(values);
}

static void other_types_are_converted(void **state) {
	const uint16_t brain[] = { 0x3f80, 0xc040 };
	const double wide[] = { 0.5, -1e300, 0.1 };
	sn_weight w = { .name = "b", .dtype = SN_BF16, .rank = 1, .dims = { 2 }, .data = brain, .bytes = 4 };
	expect_floats(&w, 2, (float[]){ 1, -3 });
	w = (sn_weight){ .name = "d", .dtype = SN_F64, .rank = 1, .dims = { 3 }, .data = wide, .bytes = 24 };
	expect_floats(&w, 3, (float[]){ 0.5f, -INFINITY, 0.1f });
	int8_t bytes[300];
	float scales[3] = { 0.5f, 1, 2 }, values[300];
	for (int i = 0; i < 300; i++)
		bytes[i] = (int8_t)(i % 100);
	w = (sn_weight){ .name = "i", .dtype = SN_I8, .rank = 2, .dims = { 3, 100 }, .data = bytes, .bytes = 300, .row_scale = scales };
	sn_weight_floats(&w, 50, 200, values);
	for (int i = 0; i < 200; i++)
		assert_true(values[i] == (float)((i + 50) % 100) * scales[(i + 50) / 100]);
}

static int setup(void **state) { return mkdtemp(dir) && mkdir(path_of("bad"), 0700) == 0 && mkdir(path_of("cut"), 0700) == 0 ? 0 : -1; }

static int teardown(void **state) {
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(safetensors_holds_its_tensors),
		cmocka_unit_test(safetensors_headers_are_checked),
		cmocka_unit_test(shards_are_joined),
		cmocka_unit_test(ctranslate2_scales_and_aliases),
		cmocka_unit_test(ctranslate2_is_checked),
		cmocka_unit_test(onnx_holds_tensors_and_nodes),
		cmocka_unit_test(onnx_bodies_keep_their_names_apart),
		cmocka_unit_test(onnx_is_checked),
		cmocka_unit_test(onnx_tensors_lie_in_other_files),
		cmocka_unit_test(composed_tensors_are_read_by_their_own_shape),
		cmocka_unit_test(a_large_matrix_is_turned),
		cmocka_unit_test(onnx_nesting_is_limited),
		cmocka_unit_test(onnx_names_are_limited),
		cmocka_unit_test(onnx_files_are_limited),
		cmocka_unit_test(torch_tensors_are_rows),
		cmocka_unit_test(torch_strides_that_do_not_matter_may_be_any),
		cmocka_unit_test(torch_copies_are_limited),
		cmocka_unit_test(torch_is_checked),
		cmocka_unit_test(torch_dictionaries_in_themselves_end),
		cmocka_unit_test(older_streams_are_read),
		cmocka_unit_test(older_streams_are_checked),
		cmocka_unit_test(modules_are_named_as_their_state),
		cmocka_unit_test(facts_are_found_by_path),
		cmocka_unit_test(wrappers_are_found),
		cmocka_unit_test(nothing_is_called),
		cmocka_unit_test(bombs_are_limited),
		cmocka_unit_test(torch_elements_may_be_any),
		cmocka_unit_test(torch_shards_are_joined),
		cmocka_unit_test(numpy_arrays_are_read),
		cmocka_unit_test(numpy_arrays_are_checked),
		cmocka_unit_test(packed_entries_are_limited),
		cmocka_unit_test(a_file_cut_anywhere_is_refused),
		cmocka_unit_test(a_spoilt_byte_harms_nobody),
		cmocka_unit_test(directories_are_read_in_order),
		cmocka_unit_test(the_key_follows_the_files),
		cmocka_unit_test(the_key_follows_the_values),
		cmocka_unit_test(every_half_is_converted),
		cmocka_unit_test(other_types_are_converted),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
