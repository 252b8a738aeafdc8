/* Character sets and cleaners of Coqui TTS, and Tacotron2's symbols, against the reference's. */
#include "test_text.h"

#include "text/cleaners.h"
#include "text/coqui.h"
#include "text/symbols.h"

#define SENTENCE "Hello (you), what is this?"

static const char *const files[] = { "config.json", NULL };

/* A config.json, as a text or as a fixture with some keys changed. */
static int open_text(sn_coqui **out, const char *config, char *err) {
	char dir[64], path[128];
	put_text(make_dir(dir), "config.json", config);
	snprintf(path, sizeof path, "%s/config.json", dir);
	int result = sn_coqui_open(out, path, err);
	drop_dir(dir, files);
	return result;
}

static sn_coqui *open_with(const char *path, const char *key, json_t *value) {
	char err[SN_ERRLEN] = "";
	sn_coqui *coqui;
	json_t *config = load_json(path);
	if (key)
		json_object_set_new(config, key, value);
	char *text = json_dumps(config, 0);
	if (open_text(&coqui, text, err) != SN_OK)
		fail_msg("%s", err);
	free(text);
	json_decref(config);
	return coqui;
}

static void vocabularies(void **state) {
	json_t *all = load_json(FIXTURES "text/coqui.json"), *entry, *symbol;
	size_t i, k;
	json_array_foreach(json_object_get(all, "vocabularies"), i, entry) {
		char err[SN_ERRLEN] = "", class[64];
		sn_coqui *coqui;
		json_t *config = json_object(), *set = json_object_get(entry, "characters"), *vocabulary = json_object_get(entry, "vocab");
		const char *name = text_of(entry, "class");
		snprintf(class, sizeof class, "TTS.somewhere.%s", name);
		if (json_is_object(set))
			json_object_set_new(set, "characters_class", json_string(class));
		json_object_set(config, "characters", set);
		json_object_set_new(config, "model", json_string(strcmp(name, "VitsCharacters") == 0 ? "vits" : "tacotron2"));
		json_object_set_new(config, "use_phonemes", json_boolean(strcmp(name, "IPAPhonemes") == 0));
		char *text = json_dumps(config, 0);
		if (open_text(&coqui, text, err) != SN_OK)
			fail_msg("%s", err);
		assert_int_equal(sn_coqui_get_config(coqui)->size, json_array_size(vocabulary));
		json_array_foreach(vocabulary, k, symbol)
			assert_string_equal(sn_coqui_symbol(coqui, (int32_t)k), json_string_value(symbol));
		sn_coqui_close(&coqui);
		free(text);
		json_decref(config);
	}
	json_decref(all);
}

static void cleaners(void **state) {
	json_t *all = load_json(FIXTURES "text/coqui.json"), *entry;
	size_t i;
	json_array_foreach(json_object_get(all, "cleaners"), i, entry) {
		char err[SN_ERRLEN] = "";
		const char *text = text_of(entry, "text");
		sn_buf out;
		sn_buf_init(&out, 1 << 16);
		if (sn_clean(&out, text_of(entry, "cleaner"), text_of(entry, "language"), text, strlen(text), err) != SN_OK)
			fail_msg("%s", err);
		if (strcmp(out.data ? out.data : "", text_of(entry, "clean")) != 0)
			fail_msg("%s (%s) makes '%s' of '%s', not '%s'", text_of(entry, "cleaner"), text_of(entry, "language"), out.data, text,
			         text_of(entry, "clean"));
		sn_buf_free(&out);
	}
	json_decref(all);
}

