/* Text to the ids of a voice: phonemes by the helper, Piper's ids, characters. */
#include "test_text.h"

#include "base/buf.h"
#include "text/chars.h"
#include "text/normalise.h"
#include "text/piper.h"

#include <dirent.h>
#include <signal.h>

#define VOICE FIXTURES "text/piper/voice.onnx.json"

static const char *const chars_files[] = { "vocab.json", "tokenizer_config.json", NULL };
static const char *const voice_files[] = { "v.json", NULL };

static sn_phonemizer *new_phonemizer(void) {
	char err[SN_ERRLEN] = "";
	sn_phonemizer *phonemizer;
	if (sn_phonemizer_open(&phonemizer, err) != SN_OK)
		fail_msg("%s", err);
	return phonemizer;
}

static sn_piper *open_voice(const char *path) {
	char err[SN_ERRLEN] = "";
	sn_piper *piper;
	if (sn_piper_open(&piper, path, err) != SN_OK)
		fail_msg("%s", err);
	return piper;
}

/* ---- the phonemizer ---- */

/* The process id of the only child. */
static pid_t helper_pid(void) {
	DIR *processes = opendir("/proc");
	pid_t found = 0;
	for (struct dirent *entry; (entry = readdir(processes));) {
		char path[300], name[64];
		int parent = 0, pid = atoi(entry->d_name);
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		FILE *file = pid ? fopen(path, "r") : NULL;
		if (file && fscanf(file, "%*d (%63[^)]) %*c %d", name, &parent) == 2 && parent == getpid())
			found = pid;
		if (file)
			fclose(file);
	}
	closedir(processes);
	return found;
}

