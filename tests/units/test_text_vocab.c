/* Vocabularies: CTC's against the reference's texts, WordPiece against its ids, ARPAbet against a dictionary. */
#include "test_text.h"

#include "text/arpabet.h"
#include "text/ctc_vocab.h"
#include "text/vocab.h"
#include "text/wordpiece.h"

static const char *const files[] = { "vocab.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
	                                 "tokenizer.json", NULL };

/* ---- CTC ---- */

static sn_ctc_vocab *open_ctc(const char *dir, const char *language) {
	char err[SN_ERRLEN] = "";
	sn_ctc_vocab *v;
	if (sn_ctc_vocab_open(&v, dir, language, err) != SN_OK)
		fail_msg("%s", err);
	return v;
}

static void expect_ctc(const sn_ctc_vocab *v, const int32_t *ids, int count, int group, int skip, const char *text) {
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	assert_int_equal(sn_ctc_vocab_decode(v, ids, count, group, skip, &out), SN_OK);
	assert_string_equal(out.data ? out.data : "", text);
	sn_buf_free(&out);
}

/* argmax_ids of the fixtures and the texts of their README. */
static void ctc_fixtures(void **state) {
	static const int32_t base[] = { 29, 19, 9,  2,  1,  20, 20, 20, 26, 31, 25, 26, 8,  15, 4,  31, 13, 25, 20, 20, 31, 12, 6,  12, 22,
		                            22, 13, 14, 14, 20, 27, 20, 20, 20, 22, 16, 21, 3,  17, 25, 14, 11, 20, 20, 20, 20, 16, 20, 6 };
	static const int32_t large[] = { 29, 11, 6,  1,  11, 8,  23, 20, 25, 11, 30, 23, 2,  3,  8,  22, 17, 23, 28, 30, 31, 14, 31, 2, 6,
		                             2,  22, 7,  12, 6,  31, 31, 31, 6,  4,  6,  31, 10, 9,  22, 22, 2,  13, 17, 12, 23, 31, 22, 6 };
	sn_ctc_vocab *v = open_ctc(FIXTURES "tiny/wav2vec2-base", NULL);
	const sn_ctc_vocab_config *c = sn_ctc_vocab_get_config(v);
	assert_int_equal(c->size, 32);
	assert_int_equal(c->blank, 0);
	assert_int_equal(c->delimiter, 4);
	assert_int_equal(c->languages, 0);
	expect_ctc(v, base, 49, 1, 0, "QCI</s><s>FK'VKOL 'RVF'HTHYRDFXFYUG<unk>MVDSFUFT");
	expect_ctc(v, base, 49, 1, 1, "QCIFK'VKOL 'RVF'HTHYRDFXFYUGMVDSFUFT");
	sn_ctc_vocab_close(&v);
	v = open_ctc(FIXTURES "tiny/wav2vec2-large", NULL);
	expect_ctc(v, large, 49, 1, 0, "QST<s>SOPFVSZP</s><unk>OYMPJZ'D'</s>T</s>YAHT'T T'NIY</s>RMHP'YT");
	sn_ctc_vocab_close(&v);
}

static void blanks_and_words(void **state) {
	static const int32_t hello[] = { 4, 12, 12, 5, 0, 15, 15, 0, 15, 8, 4, 4, 0, 4 };
	static const int32_t expected[] = { 12, 5, 15, 15, 8, 4, 18, 8 };
	char err[SN_ERRLEN] = "";
	int32_t ids[16];
	int count, missing;
	sn_ctc_vocab *v = open_ctc(FIXTURES "tiny/wav2vec2-base", NULL);
	expect_ctc(v, hello, 14, 1, 0, "HELLO");
	expect_ctc(v, hello, 14, 1, 1, "HELLO");
	expect_ctc(v, hello + 1, 3, 0, 0, "HHE");
	assert_int_equal(sn_ctc_vocab_encode(v, "  hello  Wo\u00e9 ", 14, ids, 16, &count, &missing, err), SN_OK);
	assert_int_equal(missing, 1);
	assert_int_equal(count, 8);
	assert_memory_equal(ids, expected, sizeof expected);
	expect_failure(sn_ctc_vocab_encode(v, "hello", 5, ids, 4, &count, NULL, err), SN_E_LIMIT, err, "5 ids");
	expect_failure(sn_ctc_vocab_encode(v, "a\xff", 2, ids, 4, &count, NULL, err), SN_E_FORMAT, err, "byte 1");
	assert_string_equal(sn_ctc_vocab_text(v, 4, 0), " ");
	assert_string_equal(sn_ctc_vocab_text(v, 0, 0), "");
	assert_string_equal(sn_ctc_vocab_text(v, 99, 0), "");
	assert_int_equal(sn_ctc_vocab_special(v, 3), 1);
	sn_ctc_vocab_close(&v);
}

