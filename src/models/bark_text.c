#include "models/bark_internal.h"

#include "text/sentences.h"
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>

#define LEAST_BYTES 16 /* of a piece of text */

/* See bark.h. */
static const struct {
	const char *name, *before, *after;
	int capitals, every; /* every: before each piece of a text that was split, else before the first only */
} emotions[] = {
	{ "happy", "[laughs] ", "", 0, 0 }, { "amused", "[laughter] ", "", 0, 0 }, { "sad", "[sighs] ", "", 0, 0 },
	{ "surprised", "[gasps] ", "", 0, 0 }, { "angry", "", "", 1, 0 }, { "singing", "\xe2\x99\xaa ", " \xe2\x99\xaa", 0, 1 },
	{ "nervous", "[clears throat] ", "", 0, 0 }, { "hesitant", "... ", "", 0, 0 }, { "neutral", "", "", 0, 0 },
};
#define EMOTIONS ((int)(sizeof emotions / sizeof *emotions))
_Static_assert(EMOTIONS <= BARK_MAX_EMOTIONS, "the facts have room for all");

int bark_emotion_list(const char *names[BARK_MAX_EMOTIONS]) {
	for (int i = 0; i < EMOTIONS; i++) names[i] = emotions[i].name;
	return EMOTIONS;
}

typedef struct encoder {
	const bark_model *m;
	const char *text, *language;
	int emotion; /* of the table, -1: none */
	sn_synth_emit emit;
	void *payload;
	int *missing;
	int pieces; /* given out */
	char *err;
} encoder;

/* In capitals but for tags in brackets. Valid UTF-8. */
static void add_capitals(sn_buf *out, const char *text, size_t size) {
	int tag = 0;
	for (size_t i = 0; i < size;) {
		const unsigned char lead = (unsigned char)text[i];
		const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
		int32_t c = length == 1 ? lead : lead & (0x7f >> length);
		for (size_t j = 1; j < length && i + j < size; j++) c = c << 6 | ((unsigned char)text[i + j] & 0x3f);
		tag = c == '[' ? 1 : tag && c != ']';
		if (tag) sn_utf8_add(out, c);
		else sn_utf8_add_upper(out, c);
		i += length;
	}
}

/* One piece of text as ids: SN_E_LIMIT when it does not fit one window. */
static int encode_piece(encoder *e, const char *text, size_t size, int32_t *ids, int *count) {
	const int most = e->m->config.semantic.length, tagged = e->emotion >= 0 && (e->pieces == 0 || emotions[e->emotion].every);
	sn_buf b;
	sn_buf_init(&b, 4 * size + 64);
	if (tagged) sn_buf_text(&b, emotions[e->emotion].before);
	if (e->emotion >= 0 && emotions[e->emotion].capitals) add_capitals(&b, text, size);
	else sn_buf_add(&b, text, size);
	if (tagged) sn_buf_text(&b, emotions[e->emotion].after);
	int code = b.failed ? sn_fail(e->err, b.failed, "no memory for %zu bytes of text", size) : SN_OK;
	if (code == SN_OK) code = sn_wordpiece_encode(e->m->wordpiece, b.data ? b.data : "", b.size, ids, most, count, e->err);
	sn_buf_free(&b);
	return code;
}

static int split(encoder *e, size_t begin, size_t end, size_t most);

/* text[begin, end): as one piece when it fits, else in smaller ones. */
static int encode_span(encoder *e, size_t begin, size_t end, size_t most) {
	const int32_t unknown = sn_wordpiece_get_config(e->m->wordpiece)->unknown;
	int32_t ids[BARK_MAX_BLOCK];
	int count = 0;
	const int code = encode_piece(e, e->text + begin, end - begin, ids, &count);
	if (code == SN_E_LIMIT && most / 2 >= LEAST_BYTES) return split(e, begin, end, most / 2);
	if (code != SN_OK || count == 0) return code;
	for (int i = 0; i < count; i++) *e->missing += ids[i] == unknown;
	e->pieces++;
	return e->emit(e->payload, ids, count, end - begin, e->err);
}

/* text[begin, end) at the ends of sentences, as many of them in a piece as `most` bytes hold. */
static int split(encoder *e, size_t begin, size_t end, size_t most) {
	sn_spans spans;
	int code = sn_sentences(e->text + begin, end - begin, e->language, most, &spans, e->err);
	if (code != SN_OK) return code;
	for (int i = 0; i < spans.count && code == SN_OK;) {
		const size_t first = spans.items[i].begin;
		size_t last = spans.items[i++].end;
		while (i < spans.count && spans.items[i].end - first <= most) last = spans.items[i++].end;
		code = encode_span(e, begin + first, begin + last, most);
	}
	sn_spans_free(&spans);
	return code;
}

static int find_emotion(const char *name, int *found, char *err) {
	char list[256] = "";
	*found = -1;
	if (!name || !*name) return SN_OK;
	for (int i = 0; i < EMOTIONS; i++) {
		if (strcmp(emotions[i].name, name) == 0) *found = i;
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", emotions[i].name);
	}
	return *found >= 0 ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "Bark has no emotion \"%.32s\"; it has %s", name, list);
}

int bark_encode(const bark_model *m, const char *text, size_t size, const sn_synth_options *options, sn_synth_emit emit,
                void *payload, int *missing, char *err) {
	encoder e = { .m = m, .text = text, .language = options ? options->language : NULL, .emit = emit, .payload = payload,
	              .missing = missing, .err = err };
	int known = !e.language || !*e.language;
	*missing = 0;
	for (int i = 0; i < m->facts.language_count && !known; i++) known = strcmp(m->facts.languages[i], e.language) == 0;
	if (!known)
		return sn_fail(err, SN_E_ARGUMENT, "Bark does not speak \"%.16s\"; it speaks en, de, es, fr, hi, it, ja, ko, pl, pt, ru, tr and zh",
		               e.language);
	const int code = find_emotion(options ? options->emotion : NULL, &e.emotion, err);
	if (code != SN_OK) return code;
	return size > BARK_SENTENCE_BYTES ? split(&e, 0, size, BARK_SENTENCE_BYTES) : encode_span(&e, 0, size, BARK_SENTENCE_BYTES);
}
