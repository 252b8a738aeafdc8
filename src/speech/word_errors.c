/* Word error rate, as it is usually counted: the least substitutions, deletions and insertions (Levenshtein 1966). */
#include "base/hash.h"
#include "speech/check.h"
#include "text/inline.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define MOST_WORDS 4096
#define MOST_TEXT ((size_t)1 << 20)

typedef struct words {
	uint64_t ids[MOST_WORDS]; /* hashes */
	int count;
} words;

static void end_word(words *w, sn_buf *word) {
	if (word->size && w->count < MOST_WORDS)
		w->ids[w->count++] = sn_hash(0, word->data, word->size);
	sn_buf_clear(word);
}

/* Without case, accents kept; apostrophes belong to their word and count for nothing. */
static void split(words *w, const char *text, size_t size) {
	sn_buf word;
	w->count = 0;
	sn_buf_init(&word, MOST_TEXT);
	for (int32_t i = 0, c; i < (int32_t)size;) {
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		if (c == '\'' || c == 0x2019 || c < 0 || (c >= SN_INLINE_FIRST && c <= SN_INLINE_LAST))
			continue;
		const int wide = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH) == U_EA_WIDE;
		const int part = u_isalnum(c) || (U_GET_GC_MASK(c) & U_GC_M_MASK);
		if (!part || wide)
			end_word(w, &word);
		if (part)
			sn_utf8_add_lower(&word, c);
		if (wide)
			end_word(w, &word);
	}
	end_word(w, &word);
	sn_buf_free(&word);
}

static int distance(const words *a, const words *b, int *row) {
	for (int j = 0; j <= b->count; j++)
		row[j] = j;
	for (int i = 0; i < a->count; i++) {
		int diagonal = row[0];
		row[0] = i + 1;
		for (int j = 0; j < b->count; j++) {
			const int changed = diagonal + (a->ids[i] != b->ids[j]);
			diagonal = row[j + 1];
			const int other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
			row[j + 1] = changed < other ? changed : other;
		}
	}
	return row[b->count];
}

static int read_words(sn_normaliser *n, words *w, const char *text, size_t size, char *err) {
	sn_buf read;
	sn_buf_init(&read, MOST_TEXT);
	int result = size ? sn_normalise(n, text, size, &read, NULL, err) : SN_OK;
	if (result == SN_OK)
		split(w, read.data ? read.data : "", read.size);
	sn_buf_free(&read);
	return result;
}

int sn_word_errors(sn_normaliser *n, const char *reference, size_t reference_size, const char *other, size_t other_size, int *count,
                   int *errors, char *err) {
	words *const both = malloc(2 * sizeof *both);
	int *const row = malloc((MOST_WORDS + 1) * sizeof *row);
	*count = *errors = 0;
	int result = both && row ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory to compare words");
	if (result == SN_OK)
		result = read_words(n, &both[0], reference, reference_size, err);
	if (result == SN_OK)
		result = read_words(n, &both[1], other, other_size, err);
	if (result == SN_OK) {
		*count = both[0].count;
		*errors = distance(&both[0], &both[1], row);
	}
	free(both);
	free(row);
	return result;
}
