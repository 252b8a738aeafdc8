#include "text/ssml.h"

#include "base/ascii.h"
#include "base/buf.h"

#include <ctype.h>
#include <expat.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FACTOR 100.0f

#ifdef EXPAT_64 /* newer releases of expat warn of the older names */
#define AT_LINE XML_GetCurrentLineNumber64
#define AT_COLUMN XML_GetCurrentColumnNumber64
#define AT_BYTE XML_GetCurrentByteIndex64
#else
#define AT_LINE XML_GetCurrentLineNumber
#define AT_COLUMN XML_GetCurrentColumnNumber
#define AT_BYTE XML_GetCurrentByteIndex
#endif

typedef enum element {
	E_SPEAK, E_P, E_S, E_BREAK, E_PROSODY, E_SAY_AS, E_PHONEME, E_SUB, E_LANG, E_VOICE, E_MARK, E_SILENT, E_OTHER
} element;

static const struct {
	const char *name;
	element element;
} names[] = {
	{ "speak", E_SPEAK }, { "p", E_P }, { "paragraph", E_P }, { "s", E_S }, { "sentence", E_S }, { "break", E_BREAK },
	{ "prosody", E_PROSODY }, { "say-as", E_SAY_AS }, { "phoneme", E_PHONEME }, { "sub", E_SUB }, { "lang", E_LANG },
	{ "voice", E_VOICE }, { "mark", E_MARK }, { "metadata", E_SILENT }, { "meta", E_SILENT }, { "lexicon", E_SILENT },
	{ "lookup", E_OTHER },
};

typedef struct frame {
	element element;
	sn_ssml_style style;
} frame;

struct sn_ssml {
	XML_Parser parser;
	sn_ssml_emit emit;
	void *payload;
	frame frames[SN_SSML_DEPTH];
	int depth, ended;
	int silent;                 /* depth from which on content is not spoken; 0: spoken */
	int holding;                /* depth of the say-as or phoneme whose content is collected; 0: none */
	sn_buf content;             /* of it */
	char value[SN_SSML_PHONEMES + 1], format[64], detail[64]; /* of it */
	int64_t pushed;             /* bytes */
	int result;                 /* that ended the reading */
	char err[SN_ERRLEN];
};

/* ---- what a callback has to say ---- */

static void stop(sn_ssml *s, int result) {
	if (s->result == SN_OK)
		s->result = result;
	XML_StopParser(s->parser, XML_FALSE);
}

