/* Kokoro's text: sounds as misaki makes them, Japanese numbers, ids and where they are cut; voices and tables that fit nothing. What needs
 * MeCab, or the published table, says so and passes where that is not installed. */
#include "test_text.h"

#include "base/buf.h"
#include "models/kokoro.h"
#include "models/synth.h"
#include "text/kana.h"
#include "text/kokoro.h"
#include "text/readings.h"

#include <limits.h>

typedef struct pair {
	const char *text, *sounds;
} pair;

static char dir[64], vocab[128];
static sn_kokoro_text *kokoro;
static sn_phonemizer *phonemizer;

/* Every sign that the voices know has an id here: its place in this list and one. */
static const char signs[] = ";:,.!?—…\"()“” ʣʥʦʨᵝAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçðʤəɚɛɜɡɥɨɪʝɯŋɲɴɸθɹɾʁʃʧʊʌʒʔˈˌːʲᵻ";

static int open_all(void **state) {
	char json[4096] = "{\"vocab\": {\"$\": 0", err[SN_ERRLEN] = "";
	make_dir(dir);
	size_t used = strlen(json);
	int id = 1;
	for (const char *at = signs; *at; id++) {
		int width = 1;
		while ((at[width] & 0xc0) == 0x80)
			width++;
		used += (size_t)snprintf(json + used, sizeof json - used, ", \"%s%.*s\": %d", *at == '"' ? "\\" : "", width, at, id);
		at += width;
	}
	used += (size_t)snprintf(json + used, sizeof json - used, "}}");
	put_file(dir, "vocab.json", json, used);
	snprintf(vocab, sizeof vocab, "%s/vocab.json", dir);
	if (sn_kokoro_text_open(&kokoro, vocab, err) != SN_OK || sn_phonemizer_open(&phonemizer, err) != SN_OK)
		fail_msg("%s", err);
	return 0;
}

static int close_all(void **state) {
	sn_kokoro_text_close(&kokoro);
	sn_phonemizer_close(&phonemizer);
	unlink(vocab);
	return rmdir(dir);
}

static void expect(const char *language, const char *text, const char *sounds, int unknown) {
	char err[SN_ERRLEN] = "";
	int missing = 0;
	sn_buf out;
	sn_buf_init(&out, 1 << 20);
	if (sn_kokoro_sounds(kokoro, phonemizer, language, NULL, text, strlen(text), &out, &missing, err) != SN_OK)
		fail_msg("%s: %s", text, err);
	assert_string_equal(out.data ? out.data : "", sounds);
	assert_int_equal(missing, unknown);
	sn_buf_free(&out);
}

static void expect_all(const char *language, const pair *pairs, size_t count) {
	for (size_t i = 0; i < count; i++)
		expect(language, pairs[i].text, pairs[i].sounds, 0);
}

static int has_mecab(void) {
	sn_readings *readings;
	assert_int_equal(sn_readings_open(&readings, NULL), SN_OK);
	char err[SN_ERRLEN] = "";
	const int ready = sn_readings_ready(readings, err);
	sn_readings_close(&readings);
	if (!ready)
		print_message("# not run: %s\n", err);
	return ready;
}

/* ---- sounds; the reference is misaki 0.9.4's espeak fallback, and misaki 0.7.4 for Japanese ---- */

