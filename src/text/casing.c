#include "text/casing.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ucal.h>
#include <unicode/uchar.h>
#include <unicode/udat.h>
#include <unicode/uenum.h>
#include <unicode/uldnames.h>
#include <unicode/uloc.h>
#include <unicode/ustring.h>

#define MAX_NAME 64        /* bytes of a name */
#define MAX_WORDS 4        /* of a name */
#define MAX_NAMES 4096
#define MAX_WORD ((size_t)4096) /* bytes of a word that is written */

/* A name in lower case, and which of its words have a capital. */
typedef struct name {
	char text[MAX_NAME];
	uint8_t capitals;
} name;

struct sn_casing {
	char language[12];
	int is_english;
	name *names;           /* sorted by text */
	int count;
};

/* ---- what ICU does not have ---- */

/* People and adjectives of countries whose language has another name. */
static const char *const english_names[] = {
	"african", "africans", "america", "american", "americans", "argentinian", "asian", "asians", "australian", "australians", "austrian",
	"belgian", "brazilian", "britain", "british", "californian", "canadian", "canadians", "catholic", "catholics", "chilean", "christian",
	"christians", "christianity", "christmas", "colombian", "cuban", "egyptian", "england", "european", "europeans", "german", "germans",
	"greeks", "indian", "indians", "iranian", "iraqi", "irishman", "islam", "islamic", "israeli", "italians", "jew", "jewish", "jews",
	"kenyan", "mexican", "mexicans", "muslim", "muslims", "nigerian", "norwegians", "pakistani", "russians", "scotland", "scottish",
	"spaniard", "swedes", "swiss", "syrian", "texan", "texas", "california", "florida", "vietnamese", "wales", "internet",
};

/* Names of ICU's that are also words in one of the languages, and meant less often than the word. */
static const char *const plain_words[] = {
	"turkey", "jersey", "chad", "wake", "easter", "resolute", "center", "troll", "midway", "nome", "canary", "cocos", "reunion", "oral",
	"polish", "may", "march", "even", "man", "world", "phoenix", "niue", "mali", "knox", "male", "lima", "guinea", "moron", "regina",
	"peru", "la paz", "chile", "mars", "mundo", "monde", "welt", "mondo", "marquises", "salta", "granada", "grenade", "dili", "maldive",
};

/* Languages whose English names are always written with a capital and mean nothing else. */
static const char *const languages[] = {
	"ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "ga", "he", "hi", "hr", "hu", "id", "is", "it",
	"ja", "ko", "la", "lt", "lv", "nl", "no", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "sw", "ta", "th", "tr", "uk", "ur", "vi", "cy", "zh",
};

static int is_listed(const char *const *list, size_t count, const char *text) {
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], text) == 0)
			return 1;
	return 0;
}
#define LISTED(list, text) is_listed(list, sizeof(list) / sizeof *(list), text)

/* ---- the table ---- */

static int by_text(const void *a, const void *b) { return strcmp(((const name *)a)->text, ((const name *)b)->text); }

/* A name as it is written: letters, apostrophes and hyphens in up to MAX_WORDS words, one of them with a capital. */
static void add_name(sn_casing *c, const UChar *text, int32_t length) {
	UChar lower[MAX_NAME];
	name n = { .capitals = 0 };
	UErrorCode status = U_ZERO_ERROR;
	int words = 1, begins = 1;
	for (int32_t i = 0; i < length; begins = text[i] == ' ', i++) {
		const UChar u = text[i];
		words += u == ' ';
		if (!u_isalpha(u) && u != ' ' && u != '\'' && u != '-' && u != 0x2019)
			return;
		if (begins && words <= MAX_WORDS && u_isupper(u))
			n.capitals |= (uint8_t)(1 << (words - 1));
	}
	const int32_t size = u_strToLower(lower, MAX_NAME, text, length, c->language, &status);
	u_strToUTF8(n.text, sizeof n.text, NULL, lower, size, &status);
	if (U_FAILURE(status) || status == U_STRING_NOT_TERMINATED_WARNING || size < 3 || words > MAX_WORDS || !n.capitals ||
	    c->count == MAX_NAMES || LISTED(plain_words, n.text))
		return;
	c->names[c->count++] = n;
}