static void refuse(sn_ssml *s, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void refuse(sn_ssml *s, int code, const char *format, ...) {
	char text[SN_ERRLEN / 2];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	sn_fail(s->err, code, "SSML, line %llu, column %llu: %s", (unsigned long long)AT_LINE(s->parser),
	        (unsigned long long)AT_COLUMN(s->parser) + 1, text);
	stop(s, code);
}

static void emit(sn_ssml *s, sn_ssml_event event) {
	static const sn_ssml_style plain = { .rate = 1, .pitch = 1, .gain = 1 };
	event.style = s->depth ? &s->frames[s->depth - 1].style : &plain;
	event.text = event.text ? event.text : "";
	event.value = event.value ? event.value : "";
	event.format = event.format ? event.format : "";
	event.detail = event.detail ? event.detail : "";
	if (s->result != SN_OK)
		return;
	int result = s->emit(s->payload, &event, s->err);
	if (result != SN_OK)
		stop(s, result);
}

static void note(sn_ssml *s, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(sn_ssml *s, const char *code, const char *format, ...) {
	char text[200];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	emit(s, (sn_ssml_event){ .kind = SN_SSML_NOTE, .value = code, .text = text, .size = strlen(text) });
}

/* ---- values ---- */

static const char *attribute(const char **attributes, const char *name) {
	for (int i = 0; attributes[i]; i += 2)
		if (strcmp(attributes[i], name) == 0)
			return attributes[i + 1];
	return NULL;
}

typedef struct level {
	const char *name;
	float value;
} level;

static int find_level(const level *levels, const char *text, float *value) {
	for (; levels->name; levels++)
		if (strcmp(levels->name, text) == 0) {
			*value = levels->value;
			return 1;
		}
	return 0;
}

/* A finite number and what follows it. */
static int number(const char *text, double *value, const char **unit) {
	char *end;
	if (!(isdigit((unsigned char)*text) || strchr("+-.", *text)) || !*text)
		return 0;
	*value = sn_number(text, &end);
	*unit = end;
	return end != text && isfinite(*value);
}

/* "+10%" and "-10%" change, "80%" and "0.8" are the factor itself. 0: not understood. */
static int factor(const char *text, float *value) {
	const char *unit;
	double x;
	if (!number(text, &x, &unit))
		return 0;
	const int is_change = *text == '+' || *text == '-';
	if (strcmp(unit, "%") == 0)
		x = is_change ? 1 + x / 100 : x / 100;
	else if (*unit || is_change)
		return 0;
	*value = (float)x;
	return x > 0 && x <= 100;
}

static int rate_of(const char *text, float *value) {
	static const level levels[] = { { "x-slow", 0.5f }, { "slow", 0.75f }, { "medium", 1 }, { "default", 1 }, { "fast", 1.25f },
		                            { "x-fast", 1.6f }, { NULL, 0 } };
	return find_level(levels, text, value) || factor(text, value);
}

static int pitch_of(const char *text, float *value) {
	static const level levels[] = { { "x-low", 0.7f }, { "low", 0.85f }, { "medium", 1 }, { "default", 1 }, { "high", 1.15f },
		                            { "x-high", 1.35f }, { NULL, 0 } };
	const char *unit;
	double x;
	if (number(text, &x, &unit) && strcmp(unit, "st") == 0) {
		*value = (float)exp2(x / 12);
		return fabs(x) <= 48;
	}
	return find_level(levels, text, value) || factor(text, value);
}

/* Decibels above or below what it is; SSML 1.0's 0 to 100, of which 100 is the voice as it speaks; levels. */
static int gain_of(const char *text, float *value) {
	static const level levels[] = { { "silent", 0 }, { "x-soft", 0.25f }, { "soft", 0.5f }, { "medium", 1 }, { "default", 1 },
		                            { "loud", 1.5f }, { "x-loud", 2 }, { NULL, 0 } };
	const char *unit;
	double x;
	if (find_level(levels, text, value))
		return 1;
	if (!number(text, &x, &unit))
		return 0;
	if (sn_strcasecmp(unit, "db") == 0)
		*value = (float)pow(10, x / 20);
	else if (strcmp(unit, "%") == 0)
		*value = (float)(*text == '+' || *text == '-' ? 1 + x / 100 : x / 100);
	else if (!*unit)
		*value = (float)(*text == '+' || *text == '-' ? 1 + x / 100 : x / 100);
	else
		return 0;
	return *value >= 0 && *value <= 16;
}

/* ---- elements ---- */

static void start_prosody(sn_ssml *s, sn_ssml_style *style, const char **attributes) {
	static const struct {
		const char *name;
		int (*read)(const char *text, float *value);
		const char *wanted;
	} kinds[] = {
		{ "rate", rate_of, "x-slow, slow, medium, fast, x-fast, a factor like 1.2 or a change like +20%" },
		{ "pitch", pitch_of, "x-low, low, medium, high, x-high, a change like +10% or +2st" },
		{ "volume", gain_of, "silent, x-soft, soft, medium, loud, x-loud, +6dB or 0 to 100" },
	};
	float *const values[] = { &style->rate, &style->pitch, &style->gain };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *const text = attribute(attributes, kinds[i].name);
		float value = 1;
		if (text && kinds[i].read(text, &value))
			*values[i] = fminf(*values[i] * value, MOST_FACTOR); /* elements nest */
		else if (text)
			note(s, "ssml_value", "prosody %s=\"%.24s\" is not understood and was ignored; it may be %s", kinds[i].name, text,
			     kinds[i].wanted);
	}
	if (attribute(attributes, "contour") || attribute(attributes, "range") || attribute(attributes, "duration"))
		note(s, "ssml_prosody", "prosody contour, range and duration are ignored");
}

static void start_break(sn_ssml *s, const char **attributes) {
	static const level strengths[] = { { "none", 0 }, { "x-weak", 0.1f }, { "weak", 0.25f }, { "medium", 0.5f }, { "strong", 0.8f },
		                               { "x-strong", 1.2f }, { NULL, 0 } };
	const char *const time = attribute(attributes, "time"), *const strength = attribute(attributes, "strength"), *unit;
	float seconds = 0.5f;
	double x;
	if (strength && !find_level(strengths, strength, &seconds))
		note(s, "ssml_value", "break strength=\"%.24s\" is not understood; it may be none, x-weak, weak, medium, strong or x-strong",
		     strength);
	if (time && number(time, &x, &unit) && x >= 0 && (strcmp(unit, "s") == 0 || strcmp(unit, "ms") == 0)) {
		x = unit[0] == 'm' ? x / 1000 : x;
		if (x > SN_SSML_BREAK)
			note(s, "ssml_break", "a break of %g s was shortened to %g s", x, SN_SSML_BREAK);
		seconds = (float)fmin(x, SN_SSML_BREAK);
	} else if (time) {
		note(s, "ssml_value", "break time=\"%.24s\" is not understood; it may be 500ms or 1.5s", time);
	}
	emit(s, (sn_ssml_event){ .kind = SN_SSML_BREAK_OF, .seconds = (double)seconds });
}

static void hold(sn_ssml *s, const char *value, const char *format, const char *detail) {
	s->holding = s->depth;
	sn_buf_clear(&s->content);
	snprintf(s->value, sizeof s->value, "%s", value);
	snprintf(s->format, sizeof s->format, "%s", format ? format : "");
	snprintf(s->detail, sizeof s->detail, "%s", detail ? detail : "");
}

/* What cannot be read as phonemes is spoken as the text that it stands for. */
static void start_phoneme(sn_ssml *s, const char **attributes) {
	const char *const ph = attribute(attributes, "ph"), *const alphabet = attribute(attributes, "alphabet");
	char ipa[SN_SSML_PHONEMES + 1] = "";
	const int is_xsampa = alphabet && (sn_strcasecmp(alphabet, "x-sampa") == 0 || sn_strcasecmp(alphabet, "xsampa") == 0);
	if (alphabet && !is_xsampa && sn_strcasecmp(alphabet, "ipa") != 0)
		note(s, "ssml_phoneme", "phonemes in the alphabet \"%.24s\" are not known; ipa and x-sampa are", alphabet);
	else if (!ph || !*ph || strlen(ph) > SN_SSML_PHONEMES)
		note(s, "ssml_phoneme", "a phoneme element has no ph of 1 to %zu bytes", SN_SSML_PHONEMES);
	else if (!is_xsampa)
		snprintf(ipa, sizeof ipa, "%s", ph);
	else if (!sn_ipa_of_xsampa(ph, ipa, sizeof ipa))
		note(s, "ssml_phoneme", "\"%.40s\" is not X-SAMPA", ph);
	if (*ipa)
		hold(s, ipa, NULL, NULL);
}

static void emit_text(sn_ssml *s, const char *text, size_t size) {
	if (size)
		emit(s, (sn_ssml_event){ .kind = SN_SSML_TEXT, .text = text, .size = size });
}

/* alias=: is spoken instead of the content. */
static void start_sub(sn_ssml *s, const char **attributes) {
	const char *const alias = attribute(attributes, "alias");
	if (!alias)
		return;
	emit_text(s, alias, strlen(alias));
	s->silent = s->depth;
}

static void start_mark(sn_ssml *s, const char **attributes) {
	const char *const name = attribute(attributes, "name");
	if (!name || !*name || strlen(name) > SN_SSML_NAME)
		note(s, "ssml_value", "a mark needs a name of 1 to %zu bytes", SN_SSML_NAME);
	else
		emit(s, (sn_ssml_event){ .kind = SN_SSML_MARK, .value = name });
}

static void start_voice(sn_ssml *s, sn_ssml_style *style, const char **attributes) {
	const char *const name = attribute(attributes, "name");
	if (name && *name && strlen(name) <= SN_SSML_NAME)
		strcpy(style->voice, name);
	else
		note(s, "ssml_value", "a voice element is understood by its name only, of 1 to %zu bytes", SN_SSML_NAME);
}

static void set_language(sn_ssml *s, sn_ssml_style *style, const char **attributes) {
	const char *const language = attribute(attributes, "xml:lang");
	if (!language)
		return;
	if (strlen(language) < sizeof style->language)
		strcpy(style->language, language);
	else
		note(s, "ssml_value", "xml:lang=\"%.24s\" is no language", language);
}

static element find_element(const char *name) {
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].element;
	return E_OTHER;
}

