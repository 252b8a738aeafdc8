/* A segment is a row of units, its words, between which it may be cut. The same search cuts units into cues and the units of a cue
 * into lines: as few pieces as fit, then those that are most alike in width and end behind punctuation. */
#include "speech/format_cues.h"

#include "base/error.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define SPACES " \t\r\n\v\f"
#define WIDTH 42     /* columns and lines that guidelines of subtitles ask for */
#define LINES 2
#define MAX_WIDTH 1000
#define MAX_LINES 100
#define SECONDS 7.0  /* a cue that is longer is read twice */
#define PAUSE 1.5    /* a silence that no cue goes on through */
#define MAX_UNITS 1000 /* of a piece: what bounds the search */
#define MAX_TEXT ((size_t)512 << 20)
#define MAX_COUNT (1 << 26) /* of units */
#define ZERO_WIDTH_JOINER 0x200d

/* What a piece that ends behind a sentence or a clause is worth, against the square of its share of the room. */
#define SENTENCE 0.11
#define CLAUSE 0.03

typedef struct unit {
	const char *at;
	size_t size;
	int gap, width;                  /* columns between the one before and this, and of this */
	double worth;                    /* of a cut behind it */
	double start, end;
} unit;

/* What a piece may have. */
typedef struct room {
	int width, lines;
	double seconds, pause;
} room;

/* The best way to cut the units up to one of them. */
typedef struct cut {
	int pieces, from;                /* of the last piece */
	double cost;
} cut;

int sn_cue_layout_check(sn_cue_layout *layout, int width, int lines, char *err) {
	if (width < 0 || width > MAX_WIDTH)
		return sn_fail(err, SN_E_ARGUMENT, "a line width of %d is outside 1 to %d (0: %d)", width, MAX_WIDTH, WIDTH);
	if (lines < 0 || lines > MAX_LINES)
		return sn_fail(err, SN_E_ARGUMENT, "a line count of %d is outside 1 to %d (0: %d)", lines, MAX_LINES, LINES);
	*layout = (sn_cue_layout){ width ? width : WIDTH, lines ? lines : LINES };
	return SN_OK;
}

/* ---- characters ---- */

/* -1 for what is no UTF-8. */
static UChar32 next_character(const char *text, size_t size, size_t *at) {
	UChar32 c;
	U8_NEXT(text, *at, size, c);
	return c;
}

static int is_wide(UChar32 c) {
	const int width = c < 0 ? U_EA_NEUTRAL : u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
	return width == U_EA_WIDE || width == U_EA_FULLWIDTH;
}

static int columns_of(UChar32 c) {
	const int type = c < 0 ? U_UNASSIGNED : u_charType(c);
	return type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK || type == U_FORMAT_CHAR ? 0 : is_wide(c) ? 2 : 1;
}

/* At most what an int holds. */
static int columns(const char *text, size_t size) {
	int sum = 0;
	for (size_t at = 0; at < size && sum < MAX_WIDTH * MAX_LINES;)
		sum += columns_of(next_character(text, size, &at));
	return sum;
}

static int is_closing(UChar32 c) {
	const int type = c < 0 ? U_UNASSIGNED : u_charType(c);
	return type == U_END_PUNCTUATION || type == U_FINAL_PUNCTUATION || c == '"' || c == '\'';
}

/* The last character counts that is no quotation mark and no bracket. */
static double worth_of(const char *text, size_t size) {
	UChar32 c = -1;
	int32_t end = (int32_t)(size < INT32_MAX ? size : INT32_MAX);
	do {
		if (!end)
			return 0;
		U8_PREV((const uint8_t *)text, 0, end, c);
	} while (is_closing(c));
	return c < 0 ? 0 : u_hasBinaryProperty(c, UCHAR_S_TERM) ? SENTENCE : u_hasBinaryProperty(c, UCHAR_TERMINAL_PUNCTUATION) ? CLAUSE : 0;
}

/* ---- units ---- */

/* Where a unit begins that follows what ends at last_end: what stands before its word without a space, as a quotation mark does, belongs
 * to it where a space parts that from the one before. */