static void add_dates(sn_casing *c) {
	static const UDateFormatSymbolType types[] = { UDAT_MONTHS, UDAT_STANDALONE_MONTHS, UDAT_WEEKDAYS, UDAT_STANDALONE_WEEKDAYS };
	UErrorCode status = U_ZERO_ERROR;
	UDateFormat *const format = udat_open(UDAT_FULL, UDAT_FULL, c->language, NULL, 0, NULL, 0, &status);
	UChar text[MAX_NAME];
	for (size_t t = 0; U_SUCCESS(status) && t < sizeof types / sizeof *types; t++)
		for (int32_t i = 0, count = udat_countSymbols(format, types[t]); i < count; i++) {
			UErrorCode code = U_ZERO_ERROR;
			const int32_t length = udat_getSymbols(format, types[t], i, text, MAX_NAME, &code);
			if (U_SUCCESS(code))
				add_name(c, text, length);
		}
	if (U_SUCCESS(status))
		udat_close(format);
}

static void add_places(sn_casing *c) {
	UErrorCode status = U_ZERO_ERROR;
	ULocaleDisplayNames *const names = uldn_open(c->language, ULDN_STANDARD_NAMES, &status);
	const char *const *const codes = uloc_getISOCountries();
	static const char *const continents[] = { "002", "003", "005", "009", "019", "142", "150", "AC" };
	UChar text[MAX_NAME];
	for (int pass = 0; U_SUCCESS(status) && pass < 2; pass++)
		for (size_t i = 0; pass ? i < sizeof continents / sizeof *continents : codes[i] != NULL; i++) {
			UErrorCode code = U_ZERO_ERROR;
			const int32_t length = uldn_regionDisplayName(names, pass ? continents[i] : codes[i], text, MAX_NAME, &code);
			if (U_SUCCESS(code))
				add_name(c, text, length);
		}
	for (size_t i = 0; U_SUCCESS(status) && c->is_english && i < sizeof languages / sizeof *languages; i++) {
		UErrorCode code = U_ZERO_ERROR;
		const int32_t length = uldn_languageDisplayName(names, languages[i], text, MAX_NAME, &code);
		if (U_SUCCESS(code))
			add_name(c, text, length);
	}
	if (U_SUCCESS(status))
		uldn_close(names);
}

/* The cities that time zones are named by. */
static void add_cities(sn_casing *c) {
	static const UChar pattern[] = { 'V', 'V', 'V', 0 };
	UErrorCode status = U_ZERO_ERROR;
	UEnumeration *const zones = ucal_openTimeZoneIDEnumeration(UCAL_ZONE_TYPE_CANONICAL_LOCATION, NULL, NULL, &status);
	UDateFormat *const format = udat_open(UDAT_PATTERN, UDAT_PATTERN, c->language, NULL, 0, pattern, -1, &status);
	UCalendar *const calendar = ucal_open(NULL, 0, c->language, UCAL_GREGORIAN, &status);
	const UChar *zone;
	UChar text[MAX_NAME];
	int32_t length;
	while (U_SUCCESS(status) && (zone = uenum_unext(zones, &length, &status)) != NULL) {
		UErrorCode code = U_ZERO_ERROR;
		ucal_setTimeZone(calendar, zone, length, &code);
		udat_setCalendar(format, calendar);
		length = udat_format(format, 0, text, MAX_NAME, NULL, &code);
		if (U_SUCCESS(code))
			add_name(c, text, length);
	}
	ucal_close(calendar);
	udat_close(format);
	uenum_close(zones);
}

static void add_english(sn_casing *c) {
	for (size_t i = 0; i < sizeof english_names / sizeof *english_names && c->count < MAX_NAMES; i++) {
		name *const n = &c->names[c->count++];
		*n = (name){ .capitals = 1 };
		strcpy(n->text, english_names[i]);
	}
}

