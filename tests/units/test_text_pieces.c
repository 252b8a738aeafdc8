/* SentencePiece against the reference's ids, and models that are not as they should be. */
#include "test_text.h"

#include "text/sentencepiece.h"
#include "text/speecht5_text.h"

#define MODELS FIXTURES "text/sentencepiece/"
#define SPEECHT5 FIXTURES "tiny/speecht5"

static const char *const names[] = { "m.model", "tokenizer.json", "spm_char.model", "added_tokens.json", "tokenizer_config.json", NULL };

static sn_spm *open_model(const char *path) {
	char err[SN_ERRLEN] = "";
	sn_spm *spm;
	if (sn_spm_open(&spm, path, err) != SN_OK)
		fail_msg("%s", err);
	return spm;
}

static void expect_decoded(const sn_spm *spm, const json_t *ids, const char *text) {
	int32_t list[512];
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	for (size_t i = 0; i < json_array_size(ids); i++)
		list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
	assert_int_equal(sn_spm_decode(spm, list, (int)json_array_size(ids), &out), SN_OK);
	assert_string_equal(out.data ? out.data : "", text);
	sn_buf_free(&out);
}

static void expect_case(const sn_spm *spm, const json_t *entry) {
	char err[SN_ERRLEN] = "";
	int32_t ids[512];
	int count;
	const char *text = text_of(entry, "text");
	sn_buf normal;
	sn_buf_init(&normal, 1 << 16);
	if (sn_spm_encode(spm, text, strlen(text), ids, 512, &count, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(sn_spm_normalize(spm, text, strlen(text), &normal, err), SN_OK);
	assert_string_equal(normal.data ? normal.data : "", text_of(entry, "normal"));
	expect_ids(text, json_object_get(entry, "ids"), ids, count);
	expect_decoded(spm, json_object_get(entry, "ids"), text_of(entry, "decoded"));
	sn_buf_free(&normal);
}

static void every_type(void **state) {
	json_t *all = load_json(MODELS "cases.json"), *model, *entry;
	const char *name;
	size_t i;
	json_object_foreach(all, name, model) {
		char path[512];
		snprintf(path, sizeof path, strcmp(name, "speecht5") ? MODELS "%s.model" : SPEECHT5 "/spm_char.model", name);
		sn_spm *spm = open_model(path);
		assert_int_equal(sn_spm_get_config(spm)->size, json_integer_value(json_object_get(model, "size")));
		json_array_foreach(json_object_get(model, "cases"), i, entry)
			expect_case(spm, entry);
		json_array_foreach(json_object_get(model, "decode"), i, entry)
			expect_decoded(spm, json_object_get(entry, "ids"), text_of(entry, "text"));
		sn_spm_close(&spm);
		assert_null(spm);
	}
	json_decref(all);
}

static void speecht5_directory(void **state) {
	char err[SN_ERRLEN] = "";
	sn_speecht5_text *t;
	if (sn_speecht5_text_open(&t, SPEECHT5, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(sn_speecht5_text_get_config(t)->size, 66);
	assert_int_equal(sn_speecht5_text_get_config(t)->end, 2);
	json_t *cases = load_json(SPEECHT5 "/tokenizer_cases.json"), *entry;
	size_t i;
	json_array_foreach(cases, i, entry) {
		int32_t ids[512];
		int count;
		const char *text = text_of(entry, "text");
		sn_buf out;
		sn_buf_init(&out, 1 << 16);
		assert_int_equal(sn_speecht5_text_encode(t, text, strlen(text), ids, 512, &count, err), SN_OK);
		expect_ids(text, json_object_get(entry, "ids"), ids, count);
		assert_int_equal(sn_speecht5_text_decode(t, ids, count, &out), SN_OK);
		assert_string_equal(out.data ? out.data : "", text_of(entry, "decoded"));
		sn_buf_free(&out);
	}
	json_decref(cases);
	static const int32_t expected[] = { 4, 11, 64, 4, 11, 2 }; /* "a <mask> a": the mask takes the space before it */
	int32_t ids[16];
	int count;
	assert_int_equal(sn_speecht5_text_encode(t, "a <mask> a", 10, ids, 16, &count, err), SN_OK);
	assert_int_equal(count, 6);
	assert_memory_equal(ids, expected, sizeof expected);
	expect_failure(sn_speecht5_text_encode(t, "hello", 5, ids, 3, &count, err), SN_E_LIMIT, err, "at most 3");
	sn_speecht5_text_close(&t);
}

/* A Unigram model of tokenizer.json, its ids by the tokenizers library. */
static void tokenizer_json(void **state) {
	json_t *all = load_json(FIXTURES "text/unigram_json.json"), *entry;
	char dir[64], path[128], err[SN_ERRLEN] = "", *text = json_dumps(json_object_get(all, "json"), 0);
	size_t i;
	sn_spm *spm;
	put_text(make_dir(dir), "tokenizer.json", text);
	snprintf(path, sizeof path, "%s/tokenizer.json", dir);
	spm = open_model(path);
	json_array_foreach(json_object_get(all, "cases"), i, entry) {
		int32_t ids[512];
		int count;
		assert_int_equal(sn_spm_encode(spm, text_of(entry, "text"), strlen(text_of(entry, "text")), ids, 512, &count, err), SN_OK);
		expect_ids(text_of(entry, "text"), json_object_get(entry, "ids"), ids, count);
	}
	sn_spm_close(&spm);
	free(text);
	json_decref(all);
	static const char *const refused[][2] = { { "{\"model\": {\"type\": \"WordLevel\"}}", "'WordLevel'" },
		                                      { "{\"model\": {\"type\": \"Unigram\"}, \"normalizer\": {\"type\": \"NFKD\"}}", "'NFKD'" },
		                                      { "{\"model\": {\"type\": \"Unigram\"}, \"pre_tokenizer\": {\"type\": \"Digits\"}}", "'Digits'" } };
	for (i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		put_text(dir, "tokenizer.json", refused[i][0]);
		expect_failure(sn_spm_open(&spm, path, err), SN_E_UNSUPPORTED, err, refused[i][1]);
	}
	drop_dir(dir, names);
}

static void expect_refused(const char *bytes, size_t size, int code, const char *says) {
	char dir[64], path[128], err[SN_ERRLEN] = "";
	sn_spm *spm;
	put_file(make_dir(dir), "m.model", bytes, size);
	snprintf(path, sizeof path, "%s/m.model", dir);
	expect_failure(sn_spm_open(&spm, path, err), code, err, says);
	assert_null(spm);
	drop_dir(dir, names);
}

/* Messages written by hand: \x0a a piece, \x12 the trainer's settings, \x1a the normaliser's. */
static void damaged_models(void **state) {
	expect_refused("", 0, SN_E_FORMAT, "empty");
	expect_refused("\x12\x02\x18\x01", 4, SN_E_FORMAT, "no pieces");
	expect_refused("\x0a\x7f\x0a", 3, SN_E_FORMAT, "damaged at byte");
	expect_refused("\x0a\x02\x18\x02", 4, SN_E_FORMAT, "piece 0 is damaged");
	expect_refused("\x0a\x03\x0a\x01" "a", 5, SN_E_MODEL, "unknown one");
	expect_refused("\x0a\x05\x0a\x01" "a\x18\x02\x0a\x05\x0a\x01" "a\x18\x02", 14, SN_E_MODEL, "both the unknown");
	expect_refused("\x0a\x05\x0a\x01" "u\x18\x02\x0a\x03\x0a\x01" "a\x0a\x03\x0a\x01" "a", 17, SN_E_MODEL, "ids 1 and 2");
	expect_refused("\x0a\x05\x0a\x01" "u\x18\x02\x12\x02\x18\x09", 11, SN_E_UNSUPPORTED, "model type 9");
	expect_refused("\x0a\x05\x0a\x01" "u\x18\x02\x12\x03\x98\x02\x01", 12, SN_E_MODEL, "256 byte pieces");
	expect_refused("\x0a\x05\x0a\x01" "u\x18\x02\x1a\x08\x12\x06\xff\xff\xff\x00z", 17, SN_E_FORMAT, "double array");
	expect_refused("\x0a\x05\x0a\x01" "u\x18\x09", 7, SN_E_MODEL, "type 0");
}

/* Cut or changed anywhere, a model is refused or encodes within its ids. */
static void hostile_models(void **state) {
	static const char *const models[] = { MODELS "unigram.model", MODELS "bpe_bytes.model", MODELS "char.model" };
	char dir[64], path[128];
	snprintf(path, sizeof path, "%s/m.model", make_dir(dir));
	for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
		static char bytes[1 << 16];
		FILE *file = fopen(models[m], "rb");
		size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
		assert_true(size > 0 && fclose(file) == 0);
		for (size_t i = 0; i < size; i += 7) {
			char err[SN_ERRLEN] = "", kept = bytes[i];
			int32_t ids[256];
			int count = 0;
			sn_spm *spm;
			bytes[i] = (char)(kept ^ (1 << i % 8));
			put_file(dir, "m.model", bytes, i % 2 ? size : i);
			bytes[i] = kept;
			if (sn_spm_open(&spm, path, err) != SN_OK) {
				assert_true(*err != 0);
				continue;
			}
			sn_spm_encode(spm, "the quick br\u00f6wn fox <laugh>", 28, ids, 256, &count, err);
			for (int k = 0; k < count; k++)
				assert_non_null(sn_spm_piece(spm, ids[k]));
			sn_spm_close(&spm);
		}
	}
	drop_dir(dir, names);
}

static void encoding_refuses(void **state) {
	char err[SN_ERRLEN] = "";
	int32_t ids[4];
	int count;
	sn_spm *spm = open_model(MODELS "bpe.model");
	expect_failure(sn_spm_encode(spm, "ab\xc3", 3, ids, 4, &count, err), SN_E_FORMAT, err, "byte 2");
	expect_failure(sn_spm_encode(spm, "one two three", 13, ids, 4, &count, err), SN_E_LIMIT, err, "at most 4");
	assert_null(sn_spm_piece(spm, -1));
	assert_null(sn_spm_piece(spm, 1 << 30));
	assert_int_equal(sn_spm_special(spm, 0), 1);
	assert_int_equal(sn_spm_id(spm, "no such piece"), -1);
	sn_spm_close(&spm);
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_type), cmocka_unit_test(speecht5_directory), cmocka_unit_test(tokenizer_json), cmocka_unit_test(damaged_models),
		                                cmocka_unit_test(hostile_models), cmocka_unit_test(encoding_refuses) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
