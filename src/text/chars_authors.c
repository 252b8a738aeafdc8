/* Text front ends of the authors' layout of VITS. Its configuration names cleaners; the symbols stand in the authors' code, in
 * "symbols" of configurations that others made with it, or in the vocab.txt of MMS, which has no cleaners but a vocabulary. */
#include "text/chars_internal.h"

#include "text/cleaners.h"
#include "text/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uloc.h>
#include <unicode/utf8.h>

#define MAX_LINE 64 /* bytes of a line of vocab.txt */

/* In the order of the ids: the pad, punctuation, letters, IPA. A symbol that comes twice has the later id. */
static const char usual[] = "_;:,.!?¡¿—…\"«»“” ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                            "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃ"
                            "ˈˌːˑʼʴʰʱʲʷˠˤ˞↓↑→↗↘'\xcc\xa9'ᵻ";

static int no_memory(const char *path, char *err) { return sn_fail(err, SN_E_MEMORY, "out of memory for the symbols of %s", path); }

static int usual_symbols(sn_chars *chars, const char *path, char *err) {
	chars->entries = malloc(sizeof usual * sizeof *chars->entries);
	if (!chars->entries)
		return no_memory(path, err);
	for (int32_t i = 0, id = 0; i < (int32_t)sizeof usual - 1; id++) {
		int32_t c;
		U8_NEXT((const uint8_t *)usual, i, (int32_t)sizeof usual - 1, c);
		chars_add(chars, c, id);
	}
	chars_sort(chars);
	return SN_OK;
}

static int listed_symbols(sn_chars *chars, const json_t *list, const char *path, char *err) {
	const size_t count = json_array_size(list);
	if (!count || count > CHARS_MAX_VOCABULARY)
		return sn_fail(err, SN_E_MODEL, "%s: 'symbols' must be a list of 1 to %d characters", path, CHARS_MAX_VOCABULARY);
	chars->entries = malloc(count * sizeof *chars->entries);
	if (!chars->entries)
		return no_memory(path, err);
	for (size_t i = 0; i < count; i++) {
		const char *const text = json_string_value(json_array_get(list, i));
		const int32_t c = text ? chars_only(text) : -1;
		if (c < 0)
			return sn_fail(err, SN_E_MODEL, "%s: symbol %zu of 'symbols' is no single character", path, i);
		chars_add(chars, c, (int32_t)i);
	}
	chars_sort(chars);
	return SN_OK;
}

/* One symbol a line, of which the number is the id. What is longer than a character never stands in a text. */
static int read_vocabulary(sn_chars *chars, const char *path, char *err) {
	char line[MAX_LINE];
	int result = SN_OK;
	FILE *const file = fopen(path, "r");
	if (!file)
		return sn_fail_errno(err, "cannot read %s", path);
	chars->entries = malloc(CHARS_MAX_VOCABULARY * sizeof *chars->entries);
	if (!chars->entries)
		result = no_memory(path, err);
	for (int32_t id = 0; result == SN_OK && fgets(line, sizeof line, file); id++) {
		const size_t size = strcspn(line, "\n");
		if (line[size] != '\n' && !feof(file))
			result = sn_fail(err, SN_E_MODEL, "%s: line %d is longer than %d bytes; a symbol a line is expected", path, (int)id + 1, MAX_LINE - 2);
		else if (id == CHARS_MAX_VOCABULARY)
			result = sn_fail(err, SN_E_MODEL, "%s: at most %d symbols are supported", path, CHARS_MAX_VOCABULARY);
		line[size] = 0;
		if (result == SN_OK && chars_only(line) >= 0)
			chars_add(chars, chars_only(line), id);
	}
	fclose(file);
	chars_sort(chars);
	return result == SN_OK && !chars->count ? sn_fail(err, SN_E_MODEL, "%s: a symbol a line is expected", path) : result;
}

/* MMS's directories are called by the language: "eng", "mms-tts-eng", "uig-script_arabic". */
static void language_of_directory(sn_chars *chars, const char *json) {
	char full[SN_PATH_MAX], code[4] = "";
	if (!realpath(json, full))
		return;
	*strrchr(full, '/') = 0;
	const char *name = strrchr(full, '/');
	name = name ? name + 1 : full;
	name += strncmp(name, "mms-tts-", 8) == 0 ? 8 : 0;
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz") != 3 || (name[3] && name[3] != '-'))
		return;
	memcpy(code, name, 3);
	if (*uloc_getISO3Language(code))
		chars_set_language(chars, code);
}

/* The voices of MMS; of which language, and whether its text was romanised, only names of files say. */
static int read_mms(sn_chars *chars, const json_t *data, const char *json, const char *vocabulary, char *err) {
	const char *const trained = json_string_value(json_object_get(data, "training_files")), *const dot = trained ? strrchr(trained, '.') : NULL;
	chars->config.normalize = chars->lower_all = 1;
	chars->config.uroman = dot && strcmp(dot, ".uroman") == 0;
	language_of_directory(chars, json);
	return read_vocabulary(chars, vocabulary, err);
}

static int read_cleaners(sn_chars *chars, const json_t *data, const char *path, char *err) {
	static const struct { const char *name, *cleaner, *language; int phonemize, plain; } known[] = {
		{ "english_cleaners2", "vits", "en", 1, 0 }, { "english_cleaners", "vits", "en", 1, 1 },
		{ "transliteration_cleaners", "vits_transliteration", "", 0, 0 }, { "basic_cleaners", "vits_basic", "", 0, 0 },
	};
	const json_t *const list = json_object_get(data, "text_cleaners");
	const char *const name = json_string_value(json_array_get(list, 0));
	for (size_t i = 0; name && json_array_size(list) == 1 && i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].name, name) != 0)
			continue;
		chars->cleaner = known[i].cleaner;
		chars->config.phonemize = known[i].phonemize;
		chars->plain = known[i].plain;
		strcpy(chars->config.language, known[i].language);
		return SN_OK;
	}
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: the text cleaners '%.60s'%s cannot be run; one of english_cleaners2, english_cleaners, "
	               "transliteration_cleaners and basic_cleaners, or a vocab.txt as MMS has it, is expected", path, name ? name : "",
	               json_array_size(list) > 1 ? ", ..." : "");
}

int chars_read_authors(sn_chars *chars, const char *json, char *err) {
	char vocabulary[SN_PATH_MAX];
	json_t *root;
	int result = sn_json_file(&root, json, err);
	if (result != SN_OK)
		return result;
	const json_t *const data = json_object_get(root, "data"), *const symbols = json_object_get(root, "symbols");
	const char *const slash = strrchr(json, '/');
	snprintf(vocabulary, sizeof vocabulary, "%.*svocab.txt", slash ? (int)(slash + 1 - json) : 0, json);
	chars->unknown = -1;
	chars->config.add_blank = 1;
	result = sn_json_bool(data, "add_blank", &chars->config.add_blank, json, err);
	FILE *const beside = fopen(vocabulary, "r");
	if (beside)
		fclose(beside);
	if (result == SN_OK && beside)
		result = read_mms(chars, data, json, vocabulary, err);
	else if (result == SN_OK && (result = read_cleaners(chars, data, json, err)) == SN_OK)
		result = symbols ? listed_symbols(chars, symbols, json, err) : usual_symbols(chars, json, err);
	json_decref(root);
	return result;
}
