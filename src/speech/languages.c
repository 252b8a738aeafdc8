#include "speech/languages.h"

#include "base/ascii.h"

#include <sonant/sonant.h>

#include <string.h>

static const struct {
	char code[4], name[16];
} languages[] = {
	{ "af", "afrikaans" }, { "am", "amharic" }, { "ar", "arabic" }, { "as", "assamese" }, { "az", "azerbaijani" },
	{ "ba", "bashkir" }, { "be", "belarusian" }, { "bg", "bulgarian" }, { "bn", "bengali" }, { "bo", "tibetan" },
	{ "br", "breton" }, { "bs", "bosnian" }, { "ca", "catalan" }, { "cs", "czech" }, { "cy", "welsh" }, { "da", "danish" },
	{ "de", "german" }, { "el", "greek" }, { "en", "english" }, { "es", "spanish" }, { "et", "estonian" },
	{ "eu", "basque" }, { "fa", "persian" }, { "fi", "finnish" }, { "fo", "faroese" }, { "fr", "french" },
	{ "gl", "galician" }, { "gu", "gujarati" }, { "ha", "hausa" }, { "haw", "hawaiian" }, { "he", "hebrew" },
	{ "hi", "hindi" }, { "hr", "croatian" }, { "ht", "haitian creole" }, { "hu", "hungarian" }, { "hy", "armenian" },
	{ "id", "indonesian" }, { "is", "icelandic" }, { "it", "italian" }, { "ja", "japanese" }, { "jw", "javanese" },
	{ "ka", "georgian" }, { "kk", "kazakh" }, { "km", "khmer" }, { "kn", "kannada" }, { "ko", "korean" }, { "la", "latin" },
	{ "lb", "luxembourgish" }, { "ln", "lingala" }, { "lo", "lao" }, { "lt", "lithuanian" }, { "lv", "latvian" },
	{ "mg", "malagasy" }, { "mi", "maori" }, { "mk", "macedonian" }, { "ml", "malayalam" }, { "mn", "mongolian" },
	{ "mr", "marathi" }, { "ms", "malay" }, { "mt", "maltese" }, { "my", "burmese" }, { "ne", "nepali" }, { "nl", "dutch" },
	{ "nn", "nynorsk" }, { "no", "norwegian" }, { "oc", "occitan" }, { "pa", "punjabi" }, { "pl", "polish" },
	{ "ps", "pashto" }, { "pt", "portuguese" }, { "ro", "romanian" }, { "ru", "russian" }, { "sa", "sanskrit" },
	{ "sd", "sindhi" }, { "si", "sinhala" }, { "sk", "slovak" }, { "sl", "slovenian" }, { "sn", "shona" },
	{ "so", "somali" }, { "sq", "albanian" }, { "sr", "serbian" }, { "su", "sundanese" }, { "sv", "swedish" },
	{ "sw", "swahili" }, { "ta", "tamil" }, { "te", "telugu" }, { "tg", "tajik" }, { "th", "thai" }, { "tk", "turkmen" },
	{ "tl", "tagalog" }, { "tr", "turkish" }, { "tt", "tatar" }, { "uk", "ukrainian" }, { "ur", "urdu" }, { "uz", "uzbek" },
	{ "vi", "vietnamese" }, { "yi", "yiddish" }, { "yo", "yoruba" }, { "yue", "cantonese" }, { "zh", "chinese" },
};

/* Other names, and codes of the same language that are older, newer or narrower. */
static const struct {
	char alias[16], code[4];
} aliases[] = {
	{ "bokmal", "no" }, { "castilian", "es" }, { "farsi", "fa" }, { "filipino", "tl" }, { "flemish", "nl" }, { "haitian", "ht" },
	{ "letzeburgesch", "lb" }, { "mandarin", "zh" }, { "moldavian", "ro" }, { "moldovan", "ro" }, { "myanmar", "my" }, { "panjabi", "pa" },
	{ "pushto", "ps" }, { "sinhalese", "si" }, { "valencian", "ca" }, { "cmn", "zh" }, { "fil", "tl" }, { "in", "id" }, { "iw", "he" },
	{ "ji", "yi" }, { "jv", "jw" }, { "mo", "ro" }, { "nb", "no" },
};

/* The code that the text is another name for, else the text. */
static const char *known_as(const char *text) {
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (sn_strcasecmp(text, aliases[i].alias) == 0)
			return aliases[i].code;
	return text;
}

const char *sn_language_name(const char *code) {
	for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++)
		if (sn_strcasecmp(code, languages[i].code) == 0)
			return languages[i].name;
	return NULL;
}

int sn_language_code(const char *text, char *code, size_t size) {
	for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++)
		if (sn_strcasecmp(text, languages[i].name) == 0)
			text = languages[i].code;
	text = known_as(text);
	size_t length = strcspn(text, "-_");
	if (length < 2 || length > 3 || length >= size)
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (!sn_isalpha((unsigned char)text[i]))
			return 0;
		code[i] = (char)sn_tolower((unsigned char)text[i]);
	}
	code[length] = 0;
	memmove(code, known_as(code), strlen(known_as(code)) + 1); /* none is longer than what it stands for */
	return 1;
}