static const pair english[] = {
	{ "Hello world, how are you today?", "həlˈO wˈɜɹld, hˌW ɑɹ ju tədˈA?" },
	{ "The quick brown fox jumps over the lazy dog.", "ðə kwˈɪk bɹˈWn fˈɑks ʤˈʌmps ˌOvəɹ ðə lˈAzi dˈɑɡ." },
	{ "She had your dark suit in greasy wash water all year.", "ʃi hæd jʊɹ dˈɑɹk sˈut ɪn ɡɹˈizi wˈɑʃ wˈɔTəɹɹ ˈɔl jˈɪɹ." },
	{ "The little boy chose a jar of butter and a bottle of water.", "ðə lˈɪTᵊl bˈY ʧˈOz ə ʤˈɑɹ ʌv bˈʌTəɹ ænd ə bˈɑTᵊl ʌv wˈɔTəɹ." },
	{ "Our police officer heard a noise near the church.", "ˌWəɹ pəlˈis ˈɑfɪsəɹ hˈɜɹd ə nˈYz nˌɪɹ ðə ʧˈɜɹʧ." },
	{ "I don't know whether the buildings were painted in nineteen twenty.", "I dˈOnt nˈO wˈɛðəɹ ðə bˈɪldɪŋz wɜɹ pˈAntᵻd ɪn nˈIntin twˈɛnti." },
	{ "Please measure the total area of the mountain cabin.", "plˈiz mˈɛʒəɹ ðə tˈOTᵊl ˈɛɹiə ʌvðə mˈWntɪn kˈæbɪn." },
	{ "Although it was raining, thirty children were playing outside.", "ɔlðˈO ɪt wʌz ɹˈAnɪŋ, θˈɜɹTi ʧˈɪldɹən wɜɹ plˈAɪŋ WtsˈId." },
	{ "A formal apology is hardly enough for that kind of behaviour.", "ə fˈɔɹmᵊl əpˈɑləʤi ɪz hˈɑɹdli ɪnˈʌf fɔɹ ðæt kˈInd ʌv bᵻhˈAvjəɹ." },
	{ "The singer's voice echoed through the hall at noon.", "ðə sˈɪŋəɹz vˈYs ˈɛkOd θɹu ðə hˈɔl æt nˈun." },
};

static void english_sounds_as_the_reference_writes_them(void **state) { expect_all("en", english, sizeof english / sizeof *english); }

static void other_languages_have_their_own_signs(void **state) {
	expect("en-gb", "The nurse, no.", "ðə nˈɜːs, nˈQ.", 0);
	expect("es", "muchas gracias.", "mˈuʧas ɣɾˈaθjas.", 0);
	expect("it", "ciao!", "ʧˈao!", 0);
}

static const pair japanese[] = {
	{ "今日はいい天気ですね。", "kʲoː βa ii teŋkʲi desɨ ne." },
	{ "私は東京へ行きました。", "βataɕi βa toːkʲoː e ikʲi maɕita." },
	{ "コンピューターのニュースを読んでいます。", "kompʲɨːtaː no ɲɨːsɨ o jonde imasɨ." },
	{ "「ありがとうございます」と、彼女は言った。", "“aɾʲiɡatoː ɡoʣaimasɨ” to, kanoʥo βa iʔta." },
	{ "ファイルをダウンロードしてください！", "ɸaiɾɯ o daɯnɾoːdo ɕite kɯdasai!" },
	{ "新幹線は速いですか？", "ɕiŋkaɴseɴ βa hajai desɨ ka?" },
	{ "ちょっと待って、まだ準備ができていない。", "ʨoʔto maʔte, mada ʥɨmbʲi ɡa dekʲite inai." },
	{ "北海道の冬はとても寒いです。", "hoʔkaidoː no ɸɯjɯ βa totemo samɯi desɨ." },
	{ "ティーパーティーでクォーターを使う。", "tʲiːpaːtʲiː de kᵝoːtaː o ʦɨkaɯ." },
	{ "あっ、しまった。", "aʔ, ɕimaʔta." },
	{ "本棚に新聞と雑誌が並んでいる。", "hondana ɲi ɕimbɯɴ to ʣaʔɕi ɡa naɾande iɾɯ." },
};

static void japanese_sounds_as_the_reference_writes_them(void **state) {
	if (!has_mecab())
		return;
	expect_all("ja", japanese, sizeof japanese / sizeof *japanese);
}

static void endings_stay_with_their_verbs(void **state) {
	if (!has_mecab())
		return;
	expect("ja", "本を読んでいます。", "hoɴ o jonde imasɨ.", 0);
	expect("ja", "食べた", "tabeta", 0);
}

static void kana_need_no_dictionary(void **state) {
	int missing = 0;
	sn_buf out;
	static const pair pairs[] = {
		{ "さくら", "sakɯɾa" }, { "ロボット", "ɾoboʔto" }, { "しんぶん", "ɕimbɯɴ" }, { "げんき", "ɡeŋkʲi" }, { "こんにちは", "koɲɲiʨiha" },
		{ "おんな", "onna" }, { "ほんや", "hoɴja" }, { "きゃきゅきょ", "kʲakʲɨkʲo" }, { "ティッシュ", "tʲiʔɕɨ" }, { "ウィーン", "βiːɴ" }, { "ファイト", "ɸaito" },
		{ "ヴィーナス", "vʲiːnasɨ" }, { "クォーク", "kᵝoːkɯ" }, { "イェス", "jesɨ" }, { "デュオ", "dʲɨo" }, { "トゥ", "tɯ" }, { "ヷ", "va" }, { "すゞめ", "sɨzɨme" },
	};
	sn_buf_init(&out, 4096);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		sn_buf_clear(&out);
		sn_kana_sounds(&out, pairs[i].text, strlen(pairs[i].text), &missing);
		assert_string_equal(out.data, pairs[i].sounds);
	}
	assert_int_equal(missing, 0);
	sn_kana_sounds(&out, "あ山", strlen("あ山"), &missing);
	assert_int_equal(missing, 1);
	sn_buf_free(&out);
}

