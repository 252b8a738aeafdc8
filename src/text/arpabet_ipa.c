#include "text/arpabet.h"

#include "text/arpabet_internal.h"

#include <string.h>
#include <unicode/utf8.h>

/* espeak-ng's IPA of American English to ARPAbet; # is where the digit of the stress goes. The longest that fits counts, so
 * vowels before "ɹ" and syllabic consonants stand before their parts. Sounds of other languages get the nearest phone. */
static const struct {
	const char *ipa, *phones;
} sounds[] = {
	{ "aɪɚ", "AY# ER0" }, { "aʊɚ", "AW# ER0" }, { "ɔɪɚ", "OY# ER0" }, { "aɪə", "AY# AH0" }, { "aʊə", "AW# AH0" },
	{ "tʃ", "CH" },      { "dʒ", "JH" },      { "eɪ", "EY#" },     { "aɪ", "AY#" },     { "ɔɪ", "OY#" },
	{ "oɪ", "OY#" },     { "aʊ", "AW#" },     { "oʊ", "OW#" },     { "əʊ", "OW#" },     { "ɛɪ", "EY#" },
	{ "ɜːɹ", "ER#" },    { "ɜɹ", "ER#" },     { "əɹ", "ER#" },     { "ɚɹ", "ER#" },     { "ɹɹ", "R" },        { "oːɹ", "AO# R" },
	{ "ɜː", "ER#" },     { "ɜ", "ER#" },      { "ɝ", "ER#" },      { "ɚ", "ER#" },      { "ɛɹ", "EH# R" },
	{ "eə", "EH#" },     { "ɛə", "EH#" },     { "ɪə", "IY# AH0" }, { "iə", "IY# AH0" }, { "ʊə", "UH# AH0" },
	{ "ɑ̃", "AA# N" },    { "ɔ̃", "AO# N" },    { "ɛ̃", "AE# N" },    { "œ̃", "AH# N" },    { "l̩", "AH0 L" },
	{ "n̩", "AH0 N" },    { "m̩", "AH0 M" },    { "ɹ̩", "ER#" },      { "ŋ̍", "AH0 NG" },
	{ "iː", "IY#" },     { "i", "IY#" },      { "ɪ", "IH#" },      { "ᵻ", "IH#" },      { "ɨ", "IH#" },
	{ "ɛ", "EH#" },      { "e", "EY#" },      { "æ", "AE#" },      { "aː", "AA#" },     { "a", "AA#" },
	{ "ɑː", "AA#" },     { "ɑ", "AA#" },      { "ɒ", "AA#" },      { "ɔː", "AO#" },     { "ɔ", "AO#" },
	{ "oː", "AO#" },     { "o", "OW#" },      { "ʊ", "UH#" },      { "uː", "UW#" },     { "u", "UW#" },
	{ "ʉ", "UW#" },      { "ɯ", "UW#" },      { "y", "UW#" },      { "ʏ", "UH#" },      { "ʌ", "AH#" },
	{ "ɐ", "AH#" },      { "ə", "AH#" },      { "ɤ", "AH#" },      { "ɘ", "AH#" },      { "ɵ", "UH#" },
	{ "ø", "ER#" },      { "œ", "ER#" },      { "ɞ", "ER#" },
	{ "p", "P" },        { "b", "B" },        { "t", "T" },        { "d", "D" },        { "ɾ", "T" },
	{ "ʔ", "T" },        { "k", "K" },        { "ɡ", "G" },        { "g", "G" },        { "f", "F" },
	{ "v", "V" },        { "θ", "TH" },       { "ð", "DH" },       { "s", "S" },        { "z", "Z" },
	{ "ʃ", "SH" },       { "ʒ", "ZH" },       { "h", "HH" },       { "m", "M" },        { "n", "N" },
	{ "ŋ", "NG" },       { "l", "L" },        { "ɫ", "L" },        { "ɹ", "R" },        { "r", "R" },
	{ "w", "W" },        { "ʍ", "W" },        { "j", "Y" },        { "x", "K" },        { "ç", "HH" },
	{ "ɣ", "G" },        { "β", "V" },        { "ɲ", "N Y" },      { "ʎ", "L Y" },      { "ɬ", "L" },
	{ "ʁ", "R" },        { "ʀ", "R" },        { "ɽ", "R" },        { "ɻ", "R" },        { "ʋ", "V" },
	{ "ɱ", "M" },        { "ɳ", "N" },        { "ʈ", "T" },        { "ɖ", "D" },        { "ɕ", "SH" },
	{ "ʑ", "ZH" },       { "ʂ", "SH" },       { "ʐ", "ZH" },       { "q", "K" },        { "c", "K" },
	{ "ɟ", "JH" },       { "χ", "K" },        { "ħ", "HH" },       { "ɦ", "HH" },       { "ɸ", "F" },
	{ "ɭ", "L" },        { "ɥ", "W" },        { "ɰ", "W" },        { "ʕ", "" },
};

