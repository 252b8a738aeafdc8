/* Byte-level BPE against the ids of transformers, and vocabulary files that are not as they should be. */
#include "test_text.h"

#include "text/bpe.h"

#define WHISPER FIXTURES "tiny/whisper"

static const char *const names[] = { "vocabulary.txt", "vocabulary.json", "vocab.json", "added_tokens.json", "merges.txt", "tokenizer.json",
	                                 NULL };

static sn_bpe *open_dir(const char *dir) {
	char err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	if (sn_bpe_open(&bpe, dir, err) != SN_OK)
		fail_msg("%s", err);
	return bpe;
}

static void expect_decoded(const sn_bpe *bpe, const int32_t *ids, int count, const char *text) {
	sn_buf out;
	sn_buf_init(&out, 1 << 20);
	assert_int_equal(sn_bpe_decode(bpe, ids, count, &out), SN_OK);
	assert_string_equal(out.data ? out.data : "", text);
	sn_buf_free(&out);
}

static void expect_ids_of_cases(sn_bpe *bpe, const char *cases_path) {
	json_t *cases = load_json(cases_path), *entry;
	size_t i;
	json_array_foreach(cases, i, entry) {
		char err[SN_ERRLEN] = "";
		int32_t ids[512];
		int count;
		const char *text = text_of(entry, "text");
		if (sn_bpe_encode(bpe, text, strlen(text), ids, 512, &count, err) != SN_OK)
			fail_msg("%s", err);
		expect_ids(text, json_object_get(entry, "ids"), ids, count);
		expect_decoded(bpe, ids, count, text_of(entry, "decoded"));
	}
	json_decref(cases);
}

static void expect_cases(const char *dir, const char *cases_path) {
	sn_bpe *bpe = open_dir(dir);
	expect_ids_of_cases(bpe, cases_path);
	sn_bpe_close(&bpe);
	assert_null(bpe);
}

static void hugging_face_directory(void **state) {
	expect_cases(WHISPER, WHISPER "/tokenizer_cases.json");
	expect_cases(FIXTURES "tiny/whisper-128mel", FIXTURES "tiny/whisper-128mel/tokenizer_cases.json");
}

static void tokenizer_json_alone(void **state) {
	char dir[64];
	json_t *root = load_json(WHISPER "/tokenizer.json");
	char *text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	put_text(make_dir(dir), "tokenizer.json", text);
	expect_cases(dir, WHISPER "/tokenizer_cases.json");
	drop_dir(dir, names);
	free(text);
}

/* Writes a CTranslate2 list: the tokens of vocab.json in the order of their ids. */
static json_t *tokens_in_order(void) {
	json_t *vocabulary = load_json(WHISPER "/vocab.json"), *list = json_array(), *id;
	const char *token;
	for (size_t i = 0; i < json_object_size(vocabulary); i++)
		json_array_append_new(list, json_null());
	json_object_foreach(vocabulary, token, id)
		json_array_set_new(list, (size_t)json_integer_value(id), json_string(token));
	json_decref(vocabulary);
	return list;
}

static void ctranslate2_lists(void **state) {
	char dir[64];
	sn_buf lines;
	json_t *list = tokens_in_order(), *token;
	size_t i;
	sn_buf_init(&lines, 1 << 20);
	json_array_foreach(list, i, token)
		sn_buf_printf(&lines, "%s\n", json_string_value(token));
	put_text(make_dir(dir), "vocabulary.txt", lines.data);
	expect_cases(dir, WHISPER "/tokenizer_cases.json");
	drop_dir(dir, names);
	char *text = json_dumps(list, 0);
	put_text(make_dir(dir), "vocabulary.json", text);
	expect_cases(dir, WHISPER "/tokenizer_cases.json");
	drop_dir(dir, names);
	free(text);
	sn_buf_free(&lines);
	json_decref(list);
}

static void special_tokens(void **state) {
	sn_bpe *bpe = open_dir(WHISPER);
	int32_t english = sn_bpe_id(bpe, "<|en|>"), letter = sn_bpe_id(bpe, "A");
	size_t size;
	assert_true(english > 0 && letter > 0);
	assert_int_equal(sn_bpe_special(bpe, english), 1);
	assert_int_equal(sn_bpe_special(bpe, letter), 0);
	assert_null(sn_bpe_bytes(bpe, english, &size));
	assert_string_equal(sn_bpe_bytes(bpe, letter, &size) ? "there" : "", "there");
	assert_int_equal(size, 1);
	assert_int_equal(sn_bpe_id(bpe, "no such token"), -1);
	assert_int_equal(sn_bpe_id(bpe, "\xff"), -1);
	const int32_t outside[] = { -1, sn_bpe_size(bpe), INT32_MAX, INT32_MIN };
	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
		assert_null(sn_bpe_bytes(bpe, outside[i], &size));
		assert_int_equal(sn_bpe_special(bpe, outside[i]), 0);
	}
	const int32_t mixed[] = { english, letter, 1 << 30, english };
	expect_decoded(bpe, mixed, 4, "A");
	sn_bpe_close(&bpe);
}