static const char *unit_begin(const char *last_end, const char *word) {
	const char *at = word;
	while (at > last_end && !strchr(SPACES, at[-1]))
		at--;
	return at > last_end ? at : word;
}

/* A unit for each of the segment's words. Returns how many; 0: the text does not hold them. */
static int units_of_words(unit *units, const sn_segment *s) {
	const char *at = s->text + strspn(s->text, SPACES);
	int count = 0;
	for (int i = 0; i < s->word_count; i++) {
		const sn_word *const w = &s->words[i];
		const char *const word = strstr(at, w->text);
		if (!word)
			return 0;
		if (!*w->text)
			continue;
		units[count] = (unit){ .at = count ? unit_begin(at, word) : at, .start = w->start, .end = w->end };
		at = word + strlen(w->text);
		count++;
	}
	return count;
}

/* Chinese and Japanese characters; Korean ones make words with spaces between them. */
static int stands_alone(UChar32 c) {
	const int class = u_getIntPropertyValue(c, UCHAR_LINE_BREAK);
	return is_wide(c) && class != U_LB_H2 && class != U_LB_H3 && class != U_LB_JL;
}

static int may_begin(UChar32 c) {
	const int class = u_getIntPropertyValue(c, UCHAR_LINE_BREAK);
	return columns_of(c) && class != U_LB_CLOSE_PUNCTUATION && class != U_LB_CLOSE_PARENTHESIS && class != U_LB_EXCLAMATION &&
		class != U_LB_NONSTARTER && class != U_LB_CONDITIONAL_JAPANESE_STARTER && class != U_LB_INFIX_NUMERIC;
}

static int may_end(UChar32 c) { return c != ZERO_WIDTH_JOINER && u_getIntPropertyValue(c, UCHAR_LINE_BREAK) != U_LB_OPEN_PUNCTUATION; }

/* Units between spaces, and characters of scripts that have none. units: NULL to count them. */
static int units_of_text(unit *units, const char *text) {
	const size_t size = strlen(text);
	int count = 0;
	UChar32 before = ' ';
	for (size_t at = 0, next = 0; at < size && count < MAX_COUNT; at = next) {
		const UChar32 c = next_character(text, size, &next);
		const int is_space = c > 0 && c < 0x80 && strchr(SPACES, c);
		const int begins = before == ' ' || (c >= 0 && before >= 0 && (stands_alone(c) || stands_alone(before)) && may_begin(c) && may_end(before));
		if (!is_space && begins && units)
			units[count] = (unit){ .at = text + at };
		count += !is_space && begins;
		before = is_space ? ' ' : c;
	}
	return count;
}

/* Fills in what follows from where the units begin. */
static void measure(unit *units, int count) {
	for (int i = 0; i < count; i++) {
		unit *const u = &units[i];
		const char *const next = i + 1 < count ? u[1].at : u->at + strlen(u->at);
		u->size = (size_t)(next - u->at);
		while (u->size && strchr(SPACES, u->at[u->size - 1]))
			u->size--;
		u->width = columns(u->at, u->size);
		u->worth = worth_of(u->at, u->size);
		if (i + 1 < count)
			u[1].gap = u->at + u->size < next;
	}
}

/* ---- cuts ---- */

static int is_better(const cut *a, const cut *b) { return a->pieces != b->pieces ? a->pieces < b->pieces : a->cost < b->cost; }

/* The best cut behind the first `to` units, where those of all before are known. A piece grows from its end, line by line, until it has no
 * room; one unit has always room. */
static cut best_cut(const unit *units, int to, const cut *cuts, const room *room) {
	const double all = (double)room->width * room->lines, worth = units[to - 1].worth;
	cut best = { 0 };
	double width = 0;
	int line = 0, lines = 1;
	for (int from = to - 1; from >= 0 && to - from <= MAX_UNITS; from--) {
		const unit *const u = &units[from];
		const int gap = from < to - 1 ? u[1].gap : 0, is_new = from < to - 1 && line + gap + u->width > room->width;
		lines += is_new;
		line = is_new ? u->width : line + gap + u->width;
		width += gap + u->width;
		if (from < to - 1 && (lines > room->lines || units[to - 1].end - u->start > room->seconds || u[1].start - u->end > room->pause))
			break;
		const cut one = { cuts[from].pieces + 1, from, cuts[from].cost + width * width / (all * all) - worth };
		if (!best.pieces || is_better(&one, &best))
			best = one;
	}
	return best;
}