static void numbers_are_read_with_their_counters(void **state) {
	static const pair pairs[] = {
		{ "二千二十四年", "にせん にじゅー よ ねん" }, { "10000", "いちまん" }, { "三百", "さんびゃく" }, { "八千六百", "はっせん ろっぴゃく" }, { "一兆", "いっちょー" },
		{ "一千万", "いっせんまん" }, { "四時", "よ じ" }, { "九月", "く がつ" }, { "二十日", "はつか" }, { "二十四日", "にじゅー よっか" }, { "三分", "さんぷん" },
		{ "十五分", "じゅー ごふん" }, { "三十分", "さんじゅっぷん" }, { "三匹", "さんびき" }, { "六本", "ろっぽん" }, { "八回", "はっかい" }, { "二人", "ふたり" }, { "十四人", "じゅー よ にん" },
		{ "3.14", "さん てん いちよん" }, { "三・一四", "さん てん いちよん" }, { "090", "ぜろきゅーぜろ" }, { "0", "ぜろ" }, { "一番", "" }, { "十分", "" },
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		sn_buf out;
		sn_buf_init(&out, 4096);
		const size_t used = sn_kana_number(&out, pairs[i].text, strlen(pairs[i].text), 0);
		assert_string_equal(out.data ? out.data : "", pairs[i].sounds);
		assert_int_equal(used, *pairs[i].sounds ? strlen(pairs[i].text) : 0);
		sn_buf_free(&out);
	}
}

static void foreign_words_and_unknown_signs(void **state) {
	expect("ja", "ねこ hello いぬ", "neko həlˈO inɯ", 0);
	expect("ja", "ｶﾀｶﾅ、ＡＢＣ！", "katakana, ˌAbˌisˈi!", 0);
	expect("ja", "กねこ", "neko", 1);
	expect("ja", "", "", 0);
}

static void a_missing_dictionary_is_told_of(void **state) {
	char err[SN_ERRLEN] = "";
	int missing = 0;
	sn_kokoro_text *own;
	sn_buf out;
	sn_buf_init(&out, 4096);
	setenv("SONANT_MECAB_DIC", "/nowhere", 1);
	assert_int_equal(sn_kokoro_text_open(&own, vocab, err), SN_OK);
	expect_failure(sn_kokoro_sounds(own, phonemizer, "ja", NULL, "漢字", strlen("漢字"), &out, &missing, err), SN_E_DEPENDENCY, err, "MeCab");
	assert_int_equal(sn_kokoro_sounds(own, phonemizer, "ja", NULL, "かな", strlen("かな"), &out, &missing, err), SN_OK);
	assert_string_equal(out.data, "kana");
	unsetenv("SONANT_MECAB_DIC");
	sn_kokoro_text_close(&own);
	sn_buf_free(&out);
}

/* ---- ids ---- */

static void ids_are_cut_at_marks_and_words(void **state) {
	int32_t ids[512];
	size_t used;
	int missing = 0;
	assert_int_equal(sn_kokoro_ids(kokoro, "ab c.", 5, ids, 510, &used, &missing), 5);
	assert_int_equal(used, 5);
	assert_int_equal(sn_kokoro_ids(kokoro, "aa aa. bb, bb bb", 16, ids, 13, &used, &missing), 6); /* behind the sentence */
	assert_int_equal(used, 6);
	assert_int_equal(sn_kokoro_ids(kokoro, "aaaa aa, bb bb", 14, ids, 11, &used, &missing), 8); /* the clause */
	assert_int_equal(sn_kokoro_ids(kokoro, "aaaa aaaa aaaa", 14, ids, 12, &used, &missing), 10); /* a word */
	assert_int_equal(sn_kokoro_ids(kokoro, "aaaaaaaaaaaa", 12, ids, 5, &used, &missing), 5);
	assert_int_equal(used, 5);
	assert_int_equal(missing, 0);
	assert_int_equal(sn_kokoro_ids(kokoro, "a語-g", strlen("a語-g"), ids, 5, &used, &missing), 2); /* the nearest sign for g */
	assert_int_equal(missing, 1);
}

