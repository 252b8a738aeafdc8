/* The many characters that mean the same as a plain one, before anything is read. */
#include "text/normalise_internal.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#define FOLD_MAX ((size_t)SN_NORMAL_MAX * 18) /* NFKC of U+FDFA is 18 times as long */

typedef struct folder {
	sn_buf *out;
	uint32_t *source;
	size_t capacity, last;     /* last: where the last character begins in out */
	int opened;                /* behind « */
	int digits;                /* those of other scripts become ours */
	const UNormalizer2 *nfc, *nfkc;
} folder;

static void emit(folder *f, int32_t c, uint32_t from) {
	size_t before = f->out->size;
	if (before + 5 > f->capacity) {
		size_t capacity = 2 * f->capacity;
		uint32_t *grown = realloc(f->source, capacity * sizeof *grown);
		if (!grown) {
			f->out->failed = SN_E_MEMORY;
			return;
		}
		f->source = grown;
		f->capacity = capacity;
	}
	sn_utf8_add(f->out, c);
	for (size_t i = before; i < f->out->size; i++)
		f->source[i] = from;
	f->last = before;
}

/* A mark that makes one letter with what stands before it. */
static int compose(folder *f, int32_t c) {
	int32_t before, i = (int32_t)f->last;
	if (!f->out->size || !(U_GET_GC_MASK(c) & U_GC_M_MASK))
		return 0;
	U8_NEXT((const uint8_t *)f->out->data, i, (int32_t)f->out->size, before);
	int32_t both = unorm2_composePair(f->nfc, before, c);
	if (both < 0)
		return 0;
	uint32_t from = f->source[f->last];
	f->out->size = f->last;
	emit(f, both, from);
	return 1;
}

/* 0: leave out; -1: nothing special. */
static int32_t plain(int32_t c, int digits) {
	switch (c) {
	case 0x2018: case 0x2019: case 0x201a: case 0x201b: case 0x2032: case 0x2bc: case 0xb4: case 0x60: return '\'';
	case 0x201c: case 0x201d: case 0x201e: case 0x201f: case 0x2033: case 0xab: case 0xbb: return '"';
	case 0x2039: case 0x203a: return '\'';
	case 0x2010: case 0x2011: return '-';
	case 0x2012: return 0x2013;
	case 0x2015: return 0x2014;
	case 0x2044: case 0x2215: return '/';
	case 0x2236: return ':';
	case 0x2022: case 0x2219: case 0x22c5: return 0xb7;
	case 0x3bc: return 0xb5; /* mu and micro sign: a unit is looked up by one of them */
	case 0x2007: case 0x2009: case 0x202f: return 0xa0; /* spaces that stand inside numbers */
	case 0x3000: return ' ';
	case 0x20e3: return 0;   /* the frame of a keycap */
	case 0x66b: return '.';
	case 0x66c: return ',';
	case 0x200c: case 0x200d: return c;
	default: break;
	}
	if (c >= 0x2000 && c <= 0x200a)
		return ' ';
	if (c >= 0x2080 && c <= 0x2089)
		return '0' + c - 0x2080;
	if (digits && u_isdigit(c) && c > 0x7f && c < 0x10000) /* of any script; those beyond are letters by their look and NFKC's */
		return '0' + u_charDigitValue(c);
	if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) && !(c >= 0xe0020 && c <= 0xe007f))
		return 0;
	return -1;
}

/* Whether NFKC changes the look only. Of the others, superscripts and fractions have readings of their own. */
static int looks_only(int32_t c) {
	switch (u_getIntPropertyValue(c, UCHAR_DECOMPOSITION_TYPE)) {
	case U_DT_WIDE: case U_DT_NARROW: case U_DT_FONT: case U_DT_CIRCLE: case U_DT_SQUARE: case U_DT_SMALL: case U_DT_VERTICAL:
	case U_DT_INITIAL: case U_DT_MEDIAL: case U_DT_FINAL: case U_DT_ISOLATED: case U_DT_CANONICAL:
		return 1;
	case U_DT_SUPER: /* ᵉʳ of 1ᵉʳ, but º and ª are signs of their own */
		return c > 0xff && u_isalpha(c);
	case U_DT_COMPAT:
		return (c >= 0xfb00 && c <= 0xfb4f) || (c >= 0x2160 && c <= 0x217f) || c == 0x2026 || c == 0x2025 ||
		    (c >= 0x132 && c <= 0x133) ||
		       (c >= 0x1c4 && c <= 0x1cc) || (c >= 0x1f1 && c <= 0x1f3) || (c >= 0x2474 && c <= 0x24b5) || c == 0x17f ||
		           c == 0x2103 ||
		       c == 0x2109;
	default:
		return 0;
	}
}

static void fold(folder *f, int32_t c, uint32_t from) {
	if (c == ' ' && f->opened) {
		f->opened = 0;
		return;
	}
	if (c < 0x80 && c != '`') {
		f->opened = 0;
		emit(f, c, from);
		return;
	}
	int32_t same = plain(c, f->digits);
	if (c == 0xbb && f->out->size && f->out->data[f->out->size - 1] == ' ') /* French spaces inside: « mot » */
		f->out->size--;
	else if (c == 0xbb && f->out->size > 1 && memcmp(f->out->data + f->out->size - 2, "\xc2\xa0", 2) == 0)
		f->out->size -= 2;
	if (f->opened && (c == 0xa0 || c == 0x202f))
		same = 0;
	f->opened = c == 0xab;
	if (same == 0 || (same < 0 && compose(f, c)))
		return;
	if (same > 0 || !looks_only(c)) {
		emit(f, same > 0 ? same : c, from);
		return;
	}
	UChar wide[2], changed[32];
	int32_t length = 0, at = 0, next;
	UErrorCode status = U_ZERO_ERROR;
	U16_APPEND_UNSAFE(wide, length, c);
	length = unorm2_normalize(f->nfkc, wide, length, changed, 32, &status);
	if (U_FAILURE(status)) {
		emit(f, c, from);
		return;
	}
	while (at < length) {
		U16_NEXT(changed, at, length, next);
		emit(f, next, from);
	}
}

int norm_fold(const char *text, size_t size, int digits, sn_buf *folded, uint32_t **source, char *err) {
	UErrorCode status = U_ZERO_ERROR;
	folder f = { .out = folded, .capacity = size + 64, .digits = digits, .nfc = unorm2_getNFCInstance(&status),
	    .nfkc = unorm2_getNFKCInstance(&status) };
	if (U_FAILURE(status))
		return sn_fail(err, SN_E_DEPENDENCY, "ICU cannot normalize text: %s", u_errorName(status));
	sn_buf_init(folded, FOLD_MAX);
	f.source = malloc(f.capacity * sizeof *f.source);
	sn_buf_text(folded, "");
	if (!f.source)
		folded->failed = SN_E_MEMORY;
	for (int32_t i = 0; (size_t)i < size && !folded->failed;) {
		int32_t from = i, c;
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		fold(&f, c, (uint32_t)from);
	}
	*source = f.source;
	if (folded->failed)
		return sn_fail(err, folded->failed, "out of memory for a text of %zu bytes", size);
	f.source[folded->size] = (uint32_t)size;
	return SN_OK;
}