static void languages(void **state) {
	static const char nested[] = "{\"eng\": {\"<pad>\": 0, \"a\": 1, \"|\": 2, \"<unk>\": 3}, \"fra\": {\"<pad>\": 0, \"\u00e9\": 1, \"|\": 2, \"<unk>\": 3}}";
	static const int32_t ids[] = { 1, 0, 1 };
	char dir[64], err[SN_ERRLEN] = "";
	put_text(make_dir(dir), "vocab.json", nested);
	put_text(dir, "tokenizer_config.json", "{\"target_lang\": \"fra\", \"do_lower_case\": true}");
	sn_ctc_vocab *v = open_ctc(dir, NULL);
	assert_string_equal(sn_ctc_vocab_get_config(v)->language, "fra");
	assert_int_equal(sn_ctc_vocab_get_config(v)->languages, 2);
	assert_string_equal(sn_ctc_vocab_language(v, 0), "eng");
	assert_null(sn_ctc_vocab_language(v, 2));
	expect_ctc(v, ids, 3, 1, 0, "\u00e9\u00e9");
	sn_ctc_vocab_close(&v);
	v = open_ctc(dir, "en");
	expect_ctc(v, ids, 3, 1, 0, "aa");
	sn_ctc_vocab_close(&v);
	expect_failure(sn_ctc_vocab_open(&v, dir, "deu", err), SN_E_UNSUPPORTED, err, "eng, fra");
	expect_failure(sn_ctc_vocab_open(&v, dir, "abcdefgh", err), SN_E_UNSUPPORTED, err, "'abcdefgh'");
	drop_dir(dir, files);
}

static void expect_ctc_refused(const char *vocabulary, int code, const char *says) {
	char dir[64], err[SN_ERRLEN] = "";
	sn_ctc_vocab *v;
	put_text(make_dir(dir), "vocab.json", vocabulary);
	expect_failure(sn_ctc_vocab_open(&v, dir, NULL, err), code, err, says);
	assert_null(v);
	drop_dir(dir, files);
}

/* Tokens lie in mapped files, without a NUL behind them. */
static void messages_end_with_the_token(void **state) {
	char err[SN_ERRLEN] = "";
	vocab v = { 0 };
	expect_failure(vocab_add(&v, SN_VOCAB_MAX_TOKENS, "abcdef", 3, "file", err), SN_E_MODEL, err, "'abc'");
	assert_int_equal(vocab_add(&v, 0, "x", 1, "file", err), SN_OK);
	expect_failure(vocab_add(&v, 0, "abcdef", 3, "file", err), SN_E_MODEL, err, "'abc'");
	vocab_free(&v);
}

static void damaged_ctc(void **state) {
	expect_ctc_refused("{}", SN_E_FORMAT, "object of tokens");
	expect_ctc_refused("[]", SN_E_FORMAT, "object");
	expect_ctc_refused("{\"<pad>\": 0, \"a\": 2}", SN_E_MODEL, "no token has the id 1");
	expect_ctc_refused("{\"<pad>\": 0, \"a\": 0}", SN_E_MODEL, "id 0 belongs to");
	expect_ctc_refused("{\"<pad>\": 0, \"a\": -1}", SN_E_MODEL, "'a'");
	expect_ctc_refused("{\"<pad>\": 0, \"a\": 4000000000}", SN_E_MODEL, "'a'");
	expect_ctc_refused("{\"a\": 0}", SN_E_MODEL, "pad_token");
	expect_ctc_refused("{\"a\": \"x\"}", SN_E_MODEL, "integer");
	expect_ctc_refused("{\"eng\": {\"<pad>\": 0}, \"fra\": 5}", SN_E_FORMAT, "'fra'");
}