static const char *const vowels = " AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW ";
static const char *const consonants = " B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH ";

static int among(const char *list, const char *phone, size_t size) {
	char key[5] = " ";
	if (size < 1 || size > 2)
		return 0;
	memcpy(key + 1, phone, size);
	key[1 + size] = ' ';
	key[2 + size] = 0;
	return strstr(list, key) != NULL;
}

int arpabet_known(const char *phone, size_t size) {
	if (among(vowels, phone, size) || among(consonants, phone, size))
		return 1;
	return size == 3 && phone[2] >= '0' && phone[2] <= '2' && among(vowels, phone, 2);
}

int sn_arpabet_known(const char *phone) { return arpabet_known(phone, strlen(phone)); }

void arpabet_add(sn_buf *out, const char *token, size_t size) {
	if (out->size && out->data[out->size - 1] != ' ')
		sn_buf_text(out, " ");
	sn_buf_add(out, token, size);
}

/* The entry of the longest sound that text begins with, or -1. */
static int sound_at(const char *text, size_t size) {
	int found = -1;
	size_t longest = 0;
	for (int i = 0; i < (int)(sizeof sounds / sizeof sounds[0]); i++) {
		size_t length = strlen(sounds[i].ipa);
		if (length > longest && length <= size && memcmp(text, sounds[i].ipa, length) == 0) {
			found = i;
			longest = length;
		}
	}
	return found;
}

static void add_phones(sn_buf *out, const char *phones, char stress) {
	while (*phones) {
		size_t length = strcspn(phones, " ");
		char phone[4];
		memcpy(phone, phones, length);
		if (phone[length - 1] == '#')
			phone[length - 1] = stress;
		arpabet_add(out, phone, length);
		phones += length + (phones[length] == ' ');
	}
}

static int is_weak(const char *ipa) {
	return strcmp(ipa, "ə") == 0 || strcmp(ipa, "ᵻ") == 0 || strcmp(ipa, "ɐ") == 0 || strcmp(ipa, "ɚ") == 0 || strcmp(ipa, "ɨ") == 0;
}

static int starts(const char *text, size_t size, const char *with) { return size >= strlen(with) && memcmp(text, with, strlen(with)) == 0; }

/* Dictionaries stress words that have one vowel, if it is not a weak one; espeak leaves "is" and "my" without a mark. */
static int stresses_itself(const char *word, size_t size) {
	int full = 0, all = 0;
	for (size_t i = 0; i < size;) {
		int sound = sound_at(word + i, size - i);
		if (starts(word + i, size - i, "ˈ") || starts(word + i, size - i, "ˌ"))
			return 0;
		const char *close = word[i] == '(' ? memchr(word + i, ')', size - i) : NULL;
		if (close) {
			i = (size_t)(close + 1 - word);
			continue;
		}
		int vowel = sound >= 0 && strchr(sounds[sound].phones, '#') != NULL;
		all += vowel;
		full += vowel && !is_weak(sounds[sound].ipa);
		i += sound >= 0 ? strlen(sounds[sound].ipa) : 1;
	}
	return all == 1 && full == 1;
}

static void add_word(sn_buf *out, const char *word, size_t size) {
	char stress = stresses_itself(word, size) ? '1' : '0';
	for (size_t i = 0; i < size;) {
		size_t left = size - i;
		int sound = sound_at(word + i, left);
		if (starts(word + i, left, "ˈ") || starts(word + i, left, "ˌ")) {
			stress = starts(word + i, left, "ˈ") ? '1' : '2';
			i += 2;
		} else if (sound >= 0) {
			add_phones(out, sounds[sound].phones, stress);
			stress = strchr(sounds[sound].phones, '#') ? '0' : stress;
			i += strlen(sounds[sound].ipa);
		} else if (word[i] == '(' && memchr(word + i, ')', left)) { /* the name of a language */
			i = (size_t)((const char *)memchr(word + i, ')', left) - word) + 1;
		} else {
			int32_t next = (int32_t)i;
			U8_FWD_1((const uint8_t *)word, next, (int32_t)size);
			i = (size_t)next;
		}
	}
}

int arpabet_words(const char *ipa, size_t size, int spaces, sn_buf *out) {
	for (size_t i = 0, begun = out->size; i < size;) {
		size_t end = i;
		while (end < size && ipa[end] != ' ')
			end++;
		if (end > i && spaces && out->size > begun)
			arpabet_add(out, "|", 1);
		add_word(out, ipa + i, end - i);
		i = end + 1;
	}
	return out->failed;
}

int sn_arpabet_from_ipa(const char *ipa, size_t size, sn_buf *out) { return arpabet_words(ipa, size, 0, out); }