static void ids_of_the_published_table(void **state) {
	static const int32_t expected[] = { 50, 83, 54, 156, 31, 16, 65, 156, 87, 123, 54, 46 };
	char path[PATH_MAX];
	int32_t ids[64];
	size_t used;
	int missing = 0;
	sn_kokoro_text *real;
	snprintf(path, sizeof path, "%s/models/kokoro/vocab.json", getenv("SONANT_HOME") ? getenv("SONANT_HOME") : "/nowhere");
	if (access(path, R_OK) != 0) {
		print_message("# not run: %s is not there\n", path);
		return;
	}
	assert_int_equal(sn_kokoro_text_open(&real, path, NULL), SN_OK);
	assert_int_equal(sn_kokoro_ids(real, "həlˈO wˈɜɹld", strlen("həlˈO wˈɜɹld"), ids, 64, &used, &missing), 12);
	assert_memory_equal(ids, expected, sizeof expected);
	sn_kokoro_text_close(&real);
}

/* ---- files that fit nothing ---- */

static void wrong_tables_are_refused(void **state) {
	static const struct {
		const char *json, *says;
	} cases[] = {
		{ "[]", "vocab" }, { "{}", "vocab" }, { "{\"vocab\": {}}", "vocab" }, { "{\"vocab\": {\"ab\": 1}}", "one character" }, { "{\"vocab\": {\"\": 1}}", "one character" },
		{ "{\"vocab\": {\"a\": -1}}", "id of" }, { "{\"vocab\": {\"a\": 5000}}", "id of" }, { "{\"vocab\": {\"a\": \"b\"}}", "id of" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char path[128], err[SN_ERRLEN] = "";
		sn_kokoro_text *text;
		put_file(dir, "other.json", cases[i].json, strlen(cases[i].json));
		snprintf(path, sizeof path, "%s/other.json", dir);
		expect_failure(sn_kokoro_text_open(&text, path, err), SN_E_MODEL, err, cases[i].says);
		assert_null(text);
		unlink(path);
	}
}

static void files_are_found_or_named(void **state) {
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	sn_kokoro_files files;
	expect_failure(sn_kokoro_locate(&files, dir, err), SN_E_NOT_FOUND, err, ".onnx");
	put_file(dir, "b.onnx", "x", 1);
	put_file(dir, "a.onnx", "x", 1);
	expect_failure(sn_kokoro_locate(&files, dir, err), SN_E_NOT_FOUND, err, "voices");
	put_file(dir, "voices_x.npz", "x", 1);
	assert_int_equal(sn_kokoro_locate(&files, dir, err), SN_OK);
	assert_string_equal(files.onnx + strlen(dir), "/a.onnx");
	snprintf(path, sizeof path, "%s/b.onnx", dir);
	assert_int_equal(sn_kokoro_locate(&files, path, err), SN_OK);
	assert_string_equal(files.onnx, path);
	const sn_load_options load = { .dir = dir };
	void *model;
	assert_true(sn_synth_kokoro.accepts(dir));
	assert_int_equal(sn_synth_kokoro.open(&model, &load, err), SN_E_MODEL); /* voices_x.npz is none */
	assert_null(model);
	static const char *const made[] = { "a.onnx", "b.onnx", "voices_x.npz" };
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, made[i]);
		unlink(path);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(english_sounds_as_the_reference_writes_them), cmocka_unit_test(other_languages_have_their_own_signs),
		cmocka_unit_test(japanese_sounds_as_the_reference_writes_them), cmocka_unit_test(endings_stay_with_their_verbs),
		cmocka_unit_test(kana_need_no_dictionary), cmocka_unit_test(numbers_are_read_with_their_counters),
		cmocka_unit_test(foreign_words_and_unknown_signs), cmocka_unit_test(a_missing_dictionary_is_told_of),
		cmocka_unit_test(ids_are_cut_at_marks_and_words), cmocka_unit_test(ids_of_the_published_table),
		cmocka_unit_test(wrong_tables_are_refused), cmocka_unit_test(files_are_found_or_named),
	};
	return cmocka_run_group_tests(tests, open_all, close_all);
}
