/* Written text as it is spoken: numbers, dates, times, money, units, abbreviations, addresses, letters and signs become words.
 *
 * Normalisation works on one sentence at a time, after sn_sentences has cut the raw text: the splitter keeps the dots of "5.3.2024",
 * "z. B." and "Dr." together because it sees them, and a stream can be spoken as it comes. The result holds no digits and no signs
 * that a model's own cleaner would read again, so those leave it as it is. Punctuation stays, for the voice's melody. */
#ifndef SN_TEXT_NORMALISE_H
#define SN_TEXT_NORMALISE_H

#include "base/buf.h"
#include "base/error.h"

/* The result has at most SN_NORMAL_GROWTH bytes for each byte of the text, and SN_NORMAL_SLACK more (the longest reading of few
 * bytes is that of a number or a currency code); beyond that a text is refused with SN_E_LIMIT. */
#define SN_NORMAL_GROWTH 64
#define SN_NORMAL_SLACK 1024
#define SN_NORMAL_MAX ((size_t)1 << 20) /* bytes of text in one call */

/* The rules of one language. Immutable to its users: any number of threads may use one at the same time (ICU's formatters, which
 * are made once and kept, stand behind a lock that a call holds for some microseconds). */
typedef struct sn_normaliser sn_normaliser;

/* What became of a piece of the text: text[from, to) is read as out[begin, end). Pieces ascend in both and leave nothing out;
 * what stayed as it was is one piece with `read` 0. */
typedef struct sn_normal_piece {
	size_t from, to;
	size_t begin, end;
	int read;
} sn_normal_piece;

/* Positions of the result, and what could not be spoken. Zeroed by its user before its first use; freed by sn_normal_map_free. */
typedef struct sn_normal_map {
	sn_normal_piece *items;
	int count, capacity;
	size_t read;         /* pieces that were read as something else */
	size_t unspoken;     /* characters that have no reading and were left out: emoji, dingbats, private use, box drawing... */
	size_t digits;       /* digits left as they are, since ICU cannot spell numbers of this language */
	char sample[64];     /* the first different ones of the unspoken characters, UTF-8, one after the other, for a note */
} sn_normal_map;

void sn_normal_map_free(sn_normal_map *map);
/* Where the byte `at` of the text is in the result: inside a piece that was read, that piece's beginning. */
size_t sn_normal_map_at(const sn_normal_map *map, size_t at);

/* `language`: "de", "pt-BR", "en_GB" (the region decides between 3/5 and 5/3); NULL or "": "en". A language without a table of its
 * own gets what ICU knows of it; one that ICU does not know either keeps its digits. Errors: SN_E_DEPENDENCY (ICU's data are
 * missing), SN_E_MEMORY. */
int sn_normaliser_open(sn_normaliser **out, const char *language, char *err);
void sn_normaliser_close(sn_normaliser **n);
/* For a model that was trained on text as it is written: words in capitals (BAD!) and ♪ around a song stay. Before the first text. */
void sn_normaliser_keep_emphasis(sn_normaliser *n);
const char *sn_normaliser_language(const sn_normaliser *n); /* "de", as ICU names it */
/* 2: a table of its own, 1: ICU spells its numbers, 0: only signs and spaces are put in order. */
int sn_normaliser_level(const sn_normaliser *n);

/* Appends the reading of valid UTF-8 to out (whose own maximum holds, too). `map` may be NULL; its pieces are appended, with
 * positions counted from the beginning of this text and of what this call appends. Errors: SN_E_FORMAT (invalid UTF-8 at a byte),
 * SN_E_LIMIT, SN_E_MEMORY; out then has what it had before. */
int sn_normalise(sn_normaliser *n, const char *text, size_t size, sn_buf *out, sn_normal_map *map, char *err);

/* SSML's <say-as>. `interpret_as`: cardinal (number), ordinal, characters (spell-out, letters), digits, date (`format` of m, d and
 * y: "mdy", "dmy", "ymd", "ym", "my", "md", "dm", "y", "m", "d"), time (`format` "hms12" or "hms24"), duration, telephone (`format`
 * the country code), currency (money), unit, fraction, address, verbatim, name, expletive (bleep), yes-or-no and other kinds of plain
 * words: as sn_normalise reads them. `detail`: for telephone "punctuation" names the signs, too; for characters a list of group
 * sizes ("3 3 4" makes pauses). `format` and `detail` may be NULL or "". Text that is not of the kind (a date of no month) is read
 * as sn_normalise reads it and returns SN_AGAIN with a sentence in err for a note. An unknown kind: the same. Errors: those of
 * sn_normalise. */
int sn_say_as(sn_normaliser *n, const char *interpret_as, const char *format, const char *detail, const char *text, size_t size,
    sn_buf *out,
              sn_normal_map *map, char *err);

/* For splitting raw text: 1 where the dot at text[dot] belongs to an abbreviation of the language's table behind which a sentence
 * goes on ("Mio. Euro", "av. J.-C.", "II. Weltkrieg"); 0 for one that ends sentences, too ("etc.", "Inc."), and for other text. */
int sn_abbreviation_dot(const char *language, const char *text, size_t size, size_t dot);

#endif