static void begin(sn_ssml *s, frame *f, const char *name, const char **attributes) {
	set_language(s, &f->style, attributes);
	switch (f->element) {
	case E_P:
	case E_S: emit(s, (sn_ssml_event){ .kind = SN_SSML_END }); break;
	case E_BREAK: start_break(s, attributes); break;
	case E_PROSODY: start_prosody(s, &f->style, attributes); break;
	case E_SAY_AS:
		if (attribute(attributes, "interpret-as"))
			hold(s, attribute(attributes, "interpret-as"), attribute(attributes, "format"), attribute(attributes, "detail"));
		else
			note(s, "ssml_value", "a say-as element lacks interpret-as");
		break;
	case E_PHONEME: start_phoneme(s, attributes); break;
	case E_SUB: start_sub(s, attributes); break;
	case E_VOICE: start_voice(s, &f->style, attributes); break;
	case E_MARK: start_mark(s, attributes); break;
	case E_SILENT: s->silent = s->depth; break;
	case E_OTHER: note(s, "ssml_ignored", "the element <%.40s> has no effect here; the text inside is spoken", name); break;
	case E_SPEAK:
	case E_LANG: break;
	}
}

static void XMLCALL on_start(void *payload, const char *name, const char **attributes) {
	static const sn_ssml_style plain = { .rate = 1, .pitch = 1, .gain = 1 };
	sn_ssml *const s = payload;
	if (s->depth == SN_SSML_DEPTH) {
		refuse(s, SN_E_LIMIT, "elements nest more than %d deep", SN_SSML_DEPTH);
		return;
	}
	const element e = find_element(name);
	if (!s->depth && e != E_SPEAK) {
		refuse(s, SN_E_FORMAT, "the document begins with <%.40s>; <speak> was expected", name);
		return;
	}
	frame *const f = &s->frames[s->depth++];
	*f = (frame){ e, s->depth > 1 ? f[-1].style : plain };
	if (!s->silent && !s->holding)
		begin(s, f, name, attributes);
	else if (!s->silent && e == E_MARK) /* inside a say-as: reached before it */
		start_mark(s, attributes);
}