static int has_data(const char *language) {
	UErrorCode status = U_ZERO_ERROR;
	char found[ULOC_LANG_CAPACITY] = "";
	UDateFormat *const format = udat_open(UDAT_FULL, UDAT_FULL, language, NULL, 0, NULL, 0, &status);
	const char *const locale = U_SUCCESS(status) ? udat_getLocaleByType(format, ULOC_VALID_LOCALE, &status) : NULL;
	if (U_SUCCESS(status) && locale)
		uloc_getLanguage(locale, found, sizeof found, &status);
	udat_close(format);
	return U_SUCCESS(status) && strcmp(found, language) == 0;
}

int sn_casing_open(sn_casing **out, const char *language, char *err) {
	UErrorCode status = U_ZERO_ERROR;
	*out = NULL;
	sn_casing *const c = calloc(1, sizeof *c);
	if (c)
		c->names = malloc(MAX_NAMES * sizeof *c->names);
	if (!c || !c->names) {
		free(c);
		return sn_fail(err, SN_E_MEMORY, "no memory for names");
	}
	const int32_t length = uloc_getLanguage(language, c->language, sizeof c->language, &status);
	if (U_FAILURE(status) || length < 2 || length >= (int32_t)sizeof c->language)
		*c->language = 0;
	c->is_english = strcmp(c->language, "en") == 0;
	if (*c->language && has_data(c->language)) {
		add_dates(c);
		add_places(c);
		add_cities(c);
	}
	if (c->is_english)
		add_english(c);
	qsort(c->names, (size_t)c->count, sizeof *c->names, by_text);
	*out = c;
	return SN_OK;
}

void sn_casing_close(sn_casing **casing) {
	if (!*casing)
		return;
	free((*casing)->names);
	free(*casing);
	*casing = NULL;
}

/* ---- finding ---- */

static const name *find_name(const sn_casing *c, const char *text) {
	name key;
	if (strlen(text) >= sizeof key.text)
		return NULL;
	strcpy(key.text, text);
	return bsearch(&key, c->names, (size_t)c->count, sizeof *c->names, by_text);
}

/* Bytes of the word without a genitive's "'s". */
static size_t stem_size(const char *word) {
	const size_t size = strlen(word);
	return size > 2 && strcmp(word + size - 2, "'s") == 0 ? size - 2 : size;
}

/* The longest name that begins at words[0]: how many words. */
static int match(const sn_casing *c, const char *const *words, int count, uint8_t *capitals) {
	char text[MAX_NAME];
	size_t size = 0;
	int found = 0;
	for (int i = 0; i < count && i < MAX_WORDS; i++) {
		const size_t stem = stem_size(words[i]);
		if (size + stem + 2 > sizeof text)
			break;
		if (i)
			text[size++] = ' ';
		memcpy(text + size, words[i], stem);
		size += stem;
		text[size] = 0;
		const name *const n = find_name(c, text);
		if (n) {
			*capitals = n->capitals;
			found = i + 1;
		}
		if (words[i][stem]) /* a genitive ends a name */
			break;
	}
	return found;
}

static int is_letter(const char *word) {
	int32_t i = 0, c;
	U8_NEXT_UNSAFE(word, i, c);
	return c && u_isalpha(c) && !word[i];
}

static int is_function_word(const char *word) {
	static const char *const words[] = { "and", "or", "but", "is", "was", "has", "had", "of", "to", "in", "the", "a", "i", "he", "she",
	                                     "it", "that", "said", "will", "would", "can", "could", "you", "we", "they", "me", "him", "her" };
	return LISTED(words, word);
}