/* Cuts the units into pieces; cuts: one more than units. starts: where each piece begins, and behind the last the count. Returns how many
 * pieces. */
static int cut_up(const unit *units, int count, cut *cuts, const room *room, int *starts) {
	cuts[0] = (cut){ 0 };
	for (int to = 1; to <= count; to++)
		cuts[to] = best_cut(units, to, cuts, room);
	const int pieces = cuts[count].pieces;
	starts[pieces] = count;
	for (int i = pieces; i > 0; i--)
		starts[i - 1] = cuts[starts[i]].from;
	return pieces;
}

/* ---- cues ---- */

/* All that cutting a segment takes. */
typedef struct cutter {
	unit *units;
	cut *cuts;
	int *cues, *lines;               /* starts of pieces */
	sn_buf text;
} cutter;

static void put_unit(sn_buf *text, const unit *u) {
	for (size_t i = 0; i < u->size; i++)
		sn_buf_add(text, strchr("\r\n", u->at[i]) ? " " : &u->at[i], 1); /* an empty line would end the cue */
}

static int give_cue(cutter *c, int from, int to, int width, double start, double end, sn_cue_ready ready, void *payload) {
	const room line = { width, 1, INFINITY, INFINITY };
	const int lines = cut_up(c->units + from, to - from, c->cuts, &line, c->lines);
	sn_buf_clear(&c->text);
	for (int i = 0; i < lines; i++)
		for (int k = c->lines[i]; k < c->lines[i + 1]; k++) {
			const unit *const u = &c->units[from + k];
			sn_buf_text(&c->text, k > c->lines[i] ? (u->gap ? " " : "") : i ? "\n" : "");
			put_unit(&c->text, u);
		}
	if (!c->text.failed)
		ready(payload, start, end, c->text.data ? c->text.data : "");
	return c->text.failed;
}

static int give_words(cutter *c, int count, const sn_cue_layout *layout, sn_cue_ready ready, void *payload) {
	const room cue = { layout->width, layout->lines, SECONDS, PAUSE };
	const int cues = cut_up(c->units, count, c->cuts, &cue, c->cues);
	int result = SN_OK;
	for (int i = 0; i < cues && result == SN_OK; i++) {
		const int from = c->cues[i], to = c->cues[i + 1];
		result = give_cue(c, from, to, layout->width, c->units[from].start, c->units[to - 1].end, ready, payload);
	}
	return result;
}

static int cut_segment(cutter *c, const sn_segment *s, const sn_cue_layout *layout, sn_cue_ready ready, void *payload) {
	int count = units_of_words(c->units, s);
	const int has_times = count > 0;
	count = has_times ? count : units_of_text(c->units, s->text);
	measure(c->units, count);
	return has_times ? give_words(c, count, layout, ready, payload) : give_cue(c, 0, count, layout->width, s->start, s->end, ready, payload);
}

int sn_cues(const sn_segment *segment, const sn_cue_layout *layout, sn_cue_ready ready, void *payload) {
	const int text = units_of_text(NULL, segment->text), most = segment->word_count > text ? segment->word_count : text;
	const size_t room = (size_t)most + 1;
	cutter c = { .units = calloc(room, sizeof *c.units), .cuts = calloc(room, sizeof *c.cuts), .cues = calloc(room, sizeof *c.cues),
		.lines = calloc(room, sizeof *c.lines) };
	sn_buf_init(&c.text, MAX_TEXT);
	const int fits = c.units && c.cuts && c.cues && c.lines;
	const int result = fits ? cut_segment(&c, segment, layout, ready, payload) : SN_E_MEMORY;
	free(c.units);
	free(c.cuts);
	free(c.cues);
	free(c.lines);
	sn_buf_free(&c.text);
	return result;
}
