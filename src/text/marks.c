#include "text/marks.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

int sn_marks_is(int32_t c) {
	static const int32_t marks[] = { ';', ':', ',', '.', '!', '?', 0xa1, 0xbf, 0x2014, 0x2026, '"', 0xab, 0xbb, 0x201c, 0x201d };
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (c == marks[i])
			return 1;
	return 0;
}

size_t sn_marks_at(const char *text, size_t size) {
	int32_t i = 0, marks = 0;
	while (i < (int32_t)size) {
		int32_t next = i, c;
		U8_NEXT((const uint8_t *)text, next, (int32_t)size, c);
		if (!sn_marks_is(c) && !u_isUWhiteSpace(c))
			break;
		marks |= sn_marks_is(c);
		i = next;
	}
	return marks ? (size_t)i : 0;
}

/* "()" is no marker: there is something in one. */
static void without_markers(sn_buf *out, const char *text) {
	const char *open, *close;
	while ((open = strchr(text, '(')) && open[1] && (close = strchr(open + 2, ')'))) {
		sn_buf_add(out, text, (size_t)(open - text));
		text = close + 1;
	}
	sn_buf_text(out, text);
}

static void trim(sn_buf *out, size_t start) {
	size_t leading = 0;
	if (out->failed || out->size == start)
		return;
	while (out->size > start && out->data[out->size - 1] == ' ')
		out->size--;
	while (start + leading < out->size && out->data[start + leading] == ' ')
		leading++;
	memmove(out->data + start, out->data + start + leading, out->size - start - leading);
	out->size -= leading;
	out->data[out->size] = 0;
}

int sn_marks_phonemes(sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, const char *between, sn_buf *out,
                      char *err) {
	sn_clauses clauses;
	int result = phonemizer ? sn_phonemizer_run(phonemizer, voice, text, size, &clauses, err)
	                        : sn_fail(err, SN_E_DEPENDENCY, "this voice needs a phonemizer");
	if (result != SN_OK)
		return result;
	for (int i = 0; i < clauses.count; i++) {
		size_t start = out->size;
		if (i)
			sn_buf_text(out, between);
		size_t begin = out->size;
		without_markers(out, clauses.items[i].phonemes);
		trim(out, begin);
		if (!out->failed && out->size == begin)
			out->size = start;
	}
	sn_clauses_free(&clauses);
	return out->failed ? sn_fail(err, out->failed, "the phonemes of the text take more than %zu bytes", out->max) : SN_OK;
}