/* ---- WordPiece ---- */

static sn_wordpiece *open_words(const char *dir) {
	char err[SN_ERRLEN] = "";
	sn_wordpiece *w;
	if (sn_wordpiece_open(&w, dir, err) != SN_OK)
		fail_msg("%s", err);
	return w;
}

static void expect_words(const char *dir, const json_t *cases) {
	sn_wordpiece *w = open_words(dir);
	json_t *entry;
	size_t i;
	json_array_foreach(cases, i, entry) {
		char err[SN_ERRLEN] = "";
		int32_t ids[512];
		int count;
		const char *text = text_of(entry, "text");
		if (sn_wordpiece_encode(w, text, strlen(text), ids, 512, &count, err) != SN_OK)
			fail_msg("%s", err);
		expect_ids(text, json_object_get(entry, "ids"), ids, count);
	}
	sn_wordpiece_close(&w);
}

static void bark_tokenizer(void **state) {
	json_t *cases = load_json(FIXTURES "tiny/bark/tokenizer_cases.json");
	expect_words(FIXTURES "tiny/bark", cases);
	json_decref(cases);
}

/* Every option, from vocab.txt and from tokenizer.json, as the tokenizers library has it. */
static void word_options(void **state) {
	json_t *all = load_json(FIXTURES "text/wordpiece.json"), *entry;
	size_t i;
	json_array_foreach(json_object_get(all, "tokenizers"), i, entry) {
		char dir[64], *text = json_dumps(json_object_get(entry, "json"), 0);
		put_text(make_dir(dir), "tokenizer.json", text);
		free(text);
		expect_words(dir, json_object_get(entry, "cases"));
		drop_dir(dir, files);
		text = json_dumps(json_object_get(entry, "config"), 0);
		put_text(make_dir(dir), "tokenizer_config.json", text);
		put_text(dir, "vocab.txt", text_of(all, "vocab"));
		free(text);
		expect_words(dir, json_object_get(entry, "cases"));
		drop_dir(dir, files);
	}
	json_decref(all);
}

static void expect_words_refused(const char *name, const char *text, int code, const char *says) {
	char dir[64], err[SN_ERRLEN] = "";
	sn_wordpiece *w;
	put_text(make_dir(dir), name, text);
	expect_failure(sn_wordpiece_open(&w, dir, err), code, err, says);
	assert_null(w);
	drop_dir(dir, files);
}

static void damaged_words(void **state) {
	expect_words_refused("vocab.txt", "", SN_E_FORMAT, "empty");
	expect_words_refused("vocab.txt", "a\nb\n", SN_E_MODEL, "[UNK]");
	expect_words_refused("vocab.txt", "[UNK]\na\na\n", SN_E_MODEL, "'a' has the ids 1 and 2");
	expect_words_refused("vocab.txt", "[UNK]\n\xff\n", SN_E_MODEL, "UTF-8");
	expect_words_refused("tokenizer.json", "{\"model\": {\"type\": \"Strange\"}}", SN_E_UNSUPPORTED, "'Strange'");
	expect_words_refused("tokenizer.json", "{\"normalizer\": {\"type\": \"Lowercase\"}}", SN_E_UNSUPPORTED, "'Lowercase'");
	expect_words_refused("tokenizer.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0, \"b\": 0}}}", SN_E_MODEL, "id 0");
	char err[SN_ERRLEN] = "";
	sn_wordpiece *w;
	expect_failure(sn_wordpiece_open(&w, "/nonexistent", err), SN_E_NOT_FOUND, err, "vocab.txt");
}

/* ---- ARPAbet ---- */

static void expect_phones(const char *text, int spaces, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_phonemizer *phonemizer;
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	assert_int_equal(sn_phonemizer_open(&phonemizer, err), SN_OK);
	if (sn_arpabet_run(phonemizer, text, strlen(text), spaces, &out, err) != SN_OK)
		fail_msg("%s", err);
	assert_string_equal(out.data ? out.data : "", expected);
	sn_buf_free(&out);
	sn_phonemizer_close(&phonemizer);
}

