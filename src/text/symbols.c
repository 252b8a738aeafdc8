#include "text/symbols.h"

#include "text/cleaners.h"

#include <stdio.h>
#include <string.h>

#define MAX_CLEAN ((size_t)16 << 20)

/* NVIDIA/tacotron2: the pad, the hyphen, punctuation, letters, then phones in alphabetical order. */
static const char characters[][2] = {
	"_", "-", "!", "'", "(", ")", ",", ".", ":", ";", "?", " ", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J",
	"K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "c", "d", "e", "f",
	"g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
};

static const char *const phones[] = {
	"@AA", "@AA0", "@AA1", "@AA2", "@AE", "@AE0", "@AE1", "@AE2", "@AH", "@AH0", "@AH1", "@AH2", "@AO", "@AO0", "@AO1", "@AO2", "@AW",
	"@AW0", "@AW1", "@AW2", "@AY", "@AY0", "@AY1", "@AY2", "@B", "@CH", "@D", "@DH", "@EH", "@EH0", "@EH1", "@EH2", "@ER", "@ER0",
	"@ER1", "@ER2", "@EY", "@EY0", "@EY1", "@EY2", "@F", "@G", "@HH", "@IH", "@IH0", "@IH1", "@IH2", "@IY", "@IY0", "@IY1", "@IY2",
	"@JH", "@K", "@L", "@M", "@N", "@NG", "@OW", "@OW0", "@OW1", "@OW2", "@OY", "@OY0", "@OY1", "@OY2", "@P", "@R", "@S", "@SH",
	"@T", "@TH", "@UH", "@UH0", "@UH1", "@UH2", "@UW", "@UW0", "@UW1", "@UW2", "@V", "@W", "@Y", "@Z", "@ZH",
};

enum { CHARACTERS = sizeof characters / sizeof characters[0], PHONES = sizeof phones / sizeof phones[0] };
_Static_assert(CHARACTERS + PHONES == SN_SYMBOLS, "the table has as many symbols as the checkpoints");

const char *sn_symbols_name(int32_t id) {
	if (id < 0 || id >= SN_SYMBOLS)
		return NULL;
	return id < CHARACTERS ? characters[id] : phones[id - CHARACTERS];
}

int32_t sn_symbols_id(const char *name) {
	for (int32_t id = 0; id < SN_SYMBOLS; id++)
		if (strcmp(sn_symbols_name(id), name) == 0)
			return id;
	return -1;
}

typedef struct writer {
	int32_t *ids;
	int max, count, missing;
} writer;

static void put(writer *w, int32_t id) {
	if (w->count < w->max)
		w->ids[w->count] = id;
	w->count++;
}

/* The pad is a symbol of the model, not of texts. */
static int put_text(writer *w, const char *text, size_t size, char *err) {
	sn_buf clean;
	sn_buf_init(&clean, MAX_CLEAN);
	int result = sn_clean(&clean, "tacotron2", NULL, text, size, err);
	for (size_t i = 0; result == SN_OK && i < clean.size; i++) {
		int32_t id = 1;
		while (id < CHARACTERS && characters[id][0] != clean.data[i])
			id++;
		if (id < CHARACTERS)
			put(w, id);
		w->missing += id == CHARACTERS;
	}
	sn_buf_free(&clean);
	return result;
}

static int put_phones(writer *w, const char *text, size_t size, char *err) {
	for (size_t i = 0; i < size;) {
		char name[8] = "@";
		size_t length = 0;
		for (; i + length < size && text[i + length] != ' '; length++)
			if (length + 2 < sizeof name)
				name[1 + length] = text[i + length];
		int32_t id = length ? sn_symbols_id(name) : -1;
		if (length && (id < 0 || length + 1 >= sizeof name))
			return sn_fail(err, SN_E_ARGUMENT, "'%.*s' in braces is no ARPAbet phone; phones like {HH AH0 L OW1} are expected",
			               length < 40 ? (int)length : 40, text + i);
		if (length)
			put(w, id);
		i += length + 1;
	}
	return SN_OK;
}

int sn_symbols_encode(const char *text, size_t size, int32_t *ids, int max, int *count, int *missing, char *err) {
	writer w = { ids, max, 0, 0 };
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < size;) {
		const char *open = memchr(text + i, '{', size - i), *close = open ? memchr(open, '}', size - (size_t)(open - text)) : NULL;
		size_t end = close && close > open + 1 ? (size_t)(open - text) : size;
		result = put_text(&w, text + i, end - i, err);
		if (result == SN_OK && end < size)
			result = put_phones(&w, open + 1, (size_t)(close - open) - 1, err);
		i = end < size ? (size_t)(close + 1 - text) : size;
	}
	if (result == SN_OK && w.count > max)
		result = sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", w.count, max);
	*count = result == SN_OK ? w.count : 0;
	if (missing)
		*missing = w.missing;
	return result;
}