static sn_case english_case(const char *const *words, int count, int at) {
	static const char *const contractions[] = { "i", "i'm", "i've", "i'll", "i'd", "i'd've" };
	static const char *const titles[] = { "mr", "mrs", "ms", "mister", "missus", "mr.", "mrs.", "ms.", "dr", "dr.", "prof" };
	static const char *const before_months[] = { "in", "since", "until", "early", "late", "last", "mid" };
	const char *const word = words[at];
	if (LISTED(contractions, word))
		return SN_CASE_CAPITAL;
	if (is_letter(word) && strcmp(word, "a") != 0)
		return SN_CASE_CAPITAL;
	if (LISTED(titles, word) && at + 1 < count && !is_function_word(words[at + 1]))
		return SN_CASE_CAPITAL;
	if (at > 0 && LISTED(titles, words[at - 1]) && !is_function_word(word))
		return SN_CASE_CAPITAL;
	if ((strcmp(word, "may") == 0 || strcmp(word, "march") == 0) && at > 0 && LISTED(before_months, words[at - 1]))
		return SN_CASE_CAPITAL;
	return SN_CASE_LOWER;
}

void sn_casing_find(const sn_casing *c, const char *const *words, int count, sn_case *cases) {
	for (int i = 0; i < count; i++)
		cases[i] = c->is_english ? english_case(words, count, i) : SN_CASE_LOWER;
	for (int i = 0; i < count;) {
		uint8_t capitals = 0;
		const int length = match(c, words + i, count - i, &capitals);
		for (int k = 0; k < length; k++)
			if (capitals >> k & 1)
				cases[i + k] = SN_CASE_CAPITAL;
		i += length ? length : 1;
	}
}

int sn_casing_spelled(const sn_casing *c, const char *const *words, int count, int at) {
	if (!c->is_english && strcmp(c->language, "de") != 0)
		return 0;
	if (c->is_english && (strcmp(words[at], "a") == 0 || strcmp(words[at], "i") == 0 || strcmp(words[at], "o") == 0))
		return 0; /* a word of its own before the letters */
	int length = 0;
	while (at + length < count && is_letter(words[at + length]))
		length++;
	return length >= 3 ? length : 0;
}

/* ---- writing ---- */

void sn_casing_write(const sn_casing *c, const char *word, sn_case how, sn_buf *out) {
	UChar text[MAX_WORD], cased[2 * MAX_WORD];
	char utf8[6 * MAX_WORD];
	UErrorCode status = U_ZERO_ERROR;
	int32_t length = 0, first = 0, size = 0, begin = 0;
	if (how == SN_CASE_AS_IS) {
		sn_buf_text(out, word);
		return;
	}
	u_strFromUTF8(text, (int32_t)MAX_WORD, &length, word, -1, &status);
	while (U_SUCCESS(status) && begin < length && !u_isalpha(text[begin])) /* "'tis", "¿" */
		begin++;
	if (how == SN_CASE_LOWER) {
		size = u_strToLower(cased, 2 * (int32_t)MAX_WORD, text, length, c->language, &status);
	} else if (how == SN_CASE_UPPER) {
		size = u_strToUpper(cased, 2 * (int32_t)MAX_WORD, text, length, c->language, &status);
	} else {
		/* The first letter, and with it what ICU's title case takes ("ij" in Dutch); the rest stays as it is. */
		first = begin + 1;
		first += first < length && U16_IS_TRAIL(text[first]);
		first += strcmp(c->language, "nl") == 0 && first < length && text[begin] == 'i' && text[first] == 'j';
		memcpy(cased, text, (size_t)begin * sizeof *text);
		if (begin < length)
			size = begin + u_strToTitle(cased + begin, (int32_t)MAX_WORD, text + begin, first - begin, NULL, c->language, &status);
		if (U_SUCCESS(status) && begin < length) {
			memcpy(cased + size, text + first, (size_t)(length - first) * sizeof *text);
			size += length - first;
		} else {
			status = U_INVALID_STATE_ERROR;
		}
	}
	u_strToUTF8(utf8, (int32_t)sizeof utf8, NULL, cased, size, &status);
	sn_buf_text(out, U_SUCCESS(status) && status != U_STRING_NOT_TERMINATED_WARNING ? utf8 : word);
}