static void XMLCALL on_end(void *payload, const char *name) {
	sn_ssml *const s = payload;
	const element e = s->frames[s->depth - 1].element;
	if (s->holding == s->depth) {
		const char *const text = s->content.data ? s->content.data : "";
		s->holding = 0;
		emit(s, (sn_ssml_event){ .kind = e == E_PHONEME ? SN_SSML_IPA : SN_SSML_SAY_AS, .text = text, .size = s->content.size,
			.value = s->value, .format = s->format, .detail = s->detail });
	} else if ((e == E_P || e == E_S) && !s->silent && !s->holding) {
		emit(s, (sn_ssml_event){ .kind = SN_SSML_END });
	}
	if (s->silent == s->depth)
		s->silent = 0;
	s->ended = --s->depth == 0;
}

static void XMLCALL on_text(void *payload, const char *text, int size) {
	sn_ssml *const s = payload;
	if (s->silent)
		return;
	if (!s->holding)
		emit_text(s, text, (size_t)size);
	else if (sn_buf_add(&s->content, text, (size_t)size) != SN_OK)
		refuse(s, s->content.failed, "more than %zu bytes inside one say-as or phoneme", SN_SSML_CONTENT);
}

/* An external subset is not read; declarations in the document itself could make entities. */
static void XMLCALL on_doctype(void *payload, const char *name, const char *system, const char *public, int has_declarations) {
	if (has_declarations)
		refuse(payload, SN_E_FORMAT, "declarations inside a document type are not allowed");
}