/* Half a character decodes to U+FFFD, as Python's errors="replace" has it, and a whole one in two tokens to itself. */
static void decoding_repairs_utf8(void **state) {
	sn_bpe *bpe = open_dir(WHISPER);
	char err[SN_ERRLEN];
	int32_t ids[16];
	int count;
	assert_int_equal(sn_bpe_encode(bpe, "\xf0\x9f\x8e\xa7", 4, ids, 16, &count, err), SN_OK);
	assert_int_equal(count, 4);
	expect_decoded(bpe, ids, 4, "\xf0\x9f\x8e\xa7");
	expect_decoded(bpe, ids, 3, "\xef\xbf\xbd");
	expect_decoded(bpe, ids + 2, 2, "\xef\xbf\xbd\xef\xbf\xbd");
	sn_bpe_close(&bpe);
}

static void encoding_refuses(void **state) {
	sn_bpe *bpe = open_dir(WHISPER);
	char err[SN_ERRLEN];
	int32_t ids[4];
	int count;
	expect_failure(sn_bpe_encode(bpe, "ab\xc3", 3, ids, 4, &count, err), SN_E_FORMAT, err, "byte 2");
	expect_failure(sn_bpe_encode(bpe, "one two three", 13, ids, 4, &count, err), SN_E_LIMIT, err, "more than 4 tokens");
	assert_int_equal(sn_bpe_encode(bpe, "", 0, ids, 4, &count, err), SN_OK);
	assert_int_equal(count, 0);
	sn_bpe_close(&bpe);
}

static void one_word_of_a_megabyte(void **state) {
	enum { SIZE = 1 << 20 };
	sn_bpe *bpe = open_dir(WHISPER);
	char err[SN_ERRLEN] = "", *text = malloc(SIZE);
	int32_t *ids = malloc(SIZE * sizeof *ids);
	int count;
	memset(text, 'a', SIZE);
	assert_int_equal(sn_bpe_encode(bpe, text, SIZE, ids, SIZE, &count, err), SN_OK);
	assert_true(count > 0);
	free(ids);
	free(text);
	sn_bpe_close(&bpe);
}

static void expect_refused(const char *name, const char *text, int code, const char *says) {
	char dir[64], err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	put_text(make_dir(dir), name, text);
	expect_failure(sn_bpe_open(&bpe, dir, err), code, err, says);
	assert_null(bpe);
	drop_dir(dir, names);
}

static void damaged_vocabularies(void **state) {
	char err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	expect_failure(sn_bpe_open(&bpe, "/nonexistent", err), SN_E_NOT_FOUND, err, "vocabulary.txt");
	expect_refused("vocabulary.txt", "", SN_E_FORMAT, "empty");
	expect_refused("vocabulary.txt", "a\nb\xff\nc\n", SN_E_FORMAT, "token 1 is not valid UTF-8");
	expect_refused("vocabulary.json", "[\"a\", 5]", SN_E_FORMAT, "entry 1");
	expect_refused("vocabulary.json", "[\"a\"", SN_E_FORMAT, "not valid JSON");
	expect_refused("vocab.json", "{\"a\": 0, \"b\": 0}", SN_E_MODEL, "id 0");
	expect_refused("vocab.json", "{\"a\": 4000000000}", SN_E_MODEL, "'a'");
	expect_refused("vocab.json", "{\"a\": -1}", SN_E_MODEL, "'a'");
	expect_refused("vocab.json", "{\"a\": \"x\"}", SN_E_MODEL, "'a'");
	expect_refused("vocab.json", "5", SN_E_FORMAT, "not valid JSON");
	expect_refused("tokenizer.json", "{}", SN_E_FORMAT, "object");
	expect_refused("tokenizer.json", "{\"added_tokens\": [{}], \"model\": {\"vocab\": {\"a\": 1}}}", SN_E_FORMAT, "added token 0");
}

/* Whatever else than byte-level BPE is in tokenizer.json is refused by its name. */
static void other_tokenizers(void **state) {
	expect_refused("tokenizer.json", "{\"model\": {\"type\": \"Unigram\"}}", SN_E_UNSUPPORTED, "'Unigram'");
	expect_refused("tokenizer.json", "{\"model\": {\"type\": \"BPE\"}, \"pre_tokenizer\": {\"type\": \"Metaspace\"}}", SN_E_UNSUPPORTED, "'Metaspace'");
	expect_refused("tokenizer.json", "{\"model\": {\"type\": \"BPE\"}, \"normalizer\": {\"type\": \"Lowercase\"}}", SN_E_UNSUPPORTED, "'Lowercase'");
}

static void holes_and_lacking_merges(void **state) {
	char dir[64], err[SN_ERRLEN] = "";
	int32_t ids[4];
	int count;
	size_t size;
	put_text(make_dir(dir), "vocab.json", "{\"a\": 7}");
	sn_bpe *bpe = open_dir(dir);
	assert_int_equal(sn_bpe_size(bpe), 8);
	assert_null(sn_bpe_bytes(bpe, 3, &size));
	assert_non_null(sn_bpe_bytes(bpe, 7, &size));
	expect_failure(sn_bpe_encode(bpe, "a", 1, ids, 4, &count, err), SN_E_MODEL, err, "no token for byte 0x00");
	sn_bpe_close(&bpe);
	drop_dir(dir, names);
}