static void arpabet(void **state) {
	expect_phones("Hello, my dog is cute.", 0, "HH AH0 L OW1 , M AY1 D AA1 G IH1 Z K Y UW1 T .");
	expect_phones("Hello world!", 1, "HH AH0 L OW1 | W ER1 L D !");
	expect_phones("Say {HH AW1 S}?", 0, "S EY1 HH AW1 S ?");
	expect_phones("3 cats", 0, "TH R IY1 K AE1 T S");
	expect_phones("", 0, "");
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 64);
	expect_failure(sn_arpabet_run(NULL, "{HH QQ}", 7, 0, &out, err), SN_E_ARGUMENT, err, "'QQ'");
	expect_failure(sn_arpabet_run(NULL, "a", 1, 0, &out, err), SN_E_DEPENDENCY, err, "phonemizer");
	sn_buf_free(&out);
	assert_int_equal(sn_arpabet_known("ZH"), 1);
	assert_int_equal(sn_arpabet_known("ZH1"), 0);
	assert_int_equal(sn_arpabet_known("UW2"), 1);
}

static void from_ipa(void **state) {
	static const char *const cases[][2] = { { "bˈʌʔn̩", "B AH1 T AH0 N" },       { "fˈaɪɚ", "F AY1 ER0" },      { "tʃˈɜːtʃ", "CH ER1 CH" },
		                                    { "ˌʌndɚstˈænd", "AH2 N D ER0 S T AE1 N D" }, { "hˈɪɹ", "HH IH1 R" }, { "wˈɔːɾɚ", "W AO1 T ER0" },
		                                    { "ðə", "DH AH0" },                  { "ɪz", "IH1 Z" },             { "(fr)ʒɑ̃(en)", "ZH AA1 N" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		sn_buf out;
		sn_buf_init(&out, 256);
		assert_int_equal(sn_arpabet_from_ipa(cases[i][0], strlen(cases[i][0]), &out), SN_OK);
		assert_string_equal(out.data, cases[i][1]);
		sn_buf_free(&out);
	}
}

static void phone_ids(void **state) {
	static const int32_t expected[] = { 26, 2, 8, 34, 23, 14, 32, 5, 24, 37, 12, 11, 10, 41, 28, 4, 33, 48 };
	char err[SN_ERRLEN] = "", dir[64];
	int32_t ids[64];
	int count, missing;
	sn_phones *p;
	sn_phonemizer *phonemizer;
	assert_int_equal(sn_phonemizer_open(&phonemizer, err), SN_OK);
	if (sn_phones_open(&p, FIXTURES "tiny/fastspeech2-conformer", err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(sn_phones_ids(p, "HH AH0 L OW1 , M AY1 D AA1 G IH1 Z K Y UW1 T .", ids, 64, &count, &missing, err), SN_OK);
	assert_int_equal(count, 18);
	assert_int_equal(missing, 0);
	assert_memory_equal(ids, expected, sizeof expected);
	assert_int_equal(sn_phones_encode(p, phonemizer, "Hello, my dog is cute.", 22, ids, 64, &count, &missing, err), SN_OK);
	assert_int_equal(count, 18);
	assert_memory_equal(ids, expected, sizeof expected);
	assert_int_equal(sn_phones_ids(p, "AY0 XX", ids, 64, &count, &missing, err), SN_OK);
	assert_int_equal(ids[0], sn_phones_id(p, "AY1")); /* there is no AY0 */
	assert_int_equal(ids[1], sn_phones_get_config(p)->unknown);
	assert_int_equal(missing, 1);
	expect_failure(sn_phones_ids(p, "AY0 XX", ids, 2, &count, &missing, err), SN_E_LIMIT, err, "3 ids");
	sn_phones_close(&p);
	sn_phonemizer_close(&phonemizer);
	put_text(make_dir(dir), "vocab.json", "{\"AA\": 0}");
	expect_failure(sn_phones_open(&p, dir, err), SN_E_MODEL, err, "eos_token");
	drop_dir(dir, files);
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(ctc_fixtures),   cmocka_unit_test(blanks_and_words), cmocka_unit_test(languages),
		                                cmocka_unit_test(damaged_ctc),    cmocka_unit_test(messages_end_with_the_token),
		                                cmocka_unit_test(bark_tokenizer),   cmocka_unit_test(word_options),
		                                cmocka_unit_test(damaged_words),  cmocka_unit_test(arpabet),          cmocka_unit_test(from_ipa),
		                                cmocka_unit_test(phone_ids) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