static void XMLCALL on_entity(void *payload, const char *name, int is_parameter) {
	if (!is_parameter)
		refuse(payload, SN_E_FORMAT, "the entity \"%.40s\" is not known; a document may use amp, lt, gt, quot, apos and numbers", name);
}

/* ---- reading ---- */

int sn_ssml_open(sn_ssml **out, sn_ssml_emit emit_event, void *payload, char *err) {
	sn_ssml *s = *out = calloc(1, sizeof *s);
	if (s)
		s->parser = XML_ParserCreate("UTF-8");
	if (!s || !s->parser) {
		sn_ssml_close(out);
		return sn_fail(err, SN_E_MEMORY, "no memory for an SSML document");
	}
	s->emit = emit_event;
	s->payload = payload;
	sn_buf_init(&s->content, SN_SSML_CONTENT + 1);
	XML_SetUserData(s->parser, s);
	XML_SetElementHandler(s->parser, on_start, on_end);
	XML_SetCharacterDataHandler(s->parser, on_text);
	XML_SetStartDoctypeDeclHandler(s->parser, on_doctype);
	XML_SetSkippedEntityHandler(s->parser, on_entity);
	XML_SetParamEntityParsing(s->parser, XML_PARAM_ENTITY_PARSING_NEVER);
	return SN_OK;
}

void sn_ssml_close(sn_ssml **held) {
	sn_ssml *s = *held;
	*held = NULL;
	if (!s)
		return;
	if (s->parser)
		XML_ParserFree(s->parser);
	sn_buf_free(&s->content);
	free(s);
}

static void take_error(sn_ssml *s) {
	const enum XML_Error code = XML_GetErrorCode(s->parser);
	if (code == XML_ERROR_NO_MEMORY) {
		s->result = sn_fail(s->err, SN_E_MEMORY, "no memory for an SSML document");
		return;
	}
	if (code == XML_ERROR_JUNK_AFTER_DOC_ELEMENT)
		refuse(s, SN_E_FORMAT, "there is something behind </speak>; a text is one <speak> document");
	else if (code == XML_ERROR_NO_ELEMENTS || code == XML_ERROR_UNCLOSED_TOKEN)
		refuse(s, SN_E_FORMAT, "the document ends too early");
	else
		refuse(s, SN_E_FORMAT, "%s", XML_ErrorString(code));
}

int sn_ssml_push(sn_ssml *s, const char *data, size_t size, int last, char *err) {
	while (s->result == SN_OK) {
		const size_t part = size < SN_SSML_TAG / 4 ? size : SN_SSML_TAG / 4; /* so that a tag's length is seen in time */
		s->pushed += (int64_t)part;
		if (XML_Parse(s->parser, data, (int)part, last && part == size) != XML_STATUS_OK && s->result == SN_OK)
			take_error(s);
		if (s->result == SN_OK && s->pushed - (int64_t)AT_BYTE(s->parser) > (int64_t)SN_SSML_TAG)
			refuse(s, SN_E_LIMIT, "a tag of more than %zu bytes", SN_SSML_TAG);
		data += part;
		size -= part;
		if (!size)
			break;
	}
	return s->result == SN_OK ? SN_OK : sn_fail(err, s->result, "%s", s->err);
}

int sn_ssml_begins(const char *text, size_t size) {
	size_t i = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	while (i < size && strchr(" \t\r\n", text[i]) && text[i])
		i++;
	static const char *const starts[] = { "<speak", "<?xml" };
	int result = 0;
	for (size_t k = 0; k < 2; k++) {
		const size_t length = strlen(starts[k]), have = size - i < length ? size - i : length;
		if (memcmp(text + i, starts[k], have) == 0)
			result = have == length ? 1 : result == 1 ? 1 : -1;
	}
	return result;
}