/* ---- tokens in base64 ---- */

static const sn_bpe_named english[] = { { "<|endoftext|>", 316 }, { "<|en|>", 318 } };

static void files_of_tiktoken(void **state) {
	char err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	size_t size;
	if (sn_bpe_open_ranks(&bpe, FIXTURES "tiny/whisper-onnx/tiny-tokens.txt", english, 2, err) != SN_OK)
		fail_msg("%s", err);
	expect_ids_of_cases(bpe, WHISPER "/tokenizer_cases.json");
	assert_int_equal(sn_bpe_id(bpe, "<|en|>"), 318);
	assert_int_equal(sn_bpe_special(bpe, 318), 1);
	assert_null(sn_bpe_bytes(bpe, 317, &size));
	assert_int_equal(sn_bpe_size(bpe), 319);
	sn_bpe_close(&bpe);
}

static sn_bpe *open_ranks(const char *text, const sn_bpe_named *special, int count, int *result, char *err) {
	char dir[64], path[128];
	sn_bpe *bpe;
	put_text(make_dir(dir), "tokens.txt", text);
	snprintf(path, sizeof path, "%s/tokens.txt", dir);
	*result = sn_bpe_open_ranks(&bpe, path, special, count, err);
	unlink(path);
	rmdir(dir);
	return bpe;
}

static void lines_of_tiktoken(void **state) {
	static const char *const forms[] = { "YQ== 0\n= 2\nYWI= 1\n", "YQ 0\r\n2\r\nYWI 1", "\nYQ== 0\n  2\n\nYWI= 1\n\n" };
	char err[SN_ERRLEN] = "";
	size_t size;
	int result;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		sn_bpe *bpe = open_ranks(forms[i], NULL, 0, &result, err);
		if (result != SN_OK)
			fail_msg("%s", err);
		assert_memory_equal(sn_bpe_bytes(bpe, 1, &size), "ab", 2);
		assert_int_equal(size, 2);
		assert_non_null(sn_bpe_bytes(bpe, 2, &size)); /* the empty token */
		assert_int_equal(size, 0);
		assert_int_equal(sn_bpe_size(bpe), 3);
		sn_bpe_close(&bpe);
	}
}

static void damaged_files_of_tiktoken(void **state) {
	static const sn_bpe_named taken[] = { { "<|en|>", 1 } }, outside[] = { { "<|en|>", 1 << 20 } }, twice[] = { { "<|en|>", 5 }, { "<|de|>", 5 } };
	static const struct {
		const char *text;
		const sn_bpe_named *special;
		int count, code;
		const char *says;
	} cases[] = {
		{ "", NULL, 0, SN_E_FORMAT, "is empty" },
		{ "YQ== 0\nYg==\n", NULL, 0, SN_E_FORMAT, "line 2 is no token" },
		{ "YQ== 1048576\n", NULL, 0, SN_E_FORMAT, "line 1 is no token" },
		{ "YQ== 9999999999\n", NULL, 0, SN_E_FORMAT, "line 1 is no token" },
		{ "YQ== -1\n", NULL, 0, SN_E_FORMAT, "line 1" },
		{ "Y*== 1\n", NULL, 0, SN_E_FORMAT, "base64" },
		{ "Y 1\n", NULL, 0, SN_E_FORMAT, "base64" },
		{ "YQ== 1\nYg== 1\n", NULL, 0, SN_E_MODEL, "line 2 has the id 1" },
		{ "YQ== 1\n", taken, 1, SN_E_MODEL, "the id 1 of '<|en|>' belongs to another" },
		{ "YQ== 1\n", twice, 2, SN_E_MODEL, "the id 5 of '<|de|>' belongs to another" },
		{ "YQ== 1\n", outside, 1, SN_E_MODEL, "'<|en|>' has the id 1048576" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char err[SN_ERRLEN] = "";
		int result;
		assert_null(open_ranks(cases[i].text, cases[i].special, cases[i].count, &result, err));
		expect_failure(result, cases[i].code, err, cases[i].says);
	}
	char err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	expect_failure(sn_bpe_open_ranks(&bpe, "/nonexistent/tokens.txt", NULL, 0, err), SN_E_NOT_FOUND, err, "tokens.txt");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hugging_face_directory), cmocka_unit_test(tokenizer_json_alone),  cmocka_unit_test(ctranslate2_lists),
		cmocka_unit_test(special_tokens),         cmocka_unit_test(decoding_repairs_utf8), cmocka_unit_test(encoding_refuses),
		cmocka_unit_test(one_word_of_a_megabyte), cmocka_unit_test(damaged_vocabularies),  cmocka_unit_test(holes_and_lacking_merges),
		cmocka_unit_test(other_tokenizers),       cmocka_unit_test(files_of_tiktoken),     cmocka_unit_test(lines_of_tiktoken),
		cmocka_unit_test(damaged_files_of_tiktoken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