static void expect_encoded(const sn_coqui *coqui, sn_phonemizer *phonemizer, const char *text, const int32_t *expected, int size) {
	char err[SN_ERRLEN] = "";
	int32_t ids[256];
	int count, missing;
	if (sn_coqui_encode(coqui, phonemizer, NULL, text, strlen(text), ids, 256, &count, &missing, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(count, size);
	assert_memory_equal(ids, expected, (size_t)size * sizeof *ids);
	expect_failure(sn_coqui_encode(coqui, phonemizer, NULL, text, strlen(text), ids, size - 1, &count, NULL, err), SN_E_LIMIT, err, "at most");
}

/* The ids of the fixtures' expected.safetensors. */
static void checkpoints(void **state) {
	static const int32_t lower[] = { 37, 34, 41, 41, 44, 66, 58, 54, 44, 50, 59, 60, 66, 52, 37, 30, 49, 66, 38, 48, 66, 49, 37, 38, 48, 65 };
	static const int32_t cased[] = { 11, 34, 41, 41, 44, 66, 58, 54, 44, 50, 59, 60, 66, 52, 37, 30, 49, 66, 38, 48, 66, 49, 37, 38, 48, 65 };
	static const int32_t blanks[] = { 71, 45, 71, 42, 71, 49, 71, 49, 71, 52, 71, 5,  71, 11, 71, 46, 71, 56, 71, 11,
		                              71, 57, 71, 45, 71, 46, 71, 56, 71, 11, 71, 62, 71, 52, 71, 58, 71, 10, 71 };
	sn_coqui *coqui = open_with(FIXTURES "tiny/tacotron2-coqui/config.json", NULL, NULL);
	assert_int_equal(sn_coqui_get_config(coqui)->size, 67);
	expect_encoded(coqui, NULL, SENTENCE, lower, 26);
	sn_coqui_close(&coqui);
	coqui = open_with(FIXTURES "tiny/fastpitch-coqui/config.json", "text_cleaner", json_null());
	expect_encoded(coqui, NULL, SENTENCE, cased, 26);
	sn_coqui_close(&coqui);
	coqui = open_with(FIXTURES "tiny/yourtts/config.json", NULL, NULL);
	expect_encoded(coqui, NULL, "Hello, is (this) you?", blanks, 39);
	sn_coqui_close(&coqui);
}

static void begin_and_end(void **state) {
	static const int32_t expected[] = { 2, 6, 5, 4, 7, 1 }; /* of two b the last */
	char err[SN_ERRLEN] = "";
	int32_t ids[16];
	int count, missing;
	sn_coqui *coqui;
	if (open_text(&coqui, "{\"enable_eos_bos_chars\": true, \"characters\": {\"characters_class\": \"Graphemes\", \"pad\": \"_\", \"eos\": \"~\", \"bos\":"
	                      "\"^\", \"characters\": \"b b\", \"punctuations\": \"a!\", \"is_unique\": false, \"is_sorted\": false}}", err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(sn_coqui_get_config(coqui)->blank, 8); /* there is none: one behind the last */
	assert_int_equal(sn_coqui_encode(coqui, NULL, NULL, "ab z!", 5, ids, 16, &count, &missing, err), SN_OK);
	assert_int_equal(missing, 1);
	assert_int_equal(count, 6);
	assert_memory_equal(ids, expected, sizeof expected);
	sn_coqui_close(&coqui);
}

static void phonemes(void **state) {
	static const char config[] = "{\"use_phonemes\": true, \"phoneme_language\": \"en-us\", \"phonemizer\": \"espeak\", \"text_cleaner\":"
								 "\"phoneme_cleaners\", \"characters\": {\"characters_class\": \"IPAPhonemes\", \"pad\": \"_\", \"eos\": \"&\", \"bos\": \"*\","
								 "\"phonemes\": \"helowɹdəʊˈɜːɪt\", \"characters\": \"\", \"punctuations\": \"!,. \", \"is_sorted\": false, \"is_unique\": false}}";
	char err[SN_ERRLEN] = "";
	int32_t ids[64];
	int count, missing;
	sn_coqui *coqui;
	sn_phonemizer *phonemizer;
	sn_buf said;
	sn_buf_init(&said, 1024);
	if (open_text(&coqui, config, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(sn_phonemizer_open(&phonemizer, err), SN_OK);
	if (sn_coqui_encode(coqui, phonemizer, NULL, "Hello,  world!", 14, ids, 64, &count, &missing, err) != SN_OK)
		fail_msg("%s", err);
	for (int i = 0; i < count; i++)
		sn_buf_text(&said, sn_coqui_symbol(coqui, ids[i]));
	assert_string_equal(said.data, "həlˈoʊ, wˈɜːld!");
	assert_int_equal(missing, 0);
	expect_failure(sn_coqui_encode(coqui, NULL, NULL, "Hello", 5, ids, 64, &count, NULL, err), SN_E_DEPENDENCY, err, "phonemizer");
	sn_buf_free(&said);
	sn_phonemizer_close(&phonemizer);
	sn_coqui_close(&coqui);
}

static void expect_refused(const char *config, int code, const char *says) {
	char err[SN_ERRLEN] = "";
	sn_coqui *coqui;
	expect_failure(open_text(&coqui, config, err), code, err, says);
	assert_null(coqui);
}

static void damaged_configs(void **state) {
	expect_refused("[", SN_E_FORMAT, "not valid JSON");
	expect_refused("{\"text_cleaner\": \"martian_cleaners\"}", SN_E_UNSUPPORTED, "martian_cleaners");
	expect_refused("{\"use_phonemes\": true, \"phonemizer\": \"ja_jp_phonemizer\"}", SN_E_UNSUPPORTED, "ja_jp_phonemizer");
	expect_refused("{\"characters\": {\"characters_class\": \"my.Own\"}}", SN_E_UNSUPPORTED, "'Own'");
	expect_refused("{\"characters\": {\"characters_class\": \"Graphemes\"}}", SN_E_MODEL, "'characters'");
	expect_refused("{\"characters\": 5}", SN_E_MODEL, "object");
	expect_refused("{\"characters\": {\"characters\": 5}}", SN_E_MODEL, "'characters' must be a text");
	expect_refused("{\"characters\": {\"characters\": \"ab\", \"punctuations\": \"a\"}}", SN_E_MODEL, "twice");
	expect_refused("{\"enable_eos_bos_chars\": true, \"characters\": {\"characters\": \"ab\", \"punctuations\": \"\"}}", SN_E_MODEL, "eos");
	expect_refused("{\"add_blank\": 3}", SN_E_MODEL, "add_blank");
	expect_refused("{\"characters\": {\"characters_class\": \"BaseVocabulary\", \"vocab_dict\": [1]}}", SN_E_MODEL, "entry 0");
}

static void tacotron2_symbols(void **state) {
	static const int32_t sentence[] = { 45, 42, 49, 49, 52, 11, 4, 62, 52, 58, 5, 6, 11, 60, 45, 38, 57, 11, 46, 56, 11, 57, 45, 46, 56, 10 };
	char err[SN_ERRLEN] = "";
	int32_t ids[256];
	int count, missing;
	assert_int_equal(sn_symbols_encode(SENTENCE, strlen(SENTENCE), ids, 256, &count, &missing, err), SN_OK);
	assert_int_equal(count, 26);
	assert_memory_equal(ids, sentence, sizeof sentence);
	assert_string_equal(sn_symbols_name(64), "@AA");
	assert_string_equal(sn_symbols_name(147), "@ZH");
	assert_null(sn_symbols_name(148));
	assert_int_equal(sn_symbols_id("z"), 63);
	assert_int_equal(sn_symbols_encode("turn {HH AW1 S} _now", 20, ids, 256, &count, &missing, err), SN_OK);
	assert_int_equal(missing, 1);
	assert_int_equal(ids[5], sn_symbols_id("@HH"));
	assert_int_equal(ids[6], sn_symbols_id("@AW1"));
	assert_int_equal(ids[4], sn_symbols_id(" "));
	expect_failure(sn_symbols_encode("{XX}", 4, ids, 256, &count, &missing, err), SN_E_ARGUMENT, err, "'XX'");
	expect_failure(sn_symbols_encode("hello", 5, ids, 2, &count, &missing, err), SN_E_LIMIT, err, "5 ids");
	assert_int_equal(sn_symbols_encode("caf\u00e9 3", 7, ids, 256, &count, &missing, err), SN_OK);
	assert_int_equal(count, 10); /* cafe three */
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(vocabularies),  cmocka_unit_test(cleaners),        cmocka_unit_test(checkpoints),
		                                cmocka_unit_test(begin_and_end), cmocka_unit_test(phonemes),        cmocka_unit_test(damaged_configs),
		                                cmocka_unit_test(tacotron2_symbols) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