static void expect_phonemes(sn_phonemizer *phonemizer, const char *text, const char *phonemes, char terminator) {
	char err[SN_ERRLEN] = "";
	sn_clauses clauses;
	if (sn_phonemizer_run(phonemizer, "en-us", text, strlen(text), &clauses, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(clauses.count, 1);
	assert_string_equal(clauses.items[0].phonemes, phonemes);
	assert_int_equal(clauses.items[0].terminator, terminator);
	assert_int_equal(clauses.items[0].sentence_end, 1);
	sn_clauses_free(&clauses);
}

static void helper_is_sandboxed_and_started_again(void **state) {
	sn_phonemizer *phonemizer = new_phonemizer();
	char err[SN_ERRLEN] = "", path[64], line[128];
	int filtered = 0;
	if (sn_phonemizer_prestart(phonemizer, "en-us", err) != SN_OK)
		fail_msg("%s", err);
	expect_phonemes(phonemizer, "Hello!", "həlˈoʊ", '!');
	pid_t pid = helper_pid();
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		filtered |= strcmp(line, "Seccomp:\t2\n") == 0;
	fclose(file);
	assert_true(filtered);
	assert_int_equal(kill(pid, SIGKILL), 0);
	expect_phonemes(phonemizer, "Hello?", "həlˈoʊ", '?');
	assert_int_not_equal(helper_pid(), pid);
	sn_phonemizer_close(&phonemizer);
	assert_int_equal(helper_pid(), 0);
}

static void clauses_know_their_text(void **state) {
	static const char text[] = "One, two; \"three.\" Four:\n\nFive";
	static const char *const parts[] = { "One,", "two;", "\"three.", "\" Four:", "Five" };
	static const char terminators[] = { ',', ';', '.', 0, 0 };
	sn_phonemizer *phonemizer = new_phonemizer();
	char err[SN_ERRLEN] = "";
	sn_clauses clauses;
	if (sn_phonemizer_run(phonemizer, "en-us", text, strlen(text), &clauses, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(clauses.count, 5);
	for (int i = 0; i < 5; i++) {
		const sn_clause *clause = &clauses.items[i];
		assert_int_equal(clause->end - clause->begin, strlen(parts[i]));
		assert_memory_equal(text + clause->begin, parts[i], strlen(parts[i]));
		assert_int_equal(clause->terminator, terminators[i]);
		assert_int_equal(clause->sentence_end, i >= 2);
	}
	sn_clauses_free(&clauses);
	sn_phonemizer_close(&phonemizer);
}

static void survives(sn_phonemizer *phonemizer, const char *voice, const char *unit, size_t size) {
	char err[SN_ERRLEN] = "", *text = malloc(size + 8);
	sn_clauses clauses;
	for (size_t i = 0; i < size; i++)
		text[i] = unit[i % strlen(unit)];
	int result = sn_phonemizer_run(phonemizer, voice, text, size, &clauses, err);
	if (result != SN_OK && result != SN_E_LIMIT)
		fail_msg("%s", err);
	sn_clauses_free(&clauses);
	free(text);
}

static void helper_survives_odd_text(void **state) {
	sn_phonemizer *phonemizer = new_phonemizer();
	static const char *const units[] = { "\xff", "\xc3", "\x01V", "\x01" "B1 ", "a\n\n", "9", "[[", "<a>&#x;", "\xf0\x9f\x98\x80", ".", "'s ",
		                                 "\xee\x80\xbc", "\xcc\x81", "\xe6\x97\xa5", "a\xe6\x97\xa5", "a.\xe6\x97\xa5\xff" };
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		survives(phonemizer, "en-us", units[i], 20000);
		survives(phonemizer, "cmn", units[i], 20000);
	}
	survives(phonemizer, "en-us", "x y. ", SN_PHONEMIZE_MAX);
	survives(phonemizer, "cmn", "a\xe6\x97\xa5", SN_PHONEMIZE_MAX);
	expect_phonemes(phonemizer, "Hello.", "həlˈoʊ", '.');
	sn_phonemizer_close(&phonemizer);
}

static void phonemizer_refuses(void **state) {
	sn_phonemizer *phonemizer = new_phonemizer();
	char err[SN_ERRLEN] = "", *big = calloc(1, SN_PHONEMIZE_MAX + 1);
	sn_clauses clauses;
	expect_failure(sn_phonemizer_run(phonemizer, "no-such", "a", 1, &clauses, err), SN_E_UNSUPPORTED, err, "'no-such'");
	expect_failure(sn_phonemizer_run(phonemizer, "../../en", "a", 1, &clauses, err), SN_E_UNSUPPORTED, err, "'../../en'");
	expect_failure(sn_phonemizer_run(phonemizer, "", "a", 1, &clauses, err), SN_E_UNSUPPORTED, err, "''");
	expect_failure(sn_phonemizer_run(phonemizer, "en-us", big, SN_PHONEMIZE_MAX + 1, &clauses, err), SN_E_LIMIT, err, "65537 bytes");
	expect_phonemes(phonemizer, "Hello.", "həlˈoʊ", '.');
	free(big);
	sn_phonemizer_close(&phonemizer);
}

static void missing_and_broken_helpers(void **state) {
	static const char *const files[] = { "sonant-phonemize", NULL };
	char dir[64], path[128], err[SN_ERRLEN] = "", *kept = strdup(getenv("SONANT_HELPERS"));
	sn_phonemizer *phonemizer = new_phonemizer();
	sn_clauses clauses;
	setenv("SONANT_HELPERS", make_dir(dir), 1);
	expect_failure(sn_phonemizer_prestart(phonemizer, NULL, err), SN_E_DEPENDENCY, err, dir);
	put_text(dir, "sonant-phonemize", "#!/bin/sh\necho this is not the protocol\n");
	snprintf(path, sizeof path, "%s/sonant-phonemize", dir);
	assert_int_equal(chmod(path, 0700), 0);
	expect_failure(sn_phonemizer_run(phonemizer, "en-us", "a", 1, &clauses, err), SN_E_IO, err, "protocol");
	put_text(dir, "sonant-phonemize", "#!/bin/sh\nprintf 'snp1\\144\\0\\0\\0\\0\\0\\0\\0'\n"); /* code 100 */
	expect_failure(sn_phonemizer_run(phonemizer, "en-us", "a", 1, &clauses, err), SN_E_IO, err, "protocol");
	put_text(dir, "sonant-phonemize", "#!/bin/sh\nexit 0\n");
	expect_failure(sn_phonemizer_run(phonemizer, "en-us", "a", 1, &clauses, err), SN_E_IO, err, "ended");
	setenv("SONANT_HELPERS", kept, 1);
	expect_phonemes(phonemizer, "Hello.", "həlˈoʊ", '.');
	sn_phonemizer_close(&phonemizer);
	drop_dir(dir, files);
	free(kept);
}

/* Every release of espeak-ng reads the characters as Chinese and Latin words between them as English. */
static void chinese_is_no_english(void **state) {
	static const struct {
		const char *text, *without, *with;
	} cases[] = { { "你好", "(en)", "χˈɑu2" }, { "三二一", "(en)", "sˈa5n ˈər5 jˈi5" }, { "我用 iPhone 写 code。", "(en)n", "(en)ˈaɪ fˈəʊn(cmn)" },
		          { "我用 iPhone 写 code。", "ph", "(en)kˈəʊd(cmn)" }, { "hello world", "tɕ", "(en)həlˈəʊ wˈɜːld(cmn)" } };
	sn_phonemizer *phonemizer = new_phonemizer();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char err[SN_ERRLEN] = "";
		sn_clauses clauses;
		const char *const text = cases[i].text;
		if (sn_phonemizer_run(phonemizer, "cmn", text, strlen(text), &clauses, err) != SN_OK)
			fail_msg("%s", err);
		assert_int_equal(clauses.count, 1);
		assert_int_equal(clauses.items[0].end, strlen(text));
		assert_int_equal(clauses.items[0].sentence_end, 1);
		if (strstr(clauses.items[0].phonemes, cases[i].without) || !strstr(clauses.items[0].phonemes, cases[i].with))
			fail_msg("%s: %s", text, clauses.items[0].phonemes);
		sn_clauses_free(&clauses);
	}
	sn_phonemizer_close(&phonemizer);
}

/* Not the article. */
static void a_spelled_a_is_a_letter(void **state) {
	sn_phonemizer *phonemizer = new_phonemizer();
	char err[SN_ERRLEN] = "";
	sn_normaliser *reader;
	sn_buf out;
	sn_buf_init(&out, 1 << 10);
	assert_int_equal(sn_normaliser_open(&reader, "en", err), SN_OK);
	assert_int_equal(sn_say_as(reader, "characters", NULL, NULL, "ABC", 3, &out, NULL, err), SN_OK);
	expect_phonemes(phonemizer, out.data, "ˌeɪbˌiːsˈiː", 0);
	sn_buf_free(&out);
	sn_normaliser_close(&reader);
	sn_phonemizer_close(&phonemizer);
}

/* Of two scripts, a text is cut where its marks are. */
static void clauses_of_two_scripts(void **state) {
	static const char text[] = "Hello, Tom. 你好，Tom! 我用Python。";
	static const char *const parts[] = { "Hello,", "Tom.", "你好，", "Tom!", "我用Python。" };
	static const char terminators[] = { ',', '.', 0, '!', 0 };
	sn_phonemizer *phonemizer = new_phonemizer();
	char err[SN_ERRLEN] = "";
	sn_clauses clauses;
	if (sn_phonemizer_run(phonemizer, "cmn", text, strlen(text), &clauses, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(clauses.count, 5);
	for (int i = 0; i < 5; i++) {
		const sn_clause *const clause = &clauses.items[i];
		assert_int_equal(clause->end - clause->begin, strlen(parts[i]));
		assert_memory_equal(text + clause->begin, parts[i], strlen(parts[i]));
		assert_int_equal(clause->terminator, terminators[i]);
		assert_int_equal(clause->sentence_end, i % 2 || i == 4);
	}
	sn_clauses_free(&clauses);
	sn_phonemizer_close(&phonemizer);
}

/* A helper that does not answer is started once more. */
static void a_helper_without_an_answer(void **state) {
	static const char *const files[] = { "sonant-phonemize", "slept", NULL };
	char dir[64], path[128], script[512], *kept = strdup(getenv("SONANT_HELPERS"));
	sn_phonemizer *phonemizer = new_phonemizer();
	make_dir(dir);
	snprintf(script, sizeof script, "#!/bin/sh\n[ -e %s/slept ] && exec %s/sonant-phonemize \"$@\"\n: > %s/slept\nexec sleep 100\n", dir, kept, dir);
	put_text(dir, "sonant-phonemize", script);
	snprintf(path, sizeof path, "%s/sonant-phonemize", dir);
	assert_int_equal(chmod(path, 0700), 0);
	setenv("SONANT_HELPERS", dir, 1);
	expect_phonemes(phonemizer, "Hello.", "həlˈoʊ", '.');
	setenv("SONANT_HELPERS", kept, 1);
	sn_phonemizer_close(&phonemizer);
	drop_dir(dir, files);
	free(kept);
}

/* ---- Piper ---- */

static void piper_ids(void **state) {
	sn_piper *piper = open_voice(VOICE);
	json_t *cases = load_json(FIXTURES "text/piper/ids.json"), *entry;
	size_t i;
	json_array_foreach(cases, i, entry) {
		char err[SN_ERRLEN] = "";
		int32_t ids[512];
		int count, missing;
		const char *phonemes = text_of(entry, "phonemes");
		assert_int_equal(sn_piper_ids(piper, phonemes, strlen(phonemes), ids, 512, &count, &missing, err), SN_OK);
		expect_ids(phonemes, json_object_get(entry, "ids"), ids, count);
		assert_int_equal(missing, 0);
		expect_failure(sn_piper_ids(piper, phonemes, strlen(phonemes), ids, 10, &count, &missing, err), SN_E_LIMIT, err, "at most 10");
	}
	json_decref(cases);
	sn_piper_close(&piper);
}

/* The fixture's voice with another espeak voice and all else the same. */
static sn_piper *voice_for(const char *espeak_voice) {
	char dir[64], path[128];
	json_t *root = load_json(VOICE);
	json_object_set_new(json_object_get(root, "espeak"), "voice", json_string(espeak_voice));
	char *text = json_dumps(root, 0);
	put_text(make_dir(dir), "v.json", text);
	snprintf(path, sizeof path, "%s/v.json", dir);
	sn_piper *piper = open_voice(path);
	drop_dir(dir, voice_files);
	free(text);
	json_decref(root);
	return piper;
}

static void piper_sentences(void **state) {
	sn_phonemizer *phonemizer = new_phonemizer();
	json_t *cases = load_json(FIXTURES "text/piper/phonemes.json"), *entry;
	size_t i;
	json_array_foreach(cases, i, entry) {
		char err[SN_ERRLEN] = "";
		sn_piper *piper = voice_for(text_of(entry, "voice"));
		sn_piper_sentences sentences;
		const char *text = text_of(entry, "text");
		json_t *expected = json_object_get(entry, "sentences");
		if (sn_piper_run(piper, phonemizer, NULL, text, strlen(text), 4096, &sentences, err) != SN_OK)
			fail_msg("%s", err);
		if ((int)json_array_size(expected) != sentences.count)
			fail_msg("'%s' gives %d sentences, not %zu", text, sentences.count, json_array_size(expected));
		for (int k = 0; k < sentences.count; k++)
			assert_string_equal(sentences.items[k].phonemes, json_string_value(json_array_get(expected, (size_t)k)));
		sn_piper_sentences_free(&sentences);
		sn_piper_close(&piper);
	}
	json_decref(cases);
	sn_phonemizer_close(&phonemizer);
}

/* Cut into pieces, a text says the same. */
static void long_sentences_are_cut(void **state) {
	static const char text[] = "This is a very long sentence, with many clauses, some of which are short, others long: it goes on; and on until "
							   "supercalifragilisticexpialidocious things have been said about it and nobody listens any more";
	sn_piper *piper = open_voice(VOICE);
	sn_phonemizer *phonemizer = new_phonemizer();
	char err[SN_ERRLEN] = "";
	sn_piper_sentences whole, cut;
	assert_int_equal(sn_piper_run(piper, phonemizer, NULL, text, strlen(text), 4096, &whole, err), SN_OK);
	assert_int_equal(whole.count, 1);
	static const int limits[] = { 16, 40, 100, 300 };
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		sn_buf joined;
		sn_buf_init(&joined, 1 << 16);
		assert_int_equal(sn_piper_run(piper, phonemizer, NULL, text, strlen(text), limits[i], &cut, err), SN_OK);
		assert_true(cut.count > 1);
		for (int k = 0; k < cut.count; k++) {
			assert_true(cut.items[k].count <= limits[i]);
			assert_true(cut.items[k].end <= strlen(text));
			sn_buf_text(&joined, cut.items[k].phonemes);
		}
		assert_string_equal(joined.data, whole.items[0].phonemes);
		sn_piper_sentences_free(&cut);
		sn_buf_free(&joined);
	}
	expect_failure(sn_piper_run(piper, phonemizer, NULL, text, strlen(text), 15, &cut, err), SN_E_ARGUMENT, err, "15");
	sn_piper_sentences_free(&whole);
	sn_phonemizer_close(&phonemizer);
	sn_piper_close(&piper);
}

static void piper_characters_speakers_and_clusters(void **state) {
	static const char config[] = "{\"audio\": {\"sample_rate\": 16000}, \"num_symbols\": 20, \"num_speakers\": 3, \"phoneme_type\": \"text\","
								 "\"speaker_id_map\": {\"ann\": 2, \"bob\": 0}, \"vowel_clusters\": [[\"a\", \"i\"]],"
								 "\"phoneme_map\": {\"x\": [\"a\", \"b\"]}, \"inference\": {\"length_scale\": 1.5},"
								 "\"phoneme_id_map\": {\"_\": [0], \"^\": [1], \"$\": [2], \"a\": [3], \"b\": [4], \"ai\": [5], \"\u0301\": [6, 7]}}";
	static const int32_t expected[] = { 1, 0, 3, 0, 6, 7, 0, 5, 0, 3, 0, 4, 0, 2 };
	char dir[64], path[128], err[SN_ERRLEN] = "";
	put_text(make_dir(dir), "v.json", config);
	snprintf(path, sizeof path, "%s/v.json", dir);
	sn_piper *piper = open_voice(path);
	sn_piper_sentences sentences;
	assert_int_equal(sn_piper_run(piper, NULL, NULL, "\u00e1aix?", 6, 1000, &sentences, err), SN_OK);
	assert_int_equal(sentences.count, 1);
	assert_int_equal(sentences.items[0].missing, 1);
	assert_int_equal(sentences.items[0].count, sizeof expected / sizeof expected[0]);
	assert_memory_equal(sentences.items[0].ids, expected, sizeof expected);
	sn_piper_sentences_free(&sentences);
	expect_failure(sn_piper_run(piper, NULL, NULL, "a\xff", 2, 1000, &sentences, err), SN_E_FORMAT, err, "UTF-8");
	assert_int_equal(sn_piper_get_config(piper)->speakers, 3);
	assert_true(sn_piper_get_config(piper)->length_scale == 1.5f);
	assert_int_equal(sn_piper_speaker(piper, "ann"), 2);
	assert_int_equal(sn_piper_speaker(piper, "eve"), -1);
	assert_string_equal(sn_piper_speaker_name(piper, 0), "bob");
	assert_null(sn_piper_speaker_name(piper, 1));
	sn_piper_close(&piper);
	drop_dir(dir, voice_files);
}

static void expect_voice_refused(const char *config, int code, const char *says) {
	char dir[64], path[128], err[SN_ERRLEN] = "";
	sn_piper *piper;
	put_text(make_dir(dir), "v.json", config);
	snprintf(path, sizeof path, "%s/v.json", dir);
	expect_failure(sn_piper_open(&piper, path, err), code, err, says);
	assert_null(piper);
	drop_dir(dir, voice_files);
}

static void damaged_voices(void **state) {
	char err[SN_ERRLEN] = "";
	sn_piper *piper;
	expect_failure(sn_piper_open(&piper, "/nonexistent.json", err), SN_E_NOT_FOUND, err, "/nonexistent.json");
	expect_voice_refused("", SN_E_FORMAT, "JSON");
	expect_voice_refused("[]", SN_E_FORMAT, "object");
	expect_voice_refused("{}", SN_E_MODEL, "sample_rate");
	expect_voice_refused("{\"audio\": {\"sample_rate\": 5}}", SN_E_MODEL, "sample_rate");
	expect_voice_refused("{\"audio\": {\"sample_rate\": 16000}}", SN_E_MODEL, "voice");
	expect_voice_refused("{\"audio\": {\"sample_rate\": 16000}, \"phoneme_type\": \"pinyin\"}", SN_E_UNSUPPORTED, "pinyin");
	expect_voice_refused("{\"audio\": {\"sample_rate\": 16000}, \"phoneme_type\": \"text\"}", SN_E_MODEL, "phoneme_id_map");
	expect_voice_refused("{\"audio\": {\"sample_rate\": 16000}, \"phoneme_type\": \"text\", \"phoneme_id_map\": {\"_\": [256]}}", SN_E_MODEL,
	                     "between 0 and 255");
	expect_voice_refused("{\"audio\": {\"sample_rate\": 16000}, \"phoneme_type\": \"text\", \"phoneme_id_map\": {\"_\": [0]}}", SN_E_MODEL, "'^'");
}

/* ---- characters ---- */

static void characters(void **state) {
	char err[SN_ERRLEN] = "";
	sn_chars *chars;
	if (sn_chars_open(&chars, FIXTURES "text/vits", err) != SN_OK)
		fail_msg("%s", err);
	json_t *cases = load_json(FIXTURES "text/vits/cases.json"), *entry;
	size_t i;
	json_array_foreach(cases, i, entry) {
		int32_t ids[512];
		int count, missing;
		const char *text = text_of(entry, "text");
		if (sn_chars_encode(chars, NULL, text, strlen(text), ids, 512, &count, &missing, err) != SN_OK)
			fail_msg("%s", err);
		expect_ids(text, json_object_get(entry, "ids"), ids, count);
	}
	int32_t ids[4];
	int count;
	expect_failure(sn_chars_encode(chars, NULL, "hello", 5, ids, 4, &count, NULL, err), SN_E_LIMIT, err, "11 ids");
	expect_failure(sn_chars_encode(chars, NULL, "a\xff", 2, ids, 4, &count, NULL, err), SN_E_FORMAT, err, "byte 1");
	assert_int_equal(sn_chars_get_config(chars)->size, 30);
	json_decref(cases);
	sn_chars_close(&chars);
}

static sn_chars *open_chars(const char *dir, const char *vocabulary, const char *config) {
	char err[SN_ERRLEN] = "";
	sn_chars *chars;
	put_text(dir, "vocab.json", vocabulary);
	put_text(dir, "tokenizer_config.json", config);
	if (sn_chars_open(&chars, dir, err) != SN_OK)
		fail_msg("%s", err);
	return chars;
}

static void languages_have_two_letters_where_there_are_two(void **state) {
	static const char *const names[][2] = { { "eng", "en" }, { "deu", "de" }, { "ron", "ro" }, { "yue", "yue" }, { "en", "en" }, { "", "" } };
	char dir[64], config[64];
	make_dir(dir);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(config, sizeof config, "{\"language\": \"%s\"}", names[i][0]);
		sn_chars *chars = open_chars(dir, "{\"_\": 0, \"\u0163\": 1}", config);
		assert_string_equal(sn_chars_get_config(chars)->language, names[i][1]);
		sn_chars_close(&chars);
	}
	drop_dir(dir, chars_files);
}

/* Romanian checkpoints know the cedilla, texts have the comma below. */
static void romanian_letters_are_those_of_the_checkpoint(void **state) {
	char dir[64], err[SN_ERRLEN];
	int32_t ids[4];
	int count;
	sn_chars *chars = open_chars(make_dir(dir), "{\"_\": 0, \"\u0163\": 1}", "{\"language\": \"ron\", \"phonemize\": false, \"add_blank\": false}");
	assert_int_equal(sn_chars_encode(chars, NULL, "\u021b", 2, ids, 4, &count, NULL, err), SN_OK);
	assert_int_equal(count, 1);
	assert_int_equal(ids[0], 1);
	sn_chars_close(&chars);
	drop_dir(dir, chars_files);
}

static void romanised_and_phonemized_characters(void **state) {
	static const int32_t expected[] = { 1, 2, 3, 4, 5, 6, 7 };
	char dir[64], err[SN_ERRLEN] = "";
	int32_t ids[64];
	int count;
	sn_chars *chars = open_chars(make_dir(dir), "{\"_\": 0, \"a\": 1}", "{\"is_uroman\": true, \"phonemize\": false, \"add_blank\": false}");
	assert_int_equal(sn_chars_encode(chars, NULL, "aA", 2, ids, 64, &count, NULL, err), SN_OK);
	assert_int_equal(count, 2);
	assert_int_equal(sn_chars_encode(chars, NULL, "\u0410", 2, ids, 64, &count, NULL, err), SN_OK);
	assert_int_equal(count, 1);
	assert_int_equal(ids[0], 1);
	sn_chars_close(&chars);
	chars = open_chars(dir, "{\"h\": 1, \"ə\": 2, \"l\": 3, \"ˈ\": 4, \"o\": 5, \"ʊ\": 6, \"!\": 7}", "{\"add_blank\": false}");
	sn_phonemizer *phonemizer = new_phonemizer();
	assert_int_equal(sn_chars_encode(chars, phonemizer, "Hello!", 6, ids, 64, &count, NULL, err), SN_OK);
	assert_int_equal(count, 7);
	assert_memory_equal(ids, expected, sizeof expected);
	expect_failure(sn_chars_encode(chars, NULL, "Hello!", 6, ids, 64, &count, NULL, err), SN_E_DEPENDENCY, err, "phonemizer");
	sn_phonemizer_close(&phonemizer);
	sn_chars_close(&chars);
	drop_dir(dir, chars_files);
}

/* Vocabularies and texts of many scripts, character by character and romanised, with the reference's ids. */
static void characters_of_many_scripts(void **state) {
	json_t *list = load_json(FIXTURES "text/vits/scripts.json"), *entry, *one;
	char dir[64], err[SN_ERRLEN] = "";
	size_t i, k;
	make_dir(dir);
	json_array_foreach(list, i, entry) {
		char *const vocabulary = json_dumps(json_object_get(entry, "vocab"), 0), *const config = json_dumps(json_object_get(entry, "config"), 0);
		sn_chars *chars = open_chars(dir, vocabulary, config);
		json_array_foreach(json_object_get(entry, "cases"), k, one) {
			int32_t ids[1024];
			int count;
			const char *text = text_of(one, "text");
			if (sn_chars_encode(chars, NULL, text, strlen(text), ids, 1024, &count, NULL, err) != SN_OK)
				fail_msg("%s", err);
			expect_ids(text, json_object_get(one, "ids"), ids, count);
		}
		sn_chars_close(&chars);
		free(vocabulary);
		free(config);
	}
	json_decref(list);
	drop_dir(dir, chars_files);
}

static void the_letters_that_a_voice_knows(void **state) {
	char dir[64], letters[24];
	sn_chars *chars = open_chars(make_dir(dir), "{\"_\": 0, \"b\": 1, \"\u0430\": 2, \"a\": 3, \"'\": 4}", "{}");
	sn_chars_letters(chars, letters, sizeof letters);
	assert_string_equal(letters, "a b \u0430");
	sn_chars_letters(chars, letters, 8);
	assert_string_equal(letters, "a b ...");
	sn_chars_close(&chars);
	drop_dir(dir, chars_files);
}

static const char *const authors_files[] = { "config.json", "vocab.txt", NULL };

static void cleaners_of_the_authors(void **state) {
	json_t *cases = load_json(FIXTURES "text/vits/authors.json"), *entry;
	sn_phonemizer *phonemizer = new_phonemizer();
	char dir[64], path[128], config[256], err[SN_ERRLEN] = "";
	size_t i;
	snprintf(path, sizeof path, "%s/config.json", make_dir(dir));
	json_array_foreach(cases, i, entry) {
		int32_t ids[512];
		int count;
		sn_chars *chars;
		const char *text = text_of(entry, "text");
		snprintf(config, sizeof config, "{\"data\": {\"text_cleaners\": [\"%s\"], \"add_blank\": false}}", text_of(entry, "cleaner"));
		put_text(dir, "config.json", config);
		if (sn_chars_open_authors(&chars, path, err) != SN_OK ||
		    sn_chars_encode(chars, phonemizer, text, strlen(text), ids, 512, &count, NULL, err) != SN_OK)
			fail_msg("%s", err);
		expect_ids(text, json_object_get(entry, "ids"), ids, count);
		sn_chars_close(&chars);
	}
	sn_chars *none;
	put_text(dir, "config.json", "{\"data\": {\"text_cleaners\": [\"japanese_cleaners\"]}}");
	expect_failure(sn_chars_open_authors(&none, path, err), SN_E_UNSUPPORTED, err, "'japanese_cleaners'");
	assert_null(none);
	put_text(dir, "config.json", "{\"data\": {\"text_cleaners\": [\"basic_cleaners\"]}, \"symbols\": [\"_\", \"ab\"]}");
	expect_failure(sn_chars_open_authors(&none, path, err), SN_E_MODEL, err, "symbol 1");
	json_decref(cases);
	sn_phonemizer_close(&phonemizer);
	drop_dir(dir, authors_files);
}

/* A line's number is its symbol's id; the training file's name says whether the voice reads Latin letters only. */
static void vocabularies_of_mms(void **state) {
	static const int32_t expected[] = { 0, 2, 0, 1, 0 }; /* the space at the end goes, too */
	char dir[64], path[128], err[SN_ERRLEN] = "";
	int32_t ids[16];
	int count, missing;
	sn_chars *chars;
	snprintf(path, sizeof path, "%s/config.json", make_dir(dir));
	put_text(dir, "vocab.txt", "_\na\nh\n \nxx\n");
	put_text(dir, "config.json", "{\"data\": {\"training_files\": \"train.ltr.uroman\", \"text_cleaners\": [\"japanese_cleaners\"]}}");
	if (sn_chars_open_authors(&chars, path, err) != SN_OK)
		fail_msg("%s", err);
	assert_int_equal(sn_chars_get_config(chars)->uroman, 1);
	assert_int_equal(sn_chars_encode(chars, NULL, "\ud558 !", 5, ids, 16, &count, &missing, err), SN_OK); /* "ha !" */
	assert_int_equal(count, sizeof expected / sizeof expected[0]);
	assert_memory_equal(ids, expected, sizeof expected);
	assert_int_equal(missing, 1);
	sn_chars_close(&chars);
	put_text(dir, "vocab.txt", "\n");
	expect_failure(sn_chars_open_authors(&chars, path, err), SN_E_MODEL, err, "vocab.txt");
	drop_dir(dir, authors_files);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(helper_is_sandboxed_and_started_again),
		cmocka_unit_test(clauses_know_their_text),
		cmocka_unit_test(chinese_is_no_english),
		cmocka_unit_test(clauses_of_two_scripts),
		cmocka_unit_test(a_spelled_a_is_a_letter),
		cmocka_unit_test(helper_survives_odd_text),
		cmocka_unit_test(phonemizer_refuses),
		cmocka_unit_test(missing_and_broken_helpers),
		cmocka_unit_test(a_helper_without_an_answer),
		cmocka_unit_test(piper_ids),
		cmocka_unit_test(piper_sentences),
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(piper_characters_speakers_and_clusters),
		cmocka_unit_test(damaged_voices),
		cmocka_unit_test(characters),
		cmocka_unit_test(languages_have_two_letters_where_there_are_two),
		cmocka_unit_test(romanian_letters_are_those_of_the_checkpoint),
		cmocka_unit_test(romanised_and_phonemized_characters),
		cmocka_unit_test(characters_of_many_scripts),
		cmocka_unit_test(the_letters_that_a_voice_knows),
		cmocka_unit_test(cleaners_of_the_authors),
		cmocka_unit_test(vocabularies_of_mms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
